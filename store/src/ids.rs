//! Ids of rows that only the store and its callers speak of.

use model::id::Uuid;
use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                $name(id)
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map($name)
            }
        }
    )+};
}

ids!(
    /// A signed-in person's session.
    SessionId,
    ApiKeyId,
    /// One posting of the ledger.
    PostingId,
    /// One verdict of the gate.
    DecisionId,
    AuditId,
    /// One file of leads that is, was or will be read.
    ImportId,
);

/// A fresh row id: sortable by time, minted here because the shell may read the clock.
pub fn fresh<T: From<Uuid>>() -> T {
    Uuid::now_v7().into()
}
