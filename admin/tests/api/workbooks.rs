//! Workbooks made by hand, so that they can be wrong in ways no program would make them.

use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;

const RELATIONS: &str = r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#;
const WORKBOOK: &str = r#"<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="s" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
const ROOT: &str = r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
const TYPES: &str = r#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>"#;

/// A zip archive being written.
pub struct Archive(zip::ZipWriter<Cursor<Vec<u8>>>);

impl Archive {
    /// With all a workbook needs but its sheet.
    pub fn workbook() -> Archive {
        let mut archive = Archive::empty();
        archive.entry("[Content_Types].xml", [TYPES.as_bytes()]);
        archive.entry("_rels/.rels", [ROOT.as_bytes()]);
        archive.entry("xl/workbook.xml", [WORKBOOK.as_bytes()]);
        archive.entry("xl/_rels/workbook.xml.rels", [RELATIONS.as_bytes()]);
        archive
    }
    pub fn empty() -> Archive {
        Archive(zip::ZipWriter::new(Cursor::new(Vec::new())))
    }
    pub fn entry<B: AsRef<[u8]>>(&mut self, name: &str, parts: impl IntoIterator<Item = B>) {
        let options = SimpleFileOptions::default();
        self.0.start_file(name, options).unwrap();
        for part in parts {
            self.0.write_all(part.as_ref()).unwrap();
        }
    }
    pub fn bytes(self) -> Vec<u8> {
        self.0.finish().unwrap().into_inner()
    }
}

/// A workbook of one sheet: `prologue` before its root element, `data` inside `sheetData`.
pub fn xlsx<B: AsRef<[u8]>>(prologue: &str, data: impl IntoIterator<Item = B>) -> Vec<u8> {
    let mut archive = Archive::workbook();
    let open = format!(
        "<?xml version=\"1.0\"?>{prologue}<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>"
    );
    let parts = std::iter::once(open.into_bytes())
        .chain(data.into_iter().map(|part| part.as_ref().to_vec()))
        .chain(std::iter::once(b"</sheetData></worksheet>".to_vec()));
    archive.entry("xl/worksheets/sheet1.xml", parts);
    archive.bytes()
}

/// A row of inline texts.
pub fn row(n: u32, texts: &[&str]) -> String {
    let cells: String = texts
        .iter()
        .map(|text| format!("<c t=\"inlineStr\"><is><t>{text}</t></is></c>"))
        .collect();
    format!("<row r=\"{n}\">{cells}</row>")
}

/// One BIFF record.
pub fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    let mut record = kind.to_le_bytes().to_vec();
    record.extend((data.len() as u16).to_le_bytes());
    record.extend(data);
    record
}

/// A BIFF 8 cell with a text.
pub fn label(row: u16, column: u16, text: &str) -> Vec<u8> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut data: Vec<u8> = [row, column, 0, units.len() as u16]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    data.push(1);
    data.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    record(0x0204, &data)
}

/// A BIFF 8 workbook of one sheet in its container.
pub fn xls(cells: &[Vec<u8>]) -> Vec<u8> {
    let bof = |kind: u16| {
        let mut data = 0x0600_u16.to_le_bytes().to_vec();
        data.extend(kind.to_le_bytes());
        data.extend([0; 12]);
        record(0x0809, &data)
    };
    let globals = bof(0x0005);
    let end = record(0x000a, &[]);
    let mut bound = vec![0; 6];
    bound.extend([1, 0, b's']);
    let at = (globals.len() + 4 + bound.len() + end.len()) as u32;
    bound[..4].copy_from_slice(&at.to_le_bytes());
    let mut stream = [globals, record(0x0085, &bound), end.clone(), bof(0x0010)].concat();
    stream.extend(cells.concat());
    stream.extend(end);
    compound(stream)
}

/// An OLE compound file with one stream, `Workbook`: header, allocation table, directory, stream.
pub fn compound(mut stream: Vec<u8>) -> Vec<u8> {
    const SECTOR: usize = 512;
    const END: u32 = 0xffff_fffe;
    const FREE: u32 = 0xffff_ffff;
    const TABLE: u32 = 0xffff_fffd;
    // Below 4096 bytes it would live elsewhere.
    let length = stream.len().max(4096).next_multiple_of(SECTOR);
    stream.resize(length, 0);
    let sectors = (length / SECTOR) as u32;
    assert!(sectors + 2 <= 128, "one sector of table");
    let mut header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    header.resize(SECTOR, 0);
    header[24..34].copy_from_slice(&[0x3e, 0, 3, 0, 0xfe, 0xff, 9, 0, 6, 0]);
    header[44] = 1;
    header[48] = 1;
    header[56..60].copy_from_slice(&4096_u32.to_le_bytes());
    header[60..64].copy_from_slice(&END.to_le_bytes());
    header[68..72].copy_from_slice(&END.to_le_bytes());
    header[76..80].copy_from_slice(&0_u32.to_le_bytes());
    header[80..].fill(0xff);
    let mut table: Vec<u32> = vec![TABLE, END];
    table.extend((0..sectors).map(|n| if n + 1 == sectors { END } else { n + 3 }));
    table.resize(128, FREE);
    let entry = |name: &str, kind: u8, child: u32, start: u32, length: u32| {
        let mut entry: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let named = entry.len() as u16 + 2;
        entry.resize(64, 0);
        entry.extend(named.to_le_bytes());
        entry.extend([kind, 1]);
        for n in [FREE, FREE, child] {
            entry.extend(n.to_le_bytes());
        }
        entry.resize(116, 0);
        entry.extend(start.to_le_bytes());
        entry.extend(length.to_le_bytes());
        entry.resize(128, 0);
        entry
    };
    let mut directory = entry("Root Entry", 5, 1, END, 0);
    directory.extend(entry("Workbook", 2, FREE, 2, length as u32));
    directory.resize(SECTOR, 0);
    let table: Vec<u8> = table.into_iter().flat_map(u32::to_le_bytes).collect();
    [header, table, directory, stream].concat()
}
