//! The bound on strangers' files, measured on the process that reads them: it has ended, with an answer or by its limits,
//! within 5 s, and never held more than 256 MB. What people are told of each is in `api/evil.rs`.

#[path = "api/workbooks.rs"]
mod workbooks;

use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, interval};
use workbooks::*;

const MB: usize = 1024 * 1024;
const MOST_KB: u64 = 256 * 1024;
const MOST_TIME: Duration = Duration::from_secs(5);

/// This binary again, started below to read a sheet; an ordinary run has nothing to read.
#[test]
fn read_sheet() {
    admin::read_sheet();
}

/// A number of kilobytes in a file of `/proc`, while the process is there.
fn kilobytes(process: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn is_limited(process: u32) -> bool {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap_or_default();
    let memory = limits
        .lines()
        .find(|line| line.starts_with("Max address space"));
    memory.is_some_and(|line| !line.contains("unlimited"))
}

/// How long reading took and what the reader held at most; whether it was seen under its limits.
async fn measure(file: &[u8]) -> (Duration, u64, bool) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("upload"), file).unwrap();
    let asked = r#"{"country": "86", "mapping": {}, "most_rows": 200000, "keep_cells": true}"#;
    std::fs::write(folder.path().join("asked.json"), asked).unwrap();
    let begun = Instant::now();
    let mut reader = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "read_sheet"])
        .env_clear()
        .env("HUYING_READ_SHEET", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut peak, mut limited) = (0, false);
    let mut look = interval(Duration::from_millis(1));
    while reader.try_wait().unwrap().is_none() {
        peak = peak.max(kilobytes(reader.id(), "VmHWM:").unwrap_or_default());
        limited = limited || is_limited(reader.id());
        look.tick().await;
    }
    (begun.elapsed(), peak, limited)
}

fn evil() -> Vec<(&'static str, Vec<u8>)> {
    let with_strings = |strings: Vec<Vec<u8>>| {
        let mut archive = Archive::workbook();
        archive.entry("xl/sharedStrings.xml", strings);
        let sheet = format!(
            "<worksheet><sheetData>{}</sheetData></worksheet>",
            row(1, &["phone"])
        );
        archive.entry("xl/worksheets/sheet1.xml", [sheet]);
        archive.bytes()
    };
    let blank = vec![b' '; MB];
    let mut bomb = Archive::workbook();
    bomb.entry("xl/sharedStrings.xml", (0..65).map(|_| &blank));
    let claim = b"<sst uniqueCount=\"1000000000\"></sst>".to_vec();
    let short = b"<si><t>a</t></si>".repeat(MB / 17);
    let mut strings = vec![b"<sst>".to_vec()];
    strings.extend((0..60).map(|_| short.clone()));
    strings.push(b"</sst>".to_vec());
    let head = || std::iter::once(row(1, &["phone"]).into_bytes());
    let rows = head().chain((2..=400_000_u32).map(|n| {
        let number = 13_900_000_000_u64 + u64::from(n);
        format!("<row r=\"{n}\"><c><v>{number}</v></c></row>").into_bytes()
    }));
    let cell = head()
        .chain([b"<row r=\"2\"><c t=\"inlineStr\"><is><t>".to_vec()])
        .chain((0..100).map(|_| vec![b'1'; MB]))
        .chain([b"</t></is></c></row>".to_vec()]);
    let mut chain = xls(&[label(0, 0, "手机"), label(1, 0, "13800138000")]);
    chain[512 + 4..512 + 8].copy_from_slice(&1_u32.to_le_bytes());
    let mut dimensions = Vec::new();
    for n in [0_u32, 65_536] {
        dimensions.extend(n.to_le_bytes());
    }
    dimensions.extend([0, 0, 0xff, 0xff, 0, 0]);
    let dimensions = [record(0x0200, &dimensions), label(0, 0, "phone")];
    let many: String = (0..300_000).map(|n| format!("139{n:08}\n")).collect();
    vec![
        ("65 MB of blanks in a small archive", bomb.bytes()),
        ("24 GB of strings, claimed", with_strings(vec![claim])),
        (
            "60 MB of the shortest strings there are",
            with_strings(strings),
        ),
        ("twice the rows there may be", xlsx("", rows)),
        ("one cell of 100 MB", xlsx("", cell)),
        (
            "two cells, 128 GB apart",
            xls(&[label(0, 0, "phone"), label(65_535, 65_535, "x")]),
        ),
        ("dimensions that are not there", xls(&dimensions)),
        ("a chain of sectors that bites its tail", chain),
        (
            "text, more rows than there may be",
            format!("phone\n{many}").into_bytes(),
        ),
        (
            "text, one quote of 40 MB",
            [b"phone\n\"".to_vec(), vec![b'1'; 40 * MB]].concat(),
        ),
    ]
}

#[tokio::test]
async fn a_strangers_file_costs_at_most_5_seconds_and_256_megabytes() {
    for (what, file) in evil() {
        let (took, peak, limited) = measure(&file).await;
        println!("{what}: {} ms, {} MB", took.as_millis(), peak / 1024);
        // One that is over sooner may be gone before it is looked at.
        let glimpse = took < Duration::from_millis(50);
        assert!(limited || glimpse, "{what}: read without limits");
        assert!(peak < MOST_KB, "{what}: {peak} kB");
        assert!(took < MOST_TIME, "{what}: {took:?}");
    }
}
