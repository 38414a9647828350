//! A plan from start to end: everything that goes wrong in it, then nothing any more, and every lead still comes to its end.

use crate::house::{self, GATEWAY};
use crate::log::Log;
use crate::peer::Peer;
use crate::plan::{Options, Plan};
use crate::stage::Stage;
use crate::watch::{Law, Violation, Watch};
use dialer::{Campaign, FrequencyCap};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use switch::Input;

/// After the last trouble.
const PATIENCE: Duration = Duration::from_secs(96 * 3600);
/// Who refused is left alone for longer than a story lasts.
const PUT_OFF: Duration = Duration::from_secs(7 * 24 * 3600);

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub violation: Option<Violation>,
    /// What happened, and how often.
    pub counts: BTreeMap<&'static str, u64>,
    /// Records by disposition and grade; leads by result.
    pub records: BTreeMap<String, u64>,
    pub results: BTreeMap<String, u64>,
    /// Questions answered, by law.
    pub asked: BTreeMap<&'static str, u64>,
    pub steps: u64,
    /// Milliseconds of the story.
    pub ms: u64,
}

impl Outcome {
    /// Counts another one to it.
    pub fn add(&mut self, other: &Outcome) {
        fn sum<K: Ord + Clone>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
            for (key, times) in from {
                *into.entry(key.clone()).or_default() += times;
            }
        }
        sum(&mut self.counts, &other.counts);
        sum(&mut self.records, &other.records);
        sum(&mut self.results, &other.results);
        sum(&mut self.asked, &other.asked);
        self.steps += other.steps;
        self.ms += other.ms;
        if self.violation.is_none() {
            self.violation.clone_from(&other.violation);
        }
    }
}

/// Plays a plan. A panic in the node is a violation like any other.
pub fn play(plan: &Plan, log: Log) -> Outcome {
    let mut stage = set(plan, log);
    let played = catch_unwind(AssertUnwindSafe(|| run(&mut stage, plan)));
    if let Err(panic) = played {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let at = stage.at();
        stage
            .watch
            .breach(at, Law::Calls, "no panic", text.unwrap_or_default());
    }
    outcome(stage)
}

fn outcome(stage: Stage) -> Outcome {
    let mut results = BTreeMap::new();
    for row in stage.shop.leads.values() {
        let state = row.lead.state;
        let grade = match state {
            dialer::LeadState::Done { grade } | dialer::LeadState::Exhausted { grade } => {
                format!(" {grade}")
            }
            dialer::LeadState::Suppressed { rule } => format!(" {}", rule.code()),
            _ => String::new(),
        };
        *results
            .entry(format!("{}{grade}", state.kind().code()))
            .or_default() += 1;
    }
    let asked = |law: Law| (law.name(), stage.watch.asked(law));
    Outcome {
        violation: stage.watch.broken().cloned(),
        asked: Law::ALL.into_iter().map(asked).collect(),
        counts: stage.counts,
        records: stage.shop.outcomes,
        results,
        steps: stage.steps,
        ms: stage.ms,
    }
}

fn set(plan: &Plan, log: Log) -> Stage {
    let mut gateway = Peer::new("gw", 1, plan.seed);
    gateway.keeps = false;
    for lead in &plan.leads {
        let number = house::mobile(lead.number as usize);
        gateway
            .manners
            .entry(number)
            .or_insert_with(|| lead.manner.clone());
    }
    let ports = 2 * plan.lines + 4;
    let mut stage = Stage::empty(plan.seed, house::config(ports), vec![gateway]);
    stage.log = log;
    stage.network = plan.network.clone();
    stage.shop.keeps = false;
    stage.shop.flaw = plan.flaw;
    stage.kills.clone_from(&plan.kills);
    stage
}

fn run(stage: &mut Stage, plan: &Plan) {
    stage.campaigns = plan.campaigns();
    stage.recharge(plan.balance);
    stage.change_enterprise(false);
    stage.register(GATEWAY, None);
    stage.seconds(2);
    for lead in &plan.leads {
        let number = house::mobile(lead.number as usize);
        if lead.suppressed {
            stage.shop.suppress(&house::number(&number));
        }
        let campaign = match lead.second {
            true => house::second_campaign(),
            false => house::campaign(),
        };
        stage.list(lead.n, campaign, &number);
    }
    stage.learn();
    stage.change_plans(|_| {});
    for trouble in &plan.troubles {
        stage.expect(trouble.clone());
    }
    stage.run_for(Duration::from_millis(plan.span() + 1000));
    // From here on nothing goes wrong any more, but what is still to be killed.
    stage.recharge(1_000_000);
    stage.unregister(GATEWAY);
    stage.seconds(40);
    stage.register(GATEWAY, None);
    stage.until_campaign_ends(PATIENCE, PUT_OFF);
    let at = stage.at();
    stage.watch.results(at, &stage.shop);
    stage.kills.clear();
    stage.doom.clear();
    stage.tell(Input::Drain);
    stage.wind_up();
    let asleep = |stage: &Stage| stage.node.next_deadline().is_none();
    stage.comes(
        Law::Calls,
        "no timer is left",
        Duration::from_secs(120),
        asleep,
    );
}

/// A day of calls, an hour at a time, in which the world forgets what is over: what grows is the node's. After each hour its
/// number and the steps so far are told.
pub fn day(seed: u64, hours: u32, leads_an_hour: u32, mut told: impl FnMut(u32, u64)) -> Outcome {
    let mut plan = Plan::draw(&Options {
        faults: Vec::new(),
        kills: 0,
        ..Options::new(leads_an_hour, seed)
    });
    plan.lines = 20;
    let mut stage = set(&plan, Log::Nowhere);
    stage.campaigns = plan.campaigns();
    for campaign in &mut stage.campaigns {
        campaign.robot_hours = model::Calendar::always();
        campaign.calling_window = model::Calendar::always();
    }
    stage.recharge(100_000_000);
    stage.change_enterprise(false);
    stage.register(GATEWAY, None);
    stage.seconds(2);
    for hour in 0..hours {
        for lead in &plan.leads {
            let number = house::mobile((hour * leads_an_hour + lead.n) as usize);
            stage.peers[GATEWAY]
                .manners
                .insert(number.clone(), lead.manner.clone());
            stage.list(hour * leads_an_hour + lead.n, house::campaign(), &number);
        }
        stage.change_plans(|_| {});
        stage.seconds(3600);
        stage.until_campaign_ends(PATIENCE, PUT_OFF);
        stage.forgets();
        told(hour + 1, stage.steps);
    }
    stage.tell(Input::Drain);
    stage.wind_up();
    outcome(stage)
}

impl Plan {
    /// The campaigns as they run while nothing is the matter.
    fn campaigns(&self) -> Vec<Campaign> {
        let mut first = house::plan().campaign;
        first.lines = self.lines;
        first.unconnected = 2 + (self.seed % 2) as u32;
        first.robot_hours = model::Calendar::daily(9 * 60 + 30, 20 * 60 + 30);
        let mut second = first.clone();
        second.id = house::second_campaign();
        match self.leads.iter().any(|lead| lead.second) {
            true => vec![first, second],
            false => vec![first],
        }
    }
}

impl Stage {
    /// What is over is forgotten by everybody but the node.
    fn forgets(&mut self) {
        let available = self.shop.ledger.available(house::tenant());
        self.shop.forgets();
        self.watch = Watch::default();
        for peer in &mut self.peers {
            peer.manners.clear();
        }
        self.recharge(available.0);
        self.change_enterprise(false);
        self.watch.know(self.at(), &self.shop.bound);
    }

    /// All campaigns as they should be, but for this.
    pub(crate) fn change_plans(&mut self, change: impl Fn(&mut Campaign)) {
        for campaign in self.campaigns.clone() {
            let mut plan = house::plan();
            plan.campaign = campaign;
            change(&mut plan.campaign);
            self.set_plan(plan);
        }
    }

    pub(crate) fn change_enterprise(&mut self, banned: bool) {
        let lines = self
            .campaigns
            .first()
            .map_or(0, |campaign| u32::from(campaign.lines));
        let max_calls = lines.max(30);
        self.change_house(|house| {
            house.banned = banned;
            house.robot_lines = u32::MAX;
            house.trunks[0].max_calls = max_calls;
            // Wide enough that only calls which were made can fill it.
            house.policy.frequency = vec![FrequencyCap {
                calls: 10,
                within: Duration::from_secs(24 * 3600),
            }];
        });
    }
}
