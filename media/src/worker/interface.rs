//! What a worker is told and what it tells.

use crate::Pcm;
use crate::jitter::JitterConfig;
use crate::prompt::Prompt;
use crate::sdp::Negotiated;
use model::{LegId, LegStats, PlayId};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub enum Command {
    /// State only; the shell binds the leg's socket. The numbers are where our sender starts (random, RFC 3550 §5.1).
    Open {
        leg: LegId,
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
    },
    /// Media may flow. Again after a re-INVITE. `latch`: signalling and SDP addresses differ, so learn the
    /// source, but only one on this address, where the signalling comes from.
    Connect {
        leg: LegId,
        negotiated: Negotiated,
        latch: Option<IpAddr>,
    },
    /// Plays after what is already playing or waiting on this leg (`Stop` the old one to cut in). On a bridged leg it is
    /// heard instead of the other party; on hold it plays on unheard. Waits for `Connect` where that is still to come.
    Play {
        leg: LegId,
        play: PlayId,
        prompt: Arc<Prompt>,
    },
    /// Ends or unqueues one play. No `PlayFinished` follows.
    Stop {
        leg: LegId,
        play: PlayId,
    },
    /// Frames of what this leg says, through `Out::heard`.
    Listen {
        leg: LegId,
        on: bool,
    },
    /// Frames of both sides of this leg, through `Out::recorded`.
    Record {
        leg: LegId,
        on: bool,
    },
    /// The two hear each other; whoever either was bridged to before is let go.
    Bridge {
        a: LegId,
        b: LegId,
    },
    Unbridge {
        a: LegId,
        b: LegId,
    },
    /// A key pressed towards this leg: telephone-event, or an in-band tone where the far end has none.
    SendDigit {
        leg: LegId,
        digit: char,
        duration: Duration,
    },
    Close {
        leg: LegId,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first packet of this play has left.
    PlayStarted {
        leg: LegId,
        play: PlayId,
    },
    /// The last sample of this play has left (or too many plays were waiting: then at once, so that nobody waits for it).
    PlayFinished {
        leg: LegId,
        play: PlayId,
    },
    /// A key pressed by the far end, once.
    Digit {
        leg: LegId,
        digit: char,
    },
    /// The leg's source is settled; the shell may connect its socket to it.
    SourceLocked {
        leg: LegId,
        remote: SocketAddr,
    },
    Closed {
        leg: LegId,
        stats: LegStats,
    },
    /// No RTP for `WorkerConfig::silent_after` on a leg that nobody holds; said once until packets come again.
    Silent {
        leg: LegId,
    },
}

/// 20 ms of what a leg said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Samples since the leg's first `Connect`.
    pub at: u32,
    pub pcm: Pcm,
    /// The energy gate: closed means nothing here is worth a voice detector's time.
    pub gate_open: bool,
}

/// Where a worker's results go. Called many times a tick: implementations push into bounded rings and return.
pub trait Out {
    fn send(&mut self, leg: LegId, to: SocketAddr, packet: &[u8]);
    fn heard(&mut self, leg: LegId, frame: &Frame);
    /// `left` is from this leg, `right` is all it hears. `at` is on the same time base as `Frame::at` and grows by 160
    /// from frame to frame; after a stall it may leap, and the missing time is silence.
    fn recorded(&mut self, leg: LegId, at: u32, left: &Pcm, right: &Pcm);
    fn event(&mut self, event: Event);
}

#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// A leg connected both ways and not heard for this long is `Silent`.
    pub silent_after: Duration,
    pub jitter: JitterConfig,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        WorkerConfig {
            silent_after: Duration::from_secs(15),
            jitter: JitterConfig::default(),
        }
    }
}
