//! A file of leads: told by its content; text read to its end, every row accounted for; archives measured. Workbooks
//! themselves are read by a library, in a process with limits: `admin/tests/reader.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| admin::fuzz_sheet(input));
