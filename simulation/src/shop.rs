//! The database in memory: leads, attempts, what is known of numbers, a real ledger. What it does is what `store` does, change by
//! change: each is a transaction and idempotent. `writer` is the queue before it.

mod claims;
mod writer;

pub(crate) use writer::{Job, Turn};
pub use writer::{Mood, Weather};

use crate::watch::{Fact, Record};
use billing::{Ledger, Posting, Reservation};
use dialer::{Lead, LeadState};
use model::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use switch::{Begin, BeginRefused, Finish, Noted, Persist};
use writer::Writer;

/// How long a lead whose attempt never left rests.
const REST: Duration = Duration::from_secs(30);

pub struct Row {
    pub lead: Lead,
    pub due: Wall,
    /// Of which claim, while it is claimed.
    claim: u64,
}

pub struct Attempt {
    pub begin: Begin,
    pub reservation: Option<Reservation>,
    pub finished: bool,
}

/// What is known of a number, whichever list it stands on.
#[derive(Default)]
struct Facts {
    /// Attempts, newest last.
    recent: Vec<Wall>,
    last: Option<dialer::LastAttempt>,
    refused_at: Option<Wall>,
    suppressed: bool,
    live: Option<CallId>,
}

/// Books kept wrong on purpose, to see that the judge sees it. For tests.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A call is charged double.
    ChargesTwice,
    /// Busy numbers may be called again at once.
    ForgetsSpacing,
    /// What a claim took whose answer was lost stays claimed.
    ForgetsClaims,
}

pub struct Shop {
    writer: Writer,
    /// Milliseconds, least and most.
    pub delay: (u64, u64),
    pub busy_until: u64,
    pub mood: Mood,
    pub weather: Weather,
    pub ledger: Ledger,
    pub leads: BTreeMap<LeadId, Row>,
    pub attempts: BTreeMap<CallId, Attempt>,
    /// Records, in the order of their commits; empty when they are only counted.
    pub finishes: Vec<Arc<Finish>>,
    /// `Answered A`, and how often.
    pub outcomes: BTreeMap<String, u64>,
    pub denied: Vec<(LeadId, dialer::Rule)>,
    pub unclaimed: usize,
    pub claims: usize,
    /// Registrations by contact.
    pub bound: BTreeMap<String, sip::Binding>,
    /// Whether records are kept or only counted.
    pub keeps: bool,
    #[doc(hidden)]
    pub flaw: Option<Flaw>,
    numbers: HashMap<String, Facts>,
    /// Leads that wait, by campaign and due time.
    waiting: BTreeMap<CampaignId, BTreeSet<(Wall, LeadId)>>,
    claimed: BTreeSet<LeadId>,
    /// Attempts that are not over.
    open: BTreeSet<CallId>,
    recorded: std::collections::HashSet<CallId>,
    facts: Vec<Fact>,
}

impl Default for Shop {
    fn default() -> Shop {
        Shop {
            writer: Writer::default(),
            delay: (2, 15),
            busy_until: 0,
            mood: Mood::Commits,
            weather: Weather::Fine,
            ledger: Ledger::new(),
            leads: BTreeMap::new(),
            attempts: BTreeMap::new(),
            finishes: Vec::new(),
            outcomes: BTreeMap::new(),
            denied: Vec::new(),
            unclaimed: 0,
            claims: 0,
            bound: BTreeMap::new(),
            keeps: true,
            flaw: None,
            numbers: HashMap::new(),
            waiting: BTreeMap::new(),
            claimed: BTreeSet::new(),
            open: BTreeSet::new(),
            recorded: std::collections::HashSet::new(),
            facts: Vec::new(),
        }
    }
}

impl Shop {
    /// What was committed since the last time.
    pub(crate) fn facts(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.facts)
    }

    pub fn add(&mut self, lead: Lead, due: Wall) {
        let id = lead.id;
        let row = Row {
            lead,
            due,
            claim: 0,
        };
        self.leads.insert(id, row);
        self.file(id);
    }

    /// On the do-not-call list, and out of every queue.
    pub fn suppress(&mut self, number: &E164) {
        let facts = self.numbers.entry(number.as_str().to_owned()).or_default();
        if std::mem::replace(&mut facts.suppressed, true) {
            return;
        }
        self.facts
            .push(Fact::Suppressed(number.as_str().to_owned()));
        let queued = |row: &&Row| row.lead.number == *number && row.lead.state.kind().waits();
        let rule = dialer::Rule::DoNotCall;
        let ids: Vec<LeadId> = self
            .leads
            .values()
            .filter(queued)
            .map(|row| row.lead.id)
            .collect();
        for id in ids {
            self.set(id, LeadState::Suppressed { rule });
        }
    }

    pub fn post(&mut self, posting: Posting) {
        if self.ledger.apply(posting.clone()) == Ok(billing::Applied::New) {
            self.facts.push(Fact::Posted(posting));
        }
    }

    /// Puts a lead into the index its state belongs to, and out of the others.
    fn file(&mut self, id: LeadId) {
        let Some(row) = self.leads.get(&id) else {
            return;
        };
        let kind = row.lead.state.kind();
        if let Some(campaign) = row.lead.campaign {
            let waiting = self.waiting.entry(campaign).or_default();
            match kind.waits() {
                true => waiting.insert((row.due, id)),
                false => waiting.remove(&(row.due, id)),
            };
        }
        match kind {
            dialer::LeadStateKind::Claimed => self.claimed.insert(id),
            _ => self.claimed.remove(&id),
        };
    }

    fn unfile(&mut self, id: LeadId) {
        let Some(row) = self.leads.get(&id) else {
            return;
        };
        if let Some(waiting) = row.lead.campaign.and_then(|id| self.waiting.get_mut(&id)) {
            waiting.remove(&(row.due, id));
        }
    }

    fn set(&mut self, id: LeadId, state: LeadState) {
        self.unfile(id);
        let Some(row) = self.leads.get_mut(&id) else {
            return;
        };
        row.lead.state = state;
        if let LeadState::Retry { due } = state {
            row.due = due;
        }
        self.facts.push(Fact::Placed { lead: id, state });
        self.file(id);
    }

    /// A lead's state after its claim or its attempt; only if it still is where they left it.
    fn place(&mut self, id: LeadId, call: Option<CallId>, state: LeadState, at: Wall) -> bool {
        let Some(row) = self.leads.get(&id) else {
            return false;
        };
        let there = match row.lead.state {
            LeadState::Claimed => true,
            LeadState::Dialling { call: on } => Some(on) == call,
            _ => false,
        };
        if there {
            self.unfile(id);
            if let Some(row) = self.leads.get_mut(&id)
                && state == LeadState::Queued
            {
                row.due = at + REST;
            }
            self.set(id, state);
        }
        there
    }

    fn begin(&mut self, begin: &Begin) -> Result<Option<Reservation>, BeginRefused> {
        // The commit of an earlier try was not lost after all.
        if let Some(there) = self.attempts.get(&begin.call) {
            return Ok(there.reservation);
        }
        let callee = begin.callee.clone();
        if let Some(lead) = begin.lead {
            let state = self.leads.get(&lead).map(|row| row.lead.state);
            let facts = self.numbers.entry(callee.clone()).or_default();
            if state != Some(LeadState::Claimed) || facts.live.is_some() || facts.suppressed {
                return Err(BeginRefused::LeadGone);
            }
        }
        let mut reservation = None;
        if let Some(reserve) = &begin.reserve {
            let available = self.ledger.available(begin.tenant);
            let quoted = billing::quote(&reserve.rate, available, reserve.at_most)
                .map_err(|_| BeginRefused::Balance)?;
            self.post(Posting::reserve(
                begin.tenant,
                begin.call,
                quoted.amount,
                begin.at,
            ));
            reservation = Some(quoted);
        }
        if let Some(lead) = begin.lead {
            self.set(lead, LeadState::Dialling { call: begin.call });
            let facts = self.numbers.entry(callee).or_default();
            facts.recent.push(begin.at);
            facts.live = Some(begin.call);
        }
        let reserved = reservation.map(|reservation| reservation.amount);
        self.facts.push(Fact::Begun {
            call: begin.call,
            reserved,
        });
        let attempt = Attempt {
            begin: begin.clone(),
            reservation,
            finished: false,
        };
        self.open.insert(begin.call);
        self.attempts.insert(begin.call, attempt);
        Ok(reservation)
    }

    fn keep(&mut self, change: Persist) {
        match change {
            Persist::Begin(_) | Persist::Note(_) | Persist::Beat(_) => {}
            Persist::Denied(denied) => {
                if self.place(denied.lead, None, denied.state, denied.at) && self.keeps {
                    self.denied.push((denied.lead, denied.rule));
                }
            }
            Persist::Unclaim { leads, .. } => {
                self.unclaimed += leads.len();
                for lead in leads {
                    let row = self.leads.get(&lead);
                    if row.is_some_and(|row| row.lead.state == LeadState::Claimed) {
                        self.set(lead, LeadState::Queued);
                    }
                }
            }
            Persist::Finish(finish) => self.finish(finish),
            Persist::Bound { binding, .. } => {
                self.bound
                    .insert(binding.contact.as_str().to_owned(), binding);
            }
            Persist::Unbound { contact, .. } => {
                self.bound.remove(&contact);
            }
        }
    }

    /// Record, money, lead: one transaction, once for each call.
    pub(crate) fn finish(&mut self, finish: Arc<Finish>) {
        let cdr = &finish.cdr;
        if !self.recorded.insert(cdr.id) {
            return;
        }
        self.open.remove(&cdr.id);
        let reserved = match self.attempts.get_mut(&cdr.id) {
            Some(attempt) => {
                attempt.finished = true;
                attempt.reservation.map(|reservation| reservation.amount)
            }
            None => None,
        };
        let mut charge = cdr.charge.clamp(Money::ZERO, reserved.unwrap_or_default());
        let due = charge;
        if self.flaw == Some(Flaw::ChargesTwice) {
            charge = Money(charge.0 * 2).min(reserved.unwrap_or_default());
        }
        if let Some(reserved) = reserved {
            let (tenant, call, at) = (cdr.tenant, cdr.id, cdr.ended_at);
            self.post(match charge.is_positive() || cdr.answered_at.is_some() {
                true => Posting::settle(tenant, call, reserved, charge, at),
                false => Posting::release(tenant, call, reserved, at),
            });
        }
        if let Some(facts) = self.numbers.get_mut(&cdr.callee)
            && self.attempts.contains_key(&cdr.id)
        {
            if facts.live == Some(cdr.id) {
                facts.live = None;
            }
            let never_left = cdr.disposition == Disposition::Refused;
            if never_left && let Some(attempt) = self.attempts.get(&cdr.id) {
                // It says nothing of the number, and was no call to it.
                let at = attempt.begin.at;
                facts.recent.retain(|begun| *begun != at);
            }
            let later = facts.last.is_none_or(|last| last.at < cdr.ended_at);
            if later && !never_left && self.flaw != Some(Flaw::ForgetsSpacing) {
                facts.last = Some(dialer::LastAttempt {
                    at: cdr.ended_at,
                    disposition: cdr.disposition,
                });
            }
            if Record::of(&finish).refused {
                facts.refused_at = facts.refused_at.max(Some(cdr.ended_at));
            }
        }
        let mut record = Record::of(&finish);
        record.charge = due;
        let grade = record.grade;
        let outcome = match grade {
            Some(grade) => format!("{} {grade}", word(cdr.disposition)),
            None => word(cdr.disposition).to_owned(),
        };
        *self.outcomes.entry(outcome).or_default() += 1;
        self.facts.push(Fact::Recorded(record));
        if let (Some(lead), Some(update)) = (cdr.lead, &finish.lead) {
            let mut state = update.state;
            if self.flaw == Some(Flaw::ForgetsSpacing)
                && let LeadState::Retry { due } = &mut state
            {
                *due = cdr.ended_at;
            }
            let placed = self.place(lead, Some(cdr.id), state, cdr.ended_at);
            if placed
                && cdr.disposition != Disposition::Refused
                && let Some(row) = self.leads.get_mut(&lead)
            {
                row.lead.attempts = update.attempts;
                row.lead.unreached_in_a_row = update.unreached_in_a_row;
                row.lead.grade = grade.or(row.lead.grade);
            }
        }
        if self.keeps {
            self.finishes.push(finish);
        }
    }

    /// What waits for the writer dies with the process.
    pub(crate) fn dies(&mut self) {
        self.writer = Writer::default();
        self.busy_until = 0;
    }

    /// After a kill: leads that were claimed wait again. (Calls are closed by whoever reads the journal.)
    pub(crate) fn recover(&mut self, now: Wall) {
        for id in self.claimed.clone() {
            self.set(id, LeadState::Queued);
        }
        let dialling = |row: &&Row| matches!(row.lead.state, LeadState::Dialling { .. });
        let left: Vec<LeadId> = self
            .leads
            .values()
            .filter(dialling)
            .map(|row| row.lead.id)
            .collect();
        for id in left {
            self.unfile(id);
            if let Some(row) = self.leads.get_mut(&id) {
                row.due = now;
            }
            self.set(id, LeadState::Queued);
        }
    }

    /// Everything that is over, when everything is.
    pub(crate) fn forgets(&mut self) {
        self.ledger = Ledger::new();
        self.leads.clear();
        self.attempts.clear();
        self.numbers.clear();
        self.waiting.clear();
        self.recorded.clear();
    }

    /// Attempts without an end.
    pub(crate) fn open(&self) -> Vec<CallId> {
        self.open.iter().copied().collect()
    }

    /// What is left when everything is over: nothing open, nothing held.
    pub fn left(&self) -> Option<String> {
        if let Some(call) = self.open.first() {
            return Some(format!("{call} has no end"));
        }
        let held = |row: &&Row| {
            let state = row.lead.state;
            matches!(state, LeadState::Claimed | LeadState::Dialling { .. })
        };
        let row = self.leads.values().find(held)?;
        Some(format!(
            "lead {} is left {:?}",
            row.lead.number, row.lead.state
        ))
    }

    pub fn row(&self, number: &str) -> Option<&Row> {
        let number = E164::parse(number, "86").ok()?;
        self.leads.values().find(|row| row.lead.number == number)
    }

    /// Records of calls to a number, first to last.
    pub fn records(&self, callee: &str) -> Vec<&Arc<Finish>> {
        let e164 = E164::parse(callee, "86").map_or(String::new(), |n| n.to_string());
        let of = |f: &&Arc<Finish>| f.cdr.callee == callee || f.cdr.callee == e164;
        self.finishes.iter().filter(of).collect()
    }

    /// When the next lead that waits is due.
    pub fn next_due(&self) -> Option<Wall> {
        let first = |waiting: &BTreeSet<(Wall, LeadId)>| waiting.first().map(|(due, _)| *due);
        self.waiting.values().filter_map(first).min()
    }

    pub fn held(&self) -> usize {
        self.claimed.len() + self.open.len()
    }
}

pub(crate) fn word(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Answered => "answered",
        Disposition::Unreached(Unreached::Busy) => "busy",
        Disposition::Unreached(Unreached::Rejected) => "rejected",
        Disposition::Unreached(Unreached::NoAnswer) => "no answer",
        Disposition::Unreached(Unreached::EmptyNumber) => "empty number",
        Disposition::Unreached(Unreached::SwitchedOff) => "switched off",
        Disposition::Unreached(_) => "network fault",
        Disposition::Cancelled => "cancelled",
        Disposition::Refused => "refused",
        Disposition::Interrupted => "interrupted",
    }
}

pub fn describe(change: &Persist) -> String {
    match change {
        Persist::Begin(begin) => format!("begin {}", begin.callee),
        Persist::Note(note) => match &note.what {
            Noted::Answered { .. } => "answered".to_owned(),
            Noted::Recording { file } => format!("records {file}"),
            Noted::Turn(turn) => format!("turn {} {}", turn.index, turn.text),
            Noted::Over(_) => "over".to_owned(),
        },
        Persist::Beat(_) => "beat".to_owned(),
        Persist::Denied(denied) => format!("denied {}", denied.rule.code()),
        Persist::Unclaim { leads, .. } => format!("unclaim {}", leads.len()),
        Persist::Finish(finish) => {
            let cdr = &finish.cdr;
            let grade = finish.grade.as_ref();
            let grade = grade.map_or(String::new(), |record| format!(" {}", record.grade));
            format!(
                "finish {} {:?} by {:?} talk {} ms charge {}{grade}",
                cdr.callee, cdr.disposition, cdr.termination.by, cdr.talk_ms, cdr.charge
            )
        }
        Persist::Bound { binding, .. } => format!("bound {}", binding.contact.as_str()),
        Persist::Unbound { contact, .. } => format!("unbound {contact}"),
    }
}
