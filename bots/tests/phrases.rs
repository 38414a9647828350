use bots::{Language, lexicon};
#[test]
fn p() {
    let t = std::fs::read_to_string("/work/shared/speech/callees/phrases.tsv").unwrap();
    let mut bad = 0;
    for line in t.lines() {
        let f: Vec<&str> = line.split('\t').collect();
        let got = lexicon::intent(f[4], Language::from_code(f[1]).unwrap()).label();
        if got != f[3] {
            bad += 1;
            println!("{} want {} got {}", f[4], f[3], got);
        }
    }
    println!("bad {bad}");
}
