//! Datagrams to an endpoint that knows one account. Whatever comes, what we send can be read, and silence ends everything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{Mono, Now, Wall};
use sip::{Account, Accounts, Config, Endpoint, Event, Flow, Message};
use std::sync::Arc;
use std::time::Duration;

/// Two datagrams of one input are parted by it.
const PART: &[u8] = b"\n====\n";

struct Book(Arc<Account>);

impl Accounts for Book {
    fn account(&self, username: &str) -> Option<Arc<Account>> {
        (username == self.0.username).then(|| self.0.clone())
    }
    /// Calls need no digest: behind the challenge there is more to reach.
    fn trusted(&self, _: Flow) -> Option<Arc<Account>> {
        Some(self.0.clone())
    }
    fn aor(&self, user: &str, _: &str) -> Option<String> {
        (user == "1001").then(|| self.0.aor.clone())
    }
}

fn parts(input: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(PART.len()).position(|window| window == PART) {
        parts.push(&rest[..at]);
        rest = &rest[at + PART.len()..];
    }
    parts.push(rest);
    parts
}

fuzz_target!(|input: &[u8]| {
    let account = Account::from_password("1001.acme", "pbx.example", "1001@acme", "secret");
    let book = Book(Arc::new(account));
    let local = "192.0.2.1:5060".parse().expect("an address");
    let remote = "198.51.100.7:5060".parse().expect("an address");
    let mut endpoint = Endpoint::new(Config::new("pbx.example", local), [7; 32]);
    let mut ms = 0;
    let settle = |endpoint: &mut Endpoint, now: Now| {
        loop {
            while let Some(transmit) = endpoint.poll_transmit() {
                Message::parse(&transmit.bytes).expect("what we write can be read");
            }
            match endpoint.poll_event() {
                Some(Event::Incoming(incoming)) => {
                    endpoint.reject(now, incoming.id, 486, "Busy Here", None)
                }
                Some(_) => {}
                None => break,
            }
        }
    };
    let at = |ms: u64| Now {
        mono: Mono::from_millis(ms),
        wall: Wall::from_millis(1_795_226_400_000 + ms as i64),
    };
    for datagram in parts(input) {
        ms += 20;
        endpoint.receive(at(ms), Flow::udp(local, remote), datagram, &book);
        settle(&mut endpoint, at(ms));
    }
    // Timers run out within minutes; registrations are let go by their expiry.
    for _ in 0..10_000 {
        let Some(next) = endpoint.next_deadline() else {
            break;
        };
        let now = Now {
            mono: next,
            wall: at(ms).wall + next.since(at(ms).mono),
        };
        if next.since(Mono::ZERO) > Duration::from_secs(3600) {
            break;
        }
        endpoint.expire(now);
        settle(&mut endpoint, now);
    }
    assert_eq!(
        endpoint.active(),
        0,
        "a transaction or dialog outlives an hour of silence"
    );
});
