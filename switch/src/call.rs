//! One call: its legs, its money, its record, and the app beside it that decides what happens next.
//!
//! A call is beginning (its attempt is not committed yet), live, or closing (over, waiting for its media to close so that the
//! record has their figures). Whatever happens, it ends with exactly one `Persist::Finish` when it had a `Begin`, and
//! each state has a deadline.

mod leg;

pub(crate) use leg::{Destination, Gone, Leg, LegInput, Socket};

use crate::app::{App, direct::Direct, robot::Robot};
use crate::directory::TenantDirectory;
use crate::effect::{BeginRefused, CallEvent, Finish, LeadTerms, Note, Noted, Persist};
use crate::interrupted;
use crate::world::World;
use billing::Reservation;
use model::*;
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// How long a finished call waits for its media to report before its record is written without figures.
const CLOSING: Duration = Duration::from_secs(2);
/// Lines of a call's page. A callee who presses keys for an hour fills no memory.
const MOST_EVENTS: usize = 1000;
/// How long the store has to answer `Begin`.
const BEGINNING: Duration = Duration::from_secs(30);

/// What can happen to a call.
#[derive(Debug)]
pub(crate) enum CallInput {
    /// Dial, without waiting for the store.
    Start,
    /// `withdrawn`: why it is not to be dialled although it was committed.
    Begun {
        result: Result<Option<Reservation>, BeginRefused>,
        withdrawn: Option<&'static str>,
    },
    Leg(LegId, LegInput),
    Deadline,
    Note {
        kind: &'static str,
        data: Value,
    },
    #[cfg(test)]
    Panic,
    /// The service stops.
    Stop,
    /// Somebody with the right to do so ends it.
    HangUp {
        actor: String,
    },
}

/// Why a call that was to begin does not.
#[derive(Debug)]
pub(crate) enum NotBegun {
    Refused(BeginRefused),
    /// The store did not answer.
    Late,
    /// Something changed while the store committed: the campaign was paused, the tenant banned.
    Withdrawn(&'static str),
}

impl NotBegun {
    pub fn text(&self) -> &'static str {
        match self {
            NotBegun::Refused(BeginRefused::Balance) => "the balance does not cover the call",
            NotBegun::Refused(BeginRefused::LeadGone) => "the lead was taken back",
            NotBegun::Refused(BeginRefused::Unavailable) => "the attempt could not be recorded",
            NotBegun::Late => "the attempt could not be recorded in time",
            NotBegun::Withdrawn(why) => why,
        }
    }
}

/// How a call ended.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub at: Now,
    pub disposition: Disposition,
    pub termination: Termination,
}

/// What is known of a call from its start.
#[derive(Clone, Debug)]
pub(crate) struct Parties {
    pub direction: Direction,
    pub caller: String,
    pub callee: String,
    pub campaign: Option<CampaignId>,
    pub lead: Option<LeadId>,
    pub extension: Option<ExtensionId>,
    pub trunk: Option<TrunkId>,
}

/// The part of a call that its app works on.
#[derive(Debug)]
pub(crate) struct Core {
    pub id: CallId,
    pub tenant: Arc<TenantDirectory>,
    pub worker: u16,
    pub parties: Parties,
    pub started: Now,
    pub ringing_at: Option<Wall>,
    pub answered: Option<Now>,
    pub legs: Vec<Leg>,
    /// A `Begin` was sent and not yet answered.
    pub beginning: bool,
    pub reservation: Option<Reservation>,
    pub recording: Option<String>,
    /// The leg whose media figures stand in the record.
    pub customer: Option<LegId>,
    pub customer_stats: Option<LegStats>,
    pub end: Option<End>,
    pub events: Vec<CallEvent>,
    /// Of a robot's call.
    pub terms: Option<Box<LeadTerms>>,
}

pub(crate) struct Call {
    pub core: Core,
    pub app: App,
    /// Its record, made when it ended; the figures of its media are to come.
    over: Option<Finish>,
    /// The deadline the node has been told, so that its queue holds each call once.
    pub scheduled: Option<Mono>,
}

impl Core {
    pub fn new(
        world: &World,
        id: CallId,
        tenant: Arc<TenantDirectory>,
        worker: u16,
        parties: Parties,
    ) -> Core {
        Core {
            id,
            tenant,
            worker,
            parties,
            started: world.now,
            ringing_at: None,
            answered: None,
            legs: Vec::new(),
            beginning: false,
            reservation: None,
            recording: None,
            customer: None,
            customer_stats: None,
            end: None,
            events: Vec::new(),
            terms: None,
        }
    }

    pub fn note(&mut self, world: &World, kind: &'static str, data: Value) {
        if self.events.len() >= MOST_EVENTS && kind != "ended" {
            return;
        }
        self.events.push(CallEvent {
            at: world.now.wall,
            kind: kind.into(),
            data,
        });
    }

    pub fn notify(&self, world: &mut World, kind: &'static str, extra: Value) {
        let mut data = json!({
            "call": self.id,
            "direction": self.parties.direction,
            "caller": self.parties.caller,
            "callee": self.parties.callee,
            "campaign": self.parties.campaign,
            "lead": self.parties.lead,
        });
        if let (Value::Object(all), Value::Object(extra)) = (&mut data, extra) {
            all.extend(extra);
        }
        world.notify(self.tenant.tenant, kind, data);
    }

    pub fn ringing(&mut self, world: &mut World) {
        if self.ringing_at.is_none() && self.answered.is_none() {
            self.ringing_at = Some(world.now.wall);
            self.note(world, "ringing", Value::Null);
            self.notify(world, "call.ringing", Value::Null);
        }
    }

    pub fn answered(&mut self, world: &mut World) {
        if self.answered.is_none() {
            self.answered = Some(world.now);
            world.talking += 1;
            self.note(world, "answered", Value::Null);
            let answered = self.as_answered(world.now);
            self.keep(world, answered);
            self.notify(world, "call.answered", Value::Null);
        }
    }

    /// Lets the journal keep what a stop of the process must not take.
    pub fn keep(&self, world: &mut World, what: Noted) {
        let (tenant, call) = (self.tenant.tenant, self.id);
        world.persist(Persist::Note(Box::new(Note { tenant, call, what })));
    }

    fn as_answered(&self, now: Now) -> Noted {
        let end = End {
            at: now,
            disposition: Disposition::Interrupted,
            termination: interrupted::termination(),
        };
        let reservation = self.reservation.as_ref();
        Noted::Answered {
            cdr: self.cdr(&end),
            reserved: reservation.map_or(Money::ZERO, |reservation| reservation.amount),
            rate: reservation.map(|_| self.tenant.rate),
            mono: now.mono,
            lead: self.terms.clone(),
        }
    }

    /// Ends the call: every leg is dropped, the record waits for their figures.
    pub fn end(&mut self, world: &mut World, disposition: Disposition, termination: Termination) {
        if self.end.is_some() {
            return;
        }
        let q850 = termination.q850.unwrap_or(16);
        let ids: Vec<LegId> = self.legs.iter().map(|leg| leg.id).collect();
        for id in ids {
            self.drop_leg(world, id, q850, &termination.text);
        }
        self.note(
            world,
            "ended",
            json!({ "by": termination.by, "text": termination.text }),
        );
        world.talking -= usize::from(self.answered.is_some());
        self.end = Some(End {
            at: world.now,
            disposition,
            termination,
        });
    }

    /// Ends an answered call, or a call given up before its answer.
    pub fn end_by(&mut self, world: &mut World, by: EndedBy, text: &str) {
        let disposition = match self.answered {
            Some(_) => Disposition::Answered,
            // Nothing has left: the lead loses no attempt.
            None if self.beginning && self.parties.lead.is_some() => Disposition::Refused,
            None => Disposition::Cancelled,
        };
        let termination = Termination {
            by,
            sip_code: None,
            q850: Some(16),
            text: text.to_owned(),
        };
        self.end(world, disposition, termination);
    }

    pub fn talk(&self) -> Duration {
        match (&self.answered, &self.end) {
            (Some(answered), Some(end)) => end.at.mono.since(answered.mono),
            _ => Duration::ZERO,
        }
    }

    /// When the reservation is used up.
    pub fn cut_at(&self) -> Option<Mono> {
        let answered = self.answered?.mono;
        self.reservation
            .as_ref()
            .map(|reservation| answered + reservation.covers)
    }

    fn charge(&self) -> Money {
        let Some(reservation) = &self.reservation else {
            return Money::ZERO;
        };
        if self.answered.is_none() {
            return Money::ZERO;
        }
        billing::charge(&self.tenant.rate, self.talk()).min(reservation.amount)
    }

    fn cdr(&self, end: &End) -> Cdr {
        // A clock set back during the call must not make a record that ends before it began.
        let started_at = self.started.wall;
        let ringing_at = self.ringing_at.map(|at| at.max(started_at));
        let answered_at = self
            .answered
            .map(|at| at.wall.max(ringing_at.unwrap_or(started_at)));
        let before_end = answered_at.or(ringing_at).unwrap_or(started_at);
        Cdr {
            id: self.id,
            tenant: self.tenant.tenant,
            direction: self.parties.direction,
            caller: self.parties.caller.clone(),
            callee: self.parties.callee.clone(),
            campaign: self.parties.campaign,
            lead: self.parties.lead,
            extension: self.parties.extension,
            trunk: self.parties.trunk,
            started_at,
            ringing_at,
            answered_at,
            ended_at: end.at.wall.max(before_end),
            disposition: end.disposition,
            termination: end.termination.clone(),
            talk_ms: self.talk().as_millis() as u64,
            charge: self.charge(),
            recording: self.recording.clone(),
            customer_stats: self.customer_stats,
        }
    }
}

impl Call {
    pub fn handle(&mut self, world: &mut World, input: CallInput) {
        if self.core.end.is_some() {
            return;
        }
        match input {
            CallInput::Start => self.begun(world, Ok(())),
            CallInput::Begun { result, withdrawn } => {
                if !std::mem::take(&mut self.core.beginning) {
                    return;
                }
                let result = match result {
                    Ok(reservation) => {
                        self.core.reservation = reservation;
                        withdrawn.map_or(Ok(()), |why| Err(NotBegun::Withdrawn(why)))
                    }
                    Err(refused) => Err(NotBegun::Refused(refused)),
                };
                self.begun(world, result);
            }
            CallInput::HangUp { actor } => {
                self.core.note(world, "hang_up", json!({ "actor": actor }));
                self.core
                    .end_by(world, EndedBy::Operator, "ended by an operator");
            }
            CallInput::Stop => {
                self.core
                    .end_by(world, EndedBy::System, "the service was stopped");
            }
            #[cfg(test)]
            CallInput::Panic => panic!("a defect in a call"),
            CallInput::Deadline => self.deadline(world),
            CallInput::Note { kind, data } => self.core.note(world, kind, data),
            CallInput::Leg(leg, input) => {
                if let LegInput::Gone(_) = &input
                    && let Some(leg) = self.core.leg_mut(leg)
                {
                    leg.invite = None;
                }
                match &input {
                    LegInput::Reoffer { sdp } => {
                        return self.core.reoffer(world, leg, sdp.as_deref());
                    }
                    LegInput::Reoffered { sdp: Some(sdp) } => {
                        // An answer that cannot be used leaves the media as they were.
                        let _ = self.core.connect(world, leg, sdp);
                        return;
                    }
                    _ => {}
                }
                match &mut self.app {
                    App::Robot(robot) => robot.leg(&mut self.core, world, leg, input),
                    App::Direct(direct) => direct.leg(&mut self.core, world, leg, input),
                }
            }
        }
    }

    fn begun(&mut self, world: &mut World, result: Result<(), NotBegun>) {
        match &mut self.app {
            App::Robot(robot) => robot.begun(&mut self.core, world, result),
            App::Direct(direct) => direct.begun(&mut self.core, world, result),
        }
    }

    /// The worker let go of a leg; its figures count even though the call is over. Says whether the call lost a leg it
    /// still needs.
    pub fn media_closed(&mut self, leg: LegId, stats: Option<LegStats>) -> bool {
        self.core.closed(leg, stats) && self.core.end.is_none()
    }

    fn deadline(&mut self, world: &mut World) {
        let now = world.now.mono;
        if self.core.beginning {
            if now >= self.core.started.mono + BEGINNING {
                self.core.beginning = false;
                self.begun(world, Err(NotBegun::Late));
            }
            return;
        }
        let core = &mut self.core;
        if core.cut_at().is_some_and(|cut| now >= cut) {
            return core.end_by(world, EndedBy::Balance, "the reserved amount is used up");
        }
        match &mut self.app {
            App::Robot(robot) => robot.deadline(core, world),
            App::Direct(direct) => direct.deadline(core, world),
        }
    }

    pub fn next_deadline(&self, world: &World) -> Option<Mono> {
        let core = &self.core;
        if let Some(end) = &core.end {
            return Some(end.at.mono + CLOSING);
        }
        if core.beginning {
            return Some(core.started.mono + BEGINNING);
        }
        let app = match &self.app {
            App::Robot(robot) => robot.next_deadline(core),
            App::Direct(direct) => direct.next_deadline(core, world),
        };
        [app, core.cut_at()].into_iter().flatten().min()
    }

    /// Over, and nothing more to wait for.
    pub fn is_finished(&self, now: Mono) -> bool {
        let Some(end) = &self.core.end else {
            return false;
        };
        let closed = |leg: &Leg| leg.socket == Socket::Closed;
        self.core.legs.iter().all(closed) || now >= end.at.mono + CLOSING
    }

    /// Makes the record of a call that has just ended and lets the journal keep it while the figures of its media come in.
    pub fn over(&mut self, world: &mut World) {
        if self.over.is_some() {
            return;
        }
        self.over = self.conclude();
        if let Some(finish) = &self.over {
            self.core.keep(world, Noted::Over(Box::new(finish.clone())));
        }
    }

    fn conclude(&mut self) -> Option<Finish> {
        let end = self.core.end.clone()?;
        let cdr = self.core.cdr(&end);
        let reserved = self
            .core
            .reservation
            .as_ref()
            .map_or(Money::ZERO, |r| r.amount);
        let mut finish = Finish {
            cdr,
            reserved,
            turns: Vec::new(),
            grade: None,
            labels: Vec::new(),
            lead: None,
            opt_out: false,
            events: std::mem::take(&mut self.core.events),
        };
        match &mut self.app {
            App::Robot(robot) => {
                let grading = AssertUnwindSafe(|| robot.conclude(end.at.mono, &mut finish));
                if catch_unwind(grading).is_err() {
                    // The money is settled and the lead is let go whatever the grading met.
                    (finish.turns, finish.grade) = (Vec::new(), None);
                    finish.lead = Some(robot.lead_after(&finish, None));
                }
            }
            App::Direct(_) => {}
        }
        Some(finish)
    }

    /// The record of a finished call, to be written once.
    pub fn finish(&mut self, world: &mut World) -> Option<Finish> {
        let over = self.over.take();
        let mut finish = over.or_else(|| self.conclude())?;
        finish.cdr.customer_stats = self.core.customer_stats;
        if let App::Robot(robot) = &self.app {
            robot.tell(&self.core, world, &finish);
        }
        Some(finish)
    }

    pub fn robot(core: Core, robot: Robot) -> Call {
        Call {
            core,
            app: App::Robot(Box::new(robot)),
            over: None,
            scheduled: None,
        }
    }
    pub fn direct(core: Core, direct: Direct) -> Call {
        Call {
            core,
            app: App::Direct(Box::new(direct)),
            over: None,
            scheduled: None,
        }
    }
}
