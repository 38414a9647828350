//! One party of a call: whom it listens to, what it hears, what is played to it, and its two streams.

use crate::dtmf::{DigitReceiver, DigitSender, Keying};
use crate::gate::Gate;
use crate::jitter::{JitterBuffer, JitterConfig, Played, Pushed};
use crate::player::Player;
use crate::rtcp::Reception;
use crate::rtp::{PACKET, Received, Sender};
use crate::sdp::Negotiated;
use crate::worker::{Event, Frame, Out};
use crate::{Codec, FRAME, Pcm};
use model::{LegId, LegStats, Mono};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Packets in a row a learnt source must send before it is believed.
const LATCH_AFTER: u8 = 4;
/// A candidate that pauses for this long gives way to another.
const CANDIDATE_PATIENCE: Duration = Duration::from_millis(200);
/// The longest packet decoded: 120 ms.
const LONGEST: usize = 6 * FRAME;

#[derive(Debug)]
pub(crate) struct Leg {
    pub id: LegId,
    pub connection: Option<Connection>,
    pub sender: Sender,
    pub reception: Reception,
    pub digits_in: DigitReceiver,
    pub digits_out: DigitSender,
    pub player: Player,
    pub listen: bool,
    pub record: bool,
    /// Place of the other leg of the bridge.
    pub peer: Option<usize>,
    /// Present in frame mode.
    pub frames: Option<Box<Frames>>,
    /// Frames made up in frame modes that are over.
    concealed_before: u64,
}

/// What `Connect` brings.
#[derive(Debug)]
pub(crate) struct Connection {
    pub negotiated: Negotiated,
    pub source: Source,
    /// The slot of the wheel this leg ticks in, and the millisecond of its first tick: sample 0 of its time base.
    pub slot: usize,
    pub epoch: u64,
    pub last_heard: Mono,
    pub silent: bool,
}

/// What frame mode needs.
#[derive(Debug)]
pub(crate) struct Frames {
    pub jitter: JitterBuffer,
    gate: Gate,
    frame: Frame,
    spoke: Played,
    right: Pcm,
    /// What the other leg of the bridge said last.
    from_peer: Pcm,
    peer_spoke: Played,
    fresh: bool,
    /// The last packet carried sound (a talk-spurt is under way).
    spurt: bool,
    sent_any: bool,
    /// When the event under way began, on the sender's clock.
    event_timestamp: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// Only this one is heard. `heard`: it has been.
    Fixed { address: SocketAddr, heard: bool },
    /// The negotiated one and the one known from before a re-INVITE are preferred; another may prove itself.
    Learning {
        address: SocketAddr,
        known: Option<SocketAddr>,
        /// Where the signalling comes from: nobody else may prove himself.
        only: IpAddr,
        candidate: Option<Candidate>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    address: SocketAddr,
    ssrc: u32,
    sequence: u16,
    packets: u8,
    last: Mono,
}

/// What the source check says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Stranger,
    Admitted,
    /// Admitted, and from now on the only one.
    Locked(SocketAddr),
}

impl Source {
    /// `before`: what was heard until now, when this is a re-INVITE.
    pub fn new(address: SocketAddr, latch: Option<IpAddr>, before: Option<&Source>) -> Source {
        let address = canonical(address);
        let Some(only) = latch else {
            return Source::Fixed {
                address,
                heard: false,
            };
        };
        let known = match before {
            Some(Source::Fixed {
                address,
                heard: true,
            }) => Some(*address),
            Some(Source::Learning { known, .. }) => *known,
            _ => None,
        };
        Source::Learning {
            address,
            known,
            only: only.to_canonical(),
            candidate: None,
        }
    }

    /// Where we send.
    pub fn address(&self) -> SocketAddr {
        match self {
            Source::Fixed { address, .. } => *address,
            Source::Learning { address, known, .. } => known.unwrap_or(*address),
        }
    }

    /// Judges a packet that is well formed and of a negotiated payload type, before anything learns from it.
    pub fn admit(&mut self, now: Mono, from: SocketAddr, received: &Received) -> Admission {
        let from = canonical(from);
        match self {
            Source::Fixed { address, heard } => {
                if *address != from {
                    Admission::Stranger
                } else if !*heard {
                    *heard = true;
                    Admission::Locked(from)
                } else {
                    Admission::Admitted
                }
            }
            Source::Learning { address, known, .. } if *address == from || *known == Some(from) => {
                *self = Source::Fixed {
                    address: from,
                    heard: true,
                };
                Admission::Locked(from)
            }
            Source::Learning { only, .. } if *only != from.ip() => Admission::Stranger,
            Source::Learning { candidate, .. } => {
                let fresh = Candidate {
                    address: from,
                    ssrc: received.ssrc,
                    sequence: received.sequence,
                    packets: 1,
                    last: now,
                };
                let Some(known) = candidate else {
                    *candidate = Some(fresh);
                    return Admission::Stranger;
                };
                if known.address != from {
                    // One at a time: a second source cannot interrupt the first one's proof, only wait for it to fail.
                    if now.since(known.last) > CANDIDATE_PATIENCE {
                        *known = fresh;
                    }
                    return Admission::Stranger;
                }
                let follows = received.sequence.wrapping_sub(known.sequence);
                if known.ssrc != received.ssrc || follows == 0 || follows > 16 {
                    *known = fresh;
                    return Admission::Stranger;
                }
                known.sequence = received.sequence;
                known.last = now;
                known.packets += 1;
                if known.packets < LATCH_AFTER {
                    return Admission::Stranger;
                }
                *self = Source::Fixed {
                    address: from,
                    heard: true,
                };
                Admission::Locked(from)
            }
        }
    }
}

/// A socket of both families reports IPv4 peers as mapped.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl Leg {
    pub fn new(id: LegId, ssrc: u32, sequence: u16, timestamp: u32) -> Leg {
        Leg {
            id,
            connection: None,
            sender: Sender::new(ssrc, sequence, timestamp),
            reception: Reception::default(),
            digits_in: DigitReceiver::default(),
            digits_out: DigitSender::default(),
            player: Player::default(),
            listen: false,
            record: false,
            peer: None,
            frames: None,
            concealed_before: 0,
        }
    }

    /// Something here needs its frames, bridged or not.
    pub fn wants_frames(&self) -> bool {
        self.listen || self.record || !self.player.idle() || !self.digits_out.idle()
    }

    pub fn stats(&self) -> LegStats {
        let now = self
            .frames
            .as_ref()
            .map_or(0, |frames| frames.jitter.concealed());
        LegStats {
            packets_received: self.reception.received(),
            packets_sent: self.sender.packets(),
            packets_lost: self.reception.lost(),
            jitter_us: self.reception.jitter_us(),
            concealed: self.concealed_before + now,
        }
    }

    pub fn enter_frames(&mut self, jitter: JitterConfig) {
        self.sender.unsplice();
        self.frames
            .get_or_insert_with(|| Box::new(Frames::new(jitter)));
    }

    pub fn leave_frames(&mut self) {
        self.sender.unsplice();
        if let Some(frames) = self.frames.take() {
            self.concealed_before += frames.jitter.concealed();
        }
    }

    /// Puts an admitted audio packet into the jitter buffer. False when it came too late to be played.
    pub fn hear(&mut self, now: Mono, received: &Received, codec: Codec, payload: &[u8]) -> bool {
        let Some(frames) = &mut self.frames else {
            return true;
        };
        let mut pcm = [0i16; LONGEST];
        let length = payload.len().min(LONGEST);
        codec.decode(&payload[..length], &mut pcm);
        let arrival = (now.as_nanos() / 125_000) as u32;
        let pushed = frames.jitter.push(
            arrival,
            received.ssrc,
            received.sequence,
            received.timestamp,
            &pcm[..length],
        );
        pushed != Pushed::Late
    }

    /// One 20 ms tick of frame mode, due at millisecond `due`. What this leg said is then in `said`.
    pub fn tick(&mut self, due: u64, out: &mut impl Out) {
        let (Some(connection), Some(frames)) = (&self.connection, &mut self.frames) else {
            return;
        };
        let negotiated = &connection.negotiated;
        frames.frame.at = (due.saturating_sub(connection.epoch) * 8) as u32;
        frames.spoke = frames.jitter.pull(&mut frames.frame.pcm);
        frames.frame.gate_open = frames.gate.frame(&frames.frame.pcm);
        if self.listen {
            out.heard(self.id, &frames.frame);
        }

        let keying = self
            .digits_out
            .tick(negotiated.dtmf.is_some(), &mut frames.right);
        let mut progress = None;
        let mut sound = true;
        match keying {
            Keying::Tone => {}
            Keying::Event { .. } => frames.right.fill(0),
            Keying::Idle => {
                progress = self.player.frame(&mut frames.right);
                if progress.is_none() {
                    if frames.fresh {
                        frames.right = frames.from_peer;
                        sound = frames.peer_spoke != Played::Silence;
                    } else {
                        frames.right.fill(0);
                        sound = false;
                    }
                }
            }
        }
        frames.fresh = false;

        if self.record {
            out.recorded(self.id, frames.frame.at, &frames.frame.pcm, &frames.right);
        }
        if negotiated.direction.sends() {
            let to = connection.source.address();
            let due = Mono::from_millis(due);
            let mut buffer = [0; PACKET];
            let packet = match (keying, negotiated.dtmf) {
                (Keying::Event { event, begins }, Some(payload_type)) => {
                    if begins {
                        frames.event_timestamp = self.sender.advance(due);
                    }
                    sound = false;
                    let timestamp = frames.event_timestamp;
                    self.sender
                        .packet(&mut buffer, payload_type, begins, timestamp, &event.bytes())
                }
                _ => {
                    let timestamp = self.sender.advance(due);
                    let mut payload = [0; FRAME];
                    negotiated.codec.encode(&frames.right, &mut payload);
                    let marker = !frames.sent_any || (sound && !frames.spurt);
                    let payload_type = negotiated.payload_type;
                    self.sender
                        .packet(&mut buffer, payload_type, marker, timestamp, &payload)
                }
            };
            frames.spurt = sound;
            frames.sent_any = true;
            out.send(self.id, to, packet);
        }
        if let Some(progress) = progress {
            if let Some(play) = progress.started {
                out.event(Event::PlayStarted { leg: self.id, play });
            }
            if let Some(play) = progress.finished {
                out.event(Event::PlayFinished { leg: self.id, play });
            }
        }
    }

    /// What this leg said in its last tick.
    pub fn said(&self) -> Option<(&Pcm, Played)> {
        self.frames
            .as_ref()
            .map(|frames| (&frames.frame.pcm, frames.spoke))
    }

    /// What the other leg said, for the next tick.
    pub fn told(&mut self, pcm: &Pcm, spoke: Played) {
        if let Some(frames) = &mut self.frames {
            frames.from_peer = *pcm;
            frames.peer_spoke = spoke;
            frames.fresh = true;
        }
    }
}

impl Frames {
    fn new(jitter: JitterConfig) -> Frames {
        Frames {
            jitter: JitterBuffer::new(jitter),
            gate: Gate::default(),
            frame: Frame {
                at: 0,
                pcm: [0; FRAME],
                gate_open: false,
            },
            spoke: Played::Silence,
            right: [0; FRAME],
            from_peer: [0; FRAME],
            peer_spoke: Played::Silence,
            fresh: false,
            spurt: false,
            sent_any: false,
            event_timestamp: 0,
        }
    }
}
