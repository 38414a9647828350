//! The only crate with SQL: what the call centre keeps.

pub mod db;
pub mod error;
pub mod ids;
pub mod scope;
pub mod store;

pub use db::{Cell, Db, Json, Row, Tx, sql};
pub use error::{StoreError, Trouble};
pub use ids::{ApiKeyId, AuditId, DecisionId, PostingId, SessionId, fresh};
pub use scope::{Actor, Platform, Role, Scope};
pub use store::{MAX_PAGE, Page, Store};
