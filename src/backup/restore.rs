//! Putting a backup into an empty data folder.
//!
//! 1. Everything is written to `.restore.partial` in the data folder and verified there.
//! 2. That folder is renamed to `.restore`: from here on the restore has happened.
//! 3. Its parts are moved to their places, the database last. A stop in between is completed by `complete`, which every start
//!    calls.

use super::manifest::{Manifest, POSTGRES, SQLITE};
use super::packet::{Packet, sync_folder};
use super::postgres;
use crate::config::Config;
use crate::serve::take_folder;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::Path;
use store::{Db, StoreError};

const PARTIAL: &str = ".restore.partial";
const READY: &str = ".restore";
/// Where the backup's settings are left, below the data folder.
pub const SETTINGS: &str = "huying.toml.restored";
/// What may be in a data folder that counts as empty.
const HARMLESS: [&str; 3] = ["huying.lock", "models", PARTIAL];

/// Verifies a backup: every hash, the schema, the database and its books.
pub async fn check(from: &Path) -> Result<Manifest> {
    let mut packet = Packet::open(from)?;
    let manifest = packet.manifest()?;
    let scratch = tempfile::tempdir().context("no room for a look at the database")?;
    let database = scratch.path().join("huying.db");
    for entry in &manifest.files {
        let is_database = entry.path == SQLITE || entry.path == POSTGRES;
        let to = is_database.then_some(database.as_path());
        packet.verify(entry, to)?;
    }
    sound(&manifest, &database).await?;
    Ok(manifest)
}

/// Restores into the data folder of `config`, which nobody may use and which must be empty.
pub async fn restore(config: &Config, from: &Path) -> Result<Manifest> {
    let data = &config.data;
    let mut packet = Packet::open(from)?;
    let manifest = packet.manifest()?;
    let _ours = take_folder(data)?;
    if complete(config)? {
        bail!(
            "an earlier restore was completed just now. FIX: huying serve, or name another --data"
        );
    }
    let address = config.database_address();
    room_for(&manifest, &address).await?;
    for entry in fs::read_dir(data)? {
        let name = entry?.file_name();
        ensure!(
            HARMLESS.iter().any(|harmless| name == *harmless),
            "{} is not empty: it holds {}. FIX: name another folder with --data, or move what is there away",
            data.display(),
            name.display()
        );
    }
    let stat = rustix::fs::statvfs(data)?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    ensure!(
        free > manifest.bytes(),
        "{} MB are needed and {} MB are free. FIX: make room, or name another --data",
        manifest.bytes() >> 20,
        free >> 20
    );
    let partial = data.join(PARTIAL);
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    let verified = unpack(&mut packet, &manifest, &partial).await;
    if let Err(error) = verified {
        fs::remove_dir_all(&partial).ok();
        return Err(error);
    }
    match manifest.entry(POSTGRES) {
        Some(_) => {
            let dump = partial.join(POSTGRES);
            postgres::fill(&address, &dump)?;
            let looked = Db::look(&address).await?;
            ensure!(
                looked.rows == manifest.rows && looked.problems.is_empty(),
                "the database is filled, and is not the one that was backed up. FIX: empty it, and restore another backup"
            );
            fs::remove_file(dump)?;
            store::backup::forget_bindings(&address).await?;
        }
        None => {
            let database = partial.join(SQLITE);
            store::backup::forget_bindings(&database.to_string_lossy()).await?;
        }
    }
    sync_folder(Some(&partial));
    fs::rename(&partial, data.join(READY))?;
    sync_folder(Some(data));
    complete(config)?;
    Ok(manifest)
}

async fn unpack(packet: &mut Packet, manifest: &Manifest, to: &Path) -> Result<()> {
    fs::create_dir(to).with_context(|| format!("cannot write to {}", to.display()))?;
    for entry in &manifest.files {
        packet.verify(entry, Some(&to.join(&entry.path)))?;
    }
    let database = match manifest.entry(POSTGRES) {
        Some(_) => POSTGRES,
        None => SQLITE,
    };
    sound(manifest, &to.join(database)).await
}

/// Whether the database that is configured is of the backup's kind, and empty.
async fn room_for(manifest: &Manifest, address: &str) -> Result<()> {
    let sqlite = Db::sqlite_path(address).ok();
    match (manifest.entry(SQLITE).is_some(), sqlite) {
        (true, Some(path)) => ensure!(
            !Path::new(path).exists(),
            "there is a database at {path} already. FIX: name another with --database"
        ),
        (false, None) => ensure!(
            Db::schema(address).await?.0.is_none(),
            "the database is not empty. FIX: name an empty one with --database"
        ),
        (true, None) => bail!("this is a backup of SQLite. FIX: leave --database out"),
        (false, Some(_)) => {
            bail!("this is a backup of PostgreSQL. FIX: --database postgres://… of an empty one")
        }
    }
    Ok(())
}

/// Whether the database is what the manifest says, and this release can use it.
async fn sound(manifest: &Manifest, database: &Path) -> Result<()> {
    let known = Db::schema("sqlite:/nonexistent/huying.db")
        .await
        .map_or(manifest.schema, |(_, known)| known);
    if manifest.schema > known {
        let found = manifest.schema;
        return Err(StoreError::NewerSchema { found, known }.into());
    }
    if manifest.entry(POSTGRES).is_some() {
        return postgres::look(database);
    }
    ensure!(manifest.entry(SQLITE).is_some(), "it holds no database");
    let looked = store::backup::look(database).await?;
    ensure!(
        looked.problems.is_empty(),
        "its database is not sound: {}",
        looked.problems.join("; ")
    );
    ensure!(
        looked.rows == manifest.rows && looked.schema == manifest.schema,
        "its database is not the one that was backed up"
    );
    Ok(())
}

/// Moves what a verified restore brought to its places; true when there was such a thing. The data folder must be ours.
pub fn complete(config: &Config) -> Result<bool> {
    let ready = config.data.join(READY);
    if !ready.exists() {
        return Ok(false);
    }
    let move_to = |from: &str, to: &Path| -> Result<()> {
        let from = ready.join(from);
        if from.exists() {
            fs::rename(&from, to)
                .with_context(|| format!("cannot put {} in place", to.display()))?;
        }
        Ok(())
    };
    move_to("journal", &config.data.join("journal"))?;
    move_to("prompts", &config.prompts())?;
    move_to("recordings", &config.recordings())?;
    move_to("settings/huying.toml", &config.data.join(SETTINGS))?;
    let database = ready.join(SQLITE);
    if database.exists() {
        let address = config.database_address();
        let target = Path::new(Db::sqlite_path(&address)?);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        // Elsewhere may be another disk, where nothing can be renamed to.
        if fs::rename(&database, target).is_err() {
            let mut beside = target.as_os_str().to_owned();
            beside.push(".partial");
            fs::copy(&database, &beside)?;
            fs::File::open(&beside)?.sync_all()?;
            fs::rename(&beside, target)?;
        }
        sync_folder(target.parent());
    }
    fs::remove_dir_all(&ready)?;
    sync_folder(Some(&config.data));
    Ok(true)
}
