//! The database goes away and comes back, or a commit's result is not heard: nothing is lost, nothing is there twice.

use crate::cutting::{Fate, Wire};
use crate::databases::{Database, Place, database_on, runtime};
use crate::house::*;
use model::*;
use pgserver::Server;
use std::sync::Arc;
use std::time::Duration;
use store::{Db, Store, StoreError, Trouble, Tx};
use switch::{BeginRefused, Input, Persist};

/// As long as it is away.
const GONE: Duration = Duration::from_secs(30);
const CALLS: usize = 10;

/// Ways for a database to be away.
enum Away {
    /// SQLite: another process writes and does not end.
    Locked(Option<(Db, Tx)>),
    /// PostgreSQL: there, and silent.
    Frozen(Arc<Server>),
    /// PostgreSQL: gone, and its connections with it.
    Killed(Arc<Server>),
}

impl Away {
    async fn goes(&mut self, house: &House) {
        match self {
            Away::Locked(held) => {
                let db = Db::open(house.address()).await.unwrap();
                let tx = db.begin().await.unwrap();
                *held = Some((db, tx));
            }
            Away::Frozen(server) => server.freeze().unwrap(),
            Away::Killed(server) => server.kill().unwrap(),
        }
    }
    async fn comes_back(&mut self) {
        match self {
            Away::Locked(held) => {
                let (db, tx) = held.take().unwrap();
                tx.rollback().await.unwrap();
                db.close().await;
            }
            Away::Frozen(server) => server.thaw().unwrap(),
            Away::Killed(server) => server.revive().unwrap(),
        }
    }
}

fn server() -> Arc<Server> {
    Arc::new(Server::start().unwrap())
}

/// All at once, each on a thread of its name: they wait for their databases most of the time.
#[test]
fn a_database_that_is_away_for_half_a_minute_loses_nothing() {
    let (frozen, killed) = (server(), server());
    let places = [
        (Place::fresh(Database::Sqlite), Away::Locked(None)),
        (database_on(&frozen), Away::Frozen(frozen.clone())),
        (database_on(&killed), Away::Killed(killed.clone())),
    ];
    let stories = places.map(|(place, away)| {
        let thread = std::thread::Builder::new().name(away.name().into());
        let story = move || runtime(0).block_on(it_goes_and_comes_back(place, away));
        thread.spawn(story).unwrap()
    });
    for story in stories {
        let name = story.thread().name().unwrap().to_owned();
        assert!(story.join().is_ok(), "{name}");
    }
}

impl Away {
    fn name(&self) -> &'static str {
        match self {
            Away::Locked(_) => "sqlite, locked",
            Away::Frozen(_) => "postgres, frozen",
            Away::Killed(_) => "postgres, killed",
        }
    }
}

async fn it_goes_and_comes_back(place: Place, mut away: Away) {
    let house = House::at(place).await;
    let shop = house.shop("acme", 1000).await;
    shop.queue(2 * CALLS as u64).await;
    let mut answers = house.writer();
    let claimed = answers.claim(&shop, 2 * CALLS as u16, NOW).await;
    let (up, later_ones) = claimed.split_at(CALLS);
    let mut begun = Vec::new();
    for candidate in up {
        let begin = shop.begin(&candidate.lead, 1);
        answers.begin(begin.clone()).await.unwrap();
        begun.push(begin);
    }

    away.goes(&house).await;
    let mut second = tokio::time::interval(GONE / CALLS as u32);
    let mut refused = Vec::new();
    for (begin, candidate) in begun.iter().zip(later_ones) {
        second.tick().await;
        answers.push(Persist::Finish(Arc::new(shop.finish(begin, 10))));
        let new = shop.begin(&candidate.lead, 1);
        answers.push(Persist::Begin(Box::new(new.clone())));
        refused.push(new);
    }
    second.tick().await;
    away.comes_back().await;

    // What was answered "unavailable" the node ends at once. It may have been begun all the same.
    for _ in &refused {
        match answers.next().await {
            Input::Begun {
                call,
                result: Err(BeginRefused::Unavailable),
            } => {
                let begin = refused.iter().find(|begin| begin.call == call).unwrap();
                let mut end = shop.unanswered(begin, Disposition::Refused);
                end.lead = None;
                answers.push(Persist::Finish(Arc::new(end)));
            }
            Input::Begun {
                call,
                result: Ok(Some(_)),
            } => {
                let begin = refused.iter().find(|begin| begin.call == call).unwrap();
                answers.push(Persist::Finish(Arc::new(shop.finish(begin, 0))));
            }
            other => panic!("{other:?}"),
        }
    }
    answers.close().await;
    for begin in &begun {
        let page = house.store.call(&shop.scope, begin.call).await.unwrap();
        assert_eq!(page.call.cdr.charge, Money(10));
        assert_eq!(page.postings.len(), 2, "reserved once, settled once");
    }
    for begin in &refused {
        house.store.call(&shop.scope, begin.call).await.unwrap();
    }
    let balance = house.store.balance(&shop.scope).await.unwrap();
    assert_eq!(
        (balance.available, balance.reserved),
        (Money(1000 - 10 * CALLS as i64), Money(0))
    );
    shop.money_holds().await;
    // What is not a call's answers too.
    house.shop("beta", 0).await;
    house.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_result_is_not_heard_is_made_once() {
    let server = crate::databases::server();
    let wire = Wire::to(&server.socket());
    let place = database_on(server);
    let there = wire.address(place.address.rsplit('/').next().unwrap());
    let place = place.by(there);
    let house = House::at(place).await;
    let shop = house.shop("acme", 1000).await;
    shop.queue(4).await;
    let mut answers = house.writer();
    let claimed = answers.claim(&shop, 4, NOW).await;
    let fates = [Fate::LostOnTheWay, Fate::AnswerLost];
    let mut calls = Vec::new();
    for (candidate, fate) in claimed.iter().zip(fates.into_iter().cycle()) {
        let begin = shop.begin(&candidate.lead, 1);
        wire.next_commit(fate);
        let reserved = answers.begin(begin.clone()).await.unwrap().unwrap();
        assert!(wire.struck());
        assert_eq!(reserved.amount, Money(10));
        calls.push(begin);
    }
    assert_eq!(
        house.store.balance(&shop.scope).await.unwrap().reserved,
        Money(40)
    );
    for (begin, fate) in calls.iter().zip(fates.into_iter().cycle()) {
        wire.next_commit(fate);
        answers.push(Persist::Finish(Arc::new(shop.finish(begin, 10))));
        // Answered behind it, so that the next cut is another transaction's.
        answers.claim(&shop, 1, NOW).await;
        assert!(wire.struck());
    }
    answers.close().await;
    for begin in &calls {
        let page = house.store.call(&shop.scope, begin.call).await.unwrap();
        assert_eq!((page.call.cdr.charge, page.postings.len()), (Money(10), 2));
    }
    let balance = house.store.balance(&shop.scope).await.unwrap();
    assert_eq!(
        (balance.available, balance.reserved),
        (Money(960), Money(0))
    );
    shop.money_holds().await;
    // Whoever is not a writer hears that it is unknown, and may ask again.
    wire.next_commit(Fate::AnswerLost);
    let receipt = billing::Posting::recharge(shop.tenant, "r2", Money(5), NOW).unwrap();
    assert_eq!(
        house.store.post(&house.platform, &receipt).await,
        Err(StoreError::Unavailable(Trouble::Io))
    );
    assert_eq!(
        house.store.post(&house.platform, &receipt).await,
        Ok(billing::Applied::Already)
    );
}

/// A second process is told who has the database; a killed one lets go by itself.
#[tokio::test]
async fn a_database_has_one_process() {
    let house = House::at(Place::fresh(Database::Postgres)).await;
    let refused = Store::open_alone(house.address()).await.err().unwrap();
    let StoreError::InUse { by } = &refused else {
        panic!("{refused:?}")
    };
    assert!(by.contains("this machine"), "{by}");
    // Whoever only adds a link or looks may come in.
    let (beside, _) = Store::open(house.address()).await.unwrap();
    beside.close().await;
    let address = house.address().to_owned();
    house.store.close().await;
    let (store, _) = Store::open_alone(&address).await.unwrap();
    store.close().await;
}

/// Killed and started again, the server knows of no lock any more; ours is taken again before anything is written.
#[tokio::test]
async fn a_server_that_restarts_gives_us_the_lock_again() {
    let server = server();
    let house = House::at(database_on(&server)).await;
    house.shop("acme", 0).await;
    server.kill().unwrap();
    server.revive().unwrap();
    house.shop("beta", 0).await;
    assert!(matches!(
        Store::open_alone(house.address()).await.err(),
        Some(StoreError::InUse { .. })
    ));
}

/// Whoever takes the lock while another cannot reach the server has the database; the other writes no more until it is over.
#[tokio::test]
async fn a_database_that_was_taken_over_is_not_written_to() {
    let server = crate::databases::server();
    let wire = Wire::to(&server.socket());
    let place = database_on(server);
    let direct = place.address.clone();
    let there = wire.address(direct.rsplit('/').next().unwrap());
    let house = House::at(place.by(there)).await;
    let shop = house.shop("acme", 0).await;
    let write = async || {
        let n = number(2);
        let id = house.store.add_caller_number(&shop.scope, &n, NOW).await?;
        house.store.delete_caller_number(&shop.scope, id, NOW).await
    };
    assert_eq!(write().await, Ok(()));
    wire.cut();
    let (other, _) = Store::open_alone(&direct).await.unwrap();
    wire.mend();
    assert_eq!(write().await, Err(StoreError::Unavailable(Trouble::Taken)));
    other.close().await;
    assert_eq!(write().await, Ok(()));
}

#[tokio::test]
async fn a_server_that_does_not_let_us_in_says_why() {
    let server = crate::databases::server();
    server
        .sql("postgres", "CREATE ROLE ana LOGIN PASSWORD 'right'")
        .unwrap();
    let refused = async |address: &str| Store::open(address).await.err();
    let trouble = |trouble| Some(StoreError::Unavailable(trouble));
    let wrong = server.loopback("ana", "s3cret", "postgres");
    assert_eq!(refused(&wrong).await, trouble(Trouble::Login));
    let none = server.loopback("ana", "right", "nowhere");
    assert_eq!(refused(&none).await, trouble(Trouble::Missing));
    let closed = "postgres://ana:s3cret@127.0.0.1:1/postgres";
    assert_eq!(refused(closed).await, trouble(Trouble::Io));
    // Ours, but not ours to make tables in (since PostgreSQL 15 nobody's but its owner's).
    let foreign = server.loopback("ana", "right", "postgres");
    assert_eq!(refused(&foreign).await, trouble(Trouble::Login));
}
