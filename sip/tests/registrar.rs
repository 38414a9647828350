//! The registrar from the outside: what devices send, what they get, what the owner hears.

mod network;

use model::{Mono, Now, Wall};
use network::{Book, REALM, address, credentials, uri};
use sip::digest::{Algorithm, Qop, Question};
use sip::{
    Config, Credentials, DigestOffer, Endpoint, Event, Flow, Message, Name, Registration,
    RejectReason,
};
use std::net::SocketAddr;
use std::time::Duration;

struct Desk {
    endpoint: Endpoint,
    book: Book,
    now: Now,
    branch: u32,
    events: Vec<Event>,
}

/// One REGISTER in the making.
struct Ask<'a> {
    user: &'a str,
    credentials: Option<(&'a str, &'a str)>,
    contacts: &'a [&'a str],
    expires: Option<&'a str>,
    call_id: &'a str,
    cseq: u32,
    from: SocketAddr,
    algorithm: Algorithm,
    extra: &'a str,
}

fn ask<'a>(contacts: &'a [&'a str], cseq: u32) -> Ask<'a> {
    Ask {
        user: "1001",
        credentials: Some(("1001.acme", "pw-1001")),
        contacts,
        expires: None,
        call_id: "reg-1",
        cseq,
        from: SocketAddr::from(([203, 0, 113, 7], 41_234)),
        algorithm: Algorithm::Sha256,
        extra: "",
    }
}

impl Desk {
    fn new() -> Desk {
        Desk::with(|_| {})
    }
    fn with(adjust: impl Fn(&mut Config)) -> Desk {
        let mut config = Config::new(REALM, address(1));
        config.digests = DigestOffer::Both;
        adjust(&mut config);
        Desk {
            endpoint: Endpoint::new(config, [5; 32]),
            book: Book::of(&["1001", "1002"]),
            now: Now {
                mono: Mono::ZERO,
                wall: Wall::from_millis(1_800_000_000_000),
            },
            branch: 0,
            events: Vec::new(),
        }
    }

    fn pass(&mut self, seconds: u64) {
        let by = Duration::from_secs(seconds);
        self.now = Now {
            mono: self.now.mono + by,
            wall: self.now.wall + by,
        };
        self.endpoint.expire(self.now);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            self.events.push(event);
        }
    }

    fn events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events)
            .iter()
            .map(network::name)
            .collect()
    }

    /// One datagram in, at most one out.
    fn send(&mut self, from: SocketAddr, text: &str) -> Option<(Flow, Message)> {
        let flow = Flow::udp(address(1), from);
        self.endpoint
            .receive(self.now, flow, text.as_bytes(), &self.book);
        self.collect();
        let out = self.endpoint.poll_transmit()?;
        assert_eq!(self.endpoint.poll_transmit(), None);
        Some((out.flow, Message::parse(&out.bytes).unwrap()))
    }

    fn text(&mut self, ask: &Ask<'_>, cseq: u32, authorization: &str) -> String {
        self.branch += 1;
        let contacts: String = ask
            .contacts
            .iter()
            .map(|c| format!("Contact: {c}\r\n"))
            .collect();
        let expires = ask
            .expires
            .map(|e| format!("Expires: {e}\r\n"))
            .unwrap_or_default();
        format!(
            "REGISTER sip:{REALM} SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.5:5060;rport;branch=z9hG4bK{}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{REALM}>;tag=a\r\nTo: <sip:{user}@{REALM}>\r\nCall-ID: {}\r\nCSeq: {cseq} REGISTER\r\n\
             {contacts}{expires}{}{authorization}User-Agent: Test/1\r\nContent-Length: 0\r\n\r\n",
            self.branch,
            ask.call_id,
            ask.extra,
            user = ask.user,
        )
    }

    fn authorization(&self, ask: &Ask<'_>, challenge: &Message, nc: &str) -> String {
        let wanted = ask.algorithm.token();
        let value = challenge
            .all(Name::WwwAuthenticate)
            .map(|v| String::from_utf8_lossy(v).into_owned())
            .find(|v| v.contains(&format!("algorithm={wanted},")))
            .unwrap();
        let nonce = value
            .split("nonce=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned();
        let (user, password) = ask.credentials.unwrap();
        let ha1 = ask.algorithm.ha1(user, REALM, password);
        let uri = format!("sip:{REALM}");
        let question = Question {
            method: b"REGISTER",
            uri: uri.as_bytes(),
            nonce: nonce.as_bytes(),
            qop: Some(Qop {
                nc: nc.as_bytes(),
                cnonce: b"abc",
                qop: b"auth",
            }),
        };
        let hash = ask.algorithm.response(&ha1, &question);
        let response = std::str::from_utf8(hash.as_bytes()).unwrap();
        format!(
            "Authorization: Digest username=\"{user}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm={wanted}, cnonce=\"abc\", qop=auth, nc={nc}\r\n"
        )
    }

    /// Challenge and answer; the final response.
    fn register(&mut self, ask: &Ask<'_>) -> Message {
        let first = self.text(ask, ask.cseq, "");
        let (_, challenge) = self.send(ask.from, &first).unwrap();
        assert_eq!(challenge.status(), Some(401));
        let authorization = self.authorization(ask, &challenge, "00000001");
        let second = self.text(ask, ask.cseq + 1, &authorization);
        self.send(ask.from, &second).unwrap().1
    }

    fn contacts(&self, aor: &str) -> Vec<String> {
        self.endpoint
            .bindings(aor, self.now)
            .map(|b| b.contact.to_string())
            .collect()
    }
}

fn listed(message: &Message) -> Vec<String> {
    message
        .list(Name::Contact)
        .map(|c| String::from_utf8_lossy(c).into_owned())
        .collect()
}

#[test]
fn a_phone_behind_nat_registers_and_is_reached_where_it_came_from() {
    let mut desk = Desk::new();
    for (n, algorithm) in [Algorithm::Sha256, Algorithm::Md5].into_iter().enumerate() {
        let n = n as u32;
        let ok = desk.register(&Ask {
            algorithm,
            ..ask(&["<sip:1001@192.168.1.5:5060>;expires=600"], 1 + 10 * n)
        });
        assert_eq!(ok.status(), Some(200));
        assert_eq!(listed(&ok), ["<sip:1001@192.168.1.5:5060>;expires=600"]);
    }
    let binding = desk
        .endpoint
        .bindings("1001@acme", desk.now)
        .next()
        .unwrap();
    assert_eq!(
        binding.flow.remote,
        SocketAddr::from(([203, 0, 113, 7], 41_234))
    );
    assert_eq!(binding.user_agent, "Test/1");
    assert_eq!(binding.username, "1001.acme");
    assert!(matches!(
        &desk.events[..],
        [
            Event::Registered {
                refreshed: false,
                ..
            },
            Event::Registered {
                refreshed: true,
                ..
            }
        ]
    ));
}

#[test]
fn the_challenge_is_stateless_small_and_says_where_the_phone_is() {
    let mut desk = Desk::new();
    let a = ask(&["<sip:1001@192.168.1.5>"], 1);
    let text = desk.text(&a, 1, "");
    let (flow, first) = desk.send(a.from, &text).unwrap();
    assert_eq!(flow.remote, a.from);
    let via = String::from_utf8_lossy(first.first(Name::Via).unwrap()).into_owned();
    assert!(via.contains(";received=203.0.113.7;rport=41234"), "{via}");
    let algorithms: Vec<_> = first
        .all(Name::WwwAuthenticate)
        .map(|v| v.windows(7).any(|w| w == b"SHA-256"))
        .collect();
    assert_eq!(algorithms, [true, false], "SHA-256, then MD5");
    assert!(
        first.len() <= 2 * text.len(),
        "{} out for {} in",
        first.len(),
        text.len()
    );
    assert!(desk.endpoint.is_idle(), "nothing is kept for a stranger");
    assert_eq!(desk.endpoint.next_deadline(), None);
    // The same request again gets the same To tag (RFC 3261 §8.2.7).
    let (_, again) = desk.send(a.from, &text).unwrap();
    assert_eq!(first.first(Name::To), again.first(Name::To));
}

#[test]
fn known_and_unknown_look_the_same_but_people_hear_why() {
    let mut desk = Desk::new();
    let wrong = desk.register(&Ask {
        credentials: Some(("1001.acme", "guess")),
        ..ask(&["<sip:a@192.0.2.9>"], 1)
    });
    let nobody = desk.register(&Ask {
        user: "9999",
        credentials: Some(("9999.acme", "guess")),
        ..ask(&["<sip:a@192.0.2.9>"], 1)
    });
    for refusal in [&wrong, &nobody] {
        assert_eq!(
            (refusal.status(), refusal.reason_phrase()),
            (Some(403), &b"Forbidden"[..])
        );
    }
    let names = |m: &Message| {
        m.fields()
            .map(|(name, _)| name.to_vec())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&wrong), names(&nobody));
    let reasons: Vec<_> = desk
        .events
        .iter()
        .map(|e| match e {
            Event::RegistrationRejected {
                username, reason, ..
            } => (username.as_str(), *reason),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        reasons,
        [
            ("1001.acme", RejectReason::WrongPassword),
            ("9999.acme", RejectReason::UnknownUser)
        ]
    );
}

#[test]
fn a_replayed_authorization_opens_nothing() {
    let mut desk = Desk::new();
    let a = ask(&["<sip:1001@192.0.2.9>"], 1);
    let first = desk.text(&a, 1, "");
    let (_, challenge) = desk.send(a.from, &first).unwrap();
    let authorization = desk.authorization(&a, &challenge, "00000001");
    let request = desk.text(&a, 2, &authorization);
    assert_eq!(desk.send(a.from, &request).unwrap().1.status(), Some(200));
    // A retransmission is not a replay: the transaction answers it.
    assert_eq!(desk.send(a.from, &request).unwrap().1.status(), Some(200));
    desk.events();
    let thief = SocketAddr::from(([198, 51, 100, 66], 5060));
    let replay = desk.text(
        &Ask {
            contacts: &["<sip:thief@198.51.100.66>"],
            ..ask(&[], 3)
        },
        3,
        &authorization,
    );
    assert_eq!(desk.send(thief, &replay).unwrap().1.status(), Some(401));
    assert_eq!(desk.events(), ["RegistrationRejected NonceReplayed"]);
    assert_eq!(desk.contacts("1001@acme"), ["sip:1001@192.0.2.9"]);
    // The next count is the phone's own.
    let authorization = desk.authorization(&a, &challenge, "0000000a");
    let request = desk.text(&a, 4, &authorization);
    assert_eq!(desk.send(a.from, &request).unwrap().1.status(), Some(200));
}

#[test]
fn several_contacts_by_preference() {
    let mut desk = Desk::new();
    desk.register(&ask(
        &[
            "<sip:a@192.0.2.1>;q=0.2, <sip:b@192.0.2.2>;q=0.9",
            "<sip:c@192.0.2.3>;q=0.5",
        ],
        1,
    ));
    assert_eq!(
        desk.contacts("1001@acme"),
        ["sip:b@192.0.2.2", "sip:c@192.0.2.3", "sip:a@192.0.2.1"]
    );
    let other = ask(&["<sip:d@192.0.2.4>"], 1);
    let ok = desk.register(&Ask {
        call_id: "reg-2",
        ..other
    });
    assert_eq!(listed(&ok).len(), 4);
    assert!(listed(&ok)[1].ends_with(";q=0.900"), "{:?}", listed(&ok));
}

#[test]
fn refusals() {
    let cases: [(&[&str], Option<&str>, u16, RejectReason); 12] = [
        (
            &["<sip:a@192.0.2.1>;expires=30"],
            None,
            423,
            RejectReason::IntervalTooBrief,
        ),
        (
            &["<sip:a@192.0.2.1>"],
            Some("59"),
            423,
            RejectReason::IntervalTooBrief,
        ),
        (&["*"], None, 400, RejectReason::BadContact),
        (&["*"], Some("3600"), 400, RejectReason::BadContact),
        (
            &["*", "<sip:a@192.0.2.1>"],
            Some("0"),
            400,
            RejectReason::BadContact,
        ),
        (&["tel:+8613800138000"], None, 400, RejectReason::BadContact),
        (
            &["sip:u@h?Route=%3Csip:x%3E"],
            None,
            400,
            RejectReason::BadContact,
        ),
        (&["<sip:a@239.1.1.1>"], None, 403, RejectReason::BadContact),
        (&["<sip:a@0.0.0.0>"], None, 403, RejectReason::BadContact),
        (
            &["<sip:a@127.0.0.1:5060>"],
            None,
            403,
            RejectReason::BadContact,
        ),
        (
            &["<sip:a@10.0.0.1:5060>"],
            None,
            403,
            RejectReason::BadContact,
        ),
        (
            &["<sip:a@192.0.2.1>;q=7"],
            None,
            400,
            RejectReason::BadContact,
        ),
    ];
    for (contacts, expires, code, reason) in cases {
        let mut desk = Desk::new();
        let answer = desk.register(&Ask {
            expires,
            ..ask(contacts, 1)
        });
        assert_eq!(answer.status(), Some(code), "{contacts:?}");
        if code == 423 {
            assert_eq!(answer.number(Name::MinExpires), Some(Ok(60)));
        }
        assert_eq!(
            desk.events(),
            [format!("RegistrationRejected {reason:?}")],
            "{contacts:?}"
        );
        assert!(desk.contacts("1001@acme").is_empty());
    }
}

#[test]
fn nobody_registers_for_somebody_else() {
    let mut desk = Desk::new();
    let answer = desk.register(&Ask {
        user: "1002",
        ..ask(&["<sip:thief@192.0.2.1>"], 1)
    });
    assert_eq!(answer.status(), Some(403));
    assert_eq!(desk.events(), ["RegistrationRejected NotItsAddress"]);
    assert!(desk.contacts("1002@acme").is_empty());
}

#[test]
fn too_many_contacts_change_nothing() {
    let mut desk = Desk::with(|c| c.max_contacts = 2);
    desk.register(&ask(&["<sip:a@192.0.2.1>", "<sip:b@192.0.2.1>"], 1));
    let answer = desk.register(&Ask {
        call_id: "reg-2",
        ..ask(&["<sip:c@192.0.2.1>"], 1)
    });
    assert_eq!(answer.status(), Some(403));
    assert_eq!(desk.contacts("1001@acme").len(), 2);
    let many: Vec<String> = (0..1000).map(|n| format!("<sip:x{n}@192.0.2.1>")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let line = many[..200].join(", ");
    let answer = desk.register(&Ask {
        call_id: "reg-3",
        ..ask(&[&line], 1)
    });
    assert_eq!(answer.status(), Some(403));
    // One out, one in, in a single request, fits.
    let answer = desk.register(&Ask {
        ..ask(&["<sip:a@192.0.2.1>;expires=0", "<sip:c@192.0.2.1>"], 5)
    });
    assert_eq!(answer.status(), Some(200));
    assert_eq!(
        desk.contacts("1001@acme"),
        ["sip:c@192.0.2.1", "sip:b@192.0.2.1"]
    );
}

#[test]
fn unregistering_one_or_all() {
    let mut desk = Desk::new();
    desk.register(&ask(&["<sip:a@192.0.2.1>", "<sip:b@192.0.2.1>"], 1));
    desk.events();
    desk.register(&ask(&["<sip:a@192.0.2.1>;expires=0"], 5));
    assert_eq!(desk.events(), ["Unregistered"]);
    assert_eq!(desk.contacts("1001@acme"), ["sip:b@192.0.2.1"]);
    // Older than what it would undo.
    let late = desk.register(&Ask {
        expires: Some("0"),
        ..ask(&["*"], 1)
    });
    assert_eq!(late.status(), Some(500));
    desk.events();
    let all = desk.register(&Ask {
        expires: Some("0"),
        ..ask(&["*"], 9)
    });
    assert_eq!((all.status(), listed(&all).len()), (Some(200), 0));
    assert_eq!(desk.events(), ["Unregistered"]);
    assert!(
        desk.endpoint
            .bindings("1001@acme", desk.now)
            .next()
            .is_none()
    );
}

#[test]
fn bindings_expire_with_an_event_and_refreshes_hold_them() {
    let mut desk = Desk::new();
    desk.register(&Ask {
        expires: Some("100"),
        ..ask(&["<sip:a@192.0.2.1>"], 1)
    });
    desk.register(&Ask {
        expires: Some("300"),
        ..ask(&["<sip:b@192.0.2.1>"], 5)
    });
    desk.pass(99);
    desk.events();
    assert_eq!(desk.contacts("1001@acme").len(), 2);
    desk.pass(1);
    assert_eq!(desk.events(), ["Expired"]);
    assert_eq!(desk.contacts("1001@acme"), ["sip:b@192.0.2.1"]);
    desk.register(&Ask {
        expires: Some("300"),
        ..ask(&["<sip:b@192.0.2.1>"], 9)
    });
    desk.events();
    desk.pass(250);
    assert_eq!(desk.events(), [""; 0]);
    desk.pass(60);
    assert_eq!(desk.events(), ["Expired"]);
    desk.pass(60);
    assert_eq!(desk.endpoint.next_deadline(), None);
    assert!(desk.endpoint.is_idle());
}

#[test]
fn bindings_outlive_a_restart_and_a_ban_ends_them() {
    let mut desk = Desk::new();
    desk.register(&Ask {
        expires: Some("100"),
        ..ask(&["<sip:a@192.0.2.1>"], 1)
    });
    let saved: Vec<_> = desk
        .endpoint
        .bindings("1001@acme", desk.now)
        .cloned()
        .collect();
    let mut after = Desk::new();
    after.now = desk.now;
    after.pass(50);
    after.endpoint.restore(after.now, saved.clone());
    assert_eq!(after.contacts("1001@acme"), ["sip:a@192.0.2.1"]);
    after.pass(51);
    assert_eq!(after.events(), ["Expired"]);
    after.endpoint.restore(after.now, saved);
    assert!(
        after.contacts("1001@acme").is_empty(),
        "too late to restore"
    );
    desk.endpoint.drop_bindings("1001@acme");
    assert!(desk.contacts("1001@acme").is_empty());
}

#[test]
fn a_query_lists_and_an_unknown_extension_is_named() {
    let mut desk = Desk::new();
    desk.register(&ask(&["<sip:a@192.0.2.1>"], 1));
    let query = desk.register(&ask(&[], 7));
    assert_eq!(listed(&query), ["<sip:a@192.0.2.1>;expires=3600"]);
    let required = Ask {
        extra: "Require: path, gruu\r\n",
        ..ask(&["<sip:a@192.0.2.1>"], 9)
    };
    let text = desk.text(&required, 9, "");
    let (_, answer) = desk.send(required.from, &text).unwrap();
    assert_eq!(
        (answer.status(), answer.text(Name::Unsupported)),
        (Some(420), Some("path, gruu".into()))
    );
}

/// Our own registration with another endpoint of ours.
fn plan(net: &network::Network, credentials: Credentials, expires: u64) -> Registration {
    Registration {
        flow: net.flow(0, 1),
        registrar: uri("sip:pbx.example"),
        aor: uri("sip:1001@pbx.example"),
        contact_user: "gw".into(),
        credentials: Some(credentials),
        expires: Duration::from_secs(expires),
    }
}

#[test]
fn a_gateway_of_ours_keeps_its_registration_up_and_takes_it_down() {
    let mut net = network::Network::new(1, 2);
    net.keep_wire = true;
    let plan = plan(&net, credentials("1001"), 120);
    let id = net.nodes[0].endpoint.register(net.now, plan);
    net.drain(0);
    net.run(250_000);
    assert_eq!(net.story(0), ["RegistrationUp"]);
    assert_eq!(net.story(1), ["Registered"; 3]);
    // Refreshes use the nonce again: no challenge but the first, until it ages.
    assert_eq!(net.sent(1).iter().filter(|s| *s == "401").count(), 1);
    net.nodes[0].endpoint.unregister(net.now, id);
    net.drain(0);
    net.run(60_000);
    assert_eq!(net.story(1).last().unwrap(), "Unregistered");
    assert!(
        net.nodes
            .iter()
            .all(|n| n.endpoint.is_idle() && n.endpoint.next_deadline().is_none())
    );
}

#[test]
fn a_short_wish_is_lengthened_by_423_and_a_wrong_password_is_final() {
    let mut net = network::Network::new(1, 2);
    let short = plan(&net, credentials("1001"), 10);
    let wrong = plan(&net, Credentials::new("1001.acme", "guess"), 120);
    net.nodes[0].endpoint.register(net.now, short);
    net.drain(0);
    net.run(1000);
    assert!(matches!(
        net.nodes[0].log.last().unwrap().1,
        Event::RegistrationUp { expires, .. } if expires == Duration::from_secs(60)
    ));
    net.nodes[0].endpoint.register(net.now, wrong);
    net.drain(0);
    net.run(1000);
    assert_eq!(net.story(0).last().unwrap(), "RegistrationDown 403");
}

#[test]
fn rough_registrations_hold() {
    for seed in 1..=200 {
        let mut net = network::Network::new(seed, 2).rough();
        let plan = plan(&net, credentials("1001"), 300);
        let id = net.nodes[0].endpoint.register(net.now, plan);
        net.drain(0);
        net.run(3_600_000);
        assert!(
            net.nodes[1].endpoint.bindings("1001@acme", net.now).count() == 1,
            "seed {seed}: {:?}",
            net.story(0)
        );
        net.nodes[0].endpoint.unregister(net.now, id);
        net.drain(0);
        net.run(400_000);
        assert!(
            net.nodes
                .iter()
                .all(|n| n.endpoint.is_idle() && n.endpoint.next_deadline().is_none()),
            "seed {seed}"
        );
    }
}

#[test]
fn who_may_not_know_sha_256_is_asked_in_md5_alone() {
    let asked = |agents: &[&str]| {
        let agents = agents.iter().map(|a| (*a).to_owned()).collect();
        let mut desk = Desk::with(|c| c.digests = DigestOffer::BothTo(Vec::clone(&agents)));
        let a = ask(&["<sip:1001@192.0.2.9>"], 1);
        let text = desk.text(&a, 1, "");
        let (_, challenge) = desk.send(a.from, &text).unwrap();
        let lines = challenge.all(Name::WwwAuthenticate).count();
        assert_eq!(
            challenge
                .all(Name::WwwAuthenticate)
                .last()
                .map(|v| v.windows(3).any(|w| w == b"MD5")),
            Some(true)
        );
        lines
    };
    assert_eq!(asked(&["Huying"]), 1);
    assert_eq!(asked(&["Huying", "Test/"]), 2);
}
