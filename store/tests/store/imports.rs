//! Files of leads: every row accounted for, once, whatever is repeated or cut off.

use crate::databases::on_both;
use crate::house::*;
use serde_json::json;
use store::imports::{
    DryRun, Fault, Figures, IMPORTS, ImportState, KEPT, NewImport, REJECTS, SheetLead, SheetRow,
};
use store::leads::{Duplicates, LEADS, NewLead};
use store::{Asked, StoreError};

fn good(n: u64) -> SheetRow {
    let lead = lead(n);
    SheetRow {
        row: n as u32,
        cells: vec![lead.name.clone()],
        lead: Ok(SheetLead { batch: None, lead }),
    }
}

fn bad(row: u32) -> SheetRow {
    SheetRow {
        row,
        cells: vec!["x".into(), "12ab".into()],
        lead: Err(Fault {
            column: "电话".into(),
            code: "not_a_number".into(),
            detail: "`a` is no digit".into(),
        }),
    }
}

fn new(shop: &Shop, duplicates: Duplicates) -> NewImport {
    NewImport {
        file_name: "leads.xlsx".into(),
        campaign: Some(shop.campaign),
        batch: "autumn".into(),
        duplicates,
        dry_run: false,
    }
}

fn figures(rows: u64, inserted: u64, updated: u64, rejected: u64) -> Figures {
    Figures {
        rows,
        inserted,
        updated,
        rejected,
    }
}

on_both!(a_part_that_is_handed_in_twice_is_taken_once);
async fn a_part_that_is_handed_in_twice_is_taken_once(house: House) {
    let shop = house.shop("acme", 0).await;
    let (store, scope) = (&house.store, &shop.scope);
    let id = store
        .add_import(scope, &new(&shop, Duplicates::Update), NOW)
        .await
        .unwrap();
    store.begin_import(scope, id, NOW).await.unwrap();
    store
        .found_import(scope, id, 1003, Some("名单"), &json!([]))
        .await
        .unwrap();
    let mut rows: Vec<_> = (0..1000).map(good).collect();
    rows.extend([bad(1001), good(5), bad(1003)]);
    let take = async |from: u64, part: &[SheetRow]| {
        let taken = store.import_rows(scope, id, from, part, None, NOW).await;
        taken.unwrap()
    };
    assert_eq!(take(0, &rows[..600]).await, figures(600, 600, 0, 0));
    // Nobody knew whether the commit came through.
    assert_eq!(take(0, &rows[..600]).await, figures(600, 600, 0, 0));
    assert_eq!(take(400, &rows[400..]).await, figures(1003, 1000, 1, 2));
    let all = Asked::of(&REJECTS);
    let rejects = store.import_rejects(scope, id, &all).await.unwrap();
    let told: Vec<_> = rejects
        .rows
        .iter()
        .map(|reject| (reject.row, reject.fault.code.as_str(), reject.cells.len()))
        .collect();
    assert_eq!(told, [(1001, "not_a_number", 2), (1003, "not_a_number", 2)]);
    let one = all.clone().limit(1);
    let by_row = all.with("row", "1003").unwrap();
    let found = store.import_rejects(scope, id, &by_row).await.unwrap();
    assert_eq!((found.rows.len(), found.rows[0].row), (1, 1003));
    let first = store.import_rejects(scope, id, &one).await.unwrap();
    let second = one.after(&first.next.unwrap()).unwrap();
    let second = store.import_rejects(scope, id, &second).await.unwrap();
    assert_eq!((second.rows[0].row, second.next), (1003, None));
    let done = store
        .finish_import(scope, id, ImportState::Done, None, later(1))
        .await
        .unwrap();
    assert_eq!(
        (done.state, done.total, done.finished_at),
        (ImportState::Done, Some(1003), Some(later(1)))
    );
    // Over is over.
    let late = store
        .import_rows(scope, id, 1003, &[good(7)], None, NOW)
        .await;
    assert_eq!(late, Err(StoreError::WrongState { state: "done" }));
    let again = store
        .finish_import(scope, id, ImportState::Failed, None, later(9))
        .await
        .unwrap();
    assert_eq!(again, done);
}

on_both!(what_a_crash_cut_off_is_interrupted_and_its_figures_are_true);
async fn what_a_crash_cut_off_is_interrupted_and_its_figures_are_true(house: House) {
    let shop = house.shop("acme", 0).await;
    let id = house
        .store
        .add_import(&shop.scope, &new(&shop, Duplicates::Reject), NOW)
        .await
        .unwrap();
    let rows: Vec<_> = (0..300).map(|n| good(n / 2)).collect();
    house
        .store
        .import_rows(&shop.scope, id, 0, &rows, None, NOW)
        .await
        .unwrap();
    let house = house.reopen().await;
    let (store, scope) = (&house.store, &shop.scope);
    assert_eq!(
        store.interrupt_imports(&house.platform, later(5)).await,
        Ok(1)
    );
    let import = store.import(scope, id).await.unwrap();
    assert_eq!(
        (import.state, import.figures),
        (ImportState::Interrupted, figures(300, 150, 0, 150))
    );
    assert_eq!(import.error.unwrap()["code"], "interrupted");
    let autumn = Asked::of(&LEADS).with("batch", "autumn").unwrap();
    let there = store.leads(scope, &autumn.limit(500)).await.unwrap();
    assert_eq!(there.rows.len(), 150);
    assert_eq!(
        store.interrupt_imports(&house.platform, later(6)).await,
        Ok(0)
    );
}

on_both!(what_a_row_does_not_say_is_kept);
async fn what_a_row_does_not_say_is_kept(house: House) {
    let shop = house.shop("acme", 0).await;
    let (store, scope) = (&house.store, &shop.scope);
    let row = |number: u64, name: &str, batch: Option<&str>, custom: serde_json::Value| {
        let custom = custom.as_object().unwrap().clone();
        let new = NewLead {
            name: name.into(),
            custom,
            ..lead(number)
        };
        SheetRow {
            row: 2,
            cells: Vec::new(),
            lead: Ok(SheetLead {
                batch: batch.map(str::to_owned),
                lead: new,
            }),
        }
    };
    let take = async |campaign, batch: &str, rows: &[SheetRow]| {
        let plan = NewImport {
            campaign,
            batch: batch.into(),
            ..new(&shop, Duplicates::Update)
        };
        let id = store.add_import(scope, &plan, NOW).await.unwrap();
        store
            .import_rows(scope, id, 0, rows, None, NOW)
            .await
            .unwrap()
    };
    let told = async || {
        let leads = store.leads(scope, &Asked::of(&LEADS)).await.unwrap();
        let told = leads.rows.into_iter().map(|row| {
            let lead = row.lead;
            (
                lead.campaign.is_some(),
                lead.name,
                lead.batch,
                json!(row.custom),
            )
        });
        let mut told: Vec<_> = told.collect();
        told.sort_by_key(|(inside, name, ..)| (*inside, name.clone()));
        told
    };
    for campaign in [Some(shop.campaign), None] {
        let first = row(1, "Ana", Some("spring"), json!({"city": "Ulm", "sum": 5}));
        assert_eq!(take(campaign, "1", &[first]).await, figures(1, 1, 0, 0));
    }
    // Neither the row nor the sender names a batch; two rows of one number say different things.
    let rows = [
        row(1, "", None, json!({"sum": 7, "sex": "f"})),
        row(2, "Bo", None, json!({})),
        row(1, "", None, json!({"age": 30})),
        row(2, "", Some("summer"), json!({"city": "Rom"})),
    ];
    assert_eq!(
        take(Some(shop.campaign), "2", &rows).await,
        figures(4, 1, 3, 0)
    );
    // The list outside campaigns has its own.
    let lead =
        |inside, name: &str, batch: &str, custom| (inside, name.into(), batch.into(), custom);
    let ana = json!({"age": 30, "city": "Ulm", "sex": "f", "sum": 7});
    assert_eq!(
        told().await,
        [
            lead(false, "Ana", "spring", json!({"city": "Ulm", "sum": 5})),
            lead(true, "Ana", "spring", ana),
            lead(true, "Bo", "summer", json!({"city": "Rom"})),
        ]
    );
}

on_both!(a_dry_run_foresees_and_writes_nothing);
async fn a_dry_run_foresees_and_writes_nothing(house: House) {
    let shop = house.shop("acme", 0).await;
    let (store, scope) = (&house.store, &shop.scope);
    let rows: Vec<_> = (0..500).map(|n| good(n % 350)).chain([bad(9)]).collect();
    for duplicates in [
        Duplicates::Update,
        Duplicates::Reject,
        Duplicates::RejectInTenant,
    ] {
        let mut told = Vec::new();
        for dry in [true, false] {
            let plan = NewImport {
                dry_run: dry,
                ..new(&shop, duplicates)
            };
            let id = store.add_import(scope, &plan, NOW).await.unwrap();
            let mut seen = dry.then(DryRun::default);
            for (n, part) in rows.chunks(120).enumerate() {
                let from = n as u64 * 120;
                store
                    .import_rows(scope, id, from, part, seen.as_mut(), NOW)
                    .await
                    .unwrap();
            }
            told.push(store.import(scope, id).await.unwrap().figures);
            store
                .finish_import(scope, id, ImportState::Done, None, NOW)
                .await
                .unwrap();
        }
        assert_eq!(told[0], told[1], "{duplicates:?}");
    }
    let columns = store.custom_columns(scope).await.unwrap();
    assert_eq!(columns, Vec::<String>::new());
}

on_both!(an_import_of_another_tenant_is_not_there);
async fn an_import_of_another_tenant_is_not_there(house: House) {
    let acme = house.shop("acme", 0).await;
    let beta = house.shop("beta", 0).await;
    let (store, them) = (&house.store, &beta.scope);
    let id = store
        .add_import(&acme.scope, &new(&acme, Duplicates::Update), NOW)
        .await
        .unwrap();
    let gone = Err(StoreError::NotFound);
    assert_eq!(store.import(them, id).await.map(drop), gone);
    assert_eq!(store.begin_import(them, id, NOW).await, gone);
    assert_eq!(
        store
            .import_rows(them, id, 0, &[good(1)], None, NOW)
            .await
            .map(drop),
        gone
    );
    let finish = store.finish_import(them, id, ImportState::Done, None, NOW);
    assert_eq!(finish.await.map(drop), gone);
    let imports = store.imports(them, &Asked::of(&IMPORTS)).await.unwrap();
    assert!(imports.rows.is_empty());
    let rejects = store
        .import_rejects(them, id, &Asked::of(&REJECTS))
        .await
        .unwrap();
    assert!(rejects.rows.is_empty());
    let plan = new(&acme, Duplicates::Update);
    assert_eq!(store.add_import(them, &plan, NOW).await.map(drop), gone);
}

on_both!(an_import_that_is_over_is_kept_for_a_month);
async fn an_import_that_is_over_is_kept_for_a_month(house: House) {
    let shop = house.shop("acme", 0).await;
    let (store, scope) = (&house.store, &shop.scope);
    let mut all = Vec::new();
    for _ in 0..3 {
        let plan = new(&shop, Duplicates::Update);
        let id = store.add_import(scope, &plan, NOW).await.unwrap();
        let rows: Vec<_> = (0..500).map(bad).chain([good(1)]).collect();
        store
            .import_rows(scope, id, 0, &rows, None, NOW)
            .await
            .unwrap();
        all.push(id);
    }
    // The third still runs.
    for (n, id) in all[..2].iter().enumerate() {
        let at = later(n as u64);
        store
            .finish_import(scope, *id, ImportState::Done, None, at)
            .await
            .unwrap();
    }
    let prune = async |now| store.prune_imports(&house.platform, now).await;
    let sooner = KEPT - std::time::Duration::from_secs(1);
    assert_eq!(prune(NOW + sooner).await, Ok(0));
    assert_eq!(prune(NOW + KEPT).await, Ok(1));
    let left = store.imports(scope, &Asked::of(&IMPORTS)).await.unwrap();
    let left: Vec<_> = left.rows.iter().map(|import| import.id).collect();
    assert_eq!(left, [all[2], all[1]]);
    let rejects = Asked::of(&REJECTS);
    for (id, n) in [(all[0], 0), (all[1], 50)] {
        let page = store.import_rejects(scope, id, &rejects).await.unwrap();
        assert_eq!(page.rows.len(), n);
    }
    let leads = store.leads(scope, &Asked::of(&LEADS)).await.unwrap();
    assert_eq!(leads.rows.len(), 1);
}
