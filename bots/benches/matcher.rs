//! One sentence against the built-in lexicon, and at a node of the loan template.

use bots::{CompiledTemplate, Language, Template, lexicon};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

fn sentences(c: &mut Criterion) {
    let json = include_str!("../../fixtures/templates/loan.zh.json");
    let mut template: Template = serde_json::from_str(json).expect("the fixture is a template");
    let keys: Vec<String> = template
        .spoken()
        .into_iter()
        .map(|spoken| spoken.key)
        .collect();
    for key in keys {
        template.set_prompt(&key, Some(model::PromptId(model::id::Uuid::from_u128(1))));
    }
    let compiled = CompiledTemplate::new(&template).expect("sound");
    for (name, text) in [
        ("refusal", "不好意思，我不考虑这个。"),
        ("question", "那个我想问一下你们这个利息是多少？"),
        ("by_sound", "你是极其人吗"),
    ] {
        c.bench_function(&format!("lexicon/{name}"), |b| {
            b.iter(|| lexicon::intent(black_box(text), Language::Zh));
        });
        c.bench_function(&format!("template/{name}"), |b| {
            b.iter(|| compiled.matcher().matched(0, black_box(text)));
        });
    }
    c.bench_function("compile", |b| {
        b.iter(|| CompiledTemplate::new(black_box(&template)).is_ok())
    });
}

criterion_group!(benches, sentences);
criterion_main!(benches);
