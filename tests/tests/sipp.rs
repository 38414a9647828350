//! SIPp as device, caller and callee, and a stranger with a socket. Scenarios: `tests/scenarios`.

use anyhow::{Context, Result, ensure};
use huying::gateway::{Callee, Seen};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;
use tests::api::text;
use tests::house::{House, PER_MINUTE, deaf};
use tests::sipp::{Playing, Sipp};
use tests::{SOON, free_udp_port};
use tokio::net::UdpSocket;

const MOBILE: &str = "13800138000";

/// A device at `port` registers for five minutes.
fn registers(user: &str, port: u16) -> Sipp {
    Sipp::plays("register")
        .user(user)
        .at(port)
        .key("expires", "300")
}

/// Puts a device behind an extension: one SIPp registers it, another plays it from the same port.
async fn device(house: &House, number: &str, scenario: &'static str) -> Result<Playing> {
    let port = free_udp_port()?;
    registers(&format!("{number}.acme"), port)
        .expects(200)
        .run(house)
        .await?;
    Sipp::plays(scenario)
        .at(port)
        .is_called()
        .start(house)
        .await
}

fn call(from: &str, to: &str) -> Sipp {
    Sipp::plays("call").user(from).calls(to)
}

/// A call that must be refused.
fn refused(from: &str, to: &str, status: u16) -> Sipp {
    Sipp::plays("refused").user(from).calls(to).expects(status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_registers_with_digest_and_takes_itself_away() -> Result<()> {
    let house = House::open(deaf()).await?;
    let extension = format!("/extensions/{}", house.extension("1001").await?);
    let port = free_udp_port()?;
    registers("1001.acme", port)
        .expects(200)
        .run(&house)
        .await?;
    let seen = house.api.get(&extension).await?;
    let contact = text(&seen["registrations"][0], "contact")?;
    ensure!(
        contact == format!("sip:1001.acme@127.0.0.1:{port}"),
        "{contact}"
    );

    let away = Sipp::plays("register")
        .user("1001.acme")
        .at(port)
        .key("expires", "0");
    away.expects(200).run(&house).await?;
    ensure!(
        !house.registered(&extension).await?,
        "the device is still there"
    );
    house.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_user_look_the_same() -> Result<()> {
    let house = House::open(deaf()).await?;
    let extension = format!("/extensions/{}", house.extension("1001").await?);
    let mut events = house.events();
    let port = free_udp_port()?;
    let wrong = registers("1001.acme", port).password("not-the-password");
    wrong.expects(403).run(&house).await?;
    let told = events.next("extension.rejected", SOON, |_| true).await?;
    ensure!(told["reason"] == "wrong password", "{told}");
    registers("1999.acme", port)
        .expects(403)
        .run(&house)
        .await?;
    ensure!(!house.registered(&extension).await?);
    // Nobody was locked out by it.
    registers("1001.acme", port)
        .expects(200)
        .run(&house)
        .await?;
    house.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_calls_another_and_the_call_is_recorded_free_of_charge() -> Result<()> {
    let house = House::open(deaf()).await?;
    house.extension("1001").await?;
    house.extension("1002").await?;
    let callee = device(&house, "1002", "answers").await?;
    let mut events = house.events();
    call("1001.acme", "1002").run(&house).await?;
    callee.end().await?;
    let ended = events.next("call.ended", SOON, |_| true).await?;
    let record = house.record_of(&ended).await?;
    ensure!(
        record["direction"] == "internal"
            && record["caller"] == "1001"
            && record["callee"] == "1002",
        "{record}"
    );
    ensure!(
        record["disposition"]["kind"] == "answered" && record["termination"]["by"] == "caller",
        "{record}"
    );
    ensure!(record["charge_minor"] == 0, "{record}");
    house.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_does_not_call() -> Result<()> {
    let house = House::open(deaf()).await?;
    house.extension("1001").await?;
    house.extension("1002").await?;
    let wrong = refused("1001.acme", "1002", 403).password("not-the-password");
    wrong.run(&house).await?;
    refused("1999.acme", "1002", 403).run(&house).await?;
    ensure!(house.ready().await.calls == 0);
    house.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_callee_is_busy_for_the_caller() -> Result<()> {
    let house = House::open(deaf()).await?;
    house.extension("1001").await?;
    house.extension("1002").await?;
    let callee = device(&house, "1002", "busy").await?;
    let mut events = house.events();
    refused("1001.acme", "1002", 486).run(&house).await?;
    callee.end().await?;
    let ended = events.next("call.ended", SOON, |_| true).await?;
    let record = house.record_of(&ended).await?;
    ensure!(
        record["disposition"]["cause"] == "busy" && record["termination"]["sip_code"] == 486,
        "{record}"
    );
    house.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_gives_up_gets_487_and_the_callee_stops_ringing() -> Result<()> {
    let house = House::open(deaf()).await?;
    house.extension("1001").await?;
    house.extension("1002").await?;
    let callee = device(&house, "1002", "rings").await?;
    let mut events = house.events();
    Sipp::plays("cancel")
        .user("1001.acme")
        .calls("1002")
        .run(&house)
        .await?;
    callee.end().await?;
    let ended = events.next("call.ended", SOON, |_| true).await?;
    let record = house.record_of(&ended).await?;
    ensure!(
        record["disposition"]["kind"] == "cancelled" && record["answered_at"].is_null(),
        "{record}"
    );
    house.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_there_and_what_is_no_number_are_told_apart() -> Result<()> {
    let house = House::open(deaf()).await?;
    house.extension("1001").await?;
    house.extension("1002").await?;
    // RFC 3261 §21.4.18: known, but not registered.
    refused("1001.acme", "1002", 480).run(&house).await?;
    refused("1001.acme", "1999", 404).run(&house).await?;
    refused("1001.acme", "nobody", 404).run(&house).await?;
    house.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_approved_number_is_shown_outside() -> Result<()> {
    let house = House::open(deaf()).await?;
    let trunk = house.trunk().await?;
    let extension = format!("/extensions/{}", house.extension("1001").await?);
    let callee = Callee::Talks {
        rings: Duration::ZERO,
        lines: Vec::new(),
        hangs_up: false,
    };
    let gateway = house
        .gateway(HashMap::from([(MOBILE.to_owned(), vec![callee])]))
        .await?;

    // Neither the extension nor its From has a number.
    refused("1001.acme", MOBILE, 403).run(&house).await?;
    // A number in From that is nobody's here.
    let borrowed = || refused("1001.acme", MOBILE, 403).key("from", "02166667777");
    borrowed().run(&house).await?;
    // The enterprise's, and not approved yet.
    let number = house.caller_number("02166667777", false).await?;
    borrowed().run(&house).await?;
    house
        .api
        .patch(
            &extension,
            serde_json::json!({ "caller_number_id": number, "trunk_id": trunk }),
        )
        .await?;
    house.settled().await?;
    refused("1001.acme", MOBILE, 403).run(&house).await?;
    let called = || {
        gateway
            .seen
            .try_iter()
            .any(|seen| matches!(seen, Seen::Called { .. }))
    };
    ensure!(
        !called(),
        "an INVITE left with a number that is not approved"
    );

    let decision = format!(
        "/platform/tenants/{}/caller-numbers/{number}/decision",
        house.tenant
    );
    house
        .api
        .post(&decision, serde_json::json!({ "approved": true }))
        .await?;
    house.settled().await?;
    let mut events = house.events();
    call("1001.acme", MOBILE).run(&house).await?;
    ensure!(called(), "the gateway was not called");
    let ended = events.next("call.ended", SOON, |_| true).await?;
    let record = house.record_of(&ended).await?;
    ensure!(
        record["caller"] == "+862166667777" && record["callee"] == "+8613800138000",
        "{record}"
    );
    ensure!(
        record["charge_minor"] == PER_MINUTE,
        "a minute begun is a minute: {record}"
    );
    drop(gateway);
    house.close().await;
    Ok(())
}

/// A stranger with a socket.
struct Stranger {
    socket: UdpSocket,
    local: SocketAddr,
}

impl Stranger {
    async fn new(house: &House) -> Result<Stranger> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        socket.connect(house.sip).await?;
        let local = socket.local_addr()?;
        Ok(Stranger { socket, local })
    }

    async fn hear(&self) -> Result<String> {
        let mut buffer = [0; 65_536];
        let length = tokio::time::timeout(SOON, self.socket.recv(&mut buffer))
            .await
            .context("no answer")??;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// A REGISTER without credentials: its challenge shows that everything before it has been dealt with, datagrams of one
    /// socket being read in order.
    fn probe(&self, id: usize) -> String {
        let local = self.local;
        format!(
            "REGISTER sip:huying SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKprobe{id}\r\nMax-Forwards: 70\r\n\
             From: <sip:1001.acme@huying>;tag=p{id}\r\nTo: <sip:1001.acme@huying>\r\nCall-ID: probe{id}\r\n\
             CSeq: 1 REGISTER\r\nContact: <sip:1001.acme@{local}>\r\nContent-Length: 0\r\n\r\n"
        )
    }

    /// What is said to these bytes: a status, or nothing.
    async fn verdict(&self, id: usize, bytes: &[u8]) -> Result<Option<u16>> {
        self.socket.send(bytes).await?;
        self.socket.send(self.probe(id).as_bytes()).await?;
        let mut verdict = None;
        loop {
            let answer = self.hear().await?;
            if answer.contains(&format!("probe{id}\r\n")) {
                ensure!(answer.starts_with("SIP/2.0 401"), "{answer}");
                return Ok(verdict);
            }
            verdict = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        }
    }
}

/// What it is, its bytes, and what may be said to it.
type Case = (&'static str, Vec<u8>, &'static [Option<u16>]);

/// Not worth an answer.
const DROPPED: Option<u16> = None;

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_or_dropped_and_calls_go_on() -> Result<()> {
    let house = House::open(deaf()).await?;
    house.extension("1001").await?;
    house.extension("1002").await?;
    let callee = device(&house, "1002", "answers").await?;
    let stranger = Stranger::new(&house).await?;
    let local = stranger.local;
    let good = format!(
        "INVITE sip:1002@huying SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKbad\r\nMax-Forwards: 70\r\n\
         From: <sip:1001.acme@huying>;tag=a\r\nTo: <sip:1002@huying>\r\nCall-ID: bad@{local}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:1001@{local}>\r\nContent-Type: application/sdp\r\nContent-Length: 0\r\n\r\n"
    );
    let without = |name: &str| -> Vec<u8> {
        let start = format!("{name}:");
        let lines = good
            .split_inclusive("\r\n")
            .filter(|line| !line.starts_with(&start));
        lines.collect::<String>().into_bytes()
    };
    let with = |old: &str, new: &str| good.replace(old, new).into_bytes();
    let cases: Vec<Case> = vec![
        ("as it should be", good.clone().into_bytes(), &[Some(407)]),
        ("no Via to answer to", without("Via"), &[DROPPED]),
        (
            "a Via that is none",
            with("SIP/2.0/UDP ", "SIP 2.0 UDP,, "),
            &[Some(400), DROPPED],
        ),
        (
            "a Via without a host",
            with(&format!("UDP {local};"), "UDP ;"),
            &[Some(400), DROPPED],
        ),
        (
            "a From that is no address",
            with("<sip:1001.acme@huying>;tag=a", "<sip:1001.acme@huy"),
            &[Some(400)],
        ),
        ("no From", without("From"), &[Some(400), DROPPED]),
        ("no To", without("To"), &[Some(400), DROPPED]),
        ("no Call-ID", without("Call-ID"), &[Some(400), DROPPED]),
        ("no CSeq", without("CSeq"), &[Some(400), DROPPED]),
        (
            "a CSeq of another method",
            with("1 INVITE", "1 OPTIONS"),
            &[Some(400)],
        ),
        (
            "a CSeq beyond 2^32",
            with("CSeq: 1 ", "CSeq: 99999999999999999999 "),
            &[Some(400)],
        ),
        (
            "a body shorter than it says",
            with("Content-Length: 0", "Content-Length: 500"),
            &[Some(400)],
        ),
        (
            "a negative length",
            with("Content-Length: 0", "Content-Length: -1"),
            &[Some(400)],
        ),
        (
            "another version",
            with("huying SIP/2.0\r\nVia", "huying SIP/7.0\r\nVia"),
            &[Some(505)],
        ),
        (
            "no request line",
            good.as_bytes()[20..].to_vec(),
            &[Some(400), DROPPED],
        ),
        (
            "cut in the middle",
            good.as_bytes()[..good.len() / 2].to_vec(),
            &[Some(400), DROPPED],
        ),
        ("nothing", Vec::new(), &[DROPPED]),
        ("only line ends", b"\r\n\r\n\r\n".to_vec(), &[DROPPED]),
        ("zeros", vec![0; 1400], &[DROPPED]),
        (
            "no text at all",
            (0..=255u8).rev().cycle().take(3000).collect(),
            &[DROPPED],
        ),
        (
            "a line without an end",
            [b"INVITE sip:".as_slice(), &[b'A'; 60_000]].concat(),
            &[Some(400), DROPPED],
        ),
        (
            "a response to nothing",
            b"SIP/2.0 200 OK\r\n\r\n".to_vec(),
            &[DROPPED],
        ),
        (
            "an RTP packet",
            [[0x80, 8, 0, 1].as_slice(), &[0xd5; 168]].concat(),
            &[DROPPED],
        ),
    ];
    for (id, (what, bytes, allowed)) in cases.iter().enumerate() {
        let verdict = stranger
            .verdict(id, bytes)
            .await
            .with_context(|| (*what).to_owned())?;
        ensure!(
            allowed.contains(&verdict),
            "{what}: {verdict:?}, not one of {allowed:?}"
        );
    }

    let options = with("INVITE", "OPTIONS");
    stranger.socket.send(&options).await?;
    let answer = stranger.hear().await?;
    ensure!(answer.starts_with("SIP/2.0 200 "), "{answer}");
    ensure!(house.ready().await.calls == 0);
    call("1001.acme", "1002").run(&house).await?;
    callee.end().await?;
    house.close().await;
    Ok(())
}
