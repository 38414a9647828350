//! Running campaigns: how many lines are free, which leads to claim for them, what the gate says of each.

use crate::app::robot::Robot;
use crate::call::{Call, Core, Parties};
use crate::effect::{Begin, CampaignPlan, Candidate, Denied, Effect, Persist, Reserve};
use crate::route;
use crate::world::World;
use dialer::pacing::{InUse, Lines, StartRate, free_lines};
use dialer::{Called, CampaignState, Decision, Policy, outcome};
use model::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How often an idle campaign looks for leads nobody told it about.
const IDLE: Duration = Duration::from_secs(5);
/// How long the store has to answer a claim.
const CLAIMING: Duration = Duration::from_secs(30);

struct Running {
    plan: Arc<CampaignPlan>,
    /// The gate's rules for it; made again when plan or directory change.
    policy: Option<Arc<Policy>>,
    in_flight: u32,
    /// Leads asked for and not yet here, and until when they are waited for.
    claiming: Option<(u16, Mono)>,
    next_look: Mono,
    /// The last lead ended and there was none left; said once.
    drained: bool,
}

#[derive(Default)]
pub(crate) struct Campaigns {
    /// Ordered, so that the same seed gives the same log.
    running: BTreeMap<CampaignId, Running>,
    rates: HashMap<TrunkId, StartRate>,
    /// Something changed that may free a line or bring a lead.
    woken: bool,
}

impl Campaigns {
    /// A campaign was started, edited, paused or finished.
    pub fn put(&mut self, world: &mut World, plan: Arc<CampaignPlan>) {
        let id = plan.campaign.id;
        let tenant = plan.tenant;
        let data = json!({ "campaign": id, "name": plan.campaign.name });
        if plan.campaign.state != CampaignState::Running {
            // Calls that are up keep their plan and go on; no new ones begin.
            if self.running.remove(&id).is_some() {
                let kind = match plan.campaign.state {
                    CampaignState::Finished => "campaign.finished",
                    _ => "campaign.paused",
                };
                world.notify(tenant, kind, data);
            }
            return;
        }
        match self.running.get_mut(&id) {
            Some(running) => {
                running.plan = plan;
                running.policy = None;
                running.drained = false;
                running.next_look = world.now.mono;
            }
            None => {
                world.notify(tenant, "campaign.started", data);
                let next_look = world.now.mono;
                let running = Running {
                    plan,
                    policy: None,
                    in_flight: 0,
                    claiming: None,
                    next_look,
                    drained: false,
                };
                self.running.insert(id, running);
            }
        }
        self.woken = true;
    }

    /// Directory or registrations changed.
    pub fn wake(&mut self) {
        for running in self.running.values_mut() {
            running.policy = None;
        }
        self.woken = true;
    }

    pub fn next_deadline(&self) -> Option<Mono> {
        self.running
            .values()
            .map(|running| match running.claiming {
                Some((_, until)) => until,
                None => running.next_look,
            })
            .min()
    }

    /// Claims leads for free lines.
    pub fn run(&mut self, world: &mut World, draining: bool) {
        let now = world.now.mono;
        let woken = std::mem::take(&mut self.woken);
        if draining || (!woken && self.next_deadline().is_none_or(|at| at > now)) {
            return;
        }
        let ids: Vec<CampaignId> = self.running.keys().copied().collect();
        for id in ids {
            let free = self.free(world, id);
            let Some(running) = self.running.get_mut(&id) else {
                continue;
            };
            match running.claiming {
                Some((_, until)) if now < until => continue,
                // The answer is lost; the store gives the claims back by itself.
                Some(_) => running.claiming = None,
                None => {}
            }
            if !woken && now < running.next_look {
                continue;
            }
            running.next_look = now + IDLE;
            if free > 0 {
                running.claiming = Some((free, now + CLAIMING));
                let tenant = running.plan.tenant;
                world.effects.push(Effect::Claim {
                    tenant,
                    campaign: id,
                    at_most: free,
                });
            }
        }
    }

    fn free(&mut self, world: &World, id: CampaignId) -> u16 {
        let Some(running) = self.running.get(&id) else {
            return 0;
        };
        let plan = &running.plan;
        let Some(tenant) = world.directory.tenant(plan.tenant) else {
            return 0;
        };
        let Some(trunk) = tenant.trunk(plan.campaign.trunk) else {
            return 0;
        };
        if tenant.banned
            || world
                .sip
                .bindings(&trunk.account.aor, world.now)
                .next()
                .is_none()
        {
            return 0;
        }
        let claimed = |running: &Running| {
            running.in_flight + running.claiming.map_or(0, |(n, _)| u32::from(n))
        };
        let sum = |matches: &dyn Fn(&CampaignPlan) -> bool| -> u32 {
            self.running
                .values()
                .filter(|other| matches(&other.plan))
                .map(claimed)
                .sum()
        };
        let in_use = InUse {
            campaign: claimed(running),
            tenant: sum(&|other| other.tenant == plan.tenant),
            trunk: sum(&|other| other.campaign.trunk == trunk.id),
            robots: sum(&|_| true),
        };
        let rate = self
            .rates
            .entry(trunk.id)
            .or_insert_with(|| StartRate::new(0));
        rate.set(trunk.calls_per_second);
        let lines = Lines {
            campaign: u32::from(plan.campaign.lines),
            tenant: Some(tenant.robot_lines),
            trunk: Some(trunk.max_calls),
            starts: rate.allowed(world.now.mono),
            recognition: None,
        };
        free_lines(&lines, &in_use).lines
    }

    /// Leads have come: the gate judges each, and those it allows begin.
    pub fn claimed(
        &mut self,
        world: &mut World,
        campaign: CampaignId,
        leads: Vec<Candidate>,
        next_due: Option<Wall>,
        draining: bool,
        next_worker: &mut u16,
    ) -> Vec<Call> {
        let now = world.now;
        let Some(running) = self.running.get_mut(&campaign) else {
            unclaim(world, leads);
            return Vec::new();
        };
        let asked = running.claiming.take().map_or(0, |(n, _)| usize::from(n));
        // Fewer than asked for: the list is empty for now. Otherwise there may be more at once.
        running.next_look = if leads.len() < asked || asked == 0 {
            let due = next_due.map_or(IDLE, |due| due.since(now.wall)).min(IDLE);
            now.mono + due.max(Duration::from_millis(20))
        } else {
            now.mono
        };
        if leads.is_empty() && next_due.is_none() && running.in_flight == 0 && !running.drained {
            running.drained = true;
            let data = json!({ "campaign": campaign, "name": running.plan.campaign.name });
            let tenant = running.plan.tenant;
            world.notify(tenant, "campaign.finished", data);
        }
        if draining {
            unclaim(world, leads);
            return Vec::new();
        }
        let plan = running.plan.clone();
        let Some(tenant) = world.directory.tenant(plan.tenant).cloned() else {
            unclaim(world, leads);
            return Vec::new();
        };
        let caller = tenant
            .caller_numbers
            .iter()
            .find(|caller| caller.id == plan.campaign.caller)
            .cloned();
        let trunk = tenant.trunk(plan.campaign.trunk).cloned();
        let policy = running
            .policy
            .get_or_insert_with(|| {
                let forced = trunk.as_ref().is_some_and(|trunk| trunk.forced_display);
                let approved = forced || caller.as_ref().is_some_and(|caller| caller.approved);
                let first = tenant.rate.first_charge();
                Arc::new(tenant.policy.for_campaign(&plan.campaign, approved, first))
            })
            .clone();
        let mut calls = Vec::new();
        for Candidate { lead, history } in leads {
            let verdict = dialer::may_dial(now.wall, &lead.number, &policy, &history);
            if let Decision::Deny { rule, next, detail } = &verdict {
                let state = outcome::after_denial(&verdict, lead.grade, now.wall)
                    .unwrap_or(dialer::LeadState::Queued);
                let data = json!({
                    "campaign": campaign,
                    "lead": lead.id,
                    "rule": rule,
                    "detail": detail,
                    "next": next,
                });
                world.notify(plan.tenant, "lead.skipped", data);
                world.persist(Persist::Denied(Box::new(Denied {
                    tenant: plan.tenant,
                    campaign,
                    lead: lead.id,
                    number: lead.number,
                    rule: *rule,
                    detail: detail.clone(),
                    at: now.wall,
                    next: *next,
                    state,
                })));
                continue;
            }
            let caller = caller
                .as_ref()
                .map(|caller| caller.number.to_string())
                .unwrap_or_default();
            let callee = Called::Number(lead.number.clone());
            let ring = plan.campaign.ring_timeout;
            let to = trunk.as_ref().ok_or(()).and_then(|trunk| {
                route::to_trunk(world, &tenant, trunk, &caller, &callee, ring).map_err(|_| ())
            });
            let Ok(to) = to else {
                // The gateway went away since the claim: not the lead's fault.
                let leads = vec![lead.id];
                world.persist(Persist::Unclaim {
                    tenant: plan.tenant,
                    leads,
                });
                continue;
            };
            *next_worker = next_worker.wrapping_add(1);
            let worker = *next_worker % world.config.workers.max(1);
            let id: CallId = world.mint(now.wall);
            let parties = Parties {
                direction: Direction::Robot,
                caller: caller.clone(),
                callee: lead.number.to_string(),
                campaign: Some(campaign),
                lead: Some(lead.id),
                extension: None,
                trunk: Some(plan.campaign.trunk),
            };
            let mut core = Core::new(world, id, tenant.clone(), worker, parties);
            core.beginning = true;
            core.note(world, "allowed", Value::Null);
            world.persist(Persist::Begin(Box::new(Begin {
                call: id,
                tenant: plan.tenant,
                direction: Direction::Robot,
                campaign: Some(campaign),
                lead: Some(lead.id),
                extension: None,
                trunk: Some(plan.campaign.trunk),
                caller,
                callee: lead.number.to_string(),
                at: now.wall,
                reserve: Some(Reserve {
                    rate: tenant.rate,
                    at_most: plan.campaign.max_duration,
                }),
            })));
            if let Some(rate) = self.rates.get_mut(&plan.campaign.trunk) {
                rate.started(now.mono);
            }
            calls.push(Call::robot(core, Robot::new(plan.clone(), lead, to)));
        }
        if let Some(running) = self.running.get_mut(&campaign) {
            running.in_flight += calls.len() as u32;
            running.drained &= calls.is_empty();
        }
        calls
    }

    /// A call of the campaign is over: its line is free.
    pub fn ended(&mut self, world: &mut World, campaign: CampaignId) {
        if let Some(running) = self.running.get_mut(&campaign) {
            running.in_flight = running.in_flight.saturating_sub(1);
            running.next_look = world.now.mono;
            let data = json!({ "campaign": campaign, "in_flight": running.in_flight });
            let tenant = running.plan.tenant;
            world.notify(tenant, "campaign.progress", data);
        }
    }
}

fn unclaim(world: &mut World, leads: Vec<Candidate>) {
    let Some(tenant) = leads.first().map(|candidate| candidate.lead.tenant) else {
        return;
    };
    let leads = leads
        .into_iter()
        .map(|candidate| candidate.lead.id)
        .collect();
    world.persist(Persist::Unclaim { tenant, leads });
}
