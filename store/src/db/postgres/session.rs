//! The one connection that writes: made when it is needed, made again when it was lost. Nothing waits for the server longer
//! than `PATIENCE`, whatever became of it.

use super::alone::{self, Alone};
use super::told::{lost, told};
use super::{PATIENCE, connect, query, within};
use crate::db::{Row, Value};
use crate::error::{StoreError, Trouble};
use crate::stopwatch::Stopwatch;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Executor, SqlStr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How long a transaction waits for its turn.
const TURN: Duration = Duration::from_secs(30);

type Seat = OwnedMutexGuard<Option<PgConnection>>;

pub(super) struct Writing {
    options: PgConnectOptions,
    /// None while there is no connection.
    seat: Arc<Mutex<Option<PgConnection>>>,
    alone: Option<Arc<Alone>>,
    closed: AtomicBool,
}

impl Writing {
    pub fn new(options: PgConnectOptions, alone: Option<Arc<Alone>>) -> Writing {
        Writing {
            options,
            seat: Arc::default(),
            alone,
            closed: AtomicBool::new(false),
        }
    }

    /// Waits for its turn and begins a transaction. A connection that turns out to be lost is made anew, since nothing was
    /// done on it yet; unless it took so long to find out that nobody is there to answer a new one either.
    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        let turn = tokio::time::timeout(TURN, self.seat.clone().lock_owned());
        let mut seat = turn
            .await
            .map_err(|_| StoreError::Unavailable(Trouble::Locked))?;
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable(Trouble::Closed));
        }
        let made_now = seat.is_none();
        if made_now {
            *seat = Some(self.make().await?);
        }
        let mut transaction = Transaction {
            seat: Some(seat),
            failed: false,
        };
        let asked = Stopwatch::start();
        match transaction.command("BEGIN").await {
            Err(StoreError::Unavailable(Trouble::Io))
                if !made_now && asked.elapsed() < PATIENCE => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(transaction),
        }
        transaction.replace(self.make().await?);
        transaction.command("BEGIN").await?;
        Ok(transaction)
    }

    async fn make(&self) -> Result<PgConnection, StoreError> {
        let mut connection = connect(&self.options).await?;
        if let Some(alone) = &self.alone {
            alone.confirm().await?;
            alone::only_writer(&mut connection).await?;
        }
        Ok(connection)
    }

    /// Lets the transaction that runs end, then closes.
    pub async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let connection = self.seat.lock().await.take();
        if let Some(connection) = connection {
            within(PATIENCE, sqlx::Connection::close(connection))
                .await
                .ok();
        }
        if let Some(alone) = &self.alone {
            alone.let_go().await;
        }
    }
}

/// A writing transaction. Dropped without `commit`, it is rolled back behind.
pub struct Transaction {
    /// None once it has ended.
    seat: Option<Seat>,
    /// A statement failed: PostgreSQL takes no more until `undo`, and would answer a COMMIT by rolling back, without an error.
    failed: bool,
}

impl Transaction {
    pub(in crate::db) async fn all(
        &mut self,
        statement: (SqlStr, Vec<Value>),
    ) -> Result<Vec<Row>, StoreError> {
        let connection = self.connection()?;
        let rows = within(PATIENCE, query(statement).fetch_all(connection)).await;
        let rows = self.note(rows)?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    pub(in crate::db) async fn run(
        &mut self,
        statement: (SqlStr, Vec<Value>),
    ) -> Result<u64, StoreError> {
        let connection = self.connection()?;
        let done = within(PATIENCE, query(statement).execute(connection)).await;
        Ok(self.note(done)?.rows_affected())
    }

    /// After an error it is unknown whether it was done, unless a statement had failed before.
    pub(in crate::db) async fn commit(mut self) -> Result<(), StoreError> {
        if self.failed {
            self.command("ROLLBACK").await?;
            self.seat = None;
            return Err(StoreError::Damaged(
                "a transaction that had failed was used further",
            ));
        }
        self.command("COMMIT").await?;
        self.seat = None;
        Ok(())
    }

    pub(in crate::db) async fn rollback(mut self) -> Result<(), StoreError> {
        self.command("ROLLBACK").await?;
        self.seat = None;
        Ok(())
    }

    /// A statement without values, such as those that begin and end.
    pub(in crate::db) async fn command(&mut self, text: &'static str) -> Result<(), StoreError> {
        let connection = self.connection()?;
        let done = within(PATIENCE, connection.execute(text)).await;
        self.note(done)?;
        if text.starts_with("ROLLBACK") {
            self.failed = false;
        }
        Ok(())
    }

    fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        let connection = self.seat.as_mut().and_then(|seat| seat.as_mut());
        connection.ok_or(StoreError::Unavailable(Trouble::Io))
    }

    fn replace(&mut self, connection: PgConnection) {
        self.failed = false;
        if let Some(seat) = &mut self.seat {
            **seat = Some(connection);
        }
    }

    /// A lost connection, or one that owes us an answer, is given up: nobody could say what it would tell next.
    fn note<T>(&mut self, outcome: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        outcome.map_err(|error| {
            self.failed = true;
            if lost(&error)
                && let Some(seat) = &mut self.seat
            {
                **seat = None;
            }
            told(error)
        })
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(seat) = self.seat.take() else { return };
        if seat.is_some() {
            roll_back_behind(seat);
        }
    }
}

/// The next transaction waits for it, since it has the seat.
fn roll_back_behind(mut seat: Seat) {
    // Without a runtime nobody could wait: the server rolls back what a closed connection had begun.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        *seat = None;
        return;
    };
    runtime.spawn(async move {
        let Some(connection) = seat.as_mut() else {
            return;
        };
        if within(PATIENCE, connection.execute("ROLLBACK"))
            .await
            .is_err()
        {
            *seat = None;
        }
    });
}
