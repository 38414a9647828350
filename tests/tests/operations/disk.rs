//! A disk that fills up under live calls, and has room again.

use anyhow::{Context, Result, ensure};
use huying::config::Config;
use huying::gateway::Callee;
use serde_json::json;
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tests::api::text;
use tests::house::{House, hears, loopback};
use tests::{SOON, campaign, eventually};

const FIRST: &str = "13800138000";
const SECOND: &str = "13800138001";
/// Of the small disk, and of it what is kept free.
const SIZE_MB: u64 = 96;
const RESERVE_MB: u64 = 16;

/// A disk of its own, in memory; gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount.
    fn mount(at: &Path) -> Option<SmallDisk> {
        let size = format!("size={SIZE_MB}m");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at);
        let mounted = command.output().is_ok_and(|done| done.status.success());
        mounted.then(|| SmallDisk(at.to_owned()))
    }

    /// Writes until so much is left.
    fn fill(&self, leave: u64) -> Result<()> {
        let stat = rustix::fs::statvfs(&self.0)?;
        let free = stat.f_bavail * stat.f_frsize;
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.filler())?;
        let block = vec![1; 1 << 16];
        for _ in 0..free.saturating_sub(leave) / block.len() as u64 {
            file.write_all(&block)?;
        }
        if leave == 0 {
            // The last page too.
            while file.write_all(&[1; 512]).is_ok() {}
        }
        Ok(())
    }

    fn make_room(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).output().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_recordings_and_new_calls_and_loses_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        println!("skipped: this user may not mount a small disk (root may)");
        return Ok(());
    };
    let config = Config {
        disk_reserve: RESERVE_MB,
        ..loopback(folder.path())
    };
    let house = House::open_as(&config, folder, hears("可以")).await?;
    let trunk = house.trunk().await?;
    let plan = campaign::plan(&house, &trunk, &[FIRST]).await?;
    // Says nothing: the robot asks again, and gives up in the end.
    let silent = || {
        vec![Callee::Talks {
            rings: Duration::ZERO,
            lines: Vec::new(),
            hangs_up: false,
        }]
    };
    let callees = [FIRST, SECOND].map(|number| (number.to_owned(), silent()));
    let _gateway = house.gateway(HashMap::from(callees)).await?;
    let mut events = house.events();
    plan.start(&house).await?;
    let long = Duration::from_secs(60);
    let answered = events.next("call.answered", long, |_| true).await?;

    // Less than the reserve is left.
    disk.fill((RESERVE_MB << 20) / 2)?;
    let paused = events.next("recording.paused", SOON, |_| true).await?;
    ensure!(paused["call"] == answered["call"], "{paused}");
    let (status, why) = house.api.beside("/readyz").await?;
    ensure!(
        status == 503 && why["reasons"][0]["code"] == "disk",
        "{why}"
    );
    let live = house.api.get("/live-calls").await?;
    ensure!(
        live["data"][0]["answered_at"].is_string(),
        "the call goes on: {live}"
    );
    let lead = json!({ "number": SECOND, "name": "Li", "campaign_id": plan.id });
    house.api.create("/leads", lead).await?;
    let all = json!({ "campaign_id": plan.id, "all_listed": true });
    house.api.post("/leads/enqueue", all).await?;
    let ended = events.next("call.ended", long, |_| true).await?;
    let record = house.record_of(&ended).await?;
    let kinds = |record: &serde_json::Value| -> Vec<String> {
        let events = record["events"].as_array().cloned().unwrap_or_default();
        let kind = |event: &serde_json::Value| text(event, "type").or_else(|_| text(event, "kind"));
        events.iter().filter_map(|event| kind(event).ok()).collect()
    };
    ensure!(
        kinds(&record).iter().any(|kind| kind == "recording.paused"),
        "{record}"
    );
    let live = house.api.get("/live-calls").await?;
    ensure!(live["data"] == json!([]), "nobody else was called: {live}");

    // Room again: the campaign goes on by itself.
    disk.make_room()?;
    let second = events.next("call.answered", long, |_| true).await?;
    let (status, why) = house.api.beside("/readyz").await?;
    ensure!(status == 200, "{why}");

    // Not a byte left: the second call ends all the same, and its record waits.
    disk.fill(0)?;
    let ended = events
        .next("call.ended", long, |data| data["call"] == second["call"])
        .await?;
    let (status, why) = house.api.beside("/readyz").await?;
    ensure!(status == 503, "{why}");
    disk.make_room()?;
    let record = house.record_of(&ended).await?;
    ensure!(record["answered_at"].is_string(), "{record}");
    let charge = record["charge_minor"].as_i64().context("a charge")?;
    ensure!(charge > 0, "{record}");
    let ready = eventually("it is ready again", SOON, async || {
        let (status, ready) = house.api.beside("/readyz").await?;
        Ok((status == 200).then_some(ready))
    });
    ready.await?;
    let balance = house.api.get("/balance").await?;
    ensure!(balance["reserved_minor"] == 0, "{balance}");
    house.close().await;
    drop(disk);
    Ok(())
}
