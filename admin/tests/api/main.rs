//! The API as its clients meet it, in process: a real store on a temporary database, an engine whose other end is the test.

mod accounts;
mod calls;
mod devices;
mod document;
mod events;
mod evil;
mod examples;
mod exports;
mod house;
mod imports;
mod leads;
mod lists;
mod once;
mod problems;
mod regrading;
mod schema;
mod scopes;
mod server;
mod templates;
mod tenancy;
mod versions;
mod workbooks;
