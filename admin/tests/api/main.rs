//! The API as its clients meet it, in process: a real store on a temporary database, an engine whose other end is the test.

mod accounts;
mod calls;
mod devices;
mod document;
mod events;
mod house;
mod leads;
mod problems;
mod server;
mod templates;
mod tenancy;
