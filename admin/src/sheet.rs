//! Spreadsheets of strangers. The archive is measured before anything is built from it, cells are read one after another,
//! and a row that cannot become a lead says why instead of stopping the others.
//!
//! Runs on a blocking thread. quick-xml, below calamine, resolves no external entities.

use crate::wire::number_code;
use calamine::{DataRef, Reader, Xlsx};
use model::E164;
use serde_json::{Map, Value};
use std::io::{Cursor, Read};

/// Most bytes all entries of the archive may unpack to.
const UNPACKED: u64 = 200 * 1024 * 1024;
/// The shared strings are the one part that is held in memory whole.
const STRINGS: u64 = 64 * 1024 * 1024;
const ENTRIES: usize = 2_000;
const COLUMNS: usize = 100;
const CELL_CHARS: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SheetError {
    #[error("the file is empty")]
    Empty,
    #[error("this is a web page named like a spreadsheet")]
    Html,
    #[error("this is an old .xls workbook")]
    OldWorkbook,
    #[error("this is not an .xlsx workbook")]
    NotAWorkbook,
    #[error("the workbook unpacks to more than {limit} MB")]
    TooBig { limit: u64 },
    #[error("the workbook is damaged: {0}")]
    Damaged(String),
    #[error("the workbook has no sheet with rows in it")]
    NoRows,
    #[error("no column is headed 电话, 手机 or phone")]
    NoPhoneColumn,
    #[error("two columns are headed for the {0}")]
    TwoColumns(&'static str),
    #[error("the sheet has more than {0} columns")]
    TooManyColumns(usize),
    #[error("the sheet has more than {0} rows")]
    TooManyRows(usize),
}

impl SheetError {
    pub fn fix(&self) -> &'static str {
        match self {
            SheetError::Html | SheetError::OldWorkbook | SheetError::NotAWorkbook => {
                "open it in a spreadsheet program and save it as Excel workbook (.xlsx)"
            }
            SheetError::TooBig { .. } | SheetError::TooManyRows(_) => "split it into several files",
            SheetError::Empty | SheetError::Damaged(_) => "save it again and upload the new file",
            _ => "start from the template file: GET /api/v1/leads/import-template",
        }
    }
}

/// A row that can become a lead.
#[derive(Clone, Debug, PartialEq)]
pub struct GoodRow {
    /// As the spreadsheet program numbers it, from 1.
    pub row: u32,
    pub number: E164,
    pub name: String,
    /// 批次, where the sheet has a column of it.
    pub batch: Option<String>,
    pub custom: Map<String, Value>,
}

/// A row that cannot, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    pub row: u32,
    pub column: String,
    pub code: &'static str,
    pub detail: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    pub good: Vec<GoodRow>,
    pub bad: Vec<BadRow>,
}

/// Reads the first sheet that has rows. `country` is the calling code of national numbers.
pub fn read(bytes: &[u8], country: &str, most_rows: usize) -> Result<Rows, SheetError> {
    recognise(bytes)?;
    measure(bytes)?;
    let damaged = |error: calamine::XlsxError| SheetError::Damaged(error.to_string());
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(damaged)?;
    for name in workbook.sheet_names() {
        // Chart sheets and the like have no cells to read.
        let Ok(mut cells) = workbook.worksheet_cells_reader(&name) else {
            continue;
        };
        let mut table = Table::new(country, most_rows);
        while let Some(cell) = cells.next_cell_with_formula_metadata().map_err(damaged)? {
            let (row, column) = cell.pos;
            table.cell(
                row,
                column,
                Content::of(&cell.value, cell.formula.is_some()),
            )?;
        }
        if let Some(rows) = table.finish()? {
            return Ok(rows);
        }
    }
    Err(SheetError::NoRows)
}

fn recognise(bytes: &[u8]) -> Result<(), SheetError> {
    if bytes.is_empty() {
        return Err(SheetError::Empty);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Ok(());
    }
    if bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
        return Err(SheetError::OldWorkbook);
    }
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_ascii_lowercase();
    let head = head.trim_start_matches(['\u{feff}', ' ', '\r', '\n', '\t']);
    if ["<html", "<!doctype", "<table", "<meta", "<?xml"]
        .iter()
        .any(|mark| head.starts_with(mark))
    {
        return Err(SheetError::Html);
    }
    Err(SheetError::NotAWorkbook)
}

/// Counts what the archive really unpacks to; the sizes it declares are the sender's word.
fn measure(bytes: &[u8]) -> Result<(), SheetError> {
    let damaged = |error: zip::result::ZipError| SheetError::Damaged(error.to_string());
    let too_big = |limit: u64| SheetError::TooBig {
        limit: limit / (1024 * 1024),
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    if archive.len() > ENTRIES {
        return Err(SheetError::Damaged(format!("{} entries", archive.len())));
    }
    let declared: u128 = (0..archive.len())
        .map(|n| {
            archive
                .by_index_raw(n)
                .map_or(0, |entry| u128::from(entry.size()))
        })
        .sum();
    if declared > u128::from(UNPACKED) {
        return Err(too_big(UNPACKED));
    }
    let mut left = UNPACKED;
    for n in 0..archive.len() {
        let entry = archive.by_index(n).map_err(damaged)?;
        let strings = entry
            .name()
            .map_err(damaged)?
            .to_ascii_lowercase()
            .ends_with("sharedstrings.xml");
        let limit = if strings { left.min(STRINGS) } else { left };
        let read = std::io::copy(&mut entry.take(limit + 1), &mut std::io::sink())
            .map_err(|error| SheetError::Damaged(error.to_string()))?;
        if read > limit {
            return Err(too_big(if strings { STRINGS } else { UNPACKED }));
        }
        left -= read;
    }
    Ok(())
}

/// What a cell holds, as far as leads care.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    Nothing,
    Text(String),
    /// A whole number, as phones and ids come when the column is not formatted as text.
    Whole(i64),
    Fraction(f64),
    Bool(bool),
    Date(String),
    /// A formula that was never calculated.
    Uncalculated,
    /// `#N/A` and its kind.
    Failed(String),
}

impl Content {
    fn of(value: &DataRef<'_>, formula: bool) -> Content {
        match value {
            DataRef::Empty if formula => Content::Uncalculated,
            DataRef::Empty => Content::Nothing,
            DataRef::String(text) => Content::text(text, formula),
            DataRef::SharedString(text) => Content::text(text, formula),
            DataRef::Int(n) => Content::Whole(*n),
            // Beyond 2^53 a float no longer names one whole number.
            DataRef::Float(f) if f.fract() == 0.0 && f.abs() < 9e15 => Content::Whole(*f as i64),
            DataRef::Float(f) => Content::Fraction(*f),
            DataRef::Bool(b) => Content::Bool(*b),
            DataRef::DateTime(at) => Content::Date(at.as_f64().to_string()),
            DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Content::Date(text.clone()),
            DataRef::Error(error) => Content::Failed(error.to_string()),
        }
    }
    fn text(text: &str, formula: bool) -> Content {
        match text.trim() {
            "" if formula => Content::Uncalculated,
            "" => Content::Nothing,
            text => Content::Text(text.to_owned()),
        }
    }
    /// As it would stand in a text column.
    fn words(&self) -> String {
        match self {
            Content::Nothing | Content::Uncalculated => String::new(),
            Content::Text(text) | Content::Date(text) | Content::Failed(text) => text.clone(),
            Content::Whole(n) => n.to_string(),
            Content::Fraction(f) => f.to_string(),
            Content::Bool(b) => b.to_string(),
        }
    }
    fn json(&self) -> Value {
        match self {
            Content::Whole(n) => Value::from(*n),
            Content::Fraction(f) => Value::from(*f),
            Content::Bool(b) => Value::from(*b),
            other => Value::from(other.words()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Phone,
    Name,
    Batch,
    Custom(String),
    Ignored,
}

fn column(heading: &str) -> Column {
    let plain: String = heading
        .to_lowercase()
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '*' | '＊' | '_' | '-' | ':' | '：'))
        .collect();
    match plain.as_str() {
        "" => Column::Ignored,
        "姓名name" => Column::Name,
        "电话phone" => Column::Phone,
        "电话" | "電話" | "手机" | "手機" | "手机号" | "手机号码" | "手機號碼" | "电话号码"
        | "電話號碼" | "联系电话" | "號碼" | "号码" | "phone" | "phonenumber" | "mobile"
        | "mobilenumber" | "tel" | "telephone" | "number" => Column::Phone,
        "姓名" | "名字" | "客户姓名" | "客户名称" | "客戶姓名" | "联系人" | "name" | "fullname"
        | "customer" | "customername" => Column::Name,
        "批次" | "批次号" | "导入批次" | "批次batch" | "batch" | "batchnumber" => {
            Column::Batch
        }
        _ => Column::Custom(heading.trim().chars().take(64).collect()),
    }
}

/// Collects cells into rows; the first row with anything in it is the heading.
struct Table<'a> {
    country: &'a str,
    most_rows: usize,
    headings: Option<Vec<Column>>,
    row: Option<u32>,
    cells: Vec<(usize, Content)>,
    rows: Rows,
}

impl<'a> Table<'a> {
    fn new(country: &'a str, most_rows: usize) -> Table<'a> {
        Table {
            country,
            most_rows,
            headings: None,
            row: None,
            cells: Vec::new(),
            rows: Rows::default(),
        }
    }

    fn cell(&mut self, row: u32, column: u32, content: Content) -> Result<(), SheetError> {
        if self.row != Some(row) {
            self.end_row()?;
            self.row = Some(row);
        }
        if content == Content::Nothing {
            return Ok(());
        }
        let column = column as usize;
        if column >= COLUMNS {
            return Err(SheetError::TooManyColumns(COLUMNS));
        }
        self.cells.push((column, content));
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), SheetError> {
        let cells = std::mem::take(&mut self.cells);
        let Some(row) = self.row else { return Ok(()) };
        if cells.is_empty() {
            return Ok(());
        }
        let Some(headings) = &self.headings else {
            self.headings = Some(headings(&cells)?);
            return Ok(());
        };
        if self.rows.good.len() + self.rows.bad.len() >= self.most_rows {
            return Err(SheetError::TooManyRows(self.most_rows));
        }
        match lead(row + 1, headings, &cells, self.country) {
            Ok(good) => self.rows.good.push(good),
            Err(bad) => self.rows.bad.push(bad),
        }
        Ok(())
    }

    /// `None` when the sheet is empty.
    fn finish(mut self) -> Result<Option<Rows>, SheetError> {
        self.end_row()?;
        Ok(self.headings.is_some().then_some(self.rows))
    }
}

fn headings(cells: &[(usize, Content)]) -> Result<Vec<Column>, SheetError> {
    let mut columns = Vec::new();
    for (n, content) in cells {
        columns.resize((*n + 1).max(columns.len()), Column::Ignored);
        columns[*n] = column(&content.words());
    }
    for (kind, what) in [
        (Column::Phone, "phone"),
        (Column::Name, "name"),
        (Column::Batch, "batch"),
    ] {
        if columns.iter().filter(|column| **column == kind).count() > 1 {
            return Err(SheetError::TwoColumns(what));
        }
    }
    if columns.contains(&Column::Phone) {
        Ok(columns)
    } else {
        Err(SheetError::NoPhoneColumn)
    }
}

fn lead(
    row: u32,
    headings: &[Column],
    cells: &[(usize, Content)],
    country: &str,
) -> Result<GoodRow, BadRow> {
    let bad = |column: &str, code, detail: String| BadRow {
        row,
        column: column.to_owned(),
        code,
        detail,
    };
    let (mut number, mut name, mut batch, mut custom) = (None, String::new(), None, Map::new());
    for (n, content) in cells {
        let (heading, title) = match headings.get(*n) {
            None | Some(Column::Ignored) => continue,
            Some(column @ Column::Phone) => (column, "phone"),
            Some(column @ Column::Name) => (column, "name"),
            Some(column @ Column::Batch) => (column, "batch"),
            Some(column @ Column::Custom(title)) => (column, title.as_str()),
        };
        match content {
            Content::Uncalculated => {
                return Err(bad(
                    title,
                    "formula_without_value",
                    "the formula was never calculated".into(),
                ));
            }
            Content::Failed(text) => return Err(bad(title, "formula_error", text.clone())),
            Content::Text(text) if text.chars().count() > CELL_CHARS => {
                return Err(bad(
                    title,
                    "too_long",
                    format!("more than {CELL_CHARS} characters"),
                ));
            }
            _ => {}
        }
        match heading {
            Column::Phone => match content {
                Content::Text(_) | Content::Whole(_) => {
                    let parsed = E164::parse(&content.words(), country)
                        .map_err(|error| bad(title, number_code(&error), error.to_string()))?;
                    number = Some(parsed);
                }
                _ => {
                    return Err(bad(
                        title,
                        "not_a_number",
                        format!("`{}` is no number", content.words()),
                    ));
                }
            },
            Column::Name => name = content.words().chars().take(100).collect(),
            Column::Batch => batch = Some(content.words().chars().take(64).collect()),
            Column::Custom(title) => {
                custom.insert(title.clone(), content.json());
            }
            Column::Ignored => {}
        }
    }
    let number = number.ok_or_else(|| bad("phone", "required", "the row has no number".into()))?;
    Ok(GoodRow {
        row,
        number,
        name,
        batch,
        custom,
    })
}

/// The file people start from.
pub fn template() -> Result<Vec<u8>, rust_xlsxwriter::XlsxError> {
    use rust_xlsxwriter::{Format, Workbook};
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.set_name("leads")?;
    let bold = Format::new().set_bold();
    for (n, heading) in ["姓名 name", "电话 phone", "批次 batch", "备注"]
        .iter()
        .enumerate()
    {
        sheet.write_with_format(0, n as u16, *heading, &bold)?;
    }
    // As text: a number column would show long numbers as 1.38E+10 and eat leading zeros.
    sheet.set_column_format(1, &Format::new().set_num_format("@"))?;
    sheet.set_column_width(0, 16)?;
    sheet.set_column_width(1, 20)?;
    workbook.save_to_buffer()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_xlsxwriter::Workbook;
    use std::io::Write;

    fn sheet(fill: impl FnOnce(&mut rust_xlsxwriter::Worksheet)) -> Vec<u8> {
        let mut workbook = Workbook::new();
        fill(workbook.add_worksheet());
        workbook.save_to_buffer().unwrap()
    }

    #[test]
    fn numbers_come_as_text_or_as_floats_and_other_columns_are_kept() {
        let bytes = sheet(|s| {
            for (n, heading) in ["姓名", "手机", "金额", "城市"].iter().enumerate() {
                s.write(0, n as u16, *heading).unwrap();
            }
            s.write(1, 0, "王一").unwrap();
            s.write(1, 1, 13800138000.0).unwrap();
            s.write(1, 2, 1500.5).unwrap();
            s.write(1, 3, "上海").unwrap();
            s.write(3, 0, "李二").unwrap();
            s.write(3, 1, " 138-0013-8001 ").unwrap();
        });
        let rows = read(&bytes, "86", 10).unwrap();
        assert!(rows.bad.is_empty());
        assert_eq!(rows.good[0].number.as_str(), "+8613800138000");
        assert_eq!(rows.good[0].custom["金额"], 1500.5);
        assert_eq!(rows.good[0].custom["城市"], "上海");
        assert_eq!(
            (rows.good[1].row, rows.good[1].number.as_str()),
            (4, "+8613800138001")
        );
    }

    #[test]
    fn a_row_that_cannot_be_a_lead_says_why() {
        let bytes = sheet(|s| {
            s.write(0, 0, "Name").unwrap();
            s.write(0, 1, "Phone number").unwrap();
            s.write(1, 0, "no phone").unwrap();
            s.write(2, 1, "12ab").unwrap();
            s.write(3, 1, 110).unwrap();
            s.write(4, 1, 1.5).unwrap();
            s.write(5, 1, true).unwrap();
        });
        let rows = read(&bytes, "86", 10).unwrap();
        let codes: Vec<_> = rows.bad.iter().map(|bad| (bad.row, bad.code)).collect();
        assert_eq!(
            codes,
            [
                (2, "required"),
                (3, "not_a_number"),
                (4, "short_number"),
                (5, "not_a_number"),
                (6, "not_a_number"),
            ]
        );
        assert!(rows.good.is_empty());
    }

    #[test]
    fn what_is_no_workbook_is_named_for_what_it_is() {
        assert_eq!(read(b"", "86", 9), Err(SheetError::Empty));
        assert_eq!(read(b"\r\n<html><table>", "86", 9), Err(SheetError::Html));
        assert_eq!(
            read(b"\xd0\xcf\x11\xe0rest", "86", 9),
            Err(SheetError::OldWorkbook)
        );
        assert_eq!(
            read(b"name,phone\n", "86", 9),
            Err(SheetError::NotAWorkbook)
        );
        assert!(matches!(
            read(b"PK\x03\x04rest", "86", 9),
            Err(SheetError::Damaged(_))
        ));
        let nothing = sheet(|_| {});
        assert_eq!(read(&nothing, "86", 9), Err(SheetError::NoRows));
        let unnamed = sheet(|s| {
            s.write(0, 0, "who").unwrap();
        });
        assert_eq!(read(&unnamed, "86", 9), Err(SheetError::NoPhoneColumn));
    }

    #[test]
    fn a_bomb_is_measured_before_it_is_opened() {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        let zeros = vec![b' '; 1024 * 1024];
        archive.start_file("xl/sharedStrings.xml", options).unwrap();
        for _ in 0..(STRINGS / zeros.len() as u64 + 1) {
            archive.write_all(&zeros).unwrap();
        }
        let bytes = archive.finish().unwrap().into_inner();
        assert!(bytes.len() < 1024 * 1024, "{}", bytes.len());
        assert!(matches!(
            read(&bytes, "86", 9),
            Err(SheetError::TooBig { .. })
        ));
    }

    #[test]
    fn more_rows_than_allowed_are_refused_whole() {
        let bytes = sheet(|s| {
            s.write(0, 0, "phone").unwrap();
            for row in 1..=5 {
                s.write(row, 0, 13800138000.0 + f64::from(row)).unwrap();
            }
        });
        assert_eq!(read(&bytes, "86", 5).unwrap().good.len(), 5);
        assert_eq!(read(&bytes, "86", 4), Err(SheetError::TooManyRows(4)));
    }

    #[test]
    fn the_template_file_can_be_imported() {
        let rows = read(&template().unwrap(), "86", 9).unwrap();
        assert!(rows.good.is_empty() && rows.bad.is_empty());
    }
}
