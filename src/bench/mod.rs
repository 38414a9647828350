//! `huying bench`: what the engine costs. Each bench starts this same binary as a process of its own (`huying serve` on
//! loopback, a folder that is thrown away), loads it from outside, and reads from /proc what it used: the process on one
//! core, the load generator on another.
//!
//! Map: `report` (cases, table, JSON) · `cores` (who runs where) · `process` (a measured process, its CPU and memory) ·
//! `child` (huying as one) · `office` (extensions to load) · `robots` (campaigns to load) · `rtp` (packets with a
//! time stamp) · `sip`, `media`, `speech` (the benches) · `peer` (rtpengine beside us) · `db` (the store, in this process).

mod child;
mod cores;
mod db;
mod media;
mod office;
mod peer;
mod process;
mod report;
mod robots;
mod rtp;
mod sip;
mod speech;

use crate::cli::Bench;
use crate::config::Config;
use anyhow::Result;

pub async fn run(config: &Config, bench: Bench) -> Result<i32> {
    let (report, output) = match bench {
        Bench::Sip { count, output } => (sip::run(config, count, &output).await?, output),
        Bench::Media {
            calls,
            seconds,
            output,
        } => (media::run(config, calls, seconds, &output).await?, output),
        Bench::Db {
            leads,
            calls,
            pace,
            output,
        } => {
            let sizes = db::Sizes { leads, calls, pace };
            (db::run(config, sizes).await?, output)
        }
        Bench::Speech {
            dir,
            template,
            output,
        } => match speech::run(config, &dir, template.as_deref(), &output).await? {
            Some(report) => (report, output),
            None => return Ok(1),
        },
    };
    report.print(output.json);
    Ok(0)
}
