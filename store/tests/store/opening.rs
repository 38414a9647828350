//! Opening a database: a new file, an old one, one of a newer release, one of somebody else; what is looked up at start.

use crate::house::*;
use model::*;
use store::extensions::ExtensionSettings;
use store::{Db, Store, StoreError, sql};

async fn meddle(house: &House, text: &'static str) {
    let mut tx = Db::open(&house.address())
        .await
        .unwrap()
        .begin()
        .await
        .unwrap();
    sql(text).run(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn an_existing_file_is_opened_with_what_it_holds() {
    let house = House::new().await;
    let shop = house.shop("acme", 100).await;
    let house = house.reopen().await;
    let scope = house.platform.tenant(shop.tenant);
    assert_eq!(
        house.store.balance(&scope).await.unwrap().available,
        Money(100)
    );
    assert_eq!(
        house
            .store
            .running_campaigns(&house.platform)
            .await
            .unwrap(),
        [(shop.tenant, shop.campaign)]
    );
}

#[tokio::test]
async fn a_newer_schema_is_refused_in_one_sentence() {
    let house = House::new().await;
    meddle(
        &house,
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
         VALUES (9999, 'later', '2027-01-01', TRUE, x'00', 1)",
    )
    .await;
    house.store.close().await;
    let refused = Store::open(&house.address()).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::NewerSchema { found: 9999, .. }),
        "{refused:?}"
    );
    let sentence = refused.to_string();
    assert!(
        sentence.contains("newer release") && !sentence.contains("sqlx"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_changed_migration_and_a_file_of_another_kind_are_refused() {
    let house = House::new().await;
    meddle(&house, "UPDATE _sqlx_migrations SET checksum = x'00'").await;
    house.store.close().await;
    assert_eq!(
        Store::open(&house.address()).await.err(),
        Some(StoreError::ForeignSchema(1))
    );
    let text = house.dir.path().join("letter.txt");
    std::fs::write(
        &text,
        "Dear reader, this is not a database at all, however long it may go on for.".repeat(50),
    )
    .unwrap();
    let refused = Store::open(&text.display().to_string()).await.err();
    assert_eq!(refused, Some(StoreError::Damaged("the database file")));
    assert_eq!(Store::open("").await.err(), Some(StoreError::Address));
}

#[tokio::test]
async fn the_directory_holds_what_calls_need() {
    let house = House::new().await;
    let shop = house.shop("acme", 0).await;
    house.shop("beta", 0).await;
    let caller = house
        .store
        .campaign(&shop.scope, shop.campaign)
        .await
        .unwrap()
        .campaign
        .caller;
    let settings = ExtensionSettings {
        name: "Ana".into(),
        caller_number: Some(caller),
        trunk: Some(shop.plan.trunk),
        disabled: false,
    };
    let account = account("1001", "acme");
    house
        .store
        .create_extension(&shop.scope, "1001", &settings, &account, NOW)
        .await
        .unwrap();
    let all = house.store.directory(&house.platform).await.unwrap();
    assert_eq!(all.len(), 2);
    let acme = all
        .iter()
        .find(|directory| directory.tenant == shop.tenant)
        .unwrap();
    assert_eq!(acme.account, "acme");
    assert_eq!(acme.rate, shop.rate());
    assert_eq!(acme.extensions[0].account.ha1_sha256, account.ha1_sha256);
    assert_eq!(acme.extensions[0].trunk, Some(shop.plan.trunk));
    assert_eq!(acme.trunks[0].account.username, "gw.acme");
    assert_eq!(
        (acme.caller_numbers.len(), acme.caller_numbers[0].approved),
        (1, false)
    );
    let taken = house
        .store
        .create_extension(&shop.scope, "1002", &settings, &account, NOW)
        .await;
    assert!(
        matches!(taken, Err(StoreError::Conflict { .. })),
        "{taken:?}"
    );
    let parts = house
        .store
        .campaign_parts(&shop.scope, shop.campaign)
        .await
        .unwrap();
    assert_eq!(
        (parts.template_version, parts.template),
        (1, serde_json::json!({ "nodes": [] }))
    );
}
