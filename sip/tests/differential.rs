//! The same messages read by us and by rsip 0.4, where rsip is right: no folds, no compact oddities, UTF-8 only, decimal
//! numbers that fit. Where it is known to be wrong (nc as decimal byte, `SHA-256`, GBK) the other tests stand alone.

mod network;

use network::{Act, Manner, Network};
use proptest::prelude::*;
use rsip::headers::UntypedHeader;
use rsip::message::{HasHeaders, HeadersExt};
use rsip::prelude::ToTypedHeader;
use sip::{Message, Name};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Start line, identifying headers, body: both readers must see the same.
fn compare(bytes: &[u8]) {
    let ours = Message::parse(bytes).unwrap();
    let theirs =
        rsip::SipMessage::try_from(bytes).unwrap_or_else(|e| panic!("{e}: {}", text(bytes)));
    let e = ours.essentials().unwrap();
    match &theirs {
        rsip::SipMessage::Request(request) => {
            assert_eq!(request.method.to_string(), text(ours.method_token()));
            assert_eq!(request.uri.to_string(), text(ours.request_uri()));
        }
        rsip::SipMessage::Response(response) => {
            assert_eq!(Some(response.status_code.code()), ours.status());
        }
    }
    let cseq = theirs.cseq_header().unwrap().typed().unwrap();
    assert_eq!(cseq.seq, e.cseq);
    assert_eq!(theirs.call_id_header().unwrap().value(), text(e.call_id));
    let from = theirs.from_header().unwrap().typed().unwrap();
    assert_eq!(from.uri.to_string(), e.from.uri);
    assert_eq!(from.tag().map(|t| t.to_string()), e.from.tag().map(text));
    let to = theirs.to_header().unwrap().typed().unwrap();
    assert_eq!(to.uri.to_string(), e.to.uri);
    assert_eq!(to.tag().map(|t| t.to_string()), e.to.tag().map(text));
    let via = theirs.via_header().unwrap().typed().unwrap();
    assert_eq!(via.uri.host_with_port.to_string(), e.via.sent_by);
    assert_eq!(
        via.branch().map(|b| b.to_string()),
        e.via.branch().map(text)
    );
    assert_eq!(theirs.body().as_slice(), ours.body());
    let count = theirs.headers().iter().count();
    assert_eq!(count, ours.fields().count());
}

#[test]
fn everything_we_write_reads_the_same_in_rsip() {
    let mut net = Network::new(12, 2);
    net.keep_wire = true;
    net.nodes[1].manner = Manner::Answer {
        ring_after: 10,
        answer_after: 100,
        early: true,
    };
    let id = net.call(0, 1);
    net.later(1000, 0, id, Act::Reinvite);
    net.later(3000, 0, id, Act::HangUp);
    net.run_out();
    net.nodes[1].manner = Manner::Reject {
        after: 10,
        code: 486,
    };
    net.call(0, 1);
    net.run_out();
    net.nodes[1].manner = Manner::Answer {
        ring_after: 10,
        answer_after: 100_000,
        early: false,
    };
    let id = net.call(0, 1);
    net.later(1000, 0, id, Act::HangUp);
    net.run_out();
    assert!(net.wire.len() > 25);
    for (_, _, bytes) in &net.wire {
        compare(bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn plain_requests_read_the_same(
        method in "(INVITE|BYE|OPTIONS|REGISTER|INFO|MESSAGE)",
        user in "[a-z0-9]{1,12}",
        host in "[a-z][a-z0-9]{0,8}\\.example",
        port in proptest::option::of(1u16..),
        tag in "[a-zA-Z0-9]{1,20}",
        branch in "[a-zA-Z0-9]{1,20}",
        cseq in 1u32..65_536,
        display in "[A-Za-z ]{1,15}",
        body in "[a-z=\r\n]{0,60}",
    ) {
        let port = port.map(|p| format!(":{p}")).unwrap_or_default();
        let message = format!(
            "{method} sip:{user}@{host}{port} SIP/2.0\r\nVia: SIP/2.0/UDP {host}{port};branch=z9hG4bK{branch}\r\n\
             Max-Forwards: 70\r\nFrom: \"{display}\" <sip:{user}@{host}>;tag={tag}\r\nTo: <sip:{user}@{host}{port}>\r\n\
             Call-ID: {tag}@{host}\r\nCSeq: {cseq} {method}\r\nContact: <sip:{user}@{host}{port}>\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        compare(message.as_bytes());
        let ours = Message::parse(message.as_bytes()).unwrap();
        prop_assert_eq!(ours.essentials().unwrap().from.to_name_addr().unwrap().display, display.as_bytes());
        prop_assert_eq!(ours.number(Name::MaxForwards), Some(Ok(70)));
    }
}
