//! Office Open XML. Cells come one after another; quick-xml, below calamine, knows no entities but XML's own.

use super::archive::Archive;
use super::content::Content;
use super::spool::Spool;
use super::table::Table;
use super::{Asked, Found, SheetError};
use calamine::{Reader, SheetVisible, Xlsx, XlsxError};
use std::io::{Cursor, Write};

fn damaged(error: XlsxError) -> SheetError {
    SheetError::Damaged(error.to_string())
}

pub fn read(
    bytes: &[u8],
    asked: &Asked,
    spool: &mut Spool<impl Write>,
) -> Result<Found, SheetError> {
    Archive::open(Cursor::new(bytes))?.measure()?;
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(damaged)?;
    let sheets = super::table::sheets(
        workbook
            .sheets_metadata()
            .iter()
            .map(|sheet| (sheet.name.clone(), sheet.visible == SheetVisible::Visible)),
        asked,
    )?;
    super::table::first_with_leads(sheets, |name| {
        // Chart sheets and the like have no cells to read.
        let Ok(mut cells) = workbook.worksheet_cells_reader(name) else {
            return Err(SheetError::NoRows);
        };
        let mut table = Table::new(asked, spool);
        while let Some(cell) = cells.next_cell_with_formula_metadata().map_err(damaged)? {
            let (row, column) = cell.pos;
            let content = Content::of(&cell.value, cell.formula.is_some());
            table.cell(row, column, content)?;
        }
        table.finish()
    })
}
