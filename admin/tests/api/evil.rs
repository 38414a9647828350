//! Sheets made to hurt. Each gets a clear answer: refused at once, or a job that says why it failed. What reading may take
//! is limited by the reader's process (4 s of processor, 192 MB beyond its start); here is told what that limit catches.

use crate::house::House;
use crate::imports::finished;
use crate::workbooks::*;
use serde_json::Value;

/// What came of it: the state and the error's code, or `refused`.
async fn answer(house: &House, file: &[u8]) -> (String, Value) {
    let reply = house
        .upload(&house.root, "/leads/imports", "leads.xls", file, &[])
        .await;
    if reply.status.as_u16() == 422 {
        let problem = reply.problem(422, "unreadable_sheet");
        assert!(problem["detail"].is_string(), "{problem}");
        return ("refused".into(), problem);
    }
    let import = reply.expect(202);
    let import = finished(house, &house.root, import["id"].as_str().unwrap()).await;
    let told = match import["error"]["code"].as_str() {
        Some(code) => {
            let error = &import["error"];
            assert!(error["detail"].is_string() && error["fix"].is_string());
            format!("failed: {code}")
        }
        None => import["state"].as_str().unwrap().to_owned(),
    };
    (told, import)
}

#[track_caller]
fn one_of(told: &str, all: &[&str]) {
    assert!(all.contains(&told), "{told} is none of {all:?}");
}

async fn with_room() -> House {
    House::with(|config| config.import_limit = 50 * 1024 * 1024).await
}

const MB: usize = 1024 * 1024;

#[tokio::test]
async fn zip_bombs() {
    let house = with_room().await;
    let blank = vec![b' '; MB];

    let mut strings = Archive::workbook();
    strings.entry("xl/sharedStrings.xml", (0..65).map(|_| &blank));
    let strings = strings.bytes();
    assert!(strings.len() < MB);
    assert_eq!(answer(&house, &strings).await.0, "failed: too_big");

    let mut many_big = Archive::workbook();
    for n in 0..5 {
        many_big.entry(&format!("xl/media/{n}.png"), (0..50).map(|_| &blank));
    }
    let many_big = many_big.bytes();
    assert_eq!(answer(&house, &many_big).await.0, "failed: too_big");

    let mut many = Archive::workbook();
    for n in 0..20_000 {
        many.entry(&format!("xl/{n}"), [b""]);
    }
    assert_eq!(answer(&house, &many.bytes()).await.0, "refused");

    // What lies inside is never opened.
    let mut nested = Archive::workbook();
    nested.entry("xl/worksheets/sheet1.xml", [&many_big]);
    nested.entry("bomb.xlsx", [&strings]);
    one_of(
        &answer(&house, &nested.bytes()).await.0,
        &["failed: damaged", "failed: no_rows"],
    );

    let mut mute = Archive::empty();
    mute.entry("a.txt", [b"x"]);
    assert_eq!(answer(&house, &mute.bytes()).await.0, "refused");
}

#[tokio::test]
async fn workbooks_that_claim_more_than_they_hold() {
    let house = with_room().await;
    let with_strings = |strings: Vec<Vec<u8>>| {
        let mut archive = Archive::workbook();
        archive.entry("xl/sharedStrings.xml", strings);
        let rows = [row(1, &["phone"]), row(2, &["13800138000"])].concat();
        let sheet = format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
        archive.entry("xl/worksheets/sheet1.xml", [sheet]);
        archive.bytes()
    };
    // A kilobyte that asks for 24 GB: the reader dies of it, and only the reader.
    for count in ["1000000000", "99999999999999999"] {
        let claim = format!("<sst uniqueCount=\"{count}\"></sst>");
        one_of(
            &answer(&house, &with_strings(vec![claim.into()])).await.0,
            &["failed: too_much_memory", "failed: damaged"],
        );
    }
    // 60 MB of the shortest strings there are become many times that in memory.
    let short = b"<si><t>a</t></si>".repeat(MB / 17);
    let mut strings = vec![b"<sst>".to_vec()];
    strings.extend((0..60).map(|_| short.clone()));
    strings.push(b"</sst>".to_vec());
    one_of(
        &answer(&house, &with_strings(strings)).await.0,
        &["failed: too_much_memory", "failed: too_slow", "done"],
    );
}

#[tokio::test]
async fn entities_are_nobodys_business() {
    let house = with_room().await;
    let secret = house.folder.path().join("secret");
    std::fs::write(&secret, "13800138000").unwrap();
    let external = format!(
        "<!DOCTYPE worksheet [<!ENTITY xxe SYSTEM \"file://{}\">]>",
        secret.display()
    );
    let laughs: String = (1..10)
        .map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10)))
        .collect();
    let laughs = format!("<!DOCTYPE worksheet [<!ENTITY l0 \"lol\">{laughs}]>");
    for (prologue, entity) in [(external, "&xxe;"), (laughs, "&l9;")] {
        let rows = [row(1, &["phone"]), row(2, &[entity])];
        let (told, import) = answer(&house, &xlsx(&prologue, rows)).await;
        one_of(&told, &["done", "failed: damaged"]);
        assert_eq!(import["inserted"], 0, "{import}");
        let path = format!("{}.csv", import["rejects_url"].as_str().unwrap());
        let rejects = house.get(&house.root, &path).await.bytes;
        assert!(!String::from_utf8_lossy(&rejects).contains("13800138000"));
    }
}

#[tokio::test]
async fn giants() {
    let house = with_room().await;
    let rows = (1..=1_000_000_u32).step_by(1000).map(|first| {
        (first..first + 1000)
            .map(|n| match n {
                1 => row(1, &["phone"]),
                n => format!(
                    "<row r=\"{n}\"><c><v>{}</v></c></row>",
                    13_900_000_000_u64 + u64::from(n)
                ),
            })
            .collect::<String>()
    });
    let told = answer(&house, &xlsx("", rows)).await;
    assert_eq!(told.0, "failed: too_many_rows", "{}", told.1);

    let wide: Vec<&str> = std::iter::repeat_n("phone", 16_384).collect();
    assert_eq!(
        answer(&house, &xlsx("", [row(1, &wide)])).await.0,
        "failed: too_many_columns"
    );

    let cell = std::iter::once(b"<row r=\"2\"><c t=\"inlineStr\"><is><t>".to_vec())
        .chain((0..100).map(|_| vec![b'1'; MB]))
        .chain(std::iter::once(b"</t></is></c></row>".to_vec()));
    let one = xlsx(
        "",
        std::iter::once(row(1, &["phone"]).into_bytes()).chain(cell),
    );
    let (told, import) = answer(&house, &one).await;
    one_of(&told, &["done", "failed: too_much_memory"]);
    assert_eq!(import["inserted"], 0);

    // The same as text.
    let many: String = (0..300_000).map(|n| format!("139{n:08}\n")).collect();
    assert_eq!(
        answer(&house, format!("phone\n{many}").as_bytes()).await.0,
        "failed: too_many_rows"
    );
    let long = [b"phone\n\"".to_vec(), vec![b'1'; 40 * MB]].concat();
    assert_eq!(answer(&house, &long).await.0, "failed: open_quote");
    let open = b"phone,name\n13900000301,ok\n13900000302,\"open\n13900000303,c\n";
    let (told, import) = answer(&house, open).await;
    assert_eq!(
        (&*told, &import["inserted"]),
        ("failed: open_quote", &0.into())
    );
    let long = format!("phone,name\n13900000301,{}\n", "x".repeat(200_000));
    let (told, import) = answer(&house, long.as_bytes()).await;
    assert_eq!(told, "failed: field_too_long");
    assert!(
        import["error"]["detail"]
            .as_str()
            .unwrap()
            .contains("line 2"),
        "{import}"
    );
}

#[tokio::test]
async fn formulas_merged_and_hidden_cells() {
    let house = with_room().await;
    let rows = "<row r=\"1\"><c t=\"inlineStr\"><is><t>phone</t></is></c></row>\
        <row r=\"2\"><c><f>13800138000+1</f><v>13800138001</v></c></row>\
        <row r=\"3\"><c><f>A2+1</f></c></row>\
        <row r=\"4\"><c t=\"e\"><f>1/0</f><v>#DIV/0!</v></c></row>\
        <row r=\"5\" hidden=\"1\"><c><v>13800138002</v></c></row>";
    let (told, import) = answer(&house, &xlsx("", [rows])).await;
    assert_eq!(told, "done");
    let path = import["rejects_url"].as_str().unwrap();
    let rejects = house.get(&house.root, path).await.expect(200);
    let codes: Vec<_> = rejects["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["row"].as_u64().unwrap(), row["code"].as_str().unwrap()))
        .collect();
    assert_eq!(codes, [(3, "formula_without_value"), (4, "formula_error")]);
    assert_eq!(import["inserted"], 2);
}

fn old_workbook() -> Vec<u8> {
    xls(&[
        label(0, 0, "姓名"),
        label(0, 1, "手机"),
        label(1, 0, "王一"),
        label(1, 1, "13800138000"),
    ])
}

#[tokio::test]
async fn an_old_workbook_is_read_and_a_wrong_one_hurts_nobody() {
    let house = with_room().await;
    let (told, import) = answer(&house, &old_workbook()).await;
    assert_eq!(
        (told.as_str(), &import["inserted"]),
        ("done", &1.into()),
        "{import}"
    );

    // Two cells at the corners: the library would hold all between them, 128 GB.
    let corners = xls(&[label(0, 0, "phone"), label(65_535, 65_535, "x")]);
    assert_eq!(answer(&house, &corners).await.0, "failed: too_much_memory");
    // Dimensions that are not there.
    let mut claim = Vec::new();
    for n in [0_u32, 65_536] {
        claim.extend(n.to_le_bytes());
    }
    claim.extend([0, 0, 0xff, 0xff, 0, 0]);
    let dimensions = xls(&[record(0x0200, &claim), label(0, 0, "phone")]);
    one_of(
        &answer(&house, &dimensions).await.0,
        &["failed: too_much_memory", "failed: damaged", "done"],
    );
    // A chain of sectors that bites its tail never ends for the library.
    let mut tail = old_workbook();
    tail[512 + 4..512 + 8].copy_from_slice(&1_u32.to_le_bytes());
    one_of(
        &answer(&house, &tail).await.0,
        &["failed: too_much_memory", "failed: too_slow"],
    );
}

/// A small generator of places and values, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

#[tokio::test]
async fn files_cut_or_changed_anywhere_get_an_answer() {
    let house = with_room().await;
    let path = format!(
        "{}/../fixtures/sheets/leads.xlsx",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut dice = Dice(0x5eed);
    for whole in [std::fs::read(path).unwrap(), old_workbook()] {
        for _ in 0..15 {
            let cut = &whole[..dice.below(whole.len())];
            let (told, _) = answer(&house, cut).await;
            assert!(
                told == "refused" || told == "done" || told.starts_with("failed: "),
                "{told}"
            );
            let mut changed = whole.clone();
            for _ in 0..8 {
                let at = dice.below(changed.len());
                changed[at] = dice.below(256) as u8;
            }
            let (told, _) = answer(&house, &changed).await;
            assert!(
                told == "refused" || told == "done" || told.starts_with("failed: "),
                "{told}"
            );
        }
    }
    let garbage: Vec<u8> = (0..20_000).map(|_| dice.below(256) as u8).collect();
    assert_eq!(answer(&house, &garbage).await.0, "refused");
    let biff = [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".as_slice(), &garbage].concat();
    let (told, _) = answer(&house, &biff).await;
    assert!(told.starts_with("failed: "), "{told}");
}

#[tokio::test]
async fn wrong_encodings_are_named() {
    let house = with_room().await;
    let broken = [
        b"phone,name\n13800138000,".as_slice(),
        b"\x81\xff\xfe\x80\xff\n",
    ]
    .concat();
    assert_eq!(answer(&house, &broken).await.0, "failed: encoding");
    // UTF-8 that says it is UTF-16.
    let marked = [b"\xff\xfe".as_slice(), b"phone\n13800138000\n"].concat();
    one_of(
        &answer(&house, &marked).await.0,
        &[
            "failed: encoding",
            "failed: no_phone_column",
            "failed: no_rows",
        ],
    );
}
