//! Templates, their parts, their prompts.

use crate::house::{House, template, tone};
use axum::body::Body;
use axum::http::{Method, header};
use serde_json::{Value, json};

fn loan() -> Value {
    let path = format!(
        "{}/../fixtures/templates/loan.zh.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_template_is_kept_by_version_and_edited_by_part() {
    let house = House::new().await;
    let root = &house.root;
    let id = house.made(root, "/templates", loan()).await;
    let path = format!("/templates/{id}");
    let reply = house.get(root, &path).await;
    assert_eq!(reply.header("etag"), "\"1\"");
    let view = reply.expect(200);
    assert_eq!(
        (view["name"].as_str(), view["version"].as_u64()),
        (Some("贷款邀约"), Some(1))
    );
    house
        .post(root, "/templates", loan())
        .await
        .problem(409, "already_exists");

    let nodes = house.get(root, &format!("{path}/nodes")).await.expect(200);
    let reply = house.put(root, &format!("{path}/nodes"), nodes).await;
    assert_eq!(reply.header("etag"), "\"2\"");
    let question = json!([{"id": "rate", "text": "利息多少", "answer": "四个点", "sub_questions": ["多少利息"]}]);
    house
        .put(root, &format!("{path}/questions"), question.clone())
        .await
        .expect(200);
    let corrections = json!([{"from": "威信", "to": "微信"}]);
    house
        .put(root, &format!("{path}/corrections"), corrections.clone())
        .await
        .expect(200);
    assert_eq!(
        house
            .get(root, &format!("{path}/corrections"))
            .await
            .expect(200),
        corrections
    );
    let view = house.get(root, &path).await.expect(200);
    assert_eq!(
        (
            view["version"].as_u64(),
            &view["template"]["questions"][0]["sub_questions"]
        ),
        (Some(4), &question[0]["sub_questions"])
    );

    let old = house
        .request(Method::PUT, root, &format!("{path}/corrections"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::IF_MATCH, "\"1\"")
        .body(Body::from("[]"))
        .unwrap();
    house.send(old).await.problem(412, "precondition_failed");
    let unknown = json!([{"key": "x", "text": "y", "colour": "red"}]);
    let problem = house
        .put(root, &format!("{path}/nodes"), unknown)
        .await
        .problem(422, "invalid");
    assert_eq!(problem["errors"][0]["code"], "unknown_field");
    house.delete(root, &path).await.expect(204);
    house.get(root, &path).await.problem(404, "not_found");
}

#[tokio::test]
async fn what_is_wrong_with_a_template_is_told_without_keeping_it() {
    let house = House::new().await;
    let root = &house.root;
    let findings = house
        .post(root, "/templates/validate", template("x"))
        .await
        .expect(200);
    assert!(findings["diallable"].is_boolean() && findings["findings"].is_array());
    let id = house.made(root, "/templates", template("x")).await;
    let stored = house
        .get(root, &format!("/templates/{id}/findings"))
        .await
        .expect(200);
    assert_eq!(stored, findings);
    assert_eq!(
        house.get(root, "/templates").await.expect(200)["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_prompt_in_any_format_becomes_our_own_wav() {
    let house = House::new().await;
    let root = &house.root;
    let id = house.made(root, "/templates", template("x")).await;
    let path = format!("/templates/{id}/prompts");
    let made = house
        .upload(
            root,
            &path,
            "greet.wav",
            &tone(1, 16_000),
            &[("key", "greet")],
        )
        .await
        .expect(201);
    assert_eq!(
        (made["duration_ms"].as_u64(), &made["used_by"]),
        (Some(1000), &json!(["greet"]))
    );
    for name in ["mono-16000.flac", "mono-44100.mp3", "stereo-48000.ogg"] {
        let file = format!(
            "{}/../fixtures/audio/formats/{name}",
            env!("CARGO_MANIFEST_DIR")
        );
        let made = house
            .upload(root, &path, name, &std::fs::read(file).unwrap(), &[])
            .await
            .expect(201);
        assert!(
            (400..=700).contains(&made["duration_ms"].as_u64().unwrap()),
            "{name}: {made}"
        );
    }
    assert_eq!(
        house.get(root, &path).await.expect(200)["data"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    let file = house
        .get(root, &format!("{path}/{}", made["id"].as_str().unwrap()))
        .await;
    assert_eq!(file.header("content-type"), "audio/wav");
    let reader = hound::WavReader::new(std::io::Cursor::new(&file.bytes)).unwrap();
    assert_eq!(
        (
            reader.spec().sample_rate,
            reader.spec().channels,
            reader.duration()
        ),
        (8000, 1, 8000)
    );

    house
        .upload(root, &path, "x.mp3", b"not audio at all", &[])
        .await
        .problem(422, "unreadable_audio");
    house
        .upload(root, &path, "x.wav", b"", &[])
        .await
        .problem(422, "unreadable_audio");
    let problem = house
        .upload(root, &path, "x.wav", &tone(1, 8000), &[("key", "nowhere")])
        .await
        .problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/key");
    // Names on disk are ours, whatever the upload was called.
    house
        .upload(root, &path, "../../evil.wav", &tone(1, 8000), &[])
        .await
        .expect(201);
    assert!(!house.folder.path().join("evil.wav").exists());
}

#[tokio::test]
async fn a_text_cannot_take_another_templates_audio() {
    let house = House::new().await;
    let root = &house.root;
    let first = house.made(root, "/templates", template("first")).await;
    let second = house.made(root, "/templates", template("second")).await;
    let prompts = format!("/templates/{first}/prompts");
    let prompt = house
        .upload(root, &prompts, "a.wav", &tone(1, 8000), &[])
        .await
        .expect(201);
    let mut body = template("second");
    body["nodes"][0]["prompt"] = prompt["id"].clone();
    house
        .put(root, &format!("/templates/{second}"), body.clone())
        .await
        .problem(404, "not_found");
    house
        .post(root, "/templates", body)
        .await
        .problem(404, "not_found");
    let theirs = format!(
        "/templates/{second}/prompts/{}",
        prompt["id"].as_str().unwrap()
    );
    house.get(root, &theirs).await.problem(404, "not_found");
}

#[tokio::test]
async fn prompts_uploaded_at_once_all_find_their_text() {
    let house = House::new().await;
    let id = house.made(&house.root, "/templates", template("x")).await;
    let path = format!("/templates/{id}/prompts");
    let wav = tone(1, 8000);
    let upload = |key: &'static str| {
        let (house, path, wav) = (&house, &path, &wav);
        async move {
            house
                .upload(&house.root, path, "a.wav", wav, &[("key", key)])
                .await
                .expect(201)
        }
    };
    tokio::join!(
        upload("greet"),
        upload("bye"),
        upload("question.rate"),
        upload("silence"),
        upload("cut")
    );
    let listed = house.get(&house.root, &path).await.expect(200);
    assert!(
        listed["data"]
            .as_array()
            .unwrap()
            .iter()
            .all(|prompt| prompt["used_by"].as_array().unwrap().len() == 1)
    );
}
