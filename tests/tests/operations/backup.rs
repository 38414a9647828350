//! Backups taken while a campaign writes: each restored copy is whole.

use anyhow::{Context, Result, ensure};
use huying::config::Config;
use huying::gateway::{Callee, Line, When};
use huying::{backup, serve};
use pgserver::Server;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::api::{Api, text};
use tests::house::{House, PASSWORD, deaf, hears, loopback};
use tests::{campaign, sound};

const CALLEES: [&str; 8] = [
    "13800138000",
    "13800138001",
    "13800138002",
    "13800138003",
    "13800138004",
    "13800138005",
    "13800138006",
    "13800138007",
];

#[tokio::test(flavor = "multi_thread")]
async fn backups_taken_while_a_campaign_writes_are_restored_whole() -> Result<()> {
    let house = House::open(hears("可以")).await?;
    let trunk = house.trunk().await?;
    let plan = campaign::plan(&house, &trunk, &CALLEES).await?;
    let yes: std::sync::Arc<[i16]> = sound::phrase("demo-yes-speak-f")?.into();
    let talks = |lines: usize| Callee::Talks {
        rings: Duration::ZERO,
        lines: vec![
            Line {
                when: When::RobotDone,
                speech: yes.clone()
            };
            lines
        ],
        hangs_up: true,
    };
    let callees = CALLEES.iter().enumerate().map(|(n, number)| {
        let callee = if n % 4 == 3 { Callee::Busy } else { talks(1) };
        ((*number).to_owned(), vec![callee])
    });
    let mut events = house.events();
    let _gateway = house.gateway(callees.collect::<HashMap<_, _>>()).await?;
    plan.start(&house).await?;

    // One at the first answer, one at each of some ends: calls are up at each of these moments.
    let config = loopback(&house.data());
    let outside = tempfile::tempdir()?;
    let mut backups: Vec<PathBuf> = Vec::new();
    events
        .next("call.answered", Duration::from_secs(60), |_| true)
        .await?;
    for (n, name) in ["a.zip", "b", "c.zip"].into_iter().enumerate() {
        if n > 0 {
            events
                .next("call.ended", Duration::from_secs(60), |_| true)
                .await?;
        }
        let to = outside.path().join(name);
        let taken = backup::take(&config, None, &to, n > 0).await?;
        ensure!(taken.problems.is_empty(), "{:?}", taken.problems);
        ensure!(
            taken.manifest.rows["attempts"] > 0,
            "{:?}",
            taken.manifest.rows
        );
        backups.push(to);
    }
    let again = backup::take(&config, None, &backups[0], false).await;
    ensure!(
        again
            .err()
            .is_some_and(|error| error.to_string().contains("FIX")),
        "never over another"
    );
    let used = backup::restore(&config, &backups[0])
        .await
        .err()
        .context("the folder is in use")?;
    ensure!(used.to_string().contains("another huying uses"), "{used:#}");
    house.close().await;

    for from in &backups {
        restored(from, outside.path())
            .await
            .with_context(|| from.display().to_string())?;
    }
    damaged(&backups[1]).await
}

/// Restored into a folder of its own and started there: the books balance and each answered call has its turns.
async fn restored(from: &Path, outside: &Path) -> Result<()> {
    let manifest = backup::check(from).await?;
    let name = from.file_stem().context("a name")?;
    let data = outside.join("restored").join(name);
    let config = loopback(&data);
    ensure!(backup::restore(&config, from).await? == manifest);
    let second = backup::restore(&config, from)
        .await
        .err()
        .context("it is not empty any more")?;
    ensure!(second.to_string().contains("FIX"), "{second:#}");
    let hashes = huying::backup::check(from).await?;
    ensure!(hashes.files.len() == manifest.files.len());

    let running = serve::start(&config, deaf()).await?;
    let api = Api::sign_in(&format!("http://{}", running.http), "acme", PASSWORD).await?;
    let balance = api.get("/balance").await?;
    let mut available = 0;
    for posting in api.all("/ledger").await? {
        let entries = posting["entries"].as_array().context("entries")?;
        let sum: i64 = entries
            .iter()
            .filter_map(|entry| entry["amount_minor"].as_i64())
            .sum();
        ensure!(sum == 0, "{posting}");
        available += posting["available_minor"].as_i64().unwrap_or(0);
    }
    ensure!(
        balance["available_minor"] == available,
        "{available}: {balance}"
    );
    ensure!(
        balance["reserved_minor"] == 0,
        "nothing stays reserved: {balance}"
    );
    for call in api.all("/calls").await? {
        let page = api.get(&format!("/calls/{}", text(&call, "id")?)).await?;
        let turns = page["turns"].as_array().map_or(0, Vec::len);
        ensure!(!talked(&page) || turns > 0, "no turns: {page}");
    }
    let live = api.get("/live-calls").await?;
    ensure!(live["data"] == serde_json::json!([]), "{live}");
    running.stop(std::future::ready(())).await;
    Ok(())
}

/// Answered and ended in good order.
fn talked(page: &Value) -> bool {
    page["answered_at"].is_string() && page["disposition"] == "answered"
}

/// One byte of one file is another: it is seen before anything is touched.
async fn damaged(folder: &Path) -> Result<()> {
    let prompts = folder.join("prompts");
    let mut inner = prompts.clone();
    while inner.is_dir() {
        let first = std::fs::read_dir(&inner)?.next().context("a prompt")??;
        inner = first.path();
    }
    let mut bytes = std::fs::read(&inner)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&inner, bytes)?;
    let error = backup::check(folder).await.err().context("it is damaged")?;
    ensure!(format!("{error:#}").contains("is damaged"), "{error:#}");
    let data = tempfile::tempdir()?;
    ensure!(
        backup::restore(&loopback(data.path()), folder)
            .await
            .is_err()
    );
    let left: Vec<_> = std::fs::read_dir(data.path())?
        .filter_map(Result::ok)
        .collect();
    ensure!(
        left.iter().all(|file| file.file_name() == "huying.lock"),
        "{left:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_backed_up_by_its_own_tools_and_restored_into_an_empty_database() -> Result<()>
{
    let server = Server::start()?;
    server.sql("postgres", "CREATE ROLE huying_app LOGIN PASSWORD 's:cret'")?;
    for database in ["one", "two"] {
        server.sql(
            "postgres",
            &format!("CREATE DATABASE {database} OWNER huying_app"),
        )?;
    }
    let address = |database| server.loopback("huying_app", "s%3Acret", database);
    let house = House::on(&address("one"), deaf()).await?;
    house.extension("1001").await?;
    let outside = tempfile::tempdir()?;
    let file = outside.path().join("backup.zip");
    let of = |database, data: &Path| Config {
        database: address(database),
        ..loopback(data)
    };
    let taken = backup::take(&of("one", &house.data()), None, &file, false).await?;
    ensure!(
        taken.manifest.rows["extensions"] == 1 && taken.problems.is_empty(),
        "{:?}",
        taken.manifest.rows
    );
    let data = outside.path().join("data");
    let full = backup::restore(&of("one", &data), &file)
        .await
        .err()
        .context("it is not empty")?;
    ensure!(full.to_string().contains("FIX"), "{full:#}");
    house.close().await;

    let config = of("two", &data);
    backup::check(&file).await?;
    backup::restore(&config, &file).await?;
    let running = serve::start(&config, deaf()).await?;
    let api = Api::sign_in(&format!("http://{}", running.http), "acme", PASSWORD).await?;
    let extensions = api.all("/extensions").await?;
    ensure!(
        extensions.len() == 1 && extensions[0]["number"] == "1001",
        "{extensions:?}"
    );
    running.stop(std::future::ready(())).await;
    Ok(())
}
