//! The API against its own document, asked by a program no one here wrote: schemathesis makes requests of the document,
//! good ones and bad ones, sends them to the real `huying serve`, and compares. No answer may be a server error, of a status
//! the document does not tell of, or of another shape.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tests::api::{Api, text};
use tests::process::Process;
use tokio::process::Command;

/// `make test` installs this one, below the target folder.
const VERSION: &str = "4.32.5";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
    response_schema_conformance";
const PASSWORD: &str = "correct-horse";

/// The folder of this build: `target/debug`.
fn built() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent);
    Ok(folder.context("a test below target/debug/deps")?.to_owned())
}

fn schemathesis() -> Result<PathBuf> {
    let place = built()?.join(format!("../schemathesis-{VERSION}/bin/schemathesis"));
    ensure!(
        place.is_file(),
        "schemathesis {VERSION} is not installed. FIX: make schemathesis (`make test` does)"
    );
    Ok(place)
}

/// `huying serve` on loopback, in a folder of its own.
struct Server {
    process: Process,
    base: String,
    link: String,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Result<Server> {
        let program = built()?.join("huying");
        ensure!(
            program.is_file(),
            "{} is not built. FIX: cargo build --workspace (`make test` does)",
            program.display()
        );
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--http", "127.0.0.1:0", "--sip", "127.0.0.1:0"])
            .args([
                "--rtp-ports",
                "0",
                "--log",
                "warn",
                "--model",
                "none-in-this-test",
            ])
            .arg("--data")
            .arg(folder.path())
            .current_dir(folder.path());
        let process = Process::start(command, "huying")?;
        let link = tokio::time::timeout(Duration::from_secs(60), async {
            let mut look = tokio::time::interval(Duration::from_millis(50));
            loop {
                look.tick().await;
                let said = process.said();
                let link = said
                    .split_whitespace()
                    .find(|word| word.contains("/setup?token="));
                if let Some(link) = link {
                    return link.to_owned();
                }
            }
        })
        .await
        .with_context(|| format!("huying serve printed no set-up link:\n{}", process.said()))?;
        let base = link.split("/setup").next().unwrap_or_default().to_owned();
        Ok(Server {
            process,
            base,
            link,
            _folder: folder,
        })
    }
}

/// Things to ask for by their ids: else most answers would be 404.
async fn furnish(api: &Api) -> Result<String> {
    let trunk = text(
        &api.post("/trunks", json!({"name": "gateway", "user": "gw"}))
            .await?,
        "id",
    )?;
    let number = text(
        &api.post("/caller-numbers", json!({"number": "02188886666"}))
            .await?,
        "id",
    )?;
    let desk = json!({"number": "1001", "name": "desk"});
    let extension = text(&api.post("/extensions", desk).await?, "id")?;
    let template = json!({
        "name": "loan",
        "nodes": [
            {"key": "greet", "text": "您好,请问您需要贷款吗?", "negative_jump": "bye", "positive_jump": "bye"},
            {"key": "bye", "text": "好的,再见。", "terminate": true},
        ],
    });
    let template = text(&api.post("/templates", template).await?, "id")?;
    let plan = json!({
        "name": "autumn", "template_id": template, "caller_number_id": number, "trunk_id": trunk,
    });
    let campaign = text(&api.post("/campaigns", plan).await?, "id")?;
    let lead = json!({"number": "13800138000", "campaign_id": campaign});
    let lead = text(&api.post("/leads", lead).await?, "id")?;
    let bo = json!({"number": "7", "name": "Bo", "role": "agent", "password": PASSWORD});
    let user = text(&api.post("/users", bo).await?, "id")?;
    let mut settings = String::new();
    for (path, id) in [
        ("/trunks/{id}", &trunk),
        ("/caller-numbers/{id}", &number),
        ("/extensions/{id}", &extension),
        ("/templates/{id}", &template),
        ("/templates/{id}/findings", &template),
        ("/templates/{id}/nodes", &template),
        ("/templates/{id}/questions", &template),
        ("/templates/{id}/corrections", &template),
        ("/templates/{id}/prompts", &template),
        ("/campaigns/{id}", &campaign),
        ("/campaigns/{id}/start", &campaign),
        ("/campaigns/{id}/pause", &campaign),
        ("/campaigns/{id}/progress", &campaign),
        ("/campaigns/{id}/regrade", &campaign),
        ("/leads/{id}", &lead),
        ("/leads/{id}/why", &lead),
        ("/leads/{id}/take-back", &lead),
        ("/users/{id}", &user),
    ] {
        // What is deleted is something else.
        let methods = r#"["GET", "POST", "PUT", "PATCH"]"#;
        write!(
            settings,
            "[[operations]]\ninclude-path = \"/api/v1{path}\"\ninclude-method = {methods}\nparameters = {{ \"path.id\" = \"{id}\" }}\n\n"
        )?;
    }
    Ok(settings)
}

async fn run(server: &Server, settings: &Path, token: &str) -> Result<()> {
    let document = format!("{}/api/v1/openapi.json", server.base);
    let credential = format!("Authorization: Bearer {token}");
    let mut command = Command::new(schemathesis()?);
    command
        .arg("--config-file")
        .arg(settings)
        .arg("run")
        .arg(document);
    for (name, value) in [
        ("-H", credential.as_str()),
        ("--checks", CHECKS),
        // Its coverage phase fails by itself on PUT /settings ("Inconsistent results") in this release.
        ("--phases", "examples,fuzzing"),
        ("--max-examples", "10"),
        ("--max-time", "60"),
        ("--request-timeout", "20"),
        ("--workers", "2"),
        ("--seed", "20261121"),
        ("--generation-database", "none"),
        ("--suppress-health-check", "all"),
        ("--warnings", "off"),
        // An endless stream, and what would end the session that asks.
        ("--exclude-path", "/api/v1/events"),
        ("--exclude-path", "/api/v1/sessions/current"),
    ] {
        command.args([name, value]);
    }
    let out = command
        .args(["--continue-on-failure", "--no-color"])
        .current_dir(settings.parent().unwrap_or(settings))
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .output()
        .await?;
    let said = String::from_utf8_lossy(&out.stdout);
    let complained = String::from_utf8_lossy(&out.stderr);
    ensure!(
        out.status.success(),
        "{said}\n{complained}\nThe server said:\n{}",
        server.process.said()
    );
    let end = said.find("Test cases:").unwrap_or_default();
    println!("{}", &said[end..]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_answers_as_its_document_says() -> Result<()> {
    schemathesis()?;
    let server = Server::start().await?;
    let (api, _) = Api::set_up(&server.link, "acme", PASSWORD).await?;
    let folder = tempfile::tempdir()?;
    let settings = folder.path().join("schemathesis.toml");
    std::fs::write(&settings, furnish(&api).await?)?;
    let key = json!({"name": "all", "scopes": ["*"]});
    let key: Value = api.post("/api-keys", key).await?;
    run(&server, &settings, api.token()).await?;
    run(&server, &settings, &text(&key, "key")?).await?;
    // And it lives.
    api.get("/me").await?;
    Ok(())
}
