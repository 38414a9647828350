//! Opening a database: a new file, an old one, one of a newer release, one of somebody else; what is looked up at start.

use crate::databases::on_both;
use crate::house::*;
use model::*;
use store::db::Statement;
use store::extensions::ExtensionSettings;
use store::{Db, Store, StoreError, sql};

async fn meddle(house: &House, change: Statement) {
    let db = Db::open(house.address()).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    change.run(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    db.close().await;
}

on_both!(an_existing_file_is_opened_with_what_it_holds);
async fn an_existing_file_is_opened_with_what_it_holds(house: House) {
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

on_both!(a_newer_schema_is_refused_in_one_sentence);
async fn a_newer_schema_is_refused_in_one_sentence(house: House) {
    let later = sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'later', TRUE, $1, 1)",
    );
    meddle(&house, later.bind(vec![0])).await;
    house.store.close().await;
    let refused = Store::open(house.address()).await.unwrap_err();
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

on_both!(a_changed_migration_is_refused);
async fn a_changed_migration_is_refused(house: House) {
    let change = sql("UPDATE _sqlx_migrations SET checksum = $1 WHERE version = 1");
    meddle(&house, change.bind(vec![0])).await;
    house.store.close().await;
    assert_eq!(
        Store::open(house.address()).await.err(),
        Some(StoreError::ForeignSchema(1))
    );
}

#[tokio::test]
async fn a_file_of_another_kind_and_an_address_of_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("letter.txt");
    std::fs::write(
        &text,
        "Dear reader, this is not a database at all, however long it may go on for.".repeat(50),
    )
    .unwrap();
    let refused = Store::open(&text.display().to_string()).await.err();
    assert_eq!(refused, Some(StoreError::Damaged("the database file")));
    assert_eq!(Store::open("").await.err(), Some(StoreError::Address));
}

on_both!(the_directory_holds_what_calls_need);
async fn the_directory_holds_what_calls_need(house: House) {
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

on_both!(accounts_made_for_another_realm_are_counted);
async fn accounts_made_for_another_realm_are_counted(house: House) {
    house.shop("acme", 100).await;
    let store = &house.store;
    let made = account("gw1", "acme").realm;
    let strangers = async |realm: &str| {
        let counted = store.accounts_of_other_realms(&house.platform, realm);
        counted.await.unwrap()
    };
    assert_eq!(strangers(&made).await, 0);
    assert!(strangers("elsewhere").await > 0);
}
