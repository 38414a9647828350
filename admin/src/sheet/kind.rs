//! What a file is, by its content; its name is a hint people get wrong.

use super::SheetError;
use super::archive::Archive;
use std::io::{Read, Seek};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Office Open XML in a zip archive.
    Xlsx,
    /// BIFF in an OLE compound file.
    Xls,
    /// Columns of text.
    Text,
}

/// How much of a file tells what it is.
const HEAD: usize = 8 * 1024;

/// Looks at the beginning of a file (of an archive also at its list of entries).
pub fn recognise(mut file: impl Read + Seek) -> Result<Kind, SheetError> {
    let mut head = Vec::with_capacity(HEAD);
    let unreadable = |error: std::io::Error| SheetError::Damaged(error.to_string());
    file.by_ref()
        .take(HEAD as u64)
        .read_to_end(&mut head)
        .map_err(unreadable)?;
    match head.as_slice() {
        [] => Err(SheetError::Empty),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Archive::open(file)?.kind(),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => Ok(Kind::Xls),
        // BIFF 2, 3, 4 without a container: the record BOF.
        [0x09, 0x00 | 0x02 | 0x04, 0x04 | 0x06, 0x00, ..] => Err(SheetError::OldWorkbook),
        _ => text(&head),
    }
}

fn text(head: &[u8]) -> Result<Kind, SheetError> {
    let plain: String = String::from_utf8_lossy(head)
        .chars()
        .filter(|c| *c != '\0')
        .collect::<String>()
        .to_ascii_lowercase();
    let plain = plain.trim_start_matches(['\u{feff}', '\u{fffd}', ' ', '\r', '\n', '\t']);
    if [
        "<html",
        "<!doctype html",
        "<table",
        "<meta",
        "<head",
        "<body",
    ]
    .iter()
    .any(|mark| plain.starts_with(mark))
    {
        return Err(SheetError::Html);
    }
    if ["<?xml", "<!doctype", "<!--", "<workbook"]
        .iter()
        .any(|mark| plain.starts_with(mark))
    {
        let html = plain.contains("<html") || plain.contains("<table");
        return Err(if html {
            SheetError::Html
        } else {
            SheetError::Xml
        });
    }
    if ["%pdf-", "{\\rtf"]
        .iter()
        .any(|mark| plain.starts_with(mark))
    {
        return Err(SheetError::NotASheet);
    }
    // Text of any encoding we read has no control characters but these; UTF-16 has its zeros.
    let wide = super::encoding::looks_wide(head);
    let control = |b: &u8| match b {
        b'\t' | b'\r' | b'\n' | 0x0c => false,
        0 => !wide,
        b => *b < 0x20 && !wide,
    };
    if head.iter().any(control) {
        return Err(SheetError::NotASheet);
    }
    if plain.is_empty() {
        return Err(SheetError::Empty);
    }
    Ok(Kind::Text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn a_file_is_named_for_what_it_is() {
        let told = |bytes: &[u8]| recognise(Cursor::new(bytes.to_vec()));
        assert_eq!(told(b""), Err(SheetError::Empty));
        assert_eq!(told(b" \r\n\t"), Err(SheetError::Empty));
        assert_eq!(told(b"\xef\xbb\xbf"), Err(SheetError::Empty));
        assert_eq!(told(b"\r\n<HTML><table>"), Err(SheetError::Html));
        assert_eq!(
            told(b"<?xml version=\"1.0\"?><html xmlns=\"x\">"),
            Err(SheetError::Html)
        );
        assert_eq!(
            told(b"<?xml version=\"1.0\"?><Workbook>"),
            Err(SheetError::Xml)
        );
        assert_eq!(
            told(b"<!DOCTYPE lolz [<!ENTITY lol \"lol\">]>"),
            Err(SheetError::Xml)
        );
        assert_eq!(told(b"%PDF-1.7"), Err(SheetError::NotASheet));
        assert_eq!(told(b"\x89PNG\r\n\x1a\n\0\0\0"), Err(SheetError::NotASheet));
        assert_eq!(told(b"\x7fELF\x02\x01\x01\0"), Err(SheetError::NotASheet));
        assert_eq!(
            told(b"\x09\x04\x06\x00\x00\x00\x10\x00"),
            Err(SheetError::OldWorkbook)
        );
        assert_eq!(told(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), Ok(Kind::Xls));
        assert_eq!(told(b"name,phone\n"), Ok(Kind::Text));
        assert_eq!(told(b"\xff\xfep\0h\0o\0n\0e\0"), Ok(Kind::Text));
        assert_eq!(told(b"\xb5\xe7\xbb\xb0\n"), Ok(Kind::Text));
        assert!(matches!(
            told(b"PK\x03\x04rest"),
            Err(SheetError::Damaged(_))
        ));
    }
}
