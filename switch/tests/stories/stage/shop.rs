//! A store in memory: leads, attempts and a real ledger. It answers late, in order, and remembers whom it told what.

use billing::{Ledger, Posting, Reservation};
use dialer::{History, LastAttempt, Lead, LeadState};
use model::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use switch::{Begin, BeginRefused, Candidate, Finish, Input, Noted, Persist};

/// How long a lead whose attempt never left rests.
const REST: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub enum Job {
    Claim { campaign: CampaignId, at_most: u16 },
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

pub struct Row {
    pub lead: Lead,
    pub due: Wall,
    history: History,
}

pub struct Attempt {
    pub begin: Begin,
    pub reservation: Option<Reservation>,
    pub answered: Option<Wall>,
    pub finished: bool,
    /// The node knows of the commit.
    told: bool,
}

pub struct Shop {
    /// Milliseconds, least and most.
    pub delay: (u64, u64),
    pub busy_until: u64,
    pub mood: Mood,
    pub ledger: Ledger,
    pub leads: BTreeMap<LeadId, Row>,
    pub attempts: BTreeMap<CallId, Attempt>,
    pub finishes: Vec<Finish>,
    pub denied: Vec<(LeadId, dialer::Rule)>,
    pub unclaimed: usize,
    pub claims: usize,
    pub bound: BTreeSet<String>,
    sent: BTreeSet<CallId>,
    refused: BTreeSet<CallId>,
    changed: bool,
}

impl Shop {
    pub fn new() -> Shop {
        Shop {
            delay: (2, 15),
            busy_until: 0,
            mood: Mood::Commits,
            ledger: Ledger::new(),
            leads: BTreeMap::new(),
            attempts: BTreeMap::new(),
            finishes: Vec::new(),
            denied: Vec::new(),
            unclaimed: 0,
            claims: 0,
            bound: BTreeSet::new(),
            sent: BTreeSet::new(),
            refused: BTreeSet::new(),
            changed: false,
        }
    }

    pub fn add(&mut self, lead: Lead, due: Wall) {
        let row = Row {
            lead,
            due,
            history: History::default(),
        };
        self.leads.insert(row.lead.id, row);
    }

    pub fn perform(&mut self, job: Job, now: Now) -> Vec<Input> {
        self.changed = true;
        match job {
            Job::Claim { campaign, at_most } => vec![self.claim(campaign, at_most, now.wall)],
            Job::Persist(change) => match *change {
                Persist::Begin(begin) => self.begin(*begin).into_iter().collect(),
                change => {
                    self.keep(change, now.wall);
                    Vec::new()
                }
            },
        }
    }

    fn claim(&mut self, campaign: CampaignId, at_most: u16, now: Wall) -> Input {
        self.claims += 1;
        let balance = self.ledger.available(super::house::tenant());
        let live: Vec<String> = self.live().map(|begin| begin.callee.clone()).collect();
        let mut due: Vec<(Wall, LeadId)> = self
            .leads
            .values()
            .filter(|row| row.lead.state.kind().waits() && row.due <= now)
            .map(|row| (row.due, row.lead.id))
            .collect();
        due.sort();
        due.truncate(usize::from(at_most));
        let mut leads = Vec::new();
        for (_, id) in due {
            let Some(row) = self.leads.get_mut(&id) else {
                continue;
            };
            row.lead.state = LeadState::Claimed;
            let mut history = row.history.clone();
            history.balance = balance;
            history.attempts = row.lead.attempts;
            history.unreached_in_a_row = row.lead.unreached_in_a_row;
            history.in_flight = live.iter().any(|n| n == row.lead.number.as_str());
            let lead = row.lead.clone();
            leads.push(Candidate { lead, history });
        }
        let waiting = self.leads.values().filter(|r| r.lead.state.kind().waits());
        Input::Claimed {
            campaign,
            leads,
            next_due: waiting.map(|row| row.due).min(),
        }
    }

    fn live(&self) -> impl Iterator<Item = &Begin> {
        let live = self.attempts.values().filter(|attempt| !attempt.finished);
        live.map(|attempt| &attempt.begin)
    }

    fn begin(&mut self, begin: Begin) -> Option<Input> {
        let call = begin.call;
        assert!(!self.attempts.contains_key(&call), "begun twice");
        let mood = self.mood.clone();
        if mood == Mood::Gone {
            self.refused.insert(call);
            return None;
        }
        let result = match mood.clone() {
            Mood::Refuses(refused) => Err(refused),
            _ => self.commit(begin),
        };
        if result.is_err() {
            self.refused.insert(call);
        }
        (mood != Mood::Mute).then_some(Input::Begun { call, result })
    }

    fn commit(&mut self, begin: Begin) -> Result<Option<Reservation>, BeginRefused> {
        if let Some(lead) = begin.lead {
            let state = self.leads.get(&lead).map(|row| row.lead.state);
            let twice = self.live().any(|live| live.callee == begin.callee);
            if state != Some(LeadState::Claimed) || twice {
                return Err(BeginRefused::LeadGone);
            }
        }
        let mut reservation = None;
        if let Some(reserve) = &begin.reserve {
            let available = self.ledger.available(begin.tenant);
            let quoted = billing::quote(&reserve.rate, available, reserve.at_most)
                .map_err(|_| BeginRefused::Balance)?;
            let posting = Posting::reserve(begin.tenant, begin.call, quoted.amount, begin.at);
            self.ledger.apply(posting).expect("it was quoted");
            reservation = Some(quoted);
        }
        if let Some(row) = begin.lead.and_then(|lead| self.leads.get_mut(&lead)) {
            row.lead.state = LeadState::Dialling { call: begin.call };
            row.history.recent.insert(0, begin.at);
        }
        let attempt = Attempt {
            begin,
            reservation,
            answered: None,
            finished: false,
            told: false,
        };
        self.attempts.insert(attempt.begin.call, attempt);
        Ok(reservation)
    }

    fn keep(&mut self, change: Persist, now: Wall) {
        match change {
            Persist::Begin(_) | Persist::Beat(_) => {}
            Persist::Note(note) => {
                if let Noted::Answered { cdr, .. } = note.what
                    && let Some(attempt) = self.attempts.get_mut(&note.call)
                {
                    assert_eq!(attempt.answered, None, "answered twice");
                    attempt.answered = cdr.answered_at;
                }
            }
            Persist::Denied(denied) => {
                self.denied.push((denied.lead, denied.rule));
                self.place(denied.lead, denied.state, now);
            }
            Persist::Unclaim { leads, .. } => {
                self.unclaimed += leads.len();
                for lead in leads {
                    if let Some(row) = self.leads.get_mut(&lead) {
                        assert_eq!(row.lead.state, LeadState::Claimed);
                        row.lead.state = LeadState::Queued;
                    }
                }
            }
            Persist::Finish(finish) => self.finish(*finish),
            Persist::Bound { binding, .. } => {
                self.bound.insert(binding.contact.as_str().to_owned());
            }
            Persist::Unbound { contact, .. } => {
                self.bound.remove(&contact);
            }
        }
    }

    fn place(&mut self, lead: LeadId, state: LeadState, now: Wall) {
        let Some(row) = self.leads.get_mut(&lead) else {
            return;
        };
        assert!(
            row.lead.state.may_become(&state),
            "a lead cannot become {state:?} out of {:?}",
            row.lead.state
        );
        row.due = match state {
            LeadState::Queued => now + REST,
            LeadState::Retry { due } => due,
            _ => row.due,
        };
        row.lead.state = state;
    }

    fn finish(&mut self, finish: Finish) {
        let cdr = &finish.cdr;
        if let Some(attempt) = self.attempts.get_mut(&cdr.id) {
            assert!(!attempt.finished, "finished twice");
            attempt.finished = true;
            if let Some(reservation) = &attempt.reservation {
                assert!(cdr.charge <= reservation.amount, "charged beyond");
                let posting = match cdr.answered_at {
                    Some(_) => Posting::settle(
                        cdr.tenant,
                        cdr.id,
                        reservation.amount,
                        cdr.charge,
                        cdr.ended_at,
                    ),
                    None => {
                        assert_eq!(cdr.charge, Money::ZERO, "unanswered calls are free");
                        Posting::release(cdr.tenant, cdr.id, reservation.amount, cdr.ended_at)
                    }
                };
                self.ledger.apply(posting).expect("its reservation is open");
            }
        } else {
            assert_eq!(cdr.charge, Money::ZERO, "no attempt, no charge");
        }
        if let (Some(lead), Some(update)) = (cdr.lead, &finish.lead) {
            self.place(lead, update.state, cdr.ended_at);
            if let Some(row) = self.leads.get_mut(&lead)
                && cdr.disposition != Disposition::Refused
            {
                row.lead.attempts = update.attempts;
                row.lead.unreached_in_a_row = update.unreached_in_a_row;
                let grade = finish.grade.as_ref().map(|record| record.grade);
                row.lead.grade = grade.or(row.lead.grade);
                row.history.last = Some(LastAttempt {
                    at: cdr.ended_at,
                    disposition: cdr.disposition,
                });
            }
        }
        let ring = cdr.ringing_at.unwrap_or(cdr.started_at);
        let answer = cdr.answered_at.unwrap_or(ring);
        assert!(cdr.started_at <= ring && ring <= answer && answer <= cdr.ended_at);
        assert_eq!(
            cdr.disposition == Disposition::Answered,
            cdr.answered_at.is_some(),
            "{cdr:?}"
        );
        self.finishes.push(finish);
    }

    /// The node has sent a record: one for each call, ever.
    pub fn finish_sent(&mut self, finish: &Finish) {
        assert!(self.sent.insert(finish.cdr.id), "two records of one call");
    }

    pub fn begun_delivered(&mut self, call: CallId) {
        if let Some(attempt) = self.attempts.get_mut(&call) {
            attempt.told = true;
        }
    }

    /// An attempt on the number is committed, the node knows it, and it has not ended.
    pub fn may_invite(&self, number: &str) -> bool {
        self.attempts.values().any(|attempt| {
            attempt.begin.callee == number
                && attempt.told
                && !self.sent.contains(&attempt.begin.call)
        })
    }

    /// What must hold whatever happens.
    pub fn check(&mut self) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        let totals = self.ledger.totals(super::house::tenant());
        assert!(totals.hold(), "{totals:?}");
        assert!(totals.available >= Money::ZERO && totals.reserved >= Money::ZERO);
        let open: i64 = self.ledger.open_reservations().map(|(_, _, m)| m.0).sum();
        assert_eq!(open, totals.reserved.0);
        let mut live = BTreeSet::new();
        for begin in self.live().filter(|begin| begin.lead.is_some()) {
            assert!(live.insert(&begin.callee), "two live attempts on a number");
        }
    }

    pub fn check_all_finished(&self) {
        for (call, attempt) in &self.attempts {
            assert!(attempt.finished, "{call} has no end");
        }
        for call in &self.refused {
            assert!(
                self.sent.contains(call),
                "{call} was refused and has no end"
            );
        }
        assert_eq!(self.ledger.open_reservations().count(), 0);
        self.ledger.check().expect("the books are in order");
        let again = Ledger::replay(self.ledger.journal()).expect("the journal replays");
        let tenant = super::house::tenant();
        assert_eq!(again.totals(tenant), self.ledger.totals(tenant));
        for row in self.leads.values() {
            let state = row.lead.state.kind();
            let held = matches!(
                state,
                dialer::LeadStateKind::Claimed | dialer::LeadStateKind::Dialling
            );
            assert!(!held, "a lead is left {state:?}");
        }
    }

    pub fn row(&self, number: &str) -> &Row {
        let number = E164::parse(number, "86").expect("a number");
        let mut rows = self.leads.values();
        rows.find(|row| row.lead.number == number).expect("a lead")
    }

    /// Records of calls to a number, first to last.
    pub fn records(&self, callee: &str) -> Vec<&Finish> {
        let e164 = E164::parse(callee, "86").map_or(String::new(), |n| n.to_string());
        let of = |f: &&Finish| f.cdr.callee == callee || f.cdr.callee == e164;
        self.finishes.iter().filter(of).collect()
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
