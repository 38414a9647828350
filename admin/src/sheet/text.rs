//! Columns of text: csv with commas, semicolons or tabs, in any encoding `encoding` knows.

use super::SheetError;
use super::content::Content;
use super::encoding::{Decoded, detect};
use super::table::Table;
use std::io::{self, Read, Write};

/// Bytes of a field; one that is longer and goes over several lines was not meant: its quotation mark is not closed.
const FIELD: usize = 64 * 1024;
/// Stands behind the text, and is read as a row of its own unless a quotation mark before it is open.
const END: &str = "end of text";
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
    let returns = ends_in_returns(&head);
    if returns {
        feed_lines(&mut head);
    }
    let text = Text {
        decoded: Decoded::new(bytes, encoding),
        returns,
    };
    let end = format!("\n{END}");
    let mut rows = csv::ReaderBuilder::new()
        .delimiter(delimiter(&head))
        .has_headers(false)
        .flexible(true)
        // A carriage return before it is trimmed with the cell.
        .terminator(csv::Terminator::Any(b'\n'))
        .from_reader(text.chain(end.as_bytes()));
    let failed = |error: csv::Error| match error.kind() {
        csv::ErrorKind::Io(_) => SheetError::Encoding(encoding.name().to_owned()),
        _ => SheetError::Damaged(error.to_string()),
    };
    let (mut record, mut next) = (csv::ByteRecord::new(), csv::ByteRecord::new());
    // Line ends inside quotes: they are lines of the file and no rows.
    let mut inside = 0;
    rows.read_byte_record(&mut record).map_err(failed)?;
    // Where the reader stands: behind the line end of the record.
    let mut after = rows.position().line();
    while rows.read_byte_record(&mut next).map_err(failed)? {
        let ends = line_ends(record.as_slice());
        inside += ends;
        let row = after.saturating_sub(2 + inside);
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        let mut line = after.saturating_sub(1 + ends);
        for (column, field) in record.iter().enumerate() {
            let ends = line_ends(field);
            if field.len() > FIELD {
                return Err(match ends {
                    0 => SheetError::FieldTooLong(line),
                    _ => SheetError::OpenQuote(line),
                });
            }
            line += ends;
            let text = String::from_utf8_lossy(field);
            table.cell(row, column as u32, Content::text(&text, false))?;
        }
        table.end_row()?;
        std::mem::swap(&mut record, &mut next);
        after = rows.position().line();
    }
    let last = record.iter().next_back().unwrap_or_default();
    if record.len() == 1 && last == END.as_bytes() {
        return Ok(());
    }
    // It ends with the text, not with a line end of its own.
    Err(SheetError::OpenQuote(after - line_ends(last)))
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|b| **b == b'\n').count() as u64
}

/// Text whose lines end in line feeds, also where they ended in carriage returns alone.
struct Text<'a> {
    decoded: Decoded<'a>,
    returns: bool,
}

impl Read for Text<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.decoded.read(to)?;
        if self.returns {
            feed_lines(&mut to[..n]);
        }
        Ok(n)
    }
}

fn feed_lines(text: &mut [u8]) {
    for byte in text {
        if *byte == b'\r' {
            *byte = b'\n';
        }
    }
}

/// Whether lines end in carriage returns alone, as old programs for the Macintosh have it; inside quotes they write line feeds.
fn ends_in_returns(head: &[u8]) -> bool {
    let (mut quoted, mut returns) = (false, false);
    // What follows the last byte may be the line feed of a carriage return.
    let (_, head) = head.split_last().unwrap_or((&0, &[]));
    for byte in head {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => return false,
            b'\r' if !quoted => returns = true,
            _ => {}
        }
    }
    returns
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
    use super::{delimiter, ends_in_returns};

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

    #[test]
    fn lines_that_end_in_carriage_returns_are_told() {
        assert!(ends_in_returns(b"phone\r1\r2\r"));
        assert!(ends_in_returns(b"phone\r\"a\nb\",1\r"));
        for other in [
            b"phone\r\n1\r\n".as_slice(),
            b"phone\n\"a\rb\"\n",
            b"phone\r",
            b"phone",
            b"",
        ] {
            assert!(!ends_in_returns(other), "{other:?}");
        }
    }
}
