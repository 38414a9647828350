//! What signalling costs in CPU time, without sockets: a REGISTER with digest, an answered call, on the server's side.
//!
//! The client side is recorded traffic with the answers filled in, so that only the endpoint under test is measured.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use model::{Mono, Now, Wall};
use sip::{
    Account, Accounts, Config, Credentials, Endpoint, Event, Flow, Invite, NameAddr, Registration,
    Uri,
};
use std::collections::HashMap;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

struct Book(HashMap<String, Arc<Account>>);

impl Accounts for Book {
    fn account(&self, username: &str) -> Option<Arc<Account>> {
        self.0.get(username).cloned()
    }
    fn aor(&self, user: &str, _: &str) -> Option<String> {
        Some(format!("{user}@acme"))
    }
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n";

struct Pair {
    client: Endpoint,
    server: Endpoint,
    book: Book,
    now: Now,
    to_server: Flow,
    to_client: Flow,
}

impl Pair {
    fn new() -> Pair {
        let address = |n: u8| SocketAddr::from(([10, 0, 0, n], 5060));
        let account = Account::from_password("1001.acme", "pbx.example", "1001@acme", "secret");
        Pair {
            client: Endpoint::new(Config::new("pbx.example", address(1)), [1; 32]),
            server: Endpoint::new(Config::new("pbx.example", address(2)), [2; 32]),
            book: Book(HashMap::from([("1001.acme".to_owned(), Arc::new(account))])),
            now: Now {
                mono: Mono::ZERO,
                wall: Wall::from_millis(1_800_000_000_000),
            },
            to_server: Flow::udp(address(1), address(2)),
            to_client: Flow::udp(address(2), address(1)),
        }
    }

    fn pass(&mut self, ms: u64) {
        let by = Duration::from_millis(ms);
        self.now = Now {
            mono: self.now.mono + by,
            wall: self.now.wall + by,
        };
        self.client.expire(self.now);
        self.server.expire(self.now);
    }

    /// Everything in flight, both ways, until it is quiet.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(t) = self.client.poll_transmit() {
                quiet = false;
                self.server
                    .receive(self.now, self.to_client, &t.bytes, &self.book);
            }
            while let Some(t) = self.server.poll_transmit() {
                quiet = false;
                self.client.receive(self.now, self.to_server, &t.bytes, &());
            }
            while let Some(event) = self.server.poll_event() {
                if let Event::Incoming(incoming) = &event {
                    self.server.ring(self.now, incoming.id, None);
                    self.server.answer(self.now, incoming.id, SDP);
                }
                black_box(&event);
            }
            while self.client.poll_event().is_some() {}
            if quiet {
                return;
            }
        }
    }

    /// INVITE, 407, ACK, INVITE, 100, 180, 200, ACK, BYE, 200: both sides of it.
    fn call(&mut self) {
        let target = Uri::parse("sip:1002@10.0.0.2").unwrap();
        let from = NameAddr::from(Uri::parse("sip:1001@pbx.example").unwrap());
        let to = Uri::parse("sip:1002@pbx.example").unwrap();
        let mut invite = Invite::new(self.to_server, target, from, to, SDP);
        invite.credentials = Some(Credentials::new("1001.acme", "secret"));
        let id = self.client.invite(self.now, invite);
        self.settle();
        self.client.hang_up(self.now, id, Some(16), "");
        self.settle();
        self.pass(10);
    }
}

fn answered(c: &mut Criterion) {
    let mut pair = Pair::new();
    // In the middle of a busy hour: transactions of the last half minute are still about.
    for _ in 0..5000 {
        pair.call();
    }
    c.bench_function("answered call, both sides", |b| b.iter(|| pair.call()));
}

fn register(c: &mut Criterion) {
    let plan = |pair: &Pair, n: u64| Registration {
        flow: pair.to_server,
        registrar: Uri::parse("sip:pbx.example").unwrap(),
        aor: Uri::parse("sip:1001@pbx.example").unwrap(),
        contact_user: format!("gw{}", n % 5),
        credentials: Some(Credentials::new("1001.acme", "secret")),
        expires: Duration::from_secs(3600),
    };
    let mut pair = Pair::new();
    let mut n = 0;
    c.bench_function("register with challenge, both sides", |b| {
        b.iter(|| {
            n += 1;
            let plan = plan(&pair, n);
            let id = pair.client.register(pair.now, plan);
            pair.settle();
            pair.client.unregister(pair.now, id);
            pair.client.poll_transmit();
            pair.pass(10);
        });
    });
}

fn parse(c: &mut Criterion) {
    let text = format!(
        "INVITE sip:1002@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK0123456789abcdef\r\n\
         Max-Forwards: 70\r\nFrom: \"Ana\" <sip:1001@pbx.example>;tag=0123456789abcdef\r\nTo: <sip:1002@pbx.example>\r\n\
         Call-ID: 0123456789abcdef0123456789abcdef\r\nCSeq: 2 INVITE\r\nContact: <sip:10.0.0.1:5060>\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nUser-Agent: Huying\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    );
    c.bench_function("read an INVITE", |b| {
        b.iter_batched(
            || (),
            |()| {
                let message = sip::Message::parse(black_box(text.as_bytes())).unwrap();
                black_box(message.essentials().unwrap().cseq);
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = parse, register, answered
}
criterion_main!(benches);
