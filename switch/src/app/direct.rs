//! An extension calls: another extension of its tenant (all its contacts ring, the first to answer wins), or a number
//! outside through a trunk. The two parties' packets are forwarded, not decoded.

use crate::call::{Core, Destination, Gone, LegInput, NotBegun};
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
/// From the beeps to the cut: packets on their way.
const MARGIN: Duration = Duration::from_millis(300);
/// The beeps' one play on each leg.
const BEEPS: PlayId = PlayId(1);

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
    /// What the caller was answered with early media; its 200 must say the same.
    early_answer: Option<(Codec, Bytes)>,
    /// Both parties are told that the money runs out; who has not heard it to its end.
    beeping: Option<Vec<LegId>>,
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
            early_answer: None,
            beeping: None,
            refusal: None,
        }
    }

    pub fn begun(&mut self, core: &mut Core, world: &mut World, result: Result<(), NotBegun>) {
        let Err(refused) = result else {
            return self.start(core, world);
        };
        let (code, q850) = match refused {
            NotBegun::Refused(BeginRefused::Balance) => (402, 21),
            NotBegun::Withdrawn(_) => (403, 21),
            NotBegun::Refused(_) | NotBegun::Late => (503, 41),
        };
        self.hang_up_caller(core, world, code, q850, refused.text());
        let termination = Termination {
            by: EndedBy::System,
            sip_code: Some(code),
            q850: Some(q850),
            text: refused.text().to_owned(),
        };
        core.end(world, Disposition::Refused, termination);
    }

    /// Rings every destination.
    fn start(&mut self, core: &mut Core, world: &mut World) {
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

    fn hang_up_caller(&self, core: &Core, world: &mut World, code: u16, q850: u8, text: &str) {
        if let Some(invite) = self.caller_invite(core) {
            world.sip.reject(world.now, invite, code, text, Some(q850));
        }
    }

    /// Refuses the caller with a status and ends the call.
    fn refuse(&mut self, core: &mut Core, world: &mut World, code: u16, q850: u8, text: &str) {
        self.hang_up_caller(core, world, code, q850, text);
        let disposition = Disposition::Unreached(Unreached::from_sip(code, Some(q850)));
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
            LegInput::MediaFailed => self.media_failed(core, world, leg),
            LegInput::PlayFinished(BEEPS) => self.beeped(core, world, leg),
            LegInput::Digit(digit) => {
                core.note(world, "digit", json!({ "digit": digit.to_string() }));
            }
            // A muted phone may send nothing; the dialogs' own ends decide.
            LegInput::Silent
            | LegInput::Confirmed
            | LegInput::Reoffer { .. }
            | LegInput::Reoffered { .. }
            | LegInput::PlayStarted(_)
            | LegInput::PlayFinished(_)
            | LegInput::Heard(_) => {}
        }
    }

    fn media_failed(&mut self, core: &mut Core, world: &mut World, leg: LegId) {
        let text = "an RTP socket could not be opened";
        if core.answered.is_some() && (leg == self.caller || self.winner == Some(leg)) {
            core.end_by(world, EndedBy::System, text);
        } else if leg == self.caller {
            self.refuse(core, world, 503, 34, text);
        } else if self.callees.contains(&leg) {
            self.gone(core, world, leg, fault(503, 34, text));
        }
    }

    /// The caller's answer must use the codec its callee chose, so that packets pass untouched.
    fn caller_answer(&self, core: &mut Core, world: &mut World, callee: LegId) -> Option<Bytes> {
        let codec = core.leg(callee)?.negotiated.as_ref()?.codec;
        // RFC 3261 §13.2.1: the 200 repeats the answer of the 183.
        if let Some((same, answer)) = &self.early_answer
            && *same == codec
        {
            return Some(answer.clone());
        }
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
                    let answer = self.caller_answer(core, world, leg);
                    let codec = core.leg(leg).and_then(|leg| leg.negotiated.as_ref());
                    self.early_answer = codec.map(|n| n.codec).zip(answer.clone());
                    answer
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
            // Another that rings may do better.
            return self.gone(core, world, leg, fault(488, 88, "no common codec"));
        };
        self.winner = Some(leg);
        core.customer = Some(match core.parties.direction {
            Direction::Inbound => self.caller,
            _ => leg,
        });
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
        let Gone {
            code, q850, text, ..
        } = gone.clone();
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
        core.drop_leg(world, leg, q850.unwrap_or(16), &text);
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
            let best = self.refusal.take().unwrap_or(fault(480, 19, ""));
            let Gone {
                code,
                q850,
                text,
                local,
            } = best;
            let code = code.unwrap_or(408);
            if let Some(invite) = self.caller_invite(core) {
                let code = relayed(code);
                world.sip.reject(world.now, invite, code, &text, q850);
            }
            let disposition = Disposition::Unreached(Unreached::from_sip(code, q850));
            let by = if local {
                EndedBy::System
            } else {
                EndedBy::Callee
            };
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
        let now = world.now.mono;
        if self.longest(core).is_some_and(|at| now >= at) {
            return core.end_by(world, EndedBy::System, "the longest call is over");
        }
        if self.warn_at(core, world).is_some_and(|at| now >= at) {
            self.warn(core, world);
        }
    }

    /// The parties hear each other no more, but that their time is over.
    fn warn(&mut self, core: &mut Core, world: &mut World) {
        let Some(winner) = self.winner else { return };
        let (a, b) = (self.caller, winner);
        world.media(core.worker, media::Command::Unbridge { a, b });
        for leg in [a, b] {
            let (play, prompt) = (BEEPS, world.beeps.clone());
            world.media(core.worker, media::Command::Play { leg, play, prompt });
        }
        self.beeping = Some(vec![a, b]);
    }

    fn beeped(&mut self, core: &mut Core, world: &mut World, leg: LegId) {
        let Some(beeping) = &mut self.beeping else {
            return;
        };
        beeping.retain(|other| *other != leg);
        if beeping.is_empty() {
            core.end_by(world, EndedBy::Balance, "the reserved amount is used up");
        }
    }

    fn longest(&self, core: &Core) -> Option<Mono> {
        core.answered.map(|at| at.mono + LONGEST)
    }

    /// Early enough for the beeps to be heard before the money ends; a reservation shorter than they are is cut without.
    fn warn_at(&self, core: &Core, world: &World) -> Option<Mono> {
        let cut = core.cut_at()?;
        let answered = core.answered?.mono;
        let needed = world.beeps.duration() + MARGIN;
        (self.beeping.is_none() && answered + needed < cut).then(|| cut - needed)
    }

    /// Ringing ends by the INVITE's own time-out; talking ends here.
    pub fn next_deadline(&self, core: &Core, world: &World) -> Option<Mono> {
        [self.longest(core), self.warn_at(core, world)]
            .into_iter()
            .flatten()
            .min()
    }
}

/// A callee that is lost by our own doing.
fn fault(code: u16, q850: u8, text: &str) -> Gone {
    Gone {
        code: Some(code),
        q850: Some(q850),
        text: text.to_owned(),
        local: true,
    }
}

/// What the caller is told of a callee's refusal. A redirection is not followed, and a challenge was meant for us.
fn relayed(code: u16) -> u16 {
    match code {
        300..=399 => 480,
        401 | 407 => 403,
        code => code,
    }
}
