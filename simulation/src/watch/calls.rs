//! Calls as seen from outside: asked for, committed, invited, answered, over, recorded. And the legs and ports they use.

use super::{At, FORGOTTEN, Law, Record, Verdict, must};
use billing::Rate;
use bots::{Counters, MatchKind, TurnRecord};
use model::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use switch::{Begin, Finish, MediaCommand};

/// A heartbeat of the journal, the most that is charged too little after a kill.
const BEAT: u64 = 2000;

/// A call whose attempt the node has asked for.
struct Known {
    begin: Begin,
    /// The commit, and what it reserved.
    committed: Option<Option<Money>>,
    /// The node knows of the commit.
    told: bool,
    invited: bool,
    answered: Option<At>,
    /// The first BYE, either way.
    hung_up: Option<u64>,
    /// When its end was noted.
    over: Option<u64>,
    /// When the process died under it.
    killed: Option<u64>,
}

/// An INVITE for a lead's number, and what it belongs to.
pub(super) struct Invited {
    pub call: CallId,
    pub lead: Option<LeadId>,
    pub campaign: Option<CampaignId>,
    /// When the attempt was asked for.
    pub begun_at: Wall,
}

#[derive(Default)]
pub(super) struct Calls {
    /// Until their record is committed.
    known: BTreeMap<CallId, Known>,
    by_number: HashMap<String, Vec<CallId>>,
    by_dialog: HashMap<String, CallId>,
    /// Of this life of the process: asked for, and not over.
    live: usize,
    /// Some calls are people's, which need no attempt: the node has more than are known here.
    people: bool,
    /// Records that left the node; and those that are committed.
    finished: HashSet<CallId>,
    recorded: HashSet<CallId>,
    legs: HashMap<LegId, Leg>,
    ports: HashMap<u16, LegId>,
    open: usize,
}

struct Leg {
    port: u16,
    closing: bool,
}

fn law(holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> Verdict {
    must(holds, Law::Calls, rule, what)
}

impl Calls {
    pub fn asked(&mut self, begin: &Begin) -> Verdict {
        let id = begin.call;
        let fresh = !self.known.contains_key(&id)
            && !self.finished.contains(&id)
            && !self.recorded.contains(&id);
        law(fresh, "a call begins once", || format!("{id} begins again"))?;
        self.by_number
            .entry(begin.callee.clone())
            .or_default()
            .push(id);
        self.live += 1;
        self.people |= begin.lead.is_none();
        let known = Known {
            begin: begin.clone(),
            committed: None,
            told: false,
            invited: false,
            answered: None,
            hung_up: None,
            over: None,
            killed: None,
        };
        self.known.insert(id, known);
        Ok(())
    }

    /// Somebody calls in, for which no attempt is needed.
    pub fn people(&mut self) {
        self.people = true;
    }

    /// The attempt is committed.
    pub fn begun(&mut self, call: CallId, reserved: Option<Money>) {
        if let Some(known) = self.known.get_mut(&call) {
            known.committed = Some(reserved);
        }
    }

    /// The node is told.
    pub fn told(&mut self, call: CallId, yes: bool) {
        if let Some(known) = self.known.get_mut(&call) {
            known.told |= yes && known.committed.is_some();
        }
    }

    /// A first INVITE to a mobile left. `None`: it is a repetition.
    pub fn invited(
        &mut self,
        at: At,
        dialog: &str,
        number: &str,
    ) -> Result<Option<Invited>, super::Breach> {
        if self.by_dialog.contains_key(dialog) {
            return Ok(None);
        }
        let ids = self.by_number.get(number).map_or(&[][..], Vec::as_slice);
        let ready = |id: &&CallId| {
            self.known.get(id).is_some_and(|known| {
                known.told && !known.invited && known.over.is_none() && known.killed.is_none()
            })
        };
        let Some(id) = ids.iter().find(ready).copied() else {
            let rule = "no INVITE without a committed attempt";
            let what = format!("to {number} at {}", at.now.wall.rfc3339());
            return must(false, Law::Wire, rule, || what).map(|()| None);
        };
        self.by_dialog.insert(dialog.to_owned(), id);
        let Some(known) = self.known.get_mut(&id) else {
            return Ok(None);
        };
        known.invited = true;
        Ok(Some(Invited {
            call: id,
            lead: known.begin.lead,
            campaign: known.begin.campaign,
            begun_at: known.begin.at,
        }))
    }

    pub fn answered(&mut self, at: At, call: CallId) -> Verdict {
        let Some(known) = self.known.get_mut(&call) else {
            self.people = true;
            let over = self.finished.contains(&call);
            return law(!over, "terminal is final", || {
                format!("{call} is answered after its end")
            });
        };
        let robot = known.begin.lead.is_some();
        let in_order =
            (known.invited || !robot) && known.over.is_none() && known.answered.is_none();
        known.answered.get_or_insert(at);
        law(in_order, "states along the graph", || {
            format!("{call} is answered out of order")
        })
    }

    pub fn hung_up(&mut self, at: At, dialog: &str) {
        let call = self.by_dialog.get(dialog);
        if let Some(known) = call.and_then(|call| self.known.get_mut(call)) {
            known.hung_up.get_or_insert(at.ms);
        }
    }

    /// Its end is noted.
    pub fn over(&mut self, at: At, call: CallId) {
        if let Some(known) = self.known.get_mut(&call) {
            known.over.get_or_insert(at.ms);
        }
    }

    /// Its record leaves the node.
    pub fn finished(&mut self, at: At, finish: &Finish) -> Verdict {
        let cdr = &finish.cdr;
        let id = cdr.id;
        law(self.finished.insert(id), "one record each", || {
            format!("{id} has two records")
        })?;
        let ring = cdr.ringing_at.unwrap_or(cdr.started_at);
        let answer = cdr.answered_at.unwrap_or(ring);
        let ordered = cdr.started_at <= ring && ring <= answer && answer <= cdr.ended_at;
        law(ordered, "ring ≤ answer ≤ end", || {
            format!("{id}: {cdr:?}")
        })?;
        let answered = cdr.disposition == Disposition::Answered;
        law(
            answered == cdr.answered_at.is_some(),
            "answered is answered",
            || format!("{id}: {cdr:?}"),
        )?;
        let sound = cdr.termination.text != "internal error";
        law(sound, "no panic", || format!("{id} met a defect"))?;
        let Some(known) = self.known.get_mut(&id) else {
            self.people = true;
            return law(cdr.charge == Money::ZERO, "no attempt, no charge", || {
                format!("{id}: {cdr:?}")
            });
        };
        self.live -= 1;
        known.over.get_or_insert(at.ms);
        law(
            known.answered.is_some() == answered,
            "answered is answered",
            || format!("{id}: the record says {:?}", cdr.disposition),
        )?;
        if known.begin.lead.is_some() {
            law(
                known.invited || cdr.disposition == Disposition::Refused,
                "what never left does not count",
                || format!("{id}: {:?} without an INVITE", cdr.disposition),
            )?;
            law(
                known.answered.is_none() || finish.grade.is_some(),
                "an answered lead has a grade",
                || format!("{id}: {cdr:?}"),
            )?;
        }
        if let Some(grade) = &finish.grade
            && answered
        {
            let counted = recount(&finish.turns);
            law(
                grade.counters == counted,
                "the grade counts its turns",
                || format!("{id}: {:?}, its turns say {counted:?}", grade.counters),
            )?;
            let letter = letter(&counted);
            law(grade.grade == letter, "the grade is §5.1's", || {
                format!("{id}: {} where {counted:?} is {letter}", grade.grade)
            })?;
        }
        let talk = match (known.answered, known.hung_up) {
            (Some(from), Some(to)) if known.begin.lead.is_some() => to.saturating_sub(from.ms),
            _ => cdr.talk_ms,
        };
        law(cdr.talk_ms.abs_diff(talk) <= 1, "talk as measured", || {
            format!("{id}: {} ms of talk, the wire says {talk}", cdr.talk_ms)
        })?;
        let reserved = known.committed.flatten().unwrap_or_default();
        let due = match (&known.begin.reserve, known.answered) {
            (Some(reserve), Some(_)) => price(&reserve.rate, cdr.talk_ms).min(reserved),
            _ => Money::ZERO,
        };
        law(cdr.charge == due, "charged by talk and rate", || {
            format!("{id}: {} for {} ms, {due} is due", cdr.charge, cdr.talk_ms)
        })
    }

    /// Its record is committed.
    pub fn recorded(&mut self, record: &Record) -> Verdict {
        let id = record.call;
        law(self.recorded.insert(id), "one record each", || {
            format!("{id} is recorded twice")
        })?;
        let Some(known) = self.known.remove(&id) else {
            return Ok(());
        };
        if let Some(ids) = self.by_number.get_mut(&known.begin.callee) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_number.remove(&known.begin.callee);
            }
        }
        if let Some(at) = known.killed.filter(|_| known.over.is_none()) {
            return interrupted(&known, at, record);
        }
        let forgotten = known
            .killed
            .is_some_and(|at| at - known.over.unwrap_or(at) <= FORGOTTEN);
        if record.disposition != Disposition::Interrupted {
            return Ok(());
        }
        law(forgotten, "an end is not forgotten", || {
            format!("{id} ended and is recorded as interrupted")
        })
    }

    pub fn media(&mut self, command: &MediaCommand) -> Verdict {
        match command {
            MediaCommand::Open { leg, port, .. } => {
                let port = *port;
                let taken = self.ports.insert(port, *leg);
                law(taken.is_none(), "a port is one leg's", || {
                    format!("port {port} is opened twice")
                })?;
                let fresh = Leg {
                    port,
                    closing: false,
                };
                self.open += 1;
                let before = self.legs.insert(*leg, fresh);
                law(before.is_none(), "a leg opens once", || {
                    format!("leg {} again", leg.0)
                })
            }
            MediaCommand::Plain(media::Command::Close { leg }) => {
                let Some(found) = self.legs.get_mut(leg) else {
                    return Ok(());
                };
                let twice = std::mem::replace(&mut found.closing, true);
                self.open -= usize::from(!twice);
                law(!twice, "a leg closes once", || {
                    format!("leg {} again", leg.0)
                })
            }
            _ => Ok(()),
        }
    }

    /// The worker has let go of a leg.
    pub fn released(&mut self, leg: LegId) {
        if let Some(gone) = self.legs.remove(&leg) {
            self.ports.remove(&gone.port);
            self.open -= usize::from(!gone.closing);
        }
    }

    pub fn stepped(&mut self, calls: usize) -> Verdict {
        if self.people {
            let fits = calls >= self.live && (calls > 0 || self.open == 0);
            return law(fits, "legs belong to live calls", || {
                format!(
                    "{} live, {calls} in the node, {} legs open",
                    self.live, self.open
                )
            });
        }
        law(
            calls == self.live && self.open <= self.live,
            "legs belong to live calls",
            || {
                format!(
                    "{} live, {calls} in the node, {} legs open",
                    self.live, self.open
                )
            },
        )
    }

    pub fn killed(&mut self, at: At) {
        for known in self.known.values_mut() {
            known.killed.get_or_insert(at.ms);
        }
        // What was not committed never was.
        let gone = |known: &Known| known.committed.is_none();
        for (id, known) in &self.known {
            if gone(known)
                && let Some(ids) = self.by_number.get_mut(&known.begin.callee)
            {
                ids.retain(|other| other != id);
            }
        }
        self.known.retain(|_, known| !gone(known));
        self.by_dialog.clear();
        self.legs.clear();
        self.ports.clear();
        (self.live, self.open) = (0, 0);
    }

    pub fn closed(&mut self) -> Verdict {
        let open = self
            .known
            .iter()
            .find(|(_, known)| known.committed.is_some());
        law(open.is_none(), "one record each", || {
            open.map_or(String::new(), |(id, known)| {
                format!("{id} to {} has none", known.begin.callee)
            })
        })?;
        law(self.live == 0, "nothing is left", || {
            format!("{} calls live", self.live)
        })?;
        law(self.legs.is_empty(), "nothing is left", || {
            format!("{} legs", self.legs.len())
        })
    }
}

/// A call the process died under: charged to its last heartbeat, and nothing where nobody had answered.
fn interrupted(known: &Known, killed: u64, record: &Record) -> Verdict {
    let id = record.call;
    law(
        record.disposition == Disposition::Interrupted,
        "a kill interrupts",
        || format!("{id} is recorded as {:?}", record.disposition),
    )?;
    let (least, most) = match (known.answered, &known.begin.reserve) {
        (Some(at), Some(reserve)) => {
            let talked = killed.saturating_sub(at.ms);
            let known_to = talked.saturating_sub(BEAT + FORGOTTEN);
            let reserved = known.committed.flatten().unwrap_or_default();
            let price = |ms| price(&reserve.rate, ms).min(reserved);
            (price(known_to), price(talked.max(1)))
        }
        _ => (Money::ZERO, Money::ZERO),
    };
    law(
        (least..=most).contains(&record.charge),
        "charged to the last heartbeat",
        || format!("{id}: {}, between {least} and {most} is due", record.charge),
    )
}

/// Per started interval, the minimum included; nothing for no talk.
fn price(rate: &Rate, talk_ms: u64) -> Money {
    if talk_ms == 0 {
        return Money::ZERO;
    }
    let billed = talk_ms.max(rate.minimum().as_millis() as u64);
    let intervals = billed.div_ceil(rate.interval().as_millis() as u64);
    Money(rate.per_interval().0.saturating_mul(intervals as i64))
}

/// n, r, a, q of §5.1, counted again.
fn recount(turns: &[TurnRecord]) -> Counters {
    let mut counters = Counters::default();
    let mut asked: Vec<&str> = Vec::new();
    for turn in turns.iter().filter(|turn| turn.counted) {
        counters.n += 1;
        match turn.matched.as_ref().map(|matched| &matched.kind) {
            Some(MatchKind::Negative { ignored: false }) => counters.r += 1,
            Some(MatchKind::Positive) => counters.a += 1,
            Some(MatchKind::Question { id }) if !asked.contains(&id.as_str()) => {
                asked.push(id);
                counters.q += 1;
            }
            _ => {}
        }
    }
    counters
}

/// The table of §5.1 for a person who was reached.
fn letter(counters: &Counters) -> Grade {
    let Counters { n, r, a, q } = *counters;
    if r >= 3 || (r == 2 && n < 5) || (r == 1 && n < 3) {
        Grade::D
    } else if a >= 1 || q >= 2 || n >= 5 {
        Grade::A
    } else if q == 1 || n == 4 {
        Grade::B
    } else if n >= 2 {
        Grade::C
    } else {
        Grade::D
    }
}
