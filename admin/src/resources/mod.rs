//! One module per resource: its wire forms, its routes, what each route does. The `security` of a route is its door
//! (`doors`): `()` for everybody, else the permission it needs.

pub mod api_keys;
pub mod audit;
pub mod caller_numbers;
pub mod calls;
pub mod campaigns;
pub mod decisions;
pub mod do_not_call;
pub mod events;
pub mod extensions;
pub mod grading;
pub mod health;
pub mod imports;
pub mod leads;
pub mod ledger;
pub mod metrics;
pub mod platform;
pub mod prompts;
pub mod sessions;
pub mod settings;
pub mod setup;
pub mod template_parts;
pub mod templates;
pub mod timeline;
pub mod trunks;
pub mod users;
