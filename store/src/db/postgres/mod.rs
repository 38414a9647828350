//! PostgreSQL: one connection that writes (as SQLite has), a pool that only reads, a lock that keeps other processes out.
//!
//! Map: `session` (the writing connection and its transactions) · `alone` (one process to a database) · `held` (one state of
//! it for a backup) · `told` (what errors mean).
//!
//! Commits are durable as the server is set up to make them (`synchronous_commit`); isolation is READ COMMITTED, which one
//! writer makes serial. Session locks and prepared statements want a connection of one's own: connect to the server itself or
//! to a pooler in session mode.

mod alone;
pub mod held;
mod session;
mod told;

pub use session::Transaction;

use super::{Row, Value, migration_error};
use crate::error::StoreError;
use alone::Alone;
use session::Writing;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::query::Query;
use sqlx::{ConnectOptions, Connection, Executor, SqlStr};
use std::sync::Arc;
use std::time::Duration;
use told::told;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Reads at the same time.
const READERS: u32 = 8;
/// How long the server may take for a statement that writes, and for a greeting.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a read may take: sums over a ledger are long.
const READING: Duration = Duration::from_secs(30);
/// An idle connection may have been lost unseen.
const IDLE: Duration = Duration::from_secs(1);
/// Texts a connection keeps prepared; the store has some three hundred.
const PREPARED: usize = 512;

/// An open database. Cheap to clone.
#[derive(Clone)]
pub struct Postgres {
    write: Arc<Writing>,
    read: PgPool,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

/// Opens and migrates. `alone`: for this process alone, until it is closed.
pub(super) async fn open(options: PgConnectOptions, alone: bool) -> Result<Postgres, StoreError> {
    let options = options
        .application_name("huying")
        .statement_cache_capacity(PREPARED);
    let mut connection = connect(&options).await?;
    let alone = match alone {
        true => Some(Alone::take(&options).await?),
        false => {
            // Nobody may be at work while the schema changes under them.
            if applied(&mut connection).await? < Some(known()) {
                alone::take(&mut connection).await?;
            }
            None
        }
    };
    if let Some(found) = applied(&mut connection)
        .await?
        .filter(|found| *found < known())
    {
        let to = known();
        tracing::warn!(
            found,
            to,
            "the schema is migrated, and no copy is kept here: have a backup of your own"
        );
    }
    MIGRATIONS
        .run(&mut connection)
        .await
        .map_err(|error| migration_error(error, known(), told))?;
    connection.close().await.ok();
    let read = PgPoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                let only = "SET default_transaction_read_only = on";
                connection.execute(only).await.map(drop)
            })
        })
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > IDLE {
                    within(PATIENCE, connection.ping()).await?;
                }
                Ok(true)
            })
        })
        // A read that was given up may leave its connection waiting for a server that is gone.
        .after_release(|connection, _| {
            Box::pin(async move {
                within(PATIENCE, connection.ping()).await?;
                Ok(true)
            })
        })
        .connect_lazy_with(options.clone());
    Ok(Postgres {
        write: Arc::new(Writing::new(options, alone)),
        read,
    })
}

/// The schema a database has, and the one this release brings; looks only.
pub(super) async fn schema(options: &PgConnectOptions) -> Result<(Option<i64>, i64), StoreError> {
    let mut connection = connect(options).await?;
    let found = applied(&mut connection).await?;
    connection.close().await.ok();
    Ok((found, known()))
}

fn known() -> i64 {
    let versions = MIGRATIONS.iter().map(|migration| migration.version);
    versions.max().unwrap_or(0)
}

/// The newest migration of this database; none: nothing was made yet.
async fn applied(connection: &mut PgConnection) -> Result<Option<i64>, StoreError> {
    let there = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL");
    let there: bool = within(PATIENCE, there.fetch_one(&mut *connection))
        .await
        .map_err(told)?;
    if !there {
        return Ok(None);
    }
    let newest = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations");
    within(PATIENCE, newest.fetch_one(connection))
        .await
        .map_err(told)
}

impl Postgres {
    pub(super) async fn begin(&self) -> Result<Transaction, StoreError> {
        self.write.begin().await
    }

    pub(super) async fn all(
        &self,
        statement: (SqlStr, Vec<Value>),
    ) -> Result<Vec<Row>, StoreError> {
        let rows = within(READING, query(statement).fetch_all(&self.read)).await;
        let rows = rows.map_err(told)?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    pub(super) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

fn query((text, values): (SqlStr, Vec<Value>)) -> Query<'static, sqlx::Postgres, PgArguments> {
    bound!(sqlx::query(text), values)
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    within(PATIENCE, options.connect()).await.map_err(told)
}

/// An answer that takes longer is none: the server may be gone without a word.
async fn within<T>(
    time: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
    tokio::time::timeout(time, answer)
        .await
        .unwrap_or_else(late)
}
