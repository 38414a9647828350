//! Sentences at a node of the loan template, and templates with each fault.

use bots::record::MatchKind;
use bots::{
    Branch, Code, CompiledTemplate, Correction, Language, Matched, Question, Severity, Template,
};
use model::PromptId;
use std::sync::Arc;

fn bare() -> Template {
    let json = include_str!("../../fixtures/templates/loan.zh.json");
    serde_json::from_str(json).expect("the fixture is a template")
}

fn loan() -> Template {
    let mut template = bare();
    let keys: Vec<String> = template
        .spoken()
        .into_iter()
        .map(|spoken| spoken.key)
        .collect();
    for (n, key) in keys.iter().enumerate() {
        let id = model::id::Uuid::from_u128(n as u128 + 1);
        assert!(template.set_prompt(key, Some(PromptId(id))));
    }
    template
}

fn compiled() -> Arc<CompiledTemplate> {
    CompiledTemplate::new(&loan()).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

fn at(compiled: &CompiledTemplate, node: &str, text: &str) -> Matched {
    let place = compiled
        .template()
        .nodes
        .iter()
        .position(|n| n.key == node)
        .expect("a node");
    compiled.matcher().matched(place, text)
}

fn kind(matched: &Matched) -> String {
    match &matched.kind {
        MatchKind::Question { id } => format!("question {id}"),
        MatchKind::Branch { name, .. } => format!("branch {name}"),
        MatchKind::Positive => "positive".into(),
        MatchKind::Negative { ignored: false } => "negative".into(),
        MatchKind::Negative { ignored: true } => "negative, ignored".into(),
        MatchKind::Transfer => "transfer".into(),
        MatchKind::Number => "number".into(),
        MatchKind::Unmatched { question: false } => "unmatched".into(),
        MatchKind::Unmatched { question: true } => "unmatched question".into(),
        MatchKind::Backchannel => "backchannel".into(),
        MatchKind::NotHeard { .. } => "not heard".into(),
    }
}

#[test]
fn sentences_at_a_node_are_what_the_author_meant() {
    let compiled = compiled();
    let mut wrong = Vec::new();
    for (node, text, expected) in [
        ("greeting", "我在公司上班。", "branch 上班"),
        ("greeting", "我自己做点小生意。", "branch 做生意"),
        ("greeting", "我是上班的，在工厂里。", "branch 上班"),
        ("greeting", "我是开店做生意的。", "branch 做生意"),
        ("greeting", "没有上班，做生意的", "branch 做生意"),
        ("greeting", "我不做生意，上班的", "branch 上班"),
        ("greeting", "我在商办", "branch 上班"),
        ("greeting", "自由职业吧", "branch 做生意"),
        ("greeting", "我上班的，不需要贷款", "negative"),
        ("greeting", "我做生意的，利息多少", "question rate"),
        ("greeting", "你们公司在哪里？", "question where"),
        ("greeting", "你們公司在哪裡", "question where"),
        ("greeting", "你们是哪家银行的", "question where"),
        ("greeting", "多少钱一个月？", "question rate"),
        ("greeting", "多少千一個月", "question rate"),
        ("greeting", "你们利息怎么算的", "question rate"),
        ("greeting", "年化是多少", "question rate"),
        ("greeting", "你是怎么知道我的电话的？", "question source"),
        ("greeting", "你们从哪里弄到我的号码的", "question source"),
        ("greeting", "需要什么条件？", "question terms"),
        ("greeting", "有什么要求吗", "question terms"),
        ("greeting", "征信不好可以办吗", "question terms"),
        ("greeting", "需不需要抵押", "question terms"),
        ("greeting", "你是极其人吗", "question robot"),
        ("greeting", "你是不是机器人啊", "question robot"),
        ("greeting", "办理要多长时间？", "question time"),
        ("greeting", "多久能放款", "question time"),
        ("greeting", "那几天能到账呢", "question time"),
        ("greeting", "可以啊，那利息是多少", "question rate"),
        (
            "greeting",
            "那个我想问一下你们这个贷款的利息是多少",
            "question rate",
        ),
        ("greeting", "利息，是多少？", "question rate"),
        ("greeting", "你们食堂几点开门", "unmatched question"),
        ("greeting", "今天天气不错。", "unmatched"),
        ("greeting", "喂，你好，哪位？", "unmatched"),
        ("greeting", "嗯", "backchannel"),
        ("greeting", "喂，你好", "backchannel"),
        ("greeting", "帮我转人工客服。", "transfer"),
        (
            "greeting",
            "我的电话号码是一三八零零一三八零零零。",
            "number",
        ),
        ("employed", "可以的，你说吧。", "positive"),
        ("employed", "我想贷一点", "positive"),
        ("employed", "最近缺钱", "positive"),
        ("employed", "我不缺钱", "negative"),
        ("employed", "我有房贷了", "negative"),
        ("employed", "不想周转", "negative"),
        ("employed", "不需要，谢谢。", "negative"),
        ("employed", "不需要，你们公司在哪里", "question where"),
        ("employed", "利息多少？算了，不要了", "negative"),
        ("employed", "你怎么知道我电话的，别再打了", "negative"),
        ("employed", "可以，你们周末休息吗", "positive"),
        // As a recogniser wrote real callees.
        ("greeting", "或是上班的在工場裡", "branch 上班"),
        ("greeting", "我試凱甸做省衣點", "branch 做生意"),
        ("greeting", "班里要多长时间", "question time"),
        ("greeting", "翻理要多長時間", "question time"),
        ("greeting", "你是急起人嗎?", "question robot"),
        ("employed", "需要沈默条件。", "question terms"),
        ("employed", "是的,我需要你家五微信吧", "positive"),
        ("employed", "我現在在開會美恐", "negative"),
        ("employed", "那可以考慮一下", "positive"),
        ("objection", "我沒有興趣別再打了", "negative"),
        ("amount", "加我微型吧", "positive"),
        ("amount", "no，不用加", "negative"),
    ] {
        let matched = at(&compiled, node, text);
        if kind(&matched) != expected {
            wrong.push(format!(
                "{text}: {expected}, not {} {:?}",
                kind(&matched),
                matched.evidence
            ));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_match_names_its_words() {
    let compiled = compiled();
    let matched = at(&compiled, "employed", "不好意思，我不考慮這個");
    let words: Vec<(&str, &str, f32)> = matched
        .evidence
        .iter()
        .map(|e| (e.words.as_str(), e.class.as_str(), e.weight))
        .collect();
    assert_eq!(
        words,
        [("不好意思", "neutral", 0.0), ("不考虑", "negative", 1.0)]
    );
    let asked = at(&compiled, "greeting", "多少千一个月");
    assert_eq!(asked.text, "多少钱一个月", "corrected before matching");
    assert_eq!(asked.evidence[0].words, "多少钱一个月");
    assert_eq!(asked.evidence[0].source, "likeness");
    let heard = at(&compiled, "greeting", "我在尚办");
    assert!(
        heard
            .evidence
            .iter()
            .any(|e| e.by_sound && e.source == "template"),
        "{heard:?}"
    );
    let json = serde_json::to_string(&asked).unwrap();
    assert_eq!(serde_json::from_str::<Matched>(&json).unwrap(), asked);
}

#[test]
fn a_node_that_ignores_negatives_marks_them() {
    let mut template = loan();
    template.nodes[0].ignore_negative = true;
    let compiled = CompiledTemplate::new(&template).unwrap();
    assert_eq!(
        kind(&at(&compiled, "greeting", "不需要")),
        "negative, ignored"
    );
}

#[test]
fn english_templates_match_too() {
    let mut template = loan();
    template.language = Language::En;
    template.questions = vec![
        question(
            "rate",
            "What is the interest rate",
            &["how much does it cost", "what are the fees"],
        ),
        question(
            "source",
            "How did you get my number",
            &["who gave you my number"],
        ),
        question("where", "Where is your company", &["where are you located"]),
    ];
    template.nodes[0].branches = vec![
        branch("employed", &["employed", "work for"]),
        branch("business", &["business", "self-employed", "own a shop"]),
    ];
    let compiled = CompiledTemplate::new(&template).unwrap();
    for (text, expected) in [
        ("How much does it cost?", "question rate"),
        ("What's the interest rate?", "question rate"),
        ("So what is the interest rate then?", "question rate"),
        ("Who gave you my number?", "question source"),
        ("Where did you get my phone number from?", "question source"),
        ("Where is your company?", "question where"),
        ("I run a small business.", "branch business"),
        ("I'm self-employed.", "branch business"),
        ("I work for a bank.", "branch employed"),
        ("Yes, that sounds good. Tell me more.", "positive"),
        (
            "I'm not interested, please don't call me again.",
            "negative",
        ),
        ("Hmm.", "backchannel"),
        ("Hmm, I see.", "unmatched"),
        ("What is your favourite colour?", "unmatched question"),
    ] {
        assert_eq!(kind(&at(&compiled, "greeting", text)), expected, "{text}");
    }
}

fn question(id: &str, text: &str, subs: &[&str]) -> Question {
    Question {
        id: id.into(),
        text: text.into(),
        sub_questions: subs.iter().map(|sub| (*sub).to_owned()).collect(),
        answer: "…".into(),
        prompt: Some(PromptId(model::id::Uuid::from_u128(99))),
    }
}

fn branch(name: &str, words: &[&str]) -> Branch {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    Branch {
        name: name.into(),
        words,
        jump: None,
        label: None,
    }
}

// ── Faults ──

fn codes(template: &Template) -> Vec<(Option<String>, Code)> {
    template
        .check()
        .into_iter()
        .map(|finding| (finding.node, finding.code))
        .collect()
}

fn has(template: &Template, node: Option<&str>, code: Code) -> bool {
    codes(template).contains(&(node.map(str::to_owned), code))
}

#[test]
fn the_loan_template_is_sound_but_for_its_audio() {
    assert_eq!(codes(&loan()), []);
    let bare = bare();
    assert!(
        bare.check()
            .iter()
            .all(|finding| finding.code == Code::MissingPrompt)
    );
    assert_eq!(bare.check().len(), bare.spoken().len());
    assert!(!bare.diallable());
    let json = serde_json::to_value(&bare).unwrap();
    assert_eq!(serde_json::from_value::<Template>(json).unwrap(), bare);
}

#[test]
fn a_template_without_an_end_says_so_and_cannot_be_dialled() {
    let mut template = loan();
    template
        .nodes
        .iter_mut()
        .for_each(|node| node.terminate = false);
    let findings = CompiledTemplate::new(&template).expect_err("refused");
    let missing = findings
        .iter()
        .find(|f| f.code == Code::NoTerminatingNode)
        .expect("named");
    assert_eq!(missing.message, "此模板缺少结束流程");
    assert_eq!(missing.severity, Severity::Error);
    assert_eq!(
        serde_json::to_value(missing).unwrap()["code"],
        "no_terminating_node"
    );
    assert_eq!(missing.code.as_str(), "no_terminating_node");
}

#[test]
fn each_fault_is_named_with_its_node() {
    let with = |change: fn(&mut Template)| {
        let mut template = loan();
        change(&mut template);
        template
    };
    let lost = with(|t| t.nodes[1].positive_jump = Some("nowhere".into()));
    assert!(has(&lost, Some("employed"), Code::DanglingJump));
    assert!(lost.check().iter().any(|f| f.message.contains("nowhere")));
    assert!(has(
        &with(|t| t.objection = Some("gone".into())),
        None,
        Code::DanglingJump
    ));
    assert!(has(
        &with(|t| t.nodes[0].branches[0].jump = Some("x".into())),
        Some("greeting"),
        Code::DanglingJump
    ));
    let island = with(|t| {
        let mut node = t.nodes[1].clone();
        node.key = "island".into();
        t.nodes.push(node);
    });
    assert!(has(&island, Some("island"), Code::UnreachableNode));
    assert!(
        CompiledTemplate::new(&island).is_ok(),
        "odd, but it can be dialled with"
    );
    let silent = with(|t| t.nodes[2].prompt = None);
    assert!(has(&silent, Some("business"), Code::MissingPrompt));
    assert!(CompiledTemplate::new(&silent).is_err());
    assert!(has(
        &with(|t| t.questions[0].prompt = None),
        Some("question.rate"),
        Code::MissingPrompt
    ));
    assert!(has(
        &with(|t| t.prompts.cut.prompt = None),
        Some("cut"),
        Code::MissingPrompt
    ));
    assert!(has(
        &with(|t| t.nodes[1].key = "business".into()),
        Some("business"),
        Code::DuplicateKey
    ));
    assert!(has(
        &with(|t| t.questions[1].id = "rate".into()),
        Some("question.rate"),
        Code::DuplicateKey
    ));
    assert!(has(
        &with(|t| t.nodes[0].branches[1].words.clear()),
        Some("greeting"),
        Code::EmptyWords
    ));
    assert!(has(
        &with(|t| t.negative_words.push(" ，".into())),
        None,
        Code::EmptyWords
    ));
    assert!(has(
        &with(|t| t.corrections.push(Correction {
            from: "".into(),
            to: "x".into()
        })),
        None,
        Code::EmptyWords
    ));
    assert!(has(
        &with(|t| t.nodes[0].branches[1].words.push("上班".into())),
        Some("greeting"),
        Code::SharedWord
    ));
    assert!(has(
        &with(|t| t.objection = None),
        None,
        Code::NoObjectionNode
    ));
    assert!(has(
        &with(|t| t.nodes[3].text = " ".into()),
        Some("amount"),
        Code::EmptyText
    ));
    assert!(has(
        &with(|t| t.nodes[3].key = "".into()),
        None,
        Code::EmptyKey
    ));
    assert!(has(&with(|t| t.version = 2), None, Code::NewerVersion));
    assert!(has(&with(|t| t.nodes.clear()), None, Code::NoNodes));
    let circle = with(|t| {
        t.nodes[3].positive_jump = Some("greeting".into());
        t.nodes[3].ignore_unmatched = false;
        t.nodes[5].negative_jump = Some("greeting".into());
    });
    assert!(has(&circle, Some("greeting"), Code::CannotEnd));
    let open = with(|t| t.nodes[5].negative_jump = None);
    assert!(has(&open, Some("objection"), Code::RunsOffTheEnd));
}

#[test]
fn an_unknown_field_is_refused_with_its_name() {
    let mut json = serde_json::to_value(bare()).unwrap();
    json["nodes"][0]["bargein"] = true.into();
    let error = serde_json::from_value::<Template>(json)
        .unwrap_err()
        .to_string();
    assert!(error.contains("bargein"), "{error}");
}
