//! Do-not-call: one list of suppressed numbers per owner, fed by imports and by every way a callee can say stop.

use model::{CampaignId, E164, TenantId, Wall};
use serde::{Deserialize, Serialize};

/// Whose list it is. Wider before narrower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DncList {
    /// Binds every tenant, and people as well as robots.
    Platform,
    Tenant,
    Campaign,
}

impl DncList {
    pub fn name(self) -> &'static str {
        match self {
            DncList::Platform => "platform",
            DncList::Tenant => "tenant",
            DncList::Campaign => "campaign",
        }
    }
}

/// A row that names the number. One row per list at most matters; an expired one does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DncHit {
    pub list: DncList,
    /// The first moment it no longer binds; `None` is for good.
    pub until: Option<Wall>,
}

impl DncHit {
    pub fn binds(&self, now: Wall) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// How the number came onto the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptOutBy {
    Speech,
    Key,
    Sms,
    Agent,
    Import,
    Api,
}

/// An entry of a do-not-call list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    pub number: E164,
    pub list: DncList,
    /// Set on a tenant's and a campaign's list.
    pub tenant: Option<TenantId>,
    /// Set on a campaign's list.
    pub campaign: Option<CampaignId>,
    pub by: OptOutBy,
    pub since: Wall,
    pub until: Option<Wall>,
    /// Proof of source: a call, a file and row, who asked.
    pub note: String,
}

impl Suppression {
    pub fn hit(&self) -> DncHit {
        DncHit {
            list: self.list,
            until: self.until,
        }
    }
}
