//! Running campaigns: how many lines are free, which leads to claim for them, what the gate says of each.

use crate::app::robot::Robot;
use crate::call::{Call, Core, Parties};
use crate::effect::{
    Begin, CampaignPlan, Candidate, ClaimRefused, Claimed, Denied, Effect, Persist, Reserve,
};
use crate::world::World;
use dialer::pacing::{InUse, Limit, Lines, StartRate, free_lines};
use dialer::{CampaignState, Decision, Policy, Rule, outcome};
use model::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How often an idle campaign looks for leads nobody told it about.
const IDLE: Duration = Duration::from_secs(5);
/// How long a campaign rests that only people can help on: no money, no approved number, hours that are over.
const REST: Duration = Duration::from_secs(30);
/// How long the store has to answer a claim.
const CLAIMING: Duration = Duration::from_secs(30);

/// Why a running campaign begins no call at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The enterprise is banned.
    Banned,
    /// No gateway is registered as its trunk.
    Gateway,
    /// Robots may not work now; from when on, where that is known.
    Hours { opens: Option<Wall> },
    /// So many calls are up already as this limit allows.
    Lines(Limit),
    /// A rule of the gate that binds every lead alike.
    Rule(Rule),
    /// No lead is due; when the next one is.
    Leads { due: Option<Wall> },
    /// No lead is given, due or not.
    Refused(ClaimRefused),
}

/// How a running campaign stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Calls that are up or being set up.
    pub in_flight: u32,
    pub waiting: Option<Waiting>,
}

/// A campaign in state Running. Its calls are counted in `world.lines`, since they may outlive it.
struct Running {
    plan: Arc<CampaignPlan>,
    /// The gate's rules for it; made again when plan or directory change.
    policy: Option<Arc<Policy>>,
    /// Leads asked for and not yet here, and until when they are waited for.
    claiming: Option<(u16, Mono)>,
    next_look: Mono,
    /// Why it begins no call; with `Lines`, any line of its tenant that comes free is news.
    waiting: Option<Waiting>,
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
    /// Who claimed last. The next in order is asked first, so that campaigns that share a trunk take turns.
    last: Option<CampaignId>,
}

/// How many calls of a campaign may begin now; if none, why, and when to look again.
struct Room {
    lines: u16,
    look: Mono,
    full: Waiting,
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
                    claiming: None,
                    next_look,
                    waiting: None,
                    drained: false,
                };
                self.running.insert(id, running);
            }
        }
        self.woken = true;
    }

    pub fn is_running(&self, id: CampaignId) -> bool {
        self.running.contains_key(&id)
    }

    /// `None` when it is not running.
    pub fn standing(&self, world: &World, tenant: TenantId, id: CampaignId) -> Option<Standing> {
        let running = self.running.get(&id)?;
        (running.plan.tenant == tenant).then(|| Standing {
            in_flight: world.lines.campaign(id),
            waiting: running.waiting,
        })
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
    pub fn run(&mut self, world: &mut World) {
        let now = world.now.mono;
        let woken = std::mem::take(&mut self.woken);
        if !woken && self.next_deadline().is_none_or(|at| at > now) {
            return;
        }
        let mut ids: Vec<CampaignId> = self.running.keys().copied().collect();
        let before = ids.partition_point(|id| Some(*id) <= self.last);
        ids.rotate_left(before);
        for id in ids {
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
            if let Some((look, opens)) = self.closed(world, id) {
                self.wait(id, look, Some(Waiting::Hours { opens }));
                continue;
            }
            let Room { lines, look, full } = self.room(world, id);
            self.look(id, look);
            if let Some(running) = self.running.get_mut(&id) {
                if lines == 0 {
                    running.waiting = Some(full);
                    continue;
                }
                // Whether a lead is due, and may be had, is known when the answer comes.
                let told = |waiting: &Waiting| {
                    matches!(waiting, Waiting::Leads { .. } | Waiting::Refused(_))
                };
                running.waiting = running.waiting.filter(told);
                self.last = Some(id);
                running.claiming = Some((lines, now + CLAIMING));
                let tenant = running.plan.tenant;
                world.effects.push(Effect::Claim {
                    tenant,
                    campaign: id,
                    at_most: lines,
                });
            }
        }
    }

    fn wait(&mut self, id: CampaignId, look: Mono, why: Option<Waiting>) {
        if let Some(running) = self.running.get_mut(&id) {
            running.next_look = look;
            running.waiting = why;
        }
    }

    fn look(&mut self, id: CampaignId, at: Mono) {
        if let Some(running) = self.running.get_mut(&id) {
            running.next_look = at;
        }
    }

    /// While robots may not work at all nobody is claimed, to be denied and written back: when to ask again. Not later than
    /// in `REST`, since wall clocks are set and hours edited.
    fn closed(&mut self, world: &World, id: CampaignId) -> Option<(Mono, Option<Wall>)> {
        let now = world.now;
        let opens = self.policy(world, id)?.robots_open(now.wall);
        let wait = match opens {
            Some(opening) if opening <= now.wall => return None,
            Some(opening) => opening.since(now.wall).min(REST),
            None => REST,
        };
        Some((now.mono + wait.max(Duration::from_millis(1)), opens))
    }

    /// The gate's rules for the campaign; `None` when it or its tenant is gone.
    fn policy(&mut self, world: &World, id: CampaignId) -> Option<Arc<Policy>> {
        let running = self.running.get_mut(&id)?;
        if let Some(policy) = &running.policy {
            return Some(policy.clone());
        }
        let campaign = &running.plan.campaign;
        let tenant = world.directory.tenant(running.plan.tenant)?;
        let forced = tenant
            .trunk(campaign.trunk)
            .is_some_and(|trunk| trunk.forced_display);
        let approved = forced || tenant.caller(campaign.caller).is_some_and(|c| c.approved);
        let first = tenant.rate.first_charge();
        let policy = Arc::new(tenant.policy.for_campaign(campaign, approved, first));
        running.policy = Some(policy.clone());
        Some(policy)
    }

    fn room(&mut self, world: &World, id: CampaignId) -> Room {
        let now = world.now.mono;
        let none = |full| Room {
            lines: 0,
            look: now + IDLE,
            full,
        };
        let Some(running) = self.running.get(&id) else {
            return none(Waiting::Gateway);
        };
        let plan = &running.plan;
        let tenant = world.directory.tenant(plan.tenant);
        let Some(tenant) = tenant.filter(|tenant| !tenant.banned) else {
            return none(Waiting::Banned);
        };
        let Some(trunk) = tenant.trunk(plan.campaign.trunk) else {
            return none(Waiting::Gateway);
        };
        let mut bindings = world.sip.bindings(&trunk.account.aor, world.now);
        if bindings.next().is_none() {
            return none(Waiting::Gateway);
        }
        // Leads on their way from the store count: each may become a call.
        let claiming = |matches: &dyn Fn(&CampaignPlan) -> bool| -> u32 {
            self.running
                .values()
                .filter(|other| matches(&other.plan))
                .filter_map(|other| other.claiming)
                .map(|(lines, _)| u32::from(lines))
                .sum()
        };
        let lines = &world.lines;
        let in_use = InUse {
            campaign: lines.campaign(id) + claiming(&|other| other.campaign.id == id),
            tenant: lines.tenant(plan.tenant) + claiming(&|other| other.tenant == plan.tenant),
            trunk: lines.trunk(trunk.id) + claiming(&|other| other.campaign.trunk == trunk.id),
            robots: lines.robots() + claiming(&|_| true),
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
            starts: rate.allowed(now),
            recognition: None,
        };
        let free = free_lines(&lines, &in_use);
        let look = match free.bound_by {
            Limit::CallsPerSecond if free.lines == 0 => rate.next_free().unwrap_or(now + IDLE),
            _ => now + IDLE,
        };
        Room {
            lines: free.lines,
            look,
            full: Waiting::Lines(free.bound_by),
        }
    }

    /// A call begins on the trunk, not by a campaign.
    pub fn started(&mut self, now: Mono, trunk: TrunkId) {
        if let Some(rate) = self.rates.get_mut(&trunk) {
            rate.started(now);
        }
    }

    /// Leads have come: the gate judges each, and those it allows begin. A refusal says nothing of the list.
    pub fn claimed(
        &mut self,
        world: &mut World,
        campaign: CampaignId,
        result: Result<Claimed, ClaimRefused>,
        draining: bool,
        next_worker: &mut u16,
    ) -> Vec<Call> {
        let now = world.now;
        let Some(running) = self.running.get_mut(&campaign) else {
            unclaim(world, result.unwrap_or_default().leads);
            return Vec::new();
        };
        let asked = running.claiming.take().map_or(0, |(n, _)| usize::from(n));
        let Claimed { leads, next_due } = match result {
            Ok(claimed) => claimed,
            Err(refused) => {
                running.next_look = now.mono + IDLE;
                running.waiting = Some(Waiting::Refused(refused));
                return Vec::new();
            }
        };
        // Fewer than asked for: the list is empty for now. Otherwise there may be more at once.
        running.next_look = if leads.len() < asked || asked == 0 {
            let due = next_due.map_or(IDLE, |due| due.since(now.wall)).min(IDLE);
            now.mono + due.max(Duration::from_millis(20))
        } else {
            now.mono
        };
        running.waiting = leads.is_empty().then_some(Waiting::Leads { due: next_due });
        let live = world.lines.campaign(campaign);
        if leads.is_empty() && next_due.is_none() && live == 0 && !running.drained {
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
        let caller = tenant.caller(plan.campaign.caller);
        let caller = caller.map_or(String::new(), |caller| caller.number.to_string());
        let Some(policy) = self.policy(world, campaign) else {
            unclaim(world, leads);
            return Vec::new();
        };
        // Lines may have gone since the claim: its answer came late, the plan or the trunk changed.
        let Room { lines, look, .. } = self.room(world, campaign);
        let lines = usize::from(lines);
        let mut rest: Option<Mono> = None;
        let mut waiting = None;
        let mut back = Vec::new();
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
                if of_the_tenant(*rule) {
                    waiting = Some(Waiting::Rule(*rule));
                    rest = Some(now.mono + REST);
                }
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
            let robot = Robot::new(plan.clone(), lead, policy.clone(), history);
            if calls.len() >= lines {
                rest = rest.max(Some(look));
                back.push(robot.lead());
                continue;
            }
            // The gateway went away since the claim: not the lead's fault.
            if robot.route(world, &tenant, &caller).is_err() {
                waiting = Some(Waiting::Gateway);
                rest = rest.max(Some(now.mono + IDLE));
                back.push(robot.lead());
                continue;
            }
            *next_worker = next_worker.wrapping_add(1);
            let worker = *next_worker % world.config.workers.max(1);
            let id: CallId = world.mint(now.wall);
            let parties = Parties {
                direction: Direction::Robot,
                caller: caller.clone(),
                callee: robot.number().to_string(),
                campaign: Some(campaign),
                lead: Some(robot.lead()),
                extension: None,
                trunk: Some(plan.campaign.trunk),
            };
            let mut core = Core::new(world, id, tenant.clone(), worker, parties);
            core.beginning = true;
            core.terms = Some(Box::new(robot.terms()));
            core.note(world, "allowed", Value::Null);
            world.persist(Persist::Begin(Box::new(Begin {
                call: id,
                tenant: plan.tenant,
                direction: Direction::Robot,
                campaign: Some(campaign),
                lead: Some(robot.lead()),
                extension: None,
                trunk: Some(plan.campaign.trunk),
                caller: caller.clone(),
                callee: robot.number().to_string(),
                at: now.wall,
                reserve: Some(Reserve {
                    rate: tenant.rate,
                    at_most: plan.campaign.max_duration,
                }),
            })));
            if let Some(rate) = self.rates.get_mut(&plan.campaign.trunk) {
                rate.started(now.mono);
            }
            calls.push(Call::robot(core, robot));
        }
        if !back.is_empty() {
            let tenant = plan.tenant;
            world.persist(Persist::Unclaim {
                tenant,
                leads: back,
            });
        }
        if let Some(running) = self.running.get_mut(&campaign) {
            running.drained &= calls.is_empty();
            running.waiting = waiting.or(running.waiting);
            if let Some(rest) = rest {
                running.next_look = running.next_look.max(rest);
            }
        }
        calls
    }

    /// A call of the campaign is over: its line is free. `refused`: it was never dialled, and what refused it (an empty
    /// balance, a database that is away) is not asked again at once.
    pub fn ended(&mut self, world: &mut World, campaign: CampaignId, refused: bool) {
        if let Some(running) = self.running.get_mut(&campaign) {
            let now = world.now.mono;
            running.next_look = if refused { now + IDLE } else { now };
            let live = world.lines.campaign(campaign);
            let data = json!({ "campaign": campaign, "in_flight": live });
            let tenant = running.plan.tenant;
            world.notify(tenant, "campaign.progress", data);
        }
    }

    /// A line of the tenant has come free.
    pub fn line_free(&mut self, now: Mono, tenant: TenantId) {
        for running in self.running.values_mut() {
            if matches!(running.waiting, Some(Waiting::Lines(_))) && running.plan.tenant == tenant {
                running.next_look = running.next_look.min(now);
            }
        }
    }
}

/// Rules that forbid every lead of the campaign alike: asking for the next ones is of no use.
fn of_the_tenant(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::Banned | Rule::CallerNumber | Rule::TenantHours | Rule::RobotHours | Rule::Balance
    )
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
