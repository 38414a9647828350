//! One state of a whole database, held while `pg_dump` writes it out.

use super::connect;
use super::told::told;
use crate::db::AssertSqlSafe;
use crate::db::snapshot::{Looked, UNBALANCED, WRONG};
use crate::error::StoreError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor};

/// Let go when dropped. Writers are not kept from writing.
pub struct Held {
    /// For `pg_dump --snapshot`.
    pub id: String,
    pub looked: Looked,
    _connection: PgConnection,
}

pub async fn hold(options: &PgConnectOptions) -> Result<Held, StoreError> {
    let mut connection = connect(options).await?;
    let (id, looked) = read(&mut connection).await.map_err(told)?;
    Ok(Held {
        id,
        looked,
        _connection: connection,
    })
}

/// What a database holds.
pub async fn look(options: &PgConnectOptions) -> Result<Looked, StoreError> {
    let mut connection = connect(options).await?;
    let (_, looked) = read(&mut connection).await.map_err(told)?;
    connection.close().await.ok();
    Ok(looked)
}

async fn read(connection: &mut PgConnection) -> Result<(String, Looked), sqlx::Error> {
    connection
        .execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    let id = sqlx::query_scalar("SELECT pg_export_snapshot()")
        .fetch_one(&mut *connection)
        .await?;
    let mut looked = Looked::default();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename",
    )
    .fetch_all(&mut *connection)
    .await?;
    if !tables.iter().any(|table| table == "_sqlx_migrations") {
        looked.problems.push("it is no database of ours".to_owned());
        return Ok((id, looked));
    }
    looked.schema = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(&mut *connection)
        .await?;
    for table in tables {
        // The name comes from the schema itself.
        let quoted = table.replace('"', "\"\"");
        let count = AssertSqlSafe(format!("SELECT count(*) FROM \"{quoted}\""));
        let rows: i64 = sqlx::query_scalar(count)
            .fetch_one(&mut *connection)
            .await?;
        looked.rows.insert(table, rows.max(0) as u64);
    }
    let unbalanced = sqlx::query_scalar(UNBALANCED)
        .fetch_one(&mut *connection)
        .await?;
    let wrong = sqlx::query_scalar(WRONG)
        .fetch_one(&mut *connection)
        .await?;
    looked.books(unbalanced, wrong);
    Ok((id, looked))
}
