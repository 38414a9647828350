//! The only crate with SQL: what the call centre keeps.
//!
//! Map, from the ground up:
//! - `db` (the one door to a database: statements, values, transactions) · `error` (one variant per decision) · `ids` ·
//!   `scope` (whose data: `Scope`, `Platform`) · `store` (`Store`, pages) · `list` (filters, sorts, keyset pages) · `lanes` (calls before bulk) · `schema` (the lists
//!   the tests hold the schema and the functions to)
//! - configuration: `tenants` · `users` · `sessions` · `api_keys` · `setup` · `extensions` · `trunks` · `sip_accounts` ·
//!   `caller_numbers` · `templates` · `prompts` · `directory` (all of it as the switch wants it)
//! - dialling: `campaigns` · `leads` · `bulk` (many leads at once) · `imports` (files of them) · `suppression` · `claims` (due
//!   leads with the gate's facts)
//! - calls: `journal` (what outlives a kill, and the spool while the database is away) · `writer` (the one task every change of
//!   a running call goes through) · `attempts` (begin, deny) · `finish` (the end of a call, idempotent) · `calls` (records) ·
//!   `ledger` (money) · `bindings` · `recovery` (after a stop)
//!
//! Every function takes `&Scope` first (one tenant) or, on a short named list, `&Platform`. Keys are `(tenant_id, id)`, so a row
//! of another tenant is `NotFound`. `migrations/sqlite` and `migrations/postgres` are one schema in two dialects.
//!
//! Invariants: durable before visible (an attempt and its money are committed before anybody hears of them); what is
//! repeated changes nothing (begin, finish, postings); the database's own text never leaves this crate.

pub mod api_keys;
pub mod attempts;
pub mod audit;
pub mod backup;
pub mod bindings;
mod bulk;
pub mod caller_numbers;
pub mod calls;
pub mod campaigns;
pub mod claims;
mod code;
pub mod db;
pub mod decisions;
pub mod directory;
pub mod error;
pub mod extensions;
mod finish;
pub mod idempotency;
pub mod ids;
pub mod imports;
pub mod journal;
mod lanes;
pub mod leads;
pub mod ledger;
pub mod list;
pub mod metrics;
pub mod prompts;
pub mod recovery;
pub mod regrading;
pub mod schema;
pub mod scope;
pub mod sessions;
pub mod setup;
mod sip_accounts;
mod stopwatch;
pub mod store;
pub mod suppression;
pub mod templates;
pub mod tenants;
pub mod trunks;
pub mod users;
pub mod writer;

pub use db::{Cell, Db, Json, Row, Tx, sql};
pub use error::{StoreError, Trouble};
pub use ids::{ApiKeyId, AuditId, DecisionId, ImportId, PostingId, SessionId, fresh};
pub use journal::{Journal, JournalError};
pub use list::{Asked, Listing};
pub use scope::{Actor, Platform, Role, Scope};
pub use store::{MAX_PAGE, Page, Store};
pub use writer::{Overflow, Writer};
