//! Whether there is room on the disk that calls write to. Looked at once a second, asked by anybody without waiting.
//!
//! A reserve is left free for what must be written whatever happens: records, the ledger, the call journal. With less than it,
//! robots begin no calls and recordings pause; with a quarter more than it, both go on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tracing::{info, warn};

const LOOK: Duration = Duration::from_secs(1);

/// The disk below the data folder.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    reserve: u64,
    free: AtomicU64,
    size: AtomicU64,
    low: AtomicBool,
}

impl Disk {
    /// `reserve` in bytes.
    pub fn of(folder: PathBuf, reserve: u64) -> Disk {
        let disk = Disk {
            folder,
            reserve,
            free: AtomicU64::new(u64::MAX),
            size: AtomicU64::new(u64::MAX),
            low: AtomicBool::new(false),
        };
        disk.look();
        disk
    }

    /// Looks again and again until nobody holds it any more. Must be called inside a tokio runtime.
    pub fn watch(self: &Arc<Disk>) {
        let watched = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut again = tokio::time::interval(LOOK);
            loop {
                again.tick().await;
                match watched.upgrade() {
                    Some(disk) => disk.look(),
                    None => return,
                }
            }
        });
    }

    fn look(&self) {
        let Ok(stat) = rustix::fs::statvfs(&self.folder) else {
            return;
        };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        self.free.store(free, Ordering::Relaxed);
        let size = stat.f_blocks.saturating_mul(stat.f_frsize);
        self.size.store(size, Ordering::Relaxed);
        let low = self.low();
        let now_low = is_low(low, free, self.reserve);
        self.low.store(now_low, Ordering::Relaxed);
        let (folder, free_mb) = (self.folder.display(), free >> 20);
        match (low, now_low) {
            (false, true) => warn!(%folder, free_mb, reserve_mb = self.reserve >> 20,
                "the disk is nearly full: no new robot calls, recordings pause. FIX: make room; all goes on by itself"),
            (true, false) => info!(%folder, free_mb, "the disk has room again"),
            _ => {}
        }
    }

    /// Less than the reserve is free.
    pub fn low(&self) -> bool {
        self.low.load(Ordering::Relaxed)
    }

    /// Bytes we may still write.
    pub fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }

    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// For people, when it is low.
    pub fn trouble(&self) -> Option<String> {
        self.low().then(|| {
            format!(
                "{} MB are free below {}, less than the {} MB that are kept free",
                self.free() >> 20,
                self.folder.display(),
                self.reserve >> 20
            )
        })
    }
}

/// A disk at the edge does not flicker: it has room again only with a quarter more.
fn is_low(was: bool, free: u64, reserve: u64) -> bool {
    match was {
        true => free < reserve.saturating_add(reserve / 4),
        false => free < reserve,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_at_the_edge_does_not_flicker() {
        assert!(!is_low(false, 100, 100) && is_low(false, 99, 100));
        assert!(is_low(true, 100, 100) && is_low(true, 124, 100) && !is_low(true, 125, 100));
        assert!(!is_low(false, 0, 0), "no reserve: it is never low");
    }

    #[test]
    fn a_real_folder_has_a_size_and_less_than_it_is_free() {
        let disk = Disk::of(std::env::temp_dir(), u64::MAX);
        assert!(disk.free() <= disk.size() && disk.size() < u64::MAX);
        assert!(
            disk.trouble()
                .is_some_and(|text| text.contains("are free below"))
        );
    }
}
