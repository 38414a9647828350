//! The smallest plan that still breaks the same rule. Greedy, and the same every time: take a part away, play, keep what still fails.

use crate::log::Log;
use crate::peer::Manner;
use crate::plan::Plan;
use crate::play::play;
use crate::stage::Network;
use crate::watch::Violation;

/// Plays after which the smallest found so far is good enough.
const TRIES: u32 = 1500;

/// A plan that fails, and how.
#[derive(Clone, Debug)]
pub struct Found {
    pub plan: Plan,
    pub violation: Violation,
    /// Plays it took.
    pub tries: u32,
}

/// `None` when the plan does not fail.
pub fn shrink(plan: &Plan) -> Option<Found> {
    let violation = play(plan, Log::Nowhere).violation?;
    let mut search = Search {
        best: Found {
            plan: plan.clone(),
            violation,
            tries: 1,
        },
    };
    // What goes wrong at one moment may miss it when others are taken away: let it go wrong all the time first.
    search.fewer(|plan| &mut plan.troubles);
    for n in 0..search.best.plan.troubles.len() {
        search.tries(|plan| {
            let trouble = &mut plan.troubles[n];
            if trouble.lasts > 0 {
                (trouble.ms, trouble.lasts) = (1, 60_000);
            }
        });
    }
    while search.best.tries < TRIES && search.round() {}
    Some(search.best)
}

struct Search {
    best: Found,
}

impl Search {
    /// Keeps a plan that breaks the same rule.
    fn keeps(&mut self, plan: Plan) -> bool {
        if plan == self.best.plan || self.best.tries >= TRIES {
            return false;
        }
        self.best.tries += 1;
        let outcome = play(&plan, Log::Nowhere);
        let before = &self.best.violation;
        match outcome.violation {
            Some(violation) if (violation.law, violation.rule) == (before.law, before.rule) => {
                self.best.plan = plan;
                self.best.violation = violation;
                true
            }
            _ => false,
        }
    }

    fn tries(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        let mut plan = self.best.plan.clone();
        change(&mut plan);
        self.keeps(plan)
    }

    /// Everything once. Says whether anything went.
    fn round(&mut self) -> bool {
        let mut smaller = self.fewer(|plan| &mut plan.leads);
        smaller |= self.fewer(|plan| &mut plan.troubles);
        smaller |= self.fewer(|plan| &mut plan.kills);
        smaller |= self.tries(|plan| plan.network = Network::CALM)
            || self.tries(|plan| plan.network.loss = 0)
            || self.tries(|plan| plan.network.duplicates = 0);
        smaller |= self.tries(|plan| plan.balance = 1_000_000);
        smaller |= self.tries(|plan| plan.lines = 1)
            || self.tries(|plan| plan.lines = plan.lines.div_ceil(2));
        for n in 0..self.best.plan.leads.len() {
            smaller |= self.simpler(n);
        }
        for n in 0..self.best.plan.troubles.len() {
            smaller |= self.less(|plan| &mut plan.troubles[n].lasts);
            smaller |= self.less(|plan| &mut plan.troubles[n].ms);
        }
        for n in 0..self.best.plan.kills.len() {
            smaller |= self.less(|plan| &mut plan.kills[n].after);
            smaller |= self.tries(|plan| plan.kills[n].effects = 0);
        }
        smaller
    }

    /// Takes halves, quarters … single ones away.
    fn fewer<T>(&mut self, list: impl Fn(&mut Plan) -> &mut Vec<T>) -> bool {
        let mut smaller = false;
        let mut part = list(&mut self.best.plan).len();
        while part > 0 {
            let mut from = 0;
            while from < list(&mut self.best.plan).len() {
                let gone = self.tries(|plan| {
                    let list = list(plan);
                    let to = (from + part).min(list.len());
                    list.drain(from..to);
                });
                smaller |= gone;
                if !gone {
                    from += part;
                }
            }
            part /= 2;
        }
        smaller
    }

    /// Halves a time, or rounds it down to its tens.
    fn less(&mut self, time: impl Fn(&mut Plan) -> &mut u64) -> bool {
        let mut smaller = false;
        while *time(&mut self.best.plan) > 1 && self.tries(|plan| *time(plan) /= 2) {
            smaller = true;
        }
        smaller
    }

    /// A callee who does less.
    fn simpler(&mut self, n: usize) -> bool {
        let Manner::Answers { lines, .. } = self.best.plan.leads[n].manner.clone() else {
            return false;
        };
        let plain = Manner::answers();
        if self.tries(|plan| plan.leads[n].manner = plain) {
            return true;
        }
        let mut smaller = false;
        for keep in 0..lines.len() {
            let fewer = lines[..keep].into();
            let shorter = self.tries(|plan| {
                if let Manner::Answers { lines, .. } = &mut plan.leads[n].manner {
                    *lines = fewer;
                }
            });
            if shorter {
                smaller = true;
                break;
            }
        }
        smaller |= self.tries(|plan| {
            if let Manner::Answers {
                early, drift, mute, ..
            } = &mut plan.leads[n].manner
            {
                (*early, *drift, *mute) = (false, 0, None);
            }
        });
        smaller
    }
}
