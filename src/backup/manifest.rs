//! What a backup says of itself: `manifest.json`, written last, so that an unfinished backup has none.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path};

pub const NAME: &str = "manifest.json";
/// The form of this file and of what stands beside it.
pub const FORMAT: u32 = 1;
pub const SQLITE: &str = "database/huying.db";
/// As `pg_dump --format=custom` writes it.
pub const POSTGRES: &str = "database/huying.dump";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The release that wrote it.
    pub version: String,
    /// RFC 3339.
    pub taken_at: String,
    /// The database's schema.
    pub schema: i64,
    /// Stored device passwords work under this realm alone.
    pub realm: String,
    pub recordings: bool,
    /// Rows by table; of PostgreSQL's dump none are known.
    pub rows: BTreeMap<String, u64>,
    pub files: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// With `/`, below the backup's root.
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}

impl Manifest {
    pub fn read(bytes: &[u8]) -> Result<Manifest> {
        let manifest: Manifest = serde_json::from_slice(bytes)?;
        ensure!(
            manifest.format == FORMAT,
            "it has form {}, this release knows {FORMAT}. FIX: use the release that wrote it ({})",
            manifest.format,
            manifest.version
        );
        for entry in &manifest.files {
            entry.is_ours()?;
        }
        Ok(manifest)
    }

    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.files.iter().find(|entry| entry.path == path)
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|entry| entry.bytes).sum()
    }
}

/// What a backup holds, and where a restore puts it below the data folder.
pub const PARTS: [&str; 5] = ["database", "prompts", "recordings", "journal", "settings"];

impl Entry {
    /// A path out of a file is a stranger's: nothing may leave the folder it is restored to.
    fn is_ours(&self) -> Result<()> {
        let mut parts = Path::new(&self.path).components();
        let first = parts.next();
        let known = matches!(first, Some(Component::Normal(name))
            if PARTS.iter().any(|part| name == *part));
        let inside = parts.all(|part| matches!(part, Component::Normal(_)));
        ensure!(known && inside, "`{}` has no place in a backup", self.path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(path: &str, format: u32) -> Result<Manifest> {
        let entry = Entry {
            path: path.into(),
            bytes: 1,
            sha256: "00".into(),
        };
        let manifest = Manifest {
            format,
            version: "0.1.0".into(),
            taken_at: "2026-11-21T07:00:00.000Z".into(),
            schema: 1,
            realm: "huying".into(),
            recordings: false,
            rows: BTreeMap::new(),
            files: vec![entry],
        };
        Manifest::read(&serde_json::to_vec(&manifest).unwrap())
    }

    #[test]
    fn nothing_is_restored_outside_its_place() {
        assert!(with("prompts/a.wav", FORMAT).is_ok());
        for path in [
            "../x",
            "/etc/passwd",
            "prompts/../../x",
            "huying.lock",
            "models/x",
            "",
        ] {
            assert!(with(path, FORMAT).is_err(), "{path}");
        }
        assert!(with(SQLITE, 2).unwrap_err().to_string().contains("FIX"));
    }
}
