//! Columns of text: csv with commas, semicolons or tabs, in any encoding `encoding` knows.

use super::SheetError;
use super::content::Content;
use super::encoding::{Decoded, detect};
use super::table::Table;
use std::io::{Read, Write};

/// A field longer than this was not meant: its quotation mark is not closed.
const FIELD: usize = 64 * 1024;
/// What tells the delimiter.
const HEAD: usize = 16 * 1024;

pub fn read(
    bytes: &[u8],
    encoding: Option<&str>,
    table: &mut Table<'_, impl Write>,
) -> Result<(), SheetError> {
    let (encoding, mark) = detect(bytes, encoding)?;
    let bytes = &bytes[mark..];
    let mut head = Vec::with_capacity(HEAD);
    // What cannot be decoded is told below, with the rows before it read.
    Decoded::new(bytes, encoding)
        .take(HEAD as u64)
        .read_to_end(&mut head)
        .ok();
    let mut rows = csv::ReaderBuilder::new()
        .delimiter(delimiter(&head))
        .has_headers(false)
        .flexible(true)
        // A carriage return before it is trimmed with the cell.
        .terminator(csv::Terminator::Any(b'\n'))
        .from_reader(Decoded::new(bytes, encoding).chain(b"\n".as_slice()));
    let mut record = csv::ByteRecord::new();
    // Line ends inside quotes: they are lines of the file and no rows.
    let mut inside = 0;
    loop {
        match rows.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                return Err(match error.kind() {
                    csv::ErrorKind::Io(_) => SheetError::Encoding(encoding.name().to_owned()),
                    _ => SheetError::Damaged(error.to_string()),
                });
            }
        }
        let ends = record.as_slice().iter().filter(|b| **b == b'\n').count() as u64;
        inside += ends;
        // The reader stands behind the line end of the record.
        let after = rows.position().line();
        let row = after.saturating_sub(2 + inside);
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        for (column, field) in record.iter().enumerate() {
            if field.len() > FIELD {
                return Err(SheetError::OpenQuote(after.saturating_sub(ends).max(1)));
            }
            let text = String::from_utf8_lossy(field);
            table.cell(row, column as u32, Content::text(&text, false))?;
        }
        table.end_row()?;
    }
}

/// The one that stands in most of the first lines, and as often in each.
fn delimiter(head: &[u8]) -> u8 {
    let mut candidates = [(b',', 0), (b';', 0), (b'\t', 0)];
    for (mark, score) in &mut candidates {
        let mut quoted = false;
        let mut counts = vec![0_u32];
        for byte in head {
            match byte {
                b'"' => quoted = !quoted,
                b'\n' if !quoted => counts.push(0),
                byte if byte == mark && !quoted => {
                    if let Some(count) = counts.last_mut() {
                        *count += 1;
                    }
                }
                _ => {}
            }
        }
        // The last line may be cut.
        counts.truncate(counts.len().saturating_sub(1).clamp(1, 20));
        let common = counts.iter().copied().max().unwrap_or(0);
        let same = counts.iter().filter(|count| **count == common).count();
        *score = if common == 0 {
            0
        } else {
            same * 100 / counts.len() + usize::from(*mark == b'\t')
        };
    }
    let best = candidates.iter().max_by_key(|(_, score)| *score);
    match best {
        Some((mark, score)) if *score > 0 => *mark,
        _ => b',',
    }
}

#[cfg(test)]
mod tests {
    use super::delimiter;

    #[test]
    fn the_delimiter_is_told_by_the_lines() {
        assert_eq!(delimiter(b"name,phone\na,1\n"), b',');
        assert_eq!(delimiter(b"name;phone\na;1,5\nb;2,5\n"), b';');
        assert_eq!(delimiter(b"name\tphone\na, b\t1\n"), b'\t');
        assert_eq!(delimiter(b"\"a;b;c\",phone\nx,1\n"), b',');
        assert_eq!(delimiter(b"phone\n1\n"), b',');
        assert_eq!(delimiter(b"name;phone"), b';');
        assert_eq!(delimiter(b""), b',');
    }
}
