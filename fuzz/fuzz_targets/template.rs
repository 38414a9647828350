//! A template as JSON: read, checked, compiled. One without findings compiles.
#![no_main]

use bots::{CompiledTemplate, Severity, Template};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(template) = serde_json::from_slice::<Template>(input) else {
        return;
    };
    let findings = template.check();
    let faulty = findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    assert_eq!(CompiledTemplate::new(&template).is_err(), faulty);
    let again = serde_json::to_vec(&template).expect("it can be written");
    serde_json::from_slice::<Template>(&again).expect("and read again");
});
