//! The tenant everything is played in: acme, with extensions, a gateway, a number, a template and a campaign.

use crate::peer::{Manner, Peer};
use crate::stage::{Network, Stage};
use billing::{Posting, Rate};
use bots::{CompiledTemplate, Template};
use dialer::{Campaign, CampaignState, Lead, LeadState, Policy, RetryRules};
use media::Prompt;
use model::id::Uuid;
use model::*;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use switch::*;

pub const REALM: &str = "pbx.example";
pub const NODE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 5060);
/// Places of the peers on the stage.
pub const GATEWAY: usize = 0;
pub const ANA: usize = 1;
pub const BO: usize = 2;
/// Bo's second phone, which shares his account.
pub const BO_TOO: usize = 3;

const fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}
pub fn tenant() -> TenantId {
    TenantId(id(1))
}
pub fn trunk() -> TrunkId {
    TrunkId(id(2))
}
pub fn campaign() -> CampaignId {
    CampaignId(id(3))
}
/// Another one, on the same trunk.
pub fn second_campaign() -> CampaignId {
    CampaignId(id(30))
}

type Script = (Arc<CompiledTemplate>, HashMap<PromptId, Arc<Prompt>>);

/// The loan offer, with prompts of one and a half to five seconds that nobody recorded.
static LOAN: LazyLock<Script> = LazyLock::new(|| {
    let json = include_str!("../../fixtures/templates/loan.zh.json");
    let mut template: Template = serde_json::from_str(json).expect("the fixture is a template");
    let spoken = template.spoken();
    let keys: Vec<(String, usize)> = spoken
        .iter()
        .map(|s| (s.key.clone(), s.text.chars().count()))
        .collect();
    let mut prompts = HashMap::new();
    for (n, (key, characters)) in keys.into_iter().enumerate() {
        let prompt = PromptId(id(100 + n as u128));
        assert!(template.set_prompt(&key, Some(prompt)));
        // Four and a half characters a second.
        let samples = 8 * (characters * 1000 * 2 / 9).clamp(1500, 5000);
        prompts.insert(prompt, Arc::new(Prompt::new(prompt, vec![0; samples])));
    }
    let compiled = CompiledTemplate::new(&template).expect("the fixture has no errors");
    (compiled, prompts)
});

fn account(name: &str) -> Arc<sip::Account> {
    let (user, aor) = (format!("{name}.acme"), format!("{name}@acme"));
    Arc::new(sip::Account::from_password(
        &user,
        REALM,
        &aor,
        &format!("pw-{name}"),
    ))
}

pub fn number(text: &str) -> E164 {
    E164::parse(text, "86").expect("a number")
}

/// Leads are numbered from here.
const LEADS: u128 = 1_000_000;

/// Which lead it is.
pub(crate) fn nth(lead: LeadId) -> u32 {
    lead.0.as_u128().wrapping_sub(LEADS) as u32
}

/// The nth lead's number.
pub fn mobile(n: usize) -> String {
    match n {
        0..2000 => format!("1380013{:04}", 8000 + n),
        _ => format!("139{:08}", n),
    }
}

pub fn directory() -> TenantDirectory {
    let extension = |n: u128, name: &str| Extension {
        id: ExtensionId(id(10 + n)),
        number: name.to_owned(),
        name: format!("Extension {name}"),
        account: account(name),
        display: Some(number("02161234567")),
        trunk: Some(trunk()),
    };
    let caller = |n: u128, text: &str, approved| CallerNumber {
        id: CallerNumberId(id(20 + n)),
        number: number(text),
        approved,
    };
    TenantDirectory {
        tenant: tenant(),
        account: "acme".to_owned(),
        domains: vec!["acme.example".to_owned()],
        banned: false,
        country: "86".to_owned(),
        rate: Rate::per_minute(Currency::Cny, Money(10)),
        robot_lines: 100,
        policy: Policy::default(),
        extensions: vec![
            extension(1, "1001"),
            extension(2, "1002"),
            extension(3, "1003"),
        ],
        trunks: vec![Trunk {
            id: trunk(),
            name: "gateway".to_owned(),
            account: account("gw"),
            max_calls: 30,
            calls_per_second: 0,
            forced_display: false,
        }],
        caller_numbers: vec![
            caller(1, "02161234567", true),
            caller(2, "02169999999", false),
        ],
    }
}

pub fn plan() -> CampaignPlan {
    let (template, prompts) = LOAN.clone();
    let mut campaign = Campaign::draft(
        campaign(),
        tenant(),
        "loans",
        TemplateId(id(4)),
        CallerNumberId(id(21)),
        trunk(),
        model::Zone::Asia__Shanghai,
    );
    campaign.state = CampaignState::Running;
    campaign.lines = 4;
    campaign.retry = RetryRules::every(Duration::from_secs(60));
    campaign.check().expect("a campaign that can run");
    CampaignPlan {
        tenant: tenant(),
        campaign,
        template,
        prompts,
    }
}

/// With so many RTP ports.
pub(crate) fn config(ports: u16) -> Config {
    Config {
        sip: sip::Config::new(REALM, NODE),
        media_address: NODE.ip(),
        rtp_ports: (0..ports).map(|n| 10_000 + 2 * n).collect(),
        workers: 2,
    }
}

impl Stage {
    /// A hundred yuan in the account, a calm network, nobody registered yet.
    pub fn of_acme(seed: u64) -> Stage {
        let mut second = Peer::new("1002", 4, seed);
        second.manner = Manner::NeverAnswers;
        let peers = vec![
            Peer::new("gw", 1, seed),
            Peer::new("1001", 2, seed),
            Peer::new("1002", 3, seed),
            second,
        ];
        let mut stage = Stage::empty(seed, config(60), peers);
        stage.lines = 4;
        stage.recharge(10_000);
        stage.change_house(|_| {});
        stage
    }

    pub fn everybody_registers(&mut self) {
        for n in [GATEWAY, ANA, BO] {
            self.register(n, None);
        }
        self.seconds(2);
    }

    /// Five of a hundred datagrams are lost, some come twice, all come when they like.
    pub fn rough(mut self) -> Stage {
        self.network = Network {
            loss: 50,
            duplicates: 30,
            delay: (5, 60),
        };
        self
    }

    pub fn recharge(&mut self, fen: i64) {
        let reference = format!("receipt {}", self.shop.ledger.journal().len());
        let posting = Posting::recharge(tenant(), &reference, Money(fen), self.now().wall);
        if let Ok(posting) = posting {
            self.shop.post(posting);
            self.learn();
        }
    }

    /// What is in the account from here on.
    pub fn only(mut self, fen: i64) -> Stage {
        self.shop.ledger = billing::Ledger::new();
        self.watch.forget_money();
        self.recharge(fen);
        self
    }

    /// Queues a lead of the campaign and says how its callee meets the call.
    pub fn lead(&mut self, text: &str, manner: Manner) {
        self.list(self.shop.leads.len() as u32, campaign(), text);
        self.peers[GATEWAY].manners.insert(text.to_owned(), manner);
    }

    /// Queues the nth lead in a campaign.
    pub fn list(&mut self, n: u32, campaign: CampaignId, text: &str) {
        let lead = Lead {
            id: LeadId(id(LEADS + u128::from(n))),
            tenant: tenant(),
            campaign: Some(campaign),
            number: number(text),
            name: String::new(),
            batch: String::new(),
            state: LeadState::Queued,
            attempts: 0,
            unreached_in_a_row: 0,
            last: None,
            grade: None,
            caller: None,
        };
        let now = self.now().wall;
        self.shop.add(lead, now);
    }

    /// Starts the campaign, or changes it while it runs.
    pub fn start(&mut self, change: impl FnOnce(&mut Campaign)) {
        let mut plan = plan();
        change(&mut plan.campaign);
        self.set_plan(plan);
    }

    pub(crate) fn set_plan(&mut self, plan: CampaignPlan) {
        let plan = Arc::new(plan);
        self.plans.insert(plan.campaign.id, plan.clone());
        self.tell(Input::Campaign(plan));
    }

    pub fn change_house(&mut self, change: impl FnOnce(&mut TenantDirectory)) {
        let mut fresh = directory();
        change(&mut fresh);
        self.directory = Arc::new(fresh);
        let fresh = self.directory.clone();
        self.tell(Input::Directory(fresh));
    }

    /// `Answered A`, one line for each record, first to last.
    pub fn outcomes(&self) -> Vec<String> {
        let line = |finish: &Arc<Finish>| {
            let grade = finish.grade.as_ref();
            let grade = grade.map_or("-".to_owned(), |record| record.grade.to_string());
            format!("{:?} {grade}", finish.cdr.disposition)
        };
        self.shop.finishes.iter().map(line).collect()
    }
}
