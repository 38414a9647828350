//! The only crate with SQL: what the call centre keeps.

pub mod api_keys;
pub mod caller_numbers;
mod cursor;
pub mod campaigns;
mod code;
pub mod db;
pub mod error;
pub mod extensions;
pub mod ids;
mod lanes;
pub mod leads;
pub mod prompts;
pub mod scope;
pub mod sessions;
pub mod setup;
mod sip_accounts;
pub mod store;
pub mod suppression;
pub mod templates;
pub mod tenants;
pub mod trunks;
pub mod users;

pub use db::{Cell, Db, Json, Row, Tx, sql};
pub use error::{StoreError, Trouble};
pub use ids::{ApiKeyId, AuditId, DecisionId, PostingId, SessionId, fresh};
pub use scope::{Actor, Platform, Role, Scope};
pub use store::{MAX_PAGE, Page, Store};
