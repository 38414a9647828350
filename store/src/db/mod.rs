//! The one door to a database: an address is opened and migrated, statements are run on a read connection or inside a
//! writing transaction. One SQL text with `$1` serves both databases; what differs stays in this folder.
//!
//! Map: `address` (which database, and where) · `sqlite`, `postgres` (each with its own schema in `migrations`) · `value` (what
//! goes into a statement and comes out of a row).
//!
//! Both have one writing connection and a pool that only reads. SQLite begins with `BEGIN IMMEDIATE`, so that a writer waits
//! instead of failing half-way.
//!
//! Writing SQL for both: bind values with their type (`Value`), booleans as `bool`; cast sums (`CAST(SUM(x) AS BIGINT)`); name
//! the table in `DO UPDATE SET x = table.x + excluded.x`; search text with `Statement::and_holds`; do not go on in a transaction
//! after a statement failed in it, but by `undo`.

/// Binds values, in their order; both databases have the same forms.
macro_rules! bound {
    ($query:expr, $values:expr) => {
        $values
            .into_iter()
            .fold($query, |query, value| match value {
                Value::Int(v) => query.bind(v),
                Value::Bool(v) => query.bind(v),
                Value::Text(v) => query.bind(v),
                Value::Bytes(v) => query.bind(v),
                Value::Uuid(v) => query.bind(v),
            })
    };
}

mod address;
mod postgres;
pub(crate) mod snapshot;
mod sqlite;
mod value;

pub use address::shown;
pub use postgres::held::Held;
pub use snapshot::Looked;
pub use value::{Cell, Json, Row, Value};

use crate::error::{StoreError, Trouble};
use address::Address;
use sqlx::AssertSqlSafe;
use std::borrow::Cow;

/// An open database. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Db {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

impl Db {
    /// Opens `sqlite:path`, a plain path (either is created where it is missing) or `postgres://…`, and brings its schema up
    /// to date. Others may have it open too.
    pub async fn open(address: &str) -> Result<Db, StoreError> {
        Db::open_as(address, false).await
    }

    /// The same for this process alone: `InUse` while another one has it so. (SQLite: the caller locks the data folder.)
    pub async fn open_alone(address: &str) -> Result<Db, StoreError> {
        Db::open_as(address, true).await
    }

    async fn open_as(address: &str, alone: bool) -> Result<Db, StoreError> {
        match Address::parse(address)? {
            Address::Sqlite(path) => Ok(Db::Sqlite(sqlite::open(path).await?)),
            Address::Postgres(options) => Ok(Db::Postgres(postgres::open(*options, alone).await?)),
        }
    }

    /// The schema a database has (`None`: not made yet) and the one this release knows; looks only.
    pub async fn schema(address: &str) -> Result<(Option<i64>, i64), StoreError> {
        match Address::parse(address)? {
            Address::Sqlite(path) => sqlite::schema(path).await,
            Address::Postgres(options) => postgres::schema(&options).await,
        }
    }

    /// One state of a PostgreSQL database, for `pg_dump` to write out and to be compared with.
    pub async fn hold(address: &str) -> Result<Held, StoreError> {
        match Address::parse(address)? {
            Address::Sqlite(_) => Err(StoreError::Address),
            Address::Postgres(options) => postgres::held::hold(&options).await,
        }
    }

    /// What a database holds that nobody changes meanwhile, and what is wrong with it.
    pub async fn look(address: &str) -> Result<Looked, StoreError> {
        match Address::parse(address)? {
            Address::Sqlite(path) => snapshot::look(std::path::Path::new(path)).await,
            Address::Postgres(options) => postgres::held::look(&options).await,
        }
    }

    /// The file an address names, where it is a file's.
    pub fn sqlite_path(address: &str) -> Result<&str, StoreError> {
        match Address::parse(address)? {
            Address::Sqlite(path) => Ok(path),
            Address::Postgres(_) => Err(StoreError::Address),
        }
    }

    /// Begins the one writing transaction; others wait their turn. Dropped without `commit`, it is rolled back.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        match self {
            Db::Sqlite(db) => Ok(Tx::Sqlite(db.begin().await?)),
            Db::Postgres(db) => Ok(Tx::Postgres(db.begin().await?)),
        }
    }

    /// Waits for running statements and closes; SQLite checkpoints.
    pub async fn close(&self) {
        match self {
            Db::Sqlite(db) => db.close().await,
            Db::Postgres(db) => db.close().await,
        }
    }
}

/// A writing transaction.
pub enum Tx {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(postgres::Transaction),
}

impl Tx {
    /// Makes the changes durable (SQLite: `synchronous=FULL`). After an error it is unknown whether they are: whatever is
    /// retried must be idempotent.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self {
            Tx::Sqlite(tx) => tx.commit().await.map_err(sqlite::told),
            Tx::Postgres(tx) => tx.commit().await,
        }
    }
    pub async fn rollback(self) -> Result<(), StoreError> {
        match self {
            Tx::Sqlite(tx) => tx.rollback().await.map_err(sqlite::told),
            Tx::Postgres(tx) => tx.rollback().await,
        }
    }
    /// From here on `undo` takes back what follows, and nothing before it.
    pub async fn savepoint(&mut self) -> Result<(), StoreError> {
        self.command("SAVEPOINT change").await
    }
    pub async fn keep(&mut self) -> Result<(), StoreError> {
        self.command("RELEASE SAVEPOINT change").await
    }
    pub async fn undo(&mut self) -> Result<(), StoreError> {
        self.command("ROLLBACK TO SAVEPOINT change").await?;
        self.keep().await
    }
    async fn command(&mut self, text: &'static str) -> Result<(), StoreError> {
        match self {
            Tx::Sqlite(_) => sql(text).run(self).await.map(drop),
            Tx::Postgres(tx) => tx.command(text).await,
        }
    }

    /// Behind a SELECT whose rows are taken: rows that another transaction is about to take are left to it. SQLite has one
    /// writer and needs nothing.
    pub(crate) fn skip_locked(&self) -> &'static str {
        match self {
            Tx::Sqlite(_) => "",
            Tx::Postgres(_) => "FOR UPDATE SKIP LOCKED",
        }
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

    /// Adds `piece IN (…)`; of nothing, nothing is found. The last value is repeated up to a power of two, so that the texts
    /// a database prepares are few.
    pub(crate) fn among<V: Into<Value>>(
        mut self,
        piece: &'static str,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let mut values: Vec<Value> = values.into_iter().map(Into::into).collect();
        if let Some(last) = values.last().cloned() {
            values.resize(values.len().next_power_of_two(), last);
        }
        self = self.then(piece).then("IN (NULL");
        for value in values {
            self = self.and(", ?", value);
        }
        self.then(")")
    }

    /// Adds that `column` holds what somebody typed, anywhere, capital or small (of A to Z); `piece` is all before the column.
    pub(crate) fn and_holds(self, piece: &'static str, column: &'static str, typed: &str) -> Self {
        // What people type is text, not a pattern.
        let literal = typed
            .replace('!', "!!")
            .replace('%', "!%")
            .replace('_', "!_");
        self.then(piece)
            .then("lower(")
            .then(column)
            .and(") LIKE lower(?) ESCAPE '!'", format!("%{literal}%"))
    }

    pub async fn all<'a>(self, on: impl Into<On<'a>>) -> Result<Vec<Row>, StoreError> {
        match on.into() {
            On::Reads(Db::Sqlite(db)) => db.all(self.text_and_values()).await,
            On::Reads(Db::Postgres(db)) => db.all(self.text_and_values()).await,
            On::Inside(Tx::Sqlite(tx)) => sqlite::all(self.text_and_values(), &mut **tx).await,
            On::Inside(Tx::Postgres(tx)) => tx.all(self.text_and_values()).await,
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
            Tx::Postgres(tx) => tx.run(self.text_and_values()).await,
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
fn migration_error(
    error: sqlx::migrate::MigrateError,
    known: i64,
    told: fn(sqlx::Error) -> StoreError,
) -> StoreError {
    use sqlx::migrate::MigrateError;
    match error {
        MigrateError::VersionMissing(found) if found > known => {
            StoreError::NewerSchema { found, known }
        }
        MigrateError::VersionMissing(version)
        | MigrateError::VersionMismatch(version)
        | MigrateError::Dirty(version) => StoreError::ForeignSchema(version),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => told(error),
        other => {
            tracing::error!(error = %other, "migration");
            StoreError::Unavailable(Trouble::Io)
        }
    }
}
