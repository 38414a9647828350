//! The file people start from.

use super::write::{Format, inert};
use rust_xlsxwriter::{Format as CellFormat, Workbook, XlsxError};

/// A heading row: ours, and the custom columns in use.
pub fn template(format: Format, custom: Vec<String>) -> Result<Vec<u8>, XlsxError> {
    let mut headings: Vec<String> = ["姓名 name", "电话 phone", "批次 batch"]
        .map(str::to_owned)
        .to_vec();
    if custom.is_empty() {
        headings.push("备注".to_owned());
    }
    headings.extend(custom);
    if format == Format::Csv {
        let mut bytes = b"\xef\xbb\xbf".to_vec();
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(&mut bytes);
        writer
            .write_record(headings.iter().map(|text| inert(text)))
            .map_err(|error| XlsxError::IoError(error.into()))?;
        drop(writer);
        return Ok(bytes);
    }
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.set_name("leads")?;
    let bold = CellFormat::new().set_bold();
    for (n, heading) in headings.iter().enumerate() {
        sheet.set_column_width(n as u16, 18)?;
        sheet.write_string_with_format(0, n as u16, heading, &bold)?;
    }
    // As text: a number column would show long numbers as 1.38E+10 and eat leading zeros.
    sheet.set_column_format(1, &CellFormat::new().set_num_format("@"))?;
    workbook.save_to_buffer()
}
