//! One process to a database. Two session locks: a process that serves holds `PROCESS` on a connection of its own, and its
//! writing session holds `WRITER`.
//!
//! The first keeps a second huying out. The second keeps us from racing our own past: when a writing connection was lost with a
//! statement or a commit under way, the server may still be at it. The next one is told that the former's lock is free only
//! when it has ended, one way or the other, so what is then repeated finds what became of it.

use super::told::told;
use super::{PATIENCE, connect, within};
use crate::error::{StoreError, Trouble};
use sqlx::Row;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Mutex;

/// `huying`, and which.
const PROCESS: i64 = 0x6875_7969_6e67_0001;
const WRITER: i64 = 0x6875_7969_6e67_0002;

/// A process that was killed lets go within moments; this long they may take.
const HANDOVER: u32 = 30;
const LOOK: Duration = Duration::from_millis(100);
/// How often the lock's connection is asked whether it still lives.
const KEEP: Duration = Duration::from_secs(5);

/// The process's lock.
pub(super) struct Alone {
    options: PgConnectOptions,
    lock: Mutex<Lock>,
}

enum Lock {
    Held(PgConnection),
    /// With its connection.
    Lost,
    /// We have done with the database.
    LetGo,
}

impl Alone {
    /// Takes the lock, or says who has it.
    pub async fn take(options: &PgConnectOptions) -> Result<Arc<Alone>, StoreError> {
        let mut connection = connect(options).await?;
        take(&mut connection).await?;
        let alone = Arc::new(Alone {
            options: options.clone(),
            lock: Mutex::new(Lock::Held(connection)),
        });
        tokio::spawn(keep(Arc::downgrade(&alone)));
        Ok(alone)
    }

    /// That the lock is ours: asked before each new writing session. Taken again when the server went away and came back,
    /// unless another process was faster.
    pub async fn confirm(&self) -> Result<(), StoreError> {
        let mut lock = self.lock.lock().await;
        match &mut *lock {
            Lock::Held(connection) => {
                match within(PATIENCE, sqlx::Connection::ping(connection)).await {
                    Ok(()) => return Ok(()),
                    Err(error) => tracing::warn!(%error, "the database's lock was lost"),
                }
            }
            Lock::Lost => {}
            Lock::LetGo => return Err(StoreError::Unavailable(Trouble::Closed)),
        }
        *lock = Lock::Lost;
        let mut connection = connect(&self.options).await?;
        match take(&mut connection).await {
            Ok(()) => *lock = Lock::Held(connection),
            Err(StoreError::InUse { by }) => {
                tracing::error!(
                    by,
                    "another huying has taken the database over: nothing is written"
                );
                return Err(StoreError::Unavailable(Trouble::Taken));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub async fn let_go(&self) {
        let lock = std::mem::replace(&mut *self.lock.lock().await, Lock::LetGo);
        if let Lock::Held(connection) = lock {
            within(PATIENCE, sqlx::Connection::close(connection))
                .await
                .ok();
        }
    }
}

/// Takes the process's lock on this connection, waiting a moment for one that is just ending.
pub(super) async fn take(connection: &mut PgConnection) -> Result<(), StoreError> {
    // A peer that is gone without a word (its machine, the network) is noticed within half a minute. No matter on a socket.
    for setting in [
        "SET tcp_keepalives_idle = 10",
        "SET tcp_keepalives_interval = 5",
        "SET tcp_keepalives_count = 3",
    ] {
        run(connection, setting).await?;
    }
    let mut look = tokio::time::interval(LOOK);
    for _ in 0..HANDOVER {
        look.tick().await;
        if try_lock(connection, PROCESS).await? {
            return Ok(());
        }
    }
    Err(StoreError::InUse {
        by: holder(connection).await?,
    })
}

/// Makes this the one session that writes; a former one of ours is ended first.
pub(super) async fn only_writer(connection: &mut PgConnection) -> Result<(), StoreError> {
    let mut look = tokio::time::interval(LOOK);
    for _ in 0..HANDOVER {
        look.tick().await;
        if try_lock(connection, WRITER).await? {
            return Ok(());
        }
        let text = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND classid = ($1 >> 32)::oid AND objid = ($1 & 4294967295)::oid";
        within(
            PATIENCE,
            sqlx::query(text).bind(WRITER).fetch_all(&mut *connection),
        )
        .await
        .map_err(told)?;
    }
    tracing::warn!("the former writing session does not end");
    Err(StoreError::Unavailable(Trouble::Locked))
}

async fn try_lock(connection: &mut PgConnection, key: i64) -> Result<bool, StoreError> {
    let asked = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(key)
        .fetch_one(connection);
    within(PATIENCE, asked).await.map_err(told)
}

/// Who holds the process's lock, for people.
async fn holder(connection: &mut PgConnection) -> Result<String, StoreError> {
    let text = "SELECT l.pid, host(a.client_addr) AS host FROM pg_locks AS l \
         LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid WHERE l.locktype = 'advisory' AND l.granted \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND l.classid = ($1 >> 32)::oid AND l.objid = ($1 & 4294967295)::oid";
    let found = sqlx::query(text).bind(PROCESS).fetch_optional(connection);
    let Some(row) = within(PATIENCE, found).await.map_err(told)? else {
        return Ok("it has just ended".into());
    };
    let pid: i32 = row.try_get("pid").map_err(told)?;
    let host: Option<String> = row.try_get("host").map_err(told)?;
    let host = host.unwrap_or_else(|| "this machine".into());
    Ok(format!("from {host}, the server's process {pid}"))
}

async fn run(connection: &mut PgConnection, text: &'static str) -> Result<(), StoreError> {
    within(PATIENCE, sqlx::Executor::execute(connection, text))
        .await
        .map_err(told)
        .map(drop)
}

/// Notices a lost lock while nothing is written, so that nobody slips in unseen.
async fn keep(alone: Weak<Alone>) {
    let mut look = tokio::time::interval(KEEP);
    look.tick().await;
    loop {
        look.tick().await;
        let Some(alone) = alone.upgrade() else { return };
        // What goes wrong is logged where it happens, and tried again in a while.
        if let Err(StoreError::Unavailable(Trouble::Closed)) = alone.confirm().await {
            return;
        }
    }
}
