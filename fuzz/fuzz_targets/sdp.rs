//! A session description as an offer and as an answer. What we answer can be read by ourselves.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media::{LocalParams, sdp};

fuzz_target!(|input: &[u8]| {
    let local = LocalParams::new("192.0.2.1:20000".parse().expect("an address"), 1);
    let _ = sdp::accept(&local, input);
    if let Ok((answer, negotiated)) = sdp::answer(input, &local) {
        assert!(!negotiated.remote.ip().is_unspecified() || !negotiated.direction.sends());
        // Held ends refuse nothing: the answer is a description in its own right.
        let _ = sdp::accept(&local, answer.as_bytes());
        assert!(answer.starts_with("v=0\r\n") && answer.ends_with("\r\n"));
    }
});
