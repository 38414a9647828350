//! What an error of PostgreSQL, or on the way to it, means to the caller.

use crate::error::{StoreError, Trouble};
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// RAISEd by the ledger's triggers; see the migrations.
const LEDGER: &str = "LG001";

/// The decision a caller can take. The text stays in the log.
pub(super) fn told(error: sqlx::Error) -> StoreError {
    let told = match &error {
        sqlx::Error::RowNotFound => return StoreError::NotFound,
        sqlx::Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => by_code(error),
            None => StoreError::Unavailable(Trouble::Io),
        },
        sqlx::Error::PoolClosed => StoreError::Unavailable(Trouble::Closed),
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_) => StoreError::Damaged("a column"),
        // No connection, none within the time there is, or one that was lost.
        _ => StoreError::Unavailable(Trouble::Io),
    };
    if !matches!(told, StoreError::Conflict { .. } | StoreError::Reference) {
        tracing::warn!(%error, told = %told, "database");
    }
    told
}

/// By SQLSTATE (PostgreSQL manual, appendix A).
fn by_code(error: &PgDatabaseError) -> StoreError {
    match error.code() {
        "23505" => StoreError::Conflict {
            field: taken_field(error.detail().unwrap_or_default()),
        },
        "23503" => StoreError::Reference,
        "23502" | "23514" => StoreError::Invalid { field: "value" },
        LEDGER => StoreError::Forbidden,
        // Serialisation, deadlock, a lock that was not given: nothing was done, and it may be done again.
        "40001" | "40P01" | "55P03" => StoreError::Unavailable(Trouble::Locked),
        "53100" => StoreError::Unavailable(Trouble::DiskFull),
        "3D000" => StoreError::Unavailable(Trouble::Missing),
        "42501" => StoreError::Unavailable(Trouble::Login),
        "25P02" => StoreError::Damaged("a transaction that had failed was used further"),
        // A standby after a fail-over takes no changes until it is promoted.
        "25006" => StoreError::Unavailable(Trouble::Io),
        code => match &code[..2] {
            "28" => StoreError::Unavailable(Trouble::Login),
            // 54: an indexed value that is longer than an index takes.
            "22" | "54" => StoreError::Invalid { field: "value" },
            "42" => StoreError::Damaged("a statement and the schema disagree"),
            // Connections, resources, an operator's intervention, the system's errors.
            "08" | "53" | "55" | "57" | "58" => StoreError::Unavailable(Trouble::Io),
            _ => StoreError::Damaged("the database"),
        },
    }
}

/// The column that was to be unique, out of `Key (tenant_id, number)=(…, …) already exists.`: the last one is what a person
/// typed, the ones before it are the tenant and the parent.
fn taken_field(detail: &str) -> String {
    let columns = detail
        .split_once("Key (")
        .and_then(|(_, rest)| rest.split_once(")="))
        .map_or("id", |(columns, _)| columns);
    columns.rsplit(", ").next().unwrap_or("id").to_owned()
}

/// Whether the connection is good for nothing more.
pub(super) fn lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => database
            .try_downcast_ref::<PgDatabaseError>()
            .is_none_or(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)),
        sqlx::Error::RowNotFound
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_that_is_taken_is_the_last_of_its_key() {
        let detail = "Key (tenant_id, number)=(0192…, 1001) already exists.";
        assert_eq!(taken_field(detail), "number");
        assert_eq!(taken_field("Key (login)=(a, b) already exists."), "login");
        assert_eq!(taken_field(""), "id");
    }
}
