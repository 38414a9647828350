//! The one question before every outbound leg, whoever asks: may this number be dialled now?
//!
//! Rules are asked in the order of `Rule::ORDER`; the first that forbids is the answer. First what can never be right, then
//! what ends the lead, then what only time or money changes. Which rules bind depends on the purpose and on who dials:
//!
//! | rule | binds |
//! |---|---|
//! | `banned` | all |
//! | `emergency_number` | robots, always |
//! | `short_number`, `country`, `premium_prefix`, `caller_number`, `balance` | all but Internal |
//! | `do_not_call` | the platform's list: all but Internal; the tenant's and campaign's: Marketing, and robots |
//! | `empty_number`, `not_retried`, `attempts_exhausted`, `in_flight`, `retry_interval` | Marketing, and robots |
//! | `refused`, `frequency`, `holiday`, `calling_window`, `tenant_hours` | Marketing |
//! | `robot_hours` (and its holidays) | robots |
//!
//! Robot rows spare Internal. An emergency call is one to an emergency number (`may_dial_special`), never to a full number:
//! with that purpose a person's is judged as Service and a robot's as Marketing, so that the word opens no door.
//!
//! `next` is the first moment at which every rule that time alone can satisfy is satisfied, as far as is known now. It is
//! `None` where the answer is for good (`Rule::is_final`) and where something other than time must happen (`banned`,
//! `caller_number`, `balance`, `in_flight`).

use crate::attempt::LastAttempt;
use crate::calling_window::next_all_open;
use crate::policy::{AfterRefusal, By, Policy, Purpose};
use crate::special::{self, SpecialKind};
use crate::suppression::DncHit;
use model::{Calendar, Disposition, E164, Money, Unreached, Wall, number::Zone};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    Banned,
    EmergencyNumber,
    ShortNumber,
    Country,
    PremiumPrefix,
    CallerNumber,
    DoNotCall,
    EmptyNumber,
    NotRetried,
    AttemptsExhausted,
    Refused,
    InFlight,
    RetryInterval,
    Frequency,
    Holiday,
    CallingWindow,
    TenantHours,
    RobotHours,
    Balance,
}

impl Rule {
    pub const ORDER: [Rule; 19] = [
        Rule::Banned,
        Rule::EmergencyNumber,
        Rule::ShortNumber,
        Rule::Country,
        Rule::PremiumPrefix,
        Rule::CallerNumber,
        Rule::DoNotCall,
        Rule::EmptyNumber,
        Rule::NotRetried,
        Rule::AttemptsExhausted,
        Rule::Refused,
        Rule::InFlight,
        Rule::RetryInterval,
        Rule::Frequency,
        Rule::Holiday,
        Rule::CallingWindow,
        Rule::TenantHours,
        Rule::RobotHours,
        Rule::Balance,
    ];

    /// Stable; stored, served, counted.
    pub fn code(self) -> &'static str {
        match self {
            Rule::Banned => "banned",
            Rule::EmergencyNumber => "emergency_number",
            Rule::ShortNumber => "short_number",
            Rule::Country => "country",
            Rule::PremiumPrefix => "premium_prefix",
            Rule::CallerNumber => "caller_number",
            Rule::DoNotCall => "do_not_call",
            Rule::EmptyNumber => "empty_number",
            Rule::NotRetried => "not_retried",
            Rule::AttemptsExhausted => "attempts_exhausted",
            Rule::Refused => "refused",
            Rule::InFlight => "in_flight",
            Rule::RetryInterval => "retry_interval",
            Rule::Frequency => "frequency",
            Rule::Holiday => "holiday",
            Rule::CallingWindow => "calling_window",
            Rule::TenantHours => "tenant_hours",
            Rule::RobotHours => "robot_hours",
            Rule::Balance => "balance",
        }
    }
    pub fn from_code(code: &str) -> Option<Rule> {
        Rule::ORDER.into_iter().find(|rule| rule.code() == code)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "decision")]
pub enum Decision {
    Allow,
    Deny {
        rule: Rule,
        /// When to ask again; see the head of this module for `None`.
        next: Option<Wall>,
        /// One sentence for people. Names no number.
        detail: String,
    },
}

impl Decision {
    pub fn allows(&self) -> bool {
        *self == Decision::Allow
    }
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Decision::Allow => None,
            Decision::Deny { rule, .. } => Some(*rule),
        }
    }
}

/// What is known of a number when the gate is asked: one query per claimed batch. The default knows nothing and owns nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When the tenant's latest attempts on the number began, newest first (`Policy::recent_needed` says how many).
    /// `History::recent` sorts.
    pub recent: Vec<Wall>,
    /// The latest ended attempt of the tenant on the number.
    pub last: Option<LastAttempt>,
    /// Attempts on the number in this run of the campaign, duplicate rows included.
    pub attempts: u32,
    pub unreached_in_a_row: u32,
    /// The latest refusal.
    pub refused_at: Option<Wall>,
    /// Rows of the do-not-call lists that name the number: platform, tenant, this campaign.
    pub dnc: Vec<DncHit>,
    /// Another attempt on the number is live.
    pub in_flight: bool,
    /// Available, not counting what is reserved.
    pub balance: Money,
}

impl History {
    /// Sets the recent attempt times from any order.
    pub fn with_recent(mut self, mut recent: Vec<Wall>) -> History {
        recent.sort_unstable_by(|a, b| b.cmp(a));
        self.recent = recent;
        self
    }
}

/// How a rule forbids.
enum Block {
    Forever,
    /// Until something other than time happens.
    Meanwhile,
    Until(Wall),
    /// A calendar is closed; when it opens is asked of all of them together.
    Closed,
}

struct Question<'a> {
    now: Wall,
    number: &'a E164,
    policy: &'a Policy,
    history: &'a History,
    callee_zone: Zone,
}

/// Asks every rule that binds. Pure; allocates nothing when it allows.
pub fn may_dial(now: Wall, number: &E164, policy: &Policy, history: &History) -> Decision {
    let callee_zone = number.zone().unwrap_or(policy.zone);
    let question = Question {
        now,
        number,
        policy,
        history,
        callee_zone,
    };
    let first = Rule::ORDER
        .into_iter()
        .find_map(|rule| Some((rule, question.block(rule)?)));
    match first {
        None => Decision::Allow,
        Some((rule, block)) => Decision::Deny {
            rule,
            next: question.next(rule, &block),
            detail: question.detail(rule),
        },
    }
}

/// The gate for what has no full number: `Called::Emergency` and `Called::Short`. A person's emergency call is never
/// refused; a robot's always; short numbers are for people whose tenant lists them.
pub fn may_dial_special(
    kind: SpecialKind,
    digits: &str,
    policy: &Policy,
    history: &History,
) -> Decision {
    let deny = |rule: Rule, detail: &str| Decision::Deny {
        rule,
        next: None,
        detail: detail.to_owned(),
    };
    match (kind, policy.by) {
        (SpecialKind::Emergency, By::Person) => Decision::Allow,
        (SpecialKind::Emergency, By::Robot) => {
            deny(Rule::EmergencyNumber, "robots never dial emergency numbers")
        }
        (SpecialKind::Short, _) if policy.banned => deny(Rule::Banned, "the enterprise is banned"),
        (SpecialKind::Short, By::Robot) => {
            deny(Rule::ShortNumber, "robots never dial short numbers")
        }
        (SpecialKind::Short, By::Person) if !policy.short_numbers.iter().any(|s| s == digits) => {
            deny(
                Rule::ShortNumber,
                "this short number is not on the enterprise's list",
            )
        }
        (SpecialKind::Short, By::Person) if !policy.caller_approved => {
            deny(Rule::CallerNumber, "the caller number is not approved")
        }
        (SpecialKind::Short, By::Person) if history.balance < policy.first_charge => deny(
            Rule::Balance,
            "the balance does not cover the first interval",
        ),
        (SpecialKind::Short, By::Person) => Decision::Allow,
    }
}

impl Rule {
    /// Whether the answer ends the lead: no waiting, recharging or approving changes it.
    /// (`do_not_call` and `refused` end it when they carry no `next`.)
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Rule::EmergencyNumber
                | Rule::ShortNumber
                | Rule::Country
                | Rule::PremiumPrefix
                | Rule::DoNotCall
                | Rule::EmptyNumber
                | Rule::NotRetried
                | Rule::AttemptsExhausted
                | Rule::Refused
        )
    }
}

impl Question<'_> {
    fn robot(&self) -> bool {
        self.policy.by == By::Robot
    }

    /// Costs money or leaves by a trunk.
    fn outside(&self) -> bool {
        self.policy.purpose != Purpose::Internal
    }

    /// The callee's quiet is protected.
    fn marketing(&self) -> bool {
        match self.policy.purpose {
            Purpose::Marketing => true,
            Purpose::Emergency => self.robot(),
            _ => false,
        }
    }

    fn planned(&self) -> bool {
        self.marketing() || (self.robot() && self.outside())
    }

    fn block(&self, rule: Rule) -> Option<Block> {
        let policy = self.policy;
        let history = self.history;
        let digits = self.number.digits();
        match rule {
            Rule::Banned => policy.banned.then_some(Block::Meanwhile),
            Rule::EmergencyNumber => (self.robot()
                && special::kind(self.number) == Some(SpecialKind::Emergency))
            .then_some(Block::Forever),
            Rule::ShortNumber => {
                let national = digits.strip_prefix(policy.country.as_str());
                let listed = || {
                    !self.robot()
                        && national.is_some_and(|n| policy.short_numbers.iter().any(|s| s == n))
                };
                (self.outside() && special::kind(self.number).is_some() && !listed())
                    .then_some(Block::Forever)
            }
            Rule::Country => {
                (self.outside() && !listed(&policy.countries, digits)).then_some(Block::Forever)
            }
            Rule::PremiumPrefix => {
                (self.outside() && listed(&policy.premium, digits)).then_some(Block::Forever)
            }
            Rule::CallerNumber => {
                (self.outside() && !policy.caller_approved).then_some(Block::Meanwhile)
            }
            Rule::DoNotCall => {
                let binding = self.dnc();
                // None forever, else the latest end.
                binding.map(|until| until.map_or(Block::Forever, Block::Until))
            }
            Rule::EmptyNumber => (self.planned()
                && self.last_cause() == Some(Unreached::EmptyNumber))
            .then_some(Block::Forever),
            Rule::NotRetried => {
                let cause = self.last_cause().filter(|_| self.planned())?;
                policy
                    .retry?
                    .interval(cause)
                    .is_none()
                    .then_some(Block::Forever)
            }
            Rule::AttemptsExhausted => (self.planned()
                && policy
                    .max_attempts
                    .is_some_and(|most| history.attempts >= most))
            .then_some(Block::Forever),
            Rule::Refused => {
                let refused_at = history.refused_at.filter(|_| self.marketing())?;
                match policy.after_refusal {
                    AfterRefusal::Never => Some(Block::Forever),
                    AfterRefusal::Wait { rest } => self.until(refused_at + rest),
                    AfterRefusal::Ignore => None,
                }
            }
            Rule::InFlight => (self.planned() && history.in_flight).then_some(Block::Meanwhile),
            Rule::RetryInterval => {
                let wait = self.retry_wait()?;
                self.until(history.last?.at + wait)
            }
            Rule::Frequency => {
                if !self.marketing() {
                    return None;
                }
                let blocks = policy.frequency.iter().filter_map(|cap| {
                    // The cap's oldest call that still counts leaves the window first.
                    match (cap.calls as usize).checked_sub(1) {
                        None => Some(Block::Forever),
                        Some(nth) => self.until(*history.recent.get(nth)? + cap.within),
                    }
                });
                blocks.reduce(later)
            }
            Rule::Holiday => {
                let closed = |(calendar, zone): (&Calendar, Zone)| {
                    !calendar.holidays.is_empty()
                        && calendar.holiday(self.now, zone)
                        && !calendar.open(self.now, zone)
                };
                self.windows()
                    .into_iter()
                    .flatten()
                    .any(closed)
                    .then_some(Block::Closed)
            }
            Rule::CallingWindow => self.closed(0),
            Rule::TenantHours => self.closed(1),
            Rule::RobotHours => self.closed(2),
            Rule::Balance => (self.outside() && history.balance < policy.first_charge)
                .then_some(Block::Meanwhile),
        }
    }

    /// Calling window, tenant hours, robot hours: those that bind.
    fn windows(&self) -> [Option<(&Calendar, Zone)>; 3] {
        let policy = self.policy;
        let marketing = self.marketing();
        [
            marketing.then_some((&policy.calling_window, self.callee_zone)),
            marketing.then_some((&policy.tenant_hours, policy.zone)),
            (self.robot() && self.outside()).then_some((&policy.robot_hours, policy.robot_zone)),
        ]
    }

    fn closed(&self, which: usize) -> Option<Block> {
        let (calendar, zone) = self.windows()[which]?;
        (!calendar.open(self.now, zone)).then_some(Block::Closed)
    }

    fn until(&self, moment: Wall) -> Option<Block> {
        (self.now < moment).then_some(Block::Until(moment))
    }

    /// Some when a list binds; inside, when the last of them ends.
    fn dnc(&self) -> Option<Option<Wall>> {
        use crate::suppression::DncList;
        let binding = self.history.dnc.iter().filter(|hit| {
            hit.binds(self.now)
                && match hit.list {
                    DncList::Platform => self.outside(),
                    DncList::Tenant | DncList::Campaign => self.planned(),
                }
        });
        binding.map(|hit| hit.until).reduce(|a, b| Some(a?.max(b?)))
    }

    fn last_cause(&self) -> Option<Unreached> {
        match self.history.last?.disposition {
            Disposition::Unreached(cause) => Some(cause),
            // Our own faults are retried like the network's.
            Disposition::Cancelled | Disposition::Interrupted => Some(Unreached::Network),
            Disposition::Answered | Disposition::Refused => None,
        }
    }

    fn retry_wait(&self) -> Option<Duration> {
        let cause = self.last_cause().filter(|_| self.planned())?;
        self.policy.retry?.interval(cause)
    }

    /// When every rule that time satisfies is satisfied.
    #[cold]
    fn next(&self, rule: Rule, block: &Block) -> Option<Wall> {
        if matches!(block, Block::Meanwhile) {
            return None;
        }
        let mut moment = self.now;
        for other in Rule::ORDER {
            match self.block(other) {
                Some(Block::Forever) => return None,
                Some(Block::Until(until)) => moment = moment.max(until),
                Some(Block::Meanwhile | Block::Closed) | None => {}
            }
        }
        debug_assert!(!matches!(block, Block::Forever), "{rule:?}");
        let open: Vec<_> = self.windows().into_iter().flatten().collect();
        next_all_open(moment, &open)
    }

    #[cold]
    fn detail(&self, rule: Rule) -> String {
        let policy = self.policy;
        let history = self.history;
        let callee_clock = || clock(self.now, self.callee_zone);
        match rule {
            Rule::Banned => "the enterprise is banned".into(),
            Rule::EmergencyNumber => "robots never dial emergency numbers".into(),
            Rule::ShortNumber if self.robot() => "robots never dial short numbers".into(),
            Rule::ShortNumber => {
                "this is no subscriber's number, and not on the enterprise's list of short numbers"
                    .into()
            }
            Rule::Country => "the number's country is not on the enterprise's list".into(),
            Rule::PremiumPrefix => "the number has a premium or satellite prefix".into(),
            Rule::CallerNumber => "the caller number is not approved".into(),
            Rule::DoNotCall => self.dnc_detail(),
            Rule::EmptyNumber => "the number does not exist; it is never dialled again".into(),
            Rule::NotRetried => match self.last_cause() {
                Some(cause) => format!(
                    "the last attempt ended with {}, which is not retried",
                    cause_name(cause)
                ),
                None => "the last attempt is not retried".into(),
            },
            Rule::AttemptsExhausted => format!(
                "{} of {} attempts are made",
                history.attempts,
                policy.max_attempts.unwrap_or_default()
            ),
            Rule::Refused => match (history.refused_at, policy.after_refusal) {
                (Some(at), AfterRefusal::Wait { rest }) => format!(
                    "the callee refused on {} and is left alone for {}",
                    clock(at, self.callee_zone),
                    span(rest)
                ),
                _ => "the callee refused".into(),
            },
            Rule::InFlight => "another call to this number is under way".into(),
            Rule::RetryInterval => format!(
                "the last attempt ended with {} on {}; the next waits {}",
                self.last_cause().map_or("a fault", cause_name),
                history
                    .last
                    .map(|last| clock(last.at, policy.zone))
                    .unwrap_or_default(),
                self.retry_wait().map(span).unwrap_or_default(),
            ),
            Rule::Frequency => {
                let full =
                    policy
                        .frequency
                        .iter()
                        .find(|cap| match (cap.calls as usize).checked_sub(1) {
                            None => true,
                            Some(nth) => history
                                .recent
                                .get(nth)
                                .is_some_and(|at| self.now < *at + cap.within),
                        });
                match full {
                    Some(cap) => format!(
                        "the number was called {} within {}, the most allowed",
                        times(cap.calls),
                        span(cap.within)
                    ),
                    None => "the number was called too often".into(),
                }
            }
            Rule::Holiday => format!("it is a holiday ({} where the callee is)", callee_clock()),
            Rule::CallingWindow => format!(
                "it is {} where the callee is, outside the calling window",
                callee_clock()
            ),
            Rule::TenantHours => format!(
                "it is {}, outside the enterprise's hours",
                clock(self.now, policy.zone)
            ),
            Rule::RobotHours => format!(
                "it is {}, outside the robot hours",
                clock(self.now, policy.robot_zone)
            ),
            Rule::Balance => format!(
                "the balance of {} does not cover the first interval of {}",
                history.balance, policy.first_charge
            ),
        }
    }

    fn dnc_detail(&self) -> String {
        let mut lists: Vec<_> = self
            .history
            .dnc
            .iter()
            .filter(|hit| hit.binds(self.now))
            .collect();
        lists.sort_by_key(|hit| hit.list);
        let names: Vec<_> = lists.iter().map(|hit| hit.list.name()).collect();
        let until = match self.dnc() {
            Some(Some(until)) => format!(" until {}", clock(until, self.policy.zone)),
            _ => String::new(),
        };
        format!(
            "the number is on the do-not-call list of the {}{until}",
            names.join(" and the ")
        )
    }
}

fn listed(prefixes: &[String], digits: &str) -> bool {
    prefixes
        .iter()
        .any(|prefix| digits.starts_with(prefix.as_str()))
}

fn later(a: Block, b: Block) -> Block {
    match (a, b) {
        (Block::Until(a), Block::Until(b)) => Block::Until(a.max(b)),
        (Block::Until(_), other) | (other, _) => other,
    }
}

fn clock(at: Wall, zone: Zone) -> String {
    at.utc()
        .with_timezone(&zone)
        .format("%Y-%m-%d %H:%M %Z")
        .to_string()
}

fn times(n: u32) -> String {
    match n {
        1 => "once".into(),
        2 => "twice".into(),
        n => format!("{n} times"),
    }
}

fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let (n, unit) = match seconds {
        s if s >= 86_400 && s % 86_400 == 0 => (s / 86_400, "day"),
        s if s >= 3600 && s % 3600 == 0 => (s / 3600, "hour"),
        s if s >= 60 && s % 60 == 0 => (s / 60, "minute"),
        s => (s, "second"),
    };
    format!("{n} {unit}{}", if n == 1 { "" } else { "s" })
}

fn cause_name(cause: Unreached) -> &'static str {
    match cause {
        Unreached::Busy => "busy",
        Unreached::Rejected => "a rejection",
        Unreached::NoAnswer => "no answer",
        Unreached::EmptyNumber => "an empty number",
        Unreached::SwitchedOff => "a phone switched off",
        Unreached::Machine => "a machine",
        Unreached::CallAssistant => "a call assistant",
        Unreached::Fax => "a fax",
        Unreached::Network => "a network fault",
    }
}
