//! Deadlines in a heap. Cancelling forgets the entry; the heap drops it when it comes to the top or when too many are stale.

use crate::chance::Keyed;
use model::Mono;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerId(u64);

pub struct Timers<T> {
    heap: BinaryHeap<Reverse<(Mono, TimerId)>>,
    live: HashMap<TimerId, T, Keyed>,
    next: u64,
}

impl<T> Timers<T> {
    pub fn new(hasher: Keyed) -> Timers<T> {
        Timers {
            heap: BinaryHeap::new(),
            live: HashMap::with_hasher(hasher),
            next: 0,
        }
    }

    pub fn set(&mut self, at: Mono, what: T) -> TimerId {
        let id = TimerId(self.next);
        self.next += 1;
        self.heap.push(Reverse((at, id)));
        self.live.insert(id, what);
        id
    }

    pub fn cancel(&mut self, id: TimerId) {
        self.live.remove(&id);
        if self.heap.len() > 64 + 2 * self.live.len() {
            let live = &self.live;
            self.heap.retain(|Reverse((_, id))| live.contains_key(id));
        }
        self.settle();
    }

    /// So that the top is live and `next` needs no search.
    fn settle(&mut self) {
        while let Some(Reverse((_, id))) = self.heap.peek() {
            if self.live.contains_key(id) {
                break;
            }
            self.heap.pop();
        }
    }

    pub fn pop_due(&mut self, now: Mono) -> Option<T> {
        let Reverse((at, id)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        let what = self.live.remove(&id);
        self.settle();
        what
    }

    pub fn next(&self) -> Option<Mono> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    #[test]
    fn a_cancelled_timer_neither_fires_nor_shows() {
        let mut timers = Timers::new(Chance::new([1; 32]).hasher());
        let ms = Mono::from_millis;
        let first = timers.set(ms(10), "first");
        timers.set(ms(20), "second");
        timers.cancel(first);
        assert_eq!(timers.next(), Some(ms(20)));
        assert_eq!(timers.pop_due(ms(19)), None);
        assert_eq!(timers.pop_due(ms(20)), Some("second"));
        assert_eq!((timers.next(), timers.is_empty()), (None, true));
    }

    #[test]
    fn stale_entries_do_not_pile_up() {
        let mut timers = Timers::new(Chance::new([1; 32]).hasher());
        let keep = timers.set(Mono::ZERO, 0);
        for n in 1..10_000 {
            let id = timers.set(Mono::from_millis(n), n);
            timers.cancel(id);
        }
        assert!(timers.heap.len() < 100);
        timers.cancel(keep);
        assert!(timers.is_empty() && timers.next().is_none());
    }
}
