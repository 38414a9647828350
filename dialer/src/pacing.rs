//! How many calls may begin now.

use model::Mono;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// What is allowed at once. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lines {
    pub campaign: u32,
    /// Robot calls of the tenant over all campaigns.
    pub tenant: Option<u32>,
    /// Calls on the trunk, whoever makes them; gateway ports and SIM lines are one too.
    pub trunk: Option<u32>,
    /// Beginnings the trunk still takes now (`StartRate::allowed`).
    pub starts: Option<u32>,
    /// Robot calls recognition can keep up with.
    pub recognition: Option<u32>,
}

/// What is up or on its way: claimed leads count, since each may become a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InUse {
    pub campaign: u32,
    pub tenant: u32,
    pub trunk: u32,
    pub robots: u32,
}

/// Which limit decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    Campaign,
    Tenant,
    Trunk,
    CallsPerSecond,
    Recognition,
}

impl Limit {
    /// As it stands in a sentence: "as many calls are up as … allows".
    pub fn phrase(self) -> &'static str {
        match self {
            Limit::Campaign => "the campaign's lines",
            Limit::Tenant => "the enterprise's robot lines",
            Limit::Trunk => "the trunk's calls at once",
            Limit::CallsPerSecond => "the trunk's calls a second",
            Limit::Recognition => "speech recognition on this machine",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Free {
    pub lines: u16,
    /// The tightest; of equals, the campaign's own, then as listed.
    pub bound_by: Limit,
}

/// Robot mode: a robot takes every answer, so each free line is one call.
pub fn free_lines(lines: &Lines, in_use: &InUse) -> Free {
    let limits = [
        (
            Limit::Campaign,
            Some(lines.campaign.saturating_sub(in_use.campaign)),
        ),
        (
            Limit::Tenant,
            lines.tenant.map(|most| most.saturating_sub(in_use.tenant)),
        ),
        (
            Limit::Trunk,
            lines.trunk.map(|most| most.saturating_sub(in_use.trunk)),
        ),
        (Limit::CallsPerSecond, lines.starts),
        (
            Limit::Recognition,
            lines
                .recognition
                .map(|most| most.saturating_sub(in_use.robots)),
        ),
    ];
    let mut tightest = (Limit::Campaign, u32::MAX);
    for (limit, left) in limits {
        if let Some(left) = left.filter(|left| *left < tightest.1) {
            tightest = (limit, left);
        }
    }
    Free {
        lines: u16::try_from(tightest.1).unwrap_or(u16::MAX),
        bound_by: tightest.0,
    }
}

/// Calls per second of one trunk: never more than that many beginnings within any second.
#[derive(Clone, Debug)]
pub struct StartRate {
    per_second: u32,
    starts: VecDeque<Mono>,
}

const SECOND: Duration = Duration::from_secs(1);

impl StartRate {
    /// 0 is no limit.
    pub fn new(per_second: u32) -> StartRate {
        StartRate {
            per_second,
            starts: VecDeque::new(),
        }
    }

    pub fn set(&mut self, per_second: u32) {
        self.per_second = per_second;
    }

    /// How many may begin now; `None` is any number.
    pub fn allowed(&mut self, now: Mono) -> Option<u32> {
        if self.per_second == 0 {
            return None;
        }
        self.forget(now);
        Some(self.per_second.saturating_sub(self.starts.len() as u32))
    }

    pub fn started(&mut self, now: Mono) {
        if self.per_second > 0 {
            self.forget(now);
            self.starts.push_back(now);
        }
    }

    /// When the next may begin, if none may now.
    pub fn next_free(&self) -> Option<Mono> {
        let over = self
            .starts
            .len()
            .checked_sub(self.per_second.max(1) as usize)?;
        self.starts.get(over).map(|start| *start + SECOND)
    }

    fn forget(&mut self, now: Mono) {
        while self
            .starts
            .front()
            .is_some_and(|start| now.since(*start) >= SECOND)
        {
            self.starts.pop_front();
        }
    }
}
