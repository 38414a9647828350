//! What the store counts, and how much of everything there is.

use crate::db::sql;
use crate::error::StoreError;
use crate::scope::Platform;
use crate::store::Store;
use meter::{Count, Histogram, Page, Part, Ranges};
use std::fmt;

const COMMIT_MS: &[u32] = &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000];

#[derive(Debug)]
pub(crate) struct Counts {
    /// Of the writer's transactions.
    pub commits: Histogram,
    /// Batches that found the database away.
    pub repeats: Count,
}

impl Default for Counts {
    fn default() -> Counts {
        Counts {
            commits: Histogram::new(COMMIT_MS),
            repeats: Count::default(),
        }
    }
}

/// A moment's counts.
#[derive(Debug)]
pub struct Counted {
    waiting: usize,
    commits: Ranges,
    repeats: u64,
}

/// Rows by state, over all enterprises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct States {
    pub campaigns: Vec<(String, u64)>,
    pub leads: Vec<(String, u64)>,
}

impl Store {
    pub fn counted(&self) -> Counted {
        let counts = &self.lanes.counts;
        Counted {
            waiting: self.lanes.waiting(),
            commits: counts.commits.get(),
            repeats: counts.repeats.get(),
        }
    }

    /// Reads every lead's index entry: for a look now and then, not for each.
    pub async fn states(&self, _: &Platform) -> Result<States, StoreError> {
        let campaigns = sql("SELECT state, count(*) AS n FROM campaigns GROUP BY state");
        let leads = sql("SELECT state, count(*) AS n FROM leads GROUP BY state");
        let mut states = States::default();
        for (statement, to) in [
            (campaigns, &mut states.campaigns),
            (leads, &mut states.leads),
        ] {
            for row in statement.all(&self.db).await? {
                to.push((row.get("state")?, row.get("n")?));
            }
        }
        Ok(states)
    }
}

impl Part for Counted {
    fn tell(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge(
            "huying_writer_waiting",
            "Changes of calls that are not written yet",
            self.waiting as f64,
        )?;
        page.counter(
            "huying_writer_repeats",
            "Times a batch was tried again because the database was away",
            self.repeats as f64,
        )?;
        page.histogram(
            "huying_db_commit_seconds",
            "Commits of call changes, until they are durable",
            self.commits.clone(),
        )
    }
}

impl Part for States {
    fn tell(&self, page: &mut Page<'_>) -> fmt::Result {
        let rows = |of: &[(String, u64)]| -> Vec<_> {
            of.iter()
                .map(|(state, n)| ([state.clone()], *n as f64))
                .collect()
        };
        page.gauges(
            "huying_campaigns",
            "Campaigns by state",
            ["state"],
            rows(&self.campaigns),
        )?;
        page.gauges(
            "huying_leads",
            "Leads by state, as of a minute ago at most",
            ["state"],
            rows(&self.leads),
        )
    }
}
