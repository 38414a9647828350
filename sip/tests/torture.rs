//! Messages in the manner of RFC 4475 (ours, not its texts), each with its verdict; and bytes that are hardly messages.

mod network;

use network::{Network, address};
use proptest::prelude::*;
use sip::{Event, Message, Method, Name, ParseError};

/// Lines joined by CRLF, an empty line at the end.
fn message(lines: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines {
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

const VIA: &str = "Via: SIP/2.0/UDP 10.0.0.9:5060;rport;branch=z9hG4bKtorture";
const FROM: &str = "From: <sip:1001@pbx.example>;tag=abc";
const TO: &str = "To: <sip:1002@pbx.example>";
const CALL_ID: &str = "Call-ID: torture@10.0.0.9";
const CONTACT: &str = "Contact: <sip:1001@10.0.0.9>";

/// OPTIONS with one line changed or added.
fn options(extra: &[&str]) -> Vec<u8> {
    let mut lines = vec![
        "OPTIONS sip:pbx.example SIP/2.0",
        VIA,
        FROM,
        TO,
        CALL_ID,
        "CSeq: 1 OPTIONS",
        "Max-Forwards: 70",
    ];
    lines.extend_from_slice(extra);
    message(&lines)
}

fn replaced(with: &str, line: usize) -> Vec<u8> {
    let mut lines = vec![
        "OPTIONS sip:pbx.example SIP/2.0",
        VIA,
        FROM,
        TO,
        CALL_ID,
        "CSeq: 1 OPTIONS",
        "Max-Forwards: 70",
    ];
    lines[line] = with;
    message(&lines)
}

/// What comes back: the status, or nothing.
fn verdict(bytes: &[u8]) -> Option<u16> {
    let mut net = Network::new(1, 1);
    net.keep_wire = true;
    net.inject(0, address(9), bytes);
    assert!(net.wire.len() <= 1);
    net.wire
        .first()
        .map(|(_, _, out)| Message::parse(out).unwrap().status().unwrap())
}

fn tortuous() -> Vec<u8> {
    b"INVITE sip:vivek@chair.example;unknownparam SIP/2.0\r\n\
TO :\r\n sip:vivek@chair.example ;   tag    = 1918181833n\r\n\
from   : \"J Rosen \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n\
MaX-fOrWaRdS: 0068\r\n\
Call-ID: wsinv.ndaksdj@192.0.2.1\r\n\
Content-Length   : 11\r\n\
cseq: 0009\r\n  INVITE\r\n\
Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n\
s :\r\n\
NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n\
UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n\
Content-Type: application/sdp\r\n\
Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n\
v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n\
m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n\
\r\nv=0\r\no=mho\r\ntrailing bytes of the datagram"
        .to_vec()
}

#[test]
fn a_short_tortuous_invite_is_read_as_it_was_meant() {
    let bytes = tortuous();
    let m = Message::parse(&bytes).unwrap();
    assert_eq!(m.fault(), None);
    let e = m.essentials().unwrap();
    assert_eq!(m.method(), Some(Method::Invite));
    assert_eq!(
        (e.cseq, e.via.host, e.via.branch()),
        (9, "192.0.2.2", Some(&b"390skdjuw"[..]))
    );
    assert_eq!(
        (e.from.uri, e.from.tag()),
        ("sip:jdrosen@example.com", Some(&b"98asjd8"[..]))
    );
    assert_eq!(e.from.to_name_addr().unwrap().display, br#"J Rosen \""#);
    assert_eq!(
        (e.to.uri, e.to.tag()),
        ("sip:vivek@chair.example", Some(&b"1918181833n"[..]))
    );
    assert_eq!(m.number(Name::MaxForwards), Some(Ok(68)));
    assert_eq!(m.list(Name::Via).count(), 3);
    assert_eq!(m.list(Name::Contact).count(), 1);
    assert_eq!(m.body(), b"v=0\r\no=mho\r");
    assert_eq!(
        m.other("newfangledheader"),
        Some(&b"newfangled value   continued newfangled value"[..])
    );
}

#[test]
fn what_is_valid_is_answered_with_200() {
    let valid: Vec<Vec<u8>> = vec![
        options(&[]),
        options(&["Subject: \u{5f20}\u{4e09} \u{2014} caf\u{e9}"]),
        options(&[
            "X-Empty:",
            "X-Odd: ;;,;",
            "k: timer, path",
            "Accept: application/sdp",
        ]),
        options(&[
            "v: SIP/2.0/TLS t1.example;branch=z9hG4bKa, SIP/2.0/UNKNOWN t2.example;branch=z9hG4bKb",
        ]),
        options(&["extensionHeader-!.%*+_`'~: \u{feff}\u{5927}"]),
        replaced("Via: SIP/2.0/SCTP 10.0.0.9;rport;branch=z9hG4bKtorture", 1),
        replaced(
            "Via: SIP/2.0/UDP [2001:db8::9]:5061;rport;branch=z9hG4bKtorture",
            1,
        ),
        replaced("From: caller<sip:caller@example.com>;tag=323", 2),
        replaced("f: sip:caller@example.com;tag=323", 2),
        replaced(
            "From: token1~ token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"r\";tag=_token~1'+`*%!-.",
            2,
        ),
        replaced(
            "To: \"BEL:\\\u{7} NUL:\\\u{0} DEL:\\\u{7f}\" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>",
            3,
        ),
        replaced("To: <sip:null-%00-null@example.com>", 3),
        replaced("i: x", 4),
        replaced("CSeq: 2147483647 OPTIONS", 5),
        replaced("Max-Forwards: 0", 6),
    ];
    for bytes in valid {
        assert_eq!(
            verdict(&bytes),
            Some(200),
            "{}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

#[test]
fn what_is_wrong_is_told_so() {
    let start = |line| replaced(line, 0);
    let cases: Vec<(Vec<u8>, u16)> = vec![
        (start("OPTIONS  sip:pbx.example SIP/2.0"), 400),
        (start("OPTIONS sip:pbx.example  SIP/2.0"), 400),
        (start("OPTIONS sip:pbx.example; lr SIP/2.0"), 400),
        (start("OPTIONS sip:pbx.example SIP/2.0 "), 400),
        (start("OPTIONS <sip:pbx.example> SIP/2.0"), 400),
        (
            start("OPTIONS sip:pbx.example?Route=%3Csip:x%3E SIP/2.0"),
            400,
        ),
        (start("OPTIONS sip:pbx.example SIP/7.0"), 505),
        (start("OPTIONS nobodyKnows:totallyopaque SIP/2.0"), 416),
        (start("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"), 416),
        (replaced("From: \"Mr. J <sip:j@example.com>;tag=1", 2), 400),
        (
            replaced("From: Bell, Alexander <sip:a@example.com>;tag=43", 2),
            400,
        ),
        (replaced("To: < sip:user@example.com >", 3), 400),
        (replaced("To: <sip:user@example.com", 3), 400),
        (replaced("To: <sip:u@example.com>;;", 3), 400),
        (replaced("CSeq: 36893488147419103232 OPTIONS", 5), 400),
        (replaced("CSeq: 2147483648 OPTIONS", 5), 400),
        (replaced("CSeq: 1 INVITE", 5), 400),
        (replaced("CSeq: -1 OPTIONS", 5), 400),
        (replaced("Max-Forwards: 300", 6), 400),
        (replaced("Max-Forwards: many", 6), 400),
        (options(&["Content-Length: 9999"]), 400),
        (options(&["Content-Length: -999"]), 400),
        (options(&["Content-Length: 4294967297"]), 400),
        (options(&["Content-Length: 0", "l: 0"]), 400),
        (options(&["From: <sip:other@example.com>;tag=2"]), 400),
        (options(&["no colon here"]), 400),
        (options(&["bad name: x"]), 400),
        (
            options(&["Require: nothingSupportsThis", "Require: nor-this"]),
            420,
        ),
        (
            message(&[
                "RE%47IST%45R sip:pbx.example SIP/2.0",
                VIA,
                FROM,
                TO,
                CALL_ID,
                "CSeq: 1 RE%47IST%45R",
            ]),
            501,
        ),
        (
            message(&[
                "MESSAGE sip:pbx.example SIP/2.0",
                VIA,
                FROM,
                TO,
                CALL_ID,
                "CSeq: 1 MESSAGE",
            ]),
            405,
        ),
        (
            message(&[
                "BYE sip:pbx.example SIP/2.0",
                VIA,
                FROM,
                TO,
                CALL_ID,
                "CSeq: 1 BYE",
            ]),
            481,
        ),
        (
            message(&[
                "BYE sip:pbx.example SIP/2.0",
                VIA,
                FROM,
                "To: <sip:a@b>;tag=0123456789abcdef",
                CALL_ID,
                "CSeq: 1 BYE",
            ]),
            481,
        ),
        (
            message(&[
                "CANCEL sip:pbx.example SIP/2.0",
                VIA,
                FROM,
                TO,
                CALL_ID,
                "CSeq: 1 CANCEL",
            ]),
            481,
        ),
        (
            message(&[
                "INVITE sip:pbx.example SIP/2.0",
                VIA,
                FROM,
                TO,
                CALL_ID,
                "CSeq: 1 INVITE",
                CONTACT,
                "Max-Forwards: 0",
            ]),
            483,
        ),
        (
            message(&[
                "INVITE sip:pbx.example SIP/2.0",
                VIA,
                FROM,
                TO,
                CALL_ID,
                "CSeq: 1 INVITE",
                CONTACT,
            ]),
            407,
        ),
        (
            message(&[
                "INVITE sip:pbx.example SIP/2.0",
                VIA,
                FROM,
                TO,
                CALL_ID,
                "CSeq: 1 INVITE",
                "Authorization: NoOne x=y",
            ]),
            407,
        ),
        (
            message(&[
                "REGISTER sip:pbx.example SIP/2.0",
                VIA,
                FROM,
                TO,
                CALL_ID,
                "CSeq: 1 REGISTER",
            ]),
            401,
        ),
    ];
    for (bytes, code) in cases {
        assert_eq!(
            verdict(&bytes),
            Some(code),
            "{}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

#[test]
fn what_cannot_be_answered_is_dropped() {
    let without = |line: &str| {
        let all = [
            "OPTIONS sip:pbx.example SIP/2.0",
            VIA,
            FROM,
            TO,
            CALL_ID,
            "CSeq: 1 OPTIONS",
        ];
        message(
            &all.into_iter()
                .filter(|l| !l.starts_with(line))
                .collect::<Vec<_>>(),
        )
    };
    let response = |line: &str| message(&[line, VIA, FROM, TO, CALL_ID, "CSeq: 1 OPTIONS"]);
    let dropped: Vec<Vec<u8>> = vec![
        vec![],
        b"\r\n\r\n".to_vec(),
        b"\0\0\0\0".to_vec(),
        b"\x00\x01\x00\x00\x21\x12\xa4\x42aaaaaaaaaaaa".to_vec(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"OPTIONS".to_vec(),
        without("Via"),
        without("From"),
        without("To"),
        without("Call-ID"),
        without("CSeq"),
        replaced("Via: SIP/2.0/UDP 192.0.2.15;;,;,,", 1),
        message(&[
            "ACK sip:pbx.example SIP/2.0",
            VIA,
            FROM,
            "To: <sip:a@b>;tag=1",
            CALL_ID,
            "CSeq: 1 ACK",
        ]),
        message(&[
            "ACK sip:pbx.example SIP/2.0",
            VIA,
            FROM,
            TO,
            CALL_ID,
            "CSeq: x ACK",
        ]),
        response("SIP/2.0 200 OK"),
        response("SIP/2.0 4294967301 better not break"),
        response("SIP/2.0 099 too low"),
        response("SIP/2.0 200"),
    ];
    for bytes in dropped {
        assert_eq!(verdict(&bytes), None, "{}", String::from_utf8_lossy(&bytes));
    }
    assert_eq!(Message::parse(b"\r\n\r\n").unwrap_err(), ParseError::Empty);
    assert_eq!(
        Message::parse(&[b'a'; 70_000]).unwrap_err(),
        ParseError::TooLarge
    );
}

#[test]
fn responses_with_and_without_a_reason_phrase_are_read() {
    let lines = [VIA, FROM, TO, CALL_ID, "CSeq: 1 OPTIONS"];
    for (line, phrase) in [
        ("SIP/2.0 100 ", ""),
        ("SIP/2.0 100", ""),
        (
            "SIP/2.0 200 = 2**3 * 5**2 \u{43d}\u{43e}",
            "= 2**3 * 5**2 \u{43d}\u{43e}",
        ),
        ("sip/2.0 183 Session Progress", "Session Progress"),
    ] {
        let m = Message::parse(&message(&[&[line][..], &lines].concat())).unwrap();
        assert_eq!(m.reason_phrase(), phrase.as_bytes());
    }
}

#[test]
fn a_gbk_name_survives_and_hides_nothing_behind_it() {
    let mut bytes = b"OPTIONS sip:pbx.example SIP/2.0\r\nFrom: \"\xd5\xc5\xc8\xfd\" <sip:1001@x>;tag=1\r\nSubject: \xc4\xe3\xba\xc3\r\n".to_vec();
    bytes.extend_from_slice(&message(&[VIA, TO, CALL_ID, "CSeq: 1 OPTIONS"]));
    let mut net = Network::new(1, 1);
    net.keep_wire = true;
    net.inject(0, address(9), &bytes);
    let answer = Message::parse(&net.wire[0].2).unwrap();
    assert_eq!(answer.status(), Some(200));
    assert_eq!(
        answer.first(Name::From),
        Some(&b"\"\xd5\xc5\xc8\xfd\" <sip:1001@x>;tag=1"[..])
    );
}

#[test]
fn one_line_or_many_is_the_same_list() {
    let one = options(&["Require: a, b,c"]);
    let many = options(&["Require: a", "Require:b", "rEQUIRE :\tc"]);
    for bytes in [one, many] {
        let m = Message::parse(&bytes).unwrap();
        assert_eq!(
            m.list(Name::Require).collect::<Vec<_>>(),
            [b"a", b"b", b"c"]
        );
    }
}

#[test]
fn an_lf_alone_ends_a_line_and_a_cr_alone_does_not() {
    let bytes = b"OPTIONS sip:x SIP/2.0\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\nX: a\rEvil: b\n\n";
    let m = Message::parse(bytes).unwrap();
    assert_eq!(m.other("Evil"), None);
    assert_eq!(m.other("X"), Some(&b"a Evil: b"[..]));
}

#[test]
fn options_from_a_stranger_are_rationed() {
    let mut net = Network::new(1, 1);
    net.keep_wire = true;
    for n in 0..100 {
        let via = format!("Via: SIP/2.0/UDP 10.0.0.9:5060;rport;branch=z9hG4bK{n}");
        net.inject(0, address(9), &replaced(&via, 1));
    }
    assert_eq!(net.wire.len(), 10);
    assert!(net.nodes[0].endpoint.is_idle());
}

/// Messages that reach deep: every method, inside and outside of a call that is up.
fn corpus() -> Vec<Vec<u8>> {
    let mut net = Network::new(3, 2);
    net.keep_wire = true;
    net.nodes[1].manner = network::Manner::Answer {
        ring_after: 10,
        answer_after: 10,
        early: true,
    };
    let id = net.call(0, 1);
    net.later(1000, 0, id, network::Act::Reinvite);
    net.later(5000, 0, id, network::Act::HangUp);
    net.run_out();
    let mut corpus: Vec<Vec<u8>> = net.wire.into_iter().map(|(_, _, bytes)| bytes).collect();
    corpus.push(tortuous());
    corpus.push(options(&["Require: x", "Content-Length: 3", "", "abc"]));
    corpus.push(message(&[
        "REGISTER sip:pbx.example SIP/2.0",
        VIA,
        FROM,
        TO,
        CALL_ID,
        "CSeq: 1 REGISTER",
        "Contact: <sip:a@10.0.0.9>;expires=60;q=0.5, \"x\" <sip:b@[::1]:5>",
        "Authorization: Digest username=\"1001.acme\", realm=\"pbx.example\", nonce=\"00\", uri=\"sip:pbx.example\", response=\"00\", qop=auth, nc=00000001, cnonce=\"x\"",
    ]));
    corpus.push(message(&[
        "CANCEL sip:x SIP/2.0",
        VIA,
        FROM,
        TO,
        CALL_ID,
        "CSeq: 1 CANCEL",
        "Reason: Q.850;cause=16;text=\"x\"",
    ]));
    corpus
}

/// One random change.
fn mutate(bytes: &mut Vec<u8>, net: &mut Network, corpus: &[Vec<u8>]) {
    let at = net.chance(bytes.len() as u64 + 1) as usize;
    match net.chance(7) {
        0 if at < bytes.len() => bytes[at] = net.chance(256) as u8,
        1 if at < bytes.len() => {
            bytes.remove(at);
        }
        2 => bytes.insert(at, b"\r\n\t \";,<>@:=\\\0%"[net.chance(14) as usize]),
        3 => bytes.truncate(at),
        4 => {
            let end = (at + net.chance(40) as usize).min(bytes.len());
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        }
        5 => {
            let other = &corpus[net.chance(corpus.len() as u64) as usize];
            let from = net.chance(other.len() as u64) as usize;
            let to = (from + net.chance(80) as usize).min(other.len());
            bytes.splice(at..at, other[from..to].iter().copied());
        }
        _ => {
            let end = (at + net.chance(30) as usize).min(bytes.len());
            bytes.drain(at..end);
        }
    }
}

/// `SIP_MUTATIONS=2000000` for a long run.
#[test]
fn mutated_messages_never_panic_and_never_make_a_call_lose_its_end() {
    let rounds: u64 = std::env::var("SIP_MUTATIONS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(60_000);
    let corpus = corpus();
    let mut net = Network::new(11, 2);
    net.nodes[1].manner = network::Manner::Answer {
        ring_after: 5,
        answer_after: 5,
        early: false,
    };
    let mut id = net.call(0, 1);
    for round in 0..rounds {
        let mut bytes = corpus[net.chance(corpus.len() as u64) as usize].clone();
        for _ in 0..=net.chance(6) {
            mutate(&mut bytes, &mut net, &corpus);
        }
        let node = net.chance(2) as usize;
        net.inject(
            node,
            address(if round % 3 == 0 { 9 } else { 2 - node as u8 }),
            &bytes,
        );
        if round % 97 == 0 {
            net.run(50);
        }
        if round % 2000 == 0 {
            net.perform(0, id, network::Act::HangUp);
            net.run(1000);
            id = net.call(0, 1);
        }
    }
    net.perform(0, id, network::Act::HangUp);
    for id in net.nodes[1].usages.keys().copied().collect::<Vec<_>>() {
        net.perform(1, id, network::Act::HangUp);
    }
    net.run_out();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut net = Network::new(1, 1);
        net.inject(0, address(9), &bytes);
    }

    #[test]
    fn any_header_value_is_survived(name in "[A-Za-z-]{1,20}", value in proptest::collection::vec(any::<u8>(), 0..120)) {
        let mut bytes = options(&[]);
        bytes.truncate(bytes.len() - 2);
        for name in [name.as_bytes(), b"Via", b"Contact", b"Authorization", b"Record-Route", b"Reason"] {
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(&value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        let mut net = Network::new(1, 1);
        net.inject(0, address(9), &bytes);
    }

    /// Whatever the owner hands in, the wire shows one message with no line that was not ours.
    #[test]
    fn nothing_handed_in_becomes_a_header(text in "[a-z\r\n:\" <>]{0,40}", name in "[A-Za-z\r\n: -]{0,12}") {
        let mut net = Network::new(1, 2);
        net.keep_wire = true;
        let mut plan = net.plan(0, 1);
        plan.from.display = text.clone().into_bytes();
        plan.headers = vec![(name.clone(), text.clone()), ("X-Ok".into(), format!("{text}\r\nEvil: 1"))];
        net.nodes[0].endpoint.invite(net.now, plan);
        net.drain(0);
        let sent = Message::parse(&net.wire[0].2).unwrap();
        prop_assert_eq!(sent.fault(), None);
        prop_assert!(sent.essentials().is_ok());
        prop_assert!(sent.other("Evil").is_none());
        prop_assert_eq!(sent.all(Name::From).count(), 1);
        prop_assert_eq!(sent.body(), network::OFFER);
    }
}

#[test]
fn a_flood_of_unauthenticated_invites_leaves_nothing() {
    let mut net = Network::new(1, 1);
    net.keep_wire = true;
    let mut bytes_in = 0;
    for n in 0..5000 {
        let via = format!("Via: SIP/2.0/UDP 10.0.0.9:5060;rport;branch=z9hG4bK{n}");
        let invite = message(&[
            "INVITE sip:1002@pbx.example SIP/2.0",
            &via,
            FROM,
            TO,
            CALL_ID,
            "CSeq: 1 INVITE",
            CONTACT,
        ]);
        bytes_in += invite.len();
        net.inject(0, address(9), &invite);
    }
    assert!(net.nodes[0].endpoint.is_idle() && net.nodes[0].endpoint.next_deadline().is_none());
    let bytes_out: usize = net.wire.iter().map(|(_, _, b)| b.len()).sum();
    assert_eq!(net.wire.len(), 5000, "one challenge each, no 100");
    assert!(
        bytes_out <= 2 * bytes_in,
        "{bytes_out} out for {bytes_in} in"
    );
    assert!(
        !net.nodes[0]
            .log
            .iter()
            .any(|(_, e)| matches!(e, Event::Incoming(_)))
    );
}
