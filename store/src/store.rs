//! The open store: what every module hangs its functions on.

use crate::db::Db;
use crate::error::StoreError;
use crate::lanes::{Bulk, Lanes};
use crate::scope::{Actor, Platform};
use std::sync::Arc;

/// Cheap to clone. Its functions live in one module per aggregate; each takes `&Scope` (or `&Platform`) first.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) db: Db,
    pub(crate) lanes: Arc<Lanes>,
}

/// How long a page of a list may get.
pub const MAX_PAGE: u32 = 500;

/// One page of a list: rows, and what to ask for to get the next ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// Opaque; `None` on the last page.
    pub next: Option<String>,
}

/// A change that names the version it was made from is refused once that is not the stored one any more.
pub(crate) fn made_from(from: Option<u64>, stored: u64) -> Result<(), StoreError> {
    match from {
        Some(from) if from != stored => Err(StoreError::Stale),
        _ => Ok(()),
    }
}

impl Store {
    /// Opens and migrates the database at `sqlite:path`, a plain path or `postgres://…`. The process that opens it is the
    /// evidence for the `Platform` that comes with it: hand it only to the engine and to what looks up credentials.
    pub async fn open(address: &str) -> Result<(Store, Platform), StoreError> {
        Ok(Store::with(Db::open(address).await?))
    }

    /// The same for this process alone, as whoever runs calls must: another would take them for leftovers of a crash.
    pub async fn open_alone(address: &str) -> Result<(Store, Platform), StoreError> {
        Ok(Store::with(Db::open_alone(address).await?))
    }

    fn with(db: Db) -> (Store, Platform) {
        let lanes = Arc::default();
        (Store { db, lanes }, Platform::mint(Actor::Engine))
    }

    /// Finishes what runs and closes the database.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// A transaction of the bulk lane: one at a time, behind the calls that wait. Whoever takes it commits within 20 ms and
    /// comes back for the next part.
    pub(crate) async fn begin_bulk(&self) -> Result<Bulk, StoreError> {
        let turn = self.lanes.bulk_turn().await;
        Ok(Bulk::new(self.db.begin().await?, turn))
    }
}
