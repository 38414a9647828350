//! The latest events of this process, so that a reader who lost its connection misses nothing it can still be told.
//!
//! One task takes events from the engine, keeps them and passes them on under one lock: whoever begins to listen gets what is
//! kept and what comes, without a gap or a repeat between.

use engine::Notice;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;
use uuid::Uuid;

/// Events kept, of all tenants together.
const KEPT: usize = 8192;
/// Events a listener may be behind.
const BEHIND: usize = 1024;

pub struct Ring {
    /// Names this process: ids of another run mean nothing here.
    run: String,
    inner: Mutex<Inner>,
    live: broadcast::Sender<Arc<Notice>>,
}

#[derive(Default)]
struct Inner {
    kept: VecDeque<Arc<Notice>>,
    /// The number of the newest event.
    newest: u64,
    /// The number of the newest event that is not kept any more.
    gone: u64,
}

/// Why a reader cannot go on where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    TooOld,
    OtherRun,
}

impl Lost {
    pub fn code(self) -> &'static str {
        match self {
            Lost::TooOld => "too_old",
            Lost::OtherRun => "other_run",
        }
    }
}

/// What a listener starts with.
pub struct Heard {
    pub missed: Vec<Arc<Notice>>,
    pub lost: Option<Lost>,
    /// The newest event's number at this moment.
    pub newest: u64,
    pub live: broadcast::Receiver<Arc<Notice>>,
}

impl Ring {
    pub fn new(run: Uuid) -> Ring {
        Ring {
            run: run.simple().to_string()[..8].to_owned(),
            inner: Mutex::default(),
            live: broadcast::channel(BEHIND).0,
        }
    }

    /// Streams that are open.
    pub fn readers(&self) -> usize {
        self.live.receiver_count()
    }

    pub fn id(&self, seq: u64) -> String {
        format!("{}-{seq}", self.run)
    }

    /// Until the engine is gone.
    pub async fn fill(self: Arc<Self>, mut events: broadcast::Receiver<Arc<Notice>>) {
        loop {
            match events.recv().await {
                Ok(notice) => self.push(notice),
                // The gap shows in the numbers.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    fn push(&self, notice: Arc<Notice>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if notice.seq != inner.newest + 1 {
            inner.kept.clear();
            inner.gone = notice.seq.saturating_sub(1);
        }
        inner.newest = notice.seq;
        if inner.kept.len() == KEPT
            && let Some(oldest) = inner.kept.pop_front()
        {
            inner.gone = oldest.seq;
        }
        inner.kept.push_back(notice.clone());
        self.live.send(notice).ok();
    }

    /// Listens from now on, or from after the event a reader had last.
    pub fn listen(&self, last: Option<&str>) -> Heard {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.live.subscribe();
        let after = last.map(|id| {
            let (run, seq) = id.trim().split_once('-').ok_or(Lost::OtherRun)?;
            let seq: u64 = seq.parse().map_err(|_| Lost::OtherRun)?;
            if run != self.run || seq > inner.newest {
                return Err(Lost::OtherRun);
            }
            if seq < inner.gone {
                Err(Lost::TooOld)
            } else {
                Ok(seq)
            }
        });
        let missed = match after {
            Some(Ok(after)) => inner
                .kept
                .iter()
                .filter(|notice| notice.seq > after)
                .cloned()
                .collect(),
            _ => Vec::new(),
        };
        Heard {
            missed,
            lost: after.and_then(Result::err),
            newest: inner.newest,
            live,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{TenantId, Wall};

    fn notice(seq: u64) -> Arc<Notice> {
        Arc::new(Notice {
            seq,
            tenant: TenantId(Uuid::nil()),
            kind: "call.ended",
            occurred_at: Wall::from_millis(0),
            data: serde_json::Value::Null,
        })
    }

    fn missed(heard: &Heard) -> Vec<u64> {
        heard.missed.iter().map(|notice| notice.seq).collect()
    }

    #[test]
    fn a_reader_goes_on_where_it_was_or_hears_that_it_cannot() {
        let ring = Ring::new(Uuid::from_u128(7 << 96));
        for seq in 1..=5 {
            ring.push(notice(seq));
        }
        assert!(missed(&ring.listen(None)).is_empty());
        assert_eq!(missed(&ring.listen(Some(&ring.id(3)))), [4, 5]);
        assert_eq!(missed(&ring.listen(Some(&ring.id(0)))), [1, 2, 3, 4, 5]);
        for other in ["0000aaaa-3", "3", "", &ring.id(6), "00000007-x"] {
            assert_eq!(
                ring.listen(Some(other)).lost,
                Some(Lost::OtherRun),
                "{other}"
            );
        }
        for seq in 6..=(KEPT as u64 + 5) {
            ring.push(notice(seq));
        }
        assert_eq!(ring.listen(Some(&ring.id(4))).lost, Some(Lost::TooOld));
        assert_eq!(ring.listen(Some(&ring.id(5))).missed.len(), KEPT);
        // A gap: what was before it cannot be told whole.
        ring.push(notice(KEPT as u64 + 9));
        assert_eq!(ring.listen(Some(&ring.id(9))).lost, Some(Lost::TooOld));
        assert_eq!(
            missed(&ring.listen(Some(&ring.id(KEPT as u64 + 8)))),
            [KEPT as u64 + 9]
        );
    }

    #[test]
    fn what_comes_while_one_begins_to_listen_is_neither_missed_nor_told_twice() {
        let ring = Ring::new(Uuid::nil());
        ring.push(notice(1));
        let mut heard = ring.listen(Some(&ring.id(0)));
        ring.push(notice(2));
        assert_eq!(missed(&heard), [1]);
        assert_eq!(heard.live.try_recv().unwrap().seq, 2);
    }
}
