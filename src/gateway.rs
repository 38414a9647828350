//! A simulated voice gateway: registers over SIP like any other, answers the engine's INVITEs, and behind each number stands
//! a callee who plays recorded speech as real RTP. Used by the demo, the benches and the tests; it shares nothing with the
//! engine but the wire.

use anyhow::{Context, Result};
use bytes::Bytes;
use engine::clock::Clock;
use media::{
    Command, Event as MediaEvent, Frame, LocalParams, Out, Pcm, Prompt, Worker, WorkerConfig,
};
use model::*;
use sip::{Credentials, Endpoint, Event, Flow, InviteId, Uri};
use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Louder than this (RMS of 20 ms, of 32767) is speech; prompts and phrases are far above, comfort noise far below.
const SPEECH: f64 = 200.0;
/// A robot that has spoken and then been quiet this long waits for an answer.
const ROBOT_DONE: Duration = Duration::from_millis(800);
const PAUSE: Duration = Duration::from_millis(2);

/// What stands behind a number, one entry an attempt; the last one stays.
#[derive(Clone, Debug)]
pub enum Callee {
    /// 486.
    Busy,
    /// 404 with Q.850 cause 1: 空号.
    Empty,
    /// Rings for this long, then the network gives up (408).
    NoAnswer { rings: Duration },
    /// Answers and speaks.
    Talks {
        rings: Duration,
        lines: Vec<Line>,
        /// After the robot has answered the last line.
        hangs_up: bool,
    },
}

#[derive(Clone, Debug)]
pub struct Line {
    pub when: When,
    /// 8 kHz mono, without silence at its end.
    pub speech: Arc<[i16]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// After the robot has spoken and stopped.
    RobotDone,
    /// This long into what the robot says: talks over it.
    Over(Duration),
}

/// What an observer of the gateway may want to know.
#[derive(Clone, Debug)]
pub enum Seen {
    Registered,
    RegistrationFailed {
        code: u16,
    },
    Called {
        number: String,
    },
    /// Our answer was acknowledged.
    Answered {
        number: String,
    },
    /// From the packet with the callee's last voiced sample to the first packet of the robot's next speech.
    Turn {
        number: String,
        line: usize,
        took: Duration,
    },
    Ended {
        number: String,
    },
}

pub struct Config {
    pub registrar: SocketAddr,
    pub realm: String,
    pub username: String,
    pub password: String,
    pub callees: HashMap<String, Vec<Callee>>,
    pub seed: [u8; 32],
}

pub struct Gateway {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
    pub seen: Receiver<Seen>,
}

impl Gateway {
    /// Binds its sockets on the registrar's interface and registers.
    pub fn start(config: Config) -> Result<Gateway> {
        let socket = UdpSocket::bind(SocketAddr::new(config.registrar.ip(), 0))
            .context("the simulated gateway cannot open a socket")?;
        socket.set_nonblocking(true)?;
        let (stop, stopped) = channel();
        let (tell, seen) = channel();
        let mut shell = Shell::new(config, socket, tell)?;
        let thread = std::thread::Builder::new()
            .name("gateway".into())
            .spawn(move || {
                while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                    shell.turn();
                }
            })?;
        Ok(Gateway {
            stop,
            thread: Some(thread),
            seen,
        })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.send(()).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

struct Call {
    number: String,
    invite: InviteId,
    leg: LegId,
    socket: UdpSocket,
    params: LocalParams,
    offer: Bytes,
    state: State,
    lines: VecDeque<Line>,
    hangs_up: bool,
    said: usize,
    /// The robot's voice: since when it speaks, when it was last heard.
    robot_since: Option<Mono>,
    robot_last: Mono,
    /// We speak now.
    speaking: bool,
    /// When our last voiced sample left, until the robot answers.
    waiting_since: Option<Mono>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Rings { until: Mono, then: Then },
    Talks,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    GivesUp,
    Answers,
}

/// Collects what the media worker says while the calls are borrowed.
#[derive(Default)]
struct Results {
    packets: Vec<(LegId, SocketAddr, Vec<u8>)>,
    events: Vec<MediaEvent>,
}

impl Out for Results {
    fn send(&mut self, leg: LegId, to: SocketAddr, packet: &[u8]) {
        self.packets.push((leg, to, packet.to_vec()));
    }
    fn heard(&mut self, _: LegId, _: &Frame) {}
    fn recorded(&mut self, _: LegId, _: u32, _: &Pcm, _: &Pcm) {}
    fn event(&mut self, event: MediaEvent) {
        self.events.push(event);
    }
}

/// A device takes calls from the registrar it is registered with.
struct Trust {
    registrar: SocketAddr,
    account: Arc<sip::Account>,
}

impl sip::Accounts for Trust {
    fn account(&self, _: &str) -> Option<Arc<sip::Account>> {
        None
    }
    fn aor(&self, _: &str, _: &str) -> Option<String> {
        None
    }
    fn trusted(&self, flow: Flow) -> Option<Arc<sip::Account>> {
        (flow.remote == self.registrar).then(|| self.account.clone())
    }
}

struct Shell {
    clock: Clock,
    trust: Trust,
    socket: UdpSocket,
    local: SocketAddr,
    sip: Endpoint,
    media: Worker,
    results: Results,
    callees: HashMap<String, Vec<Callee>>,
    attempts: HashMap<String, usize>,
    calls: Vec<Call>,
    next_leg: u64,
    tell: Sender<Seen>,
}

impl Shell {
    fn new(config: Config, socket: UdpSocket, tell: Sender<Seen>) -> Result<Shell> {
        let local = socket.local_addr()?;
        let clock = Clock::start();
        let mut sip_config = sip::Config::new(&config.realm, local);
        sip_config.user_agent = "Huying simulated gateway".into();
        let mut sip = Endpoint::new(sip_config, config.seed);
        let registration = sip::Registration {
            flow: Flow::udp(local, config.registrar),
            registrar: Uri::sip(
                "",
                &config.registrar.ip().to_string(),
                Some(config.registrar.port()),
            )?,
            aor: Uri::sip(&config.username, &config.realm, None)?,
            contact_user: config.username.clone(),
            credentials: Some(Credentials::new(&config.username, &config.password)),
            expires: Duration::from_secs(600),
        };
        sip.register(clock.now(), registration);
        let Config {
            registrar,
            realm,
            username,
            password,
            ..
        } = &config;
        let account = Arc::new(sip::Account::from_password(
            username, realm, username, password,
        ));
        let trust = Trust {
            registrar: *registrar,
            account,
        };
        Ok(Shell {
            clock,
            trust,
            socket,
            local,
            sip,
            media: Worker::new(WorkerConfig::default()),
            results: Results::default(),
            callees: config.callees,
            attempts: HashMap::new(),
            calls: Vec::new(),
            next_leg: 0,
            tell,
        })
    }

    fn turn(&mut self) {
        self.clock.pause(PAUSE);
        let mut buffer = [0u8; 65_535];
        while let Ok((length, remote)) = self.socket.recv_from(&mut buffer) {
            let flow = Flow::udp(self.local, remote);
            self.sip
                .receive(self.clock.now(), flow, &buffer[..length], &self.trust);
        }
        self.sip.expire(self.clock.now());
        while let Some(event) = self.sip.poll_event() {
            self.event(event);
        }
        self.rtp(&mut buffer);
        self.script();
        while let Some(transmit) = self.sip.poll_transmit() {
            self.socket
                .send_to(&transmit.bytes, transmit.flow.remote)
                .ok();
        }
    }

    fn say(&self, seen: Seen) {
        self.tell.send(seen).ok();
    }

    fn event(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::RegistrationUp { .. } => self.say(Seen::Registered),
            Event::RegistrationDown { code, .. } => self.say(Seen::RegistrationFailed { code }),
            Event::Incoming(incoming) => self
                .incoming(&incoming)
                .unwrap_or_else(|_| self.sip.reject(now, incoming.id, 503, "", Some(34))),
            Event::Reoffer { id, .. } => self.sip.reoffer_reject(now, id, 488),
            Event::Confirmed { id, .. } => {
                let answered = self.calls.iter().find(|call| call.invite == id);
                if let Some(number) = answered.map(|call| call.number.clone()) {
                    self.say(Seen::Answered { number });
                }
            }
            Event::Cancelled { id } | Event::Ended { id, .. } | Event::Failed { id, .. } => {
                if let Some(index) = self.calls.iter().position(|call| call.invite == id) {
                    let call = self.calls.swap_remove(index);
                    let leg = call.leg;
                    self.media
                        .command(now.mono, Command::Close { leg }, &mut self.results);
                    self.say(Seen::Ended {
                        number: call.number,
                    });
                }
            }
            _ => {}
        }
    }

    fn incoming(&mut self, incoming: &sip::Incoming) -> Result<()> {
        let now = self.clock.now();
        let number = incoming.to_user.clone();
        self.say(Seen::Called {
            number: number.clone(),
        });
        let attempt = self.attempts.entry(number.clone()).or_default();
        let callee = match self.callees.get(&number) {
            Some(callees) => callees.get(*attempt).or(callees.last()).cloned(),
            None => None,
        };
        *attempt += 1;
        let mut leaves = false;
        let (state, lines) = match callee {
            Some(Callee::Busy) => {
                self.sip.reject(now, incoming.id, 486, "", Some(17));
                return Ok(());
            }
            Some(Callee::Empty) | None => {
                self.sip.reject(now, incoming.id, 404, "", Some(1));
                return Ok(());
            }
            Some(Callee::NoAnswer { rings }) => (
                State::Rings {
                    until: now.mono + rings,
                    then: Then::GivesUp,
                },
                VecDeque::new(),
            ),
            Some(Callee::Talks {
                rings,
                lines,
                hangs_up,
            }) => {
                leaves = hangs_up;
                (
                    State::Rings {
                        until: now.mono + rings,
                        then: Then::Answers,
                    },
                    lines.into(),
                )
            }
        };
        let offer = incoming.offer.clone().context("no offer")?;
        let socket = UdpSocket::bind(SocketAddr::new(self.local.ip(), 0))?;
        socket.set_nonblocking(true)?;
        self.next_leg += 1;
        let leg = LegId(self.next_leg);
        let params = LocalParams::new(socket.local_addr()?, self.next_leg);
        let ssrc = 0x6a7e_0000 | self.next_leg as u32;
        let open = Command::Open {
            leg,
            ssrc,
            sequence: 1,
            timestamp: 160,
        };
        self.media.command(now.mono, open, &mut self.results);
        self.sip.ring(now, incoming.id, None);
        self.calls.push(Call {
            number,
            invite: incoming.id,
            leg,
            socket,
            params,
            offer,
            state,
            lines,
            hangs_up: leaves,
            said: 0,
            robot_since: None,
            robot_last: now.mono,
            speaking: false,
            waiting_since: None,
        });
        Ok(())
    }

    fn rtp(&mut self, buffer: &mut [u8]) {
        let now = self.clock.mono();
        let mut turns = Vec::new();
        for call in &mut self.calls {
            while let Ok((length, from)) = call.socket.recv_from(buffer) {
                if loud(&buffer[..length]) {
                    call.robot_since.get_or_insert(now);
                    call.robot_last = now;
                    if let Some(since) = call.waiting_since.take() {
                        let (number, line) = (call.number.clone(), call.said);
                        turns.push(Seen::Turn {
                            number,
                            line,
                            took: now.since(since),
                        });
                    }
                }
                self.media.packet(
                    now,
                    call.leg,
                    from,
                    &mut buffer[..length],
                    &mut self.results,
                );
            }
        }
        self.media.tick(now, &mut self.results);
        for (leg, to, packet) in self.results.packets.drain(..) {
            if let Some(call) = self.calls.iter().find(|call| call.leg == leg) {
                call.socket.send_to(&packet, to).ok();
            }
        }
        for event in self.results.events.drain(..) {
            if let MediaEvent::PlayFinished { leg, .. } = event
                && let Some(call) = self.calls.iter_mut().find(|call| call.leg == leg)
            {
                call.speaking = false;
                // What the robot says over our speech is not an answer to it.
                call.robot_since = None;
                call.waiting_since = Some(now);
            }
        }
        for turn in turns {
            self.say(turn);
        }
    }

    /// Lets every callee do what it does next.
    fn script(&mut self) {
        let now = self.clock.now();
        for call in &mut self.calls {
            match call.state {
                State::Rings { until, then } if now.mono >= until => match then {
                    Then::GivesUp => {
                        // Stays in the list until the endpoint says it has ended.
                        call.state = State::Talks;
                        self.sip.reject(now, call.invite, 408, "", Some(19));
                    }
                    Then::Answers => {
                        call.state = State::Talks;
                        match media::sdp::answer(&call.offer, &call.params) {
                            Ok((body, negotiated)) => {
                                let connect = Command::Connect {
                                    leg: call.leg,
                                    negotiated,
                                    latch: None,
                                };
                                self.media.command(now.mono, connect, &mut self.results);
                                self.sip.answer(now, call.invite, body);
                            }
                            Err(_) => self.sip.reject(now, call.invite, 488, "", Some(88)),
                        }
                    }
                },
                State::Rings { .. } => {}
                State::Talks => {
                    let Some(since) = call.robot_since else {
                        continue;
                    };
                    let quiet = now.mono.since(call.robot_last) >= ROBOT_DONE;
                    let Some(line) = call.lines.front() else {
                        if call.hangs_up && !call.speaking && quiet {
                            call.hangs_up = false;
                            self.sip.hang_up(now, call.invite, Some(16), "");
                        }
                        continue;
                    };
                    let due = match line.when {
                        When::RobotDone => quiet,
                        When::Over(into) => now.mono.since(since) >= into,
                    };
                    if call.speaking || !due {
                        continue;
                    }
                    let Some(line) = call.lines.pop_front() else {
                        continue;
                    };
                    call.said += 1;
                    call.speaking = true;
                    call.robot_since = None;
                    let prompt =
                        Arc::new(Prompt::new(PromptId(model::id::Uuid::nil()), line.speech));
                    let play = Command::Play {
                        leg: call.leg,
                        play: PlayId(call.said as u64),
                        prompt,
                    };
                    self.media.command(now.mono, play, &mut self.results);
                }
            }
        }
    }
}

/// Whether an RTP packet of G.711 carries speech.
fn loud(packet: &[u8]) -> bool {
    let Ok(reader) = rtp_rs::RtpReader::new(packet) else {
        return false;
    };
    let codec = match reader.payload_type() {
        0 => media::Codec::Pcmu,
        8 => media::Codec::Pcma,
        _ => return false,
    };
    let payload = reader.payload();
    let energy: f64 = payload
        .iter()
        .map(|code| f64::from(codec.decode_sample(*code)).powi(2))
        .sum();
    !payload.is_empty() && (energy / payload.len() as f64).sqrt() > SPEECH
}

/// Recorded speech without the silence at its end, so that its last sample is its last voiced one.
pub fn trimmed(pcm: &[i16]) -> Arc<[i16]> {
    let frame_is_loud = |frame: &[i16]| {
        let energy: f64 = frame.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        (energy / frame.len() as f64).sqrt() > SPEECH
    };
    let end = pcm
        .chunks(80)
        .rposition(frame_is_loud)
        .map_or(0, |last| (last + 1) * 80);
    pcm[..end.min(pcm.len())].into()
}
