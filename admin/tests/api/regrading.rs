//! Calls graded again, and one call on one timeline.

use crate::calls::{ended, keep};
use crate::house::{House, document};
use serde_json::{Value, json};

async fn stricter(house: &House) -> Value {
    let known = house.get(&house.root, "/grade-rules").await.expect(200);
    assert_eq!(known["data"][0]["version"], 1);
    let mut rules = known["data"][0]["thresholds"].clone();
    rules["a_positives"] = json!(2);
    house
        .post(&house.root, "/grade-rules", rules)
        .await
        .expect(201)
}

#[tokio::test]
async fn a_call_is_graded_again_and_the_old_grade_is_kept() {
    let house = House::new().await;
    let root = &house.root;
    let finish = ended(house.tenant, house.now(), None);
    let call = finish.cdr.id.to_string();
    keep(&house, vec![finish]).await;
    assert_eq!(stricter(&house).await["version"], 2);
    let path = format!("/calls/{call}/regrade");
    let problem = house
        .post(root, &path, json!({"rules_version": 3}))
        .await
        .problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/rules_version");
    let done = house
        .post(root, &path, json!({"rules_version": 2}))
        .await
        .expect(200);
    // One interaction, one positive answer: A under the first rules, D under the second.
    assert_eq!(
        (&done["before"], &done["grading"]["grade"]),
        (&json!("A"), &json!("D"))
    );
    assert_eq!(done["grading"]["evidence"][0]["turn"], 1);
    let page = house.get(root, &format!("/calls/{call}")).await.expect(200);
    assert_eq!(
        (&page["grade"], &page["grading"]["rules_version"]),
        (&json!("D"), &json!(2))
    );
    assert_eq!(page["earlier_gradings"][0]["grade"], "A");
    let again = house
        .post(root, &path, json!({"rules_version": 2}))
        .await
        .expect(200);
    assert_eq!(again["grading"], done["grading"]);
    // The first rules again change nothing: the newest are in force.
    house
        .post(root, &path, json!({"rules_version": 1}))
        .await
        .expect(200);
    let page = house.get(root, "/calls?grade=D").await.expect(200);
    assert_eq!(page["data"][0]["id"], json!(call));
}

#[tokio::test]
async fn a_campaigns_calls_are_graded_again_all_of_them() {
    let house = House::new().await;
    let root = &house.root;
    let own = house.campaign(house.tenant, root).await;
    let finishes = (0..120).map(|_| {
        let mut finish = ended(house.tenant, house.now(), None);
        finish.cdr.campaign = Some(own.campaign.parse().unwrap());
        finish
    });
    keep(&house, finishes.collect()).await;
    keep(&house, vec![ended(house.tenant, house.now(), None)]).await;
    stricter(&house).await;
    let path = format!("/campaigns/{}/regrade", own.campaign);
    let done = house
        .post(root, &path, json!({"rules_version": 2}))
        .await
        .expect(200);
    assert_eq!(done, json!({"calls": 120, "changed": 120}));
    let done = house
        .post(root, &path, json!({"rules_version": 2}))
        .await
        .expect(200);
    assert_eq!(done, json!({"calls": 120, "changed": 0}));
    let page = house.get(root, "/calls?grade=A").await.expect(200);
    assert_eq!(
        page["data"].as_array().unwrap().len(),
        1,
        "the call outside the campaign"
    );
}

#[tokio::test]
async fn a_timeline_holds_all_that_is_known_in_order() {
    let house = House::new().await;
    let finish = ended(house.tenant, house.now(), Some("a.wav"));
    let call = finish.cdr.id.to_string();
    keep(&house, vec![finish]).await;
    let timeline = house
        .get(&house.root, &format!("/calls/{call}/timeline"))
        .await
        .expect(200);
    let entries = timeline["entries"].as_array().unwrap();
    let moments: Vec<_> = entries
        .iter()
        .map(|entry| entry["at"].as_str().unwrap())
        .collect();
    assert!(moments.is_sorted(), "{moments:?}");
    for kind in ["ladder", "turn", "grade", "recording"] {
        assert!(entries.iter().any(|entry| entry["kind"] == kind), "{kind}");
    }
    let said = entries.iter().filter(|entry| entry["kind"] == "turn");
    let said: Vec<_> = said
        .map(|entry| {
            (
                entry["offset_ms"].as_i64(),
                entry["turn"]["from_ms"].as_i64(),
            )
        })
        .collect();
    assert_eq!(said, [(Some(0), Some(0)), (Some(1000), Some(1000))]);
    let schema = json!({"$ref": "#/components/schemas/Timeline"});
    assert_eq!(
        crate::schema::check(document(), &schema, &timeline),
        Vec::<String>::new()
    );
}
