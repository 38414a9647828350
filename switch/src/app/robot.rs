//! A campaign's robot on a call: dials the lead, lets the conversation decide, grades what was said.

use crate::call::{Core, Destination, Gone, LegInput, NotBegun};
use crate::directory::TenantDirectory;
use crate::effect::{CampaignPlan, Effect, Finish, Heard, LeadTerms, Noted};
use crate::route::{self, Refusal};
use crate::world::World;
use bots::{Action, Conversation, GradeRecord, NotHeard, Outcome, RobotEvent, Speaker};
use dialer::{Called, Decision, History, Lead, LeadUpdate, Policy, outcome};
use model::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Hot-path bound: one event makes a handful of actions.
const ACTIONS: usize = 8;

pub(crate) struct Robot {
    plan: Arc<CampaignPlan>,
    lead: Lead,
    /// What the gate judged by when the lead was claimed; asked again when the INVITE is about to leave.
    policy: Arc<Policy>,
    history: History,
    leg: Option<LegId>,
    conversation: Conversation,
    /// The conversation has been told that the money runs out.
    warned: bool,
    actions: Vec<Action>,
}

impl std::fmt::Debug for Robot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Robot")
            .field("lead", &self.lead.id)
            .finish_non_exhaustive()
    }
}

impl Robot {
    pub fn new(
        plan: Arc<CampaignPlan>,
        lead: Lead,
        policy: Arc<Policy>,
        history: History,
    ) -> Robot {
        let conversation = Conversation::new(plan.template.clone(), PlayId(1), RequestId(1));
        Robot {
            plan,
            lead,
            policy,
            history,
            leg: None,
            conversation,
            warned: false,
            actions: Vec::with_capacity(ACTIONS),
        }
    }

    pub fn campaign(&self) -> CampaignId {
        self.plan.campaign.id
    }

    pub fn lead(&self) -> LeadId {
        self.lead.id
    }
    pub fn number(&self) -> &E164 {
        &self.lead.number
    }

    /// Where the gateway is reached now.
    pub fn route(
        &self,
        world: &World,
        tenant: &TenantDirectory,
        caller: &str,
    ) -> Result<Destination, Refusal> {
        let campaign = &self.plan.campaign;
        let gone = Refusal {
            code: 503,
            q850: 38,
            text: "the campaign's trunk is gone",
        };
        let trunk = tenant.trunk(campaign.trunk).ok_or(gone)?;
        let callee = Called::Number(self.lead.number.clone());
        route::to_trunk(world, tenant, trunk, caller, &callee, campaign.ring_timeout)
    }

    /// The attempt is committed (or refused): now, and not before, the INVITE may leave. Time has passed since the claim:
    /// the hour may be over and the gateway elsewhere.
    pub fn begun(&mut self, core: &mut Core, world: &mut World, result: Result<(), NotBegun>) {
        if let Err(refused) = result {
            return self.refuse(core, world, refused.text());
        }
        let (now, number) = (world.now.wall, &self.lead.number);
        if let Decision::Deny { detail, .. } =
            dialer::may_dial(now, number, &self.policy, &self.history)
        {
            return self.refuse(core, world, &detail);
        }
        let tenant = world.directory.tenant(core.tenant.tenant).cloned();
        let tenant = tenant.unwrap_or_else(|| core.tenant.clone());
        let to = match self.route(world, &tenant, &core.parties.caller) {
            Ok(to) => to,
            Err(refusal) => return self.refuse(core, world, refusal.text),
        };
        self.leg = core.dial(world, &to, None);
        core.customer = self.leg;
        match self.leg {
            Some(_) => core.notify(world, "call.created", Value::Null),
            None => self.refuse(core, world, "no RTP port is free"),
        }
    }

    /// Nothing has left: the lead loses no attempt.
    fn refuse(&mut self, core: &mut Core, world: &mut World, text: &str) {
        let termination = Termination {
            by: EndedBy::System,
            sip_code: None,
            q850: None,
            text: text.to_owned(),
        };
        core.end(world, Disposition::Refused, termination);
    }

    pub fn leg(&mut self, core: &mut Core, world: &mut World, leg: LegId, input: LegInput) {
        let event = match input {
            LegInput::Progress { .. } => return core.ringing(world),
            LegInput::Answered { sdp } => return self.answered(core, world, leg, sdp.as_deref()),
            LegInput::Gone(gone) => return self.gone(core, world, gone),
            LegInput::MediaFailed => {
                return self.fault(core, world, "the leg's RTP socket could not be opened");
            }
            LegInput::Silent => {
                return core.end_by(world, EndedBy::System, "no RTP from the callee");
            }
            LegInput::Confirmed | LegInput::Reoffer { .. } | LegInput::Reoffered { .. } => return,
            LegInput::PlayStarted(play) => RobotEvent::PlayStarted { play },
            LegInput::PlayFinished(play) => RobotEvent::PlayFinished { play },
            LegInput::Digit(digit) => {
                core.note(world, "digit", json!({ "digit": digit.to_string() }));
                RobotEvent::Digit(digit)
            }
            LegInput::Heard(Heard::VoiceStarted { at_ms }) => RobotEvent::VoiceStarted { at_ms },
            LegInput::Heard(Heard::VoicePaused {
                last_voiced_ms,
                silence,
            }) => RobotEvent::VoicePaused {
                last_voiced_ms,
                silence,
            },
            LegInput::Heard(Heard::Recognised { request, result }) => {
                if let Err(not_heard) = &result {
                    core.note(world, "not_heard", not_heard_note(not_heard));
                }
                RobotEvent::Recognised { request, result }
            }
        };
        self.converse(core, world, event);
    }

    fn answered(&mut self, core: &mut Core, world: &mut World, leg: LegId, sdp: Option<&[u8]>) {
        // RFC 3261 §13.2.1: the 200 to an INVITE with an offer carries the answer.
        let connected = core.connect(world, leg, sdp.unwrap_or_default());
        if let Err(error) = connected {
            // Nobody heard anything: a fault of the gateway, not an answer of the lead's.
            core.note(world, "sdp_refused", json!({ "error": error.to_string() }));
            return self.fault(core, world, "the answer's SDP cannot be used");
        }
        core.answered(world);
        core.listen(world, leg);
        core.record(world, leg);
        self.converse(core, world, RobotEvent::Answered);
    }

    fn gone(&mut self, core: &mut Core, world: &mut World, gone: Gone) {
        let Gone {
            code,
            q850,
            text,
            local,
        } = gone;
        if core.answered.is_some() {
            let termination = Termination {
                by: EndedBy::Callee,
                sip_code: None,
                q850,
                text,
            };
            return core.end(world, Disposition::Answered, termination);
        }
        let unreached = match Unreached::from_sip(code.unwrap_or(408), q850) {
            // Our own time-out, and the gateway never said that it rings: nobody let it ring.
            Unreached::NoAnswer if local && core.ringing_at.is_none() => Unreached::Network,
            other => other,
        };
        let termination = Termination {
            // Our own time-out is nobody's doing but ours.
            by: if local {
                EndedBy::System
            } else {
                EndedBy::Callee
            },
            sip_code: code,
            q850,
            text,
        };
        core.end(world, Disposition::Unreached(unreached), termination);
    }

    fn fault(&mut self, core: &mut Core, world: &mut World, text: &str) {
        let disposition = match core.answered {
            Some(_) => Disposition::Answered,
            None => Disposition::Unreached(Unreached::Network),
        };
        let text = text.to_owned();
        let termination = Termination {
            by: EndedBy::System,
            sip_code: None,
            q850: Some(41),
            text,
        };
        core.end(world, disposition, termination);
    }

    fn converse(&mut self, core: &mut Core, world: &mut World, event: RobotEvent) {
        let Some(leg) = self.leg else { return };
        // The buffer is reused; taken out while its actions need `self`.
        let mut actions = std::mem::take(&mut self.actions);
        let mut next = Some(event);
        while let Some(event) = next.take() {
            self.conversation
                .handle(world.now.mono, event, &mut actions);
            for action in actions.drain(..) {
                if let Some(play) = self.perform(core, world, leg, action) {
                    next = Some(RobotEvent::PlayFinished { play });
                }
            }
        }
        self.actions = actions;
    }

    /// Does what the conversation wants; returns a play that could not be, so that the flow goes on without it.
    fn perform(
        &mut self,
        core: &mut Core,
        world: &mut World,
        leg: LegId,
        action: Action,
    ) -> Option<PlayId> {
        let worker = core.worker;
        match action {
            Action::Play { play, prompt } => match self.plan.prompts.get(&prompt) {
                Some(prompt) => {
                    let prompt = prompt.clone();
                    world.media(worker, media::Command::Play { leg, play, prompt });
                }
                None => {
                    core.note(world, "prompt_missing", json!({ "prompt": prompt }));
                    return Some(play);
                }
            },
            Action::Stop { play } => world.media(worker, media::Command::Stop { leg, play }),
            Action::Recognise {
                request,
                from_ms,
                to_ms,
                is_final,
            } => {
                let language = self.plan.template.template().language;
                world.effects.push(Effect::Recognise {
                    leg,
                    request,
                    from_ms,
                    to_ms,
                    is_final,
                    language,
                });
            }
            Action::Promote { request } => world.effects.push(Effect::Promote { leg, request }),
            Action::Abandon { request } => world.effects.push(Effect::Abandon { leg, request }),
            Action::HangUp(by) => {
                let text = match by {
                    EndedBy::Flow => "the flow is complete",
                    EndedBy::Silence => "the callee stayed silent",
                    EndedBy::Balance => "the reserved amount is used up",
                    _ => "",
                };
                core.end_by(world, by, text);
            }
            Action::Turn(turn) => {
                let data = serde_json::to_value(&turn).unwrap_or_default();
                let text = json!({ "turn": data });
                core.notify(world, "call.robot.turn", text.clone());
                if turn.speaker == Speaker::Callee {
                    core.notify(world, "call.transcript.final", text);
                }
                core.keep(world, Noted::Turn(*turn));
            }
        }
        None
    }

    pub fn deadline(&mut self, core: &mut Core, world: &mut World) {
        let now = world.now.mono;
        if self.longest(core).is_some_and(|at| now >= at) {
            return core.end_by(world, EndedBy::System, "the longest call is over");
        }
        if !self.warned && self.warn_at(core).is_some_and(|at| now >= at) {
            self.warned = true;
            self.converse(core, world, RobotEvent::BalanceLow);
        }
        if core.end.is_none()
            && self
                .conversation
                .next_deadline()
                .is_some_and(|at| now >= at)
        {
            self.converse(core, world, RobotEvent::Deadline);
        }
    }

    /// Early enough for the cut prompt to be heard whole before the money ends.
    fn warn_at(&self, core: &Core) -> Option<Mono> {
        let cut = core.cut_at()?;
        let prompts = &self.plan.template.template().prompts;
        let length = prompts
            .cut
            .prompt
            .and_then(|id| self.plan.prompts.get(&id))
            .map_or(Duration::ZERO, |prompt| prompt.duration());
        Some(cut - (length + Duration::from_millis(500)))
    }

    /// A reservation ends by then; a call without one ends here.
    fn longest(&self, core: &Core) -> Option<Mono> {
        let answered = core.answered?.mono;
        Some(answered + self.plan.campaign.max_duration)
    }

    pub fn next_deadline(&self, core: &Core) -> Option<Mono> {
        let warn = if self.warned {
            None
        } else {
            self.warn_at(core)
        };
        let conversation = self.conversation.next_deadline();
        [warn, conversation, self.longest(core)]
            .into_iter()
            .flatten()
            .min()
    }

    /// What decides where the call leaves its lead.
    pub fn terms(&self) -> LeadTerms {
        LeadTerms::of(&self.plan.campaign, &self.lead)
    }

    /// Grades the call, which has just ended, and says what becomes of the lead.
    pub fn conclude(&mut self, ended: Mono, finish: &mut Finish) {
        let summary = self.conversation.finish(ended);
        let disposition = finish.cdr.disposition;
        let unreached_in_a_row =
            outcome::unreached_in_a_row(self.lead.unreached_in_a_row, disposition);
        let reached = match disposition {
            Disposition::Answered => Some(Ok(summary.counters)),
            Disposition::Unreached(cause) => Some(Err(cause)),
            // We ended it before an answer, or never dialled: that says nothing of the callee.
            Disposition::Cancelled | Disposition::Refused | Disposition::Interrupted => None,
        };
        let rules = self.terms().rules;
        let grade: Option<GradeRecord> = reached.map(|reached| {
            let outcome = Outcome {
                reached,
                unreached_in_a_row,
            };
            bots::grade::grade_turns(&rules, &outcome, &summary.turns)
        });
        let letter = grade.as_ref().map(|record| record.grade);
        finish.lead = Some(self.lead_after(finish, letter));
        finish.turns = summary.turns;
        finish.labels = summary.labels;
        finish.grade = grade;
    }

    /// Where the call leaves the lead. `grade`: the call's, where it has one.
    pub fn lead_after(&self, finish: &Finish, grade: Option<Grade>) -> LeadUpdate {
        let cdr = &finish.cdr;
        self.terms()
            .after(cdr.disposition, grade, finish.opt_out, cdr.ended_at)
    }

    /// Tells people how the call is graded.
    pub fn tell(&self, core: &Core, world: &mut World, finish: &Finish) {
        if let Some(record) = &finish.grade {
            core.notify(
                world,
                "call.graded",
                json!({
                    "grade": record.grade,
                    "record": record,
                    "labels": finish.labels,
                    "charge": finish.cdr.charge,
                    "recording": finish.cdr.recording,
                }),
            );
        }
    }
}

fn not_heard_note(not_heard: &NotHeard) -> Value {
    serde_json::to_value(not_heard).unwrap_or_default()
}
