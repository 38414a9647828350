//! Two lanes to the one writing connection: calls before bulk.
//!
//! Call changes wait for at most one bulk transaction (20 ms); a bulk transaction waits until no call change is waiting, but
//! not for ever, else a busy floor would never finish its import.

use crate::db::Tx;
use crate::error::StoreError;
use crate::metrics::Counts;
use crate::stopwatch::Stopwatch;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};

/// The longest a bulk transaction stands back for calls.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long a bulk transaction may hold the writing connection.
const SLICE: Duration = Duration::from_millis(20);

/// The time a bulk transaction has.
pub(crate) struct Slice(Stopwatch);

impl Slice {
    pub fn begin() -> Slice {
        Slice(Stopwatch::start())
    }
    pub fn lasts(&self) -> bool {
        self.0.elapsed() < SLICE
    }
}

#[derive(Debug, Default)]
pub(crate) struct Lanes {
    /// Held by the bulk transaction that runs or is next.
    bulk: Arc<Mutex<()>>,
    /// Call changes that are not written yet.
    calls: AtomicUsize,
    quiet: Notify,
    pub counts: Counts,
}

impl Lanes {
    /// The number that waits, this one included.
    pub fn call_waits(&self) -> usize {
        self.calls.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub fn calls_done(&self, n: usize) {
        if self.calls.fetch_sub(n, Ordering::AcqRel) == n {
            self.quiet.notify_waiters();
        }
    }

    pub fn waiting(&self) -> usize {
        self.calls.load(Ordering::Acquire)
    }

    pub async fn bulk_turn(&self) -> OwnedMutexGuard<()> {
        let turn = self.bulk.clone().lock_owned().await;
        let quiet = async {
            loop {
                let told = self.quiet.notified();
                tokio::pin!(told);
                // Listening before looking, so that the last change cannot slip between.
                told.as_mut().enable();
                if self.waiting() == 0 {
                    return;
                }
                told.await;
            }
        };
        tokio::time::timeout(PATIENCE, quiet).await.ok();
        turn
    }
}

/// A transaction of the bulk lane.
pub(crate) struct Bulk {
    tx: Tx,
    _turn: OwnedMutexGuard<()>,
}

impl Bulk {
    pub fn new(tx: Tx, turn: OwnedMutexGuard<()>) -> Bulk {
        Bulk { tx, _turn: turn }
    }
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await
    }
}

impl Deref for Bulk {
    type Target = Tx;
    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for Bulk {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}
