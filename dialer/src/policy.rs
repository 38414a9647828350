//! The rules the gate asks under: the tenant's, narrowed by a campaign's.

use crate::calling_window::next_all_open;
use crate::campaign::{Campaign, RetryRules};
use crate::special;
use model::time::seconds;
use model::{Calendar, Money, Wall, number::Zone};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What an outbound leg is for. It decides which rules bind; the table is at `gate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// We want something of the callee.
    Marketing,
    /// The callee's own business with the tenant, or a person's own call.
    #[default]
    Service,
    /// An inbound call going on to a number outside.
    Forward,
    /// Speaking a code to a number somebody says is theirs.
    Verification,
    /// To a device of the tenant; costs nothing and leaves by no trunk.
    Internal,
    Emergency,
}

impl Purpose {
    pub const ALL: [Purpose; 6] = [
        Purpose::Marketing,
        Purpose::Service,
        Purpose::Forward,
        Purpose::Verification,
        Purpose::Internal,
        Purpose::Emergency,
    ];
}

/// Who dials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    Robot,
    #[default]
    Person,
}

/// At most so many calls to one number within a time that slides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrequencyCap {
    pub calls: u32,
    #[serde(rename = "within_seconds", with = "seconds")]
    pub within: Duration,
}

/// After a callee refused (grade D by refusal) or asked to be left alone without being put on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum AfterRefusal {
    Never,
    Wait {
        #[serde(rename = "seconds", with = "seconds")]
        rest: Duration,
    },
    /// Refusals suppress nothing.
    Ignore,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    pub purpose: Purpose,
    pub by: By,
    /// Nothing of a banned tenant dials.
    pub banned: bool,
    /// Calling code of the tenant's own country, `86`.
    pub country: String,
    /// The tenant's; also a callee's whose number tells none.
    pub zone: Zone,
    /// In `zone`.
    pub tenant_hours: Calendar,
    /// On the callee's own clock.
    pub calling_window: Calendar,
    /// In `robot_zone`.
    pub robot_hours: Calendar,
    pub robot_zone: Zone,
    pub frequency: Vec<FrequencyCap>,
    pub after_refusal: AfterRefusal,
    /// Attempts on one number in the campaign; `None` outside of one.
    pub max_attempts: Option<u32>,
    /// `None` outside of a campaign.
    pub retry: Option<RetryRules>,
    /// Prefixes (digits, country code first) that may be dialled at all; `""` is any. None listed: none may.
    pub countries: Vec<String>,
    /// Prefixes (digits, country code first) that may not, whatever the countries.
    pub premium: Vec<String>,
    /// Short numbers people may dial (`10086`); robots dial none.
    pub short_numbers: Vec<String>,
    /// The caller number is approved, or the trunk shows its own.
    pub caller_approved: bool,
    /// What the first interval costs: less than that in the balance and there is no call.
    pub first_charge: Money,
}

impl Default for Policy {
    /// A mainland tenant's person dialling: no campaign, no approved number yet.
    fn default() -> Policy {
        Policy {
            purpose: Purpose::Service,
            by: By::Person,
            banned: false,
            country: "86".to_owned(),
            zone: Zone::Asia__Shanghai,
            tenant_hours: Calendar::always(),
            calling_window: Calendar::daily(9 * 60, 21 * 60),
            robot_hours: Calendar::always(),
            robot_zone: Zone::Asia__Shanghai,
            frequency: vec![FrequencyCap {
                calls: 3,
                within: Duration::from_secs(24 * 3600),
            }],
            after_refusal: AfterRefusal::Wait {
                rest: Duration::from_secs(30 * 24 * 3600),
            },
            max_attempts: None,
            retry: None,
            countries: vec!["86".to_owned()],
            premium: special::PREMIUM
                .iter()
                .map(|prefix| (*prefix).to_owned())
                .collect(),
            short_numbers: Vec::new(),
            caller_approved: false,
            first_charge: Money::ZERO,
        }
    }
}

impl Policy {
    /// The tenant's rules with a campaign's own. Made when either changes, not per call.
    pub fn for_campaign(
        &self,
        campaign: &Campaign,
        caller_approved: bool,
        first_charge: Money,
    ) -> Policy {
        Policy {
            purpose: Purpose::Marketing,
            by: By::Robot,
            robot_hours: campaign.robot_hours.clone(),
            robot_zone: campaign.zone,
            calling_window: campaign.calling_window.clone(),
            max_attempts: Some(campaign.max_attempts),
            retry: Some(campaign.retry),
            caller_approved,
            first_charge,
            ..self.clone()
        }
    }

    /// The tenant's rules for a person's leg.
    pub fn for_person(
        &self,
        purpose: Purpose,
        caller_approved: bool,
        first_charge: Money,
    ) -> Policy {
        Policy {
            purpose,
            by: By::Person,
            caller_approved,
            first_charge,
            ..self.clone()
        }
    }

    /// When the campaign's robots may next work at all, whoever the callee: no lead need be claimed before. `None`: not within
    /// 400 days.
    pub fn robots_open(&self, now: Wall) -> Option<Wall> {
        let robots = (&self.robot_hours, self.robot_zone);
        match self.purpose {
            Purpose::Marketing => next_all_open(now, &[(&self.tenant_hours, self.zone), robots]),
            _ => next_all_open(now, &[robots]),
        }
    }

    /// How many recent attempt times `History::recent` must hold, and how far back they matter.
    pub fn recent_needed(&self, now: Wall) -> (usize, Wall) {
        let calls = self
            .frequency
            .iter()
            .map(|cap| cap.calls as usize)
            .max()
            .unwrap_or(0);
        let within = self
            .frequency
            .iter()
            .map(|cap| cap.within)
            .max()
            .unwrap_or_default();
        (calls, now - within)
    }
}
