//! The writer before the database: one change after the other, each tried until it is in. What somebody waits for (an attempt, a
//! claim) is answered after its commit, or "unavailable" when the database is away for longer than patience lasts.

use super::Shop;
use model::*;
use std::collections::VecDeque;
use switch::{BeginRefused, ClaimRefused, Input, Persist};

/// Milliseconds an attempt or a claim waits for a database that is away.
const PATIENCE: u64 = 2000;
const BACK_OFF_FIRST: u64 = 20;
const BACK_OFF_MOST: u64 = 2000;

#[derive(Debug)]
pub enum Job {
    Claim {
        /// Names the claim, so that it can be repeated and taken back.
        claim: u64,
        campaign: CampaignId,
        at_most: u16,
        /// As the engine reads the clock when it asks.
        now: Wall,
    },
    Persist(Box<Persist>),
}

/// What the store does with attempts that are to begin.
#[derive(Clone, Debug, PartialEq)]
pub enum Mood {
    Commits,
    Refuses(BeginRefused),
    /// Commits, and the answer is lost.
    Mute,
    /// Neither commits nor answers.
    Gone,
}

/// What the database does with everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fine,
    /// Locked or gone: nothing is committed.
    Away,
    /// Commits, and says that it did not.
    Unknown,
}

#[derive(Default)]
pub(super) struct Writer {
    queue: VecDeque<Waiting>,
    back_off: u64,
    /// Claims that were given up and may have been committed.
    given_up: Vec<u64>,
}

struct Waiting {
    asked: u64,
    due: u64,
    job: Job,
}

/// What the writer's turn led to.
pub enum Turn {
    Nothing,
    /// Answers for the node, and whether the change at the head of the queue was written (`true`) or given up.
    Did {
        answers: Vec<Input>,
        settled: Option<CallId>,
    },
    /// The database is away: again at that time.
    Later(u64),
}

impl Shop {
    /// Queues a job; the moment it is due.
    pub(crate) fn queue(&mut self, ms: u64, wait: u64, job: Job) -> u64 {
        self.busy_until = self.busy_until.max(ms + wait);
        let due = self.busy_until;
        self.writer.queue.push_back(Waiting {
            asked: ms,
            due,
            job,
        });
        due
    }

    /// Takes the first job if it is due.
    pub(crate) fn turn(&mut self, ms: u64) -> Turn {
        let Some(first) = self.writer.queue.front_mut() else {
            return Turn::Nothing;
        };
        if first.due > ms {
            return Turn::Nothing;
        }
        if self.weather != Weather::Fine {
            if self.weather == Weather::Unknown
                && let Some(first) = self.writer.queue.pop_front()
            {
                // Committed, and nobody is told. The same change comes again.
                let again = first.job.again();
                self.commit(first.job);
                let (asked, due) = (first.asked, first.due);
                self.writer.queue.push_front(Waiting {
                    asked,
                    due,
                    job: again,
                });
            }
            return self.wait(ms);
        }
        self.writer.back_off = 0;
        for claim in std::mem::take(&mut self.writer.given_up) {
            self.give_back(claim);
        }
        let Some(first) = self.writer.queue.pop_front() else {
            return Turn::Nothing;
        };
        let settled = match &first.job {
            Job::Persist(change) => match &**change {
                Persist::Finish(finish) => Some(finish.cdr.id),
                _ => None,
            },
            Job::Claim { .. } => None,
        };
        let answers = self.commit(first.job).into_iter().collect();
        Turn::Did { answers, settled }
    }

    /// The database is away. Who waits for an answer is told so in time.
    fn wait(&mut self, ms: u64) -> Turn {
        let writer = &mut self.writer;
        if let Some(first) = writer.queue.front()
            && ms.saturating_sub(first.asked) > PATIENCE
            && let Some(answer) = first.job.unavailable()
        {
            if let Job::Claim { claim, .. } = &first.job {
                writer.given_up.push(*claim);
            }
            writer.queue.pop_front();
            let answers = vec![answer];
            return Turn::Did {
                answers,
                settled: None,
            };
        }
        writer.back_off = (writer.back_off * 2).clamp(BACK_OFF_FIRST, BACK_OFF_MOST);
        let due = ms + writer.back_off;
        if let Some(first) = writer.queue.front_mut() {
            first.due = due;
        }
        Turn::Later(due)
    }

    /// One transaction.
    fn commit(&mut self, job: Job) -> Option<Input> {
        match job {
            Job::Claim {
                claim,
                campaign,
                at_most,
                now,
            } => Some(self.claim(claim, campaign, at_most, now)),
            Job::Persist(change) => match *change {
                Persist::Begin(begin) => {
                    let call = begin.call;
                    let result = match self.mood.clone() {
                        Mood::Gone => return None,
                        Mood::Refuses(refused) => Err(refused),
                        Mood::Commits | Mood::Mute => self.begin(&begin),
                    };
                    (self.mood != Mood::Mute).then_some(Input::Begun { call, result })
                }
                change => {
                    self.keep(change);
                    None
                }
            },
        }
    }
}

impl Job {
    fn again(&self) -> Job {
        match self {
            Job::Claim {
                claim,
                campaign,
                at_most,
                now,
            } => Job::Claim {
                claim: *claim,
                campaign: *campaign,
                at_most: *at_most,
                now: *now,
            },
            Job::Persist(change) => Job::Persist(change.clone()),
        }
    }

    fn unavailable(&self) -> Option<Input> {
        match self {
            Job::Claim { campaign, .. } => Some(Input::Claimed {
                campaign: *campaign,
                result: Err(ClaimRefused::Unavailable),
            }),
            Job::Persist(change) => match &**change {
                Persist::Begin(begin) => Some(Input::Begun {
                    call: begin.call,
                    result: Err(BeginRefused::Unavailable),
                }),
                _ => None,
            },
        }
    }
}
