//! The value one media thread owns.

use crate::Pcm;
use crate::prompt::Prompt;
use crate::sdp::Negotiated;
use model::{LegId, LegStats, Mono, PlayId};
use std::net::SocketAddr;
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
    /// Media may flow. Again after a re-INVITE. `latch`: signalling and SDP addresses differ, so learn the source.
    Connect {
        leg: LegId,
        negotiated: Negotiated,
        latch: bool,
    },
    /// Plays after what is already playing or waiting on this leg (`Stop` the old one to cut in).
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
    /// The two hear each other.
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
    /// The last sample of this play has left (or the play could not be queued, so nobody waits for it).
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
    /// No RTP for `WorkerConfig::silent_after`; said once until packets come again.
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
    /// `left` is from this leg, `right` is all it hears. `at` grows by 160 from frame to frame; after a stall it may
    /// leap, and the missing time is silence.
    fn recorded(&mut self, leg: LegId, at: u32, left: &Pcm, right: &Pcm);
    fn event(&mut self, event: Event);
}

#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// A connected leg that should be heard and is not, for this long, is `Silent`.
    pub silent_after: Duration,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        WorkerConfig {
            silent_after: Duration::from_secs(15),
        }
    }
}

/// Every leg of a set of calls. A plain value: moves between threads, knows no clock.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
}

impl Worker {
    pub fn new(config: WorkerConfig) -> Worker {
        Worker { config }
    }
    /// Commands about unknown legs are ignored: they crossed with a `Close`.
    pub fn command(&mut self, now: Mono, command: Command, out: &mut impl Out) {
        let _ = (now, command, out, &self.config);
    }
    /// A datagram that arrived on the leg's socket. Its bytes are rewritten in place when it is forwarded.
    pub fn packet(
        &mut self,
        now: Mono,
        leg: LegId,
        from: SocketAddr,
        packet: &mut [u8],
        out: &mut impl Out,
    ) {
        let _ = (now, leg, from, packet, out);
    }
    /// Runs every frame that is due. To be called about every 2 ms, and at latest at `next_deadline`.
    pub fn tick(&mut self, now: Mono, out: &mut impl Out) {
        let _ = (now, out);
    }
    pub fn next_deadline(&self) -> Option<Mono> {
        None
    }
    /// Legs open.
    pub fn legs(&self) -> usize {
        0
    }
}
