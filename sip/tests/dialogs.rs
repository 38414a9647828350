//! What a dialog answers in each of its states, and what happens to strangers, forks, routes and clocks around it.

mod network;

use network::{ANSWER, Act, Manner, Network, OFFER, address};
use sip::{Event, InviteId, Message, Method, Name, NameAddr};

/// A call whose callee is node 1, and enough of the wire to speak for the caller.
struct Call {
    net: Network,
    caller: InviteId,
    callee: InviteId,
    call_id: String,
    from: String,
    to: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Ringing,
    /// 200 out, no ACK in.
    Accepted,
    Up,
    /// BYE out, no answer in.
    Closing,
    Gone,
}

impl Call {
    fn with(state: State) -> Call {
        let mut net = Network::new(9, 2);
        net.keep_wire = true;
        net.nodes[1].manner = Manner::Answer {
            ring_after: 10,
            answer_after: 100_000,
            early: false,
        };
        let caller = net.call(0, 1);
        net.run(1000);
        let callee = *net.nodes[1].usages.keys().next().unwrap();
        let ringing = last(&net, 1);
        let text = |name| ringing.text(name).unwrap();
        let (call_id, from, to) = (text(Name::CallId), text(Name::From), text(Name::To));
        if state != State::Ringing {
            if state == State::Accepted {
                net.loss = 1000;
            }
            net.perform(1, callee, Act::Answer);
            net.run(100);
        }
        if matches!(state, State::Closing | State::Gone) {
            net.loss = if state == State::Closing { 1000 } else { 0 };
            net.perform(1, callee, Act::HangUp);
            net.run(100);
        }
        Call {
            net,
            caller,
            callee,
            call_id,
            from,
            to,
        }
    }

    /// A request of the caller's, by hand; the final status node 1 gives it.
    fn ask(&mut self, method: &str, cseq: u32, body: &str) -> Option<u16> {
        let (from, to, call_id) = (self.from.clone(), self.to.clone(), self.call_id.clone());
        self.ask_as(method, cseq, body, &from, &to, &call_id)
    }

    fn ask_as(
        &mut self,
        method: &str,
        cseq: u32,
        body: &str,
        from: &str,
        to: &str,
        call_id: &str,
    ) -> Option<u16> {
        let branch = format!("z9hG4bK{method}{cseq}{}", body.len());
        let content = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let text = format!(
            "{method} sip:10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;rport;branch={branch}\r\nMax-Forwards: 70\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:10.0.0.1>\r\n{content}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let before = self.net.wire.len();
        self.net.inject(1, address(1), text.as_bytes());
        self.net.wire[before..]
            .iter()
            .rev()
            .find_map(|(_, _, bytes)| {
                let m = Message::parse(bytes).unwrap();
                let ours = m.essentials().unwrap().via.branch() == Some(branch.as_bytes());
                m.status().filter(|code| ours && *code >= 200)
            })
    }

    fn is_up(&mut self) -> bool {
        self.ask("OPTIONS", 4000, "") == Some(200)
    }
}

fn last(net: &Network, node: usize) -> Message {
    let (_, _, bytes) = net.wire.iter().rev().find(|(_, n, _)| *n == node).unwrap();
    Message::parse(bytes).unwrap()
}

#[test]
fn every_state_against_every_method() {
    use State::*;
    let offer = std::str::from_utf8(OFFER).unwrap();
    let table: [(&str, &str, [u16; 5]); 12] = [
        // method, body, Ringing, Accepted, Up, Closing, Gone
        ("BYE", "", [200, 200, 200, 200, 481]),
        ("INFO", "", [200, 200, 200, 481, 481]),
        ("OPTIONS", "", [200, 200, 200, 481, 481]),
        ("UPDATE", "", [200, 200, 200, 481, 481]),
        ("UPDATE", offer, [488, 488, 488, 481, 481]),
        ("INVITE", offer, [500, 491, 200, 481, 481]),
        ("PRACK", "", [481, 481, 481, 481, 481]),
        ("REFER", "", [405, 405, 405, 481, 481]),
        ("NOTIFY", "", [405, 405, 405, 481, 481]),
        ("MESSAGE", "", [405, 405, 405, 481, 481]),
        ("SUBSCRIBE", "", [405, 405, 405, 481, 481]),
        ("FLY", "", [501, 501, 501, 481, 481]),
    ];
    for (method, body, codes) in table {
        for (state, code) in [Ringing, Accepted, Up, Closing, Gone]
            .into_iter()
            .zip(codes)
        {
            let mut call = Call::with(state);
            assert_eq!(
                call.ask(method, 100, body),
                Some(code),
                "{method} while {state:?}"
            );
        }
    }
}

#[test]
fn a_stranger_to_the_dialog_gets_481_and_the_call_lives() {
    let mut call = Call::with(State::Up);
    let (from, to, id) = (call.from.clone(), call.to.clone(), call.call_id.clone());
    let other_from = from.replace(";tag=", ";tag=0");
    let other_to = format!("{}0", &to[..to.len() - 1]);
    assert_eq!(
        call.ask_as("BYE", 100, "", &other_from, &to, &id),
        Some(481)
    );
    assert_eq!(
        call.ask_as("BYE", 101, "", &from, &other_to, &id),
        Some(481)
    );
    assert_eq!(
        call.ask_as("BYE", 102, "", &from, &to, "another"),
        Some(481)
    );
    assert_eq!(call.ask_as("BYE", 103, "", &to, &from, &id), Some(481));
    assert!(call.is_up());
}

#[test]
fn an_old_cseq_is_refused_and_the_call_lives() {
    let mut call = Call::with(State::Up);
    assert_eq!(call.ask("INFO", 50, ""), Some(200));
    assert_eq!(call.ask("BYE", 49, ""), Some(500));
    assert_eq!(call.ask("BYE", 50, ""), Some(500));
    assert!(call.is_up());
    assert_eq!(call.net.story(1).iter().filter(|e| *e == "Info").count(), 1);
}

#[test]
fn a_retransmission_gets_the_same_answer_and_happens_once() {
    let mut call = Call::with(State::Up);
    assert_eq!(call.ask("INFO", 100, ""), Some(200));
    assert_eq!(call.ask("INFO", 100, ""), Some(200));
    assert_eq!(call.net.story(1).iter().filter(|e| *e == "Info").count(), 1);
}

#[test]
fn a_bye_while_it_rings_is_a_cancel() {
    let mut call = Call::with(State::Ringing);
    assert_eq!(call.ask("BYE", 100, ""), Some(200));
    assert_eq!(call.net.story(1).last().unwrap(), "Cancelled");
    call.net.run(100);
    assert_eq!(call.net.story(0).last().unwrap(), "Failed 487");
}

#[test]
fn an_offer_in_a_refused_type_is_415() {
    let mut call = Call::with(State::Up);
    let text = format!(
        "INVITE sip:10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKtype\r\nFrom: {}\r\nTo: {}\r\n\
         Call-ID: {}\r\nCSeq: 100 INVITE\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
        call.from, call.to, call.call_id
    );
    call.net.inject(1, address(1), text.as_bytes());
    let answer = last(&call.net, 1);
    assert_eq!(
        (answer.status(), answer.text(Name::Accept)),
        (Some(415), Some("application/sdp".into()))
    );
}

#[test]
fn an_unanswered_invite_is_repeated_on_the_clock_and_given_up() {
    let mut net = Network::new(1, 2);
    net.keep_wire = true;
    net.loss = 1000;
    net.call(0, 1);
    net.run_out();
    let times: Vec<u64> = net.wire.iter().map(|(ms, _, _)| *ms).collect();
    assert_eq!(times, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
    assert_eq!(net.story(0), ["Failed 408 local"]);
    assert_eq!(net.nodes[0].log[0].0, 32_000);
}

#[test]
fn an_unacknowledged_200_is_repeated_and_then_taken_back() {
    let mut call = Call::with(State::Accepted);
    let start = call.net.wire.len();
    call.net.run(40_000);
    let sent: Vec<String> = call.net.wire[start..]
        .iter()
        .filter(|(_, node, _)| *node == 1)
        .map(|(_, _, b)| {
            String::from_utf8_lossy(b)
                .split(' ')
                .take(2)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    assert_eq!(sent.iter().filter(|s| *s == "SIP/2.0 200").count(), 10);
    assert!(sent.iter().any(|s| s.starts_with("BYE")));
    assert_eq!(call.net.story(1), ["Incoming", "Ended local"]);
}

/// The caller's side with a hand-made callee at 10.0.0.7.
struct ByHand {
    net: Network,
    id: InviteId,
    invite: Message,
}

impl ByHand {
    fn new() -> ByHand {
        let mut net = Network::new(4, 1);
        net.keep_wire = true;
        let flow = sip::Flow::udp(address(1), address(7));
        let target = network::uri("sip:1002@10.0.0.7");
        let from = NameAddr::from(network::uri("sip:1001@pbx.example"));
        let plan = sip::Invite::new(
            flow,
            target,
            from,
            network::uri("sip:1002@pbx.example"),
            OFFER,
        );
        let id = net.nodes[0].endpoint.invite(net.now, plan);
        net.drain(0);
        let invite = last(&net, 0);
        ByHand { net, id, invite }
    }

    fn answer(&mut self, code: u16, tag: &str, extra: &str) {
        self.answer_from(address(7), code, tag, extra);
    }

    fn answer_from(&mut self, source: std::net::SocketAddr, code: u16, tag: &str, extra: &str) {
        let text = |name| self.invite.text(name).unwrap();
        let bytes = format!(
            "SIP/2.0 {code} X\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag={tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:fork-{tag}@10.0.0.7:5070>\r\n{extra}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{}",
            text(Name::Via),
            text(Name::From),
            text(Name::To),
            text(Name::CallId),
            text(Name::CSeq),
            ANSWER.len(),
            std::str::from_utf8(ANSWER).unwrap(),
        );
        self.net.hear(0, bytes.as_bytes());
        self.net.inject(0, source, bytes.as_bytes());
    }

    /// `ACK sip:… tag` for everything sent since.
    fn sent_since(&self, at: usize) -> Vec<String> {
        self.net.wire[at..]
            .iter()
            .map(|(_, _, bytes)| {
                let m = Message::parse(bytes).unwrap();
                let e = m.essentials().unwrap();
                let tag = String::from_utf8_lossy(e.to.tag().unwrap_or_default()).into_owned();
                format!(
                    "{} {} {tag}",
                    String::from_utf8_lossy(m.method_token()),
                    String::from_utf8_lossy(m.request_uri())
                )
            })
            .collect()
    }
}

#[test]
fn forks_ring_one_wins_and_the_others_are_taken_down() {
    let mut hand = ByHand::new();
    hand.answer(180, "a", "");
    hand.answer(183, "b", "");
    hand.answer(200, "b", "");
    let at = hand.net.wire.len();
    hand.answer(200, "a", "");
    assert_eq!(
        hand.sent_since(at),
        [
            "ACK sip:fork-a@10.0.0.7:5070 a",
            "BYE sip:fork-a@10.0.0.7:5070 a"
        ]
    );
    // Repeats are acknowledged, and no more than that.
    let at = hand.net.wire.len();
    hand.answer(200, "a", "");
    hand.answer(200, "b", "");
    assert_eq!(
        hand.sent_since(at),
        [
            "ACK sip:fork-a@10.0.0.7:5070 a",
            "ACK sip:fork-b@10.0.0.7:5070 b"
        ]
    );
    assert_eq!(
        hand.net.story(0),
        ["Progress 180", "Progress 183", "Answered"]
    );
    hand.net.perform(0, hand.id, Act::HangUp);
    hand.net.run_out();
}

#[test]
fn answers_from_elsewhere_or_for_somebody_else_do_not_count() {
    let mut hand = ByHand::new();
    hand.answer_from(address(66), 200, "evil", "");
    hand.answer(
        200,
        "a",
        "Via: SIP/2.0/UDP 10.0.0.99;branch=z9hG4bKother\r\n",
    );
    assert_eq!(hand.net.story(0), [""; 0]);
    hand.answer(200, "a", "");
    assert_eq!(hand.net.story(0), ["Answered"]);
}

#[test]
fn a_recorded_route_is_followed_backwards() {
    let mut hand = ByHand::new();
    hand.answer(
        200,
        "a",
        "Record-Route: <sip:p2.example;lr>, <sip:p1.example;lr>\r\n",
    );
    hand.net.perform(0, hand.id, Act::HangUp);
    let bye = last(&hand.net, 0);
    assert_eq!(
        (bye.method(), bye.request_uri()),
        (Some(Method::Bye), &b"sip:fork-a@10.0.0.7:5070"[..])
    );
    assert_eq!(
        bye.list(Name::Route).collect::<Vec<_>>(),
        [&b"<sip:p1.example;lr>"[..], b"<sip:p2.example;lr>"]
    );
}

#[test]
fn a_strict_router_gets_itself_as_request_uri() {
    let mut hand = ByHand::new();
    hand.answer(
        200,
        "a",
        "Record-Route: <sip:p2.example;lr>, <sip:p1.example>\r\n",
    );
    hand.net.perform(0, hand.id, Act::HangUp);
    let bye = last(&hand.net, 0);
    assert_eq!(bye.request_uri(), b"sip:p1.example");
    assert_eq!(
        bye.list(Name::Route).collect::<Vec<_>>(),
        [&b"<sip:p2.example;lr>"[..], b"<sip:fork-a@10.0.0.7:5070>"]
    );
}

#[test]
fn a_refusal_tells_code_phrase_and_cause() {
    let mut hand = ByHand::new();
    hand.answer(404, "a", "Reason: Q.850;cause=1;text=\"Unallocated\"\r\n");
    assert!(matches!(
        &hand.net.nodes[0].log[0].1,
        Event::Failed { code: 404, q850: Some(1), local: false, reason, .. } if reason == "X"
    ));
    hand.net.run_out();
}

#[test]
fn a_challenge_without_credentials_is_a_refusal() {
    let mut hand = ByHand::new();
    hand.answer(
        407,
        "a",
        "Proxy-Authenticate: Digest realm=\"x\",nonce=\"y\"\r\n",
    );
    assert_eq!(hand.net.story(0), ["Failed 407"]);
    hand.net.run_out();
}

#[test]
fn a_late_200_after_giving_up_is_taken_down() {
    let mut hand = ByHand::new();
    hand.answer(180, "a", "");
    hand.net.perform(0, hand.id, Act::HangUp);
    let at = hand.net.wire.len();
    hand.answer(200, "a", "");
    assert_eq!(
        hand.sent_since(at),
        [
            "ACK sip:fork-a@10.0.0.7:5070 a",
            "BYE sip:fork-a@10.0.0.7:5070 a"
        ]
    );
    hand.net.run_out();
    assert_eq!(hand.net.story(0), ["Progress 180", "Failed 487 local"]);
}

#[test]
fn a_flow_that_fails_fails_the_calls_on_it() {
    let mut hand = ByHand::new();
    let flow = sip::Flow::udp(address(1), address(7));
    hand.net.nodes[0]
        .endpoint
        .transport_failed(hand.net.now, flow);
    hand.net.drain(0);
    assert_eq!(hand.net.story(0), ["Failed 503 local"]);
    hand.net.run_out();
}

#[test]
fn hanging_up_twice_or_after_the_end_is_nothing() {
    let mut call = Call::with(State::Up);
    for _ in 0..3 {
        call.net.perform(0, call.caller, Act::HangUp);
        call.net.perform(1, call.callee, Act::HangUp);
    }
    call.net.run_out();
    call.net.perform(0, call.caller, Act::HangUp);
    call.net.perform(1, call.callee, Act::Answer);
    call.net.perform(1, call.callee, Act::Reject(486));
    call.net.run_out();
    assert_eq!(
        call.net
            .story(0)
            .iter()
            .filter(|e| e.starts_with("Ended"))
            .count(),
        1
    );
}

#[test]
fn a_forked_request_that_reaches_us_twice_is_a_loop() {
    let mut call = Call::with(State::Ringing);
    // The caller's authenticated INVITE again, on the branch of another path.
    let invite = call
        .net
        .wire
        .iter()
        .rev()
        .find(|(_, n, b)| *n == 0 && b.starts_with(b"INVITE"))
        .map(|(_, _, b)| String::from_utf8(b.clone()).unwrap())
        .unwrap();
    let at = invite.find("z9hG4bK").unwrap();
    let forked = format!("{}z9hG4bKfork{}", &invite[..at], &invite[at + 23..]);
    call.net.inject(1, address(1), forked.as_bytes());
    assert_eq!(last(&call.net, 1).status(), Some(482));
    assert_eq!(call.net.story(1), ["Incoming"]);
}
