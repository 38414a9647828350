//! One leg: what it said lately, when its voice starts and pauses, and spans of it for the recogniser.
//!
//! Silero runs only where the energy gate is, or was within `HANG`, open; elsewhere a window counts as unvoiced for free.

use crate::vad::{Vad, VadError, VadState, WINDOW};
use media::{FRAME, Frame, SAMPLE_RATE};
use std::collections::VecDeque;
use std::time::Duration;

/// Windows kept, with their samples: about 30 s.
const KEPT: usize = 30 * SAMPLE_RATE as usize / WINDOW;
/// Silero goes on this long after the gate closed.
const HANG: u32 = 300 * SAMPLE_RATE / 1000;
/// Windows before the gate opened that silero sees too, to be awake at the onset.
const WAKE: usize = 3;
/// A window above it may begin voice, one below the lower goes towards a pause; between them all stays as it is.
const VOICED: f32 = 0.5;
const UNVOICED: f32 = 0.35;
/// Windows of voice until it is reported: a click is none.
const START_AFTER: usize = 2;
/// Windows without voice until a pause is reported: 96 ms.
const PAUSE_AFTER: usize = 3;
/// What is left around the voice when a span is cut.
const MARGIN: u32 = 200 * SAMPLE_RATE / 1000;
/// The longest span given to a recogniser; its end is kept.
const LONGEST: u32 = 25 * SAMPLE_RATE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    Started {
        at_ms: u32,
    },
    Paused {
        last_voiced_ms: u32,
        silence: Duration,
    },
}

/// A span for the recogniser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// 8 kHz, silence trimmed to at most 200 ms either side of the voice.
    pub pcm: Vec<i16>,
    pub from_ms: u32,
    pub voiced: Duration,
}

impl Cut {
    pub fn duration(&self) -> Duration {
        samples(self.pcm.len() as u32)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    /// Silero looked at it.
    looked: bool,
    probability: f32,
}

/// Windows from `first` on, on the leg's time base: window n holds samples n·256 to n·256 + 255.
pub struct Ear {
    vad: Vad,
    state: VadState,
    pcm: VecDeque<i16>,
    marks: VecDeque<Marks>,
    /// Sample offset of `pcm[0]`; always a multiple of `WINDOW`.
    base: u32,
    /// Silero looks at windows that begin before this sample.
    look_until: u32,
    talking: bool,
    voiced_run: usize,
    unvoiced_run: usize,
    /// End of the last voiced window, in samples.
    last_voiced: u32,
}

fn samples(n: u32) -> Duration {
    Duration::from_micros(u64::from(n) * 1_000_000 / u64::from(SAMPLE_RATE))
}
fn to_ms(sample: u32) -> u32 {
    (u64::from(sample) * 1000 / u64::from(SAMPLE_RATE)) as u32
}
fn to_sample(ms: u32) -> u32 {
    (u64::from(ms) * u64::from(SAMPLE_RATE) / 1000).min(u64::from(u32::MAX)) as u32
}

impl Ear {
    pub fn new(vad: Vad) -> Ear {
        Ear {
            vad,
            state: VadState::default(),
            pcm: VecDeque::new(),
            marks: VecDeque::new(),
            base: 0,
            look_until: 0,
            talking: false,
            voiced_run: 0,
            unvoiced_run: 0,
            last_voiced: 0,
        }
    }

    pub fn talking(&self) -> bool {
        self.talking
    }

    /// Sample after the last one heard.
    fn end(&self) -> u32 {
        self.base + self.pcm.len() as u32
    }

    /// Takes the next frame. One that was lost on the way counts as silence; one from the past is dropped.
    pub fn push(&mut self, frame: &Frame, out: &mut Vec<Voice>) -> Result<(), VadError> {
        if self.pcm.is_empty() && self.marks.is_empty() {
            self.base = frame.at - frame.at % WINDOW as u32;
        }
        if frame.at < self.end() {
            return Ok(());
        }
        let gap = frame.at - self.end();
        if gap as usize >= KEPT * WINDOW {
            self.pause(out);
            let vad = self.vad.clone();
            *self = Ear::new(vad);
            return self.push(frame, out);
        }
        if gap > 0 {
            self.pcm.extend(std::iter::repeat_n(0, gap as usize));
            self.look(out)?;
        }
        let opened = frame.gate_open && self.look_until <= frame.at;
        if frame.gate_open {
            self.look_until = frame.at + FRAME as u32 + HANG;
        }
        if opened {
            self.wake()?;
        }
        self.pcm.extend(frame.pcm);
        self.look(out)
    }

    /// No frame has come for this long: a voice that was heard has stopped, as far as anyone can tell.
    pub fn starved(&mut self, out: &mut Vec<Voice>) {
        self.pause(out);
    }

    fn pause(&mut self, out: &mut Vec<Voice>) {
        self.voiced_run = 0;
        if std::mem::take(&mut self.talking) {
            let silence = samples(self.end().saturating_sub(self.last_voiced));
            out.push(Voice::Paused {
                last_voiced_ms: to_ms(self.last_voiced),
                silence,
            });
        }
    }

    /// The gate has opened after silero slept: show it the last windows, so that it is awake for the onset.
    fn wake(&mut self) -> Result<(), VadError> {
        self.state = VadState::default();
        self.voiced_run = 0;
        let from = self.marks.len().saturating_sub(WAKE);
        for index in from..self.marks.len() {
            let window = self.window(index);
            let probability = self.vad.probability(&mut self.state, &window)?;
            self.marks[index] = Marks {
                looked: true,
                probability,
            };
            // Voice already under way counts towards its start, but never reopens what was reported.
            self.voiced_run = if probability >= VOICED {
                self.voiced_run + 1
            } else {
                0
            };
        }
        Ok(())
    }

    fn window(&self, index: usize) -> [i16; WINDOW] {
        let mut window = [0; WINDOW];
        for (to, from) in window.iter_mut().zip(self.pcm.range(index * WINDOW..)) {
            *to = *from;
        }
        window
    }

    /// Judges every window that is complete.
    fn look(&mut self, out: &mut Vec<Voice>) -> Result<(), VadError> {
        while self.pcm.len() >= (self.marks.len() + 1) * WINDOW {
            let index = self.marks.len();
            let from = self.base + (index * WINDOW) as u32;
            let looked = from < self.look_until;
            let mut probability = 0.0;
            if looked {
                let window = self.window(index);
                probability = self.vad.probability(&mut self.state, &window)?;
            }
            self.marks.push_back(Marks {
                looked,
                probability,
            });
            self.judge(from, probability, out);
            if self.marks.len() > KEPT {
                self.marks.pop_front();
                self.pcm.drain(..WINDOW);
                self.base += WINDOW as u32;
            }
        }
        Ok(())
    }

    fn judge(&mut self, from: u32, probability: f32, out: &mut Vec<Voice>) {
        let end = from + WINDOW as u32;
        let voiced = probability >= if self.talking { UNVOICED } else { VOICED };
        if voiced {
            self.voiced_run += 1;
            self.unvoiced_run = 0;
            self.last_voiced = if self.talking || self.voiced_run >= START_AFTER {
                end
            } else {
                self.last_voiced
            };
            if !self.talking && self.voiced_run >= START_AFTER {
                self.talking = true;
                let start = end - (self.voiced_run * WINDOW) as u32;
                out.push(Voice::Started {
                    at_ms: to_ms(start),
                });
            }
        } else {
            self.voiced_run = 0;
            self.unvoiced_run += 1;
            if self.talking && self.unvoiced_run >= PAUSE_AFTER {
                self.talking = false;
                let silence = samples(end - self.last_voiced);
                out.push(Voice::Paused {
                    last_voiced_ms: to_ms(self.last_voiced),
                    silence,
                });
            }
        }
    }

    /// What the leg said between the two offsets, trimmed to its voice. None when there was no voice in it (or it is gone).
    pub fn cut(&self, from_ms: u32, to_ms_: u32) -> Option<Cut> {
        let (from, to) = (
            to_sample(from_ms).max(self.base),
            to_sample(to_ms_).min(self.end()),
        );
        let voiced = |index: &usize| {
            let start = self.base + (*index * WINDOW) as u32;
            start < to && start + WINDOW as u32 > from && self.marks[*index].probability >= UNVOICED
        };
        let first = (0..self.marks.len()).find(voiced)?;
        let last = (0..self.marks.len()).rfind(voiced)?;
        let begin = (self.base + (first * WINDOW) as u32)
            .saturating_sub(MARGIN)
            .max(self.base);
        let end = (self.base + ((last + 1) * WINDOW) as u32 + MARGIN).min(self.end());
        let begin = begin.max(end.saturating_sub(LONGEST));
        let kept = (begin - self.base) as usize..(end - self.base) as usize;
        let pcm = self.pcm.range(kept).copied().collect();
        let n = (first..=last)
            .filter(voiced)
            .filter(|index| self.base + (index * WINDOW) as u32 >= begin)
            .count();
        Some(Cut {
            pcm,
            from_ms: to_ms(begin),
            voiced: samples((n * WINDOW) as u32),
        })
    }

    /// Share of windows silero had to look at. For measuring the gate.
    pub fn looked(&self) -> f32 {
        let looked = self.marks.iter().filter(|mark| mark.looked).count();
        looked as f32 / self.marks.len().max(1) as f32
    }
}
