//! Spreadsheets of strangers, in and out.
//!
//! In: a file is told by its content (`kind`), read cell by cell (`xlsx`, `xls`, `text`), its heading found and its columns
//! named (`heading`), its rows made into leads or into reasons (`table`) and written to a file (`spool`), all of it in a
//! process of its own with little memory and time (`reader`): the libraries below reserve what a file *says* it holds, and
//! an allocation that fails ends the process it fails in.
//!
//! Out: rows become csv or xlsx in flat memory (`write`), and the file people start from (`template`).

mod archive;
mod content;
mod encoding;
mod error;
mod heading;
mod kind;
mod reader;
mod spool;
#[cfg(test)]
mod stories;
mod table;
mod template;
mod text;
mod write;
mod xls;
mod xlsx;

pub use error::SheetError;
pub use heading::{ColumnUse, REJECT_HEADINGS, mapping};
pub use kind::recognise;
#[cfg(fuzzing)]
pub use reader::read_ours;
pub use reader::{ReadError, read, read_sheet};
pub use spool::{Lines, UPLOAD};
pub use template::template;
pub use write::{Cell, Format, write};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a sheet is to be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Calling code of national numbers.
    pub country: String,
    /// Heading or letter of a column → what it holds.
    pub mapping: BTreeMap<String, String>,
    /// Name of the sheet; the first visible one with leads in it when absent.
    pub sheet: Option<String>,
    /// As the spreadsheet program numbers it; 0 when there is none; found when absent.
    pub header_row: Option<u32>,
    /// Of text files, where it cannot be told: `big5`, `gb18030` …
    pub encoding: Option<String>,
    /// Of rows that name none; where it is absent, leads that are there keep theirs.
    pub batch: Option<String>,
    pub most_rows: u64,
    /// Keep every row's cells, not only those of rows that cannot become leads.
    pub keep_cells: bool,
}

/// What was found in a file that could be read to its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Rows below the heading, without empty ones.
    pub rows: u64,
    pub sheet: Option<String>,
    pub columns: Vec<ColumnUse>,
}

/// The letters a spreadsheet program gives a column, counted from 0.
pub fn letter(column: usize) -> String {
    let mut letters = Vec::new();
    let mut n = column + 1;
    while n > 0 {
        letters.push(b'A' + ((n - 1) % 26) as u8);
        n = (n - 1) / 26;
    }
    letters.reverse();
    String::from_utf8(letters).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::letter;

    #[test]
    fn columns_are_lettered_as_spreadsheet_programs_do() {
        let cases = [
            (0, "A"),
            (25, "Z"),
            (26, "AA"),
            (51, "AZ"),
            (701, "ZZ"),
            (702, "AAA"),
            (16_383, "XFD"),
        ];
        for (n, letters) in cases {
            assert_eq!(letter(n), letters);
        }
    }
}
