//! An uploaded audio file: decoded or refused, never a panic, never more audio than the limit allows.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = media::prompt::decode(input, None);
});
