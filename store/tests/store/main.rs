//! Stories of the store, each against a database file of its own.

mod calls;
mod dialling;
mod house;
mod measure;
mod money;
mod opening;
mod rules;
mod tenancy;
