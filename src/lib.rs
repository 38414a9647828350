//! The binary's parts: command line, settings, the running installation, the demo, the doctor, the benches.
//!
//! Map: `cli` · `config` · `log` · `database` (opened, with what to do when it cannot be) · `serve` (the product) · `backup`
//! (and restore) · `hearing` (which recogniser) · `models` · `journal` (shown) · `doctor` · `phones` (simulated
//! phones) · `gateway` (simulated voice gateway and callees) · `simulate` (campaigns in virtual time)
//! · `demo` · `bench`.

pub mod backup;
pub mod bench;
pub mod cli;
pub mod config;
pub mod database;
pub mod demo;
pub mod doctor;
pub mod gateway;
pub mod hearing;
pub mod journal;
pub mod log;
pub mod models;
pub mod phones;
pub mod serve;
pub mod simulate;
