//! Sounds to listen to: phrases from the fixtures, and what is no speech.
#![allow(dead_code)] // each test file uses its share

use media::{FRAME, Frame};
use std::path::PathBuf;

pub const RATE: f32 = 8000.0;

pub fn callees() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../fixtures/audio/callees"
    ))
}

pub fn phrase(id: &str) -> Vec<i16> {
    speech::evaluate::audio(&callees().join(id).with_extension("wav")).unwrap()
}

pub fn silence(ms: usize) -> Vec<i16> {
    vec![0; ms * 8]
}

/// White noise, the same every time.
pub fn noise(ms: usize, amplitude: f32) -> Vec<i16> {
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    (0..ms * 8)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            ((x >> 40) as f32 / (1u64 << 23) as f32 - 1.0).mul_add(amplitude, 0.0) as i16
        })
        .collect()
}

/// Two frequencies at once, on and off.
pub fn tones(ms: usize, hz: [f32; 2], on_ms: usize, off_ms: usize) -> Vec<i16> {
    let wave = |hz: f32, at: usize| (std::f32::consts::TAU * hz * at as f32 / RATE).sin();
    (0..ms * 8)
        .map(|at| {
            let on = at / 8 % (on_ms + off_ms) < on_ms;
            if on {
                (5000.0 * (wave(hz[0], at) + wave(hz[1], at))) as i16
            } else {
                0
            }
        })
        .collect()
}

/// What no recogniser may find words in.
pub fn wordless() -> Vec<(&'static str, Vec<i16>)> {
    vec![
        ("silence", silence(4000)),
        ("faint noise", noise(4000, 60.0)),
        ("loud noise", noise(4000, 6000.0)),
        ("ringback 450 Hz", tones(8000, [450.0, 450.0], 1000, 4000)),
        ("busy tone", tones(4000, [450.0, 450.0], 350, 350)),
        ("American ringback", tones(8000, [440.0, 480.0], 2000, 4000)),
        ("key presses", tones(4000, [770.0, 1336.0], 120, 200)),
    ]
}

/// As the media worker would push them, the energy gate wide open.
pub fn frames(pcm: &[i16]) -> impl Iterator<Item = Frame> {
    pcm.chunks_exact(FRAME).enumerate().map(|(n, chunk)| Frame {
        at: (n * FRAME) as u32,
        pcm: chunk.try_into().unwrap(),
        gate_open: true,
    })
}
