//! Stories of the store, each on both databases, each in a database of its own.

mod calls;
mod cutting;
mod databases;
mod dialling;
mod faults;
mod house;
mod imports;
mod journal;
mod money;
mod opening;
mod rules;
mod spool;
mod tenancy;
