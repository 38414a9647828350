//! Figures, on demand: `cargo test -p store --test store -- --ignored --nocapture`.

use crate::house::*;
use std::time::Instant;
use store::Store;
use store::leads::{Duplicates, NewLead, Selection};
use switch::Persist;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
#[expect(clippy::disallowed_methods, reason = "it measures")]
async fn an_import_beside_calls_and_a_start_after_it() {
    let house = House::new().await;
    let shop = house.shop("acme", 10_000_000).await;
    shop.queue(300).await;
    let rows: Vec<NewLead> = (0..200_000)
        .map(|n| NewLead {
            number: model::E164::parse(&format!("+86139{n:08}"), "86").unwrap(),
            ..lead(0)
        })
        .collect();
    let (store, scope, campaign) = (house.store.clone(), shop.scope.clone(), shop.campaign);
    let import = tokio::spawn(async move {
        let begun = Instant::now();
        store
            .import_leads(
                &scope,
                Some(campaign),
                "big",
                &rows,
                Duplicates::Update,
                NOW,
            )
            .await
            .unwrap();
        println!("200 000 leads imported in {:?}", begun.elapsed());
    });
    let mut answers = house.writer();
    let mut waits = Vec::new();
    for candidate in answers.claim(&shop, 300, NOW).await {
        let begin = shop.begin(&candidate.lead, 1);
        let begun = Instant::now();
        answers.begin(begin.clone()).await.unwrap();
        waits.push(begun.elapsed());
        answers.push(Persist::Finish(Box::new(shop.finish(&begin, 10))));
    }
    waits.sort();
    println!(
        "begin beside it: p50 {:?}, p99 {:?}, most {:?}",
        waits[150], waits[297], waits[299]
    );
    import.await.unwrap();
    let begun = Instant::now();
    house
        .store
        .enqueue(
            &shop.scope,
            shop.campaign,
            &Selection::Campaign(shop.campaign),
            NOW,
        )
        .await
        .unwrap();
    println!("200 000 queued in {:?}", begun.elapsed());
    let begun = Instant::now();
    answers.claim(&shop, 50, later(1)).await;
    println!("50 claimed in {:?}", begun.elapsed());
    let begun = Instant::now();
    house
        .store
        .progress(&shop.scope, shop.campaign)
        .await
        .unwrap();
    println!("progress in {:?}", begun.elapsed());
    answers.close().await;
    house.store.close().await;
    let begun = Instant::now();
    let (store, platform) = Store::open(&house.address()).await.unwrap();
    store.recover(&platform, later(5)).await.unwrap();
    store.directory(&platform).await.unwrap();
    println!("opened, recovered and loaded in {:?}", begun.elapsed());
}
