//! What goes wrong, and comes right again.

use crate::callee::Recogniser;
use crate::chance::Chance;
use crate::house::{self, GATEWAY, NODE};
use crate::log::note;
use crate::shop::Weather;
use crate::stage::{Happening, Stage};
use dialer::CampaignState;
use std::fmt;
use switch::Input;

/// Kinds of trouble, as `--faults` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Gateway,
    Media,
    Recogniser,
    Database,
    Clock,
    Campaign,
    Operator,
}

impl Kind {
    pub const ALL: [Kind; 7] = [
        Kind::Gateway,
        Kind::Media,
        Kind::Recogniser,
        Kind::Database,
        Kind::Clock,
        Kind::Campaign,
        Kind::Operator,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Gateway => "gateway",
            Kind::Media => "media",
            Kind::Recogniser => "recogniser",
            Kind::Database => "database",
            Kind::Clock => "clock",
            Kind::Campaign => "campaign",
            Kind::Operator => "operator",
        }
    }

    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    GatewayLeaves,
    GatewayCutOff,
    GatewayRefuses(u16),
    SocketRefuses,
    SocketsFail,
    LegLost(u64),
    WorkerMute,
    Recogniser(Recogniser),
    DatabaseAway,
    DatabaseUnsure,
    /// Changes take so many milliseconds longer.
    DatabaseSlow(u64),
    /// What waits is answered only after so many milliseconds.
    AnswersLate(u64),
    /// The wall clock is set, by milliseconds.
    ClockSet(i64),
    Paused,
    Lines(u16),
    Banned,
    HangUp(u64),
    /// The nth lead's number comes onto the do-not-call list.
    Suppressed(u32),
    /// The service is told to stop, and does not come to an end by itself.
    Drained,
}

/// One of them, from when on and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    pub ms: u64,
    pub lasts: u64,
    pub what: What,
}

/// The process dies: so many milliseconds after the first attempt on a lead is asked for, and so many effects later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    pub lead: u32,
    pub after: u64,
    pub effects: u32,
}

impl Kill {
    pub(crate) fn draw(chance: &mut Chance, leads: u32) -> Kill {
        let after = match chance.below(4) {
            // While it begins, while it rings, while it talks.
            0 => chance.below(100),
            1 => chance.below(4000),
            _ => chance.below(45_000),
        };
        Kill {
            lead: chance.below(u64::from(leads)) as u32,
            after,
            effects: chance.below(6) as u32,
        }
    }
}

const HOUR: i64 = 3_600_000;

impl Trouble {
    /// One of a kind, within the first `span` milliseconds.
    pub(crate) fn draw(chance: &mut Chance, kind: Kind, span: u64, leads: u32) -> Trouble {
        let ms = 3000 + chance.below(span);
        let short = 500 + chance.below(8000);
        let long = 2000 + chance.below(40_000);
        let (what, lasts) = match kind {
            Kind::Gateway => match chance.below(5) {
                0 => (What::GatewayLeaves, long),
                1 => (What::GatewayCutOff, long),
                2 => (What::GatewayRefuses(503), long),
                3 => (What::GatewayRefuses(486), short),
                _ => (What::SocketRefuses, 0),
            },
            Kind::Media => match chance.below(4) {
                0 => (What::SocketsFail, short),
                1 | 2 => (What::LegLost(chance.below(1000)), 0),
                _ => (What::WorkerMute, short),
            },
            Kind::Recogniser => match chance.below(3) {
                0 => (What::Recogniser(Recogniser::Slow), long),
                1 => (What::Recogniser(Recogniser::Fails), long),
                _ => (What::Recogniser(Recogniser::Hangs), long),
            },
            Kind::Database => match chance.below(6) {
                0 => (What::DatabaseAway, short),
                1 => (What::DatabaseAway, 30_000),
                2 | 3 => (What::DatabaseUnsure, 10 + chance.below(3000)),
                4 => (What::DatabaseSlow(20 + chance.below(2000)), long),
                _ => (What::AnswersLate(1000 + chance.below(40_000)), 0),
            },
            Kind::Clock => {
                let by = match chance.below(6) {
                    0 | 1 => chance.below(1_200_000) as i64 - 600_000,
                    2 => HOUR,
                    3 => -HOUR,
                    // Over midnight, and over the end of the robots' hours.
                    4 => 14 * HOUR + chance.below(600_000) as i64,
                    _ => 10 * HOUR + chance.below(HOUR as u64) as i64,
                };
                (What::ClockSet(by), 0)
            }
            Kind::Campaign => match chance.below(4) {
                0 | 1 => (What::Paused, short),
                2 => (What::Lines(1 + chance.below(8) as u16), long),
                _ => (What::Banned, short),
            },
            Kind::Operator => match chance.below(5) {
                0 | 1 => (What::HangUp(chance.below(1000)), 0),
                2 | 3 => (What::Suppressed(chance.below(u64::from(leads)) as u32), 0),
                _ => (What::Drained, short),
            },
        };
        Trouble { ms, lasts, what }
    }
}

impl What {
    /// For counting.
    pub fn name(&self) -> &'static str {
        match self {
            What::GatewayLeaves => "gateway unregistered",
            What::GatewayCutOff => "gateway cut off",
            What::GatewayRefuses(_) => "gateway refuses all",
            What::SocketRefuses => "SIP socket refused",
            What::SocketsFail => "RTP sockets failed",
            What::LegLost(_) => "leg lost",
            What::WorkerMute => "media worker mute",
            What::Recogniser(Recogniser::Slow) => "recogniser slow",
            What::Recogniser(Recogniser::Fails) => "recogniser failed",
            What::Recogniser(_) => "recogniser hung",
            What::DatabaseAway => "database away",
            What::DatabaseUnsure => "commits unknown",
            What::DatabaseSlow(_) => "database slow",
            What::AnswersLate(_) => "answers late",
            What::ClockSet(_) => "clock set",
            What::Paused => "campaign paused",
            What::Lines(_) => "lines changed",
            What::Banned => "enterprise banned",
            What::HangUp(_) => "hung up by an operator",
            What::Suppressed(_) => "number suppressed",
            What::Drained => "service drained",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::GatewayRefuses(code) => write!(f, "the gateway refuses every call with {code}"),
            What::DatabaseAway => write!(f, "the database is away"),
            What::DatabaseUnsure => write!(f, "the database commits and says it did not"),
            What::DatabaseSlow(by) => write!(f, "the database takes {by} ms longer"),
            What::AnswersLate(by) => write!(f, "the database answers what waits {by} ms later"),
            What::ClockSet(by) => write!(f, "the wall clock is set by {} s", by / 1000),
            What::Lines(lines) => write!(f, "the campaign may use {lines} lines"),
            What::Suppressed(n) => write!(
                f,
                "{} comes onto the do-not-call list",
                house::mobile(*n as usize)
            ),
            other => f.write_str(other.name()),
        }
    }
}

impl Stage {
    pub(crate) fn expect(&mut self, trouble: Trouble) {
        let Trouble { ms, lasts, what } = trouble;
        let from = ms.saturating_sub(self.ms);
        self.after(from, Happening::Trouble(what.clone()));
        if lasts > 0 {
            self.after(from + lasts, Happening::Mends(what));
        }
    }

    pub(crate) fn befalls(&mut self, what: What) {
        note!(self, "TROUBLE: {what}");
        self.count(what.name());
        match what {
            What::GatewayLeaves => self.unregister(GATEWAY),
            What::GatewayCutOff => {
                // What was sent into the void, a BYE among it, is known to one side alone.
                self.lost_requests = true;
                self.peers[GATEWAY].cut_off = true;
            }
            What::GatewayRefuses(code) => self.peers[GATEWAY].refuses = Some(code),
            What::SocketRefuses => {
                let flow = sip::Flow::udp(NODE, self.peers[GATEWAY].address);
                self.tell(Input::TransportFailed(flow));
            }
            What::SocketsFail => self.worker.failing = 3,
            What::LegLost(nth) => {
                if let Some(leg) = self.worker.nth_open(nth) {
                    self.lose_leg(leg);
                }
            }
            What::WorkerMute => self.worker.mute = true,
            What::Recogniser(mood) => self.callees.recogniser = mood,
            What::DatabaseAway => self.shop.weather = Weather::Away,
            What::DatabaseUnsure => self.shop.weather = Weather::Unknown,
            What::DatabaseSlow(by) => self.shop.delay = (by / 2, by),
            What::AnswersLate(by) => self.shop.busy_until = self.shop.busy_until.max(self.ms + by),
            What::ClockSet(by) => self.wall_off += by,
            What::Paused => self.change_plans(|campaign| campaign.state = CampaignState::Paused),
            What::Lines(lines) => self.change_plans(|campaign| campaign.lines = lines),
            What::Banned => self.change_enterprise(true),
            What::HangUp(nth) => self.hang_up_nth(nth),
            What::Suppressed(n) => {
                self.shop
                    .suppress(&house::number(&house::mobile(n as usize)));
                self.learn();
            }
            What::Drained => self.tell(Input::Drain),
        }
    }

    pub(crate) fn mends(&mut self, what: What) {
        note!(self, "over: {what}");
        match what {
            What::GatewayLeaves if self.peers[GATEWAY].is_registered() => {}
            What::GatewayLeaves => self.register(GATEWAY, None),
            What::GatewayCutOff => self.peers[GATEWAY].cut_off = false,
            What::GatewayRefuses(_) => self.peers[GATEWAY].refuses = None,
            What::SocketsFail => self.worker.failing = 0,
            What::WorkerMute => self.worker.mute = false,
            What::Recogniser(_) => self.callees.recogniser = Recogniser::Fine,
            What::DatabaseAway | What::DatabaseUnsure => self.shop.weather = Weather::Fine,
            What::DatabaseSlow(_) => self.shop.delay = (2, 15),
            What::Paused | What::Lines(_) => self.change_plans(|_| {}),
            What::Banned => {
                self.change_enterprise(false);
                // Its registration went with the ban.
                self.unregister(GATEWAY);
                self.register(GATEWAY, None);
            }
            What::Drained => self.kill(),
            What::SocketRefuses
            | What::LegLost(_)
            | What::AnswersLate(_)
            | What::ClockSet(_)
            | What::HangUp(_)
            | What::Suppressed(_) => {}
        }
    }

    fn hang_up_nth(&mut self, nth: u64) {
        let tenant = house::tenant();
        let live = self.node.live_calls(tenant);
        if let Some(call) = live
            .get(nth as usize % live.len().max(1))
            .map(|call| call.id)
        {
            let actor = "ana".to_owned();
            self.tell(Input::HangUp {
                tenant,
                call,
                actor,
            });
        }
    }
}
