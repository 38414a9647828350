//! The zip archive around a workbook: what is in it, and what it really unpacks to.

use super::SheetError;
use super::kind::Kind;
use std::io::{Read, Seek};
use zip::result::ZipError;

/// Most bytes all entries of the archive may unpack to.
const UNPACKED: u64 = 200 * 1024 * 1024;
/// The shared strings are the one part that is held in memory whole.
const STRINGS: u64 = 64 * 1024 * 1024;
const ENTRIES: usize = 2_000;
const MB: u64 = 1024 * 1024;

pub struct Archive<R>(zip::ZipArchive<R>);

fn damaged(error: ZipError) -> SheetError {
    SheetError::Damaged(error.to_string())
}

impl<R: Read + Seek> Archive<R> {
    pub fn open(file: R) -> Result<Archive<R>, SheetError> {
        let archive = zip::ZipArchive::new(file).map_err(damaged)?;
        if archive.len() > ENTRIES {
            return Err(SheetError::Damaged(format!("{} entries", archive.len())));
        }
        Ok(Archive(archive))
    }

    pub fn kind(mut self) -> Result<Kind, SheetError> {
        let mut found = Err(SheetError::NotASheet);
        for n in 0..self.0.len() {
            let entry = self.0.by_index_raw(n).map_err(damaged)?;
            match entry.name().map_err(damaged)?.to_ascii_lowercase().as_str() {
                "xl/workbook.bin" => return Err(SheetError::BinaryWorkbook),
                name if name.ends_with("workbook.xml") || name == "[content_types].xml" => {
                    found = Ok(Kind::Xlsx);
                }
                name if name.starts_with("word/") || name.starts_with("ppt/") => {
                    return Err(SheetError::NotASheet);
                }
                _ => {}
            }
        }
        found
    }

    /// Counts what it really unpacks to; the sizes it declares are the sender's word.
    pub fn measure(mut self) -> Result<(), SheetError> {
        let too_big = |limit: u64| SheetError::TooBig { limit: limit / MB };
        let declared: u128 = (0..self.0.len())
            .map(|n| {
                self.0
                    .by_index_raw(n)
                    .map_or(0, |entry| u128::from(entry.size()))
            })
            .sum();
        if declared > u128::from(UNPACKED) {
            return Err(too_big(UNPACKED));
        }
        let mut left = UNPACKED;
        for n in 0..self.0.len() {
            let entry = self.0.by_index(n).map_err(damaged)?;
            let strings = entry
                .name()
                .map_err(damaged)?
                .to_ascii_lowercase()
                .ends_with("sharedstrings.xml");
            let limit = if strings { left.min(STRINGS) } else { left };
            let read = std::io::copy(&mut entry.take(limit + 1), &mut std::io::sink())
                .map_err(|error| SheetError::Damaged(error.to_string()))?;
            if read > limit {
                return Err(too_big(if strings { STRINGS } else { UNPACKED }));
            }
            left -= read;
        }
        Ok(())
    }
}
