//! Copies of a SQLite database while others write to it, and whether a copy is sound. `VACUUM INTO` reads one consistent
//! state and keeps nobody from writing.

use super::AssertSqlSafe;
use super::sqlite::told;
use crate::error::{StoreError, Trouble};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Snapshots kept beside the database.
const KEPT: usize = 3;

/// What a database file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    pub schema: i64,
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// What is wrong with it, for people; empty when it is sound and its books balance.
    pub problems: Vec<String>,
}

/// Postings that do not sum to zero.
pub(super) const UNBALANCED: &str = "SELECT count(*) FROM (SELECT 1 FROM ledger_entries GROUP BY tenant_id, posting_id \
     HAVING sum(amount) <> 0) AS unbalanced";
/// Balances that are not the sums of their entries.
pub(super) const WRONG: &str = "SELECT count(*) FROM ledger_balances AS b JOIN \
     (SELECT tenant_id, account, sum(amount) AS amount FROM ledger_entries GROUP BY tenant_id, account) AS e \
     ON e.tenant_id = b.tenant_id AND e.account = b.account WHERE b.amount <> e.amount";

impl Looked {
    pub(super) fn books(&mut self, unbalanced: i64, wrong: i64) {
        if unbalanced > 0 {
            let text = format!("{unbalanced} postings of the ledger do not sum to zero");
            self.problems.push(text);
        }
        if wrong > 0 {
            let text = format!("{wrong} balances are not the sums of their entries");
            self.problems.push(text);
        }
    }
}

/// Whether a database's pages hang together; nothing is said of what they hold.
pub async fn is_whole(path: &Path) -> Result<(), StoreError> {
    let pool = existing(&path.to_string_lossy(), true).await?;
    let said: Result<String, _> = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&pool)
        .await;
    pool.close().await;
    match said.map_err(told)?.as_str() {
        "ok" => Ok(()),
        _ => Err(StoreError::Damaged("the database file")),
    }
}

/// A consistent copy of the database at `from`, durable when this returns. Nothing is migrated.
pub async fn copy(from: &str, to: &Path) -> Result<(), StoreError> {
    let pool = existing(from, false).await?;
    let copied = vacuum_into(&pool, to).await;
    pool.close().await;
    copied
}

/// Reads all of a database that nobody has open.
pub async fn look(path: &Path) -> Result<Looked, StoreError> {
    let pool = existing(&path.to_string_lossy(), true).await?;
    let looked = read(&pool).await;
    pool.close().await;
    looked
}

async fn existing(path: &str, read_only: bool) -> Result<SqlitePool, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .read_only(read_only)
        .busy_timeout(Duration::from_secs(5));
    let pool = SqlitePoolOptions::new().max_connections(1);
    pool.connect_with(options).await.map_err(told)
}

async fn vacuum_into(pool: &SqlitePool, to: &Path) -> Result<(), StoreError> {
    let statement = sqlx::query("VACUUM INTO $1").bind(to.to_string_lossy().into_owned());
    let written = match statement.execute(pool).await {
        Ok(_) => std::fs::File::open(to).and_then(|file| file.sync_all()),
        Err(error) => {
            std::fs::remove_file(to).ok();
            return Err(told(error));
        }
    };
    written.map_err(|error| {
        tracing::error!(%error, to = %to.display(), "a copy of the database");
        StoreError::Unavailable(Trouble::Io)
    })
}

async fn read(pool: &SqlitePool) -> Result<Looked, StoreError> {
    let mut looked = Looked::default();
    let checks: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(20)")
        .fetch_all(pool)
        .await
        .map_err(told)?;
    looked
        .problems
        .extend(checks.into_iter().filter(|line| line != "ok"));
    let dangling: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT \"table\" FROM pragma_foreign_key_check")
            .fetch_all(pool)
            .await
            .map_err(told)?;
    let dangling = dangling.iter();
    looked
        .problems
        .extend(dangling.map(|table| format!("{table} refers to rows that are not there")));
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    )
    .fetch_all(pool)
    .await.map_err(told)?;
    if !tables.iter().any(|table| table == "_sqlx_migrations") {
        looked.problems.push("it is no database of ours".to_owned());
        return Ok(looked);
    }
    looked.schema = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(pool)
        .await
        .map_err(told)?;
    for table in tables {
        // The name comes from the schema itself.
        let quoted = table.replace('"', "\"\"");
        let count = AssertSqlSafe(format!("SELECT count(*) FROM \"{quoted}\""));
        let rows: i64 = sqlx::query_scalar(count)
            .fetch_one(pool)
            .await
            .map_err(told)?;
        looked.rows.insert(table, rows.max(0) as u64);
    }
    let unbalanced = sqlx::query_scalar(UNBALANCED);
    let unbalanced = unbalanced.fetch_one(pool).await.map_err(told)?;
    let wrong = sqlx::query_scalar(WRONG);
    looked.books(unbalanced, wrong.fetch_one(pool).await.map_err(told)?);
    Ok(looked)
}

/// Before the schema changes: a copy beside the database, `huying.db.schema-1-20261121T070000.123Z`; the last few are kept.
/// Without it nothing is migrated.
pub(super) async fn before_migration(
    write: &SqlitePool,
    path: &str,
    found: Option<i64>,
    known: i64,
) -> Result<(), StoreError> {
    let Some(found) = found.filter(|found| *found < known) else {
        return Ok(());
    };
    let time: String = sqlx::query_scalar("SELECT strftime('%Y%m%dT%H%M%fZ', 'now')")
        .fetch_one(write)
        .await
        .map_err(told)?;
    let to = PathBuf::from(format!("{path}.schema-{found}-{time}"));
    vacuum_into(write, &to).await.map_err(|error| match error {
        StoreError::Unavailable(trouble) => StoreError::NoSnapshot(trouble),
        other => other,
    })?;
    tracing::info!(snapshot = %to.display(), from = found, to = known, "the schema is migrated");
    prune(Path::new(path));
    Ok(())
}

fn prune(database: &Path) {
    let (Some(folder), Some(name)) = (database.parent(), database.file_name()) else {
        return;
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let beginning = format!("{}.schema-", name.to_string_lossy());
    let mut snapshots: Vec<(String, PathBuf)> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let (_, time) = name.strip_prefix(&beginning)?.split_once('-')?;
            Some((time.to_owned(), entry.path()))
        })
        .collect();
    snapshots.sort();
    let old = snapshots.len().saturating_sub(KEPT);
    for (_, path) in &snapshots[..old] {
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!(%error, snapshot = %path.display(), "an old snapshot stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn before_a_migration_a_sound_copy_is_left_and_the_last_three_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huying.db").display().to_string();
        let db = crate::Db::open(&path).await.unwrap();
        db.close().await;
        for old in [
            "1-20260101T000000.000Z",
            "1-20260102T000000.000Z",
            "2-20260103T000000.000Z",
        ] {
            std::fs::write(format!("{path}.schema-{old}"), "old").unwrap();
        }
        let pool = existing(&path, false).await.unwrap();
        before_migration(&pool, &path, Some(7), 7).await.unwrap();
        before_migration(&pool, &path, None, 7).await.unwrap();
        let snapshots = || {
            let names = std::fs::read_dir(folder.path()).unwrap();
            let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.filter(|name| name.contains(".schema-")).collect();
            names.sort();
            names
        };
        assert_eq!(
            snapshots().len(),
            3,
            "nothing to migrate: nothing is copied"
        );
        before_migration(&pool, &path, Some(6), 7).await.unwrap();
        pool.close().await;
        let kept = snapshots();
        assert_eq!(kept.len(), 3);
        assert!(
            kept[0].contains("schema-1-20260102") && kept[2].contains("schema-6-"),
            "{kept:?}"
        );
        let looked = look(&folder.path().join(&kept[2])).await.unwrap();
        assert!(
            looked.problems.is_empty() && looked.schema > 0,
            "{looked:?}"
        );
    }
}
