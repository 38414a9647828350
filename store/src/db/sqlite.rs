//! SQLite: one writing connection with `synchronous=FULL`, a pool that only reads, WAL between them.

use super::{Row, Value, migration_error};
use crate::error::StoreError;
use sqlx::migrate::Migrator;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
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
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    MIGRATIONS.run(&write).await.map_err(|error| migration_error(error, known))?;
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

impl Sqlite {
    pub(super) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

fn query((text, values): (SqlStr, Vec<Value>)) -> Query<'static, sqlx::Sqlite, SqliteArguments> {
    values.into_iter().fold(sqlx::query(text), |query, value| match value {
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
    Ok(query(statement).fetch_all(on).await?.into_iter().map(Row::Sqlite).collect())
}

pub(super) async fn run<'c>(
    statement: (SqlStr, Vec<Value>),
    on: impl Executor<'c, Database = sqlx::Sqlite>,
) -> Result<u64, StoreError> {
    Ok(query(statement).execute(on).await?.rows_affected())
}
