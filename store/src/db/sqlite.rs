//! SQLite: one writing connection with `synchronous=FULL`, a pool that only reads, WAL between them.

use super::{Row, Value, migration_error};
use crate::error::{StoreError, Trouble};
use sqlx::migrate::Migrator;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection, Executor, SqlStr};
use std::time::Duration;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Reads at the same time; more than cores would only queue inside SQLite.
const READERS: u32 = 4;

/// An open file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sqlite {
    write: SqlitePool,
    read: SqlitePool,
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
        // SQLite ends a transaction by itself when the disk is full; the library still counts it, and would begin no other.
        .before_acquire(|connection, _| {
            let free = !connection.is_in_transaction();
            Box::pin(async move { Ok(free) })
        })
        .connect_with(options.clone())
        .await
        .map_err(told)?;
    let (found, known_here) = schema(path).await?;
    super::snapshot::before_migration(&write, path, found, known_here).await?;
    MIGRATIONS
        .run(&write)
        .await
        .map_err(|error| migration_error(error, known(), told))?;
    let read = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(Duration::from_secs(10))
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.pragma("query_only", "on"))
        .await
        .map_err(told)?;
    Ok(Sqlite { write, read })
}

/// The schema a database has, and the one this release brings; nothing is created or changed. `None`: there is none yet.
pub(super) async fn schema(path: &str) -> Result<(Option<i64>, i64), StoreError> {
    let known = known();
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
        .await
        .map_err(told)?;
    let applied = "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
    let migrated: i64 = sqlx::query_scalar(applied)
        .fetch_one(&pool)
        .await
        .map_err(told)?;
    let found = if migrated == 0 {
        None
    } else {
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
            .fetch_one(&pool)
            .await
            .map_err(told)?
    };
    pool.close().await;
    Ok((found, known))
}

fn known() -> i64 {
    let versions = MIGRATIONS.iter().map(|migration| migration.version);
    versions.max().unwrap_or(0)
}

impl Sqlite {
    pub(super) async fn begin(
        &self,
    ) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, StoreError> {
        self.write.begin_with("BEGIN IMMEDIATE").await.map_err(told)
    }

    pub(super) async fn all(
        &self,
        statement: (SqlStr, Vec<Value>),
    ) -> Result<Vec<Row>, StoreError> {
        all(statement, &self.read).await
    }

    pub(super) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

fn query((text, values): (SqlStr, Vec<Value>)) -> Query<'static, sqlx::Sqlite, SqliteArguments> {
    bound!(sqlx::query(text), values)
}

pub(super) async fn all<'c>(
    statement: (SqlStr, Vec<Value>),
    on: impl Executor<'c, Database = sqlx::Sqlite>,
) -> Result<Vec<Row>, StoreError> {
    let rows = query(statement).fetch_all(on).await.map_err(told)?;
    Ok(rows.into_iter().map(Row::Sqlite).collect())
}

pub(super) async fn run<'c>(
    statement: (SqlStr, Vec<Value>),
    on: impl Executor<'c, Database = sqlx::Sqlite>,
) -> Result<u64, StoreError> {
    let done = query(statement).execute(on).await.map_err(told)?;
    Ok(done.rows_affected())
}

/// The decision a caller can take. The text stays in the log.
pub(super) fn told(error: sqlx::Error) -> StoreError {
    use sqlx::error::ErrorKind;
    let told = match &error {
        sqlx::Error::RowNotFound => StoreError::NotFound,
        sqlx::Error::Database(database) => match database.kind() {
            ErrorKind::UniqueViolation => {
                return StoreError::Conflict {
                    field: taken_field(database.message()),
                };
            }
            ErrorKind::ForeignKeyViolation => return StoreError::Reference,
            ErrorKind::NotNullViolation | ErrorKind::CheckViolation => {
                StoreError::Invalid { field: "value" }
            }
            _ => database
                .code()
                .map_or(StoreError::Unavailable(Trouble::Io), |code| {
                    // The primary result code is the low byte of the extended one.
                    match code.parse::<u32>().unwrap_or(0) & 0xff {
                        5 | 6 => StoreError::Unavailable(Trouble::Locked),
                        13 => StoreError::Unavailable(Trouble::DiskFull),
                        11 | 26 => StoreError::Damaged("the database file"),
                        // SQLITE_CONSTRAINT by a trigger: the ledger was to be changed.
                        19 => StoreError::Forbidden,
                        1 => StoreError::Damaged("a statement and the schema disagree"),
                        _ => StoreError::Unavailable(Trouble::Io),
                    }
                }),
        },
        sqlx::Error::PoolClosed => StoreError::Unavailable(Trouble::Closed),
        sqlx::Error::PoolTimedOut => StoreError::Unavailable(Trouble::Locked),
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::Decode(_) => StoreError::Damaged("a column"),
        _ => StoreError::Unavailable(Trouble::Io),
    };
    tracing::warn!(%error, told = %told, "database");
    told
}

/// The column that was to be unique, out of `UNIQUE constraint failed: t.a, t.b`: the last one is what a person typed, the
/// ones before it are the tenant and the parent.
fn taken_field(message: &str) -> String {
    let column = message.rsplit(['.', ' ']).next().unwrap_or_default();
    let is_name = !column.is_empty()
        && column
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name { column } else { "id" }.to_owned()
}
