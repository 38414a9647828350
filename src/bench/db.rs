//! `huying bench db`: what calls wait for the database while a large import runs beside them, on SQLite and on PostgreSQL; how
//! long a start takes with all those leads.
//!
//! It works on the store itself, in this process: the writer's queue, its transactions, the bulk lane. SQLite is a file in a
//! folder that is thrown away; PostgreSQL is a server of our own from Debian's binaries, or the empty database that
//! `--database` names.

use super::report::{Report, percentile};
use crate::config::Config;
use anyhow::{Context, Result, bail, ensure};
use billing::{Posting, Rate};
use engine::clock::{self, Clock};
use model::*;
use pgserver::{Server, ServerError};
use std::sync::Arc;
use std::time::Duration;
use store::db::shown;
use store::leads::{Duplicates, NewLead};
use store::tenants::NewTenant;
use store::users::NewUser;
use store::{Db, Journal, Platform, Role, Scope, Store, Writer, fresh};
use switch::{Begin, Finish, Input, Persist, Reserve};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

/// Leads handed to one import; the next is made when it is done.
const SHEET: u32 = 10_000;
/// The import's first milestone.
const FIRST: u32 = 200_000;
/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);

/// How much is written.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub leads: u32,
    /// Begun and finished as fast as the writer takes them.
    pub calls: u32,
    /// Begun a second, one by one, until the import is done.
    pub pace: u32,
}

pub async fn run(config: &Config, sizes: Sizes) -> Result<Report> {
    ensure!(
        sizes.leads > 0 && sizes.calls > 0 && (1..=1000).contains(&sizes.pace),
        "--leads and --calls must be at least 1, --pace from 1 to 1000"
    );
    let mut report = Report::new("db");
    let folder = tempfile::tempdir().context("no folder for the measured database")?;
    let file = format!("sqlite:{}", folder.path().join("huying.db").display());
    let asked = config.database.starts_with("postgres");
    let sqlite = match asked || config.database.is_empty() {
        true => file,
        false => config.database.clone(),
    };
    measure("sqlite", &sqlite, sizes, &mut report).await?;
    if asked {
        measure("postgres", &config.database, sizes, &mut report).await?;
    } else {
        match Server::start() {
            Ok(server) => {
                let database = server.address("postgres");
                measure("postgres", &database, sizes, &mut report).await?;
            }
            Err(error @ ServerError::NotInstalled) => report.note(format!("postgres: {error}")),
            Err(error) => return Err(error.into()),
        }
    }
    report.note(format!(
        "calls: {} begun and finished at once, then {} a second until {} leads are imported beside them. Latency: an attempt \
         asked for to its commit told (attempt, reservation and verdict in one transaction).",
        sizes.calls, sizes.pace, sizes.leads
    ));
    report.note("start: opened, recovered, every tenant's directory loaded.");
    Ok(report)
}

async fn measure(
    name: &'static str,
    address: &str,
    sizes: Sizes,
    report: &mut Report,
) -> Result<()> {
    let (found, _) = Db::schema(address).await?;
    if found.is_some() {
        bail!(
            "{} holds a huying's data. FIX: name an empty database: CREATE DATABASE bench",
            shown(address)
        );
    }
    let clock = Clock::start();
    let (store, platform) = Store::open_alone(address).await?;
    let shop = Shop::open(&store, &platform).await?;
    let import = tokio::spawn(import(clock, store.clone(), shop.clone(), sizes.leads));
    let mut desk = Desk::open(clock, &store, &platform, shop);
    let calls = format!("{name}_calls");
    report.case(&calls, "per_second", desk.burst(sizes.calls).await?);
    let mut waits = desk.paced(sizes.pace, &import).await?;
    waits.sort_unstable();
    for (share, metric) in [(0.5, "latency_ms_p50"), (0.99, "latency_ms_p99")] {
        let wait = percentile(&waits, share).context("the import ended before a call was made")?;
        report.case(&calls, metric, wait.as_secs_f64() * 1000.0);
    }
    let (first, all) = import.await??;
    let case = format!("{name}_import");
    let per_second = f64::from(sizes.leads) / all.as_secs_f64();
    report.case(&case, "per_second", per_second);
    if let Some(first) = first {
        report.case(&case, "seconds_for_200000", first.as_secs_f64());
    }
    desk.close().await?;
    store.close().await;
    let begun = clock.mono();
    let (store, platform) = Store::open_alone(address).await?;
    let (folder, now) = (tempfile::tempdir()?, clock::wall());
    let id = store.installation(&platform, now).await?;
    let (journal, left) = Journal::open(folder.path(), id, Default::default(), clock::wall)?;
    store
        .recover(&platform, &journal, &left, folder.path(), now)
        .await?;
    store.directory(&platform).await?;
    let took = clock.mono().since(begun);
    report.case(&format!("{name}_start"), "seconds", took.as_secs_f64());
    store.close().await;
    Ok(())
}

/// An enterprise with money for every call.
#[derive(Clone)]
struct Shop {
    scope: Scope,
}

impl Shop {
    async fn open(store: &Store, platform: &Platform) -> Result<Shop> {
        let now = clock::wall();
        let new = NewTenant {
            slug: "bench".into(),
            name: "bench".into(),
            zone: "Asia/Shanghai"
                .parse()
                .map_err(|_| anyhow::anyhow!("no such zone"))?,
            country: "86".into(),
            currency: "CNY".into(),
            per_interval: Money(10),
            interval_ms: 60_000,
            robot_lines: 100,
            hours: Calendar::always(),
            policy: Default::default(),
        };
        let admin = NewUser {
            login: "bench".into(),
            name: "bench".into(),
            password: "nobody signs in".into(),
            role: Role::Admin,
        };
        let tenant = store.create_tenant(platform, &new, &admin, now).await?;
        let money = Posting::recharge(tenant, "bench", Money(i64::MAX / 4), now)?;
        store.post(platform, &money).await?;
        Ok(Shop {
            scope: platform.tenant(tenant),
        })
    }
}

/// How long the first 200 000 leads took, and all.
async fn import(
    clock: Clock,
    store: Store,
    shop: Shop,
    leads: u32,
) -> Result<(Option<Duration>, Duration)> {
    let begun = clock.mono();
    let mut first = None;
    let mut from = 0;
    while from < leads {
        let to = leads.min(from + SHEET);
        let sheet: Vec<NewLead> = (from..to).map(lead).collect::<Result<_>>()?;
        let now = clock::wall();
        let (rule, batch) = (Duplicates::Update, "bench");
        store
            .import_leads(&shop.scope, None, batch, &sheet, rule, now)
            .await?;
        from = to;
        if from >= FIRST && first.is_none() {
            first = Some(clock.mono().since(begun));
        }
    }
    Ok((first, clock.mono().since(begun)))
}

fn lead(n: u32) -> Result<NewLead> {
    Ok(NewLead {
        number: E164::parse(&format!("+86139{n:08}"), "86")?,
        name: format!("lead {n}"),
        custom: Default::default(),
    })
}

/// Asks the writer for calls.
struct Desk {
    clock: Clock,
    writer: Writer,
    writing: JoinHandle<()>,
    answers: UnboundedReceiver<Input>,
    shop: Shop,
}

impl Desk {
    fn open(clock: Clock, store: &Store, platform: &Platform, shop: Shop) -> Desk {
        let (told, answers) = unbounded_channel();
        let (writer, writing) = Writer::start(store, platform, move |input| {
            told.send(input).ok();
        });
        Desk {
            clock,
            writer,
            writing,
            answers,
            shop,
        }
    }

    /// Calls begun and finished a second when nothing else holds them up.
    async fn burst(&mut self, calls: u32) -> Result<f64> {
        let begun = self.clock.mono();
        let (mut asked, mut done) = (0, 0);
        while done < calls {
            // As many at once as a busy floor has in hand.
            while asked < calls && asked - done < 200 {
                self.push(Persist::Begin(Box::new(self.begin())))?;
                asked += 1;
            }
            let call = self.begun().await?;
            self.push(Persist::Finish(Arc::new(self.finish(call))))?;
            done += 1;
        }
        // Answered behind all of them.
        self.push(Persist::Begin(Box::new(self.begin())))?;
        let last = self.begun().await?;
        let took = self.clock.mono().since(begun);
        self.push(Persist::Finish(Arc::new(self.finish(last))))?;
        Ok(f64::from(calls) / took.as_secs_f64())
    }

    /// What each call waited, at a steady pace, until the import is done.
    async fn paced<T>(&mut self, pace: u32, import: &JoinHandle<T>) -> Result<Vec<Duration>> {
        let mut waits = Vec::new();
        let mut next = tokio::time::interval(Duration::from_secs(1) / pace);
        next.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !import.is_finished() {
            next.tick().await;
            let asked = self.clock.mono();
            self.push(Persist::Begin(Box::new(self.begin())))?;
            let call = self.begun().await?;
            waits.push(self.clock.mono().since(asked));
            self.push(Persist::Finish(Arc::new(self.finish(call))))?;
        }
        Ok(waits)
    }

    fn push(&self, change: Persist) -> Result<()> {
        self.writer.push(change).context("the writer is full")
    }

    async fn begun(&mut self) -> Result<CallId> {
        let answer = tokio::time::timeout(PATIENCE, self.answers.recv());
        match answer.await.context("the writer does not answer")? {
            Some(Input::Begun {
                call,
                result: Ok(_),
            }) => Ok(call),
            other => bail!("a call was not begun: {other:?}"),
        }
    }

    fn begin(&self) -> Begin {
        Begin {
            call: fresh(),
            tenant: self.shop.scope.tenant(),
            direction: Direction::Outbound,
            campaign: None,
            lead: None,
            extension: None,
            trunk: None,
            caller: "+862188886666".into(),
            callee: "+8613800138000".into(),
            at: clock::wall(),
            reserve: Some(Reserve {
                rate: Rate::per_minute(Currency::Cny, Money(10)),
                at_most: MINUTE,
            }),
        }
    }

    fn finish(&self, call: CallId) -> Finish {
        let now = clock::wall();
        let cdr = Cdr {
            id: call,
            tenant: self.shop.scope.tenant(),
            direction: Direction::Outbound,
            caller: "+862188886666".into(),
            callee: "+8613800138000".into(),
            campaign: None,
            lead: None,
            extension: None,
            trunk: None,
            started_at: now,
            ringing_at: Some(now),
            answered_at: Some(now),
            ended_at: now,
            disposition: Disposition::Answered,
            termination: Termination {
                by: EndedBy::Callee,
                sip_code: None,
                q850: Some(16),
                text: String::new(),
            },
            talk_ms: 60_000,
            charge: Money(10),
            recording: None,
            customer_stats: Some(LegStats::default()),
        };
        Finish {
            cdr,
            reserved: Money(10),
            turns: Vec::new(),
            grade: None,
            labels: Vec::new(),
            lead: None,
            opt_out: false,
            events: Vec::new(),
        }
    }

    async fn close(self) -> Result<()> {
        self.writer.close();
        self.writing.await.context("the writer ended badly")
    }
}
