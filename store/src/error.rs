//! One variant per decision a caller can take. The database's own text is logged where it arises (`db`) and goes no further.

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
    /// The copy that is taken before the schema changes.
    #[error(
        "no copy of the database could be made before its migration ({0}), so nothing was migrated"
    )]
    NoSnapshot(Trouble),
    /// A migration that was applied here has since changed: the file is not one of ours, or was edited.
    #[error("the database's schema {0} is not the one this release ships")]
    ForeignSchema(i64),
    #[error(
        "the database address is not understood: it is sqlite:PATH, a path, or postgres://user:password@host/database"
    )]
    Address,
    /// Another process has it for itself.
    #[error("another huying uses this database ({by})")]
    InUse { by: String },
    /// A stored value cannot be read back: a defect or a damaged file.
    #[error("stored data cannot be read: {0}")]
    Damaged(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Another process holds it.
    Locked,
    /// The server does not take our user, password or certificate, or the user may not do this.
    Login,
    /// The server has no such database.
    Missing,
    /// Another huying has taken it over since.
    Taken,
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
            Trouble::Login => {
                "it does not accept the user or the password, or the user may not do this"
            }
            Trouble::Missing => "the server has no such database",
            Trouble::Taken => "another huying has taken it over",
            Trouble::DiskFull => "the disk is full",
            Trouble::Io => "it does not answer",
            Trouble::Closed => "it is closing",
        })
    }
}

impl StoreError {
    /// Whether the same request may succeed later without anybody changing it.
    pub fn is_transient(&self) -> bool {
        // A refused login too: somebody will mend it, and what waits is kept until then.
        matches!(self, StoreError::Unavailable(trouble) if *trouble != Trouble::Closed)
    }
    pub(crate) fn conflict(field: &str) -> StoreError {
        StoreError::Conflict {
            field: field.to_owned(),
        }
    }
}
