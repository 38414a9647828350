//! Counts that many threads add to and one reads. Nothing waits, nothing is allocated.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, n: u64) {
        if n > 0 {
            self.0.fetch_add(n, Ordering::Relaxed);
        }
    }
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts by a word out of a short list. The list is learnt as its words come; what does not fit any more is not counted.
#[derive(Debug)]
pub struct ByWord([(OnceLock<&'static str>, Count); 40]);

impl Default for ByWord {
    fn default() -> ByWord {
        ByWord(std::array::from_fn(|_| Default::default()))
    }
}

impl ByWord {
    pub fn add(&self, word: &'static str) {
        let slot = self
            .0
            .iter()
            .find(|(name, _)| *name.get_or_init(|| word) == word);
        if let Some((_, count)) = slot {
            count.add(1);
        }
    }
    pub fn get(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let known = |(name, count): &(OnceLock<_>, Count)| Some((*name.get()?, count.get()));
        self.0.iter().filter_map(known)
    }
}

/// How often a duration was in which range; the bounds are milliseconds.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u32],
    /// One more than bounds: beyond the last.
    counts: Box<[Count]>,
    sum_us: Count,
}

impl Histogram {
    pub fn new(bounds: &'static [u32]) -> Histogram {
        Histogram {
            bounds,
            counts: (0..=bounds.len()).map(|_| Count::default()).collect(),
            sum_us: Count::default(),
        }
    }

    pub fn add(&self, took: Duration) {
        let bound = |ms: &u32| Duration::from_millis(u64::from(*ms)) < took;
        self.counts[self.bounds.partition_point(bound)].add(1);
        self.sum_us.add(took.as_micros() as u64);
    }

    pub fn get(&self) -> Ranges {
        let bounds = self.bounds.iter().map(|ms| f64::from(*ms) / 1000.0);
        let counts = self.counts.iter().map(Count::get);
        let ranges: Vec<_> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        Ranges {
            sum: self.sum_us.get() as f64 / 1e6,
            number: ranges.iter().map(|(_, count)| count).sum(),
            ranges,
        }
    }
}

/// What a histogram holds, in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranges {
    pub sum: f64,
    pub number: u64,
    /// How many are in each range, by its upper bound.
    pub ranges: Vec<(f64, u64)>,
}

impl Ranges {
    /// Those of several histograms with the same bounds together.
    pub fn and(mut self, other: Ranges) -> Ranges {
        self.sum += other.sum;
        self.number += other.number;
        if self.ranges.is_empty() {
            self.ranges = other.ranges;
        } else {
            for (mine, theirs) in self.ranges.iter_mut().zip(other.ranges) {
                mine.1 += theirs.1;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_range_it_is_the_edge_of() {
        let histogram = Histogram::new(&[10, 100]);
        for ms in [5, 10, 11, 100, 101] {
            histogram.add(Duration::from_millis(ms));
        }
        let told = histogram.get();
        assert_eq!((told.sum, told.number), (0.227, 5));
        assert_eq!(told.ranges, [(0.01, 2), (0.1, 2), (f64::INFINITY, 1)]);
        assert_eq!(
            Ranges::default().and(told.clone()).and(told).ranges[0],
            (0.01, 4)
        );
    }

    #[test]
    fn words_are_counted_apart_and_beyond_the_list_not_at_all() {
        let words = ByWord::default();
        for _ in 0..3 {
            words.add("busy");
        }
        words.add("answered");
        assert_eq!(
            words.get().collect::<Vec<_>>(),
            [("busy", 3), ("answered", 1)]
        );
        for n in 0..100 {
            words.add(Box::leak(n.to_string().into_boxed_str()));
        }
        assert_eq!(words.get().count(), 40);
    }
}
