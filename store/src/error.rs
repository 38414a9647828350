//! One variant per decision a caller can take. The database's own text is logged here and goes no further.

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Not there, or another tenant's: the caller cannot tell which.
    #[error("not found")]
    NotFound,
    /// Another row already has this value.
    #[error("`{field}` is already taken")]
    Conflict { field: String },
    /// It changed since it was read: read again, then decide.
    #[error("it changed in the meantime")]
    Stale,
    /// It is in a state in which this cannot be done; the state is named.
    #[error("not possible while {state}")]
    WrongState { state: &'static str },
    /// It refers to something that is not there, or is still referred to.
    #[error("refers to something that is not there, or is still in use")]
    Reference,
    /// A value the schema does not take.
    #[error("`{field}` is not acceptable")]
    Invalid { field: &'static str },
    /// The balance does not cover it.
    #[error("the balance does not cover it")]
    Balance,
    /// The role or key does not allow it.
    #[error("not allowed")]
    Forbidden,
    /// The bounded queue to the writer is full.
    #[error("too many changes are waiting to be written")]
    Overloaded,
    /// The database cannot be used just now; trying again may help.
    #[error("the database is unavailable: {0}")]
    Unavailable(Trouble),
    /// The database was written by a newer release.
    #[error(
        "the database has schema {found}, this release knows {known}: run the newer release, or restore the backup taken before it"
    )]
    NewerSchema { found: i64, known: i64 },
    /// A migration that was applied here has since changed: the file is not one of ours, or was edited.
    #[error("the database's schema {0} is not the one this release ships")]
    ForeignSchema(i64),
    #[error("the database address is not understood: it begins with `sqlite:` or names a file")]
    Address,
    /// A stored value cannot be read back: a defect or a damaged file.
    #[error("stored data cannot be read: {0}")]
    Damaged(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Another process holds it.
    Locked,
    /// The disk is full.
    DiskFull,
    /// Reading or writing its file failed, or its server is gone.
    Io,
    /// It is being closed.
    Closed,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Trouble::Locked => "locked by another process",
            Trouble::DiskFull => "the disk is full",
            Trouble::Io => "it does not answer",
            Trouble::Closed => "it is closing",
        })
    }
}

impl StoreError {
    /// Whether the same request may succeed later without anybody changing it.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            StoreError::Unavailable(Trouble::Locked | Trouble::DiskFull | Trouble::Io)
        )
    }
    pub(crate) fn conflict(field: &str) -> StoreError {
        StoreError::Conflict {
            field: field.to_owned(),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        use sqlx::error::ErrorKind;
        let told = match &error {
            sqlx::Error::RowNotFound => StoreError::NotFound,
            sqlx::Error::Database(database) => match database.kind() {
                ErrorKind::UniqueViolation => {
                    return StoreError::Conflict {
                        field: taken_field(database.as_ref()),
                    };
                }
                ErrorKind::ForeignKeyViolation => return StoreError::Reference,
                ErrorKind::NotNullViolation | ErrorKind::CheckViolation => {
                    StoreError::Invalid { field: "value" }
                }
                _ => database
                    .code()
                    .map_or(StoreError::Unavailable(Trouble::Io), |code| {
                        // SQLite's primary result code is the low byte of the extended one.
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
}

/// The column that was to be unique. SQLite names the columns in its message, `UNIQUE constraint failed: t.a, t.b`; the last
/// one is what a person typed, the ones before it are the tenant and the parent. Where uniqueness belongs to a named
/// constraint, its name ends in the field.
fn taken_field(error: &dyn sqlx::error::DatabaseError) -> String {
    if let Some(constraint) = error.constraint() {
        return constraint
            .trim_end_matches("_key")
            .rsplit('_')
            .next()
            .unwrap_or("id")
            .to_owned();
    }
    let column = error
        .message()
        .rsplit(['.', ' '])
        .next()
        .unwrap_or_default();
    let is_name = !column.is_empty()
        && column
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name {
        column.to_owned()
    } else {
        "id".to_owned()
    }
}
