//! The document is made from the code, checked in, and tells of every route what it asks of its caller.

use crate::house::House;
use std::path::Path;

#[test]
fn every_route_declares_its_door() {
    assert_eq!(admin::undeclared_routes(), Vec::<String>::new());
}

/// `UPDATE_OPENAPI=1 cargo test -p admin` writes the file again.
#[test]
fn the_document_that_is_checked_in_is_the_one_the_code_makes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let made = admin::document().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == made,
        "openapi.json is not what the code makes: run UPDATE_OPENAPI=1 cargo test -p admin document"
    );
}

#[tokio::test]
async fn the_document_and_its_reader_are_served() {
    let house = House::empty().await;
    let document = house.get("", "/api/v1/openapi.json").await.expect(200);
    assert_eq!(
        document["paths"].as_object().unwrap().len(),
        admin::document().paths.paths.len()
    );
    let page = house
        .send(
            axum::http::Request::get("/docs/")
                .body(axum::body::Body::empty())
                .unwrap(),
        )
        .await;
    assert!(page.status.is_success());
    for path in ["/healthz", "/readyz", "/setup"] {
        let request = axum::http::Request::get(path)
            .body(axum::body::Body::empty())
            .unwrap();
        assert!(house.send(request).await.status.is_success(), "{path}");
    }
}
