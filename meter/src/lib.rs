//! Counting, and telling what was counted.
//!
//! Map: `count` (counts and histograms: plain atomics, so that whoever counts waits for nobody) · `page` (what Prometheus
//! reads, written when somebody asks).
//!
//! Invariant: nobody here knows what is counted.

mod count;
mod page;

pub use count::{ByWord, Count, Histogram, Ranges};
pub use page::{Page, Part, page};
