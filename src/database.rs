//! The installation's database: opened, and in words what to do when it cannot be.

use crate::config::Config;
use anyhow::{Result, anyhow};
use store::db::shown;
use store::{Platform, Store, StoreError, Trouble};

/// For this process alone: whoever runs calls.
pub async fn open_alone(config: &Config) -> Result<(Store, Platform)> {
    let address = config.database_address();
    Store::open_alone(&address)
        .await
        .map_err(|error| explained(&address, &error))
}

/// Beside others.
pub async fn open(config: &Config) -> Result<(Store, Platform)> {
    let address = config.database_address();
    Store::open(&address)
        .await
        .map_err(|error| explained(&address, &error))
}

/// The address without its password, what is wrong, what to do.
fn explained(address: &str, error: &StoreError) -> anyhow::Error {
    anyhow!("{}: {error}. FIX: {}", shown(address), fix(address, error))
}

/// What to do about a database that cannot be used.
pub fn fix(address: &str, error: &StoreError) -> &'static str {
    let server = address.starts_with("postgres");
    match error {
        StoreError::Address => {
            "--database sqlite:PATH, or postgres://user:password@host:5432/database (write %40 for @, %2F for / and %3F for ? in \
             a password), or none for the data folder's own"
        }
        StoreError::InUse { .. } => {
            "stop it, or name another database with --database; when its machine is gone, the server notices within half a minute"
        }
        StoreError::NewerSchema { .. } => {
            "run the newer release, or restore the backup taken before it"
        }
        StoreError::NoSnapshot(_) => "make room beside the database, then start again",
        StoreError::ForeignSchema(_) => {
            "name a database that is huying's, or an empty one, with --database"
        }
        StoreError::Unavailable(Trouble::Login) => {
            "check user and password in --database; the user must own the database (CREATE ROLE huying LOGIN PASSWORD '…'; \
             CREATE DATABASE huying OWNER huying)"
        }
        StoreError::Unavailable(Trouble::Missing) => {
            "create it on the server: CREATE DATABASE huying OWNER huying"
        }
        StoreError::Unavailable(Trouble::DiskFull) => "free space where the database lives",
        StoreError::Unavailable(_) if server => {
            "check that the server runs and that host and port in --database are right: psql with the same address must connect"
        }
        _ => "check the file and its rights, or restore a backup",
    }
}
