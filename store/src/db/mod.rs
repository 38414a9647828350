//! The one door to a database: an address is opened and migrated, statements are run on a read connection or inside a
//! writing transaction. One SQL text with `$1` serves every database; what differs stays in this folder.
//!
//! SQLite has one writing connection (`BEGIN IMMEDIATE`, so that a writer waits instead of failing half-way) and a pool
//! that only reads. PostgreSQL becomes a second variant of `Db`, `Tx` and `Row`.

mod sqlite;
mod value;

pub use value::{Cell, Json, Row, Value};

use crate::error::{StoreError, Trouble};
use sqlx::AssertSqlSafe;
use std::borrow::Cow;

/// An open database. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Db {
    Sqlite(sqlite::Sqlite),
}

impl Db {
    /// Opens `sqlite:path`, or a plain path, creates it where it is missing and brings its schema up to date.
    pub async fn open(address: &str) -> Result<Db, StoreError> {
        Ok(Db::Sqlite(sqlite::open(Db::sqlite_path(address)?).await?))
    }

    /// The schema a database has (`None`: not made yet) and the one this release knows; looks only.
    pub async fn schema(address: &str) -> Result<(Option<i64>, i64), StoreError> {
        sqlite::schema(Db::sqlite_path(address)?).await
    }

    /// The file an address names.
    pub fn sqlite_path(address: &str) -> Result<&str, StoreError> {
        match address.split_once(':') {
            Some(("postgres" | "postgresql", _)) => Err(StoreError::Address),
            Some(("sqlite", path)) => Ok(path.trim_start_matches("//")),
            _ if !address.is_empty() => Ok(address),
            _ => Err(StoreError::Address),
        }
    }

    /// Begins the one writing transaction; others wait their turn. Dropped without `commit`, it is rolled back.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        match self {
            Db::Sqlite(db) => Ok(Tx::Sqlite(db.write.begin_with("BEGIN IMMEDIATE").await?)),
        }
    }

    /// Waits for running statements, checkpoints and closes.
    pub async fn close(&self) {
        match self {
            Db::Sqlite(db) => db.close().await,
        }
    }
}

/// A writing transaction.
pub enum Tx {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
}

impl Tx {
    /// Makes the changes durable (SQLite: `synchronous=FULL`). After an error it is unknown whether they are: whatever is
    /// retried must be idempotent.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self {
            Tx::Sqlite(tx) => Ok(tx.commit().await?),
        }
    }
    pub async fn rollback(self) -> Result<(), StoreError> {
        match self {
            Tx::Sqlite(tx) => Ok(tx.rollback().await?),
        }
    }
    /// From here on `undo` takes back what follows, and nothing before it.
    pub async fn savepoint(&mut self) -> Result<(), StoreError> {
        sql("SAVEPOINT change").run(self).await.map(drop)
    }
    pub async fn keep(&mut self) -> Result<(), StoreError> {
        sql("RELEASE SAVEPOINT change").run(self).await.map(drop)
    }
    pub async fn undo(&mut self) -> Result<(), StoreError> {
        sql("ROLLBACK TO SAVEPOINT change").run(self).await?;
        self.keep().await
    }
}

/// Where a statement runs: `&Db` reads on a pooled connection, `&mut Tx` is inside that transaction.
pub enum On<'a> {
    Reads(&'a Db),
    Inside(&'a mut Tx),
}

impl<'a> From<&'a Db> for On<'a> {
    fn from(db: &'a Db) -> Self {
        On::Reads(db)
    }
}
impl<'a> From<&'a mut Tx> for On<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        On::Inside(tx)
    }
}

/// One statement with its values: `sql("SELECT … WHERE tenant_id = $1").bind(scope.tenant()).all(&self.db)`.
#[must_use = "a statement does nothing until it is run"]
pub struct Statement {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

/// A statement with fixed text.
pub fn sql(text: &'static str) -> Statement {
    Statement {
        text: Cow::Borrowed(text),
        values: Vec::new(),
    }
}

/// A statement put together from fixed pieces. Values are always bound, never written into the text.
pub(crate) fn assembled(text: String) -> Statement {
    Statement {
        text: Cow::Owned(text),
        values: Vec::new(),
    }
}

impl Statement {
    /// The next `$n`.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Adds a piece of text; `?` in it stands for the next value.
    pub(crate) fn and(mut self, piece: &'static str, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        let number = format!("${}", self.values.len());
        let text = self.text.to_mut();
        text.push(' ');
        text.push_str(&piece.replace('?', &number));
        self
    }

    /// Adds a piece of text without a value.
    pub(crate) fn then(mut self, piece: &'static str) -> Self {
        let text = self.text.to_mut();
        text.push(' ');
        text.push_str(piece);
        self
    }

    /// Adds `piece IN (…)`; of nothing, nothing is found.
    pub(crate) fn among<V: Into<Value>>(
        mut self,
        piece: &'static str,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        self = self.then(piece).then("IN (NULL");
        for value in values {
            self = self.and(", ?", value);
        }
        self.then(")")
    }

    pub async fn all<'a>(self, on: impl Into<On<'a>>) -> Result<Vec<Row>, StoreError> {
        match on.into() {
            On::Reads(Db::Sqlite(db)) => sqlite::all(self.text_and_values(), &db.read).await,
            On::Inside(Tx::Sqlite(tx)) => sqlite::all(self.text_and_values(), &mut **tx).await,
        }
    }

    /// The first row, if there is one.
    pub async fn optional<'a>(self, on: impl Into<On<'a>>) -> Result<Option<Row>, StoreError> {
        Ok(self.all(on).await?.into_iter().next())
    }

    /// The first row, or `NotFound`.
    pub async fn one<'a>(self, on: impl Into<On<'a>>) -> Result<Row, StoreError> {
        self.optional(on).await?.ok_or(StoreError::NotFound)
    }

    /// Runs a change and says how many rows it touched. Changes run inside a transaction only.
    pub async fn run(self, tx: &mut Tx) -> Result<u64, StoreError> {
        match tx {
            Tx::Sqlite(tx) => sqlite::run(self.text_and_values(), &mut **tx).await,
        }
    }

    /// Runs a change that must touch exactly one row, or `NotFound`.
    pub async fn run_one(self, tx: &mut Tx) -> Result<(), StoreError> {
        match self.run(tx).await? {
            0 => Err(StoreError::NotFound),
            _ => Ok(()),
        }
    }

    fn text_and_values(self) -> (sqlx::SqlStr, Vec<Value>) {
        use sqlx::SqlSafeStr;
        let text = match self.text {
            Cow::Borrowed(text) => text.into_sql_str(),
            // Assembled from literals of this crate; see `assembled` and `and`.
            Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
        };
        (text, self.values)
    }
}

/// What a failed migration means to the person who started the program.
pub(super) fn migration_error(error: sqlx::migrate::MigrateError, known: i64) -> StoreError {
    use sqlx::migrate::MigrateError;
    match error {
        MigrateError::VersionMissing(found) if found > known => {
            StoreError::NewerSchema { found, known }
        }
        MigrateError::VersionMissing(version)
        | MigrateError::VersionMismatch(version)
        | MigrateError::Dirty(version) => StoreError::ForeignSchema(version),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => {
            tracing::error!(error = %other, "migration");
            StoreError::Unavailable(Trouble::Io)
        }
    }
}
