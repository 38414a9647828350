//! PostgreSQL in the place of SQLite: `--database`, and nothing else to change.

use anyhow::{Context, Result, ensure};
use huying::config::Config;
use huying::gateway::{Callee, Line, When};
use huying::serve;
use pgserver::Server;
use std::collections::HashMap;
use std::time::Duration;
use tests::api::Api;
use tests::house::{House, PASSWORD, PER_MINUTE, deaf, hears, loopback};
use tests::{campaign, sound};

const AGREES: &str = "13800138000";
const BUSY: &str = "13800138001";
const SECRET: &str = "a-s3cret";

/// A server with a database of its own for huying, as an administrator would make it.
fn server() -> Result<(Server, String)> {
    let server = Server::start()?;
    let role = format!("CREATE ROLE huying_app LOGIN PASSWORD '{SECRET}'");
    server.sql("postgres", &role)?;
    server.sql("postgres", "CREATE DATABASE app OWNER huying_app")?;
    let address = server.loopback("huying_app", SECRET, "app");
    Ok((server, address))
}

/// The demo's template and audio, two of its callees; a recogniser that hears 可以 whatever is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_runs_and_its_books_are_there_after_a_restart() -> Result<()> {
    let (_server, address) = server()?;
    let house = House::on(&address, hears("可以")).await?;
    let trunk = house.trunk().await?;
    let plan = campaign::plan(&house, &trunk, &[AGREES, BUSY]).await?;
    let says = Line {
        when: When::RobotDone,
        speech: sound::phrase("demo-yes-speak-f")?.into(),
    };
    let agrees = Callee::Talks {
        rings: Duration::ZERO,
        lines: vec![says; 3],
        hangs_up: false,
    };
    let callees = HashMap::from([
        (AGREES.to_owned(), vec![agrees]),
        (BUSY.to_owned(), vec![Callee::Busy]),
    ]);
    let gateway = house.gateway(callees).await?;
    let mut events = house.events();
    plan.start(&house).await?;
    for _ in 0..2 {
        let ended = events
            .next("call.ended", Duration::from_secs(90), |_| true)
            .await?;
        house.record_of(&ended).await?;
    }
    drop(gateway);
    let second = serve::start(&on(&address, house.data().join("other").as_path()), deaf()).await;
    let refused = format!("{:#}", second.err().context("a second huying was let in")?);
    ensure!(
        refused.contains("another huying uses this database") && refused.contains("FIX"),
        "{refused}"
    );
    house.close().await;

    let folder = tempfile::tempdir()?;
    let running = serve::start(&on(&address, folder.path()), deaf()).await?;
    let api = Api::sign_in(&format!("http://{}", running.http), "acme", PASSWORD).await?;
    let calls = api.all("/calls").await?;
    let grade = |number: &str| {
        let call = calls.iter().find(|call| {
            call["callee"]
                .as_str()
                .is_some_and(|callee| callee.ends_with(number))
        });
        call.and_then(|call| call["grade"].as_str())
    };
    ensure!(
        calls.len() == 2 && grade(AGREES) == Some("A") && grade(BUSY) == Some("E"),
        "{calls:?}"
    );
    let charges = calls
        .iter()
        .filter_map(|call| call["charge_minor"].as_i64());
    let charged: i64 = charges.sum();
    let balance = api.get("/balance").await?;
    ensure!(
        charged >= PER_MINUTE
            && balance["available_minor"] == 10_000 - charged
            && balance["reserved_minor"] == 0,
        "{charged}: {balance}"
    );
    running.stop(std::future::ready(())).await;
    Ok(())
}

/// Whatever is wrong with the address, the answer says what to do, and never the password.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_address_says_what_to_do_and_keeps_the_password() -> Result<()> {
    let (server, right) = server()?;
    let folder = tempfile::tempdir()?;
    let port = |address: &str| address.replace(&right_port(&right), "1");
    for (address, told) in [
        (port(&right), "does not answer"),
        (
            server.loopback("huying_app", "another-s3cret", "app"),
            "user",
        ),
        (
            server.loopback("huying_app", SECRET, "nowhere"),
            "CREATE DATABASE",
        ),
        (
            format!("postgres://huying_app:{SECRET}@127.0.0.1:x/app"),
            "postgres://user:password@host",
        ),
        (
            format!("postgres://huying_app:{SECRET}/@127.0.0.1/app"),
            "%2F",
        ),
    ] {
        let refused = serve::start(&on(&address, folder.path()), deaf())
            .await
            .err();
        let refused = format!("{:#}", refused.context("it was let in")?);
        ensure!(
            refused.contains(told) && refused.contains("FIX") && !refused.contains("s3cret"),
            "{refused}"
        );
    }
    Ok(())
}

fn right_port(address: &str) -> String {
    let port = address.rsplit(':').next().unwrap_or_default();
    port.split('/').next().unwrap_or_default().to_owned()
}

fn on(database: &str, data: &std::path::Path) -> Config {
    Config {
        database: database.to_owned(),
        ..loopback(data)
    }
}
