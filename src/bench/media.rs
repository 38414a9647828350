//! `huying bench media`: CPU, memory and delay of calls that are relayed, and of calls robots have.

use super::child::Child;
use super::cores::{self, Cores, stay_on};
use super::office;
use super::peer;
use super::process::Spent;
use super::report::Report;
use super::robots::{self, Crowd};
use super::rtp::{self, Delivered, Generator};
use crate::cli::BenchOutput;
use crate::config::Config;
use crate::phones::{Line, Phones};
use crate::serve;
use anyhow::{Context, Result, bail, ensure};
use engine::clock::Clock;
use media::LocalParams;
use sip::{Event, InviteId};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

const MOST_EXTENSIONS: usize = 100;
/// Sources lock and caches warm.
const WARM_UP: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn run(
    config: &Config,
    calls: u16,
    seconds: u64,
    output: &BenchOutput,
) -> Result<Report> {
    ensure!((1..=1000).contains(&calls), "--calls is 1 to 1000");
    ensure!((1..=300).contains(&seconds), "--seconds is 1 to 300");
    let cores = Cores::choose();
    let mut report = Report::new("media");
    let window = Duration::from_secs(seconds);
    relay(&mut report, cores, calls, window, output.peers).await?;
    robot(&mut report, cores, config, calls, window).await?;
    report.note(cores.note());
    Ok(report)
}

/// CPU in percent of a core for a hundred calls.
fn per_hundred(spent: &Spent, calls: u16) -> f64 {
    spent.percent() * 100.0 / f64::from(calls)
}

async fn relay(
    report: &mut Report,
    cores: Cores,
    calls: u16,
    window: Duration,
    peers: bool,
) -> Result<()> {
    let child = Child::start(cores.measured, None).await?;
    let extensions = MOST_EXTENSIONS.min(usize::from(calls) * 2);
    let lines = office::extensions(&child, extensions).await?;
    let load = move || -> Result<(Relayed, Option<Result<Relayed>>)> {
        stay_on(cores.generator);
        let ours = ours(child, &lines, calls, window)?;
        let peer = peers.then(|| rtpengine(cores, calls, window));
        Ok((ours, peer))
    };
    let (ours, peer) = tokio::task::spawn_blocking(load).await??;
    let peer = match peer {
        None => None,
        Some(Ok(peer)) => Some(peer),
        Some(Err(error)) => {
            report.note(format!("Peer rtpengine: {error:#}"));
            None
        }
    };
    let beside = |value: Value| peer.as_ref().map(|peer| (peer::NAME, value(peer)));
    let ms = |took: Duration| took.as_secs_f64() * 1000.0;
    let metrics: [(&'static str, Value); 4] = [
        ("cpu_percent_per_100_calls", |r| r.percent),
        ("memory_kb_per_call", |r| r.memory_kb),
        ("latency_ms_p50", |r| r.delivered.p50.as_secs_f64() * 1000.0),
        ("latency_ms_p99", |r| r.delivered.p99.as_secs_f64() * 1000.0),
    ];
    for (metric, value) in metrics {
        report.beside("relay", metric, value(&ours), beside(value));
    }
    report.beside(
        "relay",
        "packets_lost_percent",
        ours.lost(),
        beside(Relayed::lost),
    );
    report.note(format!(
        "relay: {calls} calls extension to extension, G.711 at 50 packets a second each way for {} s: {} packets in, {} \
         not out; {:.2} ms added at the median. {}",
        window.as_secs(),
        ours.delivered.sent,
        ours.delivered.lost,
        ms(ours.delivered.p50),
        ours.shares,
    ));
    if let Some(peer) = &peer {
        report.note(format!(
            "{}: userspace (no kernel table), same generator. {}",
            peer::NAME,
            peer.shares
        ));
    }
    Ok(())
}

type Value = fn(&Relayed) -> f64;

/// A relay under load.
struct Relayed {
    percent: f64,
    memory_kb: f64,
    delivered: Delivered,
    shares: String,
}

impl Relayed {
    fn lost(&self) -> f64 {
        100.0 * self.delivered.lost as f64 / self.delivered.sent.max(1) as f64
    }
}

/// Our engine, its calls set up over SIP.
fn ours(child: Child, lines: &[Line], calls: u16, window: Duration) -> Result<Relayed> {
    let clock = Clock::start();
    let mut phones = Phones::new(clock, child.sip, &child.realm, serve::seed()?)?;
    phones.register_all(lines, PATIENCE)?;
    let empty = child.process.usage()?.memory_kb;
    let mut streams = Vec::with_capacity(usize::from(calls) * 2);
    let mut invites = Vec::with_capacity(usize::from(calls));
    let half = lines.len() / 2;
    for call in 0..usize::from(calls) {
        let (caller, callee) = (&lines[call % half], &lines[half + call % half]);
        let up = set_up(&mut phones, clock, caller, &callee.number)
            .with_context(|| format!("call {} of {calls}", call + 1))?;
        streams.extend(up.streams);
        invites.push(up.invite);
    }
    let mut generator = Generator::new(clock, streams)?;
    generator.run(WARM_UP, &mut || phones.exchange());
    let before = child.process.usage()?;
    generator.measure(window, &mut || phones.exchange());
    let after = child.process.usage()?;
    let delivered = generator.delivered();
    let now = phones.now();
    for invite in invites {
        phones.sip.hang_up(now, invite, Some(16), "");
    }
    phones.flush();
    let spent = after.since(&before);
    Ok(Relayed {
        percent: per_hundred(&spent, calls),
        memory_kb: after.memory_kb.saturating_sub(empty) as f64 / f64::from(calls),
        delivered,
        shares: spent.shares(),
    })
}

struct Up {
    invite: InviteId,
    /// Each party's socket, and where the engine takes its packets.
    streams: [(UdpSocket, SocketAddr); 2],
}

fn set_up(phones: &mut Phones, clock: Clock, caller: &Line, callee: &str) -> Result<Up> {
    let (ours, at) = rtp::socket()?;
    let (theirs, their_at) = rtp::socket()?;
    let (params, their_params) = (LocalParams::new(at, 1), LocalParams::new(their_at, 2));
    let invite = phones.call(caller, callee, media::sdp::offer(&params))?;
    let deadline = clock.mono() + PATIENCE;
    let mut to_callee = None;
    let mut to_caller = None;
    let mut confirmed = false;
    while !(confirmed && to_caller.is_some()) {
        ensure!(clock.mono() < deadline, "it was not answered in time");
        phones.wait(deadline);
        while let Some(event) = phones.sip.poll_event() {
            let now = phones.now();
            match event {
                Event::Incoming(incoming) => {
                    let offer = incoming.offer.unwrap_or_default();
                    let (answer, agreed) = media::sdp::answer(&offer, &their_params)?;
                    phones.sip.answer(now, incoming.id, answer);
                    to_callee = Some(agreed.remote);
                }
                Event::Confirmed { .. } => confirmed = true,
                Event::Answered { id, sdp } if id == invite => {
                    let answer = sdp.context("the 200 has no SDP")?;
                    to_caller = Some(media::sdp::accept(&params, &answer)?.remote);
                }
                Event::Failed { code, reason, .. } => bail!("it failed: {code} {reason}"),
                Event::Ended { text, .. } => bail!("it ended: {text}"),
                _ => {}
            }
        }
    }
    let to_caller = to_caller.context("no address for the caller's packets")?;
    let to_callee = to_callee.context("no address for the callee's packets")?;
    Ok(Up {
        invite,
        streams: [(ours, to_caller), (theirs, to_callee)],
    })
}

/// The peer, its calls set up over its control protocol.
fn rtpengine(cores: Cores, calls: u16, window: Duration) -> Result<Relayed> {
    let clock = Clock::start();
    let mut peer = peer::Rtpengine::start(clock, cores.measured)?;
    let empty = peer.process.usage()?.memory_kb;
    let mut streams = Vec::with_capacity(usize::from(calls) * 2);
    for call in 0..calls {
        streams.extend(peer.call(call)?);
    }
    let mut generator = Generator::new(clock, streams)?;
    generator.run(WARM_UP, &mut || ());
    let before = peer.process.usage()?;
    generator.measure(window, &mut || ());
    let after = peer.process.usage()?;
    let delivered = generator.delivered();
    let spent = after.since(&before);
    Ok(Relayed {
        percent: per_hundred(&spent, calls),
        memory_kb: after.memory_kb.saturating_sub(empty) as f64 / f64::from(calls),
        delivered,
        shares: spent.shares(),
    })
}

/// Robots that speak, listen and record; callees who only make noise, so that no recognition is asked for.
async fn robot(
    report: &mut Report,
    cores: Cores,
    config: &Config,
    calls: u16,
    window: Duration,
) -> Result<()> {
    if !config.model_path().exists() {
        report.note(format!(
            "robot: not measured, for robots cannot hear without a speech model. FIX: huying models pull {}",
            config.model
        ));
        return Ok(());
    }
    let child = Child::start(cores.measured, Some(config)).await?;
    let plan = robots::talkers(calls, WARM_UP * 4 + window);
    let callees = robots::noisy(calls, WARM_UP * 4 + window);
    let crowd = Crowd::gather(&child, &plan, callees, cores.generator).await?;
    let empty = child.process.usage()?.memory_kb;
    crowd.start().await?;
    crowd.wait_for_live(usize::from(calls)).await?;
    // On a thread of its own, so that waiting costs the generator's core nothing.
    let measured = move || -> Result<_> {
        let clock = Clock::start();
        clock.pause(WARM_UP);
        let before = child.process.usage()?;
        clock.pause(window);
        let after = child.process.usage()?;
        Ok((before, after, child))
    };
    let (before, after, child) =
        tokio::task::spawn_blocking(move || cores::on(cores.generator, measured)).await??;
    let live = crowd.live().await?;
    ensure!(
        live == usize::from(calls),
        "only {live} of {calls} robot calls were still up at the end:\n{}",
        child.log()
    );
    let spent = after.since(&before);
    report.case(
        "robot",
        "cpu_percent_per_100_calls",
        per_hundred(&spent, calls),
    );
    let memory = after.memory_kb.saturating_sub(empty) as f64 / f64::from(calls);
    report.case("robot", "memory_kb_per_call", memory);
    report.note(format!(
        "robot: {calls} calls of one campaign for {} s: a prompt plays all the time, the listener runs, both sides are \
         recorded; callees make 0.4 s of noise every 2 s: the voice detector looks at half of the windows and rejects \
         them, so whisper rests. {}",
        window.as_secs(),
        spent.shares(),
    ));
    tokio::task::spawn_blocking(move || drop((crowd, child))).await?;
    Ok(())
}
