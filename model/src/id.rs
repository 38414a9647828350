//! Typed ids. Row ids are UUIDv7 (sortable by time, mintable without the database, so that a call has its id before it has
//! a row); leg, play and request ids are counters inside one node and are never stored as keys.

use crate::time::Wall;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
pub use uuid::Uuid;

macro_rules! row_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map($name)
            }
        }
        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                $name(id)
            }
        }
    )+};
}

row_id!(
    /// An enterprise.
    TenantId,
    /// A person who signs in to the console or API.
    UserId,
    /// A SIP account of a softphone, desk phone or browser.
    ExtensionId,
    /// A peer with credentials, limits and numbers.
    TrunkId,
    CallerNumberId,
    TemplateId,
    /// One recorded (or later rendered) prompt of a template.
    PromptId,
    CampaignId,
    LeadId,
    /// One call, whatever its legs. For a robot call it also names the attempt and keys its charge.
    CallId,
);

macro_rules! counter_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);
    )+};
}

counter_id!(
    /// One party of a call inside this node: a dialog plus its media.
    LegId,
    /// One playing of one prompt to one leg.
    PlayId,
    /// One recognition asked for.
    RequestId,
);

/// Mints ids from chance handed in by a root, so that the same seed gives the same ids.
pub trait Minter {
    /// Ten fresh random bytes.
    fn entropy(&mut self) -> [u8; 10];

    fn mint<T: From<Uuid>>(&mut self, now: Wall) -> T
    where
        Self: Sized,
    {
        let entropy = self.entropy();
        uuid::Builder::from_unix_timestamp_millis(now.as_millis().max(0) as u64, &entropy)
            .into_uuid()
            .into()
    }
}
