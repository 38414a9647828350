//! sip
fn main() {}
