//! Excel 5 to 2003: BIFF in an OLE compound file, read whole by calamine.

use super::content::Content;
use super::spool::Spool;
use super::table::Table;
use super::{Asked, Found, SheetError};
use calamine::{Reader, SheetVisible, Xls, XlsError};
use std::io::{Cursor, Write};

fn damaged(error: XlsError) -> SheetError {
    match error {
        XlsError::Password => SheetError::Password,
        error => SheetError::Damaged(error.to_string()),
    }
}

/// An encrypted .xlsx is a compound file too; this is the name of its one stream, as the directory writes it.
const ENCRYPTED: &str = "EncryptedPackage";

pub fn read(
    bytes: &[u8],
    asked: &Asked,
    spool: &mut Spool<impl Write>,
) -> Result<Found, SheetError> {
    let name: Vec<u8> = ENCRYPTED
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    if bytes.windows(name.len()).any(|window| window == name) {
        return Err(SheetError::Password);
    }
    let mut workbook: Xls<_> = Xls::new(Cursor::new(bytes)).map_err(damaged)?;
    let sheets = super::table::sheets(
        workbook
            .sheets_metadata()
            .iter()
            .map(|sheet| (sheet.name.clone(), sheet.visible == SheetVisible::Visible)),
        asked,
    )?;
    super::table::first_with_leads(sheets, |name| {
        let range = workbook.worksheet_range(name).map_err(damaged)?;
        let (top, left) = range.start().unwrap_or_default();
        let mut table = Table::new(asked, spool);
        for (row, column, value) in range.used_cells() {
            table.cell(
                top + row as u32,
                left + column as u32,
                Content::of_data(value),
            )?;
        }
        table.finish()
    })
}
