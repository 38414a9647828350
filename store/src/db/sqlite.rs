//! SQLite: one writing connection with `synchronous=FULL`, a pool that only reads, WAL between them.

use super::{Row, Value, migration_error};
use crate::error::StoreError;
use sqlx::migrate::Migrator;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Executor, SqlStr};
use std::time::Duration;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Reads at the same time; more than cores would only queue inside SQLite.
const READERS: u32 = 4;

#[derive(Clone, Debug)]
pub struct Sqlite {
    pub(super) write: SqlitePool,
    pub(super) read: SqlitePool,
}

pub(super) async fn open(path: &str) -> Result<Sqlite, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .pragma("cache_size", "-16384")
        .pragma("temp_store", "memory");
    let write = SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(30))
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await?;
    let known = MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0);
    MIGRATIONS
        .run(&write)
        .await
        .map_err(|error| migration_error(error, known))?;
    let read = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(Duration::from_secs(10))
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.pragma("query_only", "on"))
        .await?;
    Ok(Sqlite { write, read })
}

/// The schema a database has, and the one this release brings; nothing is created or changed. `None`: there is none yet.
pub(super) async fn schema(path: &str) -> Result<(Option<i64>, i64), StoreError> {
    let known = MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0);
    if !std::path::Path::new(path).exists() {
        return Ok((None, known));
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(Duration::from_secs(5))
        .pragma("query_only", "on");
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await?;
    let applied = "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
    let migrated: i64 = sqlx::query_scalar(applied).fetch_one(&pool).await?;
    let found = if migrated == 0 {
        None
    } else {
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
            .fetch_one(&pool)
            .await?
    };
    pool.close().await;
    Ok((found, known))
}

impl Sqlite {
    pub(super) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

fn query((text, values): (SqlStr, Vec<Value>)) -> Query<'static, sqlx::Sqlite, SqliteArguments> {
    values
        .into_iter()
        .fold(sqlx::query(text), |query, value| match value {
            Value::Int(v) => query.bind(v),
            Value::Bool(v) => query.bind(v),
            Value::Text(v) => query.bind(v),
            Value::Bytes(v) => query.bind(v),
            Value::Uuid(v) => query.bind(v),
        })
}

pub(super) async fn all<'c>(
    statement: (SqlStr, Vec<Value>),
    on: impl Executor<'c, Database = sqlx::Sqlite>,
) -> Result<Vec<Row>, StoreError> {
    Ok(query(statement)
        .fetch_all(on)
        .await?
        .into_iter()
        .map(Row::Sqlite)
        .collect())
}

pub(super) async fn run<'c>(
    statement: (SqlStr, Vec<Value>),
    on: impl Executor<'c, Database = sqlx::Sqlite>,
) -> Result<u64, StoreError> {
    Ok(query(statement).execute(on).await?.rows_affected())
}
