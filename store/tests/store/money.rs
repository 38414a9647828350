//! Money: no call spends what is not there, nothing is charged twice, the ledger adds up whatever happens.

use crate::databases::on_both;
use crate::house::*;
use billing::{Applied, Posting};
use model::*;
use std::sync::Arc;
use store::ledger::{Balance, LEDGER};
use store::{Asked, StoreError};
use switch::{BeginRefused, Input, Persist};

fn balance(available: i64, reserved: i64) -> Balance {
    Balance {
        available: Money(available),
        reserved: Money(reserved),
    }
}

on_both!(a_call_reserves_settles_and_releases);
async fn a_call_reserves_settles_and_releases(house: House) {
    let shop = house.shop("acme", 100).await;
    shop.queue(1).await;
    let mut answers = house.writer();
    let candidate = answers.claim(&shop, 1, NOW).await.remove(0);
    let begin = shop.begin(&candidate.lead, 5);
    let reservation = answers.begin(begin.clone()).await.unwrap().unwrap();
    assert_eq!(
        (reservation.amount, reservation.covers),
        (Money(50), MINUTE * 5)
    );
    assert_eq!(
        house.store.balance(&shop.scope).await.unwrap(),
        balance(50, 50)
    );
    shop.money_holds().await;
    answers.push(Persist::Finish(Arc::new(shop.finish(&begin, 20))));
    answers.close().await;
    assert_eq!(
        house.store.balance(&shop.scope).await.unwrap(),
        balance(80, 0)
    );
    shop.money_holds().await;
    let all = house
        .store
        .postings(&shop.scope, &Asked::of(&LEDGER))
        .await
        .unwrap();
    let kinds: Vec<_> = all
        .rows
        .iter()
        .map(|row| (row.kind.code(), row.available().minor()))
        .collect();
    assert_eq!(kinds, [("settle", 30), ("reserve", -50), ("recharge", 100)]);
}

on_both!(beginning_and_finishing_twice_is_once);
async fn beginning_and_finishing_twice_is_once(house: House) {
    let shop = house.shop("acme", 100).await;
    shop.queue(1).await;
    let mut answers = house.writer();
    let candidate = answers.claim(&shop, 1, NOW).await.remove(0);
    let begin = shop.begin(&candidate.lead, 5);
    let first = answers.begin(begin.clone()).await.unwrap();
    let second = answers.begin(begin.clone()).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(
        house.store.balance(&shop.scope).await.unwrap(),
        balance(50, 50)
    );
    for charge in [20, 20, 50] {
        answers.push(Persist::Finish(Arc::new(shop.finish(&begin, charge))));
    }
    answers.close().await;
    assert_eq!(
        house.store.balance(&shop.scope).await.unwrap(),
        balance(80, 0)
    );
    assert_eq!(
        house
            .store
            .call(&shop.scope, begin.call)
            .await
            .unwrap()
            .call
            .cdr
            .charge,
        Money(20)
    );
    shop.money_holds().await;
}

on_both!(twenty_calls_at_once_cannot_spend_a_balance_for_seven);
async fn twenty_calls_at_once_cannot_spend_a_balance_for_seven(house: House) {
    let shop = house.shop("acme", 75).await;
    shop.queue(20).await;
    let mut answers = house.writer();
    let claimed = answers.claim(&shop, 20, NOW).await;
    for candidate in &claimed {
        let begin = shop.begin(&candidate.lead, 1);
        answers.push(Persist::Begin(Box::new(begin)));
    }
    let (mut begun, mut refused) = (0, 0);
    for _ in 0..20 {
        match answers.next().await {
            Input::Begun {
                result: Ok(Some(reservation)),
                ..
            } => {
                assert_eq!(reservation.amount, Money(10));
                begun += 1;
            }
            Input::Begun {
                result: Err(BeginRefused::Balance),
                ..
            } => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((begun, refused), (7, 13));
    assert_eq!(
        house.store.balance(&shop.scope).await.unwrap(),
        balance(5, 70)
    );
    shop.money_holds().await;
    answers.close().await;
}

on_both!(a_charge_never_exceeds_its_reservation_and_needs_one);
async fn a_charge_never_exceeds_its_reservation_and_needs_one(house: House) {
    let shop = house.shop("acme", 100).await;
    shop.queue(1).await;
    let mut answers = house.writer();
    let candidate = answers.claim(&shop, 1, NOW).await.remove(0);
    let begin = shop.begin(&candidate.lead, 1);
    answers.begin(begin.clone()).await.unwrap();
    answers.push(Persist::Finish(Arc::new(shop.finish(&begin, 9999))));
    let mut never_begun = shop.finish(&begin, 40);
    never_begun.cdr.id = store::fresh();
    answers.push(Persist::Finish(Arc::new(never_begun)));
    answers.close().await;
    assert_eq!(
        house.store.balance(&shop.scope).await.unwrap(),
        balance(90, 0)
    );
    shop.money_holds().await;
}

on_both!(a_receipt_counts_once_and_the_ledger_only_grows);
async fn a_receipt_counts_once_and_the_ledger_only_grows(house: House) {
    let shop = house.shop("acme", 0).await;
    let receipt = |amount| Posting::recharge(shop.tenant, "r1", Money(amount), NOW).unwrap();
    let post = async |posting: &Posting| house.store.post(&house.platform, posting).await;
    assert_eq!(post(&receipt(500)).await, Ok(Applied::New));
    assert_eq!(post(&receipt(500)).await, Ok(Applied::Already));
    assert_eq!(
        post(&receipt(600)).await,
        Err(StoreError::Conflict {
            field: "reference".into()
        })
    );
    let reserve = Posting::reserve(shop.tenant, store::fresh(), Money(1), NOW);
    assert_eq!(
        post(&reserve).await,
        Err(StoreError::Forbidden),
        "reservations belong to calls"
    );
    assert_eq!(
        house.store.balance(&shop.scope).await.unwrap(),
        balance(500, 0)
    );
    let mut tx = store::Db::open(house.address())
        .await
        .unwrap()
        .begin()
        .await
        .unwrap();
    let meddling = store::sql("UPDATE ledger_entries SET amount = 1")
        .run(&mut tx)
        .await;
    assert_eq!(meddling, Err(StoreError::Forbidden));
    drop(tx);
    shop.money_holds().await;
}

on_both!(an_unanswered_call_costs_nothing);
async fn an_unanswered_call_costs_nothing(house: House) {
    let shop = house.shop("acme", 100).await;
    let ids = shop.queue(1).await;
    let mut answers = house.writer();
    let candidate = answers.claim(&shop, 1, NOW).await.remove(0);
    let begin = shop.begin(&candidate.lead, 5);
    answers.begin(begin.clone()).await.unwrap();
    let end = shop.unanswered(&begin, Disposition::Unreached(Unreached::NoAnswer));
    answers.push(Persist::Finish(Arc::new(end)));
    answers.close().await;
    assert_eq!(
        house.store.balance(&shop.scope).await.unwrap(),
        balance(100, 0)
    );
    assert_eq!(
        shop.state(ids[0]).await,
        dialer::LeadState::Retry { due: later(900) }
    );
    shop.money_holds().await;
}
