//! Lists as files.

use crate::calls::{ended, keep};
use crate::house::House;
use axum::body::Body;
use axum::http::{Method, header};
use calamine::{Data, Reader, Xlsx};
use serde_json::json;
use std::io::Cursor;

fn lines(bytes: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(bytes).unwrap();
    let text = text.strip_prefix('\u{feff}').expect("a mark");
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_list_of_many_pages_is_one_file_under_the_same_filters() {
    let house = House::new().await;
    let sheet: String = (0..450)
        .map(|n| {
            format!(
                "n{n},1380013{n:04},{}\n",
                if n % 3 == 0 { "a" } else { "b" }
            )
        })
        .collect();
    let sheet = format!("姓名,电话,批次\n{sheet}");
    let import = house
        .upload(&house.root, "/leads/imports", "x", sheet.as_bytes(), &[])
        .await
        .expect(202);
    crate::imports::finished(&house, &house.root, import["id"].as_str().unwrap()).await;
    let all = house.get(&house.root, "/leads.csv").await;
    assert_eq!(all.header("content-type"), "text/csv; charset=utf-8");
    assert!(all.header("content-disposition").contains("leads-2026"));
    assert_eq!(lines(&all.bytes).len(), 451);
    let some = house.get(&house.root, "/leads.csv?batch=a").await;
    assert_eq!(lines(&some.bytes).len(), 151);
    let book = house
        .get(&house.root, "/leads.xlsx?batch=b&q=1380013")
        .await;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(book.bytes)).unwrap();
    let sheet = book.worksheet_range_at(0).unwrap().unwrap();
    assert_eq!(sheet.height(), 301);
    // Newest first, as the list.
    assert_eq!(sheet[(1, 1)], Data::String("+8613800130449".into()));
}

#[tokio::test]
async fn cells_are_inert_times_local_and_headings_in_the_readers_tongue() {
    let house = House::new().await;
    let lead = json!({"number": "13800138000", "name": "=HYPERLINK(\"http://x\")", "custom": {"@note": "-1+1"}});
    house.made(&house.root, "/leads", lead).await;
    let request = house
        .request(Method::GET, &house.root, "/leads.csv")
        .header(header::ACCEPT_LANGUAGE, "zh-HK,zh;q=0.9,en;q=0.8")
        .body(Body::empty())
        .unwrap();
    let file = lines(&house.send(request).await.bytes);
    assert!(
        file[0].starts_with("姓名,電話,批次,'@note,其他欄"),
        "{}",
        file[0]
    );
    assert!(
        file[1].starts_with("\"'=HYPERLINK(\"\"http://x\"\")\",'+8613800138000,,'-1+1,"),
        "{}",
        file[1]
    );
    // The house's clock stands at 11:06:40 in UTC.
    assert!(file[1].contains("2026-11-18 19:06:40"), "{}", file[1]);
}

#[tokio::test]
async fn a_file_of_leads_comes_back_in_every_tongue() {
    let house = House::new().await;
    let lead =
        json!({"number": "13800138000", "name": "王一", "custom": {"城市": "上海", "状态": "new"}});
    let id = house.made(&house.root, "/leads", lead).await;
    let lead = async || {
        let lead = house
            .get(&house.root, &format!("/leads/{id}"))
            .await
            .expect(200);
        ["name", "batch", "custom", "state"].map(|name| lead[name].clone())
    };
    let before = lead().await;
    for (tongue, ending) in ["en", "zh-CN", "zh-TW"]
        .into_iter()
        .flat_map(|tongue| [(tongue, "csv"), (tongue, "xlsx")])
    {
        let request = house
            .request(Method::GET, &house.root, &format!("/leads.{ending}"))
            .header(header::ACCEPT_LANGUAGE, tongue)
            .body(Body::empty())
            .unwrap();
        let file = house.send(request).await.bytes;
        let import = house
            .upload(&house.root, "/leads/imports", "leads", &file, &[])
            .await
            .expect(202);
        let id = import["id"].as_str().unwrap();
        let import = crate::imports::finished(&house, &house.root, id).await;
        assert_eq!(
            (&import["state"], &import["updated"]),
            (&json!("done"), &json!(1)),
            "{import}"
        );
        let columns = import["columns"].as_array().unwrap().iter();
        let mut kept: Vec<_> = columns
            .map(|column| column["holds"].as_str().unwrap())
            .filter(|holds| *holds != "ignore")
            .collect();
        kept.sort_unstable();
        assert_eq!(kept, ["batch", "name", "phone", "城市", "状态"]);
        assert_eq!(lead().await, before, "{tongue} {ending}");
    }
}

#[tokio::test]
async fn every_list_is_a_file() {
    let house = House::new().await;
    let made = house.campaign(house.tenant, &house.root).await;
    keep(&house, vec![ended(house.tenant, house.now(), None)]).await;
    let document = serde_json::to_value(admin::document()).unwrap();
    let mut lists = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let schema = &item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        if !schema["$ref"]
            .as_str()
            .unwrap_or_default()
            .contains("/Page_")
        {
            continue;
        }
        lists += 1;
        for ending in ["csv", "xlsx"] {
            let file = format!("{path}.{ending}");
            assert!(
                document["paths"][&file]["get"].is_object(),
                "{file} is not in the document"
            );
            if file.contains("/imports/") {
                continue;
            }
            let file = file.replace("{id}", &made.template);
            let reply = house.get(&house.root, &file).await;
            assert_eq!(reply.status.as_u16(), 200, "{file}");
            assert!(!reply.bytes.is_empty(), "{file}");
        }
    }
    assert!(lists > 15, "{lists}");
    let calls = house.get(&house.root, "/calls.csv").await;
    let calls = lines(&calls.bytes);
    assert_eq!(calls.len(), 2);
    assert!(
        calls[1].contains(",robot,'+862188886666,'+8613800138000,"),
        "{}",
        calls[1]
    );
}

#[tokio::test]
async fn a_file_is_refused_as_its_list_would_be() {
    let house = House::new().await;
    house
        .get("", "/leads.csv")
        .await
        .problem(401, "unauthenticated");
    house
        .get(&house.root, "/leads.xlsx?state=flying")
        .await
        .problem(400, "invalid_query");
    house
        .get(&house.root, "/leads.csv?limit=5")
        .await
        .problem(400, "invalid_query");
    house
        .get(&house.root, "/leads.csv?nonsense=5")
        .await
        .problem(400, "invalid_query");
    let new = json!({"number": "7", "name": "Bo", "role": "agent", "password": "a good password"});
    house.made(&house.root, "/users", new).await;
    let agent = house.sign_in("7@acme", "a good password").await;
    house
        .get(&agent, "/ledger.csv")
        .await
        .problem(403, "forbidden");
    assert_eq!(house.get(&agent, "/leads.csv").await.status.as_u16(), 200);
}
