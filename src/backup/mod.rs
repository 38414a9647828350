//! `huying backup` and `huying restore`: everything that is kept, in a folder or one .zip, with a manifest of its hashes.
//!
//! A backup is taken beside the running product: the call journal first, then one consistent state of the database (so what
//! the journal holds is either in it or finished from it at the next start), then files that only ever grow in number.
//! A restore is verified whole before the data folder is touched, and put in place so that a stop half-way is completed by
//! the next start.

mod manifest;
mod packet;
mod postgres;
mod restore;

pub use manifest::{Entry, Manifest};
pub use restore::{check, complete, restore};

use crate::config::Config;
use anyhow::{Context, Result, bail};
use manifest::{FORMAT, POSTGRES, SQLITE};
use packet::Packing;
use std::path::{Path, PathBuf};
use store::Db;
use store::backup::Looked;

/// A backup that was taken, and what is wrong with the database it was taken of.
pub struct Taken {
    pub manifest: Manifest,
    pub problems: Vec<String>,
}

/// Takes a backup. `settings`: the file they were read from.
pub async fn take(
    config: &Config,
    settings: Option<&Path>,
    to: &Path,
    recordings: bool,
) -> Result<Taken> {
    let mut packing = Packing::begin(to)?;
    let database = Temporary::beside(&packing);
    match gather(config, settings, &mut packing, &database.0, recordings).await {
        Ok(looked) => {
            let manifest = packing.finish(|files| Manifest {
                format: FORMAT,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                taken_at: engine::clock::wall().rfc3339(),
                schema: looked.schema,
                realm: config.realm.clone(),
                recordings,
                rows: looked.rows,
                files,
            })?;
            Ok(Taken {
                manifest,
                problems: looked.problems,
            })
        }
        Err(error) => {
            packing.give_up();
            Err(error)
        }
    }
}

async fn gather(
    config: &Config,
    settings: Option<&Path>,
    packing: &mut Packing,
    database: &Path,
    recordings: bool,
) -> Result<Looked> {
    packing.add_all("journal", &config.data.join("journal"))?;
    let address = config.database_address();
    let looked = match Db::sqlite_path(&address) {
        Ok(path) => {
            if !Path::new(path).exists() {
                bail!("there is no database at {path}. FIX: name the data folder with --data");
            }
            let copied = store::backup::copy(path, database).await;
            copied.context("the database cannot be copied")?;
            packing.add(SQLITE, database)?;
            store::backup::look(database).await?
        }
        Err(_) => {
            let (schema, _) = Db::schema(&address).await?;
            schema.context("the database is empty: there is nothing to back up")?;
            let held = Db::hold(&address).await?;
            postgres::dump(&address, &held.id, database)?;
            packing.add(POSTGRES, database)?;
            held.looked
        }
    };
    packing.add_all("prompts", &config.prompts())?;
    if recordings {
        packing.add_all("recordings", &config.recordings())?;
    }
    let settings = settings.unwrap_or(Path::new("huying.toml"));
    packing.add("settings/huying.toml", settings)?;
    Ok(looked)
}

/// A file that goes when it is no longer needed.
struct Temporary(PathBuf);

impl Temporary {
    /// Where one that was killed left its own; nobody else writes beside this packing.
    fn beside(packing: &Packing) -> Temporary {
        let mut name = packing.partial().as_os_str().to_owned();
        name.push(".db");
        let temporary = Temporary(name.into());
        std::fs::remove_file(&temporary.0).ok();
        temporary
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// `huying backup`.
pub async fn command(
    config: &Config,
    settings: Option<&Path>,
    to: &Path,
    recordings: bool,
) -> Result<i32> {
    let taken = take(config, settings, to, recordings).await?;
    println!("{} holds {}", to.display(), summary(&taken.manifest));
    if !recordings {
        println!("Recordings are not in it (--recordings).");
    }
    for problem in &taken.problems {
        println!("The database is not sound: {problem}");
    }
    Ok(i32::from(!taken.problems.is_empty()))
}

/// `huying restore --check`.
pub async fn check_command(from: &Path) -> Result<i32> {
    let manifest = check(from).await?;
    println!("{} is sound: {}", from.display(), summary(&manifest));
    if manifest.entry(POSTGRES).is_some() {
        println!("Its database was listed, not read: that takes a restore into an empty one.");
    }
    Ok(0)
}

/// `huying restore`.
pub async fn restore_command(config: &Config, from: &Path) -> Result<i32> {
    let manifest = restore(config, from).await?;
    println!("{} now holds {}", config.data.display(), summary(&manifest));
    if manifest.entry("settings/huying.toml").is_some() {
        println!(
            "Its settings are in {}: not in use, to compare.",
            restore::SETTINGS
        );
    }
    if manifest.realm != config.realm {
        println!(
            "Device passwords belong to realm `{}`, the settings say `{}`. FIX: --realm {}",
            manifest.realm, config.realm, manifest.realm
        );
    }
    Ok(0)
}

fn summary(manifest: &Manifest) -> String {
    let rows = |table: &str| manifest.rows.get(table).copied().unwrap_or(0);
    format!(
        "{} files, {} MB of {}: {} enterprises, {} leads, {} calls, {} ledger postings (schema {})",
        manifest.files.len(),
        manifest.bytes().div_ceil(1_000_000),
        manifest.taken_at,
        rows("tenants"),
        rows("leads"),
        rows("calls"),
        rows("ledger_postings"),
        manifest.schema
    )
}
