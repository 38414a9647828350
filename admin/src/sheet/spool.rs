//! Rows on their way from the reader to the database: a file of JSON lines.

use super::SheetError;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use store::imports::SheetRow;

/// The file as it was uploaded.
pub const UPLOAD: &str = "upload";
/// How it is to be read.
pub const ASKED: &str = "asked.json";
/// The rows found so far.
pub const ROWS: &str = "rows";
/// What came of it; absent when the reader was stopped.
pub const VERDICT: &str = "verdict.json";

/// Most bytes the rows of one sheet may take.
pub const MOST: u64 = 256 * 1024 * 1024;

/// Where rows are written to.
pub struct Spool<W> {
    to: W,
    written: u64,
}

impl Spool<BufWriter<File>> {
    pub fn create(folder: &Path) -> std::io::Result<Self> {
        Ok(Spool::new(BufWriter::new(File::create(folder.join(ROWS))?)))
    }
}

impl<W: Write> Spool<W> {
    pub fn new(to: W) -> Spool<W> {
        Spool { to, written: 0 }
    }

    pub fn push(&mut self, row: &SheetRow) -> Result<(), SheetError> {
        let failed = |error: std::io::Error| SheetError::Damaged(error.to_string());
        let mut line =
            serde_json::to_vec(row).map_err(|error| SheetError::Damaged(error.to_string()))?;
        line.push(b'\n');
        self.written += line.len() as u64;
        if self.written > MOST {
            return Err(SheetError::TooBig {
                limit: MOST / (1024 * 1024),
            });
        }
        self.to.write_all(&line).map_err(failed)
    }

    pub fn finish(mut self) -> std::io::Result<W> {
        self.to.flush()?;
        Ok(self.to)
    }
}

/// The rows of a sheet that was read.
pub struct Lines(std::io::Lines<BufReader<File>>);

impl Lines {
    pub fn open(folder: &Path) -> std::io::Result<Lines> {
        Ok(Lines(
            BufReader::new(File::open(folder.join(ROWS))?).lines(),
        ))
    }

    /// The next ones, at most `n`; none at the end.
    pub fn take(&mut self, n: usize) -> std::io::Result<Vec<SheetRow>> {
        self.0
            .by_ref()
            .take(n)
            .map(|line| serde_json::from_str(&line?).map_err(std::io::Error::other))
            .collect()
    }
}
