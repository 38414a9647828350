//! Why a file cannot be imported at all, and what to do about it.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum SheetError {
    #[error("the file is empty")]
    Empty,
    #[error("this is a web page named like a spreadsheet")]
    Html,
    #[error("this is XML, not a workbook")]
    Xml,
    #[error("this is a workbook of a kind older than Excel 5")]
    OldWorkbook,
    #[error("this is a binary workbook (.xlsb)")]
    BinaryWorkbook,
    #[error("the workbook is protected by a password")]
    Password,
    #[error("this is neither a workbook nor a text file with columns")]
    NotASheet,
    #[error("the workbook unpacks to more than {limit} MB")]
    TooBig { limit: u64 },
    #[error("the workbook is damaged: {0}")]
    Damaged(String),
    #[error("reading it takes more memory than is allowed")]
    TooMuchMemory,
    #[error("reading it takes longer than is allowed")]
    TooSlow,
    #[error("the text is not {0}")]
    Encoding(String),
    #[error("a quoted field that begins near line {0} does not end")]
    OpenQuote(u64),
    #[error("the field in line {0} is longer than 64 kB")]
    FieldTooLong(u64),
    #[error("the workbook has no sheet `{0}`")]
    NoSuchSheet(String),
    #[error("there are no rows in it")]
    NoRows,
    /// With the headings there are, as far as they were read.
    #[error("no column is headed 电话, 手机 or phone{}", listed(.0))]
    NoPhoneColumn(Vec<String>),
    #[error("more than one column is headed for the {what}: {columns}")]
    TwoColumns { what: String, columns: String },
    #[error("the mapping names `{0}`, and no column is called that")]
    NoSuchColumn(String),
    #[error("the sheet has more than {0} columns")]
    TooManyColumns(usize),
    #[error("the sheet has more than {0} rows")]
    TooManyRows(u64),
}

fn listed(headings: &[String]) -> String {
    if headings.is_empty() {
        return String::new();
    }
    format!("; there are: {}", headings.join(", "))
}

impl SheetError {
    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            SheetError::Empty => "empty",
            SheetError::Html => "html",
            SheetError::Xml => "xml",
            SheetError::OldWorkbook => "old_workbook",
            SheetError::BinaryWorkbook => "binary_workbook",
            SheetError::Password => "password",
            SheetError::NotASheet => "not_a_sheet",
            SheetError::TooBig { .. } => "too_big",
            SheetError::Damaged(_) => "damaged",
            SheetError::TooMuchMemory => "too_much_memory",
            SheetError::TooSlow => "too_slow",
            SheetError::Encoding(_) => "encoding",
            SheetError::OpenQuote(_) => "open_quote",
            SheetError::FieldTooLong(_) => "field_too_long",
            SheetError::NoSuchSheet(_) => "no_such_sheet",
            SheetError::NoRows => "no_rows",
            SheetError::NoPhoneColumn(_) => "no_phone_column",
            SheetError::TwoColumns { .. } => "two_columns",
            SheetError::NoSuchColumn(_) => "no_such_column",
            SheetError::TooManyColumns(_) => "too_many_columns",
            SheetError::TooManyRows(_) => "too_many_rows",
        }
    }

    /// What to do.
    pub fn fix(&self) -> &'static str {
        match self {
            SheetError::Html
            | SheetError::Xml
            | SheetError::OldWorkbook
            | SheetError::BinaryWorkbook
            | SheetError::NotASheet => {
                "open it in a spreadsheet program and save it as Excel workbook (.xlsx)"
            }
            SheetError::Password => "save it without a password and upload that",
            SheetError::TooBig { .. }
            | SheetError::TooManyRows(_)
            | SheetError::TooSlow
            | SheetError::TooMuchMemory => {
                "copy the columns that matter into a new file, or split it into several"
            }
            SheetError::TooManyColumns(_) => {
                "copy the columns that matter into a new file and upload that"
            }
            SheetError::Empty | SheetError::Damaged(_) => "save it again and upload the new file",
            SheetError::Encoding(_) => {
                "save it as CSV UTF-8, or name the encoding in the field `encoding` (gb18030, big5, utf-16le …)"
            }
            SheetError::OpenQuote(_) => {
                "close the quotation mark in that line, or save it as .xlsx"
            }
            SheetError::FieldTooLong(_) => "shorten it: a cell holds at most 1000 characters",
            SheetError::NoSuchSheet(_) => "name one of its sheets, or leave `sheet` out",
            SheetError::NoSuchColumn(_) => "name columns by their heading or their letter (A, B …)",
            SheetError::NoPhoneColumn(_) | SheetError::TwoColumns { .. } => {
                "say which column holds what: mapping={\"B\":\"phone\"}, or start from the template file: \
                 GET /api/v1/leads/import-template.xlsx"
            }
            SheetError::NoRows => {
                "start from the template file: GET /api/v1/leads/import-template.xlsx"
            }
        }
    }
}
