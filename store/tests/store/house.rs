//! A house for stories: a database of its own, tenants with all a campaign needs, a writer whose answers are kept.

use crate::databases::Place;
use billing::{Posting, Rate};
use bots::{Counters, GradeRecord};
use dialer::{Campaign, CampaignState, LeadState, LeadUpdate};
use model::*;
use serde_json::{Map, json};
use std::time::Duration;
use store::journal::{self, Entry, Journal, Left};
use store::leads::{NewLead, Selection};
use store::recovery::Recovered;
use store::tenants::NewTenant;
use store::trunks::TrunkSettings;
use store::users::NewUser;
use store::{Platform, Role, Scope, Store, Writer, fresh};
use switch::{Begin, Finish, Input, LeadTerms, Note, Noted, Persist, Reserve};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub const NOW: Wall = Wall(1_795_226_400_000);
pub const MINUTE: Duration = Duration::from_secs(60);

pub fn later(seconds: u64) -> Wall {
    NOW + Duration::from_secs(seconds)
}

pub fn number(n: u64) -> E164 {
    E164::parse(&format!("+861380000{n:04}"), "86").unwrap()
}

pub struct House {
    pub store: Store,
    pub platform: Platform,
    pub place: Place,
}

impl House {
    pub async fn at(place: Place) -> House {
        let (store, platform) = Store::open_alone(&place.address).await.unwrap();
        House {
            store,
            platform,
            place,
        }
    }

    /// Closed and opened again: calls that were up are not told, so what they left open is still open.
    pub async fn reopen(self) -> House {
        self.store.close().await;
        House::at(self.place).await
    }

    pub fn address(&self) -> &str {
        &self.place.address
    }

    /// The journal beside the database, and what the last run left in it.
    pub async fn journal(&self) -> (Journal, Left) {
        let id = self.store.installation(&self.platform, NOW).await.unwrap();
        let options = journal::Options {
            segment: 1 << 16,
            gather: Duration::ZERO,
            ..Default::default()
        };
        Journal::open(&self.place.folder().join("journal"), id, options, || NOW).unwrap()
    }

    /// What a start does before the engine.
    pub async fn recover(&self, now: Wall) -> Recovered {
        let (journal, left) = self.journal().await;
        let (platform, recordings) = (&self.platform, self.place.folder());
        let recovered = self
            .store
            .recover(platform, &journal, &left, recordings, now);
        let recovered = recovered.await.unwrap();
        journal.close();
        recovered
    }

    pub fn writer(&self) -> Answers {
        self.writer_with(Default::default())
    }

    pub fn writer_with(&self, options: store::writer::Options) -> Answers {
        let (told, heard) = mpsc::unbounded_channel();
        let deliver = move |input| {
            told.send(input).ok();
        };
        let (writer, task) = Writer::start_with(&self.store, &self.platform, options, deliver);
        Answers {
            writer,
            heard,
            task,
        }
    }

    /// An enterprise with money, a template, a trunk, an approved number and a running campaign.
    pub async fn shop(&self, slug: &str, balance: i64) -> Shop {
        let new = NewTenant {
            slug: slug.into(),
            name: slug.into(),
            zone: chrono_tz::Asia::Shanghai,
            country: "86".into(),
            currency: "CNY".into(),
            per_interval: Money(10),
            interval_ms: 60_000,
            robot_lines: 5,
            hours: Calendar::always(),
            policy: dialer::Policy::default(),
        };
        let first = NewUser {
            login: format!("admin@{slug}"),
            name: "Admin".into(),
            password: "$argon2".into(),
            role: Role::Admin,
        };
        let tenant = self
            .store
            .create_tenant(&self.platform, &new, &first, NOW)
            .await
            .unwrap();
        let scope = self.platform.tenant(tenant);
        if balance > 0 {
            let posting = Posting::recharge(tenant, "first", Money(balance), NOW).unwrap();
            self.store.post(&self.platform, &posting).await.unwrap();
        }
        let template = self
            .store
            .create_template(&scope, "loan", &json!({ "nodes": [] }), NOW)
            .await
            .unwrap();
        let trunk = self
            .store
            .create_trunk(&scope, &trunk("gateway"), &account("gw", slug), NOW)
            .await
            .unwrap();
        let caller = self
            .store
            .add_caller_number(&scope, &number(1), NOW)
            .await
            .unwrap();
        let campaign = Campaign::draft(
            fresh(),
            tenant,
            "spring",
            template,
            caller,
            trunk,
            chrono_tz::Asia::Shanghai,
        );
        self.store
            .add_campaign(&scope, &campaign, NOW)
            .await
            .unwrap();
        self.store
            .move_campaign(&scope, campaign.id, CampaignState::Running, NOW)
            .await
            .unwrap();
        Shop {
            scope,
            tenant,
            campaign: campaign.id,
            plan: campaign,
            store: self.store.clone(),
        }
    }
}

pub fn account(user: &str, slug: &str) -> sip::Account {
    sip::Account::from_password(
        &format!("{user}.{slug}"),
        "huying",
        &format!("{user}@{slug}"),
        "secret",
    )
}

pub fn trunk(name: &str) -> TrunkSettings {
    TrunkSettings {
        name: name.into(),
        max_concurrent: 10,
        calls_per_second: 5,
        codecs: vec!["pcma".into()],
        forced_display: false,
        disabled: false,
    }
}

pub fn lead(n: u64) -> NewLead {
    NewLead {
        number: number(n),
        name: format!("lead {n}"),
        custom: Map::new(),
    }
}

pub struct Shop {
    pub store: Store,
    pub scope: Scope,
    pub tenant: TenantId,
    pub campaign: CampaignId,
    pub plan: Campaign,
}

impl Shop {
    /// Leads in the campaign's queue, due now.
    pub async fn queue(&self, n: u64) -> Vec<LeadId> {
        let mut ids = Vec::new();
        for n in 0..n {
            let campaign = Some(self.campaign);
            ids.push(
                self.store
                    .add_lead(&self.scope, campaign, "first", &lead(1000 + n), NOW)
                    .await
                    .unwrap(),
            );
        }
        self.store
            .enqueue(
                &self.scope,
                self.campaign,
                &Selection::Campaign(self.campaign),
                NOW,
            )
            .await
            .unwrap();
        ids
    }

    pub fn rate(&self) -> Rate {
        Rate::per_minute(Currency::Cny, Money(10))
    }

    /// An attempt on a claimed lead, for at most so many minutes.
    pub fn begin(&self, lead: &dialer::Lead, minutes: u32) -> Begin {
        Begin {
            call: fresh(),
            tenant: self.tenant,
            direction: Direction::Robot,
            campaign: Some(self.campaign),
            lead: Some(lead.id),
            extension: None,
            trunk: Some(self.plan.trunk),
            caller: number(1).to_string(),
            callee: lead.number.to_string(),
            at: NOW,
            reserve: Some(Reserve {
                rate: self.rate(),
                at_most: MINUTE * minutes,
            }),
        }
    }

    pub fn terms(&self) -> LeadTerms {
        LeadTerms {
            attempts: 0,
            unreached_in_a_row: 0,
            grade: None,
            max_attempts: self.plan.max_attempts,
            retry: self.plan.retry,
            rules: Default::default(),
        }
    }

    /// The attempt is answered; what the node says of that.
    pub fn answered(&self, begin: &Begin, at: Wall) -> Entry {
        let mut cdr = self.unanswered(begin, Disposition::Interrupted).cdr;
        cdr.answered_at = Some(at);
        cdr.ended_at = at;
        let rate = begin.reserve.as_ref().map(|reserve| reserve.rate);
        let reserved = begin.reserve.as_ref().map_or(Money::ZERO, |reserve| {
            billing::charge(&reserve.rate, reserve.at_most)
        });
        let what = Noted::Answered {
            cdr,
            reserved,
            rate,
            mono: Mono::ZERO + at.since(NOW),
            lead: begin.lead.map(|_| Box::new(self.terms())),
        };
        let (tenant, call) = (self.tenant, begin.call);
        Entry::Note(Box::new(Note { tenant, call, what }))
    }

    /// The attempt was answered and ended well: grade A, charged `charge`.
    pub fn finish(&self, begin: &Begin, charge: i64) -> Finish {
        let mut finish = self.unanswered(begin, Disposition::Answered);
        finish.cdr.answered_at = Some(later(5));
        finish.cdr.talk_ms = 60_000;
        finish.cdr.charge = Money(charge);
        finish.cdr.ended_at = later(65);
        let outcome = bots::grade::Outcome {
            reached: Ok(Counters {
                n: 1,
                r: 0,
                a: 1,
                q: 0,
            }),
            unreached_in_a_row: 0,
        };
        let grade: GradeRecord = bots::grade::grade(&bots::grade::Rules::default(), &outcome);
        finish.lead = begin.lead.map(|_| LeadUpdate {
            state: LeadState::Done { grade: grade.grade },
            attempts: 1,
            unreached_in_a_row: 0,
        });
        finish.grade = Some(grade);
        finish
    }

    pub fn unanswered(&self, begin: &Begin, disposition: Disposition) -> Finish {
        let cdr = Cdr {
            id: begin.call,
            tenant: self.tenant,
            direction: begin.direction,
            caller: begin.caller.clone(),
            callee: begin.callee.clone(),
            campaign: begin.campaign,
            lead: begin.lead,
            extension: begin.extension,
            trunk: begin.trunk,
            started_at: begin.at,
            ringing_at: None,
            answered_at: None,
            ended_at: later(30),
            disposition,
            termination: Termination {
                by: EndedBy::Callee,
                sip_code: None,
                q850: Some(16),
                text: String::new(),
            },
            talk_ms: 0,
            charge: Money::ZERO,
            recording: None,
            customer_stats: Some(LegStats::default()),
        };
        let lead = begin.lead.map(|_| LeadUpdate {
            state: LeadState::Retry { due: later(900) },
            attempts: 1,
            unreached_in_a_row: 1,
        });
        Finish {
            cdr,
            reserved: Money::ZERO,
            turns: Vec::new(),
            grade: None,
            labels: Vec::new(),
            lead,
            opt_out: false,
            events: Vec::new(),
        }
    }

    /// Every figure of the ledger adds up.
    pub async fn money_holds(&self) {
        let proof = self.store.prove_ledger(&self.scope).await.unwrap();
        assert!(proof.holds(), "{proof:?}");
    }

    pub async fn state(&self, lead: LeadId) -> LeadState {
        self.store.lead(&self.scope, lead).await.unwrap().lead.state
    }
}

/// A writer, and what it said.
pub struct Answers {
    pub writer: Writer,
    heard: mpsc::UnboundedReceiver<Input>,
    task: JoinHandle<()>,
}

impl Answers {
    pub fn push(&self, change: Persist) {
        self.writer.push(change).unwrap();
    }

    pub async fn next(&mut self) -> Input {
        tokio::time::timeout(Duration::from_secs(20), self.heard.recv())
            .await
            .expect("an answer")
            .expect("a writer")
    }

    pub async fn claim(&mut self, shop: &Shop, at_most: u16, now: Wall) -> Vec<switch::Candidate> {
        self.writer.claim(shop.tenant, shop.campaign, at_most, now);
        match self.next().await {
            Input::Claimed {
                result: Ok(claimed),
                ..
            } => claimed.leads,
            other => panic!("{other:?}"),
        }
    }

    pub async fn begin(
        &mut self,
        begin: Begin,
    ) -> Result<Option<billing::Reservation>, switch::BeginRefused> {
        let call = begin.call;
        self.push(Persist::Begin(Box::new(begin)));
        match self.next().await {
            Input::Begun { call: of, result } if of == call => result,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until everything pushed is written.
    pub async fn close(self) {
        self.writer.close();
        self.task.await.unwrap();
    }
}
