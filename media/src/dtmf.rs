//! Keys as telephone-events (RFC 4733), both ways, and as in-band tones towards those who have none.

use crate::{FRAME, SAMPLE_RATE};
use model::Mono;
use std::collections::VecDeque;
use std::time::Duration;

const KEYS: &[u8; 16] = b"0123456789*#ABCD";

/// The event code of a key (RFC 4733 §3.2).
pub fn code(digit: char) -> Option<u8> {
    let digit = digit.to_ascii_uppercase();
    KEYS.iter()
        .position(|key| char::from(*key) == digit)
        .map(|n| n as u8)
}

pub fn digit(code: u8) -> Option<char> {
    KEYS.get(code as usize).map(|key| char::from(*key))
}

/// The four bytes of an event's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telephony {
    pub code: u8,
    pub end: bool,
    /// Attenuation in dB below 1 mW.
    pub volume: u8,
    /// Timestamp units since the event began.
    pub duration: u16,
}

impl Telephony {
    /// Reads the first event of a payload; later blocks would be earlier events (RFC 2198 redundancy is not offered).
    pub fn parse(payload: &[u8]) -> Option<Telephony> {
        let &[code, flags, high, low, ..] = payload else {
            return None;
        };
        Some(Telephony {
            code,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }
    pub fn bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [
            self.code,
            (self.volume & 0x3f) | if self.end { 0x80 } else { 0 },
            high,
            low,
        ]
    }
}

/// Hears keys: each once, at its first packet, whatever is lost or repeated after it.
#[derive(Clone, Debug)]
pub struct DigitReceiver {
    ssrc: Option<u32>,
    current: Option<Current>,
    /// Keys that may still be said now: a flood of events is not a person.
    allowance: u32,
    refilled: Option<Mono>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    code: u8,
    /// Timestamp of the newest packet that belonged to it.
    timestamp: u32,
    duration: u16,
    ended: bool,
}

/// A sender that (wrongly) moves the timestamp along with each packet of one press moves it by a packet; two presses
/// are never this close.
const SAME_PRESS: u32 = 2 * FRAME as u32;
/// An older timestamp than this is a clock that restarted.
const MEMORY: u32 = 10 * SAMPLE_RATE;
const BURST: u32 = 16;
/// Nobody presses faster (ITU-T Q.24: 40 ms tone, 40 ms pause; leave some room).
const PER_KEY: Duration = Duration::from_millis(50);

impl Default for DigitReceiver {
    fn default() -> Self {
        DigitReceiver {
            ssrc: None,
            current: None,
            allowance: BURST,
            refilled: None,
        }
    }
}

impl DigitReceiver {
    /// One event packet of an admitted source; a key when this is the first heard of it.
    pub fn packet(&mut self, now: Mono, ssrc: u32, timestamp: u32, payload: &[u8]) -> Option<char> {
        let event = Telephony::parse(payload)?;
        let key = digit(event.code)?;
        if self.ssrc != Some(ssrc) {
            self.ssrc = Some(ssrc);
            self.current = None;
        }
        if let Some(current) = &mut self.current {
            let ahead = timestamp.wrapping_sub(current.timestamp);
            if ahead == 0 && current.code == event.code {
                current.ended |= event.end;
                current.duration = current.duration.max(event.duration);
                return None;
            }
            let behind = current.timestamp.wrapping_sub(timestamp);
            if behind < MEMORY {
                return None; // a straggler of an earlier press
            }
            // §2.5.1.3: a press longer than a segment goes on under a new timestamp, right where the segment ended.
            let segment = current.duration == u16::MAX && ahead <= u32::from(u16::MAX) + SAME_PRESS;
            if current.code == event.code && !current.ended && (segment || ahead <= SAME_PRESS) {
                *current = Current {
                    code: event.code,
                    timestamp,
                    duration: event.duration,
                    ended: event.end,
                };
                return None;
            }
        }
        self.current = Some(Current {
            code: event.code,
            timestamp,
            duration: event.duration,
            ended: event.end,
        });
        self.allowed(now).then_some(key)
    }

    fn allowed(&mut self, now: Mono) -> bool {
        let since = self.refilled.get_or_insert(now);
        let earned = (now.since(*since).as_nanos() / PER_KEY.as_nanos()) as u32;
        if earned > 0 {
            self.allowance = (self.allowance.saturating_add(earned)).min(BURST);
            *since = now;
        }
        if self.allowance == 0 {
            return false;
        }
        self.allowance -= 1;
        true
    }
}

/// What a leg's digit sender wants to leave at this tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keying {
    /// Nothing: other audio goes.
    Idle,
    /// A telephone-event packet. `begins`: the first of its press (take a new timestamp, set the marker).
    Event { event: Telephony, begins: bool },
    /// An in-band tone; the frame is filled.
    Tone,
}

/// Presses keys towards the far end, one after the other.
#[derive(Clone, Debug)]
pub struct DigitSender {
    waiting: VecDeque<(u8, u32)>,
    press: Option<Press>,
    /// Ticks of other audio before the next press.
    pause: u8,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    code: u8,
    length: u32,
    elapsed: u32,
    /// End packets still to be sent after the first.
    ends: u8,
}

/// Keys that may wait; more are refused.
const WAITING: usize = 32;
const FRAME_SAMPLES: u32 = FRAME as u32;
/// -10 dBm0, as telephones do.
const VOLUME: u8 = 10;

impl Default for DigitSender {
    fn default() -> Self {
        DigitSender {
            waiting: VecDeque::with_capacity(WAITING),
            press: None,
            pause: 0,
        }
    }
}

impl DigitSender {
    /// Queues a press. Its length is rounded up to whole frames, at least 40 ms, at most 8 s. `false`: no such key, or
    /// too many are waiting.
    pub fn press(&mut self, digit: char, duration: Duration) -> bool {
        let Some(code) = code(digit) else {
            return false;
        };
        if self.waiting.len() >= WAITING {
            return false;
        }
        let ms = duration.as_millis().clamp(40, 8000) as u32;
        self.waiting
            .push_back((code, ms.div_ceil(20) * FRAME_SAMPLES));
        true
    }

    pub fn idle(&self) -> bool {
        self.press.is_none() && self.waiting.is_empty() && self.pause == 0
    }

    /// One 20 ms tick. Without `events` the press sounds in band.
    pub fn tick(&mut self, events: bool, pcm: &mut [i16; FRAME]) -> Keying {
        let mut begins = false;
        if self.press.is_none() {
            if self.pause > 0 {
                self.pause -= 1;
                return Keying::Idle;
            }
            let Some((code, length)) = self.waiting.pop_front() else {
                return Keying::Idle;
            };
            self.press = Some(Press {
                code,
                length,
                elapsed: 0,
                ends: 2,
            });
            begins = true;
        }
        let Some(press) = &mut self.press else {
            return Keying::Idle;
        };
        if !events {
            tone(press.code, press.elapsed, press.length, pcm);
            press.elapsed += FRAME_SAMPLES;
            if press.elapsed >= press.length {
                self.press = None;
                self.pause = 3;
            }
            return Keying::Tone;
        }
        // §2.5.1.4: the last packet goes three times, a frame apart so that one gap in the network cannot take all.
        if press.elapsed < press.length {
            press.elapsed += FRAME_SAMPLES;
        } else {
            press.ends = press.ends.saturating_sub(1);
        }
        let end = press.elapsed >= press.length;
        let event = Telephony {
            code: press.code,
            end,
            volume: VOLUME,
            duration: press.elapsed.min(u32::from(u16::MAX)) as u16,
        };
        if end && press.ends == 0 {
            self.press = None;
            self.pause = 2;
        }
        Keying::Event { event, begins }
    }
}

const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

/// The two frequencies of a key.
pub fn frequencies(code: u8) -> (f32, f32) {
    let (row, column) = match code {
        0 => (3, 1),
        1..=9 => ((code as usize - 1) / 3, (code as usize - 1) % 3),
        10 => (3, 0),
        11 => (3, 2),
        n => ((n as usize - 12).min(3), 3),
    };
    (LOW[row], HIGH[column])
}

/// Both at -9 dBFS, with 5 ms of ramp at either end of the press.
fn tone(code: u8, from: u32, length: u32, pcm: &mut [i16; FRAME]) {
    let (low, high) = frequencies(code);
    for (n, sample) in (from..).zip(pcm.iter_mut()) {
        let t = n as f32 / SAMPLE_RATE as f32 * std::f32::consts::TAU;
        let ramp = (n.min(length.saturating_sub(n)) as f32 / 40.0).min(1.0);
        *sample = (11_600.0 * ramp * ((t * low).sin() + (t * high).sin())) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;

    fn at(ms: u64) -> Mono {
        Mono::from_millis(ms)
    }
    fn event(key: char, duration: u16, end: bool) -> [u8; 4] {
        Telephony {
            code: code(key).unwrap(),
            end,
            volume: 10,
            duration,
        }
        .bytes()
    }

    #[test]
    fn every_key_has_its_code_both_ways() {
        for (n, key) in "0123456789*#ABCD".chars().enumerate() {
            assert_eq!(code(key), Some(n as u8));
            assert_eq!(digit(n as u8), Some(key));
        }
        assert_eq!(code('d'), Some(15));
        assert_eq!(code('x'), None);
        assert_eq!(digit(16), None, "flash is no key");
    }

    #[test]
    fn a_press_is_heard_once_whichever_of_its_packets_survive() {
        // Every non-empty subset of a press of five packets and its end packets.
        for kept in 1u32..256 {
            let mut receiver = DigitReceiver::default();
            let heard: Vec<char> = (0..8u16)
                .filter(|n| kept >> n & 1 == 1)
                .filter_map(|n| {
                    let payload = event('5', (n.min(5) + 1) * 160, n >= 5);
                    receiver.packet(at(u64::from(n) * 20), 1, 9000, &payload)
                })
                .collect();
            assert_eq!(heard, ['5'], "{kept:#b}");
        }
    }

    #[test]
    fn the_same_key_again_is_a_second_press_even_when_the_first_end_was_lost() {
        let mut receiver = DigitReceiver::default();
        assert_eq!(
            receiver.packet(at(0), 1, 1000, &event('7', 160, false)),
            Some('7')
        );
        assert_eq!(
            receiver.packet(at(20), 1, 1000, &event('7', 320, false)),
            None
        );
        assert_eq!(
            receiver.packet(at(200), 1, 2600, &event('7', 160, false)),
            Some('7')
        );
        assert_eq!(
            receiver.packet(at(210), 1, 1000, &event('7', 800, true)),
            None,
            "a straggler"
        );
    }

    #[test]
    fn a_very_long_press_and_a_sender_that_moves_the_timestamp_are_one_key() {
        let mut receiver = DigitReceiver::default();
        assert_eq!(
            receiver.packet(at(0), 1, 0, &event('1', 160, false)),
            Some('1')
        );
        assert_eq!(
            receiver.packet(at(8191), 1, 0, &event('1', 65535, false)),
            None
        );
        assert_eq!(
            receiver.packet(at(8211), 1, 65535, &event('1', 160, false)),
            None
        );

        let mut receiver = DigitReceiver::default();
        let heard = (0..10u32)
            .filter_map(|n| {
                receiver.packet(at(u64::from(n) * 20), 1, n * 160, &event('2', 160, n == 9))
            })
            .count();
        assert_eq!(heard, 1);
    }

    #[test]
    fn a_flood_is_capped_and_a_new_source_starts_anew() {
        let mut receiver = DigitReceiver::default();
        let heard = (0..10_000u32)
            .filter_map(|n| {
                let now = Mono::from_nanos(u64::from(n) * 100_000);
                receiver.packet(now, 1, n * 1000, &event('3', 160, true))
            })
            .count();
        assert!(heard <= 16 + 20, "{heard} keys in a second");
        let mut receiver = DigitReceiver::default();
        let at_once = (0..1000u32)
            .filter_map(|n| receiver.packet(at(5), 1, n * 1000, &event('3', 160, true)))
            .count();
        assert_eq!(at_once, 16);
        let mut receiver = DigitReceiver::default();
        assert!(
            receiver
                .packet(at(0), 1, 500_000, &event('3', 160, true))
                .is_some()
        );
        assert!(
            receiver
                .packet(at(100), 2, 10, &event('3', 160, true))
                .is_some()
        );
        assert!(receiver.packet(at(100), 2, 10, &[3]).is_none(), "cut short");
    }

    #[test]
    fn a_press_sends_growing_durations_and_three_ends() {
        let mut sender = DigitSender::default();
        assert!(sender.press('9', Duration::from_millis(100)));
        assert!(sender.press('#', Duration::from_millis(40)));
        assert!(!sender.press('x', Duration::from_millis(40)));
        let mut log = String::new();
        let mut pcm = [0; FRAME];
        while !sender.idle() {
            match sender.tick(true, &mut pcm) {
                Keying::Event { event, begins } => {
                    let key = digit(event.code).unwrap();
                    let (begins, end) = (
                        if begins { "^" } else { "" },
                        if event.end { "." } else { "" },
                    );
                    log += &format!("{begins}{key}{}{end} ", event.duration);
                }
                Keying::Idle => log += "- ",
                Keying::Tone => log += "~ ",
            }
        }
        assert_eq!(
            log,
            "^9160 9320 9480 9640 9800. 9800. 9800. - - ^#160 #320. #320. #320. - - "
        );
    }

    #[test]
    fn without_events_the_key_sounds() {
        let mut sender = DigitSender::default();
        sender.press('8', Duration::from_millis(100));
        let mut heard = Vec::new();
        let mut pcm = [0; FRAME];
        while sender.tick(false, &mut pcm) == Keying::Tone {
            heard.extend_from_slice(&pcm);
        }
        assert_eq!(heard.len(), 800);
        assert!((measure::level_at(&heard, 852.0) + 9.0).abs() < 1.0);
        assert!((measure::level_at(&heard, 1336.0) + 9.0).abs() < 1.0);
        assert!(measure::level_at(&heard, 770.0) < -30.0);
    }
}
