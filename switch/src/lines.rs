//! Lines in use. Counted from the moment a call exists until its record is written, whoever makes it and whatever became of
//! its campaign meanwhile: a campaign that was paused, edited or started again has the calls it has.

use crate::call::Parties;
use model::*;
use std::collections::HashMap;
use std::hash::Hash;

#[derive(Debug, Default)]
pub(crate) struct LinesInUse {
    campaigns: HashMap<CampaignId, u32>,
    /// Robot calls only.
    tenants: HashMap<TenantId, u32>,
    trunks: HashMap<TrunkId, u32>,
    robots: u32,
}

impl LinesInUse {
    pub fn take(&mut self, tenant: TenantId, parties: &Parties) {
        if let Some(campaign) = parties.campaign {
            *self.campaigns.entry(campaign).or_default() += 1;
            *self.tenants.entry(tenant).or_default() += 1;
            self.robots += 1;
        }
        if let Some(trunk) = parties.trunk {
            *self.trunks.entry(trunk).or_default() += 1;
        }
    }

    pub fn give_back(&mut self, tenant: TenantId, parties: &Parties) {
        if let Some(campaign) = parties.campaign {
            less(&mut self.campaigns, campaign);
            less(&mut self.tenants, tenant);
            self.robots = self.robots.saturating_sub(1);
        }
        if let Some(trunk) = parties.trunk {
            less(&mut self.trunks, trunk);
        }
    }

    pub fn campaign(&self, id: CampaignId) -> u32 {
        self.campaigns.get(&id).copied().unwrap_or(0)
    }
    pub fn tenant(&self, id: TenantId) -> u32 {
        self.tenants.get(&id).copied().unwrap_or(0)
    }
    pub fn trunk(&self, id: TrunkId) -> u32 {
        self.trunks.get(&id).copied().unwrap_or(0)
    }
    pub fn robots(&self) -> u32 {
        self.robots
    }
    pub fn is_empty(&self) -> bool {
        self.campaigns.is_empty()
            && self.tenants.is_empty()
            && self.trunks.is_empty()
            && self.robots == 0
    }
}

fn less<K: Hash + Eq>(counts: &mut HashMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
