//! Rules of the house, read from the schema and the sources.

use crate::databases::{Database, on_both, tell};
use crate::house::House;
use std::path::Path;
use store::schema::{EVIDENCE_FUNCTIONS, PLATFORM_FUNCTIONS, WITHOUT_TENANT};
use store::{Db, sql};

/// Tables, and of a table the first column of its key.
fn catalogue(database: Database) -> (&'static str, &'static str) {
    match database {
        Database::Sqlite => (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            "SELECT name FROM pragma_table_info($1) WHERE pk = 1",
        ),
        Database::Postgres => (
            "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = current_schema()",
            "SELECT a.attname::text AS name FROM pg_index AS i JOIN pg_attribute AS a \
             ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
             WHERE i.indisprimary AND i.indrelid = to_regclass($1)",
        ),
    }
}

on_both!(every_table_belongs_to_a_tenant_or_stands_on_the_list);
async fn every_table_belongs_to_a_tenant_or_stands_on_the_list(house: House) {
    let db = Db::open(house.address()).await.unwrap();
    let (tables, first_of_key) = catalogue(house.place.database);
    let tables = sql(tables).all(&db).await.unwrap();
    assert!(tables.len() > 25);
    for table in tables {
        let table: String = table.get("name").unwrap();
        if WITHOUT_TENANT.contains(&table.as_str()) {
            continue;
        }
        let first = sql(first_of_key).bind(table.as_str()).one(&db).await;
        let first: String = first.unwrap().get("name").unwrap();
        assert_eq!(
            first, "tenant_id",
            "the key of {table} begins with the tenant"
        );
    }
}

/// The two folders of migrations are one schema: tables with the same columns, of which the same may be empty, and the same
/// indexes on the same columns.
#[test]
fn both_databases_have_one_schema() {
    let sqlite = schema_of(
        Database::Sqlite,
        "SELECT t.name || '.' || c.name || CASE WHEN c.\"notnull\" = 1 THEN ' NOT NULL' ELSE '' END AS line \
         FROM sqlite_master AS t JOIN pragma_table_info(t.name) AS c WHERE t.type = 'table' \
         UNION ALL SELECT 'index ' || i.name || ' ' || group_concat(c.name, ', ') FROM sqlite_master AS i \
         JOIN pragma_index_info(i.name) AS c WHERE i.type = 'index' AND i.sql IS NOT NULL GROUP BY i.name",
    );
    let postgres = schema_of(
        Database::Postgres,
        "SELECT table_name || '.' || column_name || CASE WHEN is_nullable = 'NO' THEN ' NOT NULL' ELSE '' END AS line \
         FROM information_schema.columns WHERE table_schema = current_schema() \
         UNION ALL SELECT 'index ' || c.relname || ' ' || string_agg(a.attname, ', ' ORDER BY k.n) FROM pg_index AS i \
         JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_class AS t ON t.oid = i.indrelid \
         JOIN pg_namespace AS s ON s.oid = t.relnamespace AND s.nspname = current_schema() \
         CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (column_number, n) \
         JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.column_number \
         WHERE NOT EXISTS (SELECT 1 FROM pg_constraint AS o WHERE o.conindid = i.indexrelid) GROUP BY c.relname",
    );
    assert!(sqlite.len() > 250, "{}", sqlite.len());
    assert_eq!(sqlite, postgres);
}

fn schema_of(database: Database, text: &'static str) -> Vec<String> {
    let (told, heard) = std::sync::mpsc::channel();
    tell(database, 0, async |house: House| {
        let db = Db::open(house.address()).await.unwrap();
        let rows = sql(text).all(&db).await.unwrap();
        let lines = rows.iter().map(|row| row.get::<String>("line").unwrap());
        told.send(lines.collect::<Vec<_>>()).unwrap();
    });
    let lines = heard.recv().unwrap();
    // The migrations' own table is each database's.
    let ours = lines
        .into_iter()
        .filter(|line| !line.starts_with("_sqlx_migrations"));
    let mut ours: Vec<String> = ours.collect();
    ours.sort();
    ours
}

/// On PostgreSQL; SQLite compares byte by byte anyhow.
#[test]
fn no_text_depends_on_the_systems_locale() {
    let other = schema_of(
        Database::Postgres,
        "SELECT table_name || '.' || column_name AS line FROM information_schema.columns \
         WHERE table_schema = current_schema() AND data_type IN ('text', 'character varying') \
         AND collation_name IS DISTINCT FROM 'C'",
    );
    assert!(other.is_empty(), "{other:?}");
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

on_both!(the_claim_and_the_start_read_their_indexes);
async fn the_claim_and_the_start_read_their_indexes(house: House) {
    let db = Db::open(house.address()).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let postgres = house.place.database == Database::Postgres;
    let (explain, column, sorts) = match postgres {
        true => ("EXPLAIN ", "QUERY PLAN", "Sort"),
        false => ("EXPLAIN QUERY PLAN ", "detail", "TEMP B-TREE"),
    };
    if postgres {
        // There is nothing in the tables, so that reading them whole would be the cheapest.
        for way in ["SET enable_seqscan = off", "SET enable_bitmapscan = off"] {
            sql(way).run(&mut tx).await.unwrap();
        }
    }
    let mut plan = async |text: &str| {
        let text = Box::leak(format!("{explain}{text}").into_boxed_str());
        let rows = sql(text).all(&mut tx).await.unwrap();
        let lines = rows.iter().map(|row| row.get::<String>(column).unwrap());
        lines.collect::<Vec<_>>().join("; ")
    };
    let claim = plan(
        "SELECT id FROM leads WHERE tenant_id = (SELECT id FROM tenants) AND campaign_id = (SELECT id FROM campaigns) \
         AND state IN ('queued', 'retry') AND due_at <= 5 ORDER BY due_at LIMIT 4",
    )
    .await;
    assert!(
        claim.contains("leads_due") && !claim.contains(sorts),
        "{claim}"
    );
    let next = plan(
        "SELECT MIN(due_at) AS due FROM leads WHERE tenant_id = (SELECT id FROM tenants) \
         AND campaign_id = (SELECT id FROM campaigns) AND state IN ('queued', 'retry')",
    )
    .await;
    assert!(next.contains("leads_due"), "{next}");
    let open = plan("SELECT * FROM attempts WHERE state = 'open'").await;
    assert!(open.contains("attempts_open"), "{open}");
    let live = plan("UPDATE leads SET due_at = 1 WHERE state IN ('claimed', 'dialling')").await;
    assert!(live.contains("leads_live"), "{live}");
    let calls = plan(
        "SELECT * FROM calls WHERE tenant_id = (SELECT id FROM tenants) ORDER BY started_at DESC, id DESC LIMIT 5",
    )
    .await;
    assert!(
        calls.contains("calls_by_start") && !calls.contains(sorts),
        "{calls}"
    );
}
