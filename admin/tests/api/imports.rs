//! Leads from files: what comes of every row, whatever happens on the way.

use crate::house::House;
use axum::body::Body;
use axum::http::Method;
use rust_xlsxwriter::Workbook;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;

/// This binary again, started by the API to read a sheet; an ordinary run has nothing to read.
#[test]
fn read_sheet() {
    admin::read_sheet();
}

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/../fixtures/sheets/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

/// `n` leads with numbers from `first` on.
fn csv(first: u64, n: u64) -> Vec<u8> {
    let lines = (first..first + n).map(|n| format!("n{n},139{n:08}\n"));
    format!("姓名,电话\n{}", lines.collect::<String>()).into_bytes()
}

#[track_caller]
fn adds_up(import: &Value) {
    let n = |name: &str| import[name].as_u64().unwrap();
    assert_eq!(
        n("inserted") + n("updated") + n("rejected"),
        n("rows"),
        "{import}"
    );
}

fn figures(import: &Value) -> [u64; 3] {
    ["inserted", "updated", "rejected"].map(|name| import[name].as_u64().unwrap())
}

/// Waits for the event that says so.
pub async fn finished(house: &House, token: &str, id: &str) -> Value {
    let mut events = house.events.subscribe();
    let path = format!("/leads/imports/{id}");
    loop {
        let import = house.get(token, &path).await.expect(200);
        adds_up(&import);
        if !import["finished_at"].is_null() {
            return import;
        }
        next(&mut events).await;
    }
}

async fn next(events: &mut Receiver<Arc<engine::Notice>>) -> Arc<engine::Notice> {
    let patience = std::time::Duration::from_secs(60);
    let event = tokio::time::timeout(patience, events.recv());
    event.await.expect("nothing happens any more").unwrap()
}

async fn import(house: &House, file: &[u8], fields: &[(&str, &str)]) -> Value {
    let reply = house
        .upload(&house.root, "/leads/imports", "leads", file, fields)
        .await;
    let location = reply.header("location").to_owned();
    let queued = reply.expect(202);
    let id = queued["id"].as_str().unwrap();
    assert_eq!(location, format!("/api/v1/leads/imports/{id}"));
    finished(house, &house.root, id).await
}

#[tokio::test]
async fn an_import_accounts_for_every_row() {
    let house = House::new().await;
    let leads = fixture("leads.xlsx");
    let first = import(&house, &leads, &[("batch", "b")]).await;
    assert_eq!(
        (
            first["state"].as_str(),
            first["rows"].as_u64(),
            figures(&first)
        ),
        (Some("done"), Some(12), [12, 0, 0]),
        "{first}"
    );
    assert_eq!(
        (first["progress"].as_f64(), first["sheet"].as_str()),
        (Some(1.0), Some("名单"))
    );
    assert_eq!(first["columns"][1]["holds"], "phone");
    // The same file again changes what is there and makes nothing new.
    let again = import(&house, &leads, &[("batch", "b")]).await;
    assert_eq!(figures(&again), [0, 12, 0]);
    let refused = import(&house, &leads, &[("duplicates", "reject")]).await;
    assert_eq!(figures(&refused), [0, 0, 12]);

    let bad = import(&house, &fixture("leads-bad.xlsx"), &[]).await;
    let path = bad["rejects_url"].as_str().unwrap();
    let rejects = house.get(&house.root, path).await.expect(200);
    let rejects = rejects["data"].as_array().unwrap();
    assert_eq!(bad["rejected"].as_u64().unwrap(), rejects.len() as u64);
    let told: Vec<(u64, &str)> = rejects
        .iter()
        .map(|r| (r["row"].as_u64().unwrap(), r["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            (3, "required"),
            (4, "required"),
            (5, "not_a_number"),
            (7, "short_number"),
            (8, "wrong_length"),
            (9, "formula_without_value"),
            (10, "not_a_number"),
            (11, "shortened_number"),
        ]
    );
    let list = house.get(&house.root, "/leads/imports").await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn rejected_rows_are_mended_and_uploaded_again() {
    let house = House::new().await;
    let sheet = "姓名,电话,城市\n王一,12ab,上海\n李二,13800138001,北京\n";
    let first = import(&house, sheet.as_bytes(), &[("batch", "b")]).await;
    assert_eq!(figures(&first), [1, 0, 1]);
    let path = format!("{}.csv", first["rejects_url"].as_str().unwrap());
    let file = house.get(&house.root, &path).await;
    let text = String::from_utf8(file.bytes).unwrap();
    assert_eq!(
        text,
        "\u{feff}姓名,电话,城市,Other columns,Rejected row,Rejected column,Rejection code,Rejected because\r\n\
         王一,12ab,上海,,2,电话,not_a_number,`a` is no digit\r\n"
    );
    let mended = text.replace("12ab", "13800138002");
    let second = import(&house, mended.as_bytes(), &[("batch", "b")]).await;
    assert_eq!(figures(&second), [1, 0, 0], "{second}");
    let found = house
        .get(&house.root, "/leads?q=13800138002")
        .await
        .expect(200);
    assert_eq!(found["data"][0]["custom"], json!({"城市": "上海"}));
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_writes_no_lead() {
    let house = House::new().await;
    let made = house.campaign(house.tenant, &house.root).await;
    import(&house, &csv(0, 700), &[("campaign_id", &made.campaign)]).await;
    // Some are there, some are new, some twice within a part and some across parts, some are wrong.
    let mut mixed = csv(300, 1500);
    mixed.extend(
        b"x,13900000301\nx,139000017991\ny,13900001799\ny,wrong\nz,13900009999\nz,13900009999\n",
    );
    for duplicates in ["update", "reject", "reject_in_tenant"] {
        for into in [Some(&made.campaign), None] {
            let mut fields = vec![("duplicates", duplicates), ("dry_run", "true")];
            fields.extend(into.map(|id| ("campaign_id", id.as_str())));
            let before = house.get(&house.root, "/leads?limit=1").await.expect(200);
            let foreseen = import(&house, &mixed, &fields).await;
            let after = house.get(&house.root, "/leads?limit=1").await.expect(200);
            assert_eq!(before, after);
            fields[1] = ("dry_run", "false");
            let real = import(&house, &mixed, &fields).await;
            assert_eq!(figures(&foreseen), figures(&real), "{fields:?}");
            let of = async |import: &Value| {
                let path = format!("{}.csv", import["rejects_url"].as_str().unwrap());
                house.get(&house.root, &path).await.bytes
            };
            assert!(of(&foreseen).await == of(&real).await);
        }
    }
}

#[tokio::test]
async fn an_import_that_waits_or_runs_can_be_cancelled() {
    let house = House::new().await;
    let mut events = house.events.subscribe();
    let begin = async |first: u64| {
        let reply = house
            .upload(
                &house.root,
                "/leads/imports",
                "x.csv",
                &csv(first, 20_000),
                &[],
            )
            .await;
        reply.expect(202)["id"].as_str().unwrap().to_owned()
    };
    let (runs, waits) = (begin(0).await, begin(100_000).await);
    // One file of an enterprise at a time: the second waits.
    let cancel = async |id: &str| {
        let path = format!("/leads/imports/{id}/cancel");
        house.post(&house.root, &path, json!({})).await
    };
    let cancelled = cancel(&waits).await.expect(202);
    assert_eq!(
        (cancelled["state"].as_str(), cancelled["rows"].as_u64()),
        (Some("cancelled"), Some(0))
    );
    loop {
        let event = next(&mut events).await;
        if event.kind == "import.progress" && event.data["id"] == runs.as_str() {
            break;
        }
    }
    cancel(&runs).await.expect(202);
    let import = finished(&house, &house.root, &runs).await;
    let rows = import["rows"].as_u64().unwrap();
    assert_eq!(import["state"], "cancelled");
    assert!((1..20_000).contains(&rows), "{rows}");
    cancel(&runs).await.problem(409, "wrong_state");
    let audit = house
        .get(&house.root, &format!("/audit?subject_id={runs}&sort=at"))
        .await
        .expect(200);
    let told = audit["data"].as_array().unwrap().iter();
    let told: Vec<_> = told.map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(told, ["import.created", "import.cancelled"]);
    // What its figures say is what is there.
    let file = house.get(&house.root, "/leads.csv").await;
    let lines = String::from_utf8(file.bytes).unwrap().lines().count() as u64;
    assert_eq!(lines - 1, import["inserted"].as_u64().unwrap());
    assert!(
        house
            .folder
            .path()
            .join("imports")
            .read_dir()
            .unwrap()
            .next()
            .is_none()
    );
}

#[tokio::test]
async fn what_the_last_process_left_is_told_as_interrupted() {
    let house = House::new().await;
    let scope = house.platform.tenant(house.tenant);
    let new = store::imports::NewImport {
        file_name: "x.csv".into(),
        campaign: None,
        batch: "b".into(),
        duplicates: store::leads::Duplicates::Update,
        dry_run: false,
    };
    let id = house
        .store
        .add_import(&scope, &new, house.now())
        .await
        .unwrap();
    let left = house.folder.path().join("imports/left");
    std::fs::create_dir_all(&left).unwrap();
    let config = admin::Config::new(house.folder.path(), "http://h", "huying");
    let closed =
        admin::close_imports_of_last_run(&house.store, &house.platform, &config, house.now());
    assert_eq!(closed.await.unwrap(), 1);
    let import = house
        .get(&house.root, &format!("/leads/imports/{id}"))
        .await
        .expect(200);
    assert_eq!(import["state"], "interrupted");
    assert_eq!(import["error"]["code"], "interrupted");
    let fix = import["error"]["fix"].as_str().unwrap();
    assert!(fix.starts_with("upload the same file again"), "{fix}");
    assert!(!left.exists());
}

#[tokio::test]
async fn a_file_that_is_no_sheet_is_refused_with_what_would_help() {
    let house = House::new().await;
    let root = &house.root;
    let send = async |bytes: &[u8], fields: &[(&str, &str)]| {
        house
            .upload(root, "/leads/imports", "x.xls", bytes, fields)
            .await
    };
    let html = b"<html><table><tr><td>phone</td></tr></table></html>";
    let problem = send(html, &[]).await.problem(422, "unreadable_sheet");
    assert!(problem["detail"].as_str().unwrap().contains("web page"));
    assert!(problem["fix"].as_str().unwrap().contains(".xlsx"));
    send(b"PK\x03\x04nothing", &[])
        .await
        .problem(422, "unreadable_sheet");
    send(b"", &[]).await.problem(422, "unreadable_sheet");
    house
        .post(root, "/leads/imports", json!({}))
        .await
        .problem(415, "unsupported_media_type");
    let fields = [
        ("duplicates", "sometimes"),
        ("campaign_id", "x"),
        ("mapping", "[]"),
        ("dry_run", "perhaps"),
        ("header_row", "top"),
    ];
    let problem = send(b"", &fields).await.problem(422, "invalid");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 5);
    // What only reading can tell is told by the job.
    let failed = import(&house, b"who,city\nx,y\n", &[]).await;
    assert_eq!(
        (failed["state"].as_str(), failed["error"]["code"].as_str()),
        (Some("failed"), Some("no_phone_column"))
    );
    assert!(failed["error"]["fix"].is_string());
    let id = failed["id"].as_str().unwrap();
    let asked = house
        .request(Method::GET, root, &format!("/leads/imports/{id}"))
        .header("accept-language", "zh-CN")
        .body(Body::empty());
    let told = house.send(asked.unwrap()).await.expect(200);
    let detail = told["error"]["detail"].as_str().unwrap();
    assert_eq!(detail, "没有表头为“电话”“手机”或 phone 的列;现有:who, city");
    let mapped = [("mapping", r#"{"who": "phone", "city": "ignore"}"#)];
    let mapped = import(&house, b"who,city\n13800138000,y\n", &mapped).await;
    assert_eq!(figures(&mapped), [1, 0, 0]);
}

#[tokio::test]
async fn a_narrower_file_changes_what_it_has_and_keeps_the_rest() {
    let house = House::new().await;
    let lead = async || {
        let found = house
            .get(&house.root, "/leads?q=13800138000")
            .await
            .expect(200);
        let lead = &found["data"][0];
        ["name", "batch", "custom"].map(|name| lead[name].clone())
    };
    let first = "姓名,电话,批次,城市,金额\n王一,13800138000,b1,上海,5\n";
    import(&house, first.as_bytes(), &[]).await;
    let second = "电话,金额,级别\n13800138000,7,\n13800138000,,高\n";
    let done = import(&house, second.as_bytes(), &[]).await;
    assert_eq!(figures(&done), [0, 2, 0]);
    let custom = json!({"城市": "上海", "金额": "7", "级别": "高"});
    assert_eq!(lead().await, [json!("王一"), json!("b1"), custom.clone()]);
    import(&house, "电话\n13800138000\n".as_bytes(), &[("batch", "b2")]).await;
    assert_eq!(lead().await, [json!("王一"), json!("b2"), custom]);
    // New leads have a batch all the same.
    let new = import(&house, "电话\n13800138001\n".as_bytes(), &[]).await;
    let found = house
        .get(&house.root, "/leads?q=13800138001")
        .await
        .expect(200);
    assert_eq!(found["data"][0]["batch"], new["batch"]);
}

#[tokio::test]
async fn fields_a_form_does_not_have_and_fields_given_twice_are_refused() {
    let house = House::new().await;
    let (sheet, template) = (
        b"phone\n13800138000\n",
        house.campaign(house.tenant, &house.root).await.template,
    );
    let document = serde_json::to_value(admin::document()).unwrap();
    for (path, form) in [
        ("/leads/imports".to_owned(), "ImportForm"),
        (format!("/templates/{template}/prompts"), "PromptForm"),
    ] {
        let send = async |fields: &[(&str, &str)]| {
            let reply = house.upload(&house.root, &path, "a", sheet, fields).await;
            let problem = reply.problem(422, "invalid");
            let errors = problem["errors"].as_array().unwrap().iter();
            let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
            let told = errors.map(|e| (text(e, "pointer"), text(e, "code"), text(e, "detail")));
            told.collect::<Vec<_>>()
        };
        let told = send(&[("dryrun", "true"), ("a/b", "")]).await;
        assert_eq!(
            (&told[0].0[..], &told[0].1[..], &told[1].0[..]),
            ("/dryrun", "unknown_field", "/a~1b"),
        );
        // What the refusal lists is what the document has.
        let properties = document["components"]["schemas"][form]["properties"]
            .as_object()
            .unwrap();
        let mut documented: Vec<_> = properties.keys().map(String::as_str).collect();
        let mut listed: Vec<_> = told[0].2["one of ".len()..].split(", ").collect();
        documented.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, documented);
        let field = *listed.last().unwrap();
        let told = send(&[(field, "true"), (field, "false")]).await;
        assert_eq!(
            (&*told[0].0, &*told[0].1),
            (&*format!("/{field}"), "repeated_field")
        );
        let told = send(&[("file", "x")]).await;
        assert_eq!((&*told[0].0, &*told[0].1), ("/file", "repeated_field"));
    }
    let leads = house.get(&house.root, "/leads").await.expect(200);
    assert_eq!(leads["data"], json!([]));
}

#[tokio::test]
async fn a_form_that_is_too_large_names_field_and_limit() {
    let house = House::with(|config| config.import_limit = 1000).await;
    let send = async |file: &[u8], mapping: &str| {
        let fields = [("mapping", mapping)];
        let reply = house
            .upload(&house.root, "/leads/imports", "a", file, &fields)
            .await;
        reply.problem(413, "too_large")
    };
    let problem = send(&vec![b'1'; 100_000], "").await;
    assert_eq!(problem["detail"], "the file is larger than 1000 bytes");
    assert_eq!(problem["errors"][0]["pointer"], "/file");
    assert_eq!(problem["errors"][0]["detail"], "at most 1000 bytes");
    let problem = send(b"phone", &"x".repeat(5000)).await;
    assert_eq!(problem["errors"][0]["pointer"], "/mapping");
    assert_eq!(problem["errors"][0]["detail"], "at most 4096 bytes");
}

#[tokio::test]
async fn the_template_file_has_the_columns_in_use_and_comes_back_as_leads() {
    let house = House::new().await;
    let lead = json!({"number": "13800138009", "custom": {"城市": "上海"}});
    house.made(&house.root, "/leads", lead).await;
    for ending in ["xlsx", "csv"] {
        let file = house
            .get(&house.root, &format!("/leads/import-template.{ending}"))
            .await;
        assert!(file.header("content-disposition").contains(ending));
        let empty = import(&house, &file.bytes, &[]).await;
        assert_eq!(
            (empty["state"].as_str(), empty["rows"].as_u64()),
            (Some("done"), Some(0))
        );
        assert_eq!(empty["columns"][3]["holds"], "城市");
    }
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (n, heading) in ["姓名 name", "电话 phone", "批次 batch"].iter().enumerate() {
        sheet.write(0, n as u16, *heading).unwrap();
    }
    for (row, batch) in [(1, "spring"), (2, ""), (3, "spring")] {
        sheet
            .write(row, 1, 13_800_138_000.0 + f64::from(row))
            .unwrap();
        sheet.write(row, 2, batch).unwrap();
    }
    let bytes = workbook.save_to_buffer().unwrap();
    let done = import(&house, &bytes, &[("batch", "autumn")]).await;
    assert_eq!(done["inserted"], 3);
    for (batch, n) in [("spring", 2), ("autumn", 1)] {
        let found = house
            .get(&house.root, &format!("/leads?batch={batch}"))
            .await
            .expect(200);
        assert_eq!(found["data"].as_array().unwrap().len(), n, "{batch}");
    }
}
