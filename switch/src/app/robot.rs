//! A campaign's robot on a call: dials the lead, lets the conversation decide, grades what was said.

use crate::call::{Core, Destination, Gone, LegInput};
use crate::effect::{BeginRefused, CampaignPlan, Effect, Finish, Heard};
use crate::world::World;
use bots::{Action, Conversation, GradeRecord, NotHeard, Outcome, RobotEvent, Speaker};
use dialer::{Lead, outcome};
use model::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Hot-path bound: one event makes a handful of actions.
const ACTIONS: usize = 8;

pub(crate) struct Robot {
    plan: Arc<CampaignPlan>,
    lead: Lead,
    to: Destination,
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
    pub fn new(plan: Arc<CampaignPlan>, lead: Lead, to: Destination) -> Robot {
        let conversation = Conversation::new(plan.template.clone(), PlayId(1), RequestId(1));
        Robot {
            plan,
            lead,
            to,
            leg: None,
            conversation,
            warned: false,
            actions: Vec::with_capacity(ACTIONS),
        }
    }

    pub fn campaign(&self) -> CampaignId {
        self.plan.campaign.id
    }

    /// The attempt is committed (or refused): now, and not before, the INVITE may leave.
    pub fn begun(&mut self, core: &mut Core, world: &mut World, result: Result<(), BeginRefused>) {
        if let Err(refused) = result {
            let text = match refused {
                BeginRefused::Balance => "the balance does not cover the call",
                BeginRefused::LeadGone => "the lead was taken back",
                BeginRefused::Unavailable => "the attempt could not be recorded",
            };
            let text = text.to_owned();
            let termination = Termination {
                by: EndedBy::System,
                sip_code: None,
                q850: None,
                text,
            };
            return core.end(world, Disposition::Refused, termination);
        }
        self.leg = core.dial(world, &self.to, None);
        core.customer = self.leg;
        match self.leg {
            Some(_) => core.notify(world, "call.created", Value::Null),
            None => {
                let text = "no RTP port is free".to_owned();
                // Q.850 34: no circuit available.
                let q850 = Some(34);
                let termination = Termination {
                    by: EndedBy::System,
                    sip_code: Some(503),
                    q850,
                    text,
                };
                core.end(
                    world,
                    Disposition::Unreached(Unreached::Network),
                    termination,
                );
            }
        }
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
            LegInput::Confirmed | LegInput::Reoffer { .. } => return,
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
        core.answered(world);
        if let Err(error) = connected {
            core.note(world, "sdp_refused", json!({ "error": error.to_string() }));
            return core.end_by(world, EndedBy::System, "the answer's SDP cannot be used");
        }
        core.listen(world, leg);
        core.record(world, leg);
        self.converse(core, world, RobotEvent::Answered);
    }

    fn gone(&mut self, core: &mut Core, world: &mut World, gone: Gone) {
        let Gone { code, q850, text } = gone;
        if core.answered.is_some() {
            let termination = Termination {
                by: EndedBy::Callee,
                sip_code: None,
                q850,
                text,
            };
            return core.end(world, Disposition::Answered, termination);
        }
        let unreached = Unreached::from_sip(code.unwrap_or(408), q850);
        let termination = Termination {
            by: EndedBy::Callee,
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
            }
        }
        None
    }

    pub fn deadline(&mut self, core: &mut Core, world: &mut World) {
        let now = world.now.mono;
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

    pub fn next_deadline(&self, core: &Core) -> Option<Mono> {
        let warn = if self.warned {
            None
        } else {
            self.warn_at(core)
        };
        [warn, self.conversation.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Grades the call and says what becomes of the lead.
    pub fn finish(&mut self, core: &Core, world: &mut World, finish: &mut Finish) {
        let summary = self.conversation.finish(world.now.mono);
        let disposition = finish.cdr.disposition;
        let unreached_in_a_row =
            outcome::unreached_in_a_row(self.lead.unreached_in_a_row, disposition);
        let reached = match disposition {
            Disposition::Answered => Some(Ok(summary.counters)),
            Disposition::Unreached(cause) => Some(Err(cause)),
            // We ended it before an answer, or never dialled: that says nothing of the callee.
            Disposition::Cancelled | Disposition::Refused | Disposition::Interrupted => None,
        };
        let campaign = &self.plan.campaign;
        let rules = bots::Rules {
            unreached_in_a_row: campaign.unconnected,
            ..bots::Rules::default()
        };
        let grade: Option<GradeRecord> = reached.map(|reached| {
            let outcome = Outcome {
                reached,
                unreached_in_a_row,
            };
            bots::grade::grade_turns(&rules, &outcome, &summary.turns)
        });
        finish.lead = Some(outcome::after_attempt(
            campaign.max_attempts,
            &campaign.retry,
            outcome::Before {
                attempts: self.lead.attempts,
                unreached_in_a_row: self.lead.unreached_in_a_row,
            },
            disposition,
            grade
                .as_ref()
                .map(|record| record.grade)
                .or(self.lead.grade)
                .unwrap_or(Grade::E),
            finish.opt_out,
            world.now.wall,
        ));
        if let Some(record) = &grade {
            core.notify(
                world,
                "call.graded",
                json!({
                    "grade": record.grade,
                    "record": record,
                    "labels": summary.labels,
                    "charge": finish.cdr.charge,
                    "recording": finish.cdr.recording,
                }),
            );
        }
        finish.turns = summary.turns;
        finish.labels = summary.labels;
        finish.grade = grade;
    }
}

fn not_heard_note(not_heard: &NotHeard) -> Value {
    serde_json::to_value(not_heard).unwrap_or_default()
}
