//! Rules of the house, read from the schema and the sources.

use crate::house::House;
use std::path::Path;
use store::schema::{EVIDENCE_FUNCTIONS, PLATFORM_FUNCTIONS, WITHOUT_TENANT};
use store::{Db, sql};

#[tokio::test]
async fn every_table_belongs_to_a_tenant_or_stands_on_the_list() {
    let house = House::new().await;
    let db = Db::open(&house.address()).await.unwrap();
    let tables =
        sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
            .all(&db)
            .await
            .unwrap();
    assert!(tables.len() > 25);
    for table in tables {
        let table: String = table.get("name").unwrap();
        if WITHOUT_TENANT.contains(&table.as_str()) {
            continue;
        }
        let columns = sql("SELECT name, pk FROM pragma_table_info($1)")
            .bind(table.as_str())
            .all(&db)
            .await
            .unwrap();
        let tenant = columns
            .iter()
            .find(|column| column.get::<String>("name").unwrap() == "tenant_id");
        let first: i64 = tenant
            .unwrap_or_else(|| panic!("{table} has no tenant"))
            .get("pk")
            .unwrap();
        assert_eq!(first, 1, "the key of {table} begins with the tenant");
    }
}

/// Functions of `Store` in the sources: name, and what stands behind `&self`.
fn functions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in std::fs::read_dir(sources).unwrap() {
        let path = file.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        for (at, block) in text.match_indices("\nimpl Store {") {
            let body = &text[at + block.len()..];
            let body = &body[..body.find("\n}").unwrap()];
            for (at, _) in body.match_indices("pub async fn ") {
                let rest = &body[at + "pub async fn ".len()..];
                let (name, rest) = rest.split_once('(').unwrap();
                let arguments = rest.split_once(')').unwrap().0;
                let mut arguments = arguments
                    .split(',')
                    .map(|argument| argument.trim().to_owned());
                let first = arguments.next().unwrap();
                if first == "&self" {
                    found.push((name.to_owned(), arguments.next().unwrap_or_default()));
                }
            }
        }
    }
    found
}

#[test]
fn every_function_asks_for_a_scope_first_or_stands_on_the_list() {
    let functions = functions();
    assert!(functions.len() > 60, "{}", functions.len());
    for (name, first) in &functions {
        // `close` ends the store itself.
        let scoped = first.ends_with(": &Scope")
            || name == "close"
            || EVIDENCE_FUNCTIONS.contains(&name.as_str());
        let listed = PLATFORM_FUNCTIONS.contains(&name.as_str()) && first.ends_with(": &Platform");
        assert!(scoped || listed, "`{name}` takes `{first}` first");
    }
    for listed in PLATFORM_FUNCTIONS {
        assert!(
            functions.iter().any(|(name, _)| name == listed),
            "`{listed}` is on the list but not in the sources"
        );
    }
}

#[tokio::test]
async fn the_claim_and_the_start_read_their_indexes() {
    let house = House::new().await;
    let db = Db::open(&house.address()).await.unwrap();
    let plan = async |text: &'static str| {
        let rows = sql(text).all(&db).await.unwrap();
        rows.iter()
            .map(|row| row.get::<String>("detail").unwrap())
            .collect::<Vec<_>>()
            .join("; ")
    };
    let claim = plan(
        "EXPLAIN QUERY PLAN SELECT id FROM leads WHERE tenant_id = x'00' AND campaign_id = x'00' \
         AND state IN ('queued', 'retry') AND due_at <= 5 ORDER BY due_at LIMIT 4",
    )
    .await;
    assert!(
        claim.contains("leads_due") && !claim.contains("TEMP B-TREE"),
        "{claim}"
    );
    let next = plan(
        "EXPLAIN QUERY PLAN SELECT MIN(due_at) AS due FROM leads WHERE tenant_id = x'00' AND campaign_id = x'00' \
         AND state IN ('queued', 'retry')",
    )
    .await;
    assert!(next.contains("leads_due"), "{next}");
    let open = plan("EXPLAIN QUERY PLAN SELECT * FROM attempts WHERE state = 'open'").await;
    assert!(open.contains("attempts_open"), "{open}");
    let live = plan(
        "EXPLAIN QUERY PLAN UPDATE leads SET due_at = 1 WHERE state IN ('claimed', 'dialling')",
    )
    .await;
    assert!(live.contains("leads_live"), "{live}");
    let calls = plan(
        "EXPLAIN QUERY PLAN SELECT * FROM calls WHERE tenant_id = x'00' ORDER BY started_at DESC, id DESC LIMIT 5",
    )
    .await;
    assert!(
        calls.contains("calls_by_start") && !calls.contains("TEMP B-TREE"),
        "{calls}"
    );
}
