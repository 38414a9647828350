//! `huying bench sip`: CPU of a registration and of an answered call through the B2BUA.

use super::child::Child;
use super::cores::{Cores, stay_on};
use super::office;
use super::process::Spent;
use super::report::{Report, percentile};
use crate::cli::BenchOutput;
use crate::config::Config;
use crate::phones::{Line, Phones};
use crate::serve;
use anyhow::{Context, Result, ensure};
use engine::clock::Clock;
use media::LocalParams;
use model::Mono;
use sip::{Event, InviteId};
use std::collections::HashMap;
use std::time::Duration;

const EXTENSIONS: usize = 50;
/// How fast they come: steady, so that costs do not depend on bursts.
const PER_SECOND: u32 = 200;
/// Unfinished at once; beyond it the pace slows.
const UNFINISHED: usize = 200;
const WARM_UP: u32 = 200;
/// Records and bindings are written behind; what that costs belongs to the case.
const SETTLE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(40);

pub async fn run(_: &Config, count: u32, output: &BenchOutput) -> Result<Report> {
    ensure!(count > 0, "--count must be at least 1");
    let cores = Cores::choose();
    let child = Child::start(cores.measured, None).await?;
    let lines = office::extensions(&child, EXTENSIONS).await?;
    let load = move || {
        stay_on(cores.generator);
        measure(&child, lines, count).with_context(|| child.log())
    };
    let mut report = tokio::task::spawn_blocking(load).await??;
    report.note(cores.note());
    if output.peers {
        report.note(
            "Peer Kamailio: not driven by this bench. To set it beside: apt install kamailio, \
                     and load both with SIPp.",
        );
    }
    Ok(report)
}

fn measure(child: &Child, lines: Vec<Line>, count: u32) -> Result<Report> {
    let mut report = Report::new("sip");
    let mut load = Load::new(child, lines)?;
    load.registrations(WARM_UP)?;
    let (registrations, spent) = load.measured(child, |load| load.registrations(count))?;
    report.case("register", "cpu_ms", per(&spent, registrations));
    report.note(format!(
            "register: {registrations} × REGISTER, 401, REGISTER with digest (RFC 7616), 200; {EXTENSIONS} \
             extensions, {PER_SECOND} a second. {}",
            spent.shares()
        ));
    load.calls(WARM_UP)?;
    load.set_up.clear();
    load.failures.clear();
    let (calls, spent) = load.measured(child, |load| load.calls(count))?;
    report.case("answered", "cpu_ms", per(&spent, calls));
    load.set_up.sort_unstable();
    for (share, metric) in [(0.5, "latency_ms_p50"), (0.99, "latency_ms_p99")] {
        if let Some(took) = percentile(&load.set_up, share) {
            report.case("answered", metric, took.as_secs_f64() * 1000.0);
        }
    }
    report.note(format!(
            "answered: {calls} calls extension to extension, both legs ours: INVITE, 407, ACK, INVITE with digest, \
             100, INVITE to the callee, 180, 200, ACK (both legs), BYE, 200 (both legs); two RTP ports opened and \
             closed, a record written; {PER_SECOND} a second. Latency: first INVITE to 200.{} {}",
            load.failures,
            spent.shares()
        ));
    Ok(report)
}

/// CPU milliseconds of one.
fn per(spent: &Spent, count: u32) -> f64 {
    spent.cpu.as_secs_f64() * 1000.0 / f64::from(count.max(1))
}

/// All phones, and what they do at a steady pace.
struct Load {
    clock: Clock,
    phones: Phones,
    lines: Vec<Line>,
    set_up: Vec<Duration>,
    /// For people; empty when none failed.
    failures: String,
}

impl Load {
    fn new(child: &Child, lines: Vec<Line>) -> Result<Load> {
        let clock = Clock::start();
        let mut phones = Phones::new(clock, child.sip, &child.realm, serve::seed()?)?;
        phones.register_all(&lines, PATIENCE)?;
        Ok(Load {
            clock,
            phones,
            lines,
            set_up: Vec::new(),
            failures: String::new(),
        })
    }

    /// What the engine spends on it, with what it writes behind.
    fn measured(
        &mut self,
        child: &Child,
        act: impl FnOnce(&mut Load) -> Result<u32>,
    ) -> Result<(u32, Spent)> {
        let before = child.process.usage()?;
        let done = act(self)?;
        let settled = self.clock.mono() + SETTLE;
        while self.clock.mono() < settled {
            self.phones.wait(settled);
        }
        Ok((done, child.process.usage()?.since(&before)))
    }

    fn registrations(&mut self, count: u32) -> Result<u32> {
        let mut pace = Pace::start(self.clock);
        let mut done = 0;
        while done < count {
            pace.check(done, count)?;
            if pace.begins(count, done) {
                let line = &self.lines[pace.begun as usize % self.lines.len()];
                self.phones.register(line)?;
                pace.begun += 1;
                self.phones.flush();
                continue;
            }
            self.phones.wait(pace.next());
            while let Some(event) = self.phones.sip.poll_event() {
                match event {
                    Event::RegistrationUp { .. } => done += 1,
                    Event::RegistrationDown { code, reason, .. } => {
                        anyhow::bail!("a registration was refused: {code} {reason}")
                    }
                    _ => {}
                }
            }
        }
        Ok(done)
    }

    /// Calls from the first half of the phones to the second; each is hung up by the caller as soon as it is answered, and
    /// is over when the callee has its BYE.
    fn calls(&mut self, count: u32) -> Result<u32> {
        let half = self.lines.len() / 2;
        let media = LocalParams::new("127.0.0.1:9".parse()?, 1);
        let mut pace = Pace::start(self.clock);
        let mut begun: HashMap<InviteId, Mono> = HashMap::new();
        let (mut done, mut failed) = (0, 0);
        while done + failed < count {
            pace.check(done + failed, count)?;
            if pace.begins(count, done + failed) {
                let place = pace.begun as usize % half;
                let callee = self.lines[half + place].number.clone();
                let offer = media::sdp::offer(&media);
                let at = self.clock.mono();
                let invite = self.phones.call(&self.lines[place], &callee, offer)?;
                begun.insert(invite, at);
                pace.begun += 1;
                self.phones.flush();
                continue;
            }
            self.phones.wait(pace.next());
            while let Some(event) = self.phones.sip.poll_event() {
                let now = self.phones.now();
                match event {
                    Event::Incoming(incoming) => {
                        let offer = incoming.offer.unwrap_or_default();
                        let (answer, _) = media::sdp::answer(&offer, &media)?;
                        self.phones.sip.ring(now, incoming.id, None);
                        self.phones.sip.answer(now, incoming.id, answer);
                    }
                    Event::Answered { id, .. } => {
                        if let Some(at) = begun.remove(&id) {
                            self.set_up.push(now.mono.since(at));
                        }
                        self.phones.sip.hang_up(now, id, Some(16), "");
                    }
                    Event::Ended { local: false, .. } => done += 1,
                    Event::Failed { code, reason, .. } => {
                        failed += 1;
                        self.failures =
                            format!(" {failed} more failed, the last by {code} {reason}.");
                        // A few may meet a port that another program has just taken.
                        ensure!(
                            failed * 100 <= count,
                            "{failed} calls failed: {code} {reason}"
                        );
                    }
                    _ => {}
                }
            }
            self.phones.flush();
        }
        Ok(done)
    }
}

/// When the next one begins.
struct Pace {
    clock: Clock,
    start: Mono,
    begun: u32,
}

impl Pace {
    fn start(clock: Clock) -> Pace {
        Pace {
            clock,
            start: clock.mono(),
            begun: 0,
        }
    }

    fn due(&self) -> Mono {
        self.start + Duration::from_secs(1) * self.begun / PER_SECOND
    }

    fn begins(&self, count: u32, done: u32) -> bool {
        let room = (self.begun - done.min(self.begun)) as usize;
        self.begun < count && room < UNFINISHED && self.clock.mono() >= self.due()
    }

    /// Until when to wait for answers.
    fn next(&self) -> Mono {
        let soon = self.clock.mono() + Duration::from_millis(20);
        self.due().max(self.clock.mono()).min(soon)
    }

    fn check(&self, done: u32, count: u32) -> Result<()> {
        let planned = Duration::from_secs(1) * count / PER_SECOND;
        let late = self.clock.mono().since(self.start) > planned + PATIENCE;
        ensure!(!late, "only {done} of {count} were done in time");
        Ok(())
    }
}
