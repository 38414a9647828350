//! `--call`: an engine of its own on loopback, two simulated phones, one calls the other, both send a tone, and what
//! arrives is measured.

use super::finding::Finding;
use crate::config::Config;
use crate::demo::api::{Api, text};
use crate::phones::{Line, Phones};
use crate::serve;
use anyhow::{Context, Result, ensure};
use engine::Hearing;
use engine::clock::Clock;
use media::{
    Command, Event as Told, FRAME, Frame, LocalParams, Negotiated, Out, Pcm, Prompt, Worker,
    WorkerConfig, measure,
};
use model::{LegId, Mono, PlayId, PromptId};
use serde_json::json;
use sip::{Event, InviteId};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

const PASSWORD: &str = "doctor-password";
const LEVEL: f32 = -10.0;
const TONES: [f32; 2] = [1004.0, 620.0];
const TONE: Duration = Duration::from_secs(3);
/// Silence before the tones, in which sources settle.
const SETTLE: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(2);
/// ITU-T G.114: what conversations do not notice.
const UNNOTICED: Duration = Duration::from_millis(150);

pub async fn check() -> Vec<Finding> {
    match place().await {
        Ok(measured) => measured.findings(),
        Err(error) => {
            let fix = "run it again with --log debug; loopback UDP must not be filtered";
            vec![Finding::failed("call", format!("{error:#}"), fix)]
        }
    }
}

async fn place() -> Result<Measured> {
    let folder = tempfile::tempdir().context("no folder for a trial installation")?;
    let loopback = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    let config = Config {
        data: folder.path().into(),
        sip: loopback,
        http: loopback,
        metrics: "off".into(),
        rtp_ports: "0".into(),
        ..Config::default()
    };
    let why = "nobody listens on this call".to_owned();
    let running = serve::start(&config, Hearing::None { why }).await?;
    let measured = between(&running, &config).await;
    running.stop(std::future::ready(())).await;
    measured
}

async fn between(running: &serve::Running, config: &Config) -> Result<Measured> {
    let base = format!("http://{}", running.http);
    let link = admin::setup_link(
        &running.store,
        &running.platform,
        &base,
        engine::clock::wall(),
    )
    .await?
    .context("a fresh installation has a set-up link")?;
    let (api, _) = Api::set_up(
        &link,
        json!({ "slug": "doctor", "name": "doctor" }),
        PASSWORD,
    )
    .await?;
    let mut lines = Vec::new();
    for number in ["1001", "1002"] {
        let asked = json!({ "number": number, "name": number, "password": PASSWORD });
        let made = api.post("/extensions", &asked).await?;
        let username = text(&made, "username")?;
        lines.push(Line {
            number: number.into(),
            username,
            password: PASSWORD.into(),
        });
    }
    // Answered after the engine has taken the new extensions in.
    api.get("/extensions").await?;
    let (registrar, realm, seed) = (
        running.engine.sip_address,
        config.realm.clone(),
        serve::seed()?,
    );
    let talk = move || Talk::new(Clock::start(), registrar, &realm, seed)?.run(&lines);
    tokio::task::spawn_blocking(talk).await?
}

/// What arrived at one end.
#[derive(Debug)]
struct Arrived {
    sent_hz: f32,
    tone: Option<(f32, f32)>,
    level: f32,
    delay: Option<Duration>,
}

#[derive(Debug)]
struct Measured {
    set_up: Duration,
    /// From the caller to the called, and back.
    ways: [Arrived; 2],
}

impl Measured {
    fn findings(&self) -> Vec<Finding> {
        let ms = self.set_up.as_secs_f64() * 1000.0;
        let call = format!(
            "1001 and 1002 registered with digest; 1001 called 1002, INVITE to 200 in {ms:.1} ms"
        );
        let there = self.ways[0].finding("audio there");
        vec![
            Finding::ok("call", call),
            there,
            self.ways[1].finding("audio back"),
        ]
    }
}

impl Arrived {
    fn finding(&self, subject: &'static str) -> Finding {
        let fix = "a firewall between loopback sockets, or a machine too busy: look at the load, then again";
        let sent = format!("sent {:.0} Hz at {LEVEL:.1} dBFS", self.sent_hz);
        let (Some((hz, share)), Some(delay)) = (self.tone, self.delay) else {
            return Finding::failed(subject, format!("{sent}, nothing arrived"), fix);
        };
        let text = format!(
            "{sent}; heard {hz:.0} Hz at {:.1} dBFS, {:.0} % of it the tone, about {} ms later",
            self.level,
            share * 100.0,
            delay.as_millis(),
        );
        let same =
            (hz - self.sent_hz).abs() < 5.0 && (self.level - LEVEL).abs() < 1.5 && share > 0.9;
        if !same {
            Finding::failed(subject, text, fix)
        } else if delay > UNNOTICED {
            Finding::warn(
                subject,
                text,
                "people notice more than 150 ms: look at the load of this machine",
            )
        } else {
            Finding::ok(subject, text)
        }
    }
}

/// One phone's media.
struct Side {
    leg: LegId,
    socket: UdpSocket,
    params: LocalParams,
    hz: f32,
    connected: bool,
    /// When our tone's first packet left.
    started: Option<Mono>,
    /// What we hear from the first loud frame on, and when that was.
    heard: Vec<i16>,
    loud_since: Option<Mono>,
}

/// Both phones and their call.
struct Talk {
    clock: Clock,
    phones: Phones,
    worker: Worker,
    results: Results,
    sides: [Side; 2],
    called: Mono,
    set_up: Option<Duration>,
    play_at: Option<Mono>,
}

/// What the worker says while the sides are borrowed.
#[derive(Default)]
struct Results {
    packets: Vec<(LegId, SocketAddr, Vec<u8>)>,
    heard: Vec<(LegId, Pcm)>,
    started: Vec<LegId>,
}

impl Out for Results {
    fn send(&mut self, leg: LegId, to: SocketAddr, packet: &[u8]) {
        self.packets.push((leg, to, packet.to_vec()));
    }
    fn heard(&mut self, leg: LegId, frame: &Frame) {
        self.heard.push((leg, frame.pcm));
    }
    fn recorded(&mut self, _: LegId, _: u32, _: &Pcm, _: &Pcm) {}
    fn event(&mut self, event: Told) {
        if let Told::PlayStarted { leg, .. } = event {
            self.started.push(leg);
        }
    }
}

impl Talk {
    fn new(clock: Clock, registrar: SocketAddr, realm: &str, seed: [u8; 32]) -> Result<Talk> {
        let phones = Phones::new(clock, registrar, realm, seed)?;
        let side = |index: u64, hz: f32| -> Result<Side> {
            let socket = UdpSocket::bind((registrar.ip(), 0))?;
            socket.set_nonblocking(true)?;
            let params = LocalParams::new(socket.local_addr()?, index);
            let (heard, leg) = (Vec::new(), LegId(index));
            Ok(Side {
                leg,
                socket,
                params,
                hz,
                connected: false,
                started: None,
                heard,
                loud_since: None,
            })
        };
        Ok(Talk {
            clock,
            phones,
            worker: Worker::new(WorkerConfig::default()),
            results: Results::default(),
            sides: [side(0, TONES[0])?, side(1, TONES[1])?],
            called: clock.mono(),
            set_up: None,
            play_at: None,
        })
    }

    fn run(mut self, lines: &[Line]) -> Result<Measured> {
        let deadline = self.clock.mono() + PATIENCE;
        self.phones.register_all(lines, Duration::from_secs(5))?;
        self.called = self.clock.mono();
        let offer = media::sdp::offer(&self.sides[0].params);
        let invite = self.phones.call(&lines[0], &lines[1].number, offer)?;
        let wanted = 8 * (TONE.as_millis() as usize) / 2;
        while self.sides.iter().any(|side| side.heard.len() < wanted)
            && self.clock.mono() < deadline
        {
            let next = self.clock.mono() + PAUSE;
            self.phones.wait(next);
            while let Some(event) = self.phones.sip.poll_event() {
                self.event(invite, event)?;
            }
            self.play();
            self.packets();
        }
        ensure!(
            self.set_up.is_some(),
            "1002 was not reached in {} s",
            PATIENCE.as_secs()
        );
        self.phones
            .sip
            .hang_up(self.clock.now(), invite, Some(16), "");
        // The engine's own BYE to the other phone is answered too.
        let gone = self.clock.mono() + Duration::from_millis(100);
        while self.clock.mono() < gone {
            self.phones.wait(gone);
        }
        let set_up = self.set_up.unwrap_or_default();
        Ok(Measured {
            set_up,
            ways: [self.arrived(0, 1), self.arrived(1, 0)],
        })
    }

    fn event(&mut self, invite: InviteId, event: Event) -> Result<()> {
        let now = self.clock.now();
        match event {
            Event::Incoming(incoming) => {
                let offer = incoming.offer.context("the engine's INVITE has no offer")?;
                let (answer, negotiated) = media::sdp::answer(&offer, &self.sides[1].params)?;
                self.phones.sip.ring(now, incoming.id, None);
                self.phones.sip.answer(now, incoming.id, answer);
                self.connect(1, negotiated);
            }
            Event::Answered { id, sdp } if id == invite => {
                self.set_up = Some(now.mono.since(self.called));
                let answer = sdp.context("the engine's 200 has no answer")?;
                let negotiated = media::sdp::accept(&self.sides[0].params, &answer)?;
                self.connect(0, negotiated);
            }
            Event::Failed { code, reason, .. } => anyhow::bail!("the call failed: {code} {reason}"),
            Event::Ended { text, .. } => anyhow::bail!("the call ended by itself: {text}"),
            _ => {}
        }
        Ok(())
    }

    fn connect(&mut self, side: usize, negotiated: Negotiated) {
        let now = self.clock.mono();
        let leg = self.sides[side].leg;
        let ssrc = 0xd0c7_0000 | side as u32;
        let open = Command::Open {
            leg,
            ssrc,
            sequence: 1,
            timestamp: 160,
        };
        let connect = Command::Connect {
            leg,
            negotiated,
            latch: None,
        };
        for command in [open, connect, Command::Listen { leg, on: true }] {
            self.worker.command(now, command, &mut self.results);
        }
        self.sides[side].connected = true;
        if self.sides.iter().all(|side| side.connected) {
            self.play_at = Some(now + SETTLE);
        }
    }

    fn play(&mut self) {
        let now = self.clock.mono();
        if self.play_at.is_none_or(|at| now < at) {
            return;
        }
        self.play_at = None;
        for side in &self.sides {
            let samples = 8 * TONE.as_millis() as usize;
            let tone = measure::tone(side.hz, LEVEL, samples);
            let prompt = Arc::new(Prompt::new(PromptId(model::id::Uuid::nil()), tone));
            let play = Command::Play {
                leg: side.leg,
                play: PlayId(1),
                prompt,
            };
            self.worker.command(now, play, &mut self.results);
        }
    }

    fn packets(&mut self) {
        let now = self.clock.mono();
        let mut buffer = [0; 1600];
        for side in &mut self.sides {
            while let Ok((length, from)) = side.socket.recv_from(&mut buffer) {
                self.worker.packet(
                    now,
                    side.leg,
                    from,
                    &mut buffer[..length],
                    &mut self.results,
                );
            }
        }
        self.worker.tick(now, &mut self.results);
        for (leg, to, packet) in self.results.packets.drain(..) {
            self.sides[leg.0 as usize].socket.send_to(&packet, to).ok();
        }
        for leg in self.results.started.drain(..) {
            self.sides[leg.0 as usize].started = Some(now);
        }
        for (leg, pcm) in self.results.heard.drain(..) {
            let side = &mut self.sides[leg.0 as usize];
            if side.loud_since.is_none() && measure::level(&pcm) > LEVEL - 20.0 {
                side.loud_since = Some(now);
            }
            if side.loud_since.is_some() {
                side.heard.extend_from_slice(&pcm);
            }
        }
    }

    /// What came from one side to the other.
    fn arrived(&self, from: usize, to: usize) -> Arrived {
        let (from, to) = (&self.sides[from], &self.sides[to]);
        // Its middle: the first frames hold the tone's beginning.
        let middle = to.heard.get(10 * FRAME..).unwrap_or_default();
        let delay = from
            .started
            .zip(to.loud_since)
            .map(|(sent, heard)| heard.since(sent));
        Arrived {
            sent_hz: from.hz,
            tone: measure::frequency(middle),
            level: measure::level(middle),
            delay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    #[test]
    fn another_pitch_a_lower_level_and_silence_fail() {
        let arrived = |tone, level| Arrived {
            sent_hz: 1004.0,
            tone,
            level,
            delay: Some(Duration::from_millis(40)),
        };
        assert_eq!(
            arrived(Some((1004.2, 0.99)), -10.1).finding("audio").state,
            State::Ok
        );
        assert_eq!(
            arrived(Some((620.0, 0.99)), -10.1).finding("audio").state,
            State::Failed
        );
        assert_eq!(
            arrived(Some((1004.2, 0.99)), -25.0).finding("audio").state,
            State::Failed
        );
        assert_eq!(arrived(None, -120.0).finding("audio").state, State::Failed);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_call_over_loopback_is_heard_both_ways() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let findings = check().await;
        let failed: Vec<_> = findings
            .iter()
            .filter(|finding| finding.state == State::Failed)
            .collect();
        assert!(failed.is_empty(), "{failed:#?}");
        assert_eq!(findings.len(), 3);
    }
}
