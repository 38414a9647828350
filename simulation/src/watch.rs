//! The judge: what must always hold, asked after every step by code that knows nothing of the node's inside.
//!
//! It keeps its own books from what goes into the node and comes out of it, from the datagrams on the wire and from what the database
//! commits. `money` · `calls` (states, records, charges, legs and ports) · `voices` (the caller is not left in silence) · `dialer` (numbers, hours, spacing, lines) · `leads` (states,
//! results) · `wire` (a small reader of its own). Every question costs the same however long the story is.

mod calls;
mod dialer;
mod leads;
mod money;
mod voices;
pub(crate) mod wire;

use crate::shop::Shop;
use ::dialer::Rule;
use billing::Posting;
use model::*;
use std::fmt;
use switch::{Effect, Finish, Input, MediaCommand, Node, Noted, Persist};

/// What must hold, by subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    Money,
    Calls,
    Dialer,
    Leads,
    Wire,
}

impl Law {
    pub const ALL: [Law; 5] = [Law::Money, Law::Calls, Law::Dialer, Law::Leads, Law::Wire];

    pub fn name(self) -> &'static str {
        match self {
            Law::Money => "money",
            Law::Calls => "calls",
            Law::Dialer => "dialer",
            Law::Leads => "leads",
            Law::Wire => "wire",
        }
    }

    /// The law in one sentence.
    pub fn text(self) -> &'static str {
        match self {
            Law::Money => {
                "deposits + credits + refunds − charges − reserved = available; one charge at most for an answered call; \
                 reservations end with their call; the ledger only grows and replays to the same"
            }
            Law::Calls => {
                "states along the graph, one record each; ring ≤ answer ≤ end; talk and charge as measured from outside; \
                 who is not understood hears something within 2 s; \
                 legs and ports belong to live calls, none when idle"
            }
            Law::Dialer => {
                "no suppressed number, never outside the hours, attempts and spacing hold over restarts, one live attempt on a \
                 number, lines never exceeded; what is denied is denied truly"
            }
            Law::Leads => "states along the graph; each lead ends with exactly one legal result",
            Law::Wire => {
                "what the node writes can be read; no INVITE without a committed attempt; time goes on"
            }
        }
    }
}

/// A law that does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub law: Law,
    /// Names the rule; the same for every way of breaking it.
    pub rule: &'static str,
    pub what: String,
    /// Milliseconds of the story.
    pub ms: u64,
    pub step: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (s, ms) = (self.ms / 1000, self.ms % 1000);
        let law = self.law.name();
        write!(
            f,
            "{law} · {} · {} (step {}, {s}.{ms:03} s)",
            self.rule, self.what, self.step
        )
    }
}

/// A violation that does not know yet where it happened.
#[derive(Debug)]
pub struct Breach {
    law: Law,
    rule: &'static str,
    what: String,
}

pub(crate) type Verdict = Result<(), Breach>;

/// `Err` unless it holds.
fn must(holds: bool, law: Law, rule: &'static str, what: impl FnOnce() -> String) -> Verdict {
    match holds {
        true => Ok(()),
        false => Err(Breach {
            law,
            rule,
            what: what(),
        }),
    }
}

/// What the database has committed.
#[derive(Clone, Debug)]
pub enum Fact {
    Posted(Posting),
    Begun {
        call: CallId,
        reserved: Option<Money>,
    },
    Placed {
        lead: LeadId,
        state: ::dialer::LeadState,
    },
    Recorded(Record),
    /// On a do-not-call list from here on.
    Suppressed(String),
}

/// The part of a call's record that outlives it here.
#[derive(Clone, Debug)]
pub struct Record {
    pub call: CallId,
    pub lead: Option<LeadId>,
    pub callee: String,
    pub disposition: Disposition,
    pub grade: Option<Grade>,
    /// The callee said no.
    pub refused: bool,
    pub answered: bool,
    pub charge: Money,
    pub ended_at: Wall,
}

impl Record {
    pub fn of(finish: &Finish) -> Record {
        let cdr = &finish.cdr;
        let grade = finish.grade.as_ref();
        let refusal = Some(bots::grade::SubReason::Refusal);
        Record {
            call: cdr.id,
            lead: cdr.lead,
            callee: cdr.callee.clone(),
            disposition: cdr.disposition,
            grade: grade.map(|record| record.grade),
            refused: grade.is_some_and(|record| record.sub_reason == refusal),
            answered: cdr.answered_at.is_some(),
            charge: cdr.charge,
            ended_at: cdr.ended_at,
        }
    }
}

/// The moment something is asked about.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// As the node was told.
    pub now: Now,
    pub ms: u64,
    pub step: u64,
}

/// How long before a kill something may be forgotten.
pub const FORGOTTEN: u64 = 10;

#[derive(Default)]
pub struct Watch {
    money: money::Money,
    calls: calls::Calls,
    dialer: dialer::Dialer,
    leads: leads::Leads,
    voices: voices::Voices,
    /// Questions answered, by law.
    asked: [u64; Law::ALL.len()],
    broken: Option<Violation>,
}

impl Watch {
    /// The first law that did not hold.
    pub fn broken(&self) -> Option<&Violation> {
        self.broken.as_ref()
    }
    pub fn asked(&self, law: Law) -> u64 {
        self.asked[law as usize]
    }
    /// Robot calls that have begun and have no record yet.
    pub fn robots(&self) -> usize {
        self.dialer.robots()
    }

    pub(crate) fn judge(&mut self, at: At, law: Law, verdict: Verdict) {
        self.asked[law as usize] += 1;
        if let Err(Breach { law, rule, what }) = verdict
            && self.broken.is_none()
        {
            let (ms, step) = (at.ms, at.step);
            self.broken = Some(Violation {
                law,
                rule,
                what,
                ms,
                step,
            });
        }
    }

    /// Registrations from before.
    pub(crate) fn know(
        &mut self,
        at: At,
        bound: &std::collections::BTreeMap<String, sip::Binding>,
    ) {
        bound
            .values()
            .for_each(|binding| self.dialer.bound(at, binding));
    }

    /// The account is another one from here on.
    pub(crate) fn forget_money(&mut self) {
        self.money = money::Money::default();
    }

    /// For what the stage itself sees.
    pub(crate) fn breach(&mut self, at: At, law: Law, rule: &'static str, what: String) {
        self.judge(at, law, Err(Breach { law, rule, what }));
    }

    /// An input, before the node takes it.
    pub(crate) fn told(&mut self, at: At, input: &Input) {
        match input {
            Input::Directory(directory) => self.dialer.directory(directory),
            Input::Campaign(plan) => self.dialer.campaign(&plan.campaign),
            Input::Restore(bindings) => {
                bindings
                    .iter()
                    .for_each(|binding| self.dialer.bound(at, binding));
            }
            Input::Begun { call, result } => self.calls.told(*call, result.is_ok()),
            Input::Drain | Input::HangUpAll => self.dialer.drain(),
            Input::MediaFailed { leg } => self.calls.released(*leg),
            Input::Media(event) => match event {
                media::Event::Closed { leg, .. } => {
                    self.calls.released(*leg);
                    self.voices.gone(*leg);
                }
                media::Event::PlayStarted { leg, .. } => self.voices.playing(*leg, true),
                media::Event::PlayFinished { leg, .. } => self.voices.playing(*leg, false),
                _ => {}
            },
            Input::Heard { leg, heard } => self.voices.heard(at, *leg, heard),
            Input::Datagram { bytes, .. } if bytes.starts_with(b"INVITE ") => self.calls.people(),
            Input::Datagram { bytes, .. } if bytes.starts_with(b"BYE ") => {
                if let Some(glance) = wire::glance(bytes) {
                    self.calls.hung_up(at, glance.call_id);
                }
            }
            _ => {}
        }
    }

    /// An effect, before it is performed.
    pub(crate) fn did(&mut self, at: At, effect: &Effect) {
        match effect {
            Effect::Send(transmit) => self.sent(at, &transmit.bytes),
            Effect::Media { command, .. } => {
                let verdict = self.calls.media(command);
                self.judge(at, Law::Calls, verdict);
                if let MediaCommand::Plain(command) = command {
                    self.spoken(at, command);
                }
            }
            Effect::Recognise { leg, .. } => self.voices.asked(*leg),
            Effect::Persist(change) => self.persisted(at, change),
            _ => {}
        }
    }

    fn sent(&mut self, at: At, bytes: &[u8]) {
        let Some(glance) = wire::glance(bytes) else {
            let head = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
            return self.breach(at, Law::Wire, "written to be read", head);
        };
        self.asked[Law::Wire as usize] += 1;
        match glance.start {
            wire::Start::Request("BYE") => self.calls.hung_up(at, glance.call_id),
            wire::Start::Request("INVITE") if !glance.to_tag => {
                let Some(number) = wire::mobile(glance.target) else {
                    return;
                };
                match self.calls.invited(at, glance.call_id, &number) {
                    Ok(None) => {}
                    Ok(Some(invited)) => {
                        let verdict = self.dialer.invited(at, &number, &invited);
                        self.judge(at, Law::Dialer, verdict);
                    }
                    Err(breach) => self.judge(at, Law::Wire, Err(breach)),
                }
            }
            _ => {}
        }
    }

    fn spoken(&mut self, at: At, command: &media::Command) {
        match command {
            media::Command::Play { leg, .. } | media::Command::Close { leg } => {
                let verdict = self.voices.answered(at, *leg);
                self.judge(at, Law::Calls, verdict);
            }
            media::Command::Stop { leg, .. } => self.voices.playing(*leg, false),
            _ => {}
        }
    }

    fn persisted(&mut self, at: At, change: &Persist) {
        match change {
            Persist::Begin(begin) => {
                let verdict = self.calls.asked(begin);
                self.judge(at, Law::Calls, verdict);
                let verdict = self.dialer.asked(begin);
                self.judge(at, Law::Dialer, verdict);
            }
            Persist::Note(note) => match &note.what {
                Noted::Answered { .. } => {
                    let verdict = self.calls.answered(at, note.call);
                    self.judge(at, Law::Calls, verdict);
                }
                Noted::Over(_) => self.calls.over(at, note.call),
                Noted::Recording { .. } | Noted::Turn(_) => {}
            },
            Persist::Denied(denied) => {
                let verdict = self.dialer.denied(at, denied);
                self.judge(at, Law::Dialer, verdict);
            }
            Persist::Finish(finish) => {
                let verdict = self.calls.finished(at, finish);
                self.judge(at, Law::Calls, verdict);
                self.dialer.over(finish.cdr.id);
            }
            Persist::Bound { binding, .. } => self.dialer.bound(at, binding),
            Persist::Unbound { contact, .. } => self.dialer.unbound(contact),
            Persist::Unclaim { .. } | Persist::Beat(_) => {}
        }
    }

    /// The database committed something.
    pub(crate) fn fact(&mut self, at: At, fact: Fact) {
        match fact {
            Fact::Posted(posting) => {
                let verdict = self.money.posted(&posting);
                self.judge(at, Law::Money, verdict);
            }
            Fact::Begun { call, reserved } => {
                self.calls.begun(call, reserved);
                let verdict = self.dialer.begun(call);
                self.judge(at, Law::Dialer, verdict);
            }
            Fact::Placed { lead, state } => {
                let verdict = self.leads.placed(lead, &state);
                self.judge(at, Law::Leads, verdict);
            }
            Fact::Recorded(record) => {
                let verdict = self.calls.recorded(&record);
                self.judge(at, Law::Calls, verdict);
                let verdict = self.money.recorded(&record);
                self.judge(at, Law::Money, verdict);
                self.dialer.recorded(at, &record);
                self.leads.recorded(&record);
            }
            Fact::Suppressed(number) => self.dialer.suppressed(number),
        }
    }

    /// After each step of the node.
    pub(crate) fn stepped(&mut self, at: At, node: &Node, shop: &Shop) {
        let verdict = self.calls.stepped(node.calls());
        self.judge(at, Law::Calls, verdict);
        let verdict = self.money.stepped(&shop.ledger, crate::house::tenant());
        self.judge(at, Law::Money, verdict);
    }

    /// The process is gone, and with it all it knew.
    pub(crate) fn killed(&mut self, at: At) {
        self.calls.killed(at);
        self.voices.killed();
        self.dialer.killed();
    }

    /// Everything is over.
    pub(crate) fn closed(&mut self, at: At, shop: &Shop) {
        let verdict = self.calls.closed();
        self.judge(at, Law::Calls, verdict);
        let verdict = self.money.closed(&shop.ledger, crate::house::tenant());
        self.judge(at, Law::Money, verdict);
    }

    /// Every lead has its result.
    pub(crate) fn results(&mut self, at: At, shop: &Shop) {
        for row in shop.leads.values() {
            let campaign = row.lead.campaign.and_then(|id| self.dialer.rules(id));
            let number = row.lead.number.as_str();
            let barred = self.dialer.barred(number);
            let verdict = self.leads.result(&row.lead, campaign, barred);
            self.judge(at, Law::Leads, verdict);
        }
    }
}

/// Rules that a number's own story may give as the reason why it is dialled no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Barred {
    pub suppressed: bool,
    pub refused: bool,
    pub empty: bool,
}

impl Barred {
    fn explains(self, rule: Rule) -> bool {
        match rule {
            Rule::DoNotCall => self.suppressed,
            Rule::Refused => self.refused,
            Rule::EmptyNumber | Rule::NotRetried => self.empty,
            _ => false,
        }
    }
}
