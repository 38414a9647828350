//! The jitter buffer: packets in as they come, one frame out every 20 ms.
//!
//! It keeps samples by RTP timestamp, so packets of any length, in any order, any number of times, find their one
//! place. A cursor walks forward over them and never back: no sample is played twice. What is missing when something
//! later is there was lost, and is concealed; when nothing later is there it may only be late, and the cursor waits
//! while the gap is bridged (that is how the delay grows). When the delay has been larger than the network's shaking
//! asks for, a pitch period is left out (that is how it shrinks). Both bounds are fixed: it cannot grow beyond its ring.

use crate::conceal::{self, Concealer};
use crate::{FRAME, Pcm};
use std::time::Duration;

mod transit;
use transit::Transit;

/// Samples it can hold: 512 ms.
const RING: usize = 4096;
const MASK: usize = RING - 1;
/// Numbers further back than this are a restart, not a straggler (RFC 3550 A.1).
const MAX_MISORDER: u16 = 100;
const MAX_DROPOUT: u16 = 3000;
/// Bridging stops, and the stream counts as silent, after this much.
const IDLE: u32 = 800;
/// The delay is judged over this many frames before it is shortened.
const PATIENCE: u32 = 25;

/// How much shaking it prepares for. The delay is this and one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JitterConfig {
    pub min: Duration,
    pub max: Duration,
}

impl Default for JitterConfig {
    fn default() -> Self {
        JitterConfig {
            min: Duration::from_millis(20),
            max: Duration::from_millis(200),
        }
    }
}

/// What the frame just taken is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Played {
    /// Received sound, at least in part.
    Sound,
    /// Made up for what was lost or late.
    Concealed,
    /// Nothing is coming: silence.
    Silence,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    Kept,
    Duplicate,
    /// Its moment has passed.
    Late,
    /// Its numbers fit nothing yet; if the next packet follows them, the stream restarts there.
    Suspect,
}

#[derive(Clone, Debug)]
pub struct JitterBuffer {
    least: u32,
    most: u32,
    ring: Box<[i16; RING]>,
    held: [u64; RING / 64],
    stream: Option<Stream>,
    concealer: Concealer,
    transit: Transit,
    concealed: u64,
}

/// The timestamps of one source.
#[derive(Clone, Debug)]
struct Stream {
    ssrc: u32,
    highest: u16,
    suspect: Option<u16>,
    /// The next sample to play.
    cursor: u32,
    /// Behind the newest sample held.
    end: u32,
    /// Nothing before this may be played any more.
    floor: u32,
    playing: bool,
    /// Bridged while waiting for the sample at the cursor.
    bridged: u32,
    starved: bool,
    /// Waited for the first samples to be enough.
    waited: u32,
    /// Smallest depth seen over the last frames.
    shallowest: u32,
    judged: u32,
}

impl JitterBuffer {
    pub fn new(config: JitterConfig) -> JitterBuffer {
        let samples = |d: Duration| (d.as_micros() / 125) as u32;
        let most = samples(config.max).min((RING / 2) as u32);
        JitterBuffer {
            least: samples(config.min).min(most),
            most,
            ring: Box::new([0; RING]),
            held: [0; RING / 64],
            stream: None,
            concealer: Concealer::default(),
            transit: Transit::default(),
            concealed: 0,
        }
    }

    /// Frames made up so far.
    pub fn concealed(&self) -> u64 {
        self.concealed
    }

    /// Samples between the cursor and the newest one held.
    pub fn depth(&self) -> usize {
        self.stream
            .as_ref()
            .map_or(0, |s| s.end.wrapping_sub(s.cursor) as usize)
    }

    /// The depth it wants before a frame is taken.
    pub fn target(&self) -> usize {
        FRAME + self.transit.spread().clamp(self.least, self.most) as usize
    }

    /// Takes a decoded packet. `arrival` is a clock of 8 000 a second.
    pub fn push(
        &mut self,
        arrival: u32,
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
        pcm: &[i16],
    ) -> Pushed {
        let pcm = &pcm[..pcm.len().min(RING / 4)];
        let length = pcm.len() as u32;
        if self
            .stream
            .as_ref()
            .is_none_or(|stream| stream.ssrc != ssrc)
        {
            self.start(ssrc, sequence, timestamp);
        }
        let mut restart = false;
        if let Some(stream) = &mut self.stream {
            let ahead = sequence.wrapping_sub(stream.highest);
            // Where the packet ends, from the cursor: behind it is late, or a clock that leapt.
            let reach = timestamp.wrapping_add(length).wrapping_sub(stream.floor) as i32;
            let from_cursor = timestamp.wrapping_sub(stream.cursor) as i32;
            let fits = reach > 0 && from_cursor < (RING - RING / 4) as i32;
            if ahead == 0 && self.transit.seen {
                return Pushed::Duplicate;
            } else if ahead < MAX_DROPOUT {
                stream.highest = sequence;
                stream.suspect = None;
                // A newer number on an older (or far) moment: the sender's clock leapt.
                restart = !fits;
                if !stream.playing && stream.cursor == stream.end && from_cursor > 0 {
                    // After silence, whatever comes is next; what was played stays played.
                    stream.cursor = timestamp;
                    stream.end = timestamp;
                    restart = false;
                }
            } else if ahead > u16::MAX - MAX_MISORDER {
                if !fits {
                    return Pushed::Late;
                }
            } else if stream.suspect == Some(sequence) {
                restart = true;
            } else {
                stream.suspect = Some(sequence.wrapping_add(1));
                return Pushed::Suspect;
            }
        }
        if restart {
            self.start(ssrc, sequence, timestamp);
        }
        self.transit.packet(arrival, timestamp);
        self.keep(timestamp, pcm)
    }

    /// Takes the next 20 ms.
    pub fn pull(&mut self, pcm: &mut Pcm) -> Played {
        let target = self.target() as u32;
        let Some(stream) = &mut self.stream else {
            return self.nothing(pcm);
        };
        let mut depth = stream.end.wrapping_sub(stream.cursor);
        if !stream.playing {
            if depth > 0 {
                stream.waited += FRAME as u32;
            }
            if depth == 0 || (depth < target && stream.waited < target) {
                return self.nothing(pcm);
            }
            stream.playing = true;
            stream.starved = false;
            stream.bridged = 0;
            stream.judge_anew();
        }
        if depth > self.most + 2 * FRAME as u32 {
            // A flood of stored-up packets: what is too old to be worth the delay is never played.
            self.skip(depth - target);
            depth = target;
        } else if self.too_deep(depth, target) && self.leave_out_a_period(pcm) {
            self.concealer.real(pcm);
            self.pass_floor();
            return Played::Sound;
        }
        let played = self.assemble(pcm, depth, target);
        self.pass_floor();
        if played == Played::Concealed {
            self.concealed += 1;
        }
        played
    }

    fn start(&mut self, ssrc: u32, sequence: u16, timestamp: u32) {
        self.held = [0; RING / 64];
        // The first packets may come in the wrong order: those just before the first seen may still be played.
        let earlier = timestamp.wrapping_sub(self.most);
        self.stream = Some(Stream {
            ssrc,
            highest: sequence,
            suspect: None,
            cursor: timestamp,
            end: timestamp,
            floor: earlier,
            playing: false,
            bridged: 0,
            starved: false,
            waited: 0,
            shallowest: u32::MAX,
            judged: 0,
        });
        self.transit = Transit::default();
    }

    fn keep(&mut self, timestamp: u32, pcm: &[i16]) -> Pushed {
        let Some(stream) = &mut self.stream else {
            return Pushed::Late;
        };
        let mut fresh = false;
        let oldest = if stream.playing {
            stream.cursor
        } else {
            // Before playing begins the cursor may still move back, as far as the ring reaches.
            let reach = stream.end.wrapping_sub((RING - RING / 4) as u32);
            if (reach.wrapping_sub(stream.floor) as i32) > 0 {
                reach
            } else {
                stream.floor
            }
        };
        for (n, sample) in pcm.iter().enumerate() {
            let at = timestamp.wrapping_add(n as u32);
            if (at.wrapping_sub(oldest) as i32) < 0 {
                continue;
            }
            let place = at as usize & MASK;
            let bit = 1u64 << (place % 64);
            if self.held[place / 64] & bit == 0 {
                self.held[place / 64] |= bit;
                self.ring[place] = *sample;
                fresh = true;
                if !stream.playing && (at.wrapping_sub(stream.cursor) as i32) < 0 {
                    stream.cursor = at;
                }
            }
        }
        let end = timestamp.wrapping_add(pcm.len() as u32);
        if fresh && (end.wrapping_sub(stream.end) as i32) > 0 {
            stream.end = end;
        }
        match (fresh, (end.wrapping_sub(stream.cursor) as i32) <= 0) {
            (true, _) => Pushed::Kept,
            (false, true) => Pushed::Late,
            (false, false) => Pushed::Duplicate,
        }
    }

    /// Silence, or the fading end of what was being made up.
    fn nothing(&mut self, pcm: &mut Pcm) -> Played {
        self.concealer.conceal(pcm);
        Played::Silence
    }

    fn too_deep(&mut self, depth: u32, target: u32) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        stream.shallowest = stream.shallowest.min(depth);
        stream.judged += 1;
        if stream.judged < PATIENCE {
            return false;
        }
        let deep = stream.shallowest > target + FRAME as u32;
        stream.judge_anew();
        deep
    }

    /// Plays a frame and a pitch period as one frame, without a seam. `false`: there is a hole, better leave that out.
    fn leave_out_a_period(&mut self, pcm: &mut Pcm) -> bool {
        let mut twice = [0i16; 2 * FRAME];
        if self.run(2 * FRAME as u32) < 2 * FRAME as u32 {
            return false;
        }
        let Some(stream) = &self.stream else {
            return false;
        };
        for (n, sample) in twice.iter_mut().enumerate() {
            *sample = self.ring[stream.cursor.wrapping_add(n as u32) as usize & MASK];
        }
        let lag = conceal::repeat_lag(&twice, FRAME);
        for (n, sample) in pcm.iter_mut().enumerate() {
            let (early, late) = (i32::from(twice[n]), i32::from(twice[n + lag]));
            *sample = ((early * (FRAME - n) as i32 + late * n as i32) / FRAME as i32) as i16;
        }
        self.skip((FRAME + lag) as u32);
        true
    }

    fn assemble(&mut self, pcm: &mut Pcm, depth: u32, target: u32) -> Played {
        let Some(stream) = &mut self.stream else {
            return Played::Silence;
        };
        if depth < FRAME as u32 && !stream.starved {
            // Late by a little, or the far clock is slower: bridge a whole frame and keep what there is for the next.
            stream.starved = true;
            stream.bridged += FRAME as u32;
            self.concealer.conceal(pcm);
            return Played::Concealed;
        }
        let (mut filled, mut real) = (0usize, 0usize);
        while filled < FRAME {
            let room = (FRAME - filled) as u32;
            let run = self.run(room) as usize;
            if run > 0 {
                self.play(&mut pcm[filled..filled + run]);
                filled += run;
                real += run;
                continue;
            }
            let hole = self.hole();
            let Some(stream) = &mut self.stream else {
                break;
            };
            if hole == 0 {
                break;
            }
            let spare = stream
                .end
                .wrapping_sub(stream.cursor)
                .saturating_sub(target);
            let skip = hole.min(stream.bridged.max(spare));
            if skip > 0 {
                // Bridged already while waiting, or the delay is longer than it need be: no second gap for it.
                stream.cursor = stream.cursor.wrapping_add(skip);
                stream.bridged = stream.bridged.saturating_sub(skip);
            } else {
                let lost = hole.min(room) as usize;
                stream.cursor = stream.cursor.wrapping_add(lost as u32);
                self.concealer.conceal(&mut pcm[filled..filled + lost]);
                filled += lost;
            }
        }
        let Some(stream) = &mut self.stream else {
            return Played::Silence;
        };
        if filled < FRAME {
            stream.bridged += (FRAME - filled) as u32;
            stream.starved = true;
            if stream.bridged > IDLE {
                stream.playing = false;
                stream.waited = 0;
            }
            self.concealer.conceal(&mut pcm[filled..]);
        } else {
            stream.starved = false;
        }
        if real > 0 {
            return if real < FRAME {
                Played::Concealed
            } else {
                Played::Sound
            };
        }
        if self.concealer.faded() {
            Played::Silence
        } else {
            Played::Concealed
        }
    }

    fn play(&mut self, pcm: &mut [i16]) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        for (n, sample) in pcm.iter_mut().enumerate() {
            *sample = self.ring[stream.cursor.wrapping_add(n as u32) as usize & MASK];
        }
        stream.bridged = 0;
        self.concealer.real(pcm);
        self.skip(pcm.len() as u32);
    }

    /// Moves the cursor on and forgets what it passes.
    fn skip(&mut self, samples: u32) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        for n in 0..samples {
            let place = stream.cursor.wrapping_add(n) as usize & MASK;
            self.held[place / 64] &= !(1 << (place % 64));
        }
        stream.cursor = stream.cursor.wrapping_add(samples);
    }

    fn pass_floor(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.floor = stream.cursor;
        }
    }

    /// Samples held without a break from the cursor, at most `most`.
    fn run(&self, most: u32) -> u32 {
        self.count(most, |held| held)
    }
    /// Samples missing from the cursor to the next one held; 0 when nothing later is held.
    fn hole(&self) -> u32 {
        let depth = self.depth() as u32;
        let hole = self.count(depth, |held| !held);
        if hole == depth { 0 } else { hole }
    }
    fn count(&self, most: u32, mut is: impl FnMut(bool) -> bool) -> u32 {
        let Some(stream) = &self.stream else { return 0 };
        let most = most.min(stream.end.wrapping_sub(stream.cursor));
        (0..most)
            .find(|n| {
                let place = stream.cursor.wrapping_add(*n) as usize & MASK;
                !is(self.held[place / 64] >> (place % 64) & 1 == 1)
            })
            .unwrap_or(most)
    }
}

impl Stream {
    fn judge_anew(&mut self) {
        self.shallowest = u32::MAX;
        self.judged = 0;
    }
}

#[cfg(test)]
mod tests;
