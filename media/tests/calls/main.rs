//! Whole calls in virtual time: a worker, phones at the ends of its legs, and a network between them.

mod bridges;
mod keys;
mod networks;
mod robots;
mod sources;
mod stage;
