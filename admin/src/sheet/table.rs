//! Cells in the order of their rows become leads, or reasons why not.

use super::content::Content;
use super::heading::{Column, Headings, PhoneBy};
use super::spool::Spool;
use super::{Asked, Found, SheetError};
use crate::wire::number_code;
use model::E164;
use serde_json::Map;
use std::collections::BTreeSet;
use std::io::Write;
use store::imports::{Fault, SheetLead, SheetRow};
use store::leads::NewLead;

pub const COLUMNS: usize = 100;
/// The heading stands among the first rows with anything in them.
const HEAD_ROWS: usize = 30;
const CELL_CHARS: usize = 1_000;
/// Of each cell of a rejected row, as it is shown.
const SHOWN_CHARS: usize = 200;
/// Of each heading, and how many of them, where none is the phone's.
const LISTED_CHARS: usize = 30;
const LISTED: usize = 30;
const NAME_CHARS: usize = 100;
const BATCH_CHARS: usize = 64;
/// Sheets of one workbook that are looked at.
const SHEETS: usize = 50;

type Cells = Vec<(usize, Content)>;

/// The names of the sheets to look at, in order.
pub fn sheets(
    all: impl Iterator<Item = (String, bool)>,
    asked: &Asked,
) -> Result<Vec<String>, SheetError> {
    let all: Vec<(String, bool)> = all.take(SHEETS).collect();
    if let Some(wanted) = &asked.sheet {
        let same = |name: &str| name.trim().to_lowercase() == wanted.trim().to_lowercase();
        let found = all.into_iter().find(|(name, _)| same(name));
        return found
            .map(|(name, _)| vec![name])
            .ok_or_else(|| SheetError::NoSuchSheet(wanted.clone()));
    }
    let hidden = all.iter().all(|(_, visible)| !visible);
    Ok(all
        .into_iter()
        .filter(|(_, visible)| *visible || hidden)
        .map(|(name, _)| name)
        .collect())
}

/// A sheet of explanations may stand before the one with the leads.
pub fn first_with_leads(
    names: Vec<String>,
    mut read: impl FnMut(&str) -> Result<Found, SheetError>,
) -> Result<Found, SheetError> {
    let mut why = SheetError::NoRows;
    for name in names {
        match read(&name) {
            Ok(found) => {
                return Ok(Found {
                    sheet: Some(name),
                    ..found
                });
            }
            Err(SheetError::NoRows) => {}
            Err(error @ SheetError::NoPhoneColumn(_)) => {
                if why == SheetError::NoRows {
                    why = error;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(why)
}

enum Part {
    /// Looking for the heading; the rows seen so far.
    Head(Vec<(u32, Cells)>),
    Body(Headings),
}

pub struct Table<'a, W> {
    asked: &'a Asked,
    spool: &'a mut Spool<W>,
    part: Part,
    row: Option<u32>,
    cells: Cells,
    rows: u64,
    /// Columns with anything below the heading.
    filled: BTreeSet<usize>,
}

impl<'a, W: Write> Table<'a, W> {
    pub fn new(asked: &'a Asked, spool: &'a mut Spool<W>) -> Table<'a, W> {
        Table {
            asked,
            spool,
            part: Part::Head(Vec::new()),
            row: None,
            cells: Vec::new(),
            rows: 0,
            filled: BTreeSet::new(),
        }
    }

    /// Row and column counted from 0. A new row ends the one before.
    pub fn cell(&mut self, row: u32, column: u32, content: Content) -> Result<(), SheetError> {
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

    pub fn end_row(&mut self) -> Result<(), SheetError> {
        let mut cells = std::mem::take(&mut self.cells);
        let Some(row) = self.row.take() else {
            return Ok(());
        };
        if cells.is_empty() {
            return Ok(());
        }
        cells.sort_by_key(|(column, _)| *column);
        // As spreadsheet programs number rows.
        let row = row.saturating_add(1);
        match &mut self.part {
            Part::Body(_) => self.body(row, cells),
            Part::Head(held) => {
                held.push((row, cells));
                self.seek()
            }
        }
    }

    /// Whether the newest row tells where the heading is.
    fn seek(&mut self) -> Result<(), SheetError> {
        let Part::Head(held) = &mut self.part else {
            return Ok(());
        };
        let Some((row, cells)) = held.last() else {
            return Ok(());
        };
        let row = *row;
        // How many of the rows held are not data, and the heading among them.
        let (skip, headings) = match self.asked.header_row {
            Some(0) => (0, Headings::of(&[], self.asked)?),
            Some(at) if row < at => {
                held.clear();
                return Ok(());
            }
            Some(_) => (1, Headings::of(&words(cells), self.asked)?),
            None => {
                let headings = Headings::of(&words(cells), self.asked)?;
                match headings.phone {
                    PhoneBy::Heading => (held.len(), headings),
                    PhoneBy::Letter(phone) if is_number(cells, phone, self.asked) => {
                        // The row above the first number is the heading, where there is one.
                        let above = held.len().checked_sub(2).and_then(|n| held.get(n));
                        let titles = above.map(|(_, cells)| words(cells)).unwrap_or_default();
                        (held.len() - 1, Headings::of(&titles, self.asked)?)
                    }
                    _ if held.len() >= HEAD_ROWS => return Err(no_phone(held)),
                    _ => return Ok(()),
                }
            }
        };
        if headings.phone == PhoneBy::Nothing {
            return Err(match self.asked.header_row {
                Some(0) => SheetError::NoPhoneColumn(Vec::new()),
                _ => no_phone(held),
            });
        }
        let rest = held.split_off(skip);
        self.part = Part::Body(headings.settled()?);
        for (row, cells) in rest {
            self.body(row, cells)?;
        }
        Ok(())
    }

    fn body(&mut self, row: u32, cells: Cells) -> Result<(), SheetError> {
        let Part::Body(headings) = &self.part else {
            return Ok(());
        };
        if self.rows >= self.asked.most_rows {
            return Err(SheetError::TooManyRows(self.asked.most_rows));
        }
        self.rows += 1;
        self.filled.extend(cells.iter().map(|(column, _)| *column));
        let lead = lead(headings, &cells, self.asked);
        let cells = if lead.is_err() || self.asked.keep_cells {
            shown(&cells)
        } else {
            Vec::new()
        };
        self.spool.push(&SheetRow { row, cells, lead })
    }

    pub fn finish(mut self) -> Result<Found, SheetError> {
        self.end_row()?;
        match &self.part {
            Part::Body(headings) => {
                headings.reached(self.filled.last().copied())?;
                Ok(Found {
                    rows: self.rows,
                    sheet: None,
                    columns: headings.uses(&self.filled),
                })
            }
            Part::Head(held) if held.is_empty() => Err(SheetError::NoRows),
            Part::Head(held) => Err(no_phone(held)),
        }
    }
}

/// Lists what is most likely the heading: the first of the rows with the most cells.
fn no_phone(held: &[(u32, Cells)]) -> SheetError {
    let widest = held.iter().rev().max_by_key(|(_, cells)| cells.len());
    let cut =
        |(_, content): &(usize, Content)| content.words().chars().take(LISTED_CHARS).collect();
    let headings = widest.map(|(_, cells)| cells.iter().take(LISTED).map(cut).collect());
    SheetError::NoPhoneColumn(headings.unwrap_or_default())
}

fn words(cells: &Cells) -> Vec<(usize, String)> {
    let cut = |content: &Content| content.words().chars().take(SHOWN_CHARS).collect();
    cells
        .iter()
        .map(|(column, content)| (*column, cut(content)))
        .collect()
}

fn shown(cells: &Cells) -> Vec<String> {
    let mut shown = vec![String::new(); cells.last().map_or(0, |(column, _)| column + 1)];
    for (column, text) in words(cells) {
        shown[column] = text;
    }
    shown
}

fn is_number(cells: &Cells, column: usize, asked: &Asked) -> bool {
    let cell = cells.iter().find(|(at, _)| *at == column);
    cell.is_some_and(|(_, content)| E164::parse(&content.words(), &asked.country).is_ok())
}

fn lead(headings: &Headings, cells: &Cells, asked: &Asked) -> Result<SheetLead, Fault> {
    let fault = |column: usize, code: &str, detail: String| Fault {
        column: headings.title(column),
        code: code.to_owned(),
        detail,
    };
    let (mut number, mut name, mut batch, mut custom) = (None, String::new(), None, Map::new());
    for (n, content) in cells {
        let column = headings.column(*n);
        let most = match column {
            Column::Ignored => continue,
            Column::Name => NAME_CHARS,
            Column::Batch => BATCH_CHARS,
            _ => CELL_CHARS,
        };
        match content {
            Content::Uncalculated => {
                let detail =
                    "the formula was never calculated: open the file, save it and upload it again";
                return Err(fault(*n, "formula_without_value", detail.to_owned()));
            }
            Content::Failed(text) => return Err(fault(*n, "formula_error", text.clone())),
            Content::Text(text) if text.chars().count() > most => {
                let detail = format!("more than {most} characters");
                return Err(fault(*n, "too_long", detail));
            }
            _ => {}
        }
        match column {
            Column::Phone => {
                let found = phone(content, &asked.country);
                number = Some(found.map_err(|(code, why)| fault(*n, code, why))?);
            }
            Column::Name => name = line(&content.words()),
            Column::Batch => batch = Some(line(&content.words())),
            Column::Custom(title) => {
                custom.insert(title.clone(), content.json());
            }
            Column::Unheaded => {
                custom.insert(headings.lettered(*n), content.json());
            }
            Column::Ignored => {}
        }
    }
    let Some(number) = number else {
        let phone = headings.columns.iter().position(|c| *c == Column::Phone);
        let why = "the row has no number".to_owned();
        return Err(fault(phone.unwrap_or_default(), "required", why));
    };
    Ok(SheetLead {
        batch: batch
            .filter(|batch| !batch.is_empty())
            .or_else(|| asked.batch.clone()),
        lead: NewLead {
            number,
            name,
            custom,
        },
    })
}

fn phone(content: &Content, country: &str) -> Result<E164, (&'static str, String)> {
    let text = content.words();
    match content {
        Content::Text(_) | Content::Whole(_) if shortened(&text) => Err((
            "shortened_number",
            format!("`{text}` was shortened by a spreadsheet program: format the column as text"),
        )),
        Content::Text(_) | Content::Whole(_) => {
            E164::parse(&text, country).map_err(|error| (number_code(&error), error.to_string()))
        }
        _ => Err(("not_a_number", format!("`{text}` is no number"))),
    }
}

/// `1.38001E+10`
fn shortened(text: &str) -> bool {
    let Some((digits, power)) = text.split_once(['e', 'E']) else {
        return false;
    };
    digits.parse::<f64>().is_ok() && power.trim_start_matches('+').parse::<u8>().is_ok()
}

/// One line of text.
fn line(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.collect::<String>().trim().to_owned()
}
