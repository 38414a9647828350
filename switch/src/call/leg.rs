//! One party of a call: its dialog, its socket, what was agreed with it.

use super::Core;
use crate::effect::{Effect, Heard, MediaCommand, Noted};
use crate::world::{OpenedMedia, World};
use bytes::Bytes;
use media::sdp::{self, LocalParams, Negotiated, SdpError};
use model::*;
use sip::{InviteId, NameAddr, Uri};
use std::time::Duration;

/// What can happen to a leg.
#[derive(Debug)]
pub(crate) enum LegInput {
    Progress {
        sdp: Option<Bytes>,
    },
    Answered {
        sdp: Option<Bytes>,
    },
    Confirmed,
    Reoffer {
        sdp: Option<Bytes>,
    },
    /// The answer to an offer we made because the peer asked for one.
    Reoffered {
        sdp: Option<Bytes>,
    },
    Gone(Gone),
    PlayStarted(PlayId),
    PlayFinished(PlayId),
    Digit(char),
    /// No packets for a long time.
    Silent,
    /// The socket could not be opened, or is gone.
    MediaFailed,
    Heard(Heard),
}

/// The end of a leg's dialog.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    /// SIP final response, where there was one.
    pub code: Option<u16>,
    pub q850: Option<u8>,
    pub text: String,
    /// Our time-out or transport, not the peer's word.
    pub local: bool,
}

/// A leg's media as its worker has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Socket {
    Open,
    /// Told to close; its figures are to come.
    Closing,
    Closed,
}

#[derive(Debug)]
pub(crate) struct Leg {
    pub id: LegId,
    /// The dialog, until its terminal event.
    pub invite: Option<InviteId>,
    /// Where its signalling comes from, to tell whether its media must be learned.
    pub signalling: std::net::IpAddr,
    /// What our SDP says.
    pub params: LocalParams,
    pub negotiated: Option<Negotiated>,
    pub socket: Socket,
}

/// Where a call is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub flow: sip::Flow,
    pub target: Uri,
    pub to: Uri,
    pub from: NameAddr,
    pub headers: Vec<(String, String)>,
    pub ring_timeout: Duration,
    /// One less than the incoming call's, so that loops through us end.
    pub max_forwards: u8,
}

impl Core {
    pub fn leg(&self, id: LegId) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.id == id)
    }

    pub(super) fn leg_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.id == id)
    }

    pub fn add_leg(&mut self, opened: OpenedMedia, signalling: std::net::IpAddr) -> LegId {
        let OpenedMedia { leg: id, params } = opened;
        self.legs.push(Leg {
            id,
            invite: None,
            signalling,
            params,
            negotiated: None,
            socket: Socket::Open,
        });
        id
    }

    /// Opens media and sends an INVITE; `None` when no RTP port is free.
    pub fn dial(
        &mut self,
        world: &mut World,
        to: &Destination,
        codecs: Option<&[media::Codec]>,
    ) -> Option<LegId> {
        let mut opened = world.open_media(self.id, self.worker)?;
        if let Some(codecs) = codecs {
            opened.params.codecs = codecs.to_vec();
        }
        let offer = Bytes::from(sdp::offer(&opened.params));
        let leg = self.add_leg(opened, to.flow.remote.ip());
        let invite = world.sip.invite(
            world.now,
            sip::Invite {
                flow: to.flow,
                target: to.target.clone(),
                from: to.from.clone(),
                to: to.to.clone(),
                offer,
                credentials: None,
                headers: to.headers.clone(),
                ring_timeout: to.ring_timeout,
                max_forwards: to.max_forwards,
            },
        );
        world.invites.insert(invite, leg);
        if let Some(leg) = self.leg_mut(leg) {
            leg.invite = Some(invite);
        }
        Some(leg)
    }

    /// Opens media for a dialog that came in; `None` when no RTP port is free.
    pub fn admit(&mut self, world: &mut World, incoming: &sip::Incoming) -> Option<LegId> {
        let opened = world.open_media(self.id, self.worker)?;
        let leg = self.add_leg(opened, incoming.flow.remote.ip());
        world.invites.insert(incoming.id, leg);
        if let Some(leg) = self.leg_mut(leg) {
            leg.invite = Some(incoming.id);
        }
        Some(leg)
    }

    /// The far end answered our offer: media may flow.
    pub fn connect(&mut self, world: &mut World, id: LegId, answer: &[u8]) -> Result<(), SdpError> {
        let Some(leg) = self.leg_mut(id) else {
            return Ok(());
        };
        let negotiated = sdp::accept(&leg.params, answer)?;
        self.set_media(world, id, negotiated);
        Ok(())
    }

    /// Answers the far end's offer; the SDP to send back.
    pub fn answer_offer(
        &mut self,
        world: &mut World,
        id: LegId,
        offer: &[u8],
        codecs: Option<&[media::Codec]>,
    ) -> Result<Bytes, SdpError> {
        let Some(leg) = self.leg_mut(id) else {
            return Err(SdpError::NoAudio);
        };
        if let Some(codecs) = codecs {
            leg.params.codecs = codecs.to_vec();
        }
        let (body, negotiated) = sdp::answer(offer, &leg.params)?;
        leg.params.version += 1;
        self.set_media(world, id, negotiated);
        Ok(Bytes::from(body))
    }

    fn set_media(&mut self, world: &mut World, id: LegId, negotiated: Negotiated) {
        let worker = self.worker;
        let Some(leg) = self.leg_mut(id) else { return };
        let signalling = leg.signalling;
        let latch = (negotiated.remote.ip() != signalling).then_some(signalling);
        leg.negotiated = Some(negotiated.clone());
        world.media(
            worker,
            media::Command::Connect {
                leg: id,
                negotiated,
                latch,
            },
        );
    }

    /// A re-INVITE: the same media, perhaps held or moved.
    pub fn reoffer(&mut self, world: &mut World, id: LegId, offer: Option<&[u8]>) {
        let Some(leg) = self.leg(id) else { return };
        let Some(invite) = leg.invite else { return };
        let kept = leg
            .negotiated
            .as_ref()
            .map(|negotiated| vec![negotiated.codec]);
        match offer {
            // RFC 3261 §14.2: a re-INVITE without SDP asks for an offer; what stands is offered again.
            None => {
                let body = Bytes::from(sdp::offer(&leg.params));
                world.sip.reoffer_accept(world.now, invite, body);
            }
            Some(offer) => match self.answer_offer(world, id, offer, kept.as_deref()) {
                Ok(body) => world.sip.reoffer_accept(world.now, invite, body),
                Err(_) => world.sip.reoffer_reject(world.now, invite, 488),
            },
        }
    }

    pub fn listen(&mut self, world: &mut World, leg: LegId) {
        world.effects.push(Effect::Media {
            worker: self.worker,
            command: MediaCommand::Listen { leg },
        });
    }

    /// Records the leg into a file named by us.
    pub fn record(&mut self, world: &mut World, leg: LegId) {
        let day = world.now.wall.rfc3339();
        let file = format!("{}/{}/{}.wav", self.tenant.tenant, &day[..10], self.id);
        let (tenant, call) = (self.tenant.tenant, self.id);
        let command = MediaCommand::Record {
            tenant,
            call,
            leg,
            file: file.clone(),
        };
        world.effects.push(Effect::Media {
            worker: self.worker,
            command,
        });
        self.keep(world, Noted::Recording { file: file.clone() });
        self.recording = Some(file);
    }

    /// Drops one leg: its dialog ends as it legally can, its media closes.
    pub fn drop_leg(&mut self, world: &mut World, id: LegId, q850: u8, text: &str) {
        let worker = self.worker;
        let Some(leg) = self.leg_mut(id) else { return };
        if let Some(invite) = leg.invite.take() {
            world.sip.hang_up(world.now, invite, Some(q850), text);
            world.invites.remove(&invite);
        }
        if leg.socket == Socket::Open {
            leg.socket = Socket::Closing;
            world.media(worker, media::Command::Close { leg: id });
        }
    }

    /// Whether nobody had asked for it.
    pub(super) fn closed(&mut self, leg: LegId, stats: Option<LegStats>) -> bool {
        if self.customer == Some(leg) {
            self.customer_stats = stats.or(self.customer_stats);
        }
        let Some(leg) = self.leg_mut(leg) else {
            return false;
        };
        std::mem::replace(&mut leg.socket, Socket::Closed) == Socket::Open
    }
}
