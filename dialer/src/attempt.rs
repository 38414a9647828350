//! One dial of one lead.

use model::{
    CallId, CampaignId, Disposition, E164, LeadId, Money, TenantId, TrunkId, Unreached, Wall,
};
use serde::{Deserialize, Serialize};

/// What is committed, together with its reservation, before the INVITE leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Names the attempt and keys its charge.
    pub call: CallId,
    pub tenant: TenantId,
    pub campaign: CampaignId,
    pub lead: LeadId,
    pub number: E164,
    /// What the callee sees.
    pub caller: String,
    pub trunk: TrunkId,
    /// 1 for the lead's first.
    pub ordinal: u32,
    pub reserved: Money,
    pub began_at: Wall,
}

/// The most recent ended attempt on a number, by any of the tenant's campaigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAttempt {
    /// When it ended.
    pub at: Wall,
    pub disposition: Disposition,
}

impl LastAttempt {
    pub fn unreached(at: Wall, cause: Unreached) -> LastAttempt {
        LastAttempt {
            at,
            disposition: Disposition::Unreached(cause),
        }
    }
}
