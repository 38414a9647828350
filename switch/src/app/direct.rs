//! An extension calls: another extension of its tenant (all its contacts ring, the first to answer wins), or a number
//! outside through a trunk. The two parties' packets are forwarded, not decoded.

use crate::call::{Core, Destination, Gone, LegInput};
use crate::effect::BeginRefused;
use crate::world::World;
use bytes::Bytes;
use media::Codec;
use model::*;
use serde_json::{Value, json};
use sip::InviteId;
use std::time::Duration;

/// A call without a reservation ends here at the latest.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

#[derive(Debug)]
pub(crate) struct Direct {
    caller: LegId,
    offer: Bytes,
    /// What the caller can speak, so that nobody has to transcode.
    codecs: Vec<Codec>,
    to: Vec<Destination>,
    callees: Vec<LegId>,
    /// The callee that answered.
    winner: Option<LegId>,
    /// A callee whose early media the caller hears.
    early: Option<LegId>,
    /// The best refusal so far, for when every callee has refused.
    refusal: Option<Gone>,
}

impl Direct {
    pub fn new(caller: LegId, offer: Bytes, codecs: Vec<Codec>, to: Vec<Destination>) -> Direct {
        Direct {
            caller,
            offer,
            codecs,
            to,
            callees: Vec::new(),
            winner: None,
            early: None,
            refusal: None,
        }
    }

    pub fn begun(&mut self, core: &mut Core, world: &mut World, result: Result<(), BeginRefused>) {
        match result {
            Ok(()) => self.start(core, world),
            Err(BeginRefused::Balance) => {
                self.refuse(core, world, 402, 21, "the balance does not cover the call");
            }
            Err(BeginRefused::LeadGone | BeginRefused::Unavailable) => {
                self.refuse(core, world, 503, 41, "the call could not be recorded");
            }
        }
    }

    /// Rings every destination.
    pub fn start(&mut self, core: &mut Core, world: &mut World) {
        core.notify(world, "call.created", Value::Null);
        for destination in std::mem::take(&mut self.to) {
            if let Some(leg) = core.dial(world, &destination, Some(&self.codecs)) {
                self.callees.push(leg);
            }
        }
        if self.callees.is_empty() {
            self.refuse(core, world, 503, 34, "no RTP port is free");
        }
    }

    fn caller_invite(&self, core: &Core) -> Option<InviteId> {
        core.leg(self.caller).and_then(|leg| leg.invite)
    }

    /// Refuses the caller with a status and ends the call.
    fn refuse(&mut self, core: &mut Core, world: &mut World, code: u16, q850: u8, text: &str) {
        if let Some(invite) = self.caller_invite(core) {
            world.sip.reject(world.now, invite, code, text, Some(q850));
        }
        let disposition = match code {
            402 | 403 => Disposition::Refused,
            _ => Disposition::Unreached(Unreached::from_sip(code, Some(q850))),
        };
        let text = text.to_owned();
        let termination = Termination {
            by: EndedBy::System,
            sip_code: Some(code),
            q850: Some(q850),
            text,
        };
        core.end(world, disposition, termination);
    }

    pub fn leg(&mut self, core: &mut Core, world: &mut World, leg: LegId, input: LegInput) {
        match input {
            LegInput::Progress { sdp } => self.progress(core, world, leg, sdp),
            LegInput::Answered { sdp } => self.answered(core, world, leg, sdp),
            LegInput::Gone(gone) => self.gone(core, world, leg, gone),
            LegInput::MediaFailed => {
                core.end_by(world, EndedBy::System, "an RTP socket could not be opened");
            }
            LegInput::Digit(digit) => {
                core.note(world, "digit", json!({ "digit": digit.to_string() }));
            }
            // A muted phone may send nothing; the dialogs' own ends decide.
            LegInput::Silent
            | LegInput::Confirmed
            | LegInput::Reoffer { .. }
            | LegInput::PlayStarted(_)
            | LegInput::PlayFinished(_)
            | LegInput::Heard(_) => {}
        }
    }

    /// The caller's answer must use the codec its callee chose, so that packets pass untouched.
    fn caller_answer(&self, core: &mut Core, world: &mut World, callee: LegId) -> Option<Bytes> {
        let codec = core.leg(callee)?.negotiated.as_ref()?.codec;
        core.answer_offer(world, self.caller, &self.offer, Some(&[codec]))
            .ok()
    }

    fn progress(&mut self, core: &mut Core, world: &mut World, leg: LegId, sdp: Option<Bytes>) {
        if self.winner.is_some() {
            return;
        }
        core.ringing(world);
        let Some(invite) = self.caller_invite(core) else {
            return;
        };
        let early = match sdp {
            // One callee's early media can be heard; with several ringing it would be anybody's.
            Some(sdp) if self.callees.len() == 1 && self.early.is_none() => {
                if core.connect(world, leg, &sdp).is_ok() {
                    self.early = Some(leg);
                    self.caller_answer(core, world, leg)
                } else {
                    None
                }
            }
            _ => None,
        };
        if early.is_some() {
            self.bridge(core, world, leg);
        }
        world.sip.ring(world.now, invite, early);
    }

    fn bridge(&self, core: &Core, world: &mut World, callee: LegId) {
        world.media(
            core.worker,
            media::Command::Bridge {
                a: self.caller,
                b: callee,
            },
        );
    }

    fn answered(&mut self, core: &mut Core, world: &mut World, leg: LegId, sdp: Option<Bytes>) {
        if self.winner.is_some() {
            // Two answered at once: RFC 3261 §13.2.2.4 says which of them to keep is ours to choose.
            return core.drop_leg(world, leg, 26, "answered elsewhere");
        }
        // After early media the 200 may repeat its SDP or carry none.
        let connected = match (&sdp, self.early) {
            (Some(sdp), _) => core.connect(world, leg, sdp),
            (None, Some(early)) if early == leg => Ok(()),
            (None, _) => Err(media::SdpError::NoAudio),
        };
        let Some(invite) = self.caller_invite(core) else {
            return core.end_by(world, EndedBy::Caller, "the caller is gone");
        };
        let answer = connected
            .ok()
            .and_then(|()| self.caller_answer(core, world, leg));
        let Some(answer) = answer else {
            return self.refuse(core, world, 488, 88, "no common codec");
        };
        self.winner = Some(leg);
        core.customer = Some(leg);
        core.answered(world);
        world.sip.answer(world.now, invite, answer);
        if self.early.is_none() {
            self.bridge(core, world, leg);
        }
        let others: Vec<LegId> = self
            .callees
            .iter()
            .copied()
            .filter(|other| *other != leg)
            .collect();
        for other in others {
            core.drop_leg(world, other, 26, "answered elsewhere");
        }
    }

    fn gone(&mut self, core: &mut Core, world: &mut World, leg: LegId, gone: Gone) {
        let Gone { code, q850, text } = gone.clone();
        if leg == self.caller {
            let by = EndedBy::Caller;
            let disposition = match core.answered {
                Some(_) => Disposition::Answered,
                None => Disposition::Cancelled,
            };
            return core.end(
                world,
                disposition,
                Termination {
                    by,
                    sip_code: code,
                    q850,
                    text,
                },
            );
        }
        if self.winner == Some(leg) {
            let by = EndedBy::Callee;
            let termination = Termination {
                by,
                sip_code: None,
                q850,
                text,
            };
            return core.end(world, Disposition::Answered, termination);
        }
        core.drop_leg(world, leg, 16, "");
        self.callees.retain(|callee| *callee != leg);
        // RFC 3261 §16.7: of several refusals a 6xx wins, then the lowest class.
        let rank = |gone: &Gone| match gone.code {
            Some(code) if code >= 600 => 0,
            Some(code) => code,
            None => u16::MAX,
        };
        if self
            .refusal
            .as_ref()
            .is_none_or(|best| rank(&gone) < rank(best))
        {
            self.refusal = Some(gone);
        }
        if self.callees.is_empty() && self.winner.is_none() {
            let Gone { code, q850, text } = self.refusal.take().unwrap_or(Gone {
                code: Some(480),
                q850: None,
                text: String::new(),
            });
            let code = code.unwrap_or(408);
            if let Some(invite) = self.caller_invite(core) {
                world.sip.reject(world.now, invite, code, &text, q850);
            }
            let disposition = Disposition::Unreached(Unreached::from_sip(code, q850));
            let by = EndedBy::Callee;
            core.end(
                world,
                disposition,
                Termination {
                    by,
                    sip_code: Some(code),
                    q850,
                    text,
                },
            );
        }
    }

    pub fn deadline(&mut self, core: &mut Core, world: &mut World) {
        if self
            .next_deadline(core)
            .is_some_and(|at| world.now.mono >= at)
        {
            core.end_by(world, EndedBy::System, "the longest call is over");
        }
    }

    /// Ringing ends by the INVITE's own time-out; talking ends here.
    pub fn next_deadline(&self, core: &Core) -> Option<Mono> {
        core.answered.map(|at| at.mono + LONGEST)
    }
}
