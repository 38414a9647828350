//! What the document says of every operation beyond what its handler declares: its name, the headers all of a kind take, all
//! statuses it may answer with, and examples. The examples are recorded from the real router (`examples.json`, kept true by
//! a test).

use crate::exports;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::LazyLock;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::{Header, OpenApi, Ref, RefOr, Response, ResponseBuilder};

/// `METHOD /path` below the API's root → `{request, status, response}`.
static EXAMPLES: LazyLock<HashMap<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../examples.json")).unwrap_or_default());

pub fn finish(document: &mut OpenApi) {
    exports::describe(document);
    for (path, item) in &mut document.paths.paths {
        // A change may name the version it is made from: so the answer to a read names it.
        let versioned = operations(item).any(|(_, operation)| takes(operation, "If-Match"));
        for (method, operation) in operations(item) {
            let name = path
                .trim_start_matches("/api/v1")
                .replace(['{', '}'], "")
                .replace(['/', '-', '.'], "_");
            operation.operation_id = Some(format!("{method}{name}"));
            headers(method, operation, versioned);
            statuses(method, path, operation);
            examples(method, path, operation);
        }
    }
}

pub fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("put", &mut item.put),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn takes(operation: &Operation, name: &str) -> bool {
    named(operation).any(|known| known == name)
}

fn named(operation: &Operation) -> impl Iterator<Item = &str> {
    let parameters = operation.parameters.iter().flatten();
    parameters.filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter.name.as_str()),
        RefOr::Ref(_) => None,
    })
}

/// Public doors ask for no credential.
fn guarded(operation: &Operation) -> bool {
    operation
        .security
        .iter()
        .flatten()
        .any(|requirement| serde_json::to_value(requirement).is_ok_and(|value| value != json!({})))
}

fn headers(method: &str, operation: &mut Operation, versioned: bool) {
    if method == "post" && guarded(operation) {
        let about = "Done once however often it is sent: the first answer is kept for 24 hours and sent again.";
        let schema =
            json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" });
        let parameters = operation.parameters.get_or_insert_default();
        parameters.extend(header("Idempotency-Key", about, schema));
    }
    if method == "get" && versioned {
        let about = "ETags that are known already: 304 when the answer is still one of them.";
        let parameters = operation.parameters.get_or_insert_default();
        parameters.extend(header("If-None-Match", about, json!({ "type": "string" })));
        let about = "Names this version; for If-Match and If-None-Match.";
        let told = json!({ "description": about, "schema": { "type": "string" } });
        if let (Ok(told), Some(RefOr::T(answer))) = (
            serde_json::from_value::<Header>(told),
            operation.responses.responses.get_mut("200"),
        ) {
            answer.headers.insert("ETag".to_owned(), RefOr::T(told));
        }
    }
}

fn header(name: &str, about: &str, schema: Value) -> Option<RefOr<Parameter>> {
    let parameter = json!({
        "name": name, "in": "header", "required": false, "description": about, "schema": schema,
    });
    // Fixed pieces: a mistake in them fails the test of the document.
    serde_json::from_value(parameter).ok().map(RefOr::T)
}

fn statuses(method: &str, path: &str, operation: &mut Operation) {
    let mut refusals: Vec<&str> = Vec::new();
    let guarded = guarded(operation);
    if guarded {
        refusals.extend(["401", "403"]);
    }
    if path.starts_with("/api/") {
        // The database, or the engine's queue, cannot take it just now.
        refusals.push("503");
    }
    if named(operation).any(|name| !name.starts_with("If-")) || path.contains('{') {
        refusals.push("400");
    }
    if path.contains('{') {
        refusals.push("404");
    }
    if operation.request_body.is_some() {
        // 404 and 409: what a body refers to is not there, or not in a state for it.
        refusals.extend(["400", "404", "409", "413", "415", "422"]);
    }
    match method {
        // A key in use, or used for something else; a state that does not allow it.
        "post" if guarded => refusals.extend(["409", "413", "422"]),
        "delete" => refusals.push("409"),
        _ => {}
    }
    if takes(operation, "If-Match") {
        refusals.push("412");
    }
    match (method, path) {
        ("post", "/api/v1/sessions") => refusals.extend(["401", "403", "429"]),
        ("put", "/api/v1/me/password") => refusals.push("429"),
        ("post", "/api/v1/setup") => refusals.push("410"),
        // What stands there is a number, not an id.
        ("delete", "/api/v1/do-not-call/{number}") => refusals.push("422"),
        _ => {}
    }
    let knows = takes(operation, "If-None-Match");
    let answers = &mut operation.responses.responses;
    if answers.contains_key("206") {
        refusals.push("416");
    }
    let unchanged = knows || answers.contains_key("206");
    for (status, answer) in answers.iter_mut() {
        if let RefOr::T(answer) = answer
            && answer.description.is_empty()
        {
            answer.description = about(status).to_owned();
        }
    }
    if unchanged {
        let same = ResponseBuilder::new().description(about("304")).build();
        answers.insert("304".to_owned(), RefOr::T(same));
    }
    for status in refusals {
        answers
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::Ref(Ref::from_response_name("Problem")));
    }
}

fn about(status: &str) -> &'static str {
    match status {
        "200" => "Done",
        "201" => "Made",
        "202" => "Begun",
        "204" => "Done; there is nothing to show",
        "206" => "A part of it",
        "304" => "It is what the reader knows already",
        "503" => "Not now",
        _ => "",
    }
}

fn examples(method: &str, path: &str, operation: &mut Operation) {
    let key = format!("{} {path}", method.to_uppercase());
    let Some(example) = EXAMPLES.get(&key) else {
        return;
    };
    if let (Some(request), Some(RefOr::T(body))) =
        (example.get("request"), &mut operation.request_body)
    {
        for content in body.content.values_mut() {
            if let RefOr::T(content) = content {
                content.example = Some(request.clone());
            }
        }
    }
    let status = example["status"].to_string();
    let answer = operation.responses.responses.get_mut(&status);
    if let (Some(response), Some(RefOr::T(Response { content, .. }))) =
        (example.get("response"), answer)
    {
        for content in content.values_mut() {
            if let RefOr::T(content) = content {
                content.example = Some(response.clone());
            }
        }
    }
}
