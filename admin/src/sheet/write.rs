//! Rows as csv or xlsx, in flat memory: rows come in parts, bytes leave as they are made (xlsx: when the last row is in;
//! until then it waits in a temporary file).

use chrono::NaiveDateTime;
use rust_xlsxwriter::{Format as CellFormat, Workbook, Worksheet, XlsxError};
use std::io::{self, Write};
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    Xlsx,
}

impl Format {
    pub fn ending(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Xlsx => "xlsx",
        }
    }
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv; charset=utf-8",
            Format::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Empty,
    /// Never a formula, whatever it begins with.
    Text(String),
    Number(f64),
    /// On the reader's clock.
    Moment(NaiveDateTime),
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Cell {
        Cell::Text(text.into())
    }
}

/// Rows of one sheet of a workbook; the next begin another.
const SHEET_ROWS: u32 = 1_000_000;
/// Of one cell, as Excel has it.
const CELL_CHARS: usize = 32_767;

/// Writes a heading and rows until there are no more. `scratch` is a folder for the temporary file.
pub fn write(
    format: Format,
    heading: &[String],
    rows: impl Iterator<Item = Result<Vec<Vec<Cell>>, io::Error>>,
    scratch: &Path,
    to: impl Write + Send,
) -> io::Result<()> {
    match format {
        Format::Csv => csv(heading, rows, to),
        Format::Xlsx => xlsx(heading, rows, scratch, to).map_err(|error| match error {
            Failed::Rows(error) => error,
            Failed::Sheet(XlsxError::IoError(error)) => error,
            Failed::Sheet(error) => io::Error::other(error),
        }),
    }
}

fn csv(
    heading: &[String],
    rows: impl Iterator<Item = Result<Vec<Vec<Cell>>, io::Error>>,
    mut to: impl Write,
) -> io::Result<()> {
    // Without its mark, Excel takes UTF-8 for the local encoding.
    to.write_all(b"\xef\xbb\xbf")?;
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(to);
    writer.write_record(heading.iter().map(|text| inert(text)))?;
    for part in rows {
        for row in part? {
            writer.write_record(row.iter().map(plain))?;
        }
        writer.flush()?;
    }
    writer.flush()
}

fn plain(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => inert(text),
        Cell::Number(n) => n.to_string(),
        Cell::Moment(at) => at.format("%Y-%m-%d %H:%M:%S").to_string(),
    }
}

/// A text that spreadsheet programs would calculate is kept from it by an apostrophe; an import takes that off again.
pub fn inert(text: &str) -> String {
    let formula = text
        .chars()
        .next()
        .is_some_and(|first| "=+-@\t\r\n＝＋－＠".contains(first));
    if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

enum Failed {
    Rows(io::Error),
    Sheet(XlsxError),
}

impl From<XlsxError> for Failed {
    fn from(error: XlsxError) -> Failed {
        Failed::Sheet(error)
    }
}

fn xlsx(
    heading: &[String],
    rows: impl Iterator<Item = Result<Vec<Vec<Cell>>, io::Error>>,
    scratch: &Path,
    to: impl Write + Send,
) -> Result<(), Failed> {
    let bold = CellFormat::new().set_bold();
    let moment = CellFormat::new().set_num_format("yyyy-mm-dd hh:mm:ss");
    let mut workbook = Workbook::new();
    workbook.set_tempdir(scratch)?;
    let begin = |workbook: &mut Workbook| -> Result<Worksheet, XlsxError> {
        let mut sheet = workbook.new_worksheet_with_constant_memory()?;
        sheet.set_freeze_panes(1, 0)?;
        for (n, title) in heading.iter().enumerate() {
            sheet.set_column_width(n as u16, 18)?;
            sheet.write_string_with_format(0, n as u16, cut(title), &bold)?;
        }
        Ok(sheet)
    };
    let (mut sheet, mut at) = (begin(&mut workbook)?, 1);
    for part in rows {
        for row in part.map_err(Failed::Rows)? {
            if at > SHEET_ROWS {
                let next = begin(&mut workbook)?;
                workbook.push_worksheet(std::mem::replace(&mut sheet, next));
                at = 1;
            }
            for (n, cell) in row.iter().enumerate() {
                let n = n as u16;
                match cell {
                    Cell::Empty => continue,
                    Cell::Text(text) => sheet.write_string(at, n, cut(text))?,
                    Cell::Number(f) => sheet.write_number(at, n, *f)?,
                    Cell::Moment(when) => {
                        sheet.write_number_with_format(at, n, serial(*when), &moment)?
                    }
                };
            }
            at += 1;
        }
    }
    workbook.push_worksheet(sheet);
    Ok(workbook.save_to_writer(to)?)
}

fn cut(text: &str) -> String {
    text.chars().take(CELL_CHARS).collect()
}

/// Days since 1899-12-30, as spreadsheet programs count.
fn serial(at: NaiveDateTime) -> f64 {
    at.and_utc().timestamp_millis() as f64 / 86_400_000.0 + 25_569.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::{Data, Reader, Xlsx};
    use std::io::Cursor;

    fn at() -> NaiveDateTime {
        chrono::NaiveDate::from_ymd_opt(2026, 11, 21)
            .unwrap()
            .and_hms_opt(10, 50, 0)
            .unwrap()
    }

    fn rows() -> Vec<Result<Vec<Vec<Cell>>, io::Error>> {
        vec![
            Ok(vec![vec![
                Cell::text("=1+1"),
                Cell::text("+8613800138000"),
                Cell::Number(-150.0),
                Cell::Moment(at()),
            ]]),
            Ok(vec![vec![
                Cell::text("a\"b,c\nd"),
                Cell::Empty,
                Cell::text("@SUM(A1)"),
                Cell::text("王一"),
            ]]),
        ]
    }

    fn written(format: Format) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let heading = ["-name", "phone", "n", "at"].map(str::to_owned);
        let mut bytes = Vec::new();
        write(
            format,
            &heading,
            rows().into_iter(),
            folder.path(),
            &mut bytes,
        )
        .unwrap();
        bytes
    }

    #[test]
    fn csv_has_its_mark_and_no_formula_in_it() {
        let text = String::from_utf8(written(Format::Csv)).unwrap();
        assert_eq!(
            text,
            "\u{feff}'-name,phone,n,at\r\n'=1+1,'+8613800138000,-150,2026-11-21 10:50:00\r\n\
             \"a\"\"b,c\nd\",,'@SUM(A1),王一\r\n"
        );
    }

    #[test]
    fn a_workbook_holds_texts_numbers_and_moments() {
        let mut book: Xlsx<_> = Xlsx::new(Cursor::new(written(Format::Xlsx))).unwrap();
        let names = book.sheet_names();
        assert!(
            book.worksheet_formula(&names[0])
                .unwrap()
                .used_cells()
                .next()
                .is_none()
        );
        let range = book.worksheet_range(&names[0]).unwrap();
        assert_eq!(range[(1, 0)], Data::String("=1+1".into()));
        assert_eq!(range[(1, 1)], Data::String("+8613800138000".into()));
        assert_eq!(range[(1, 2)], Data::Float(-150.0));
        let Data::DateTime(when) = &range[(1, 3)] else {
            panic!("{:?}", range[(1, 3)])
        };
        assert_eq!(when.to_ymd_hms_milli(), (2026, 11, 21, 10, 50, 0, 0));
        assert_eq!(range[(2, 3)], Data::String("王一".into()));
    }

    #[test]
    fn rows_that_fail_to_come_end_it_with_their_error() {
        let rows = || vec![Err(io::Error::other("gone"))].into_iter();
        let folder = tempfile::tempdir().unwrap();
        for format in [Format::Csv, Format::Xlsx] {
            let mut bytes = Vec::new();
            let told = write(format, &["a".into()], rows(), folder.path(), &mut bytes);
            assert_eq!(told.unwrap_err().to_string(), "gone");
        }
    }
}
