//! The plan of a campaign: what to say, from which number, when, how often.

use model::time::seconds;
use model::{
    Calendar, CallerNumberId, CampaignId, TemplateId, TenantId, TrunkId, Unreached, number::Zone,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignState {
    #[default]
    Draft,
    Running,
    Paused,
    Finished,
}

impl CampaignState {
    pub const ALL: [CampaignState; 4] = [
        CampaignState::Draft,
        CampaignState::Running,
        CampaignState::Paused,
        CampaignState::Finished,
    ];

    /// Stable; stored and served.
    pub fn code(self) -> &'static str {
        match self {
            CampaignState::Draft => "draft",
            CampaignState::Running => "running",
            CampaignState::Paused => "paused",
            CampaignState::Finished => "finished",
        }
    }
    pub fn from_code(code: &str) -> Option<CampaignState> {
        CampaignState::ALL
            .into_iter()
            .find(|state| state.code() == code)
    }
    /// A finished campaign may run again when leads are added.
    pub fn may_become(self, next: CampaignState) -> bool {
        use CampaignState::*;
        matches!(
            (self, next),
            (Draft, Running)
                | (Running, Paused | Finished)
                | (Paused, Running | Finished)
                | (Finished, Running)
        )
    }
}

/// Who paces it. Modes with agents come beside this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mode {
    /// A robot takes every answer: lines are the only limit.
    #[default]
    Robot,
}

/// How long to wait after an attempt that reached nobody, by why. `None` is never again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryRules {
    #[serde(rename = "busy_seconds", with = "seconds::option")]
    pub busy: Option<Duration>,
    #[serde(rename = "rejected_seconds", with = "seconds::option")]
    pub rejected: Option<Duration>,
    #[serde(rename = "no_answer_seconds", with = "seconds::option")]
    pub no_answer: Option<Duration>,
    #[serde(rename = "switched_off_seconds", with = "seconds::option")]
    pub switched_off: Option<Duration>,
    /// Machine or call assistant (智能接听).
    #[serde(rename = "machine_seconds", with = "seconds::option")]
    pub machine: Option<Duration>,
    #[serde(rename = "fax_seconds", with = "seconds::option")]
    pub fax: Option<Duration>,
    /// Network or gateway fault, cancelled or interrupted by us.
    #[serde(rename = "network_seconds", with = "seconds::option")]
    pub network: Option<Duration>,
}

const fn minutes(n: u64) -> Option<Duration> {
    Some(Duration::from_secs(n * 60))
}

impl Default for RetryRules {
    fn default() -> RetryRules {
        RetryRules {
            busy: minutes(15),
            rejected: minutes(24 * 60),
            no_answer: minutes(2 * 60),
            switched_off: minutes(4 * 60),
            machine: minutes(4 * 60),
            fax: None,
            network: minutes(10),
        }
    }
}

impl RetryRules {
    /// The same wait for every cause that is retried by default.
    pub fn every(interval: Duration) -> RetryRules {
        let wait = Some(interval);
        RetryRules {
            busy: wait,
            rejected: wait,
            no_answer: wait,
            switched_off: wait,
            machine: wait,
            fax: None,
            network: wait,
        }
    }

    /// An empty number (空号) has no setting: it is never dialled again (product §5.1).
    pub fn interval(&self, cause: Unreached) -> Option<Duration> {
        match cause {
            Unreached::Busy => self.busy,
            Unreached::Rejected => self.rejected,
            Unreached::NoAnswer => self.no_answer,
            Unreached::EmptyNumber => None,
            Unreached::SwitchedOff => self.switched_off,
            Unreached::Machine | Unreached::CallAssistant => self.machine,
            Unreached::Fax => self.fax,
            Unreached::Network => self.network,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    pub id: CampaignId,
    pub tenant: TenantId,
    pub name: String,
    pub state: CampaignState,
    pub mode: Mode,
    pub template: TemplateId,
    pub caller: CallerNumberId,
    pub trunk: TrunkId,
    /// Robot calls at once.
    pub lines: u16,
    /// 启动时间, in `zone`.
    pub robot_hours: Calendar,
    /// When people may be called, on the callee's own clock.
    pub calling_window: Calendar,
    /// Of the robot hours. (A callee whose number tells no zone is judged in the tenant's, `Policy::zone`.)
    pub zone: Zone,
    /// Attempts on one number in this campaign, the first included.
    pub max_attempts: u32,
    pub retry: RetryRules,
    /// Attempts in a row that reached nobody until the grade is F.
    pub unconnected: u32,
    /// At least 15 s.
    #[serde(rename = "ring_timeout_seconds", with = "seconds")]
    pub ring_timeout: Duration,
    /// From answer to the end, whatever the balance.
    #[serde(rename = "max_duration_seconds", with = "seconds")]
    pub max_duration: Duration,
}

pub const RING_AT_LEAST: Duration = Duration::from_secs(15);

/// Why a campaign cannot run as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CampaignError {
    #[error("a campaign needs a name")]
    NoName,
    #[error("a campaign needs at least one line")]
    NoLines,
    #[error("a campaign needs at least one attempt per number")]
    NoAttempts,
    #[error("grade F needs at least one unconnected attempt")]
    NoUnconnected,
    #[error("a callee is given at least 15 seconds to answer, and at most 180")]
    RingTimeout,
    #[error("a call may last between 10 seconds and 4 hours")]
    MaxDuration,
    #[error("the robot hours have a span that is empty or outside the day")]
    RobotHours,
    #[error("the calling window has a span that is empty or outside the day")]
    CallingWindow,
    #[error("there is no robot hour at all")]
    NeverOpen,
    #[error("retries wait at least a second")]
    RetryTooSoon,
}

impl Campaign {
    /// A draft with the defaults: one line, hours and window 9 to 21, three attempts, 30 s of ringing, 10 minutes of talk.
    pub fn draft(
        id: CampaignId,
        tenant: TenantId,
        name: impl Into<String>,
        template: TemplateId,
        caller: CallerNumberId,
        trunk: TrunkId,
        zone: Zone,
    ) -> Campaign {
        Campaign {
            id,
            tenant,
            name: name.into(),
            state: CampaignState::Draft,
            mode: Mode::Robot,
            template,
            caller,
            trunk,
            lines: 1,
            robot_hours: Calendar::daily(9 * 60, 21 * 60),
            calling_window: Calendar::daily(9 * 60, 21 * 60),
            zone,
            max_attempts: 3,
            retry: RetryRules::default(),
            unconnected: 3,
            ring_timeout: Duration::from_secs(30),
            max_duration: Duration::from_secs(600),
        }
    }

    /// Checked when it is created, changed and started.
    pub fn check(&self) -> Result<(), CampaignError> {
        let within = |value: Duration, least: u64, most: u64| {
            (Duration::from_secs(least)..=Duration::from_secs(most)).contains(&value)
        };
        let retry = &self.retry;
        let waits = [
            retry.busy,
            retry.rejected,
            retry.no_answer,
            retry.switched_off,
            retry.machine,
            retry.fax,
            retry.network,
        ];
        let checks = [
            (!self.name.trim().is_empty(), CampaignError::NoName),
            (self.lines > 0, CampaignError::NoLines),
            (self.max_attempts > 0, CampaignError::NoAttempts),
            (self.unconnected > 0, CampaignError::NoUnconnected),
            (
                within(self.ring_timeout, 15, 180),
                CampaignError::RingTimeout,
            ),
            (
                within(self.max_duration, 10, 4 * 3600),
                CampaignError::MaxDuration,
            ),
            (self.robot_hours.valid(), CampaignError::RobotHours),
            (self.calling_window.valid(), CampaignError::CallingWindow),
            (
                !self.robot_hours.spans.is_empty() && !self.calling_window.spans.is_empty(),
                CampaignError::NeverOpen,
            ),
            (
                waits
                    .into_iter()
                    .flatten()
                    .all(|wait| wait >= Duration::from_secs(1)),
                CampaignError::RetryTooSoon,
            ),
        ];
        checks
            .into_iter()
            .find(|(holds, _)| !holds)
            .map_or(Ok(()), |(_, error)| Err(error))
    }
}
