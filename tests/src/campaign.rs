//! All that a robot call needs: template with its audio, caller number, trunk, campaign, leads.

use crate::house::House;
use anyhow::{Context, Result};
use serde_json::{Value, json};

pub struct Campaign {
    pub id: String,
    pub leads: Vec<String>,
}

/// Every minute of the week: tests run whenever somebody runs them.
pub fn always() -> Value {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let spans: Vec<Value> = days
        .iter()
        .map(|day| json!({ "day": day, "from": 0, "to": 1440 }))
        .collect();
    json!({ "spans": spans, "holidays": [] })
}

/// The loan offer of the fixtures, to be spoken over `trunk` to these numbers; queued, not started.
pub async fn plan(house: &House, trunk: &str, numbers: &[&str]) -> Result<Campaign> {
    let api = &house.api;
    let number = house.caller_number("02188886666", true).await?;
    let fixtures = crate::root().join("fixtures");
    let template = std::fs::read(fixtures.join("templates/loan.zh.json"))?;
    let template = api
        .create("/templates", serde_json::from_slice(&template)?)
        .await?;
    for file in std::fs::read_dir(fixtures.join("audio/prompts"))? {
        let path = file?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .context("a prompt's name")?;
        let key = name.trim_end_matches(".wav");
        let to = format!("/templates/{template}/prompts");
        api.upload(&to, name, std::fs::read(&path)?, &[("key", key)])
            .await?;
    }
    let id = api
        .create(
            "/campaigns",
            json!({
                "name": "test",
                "template_id": template,
                "caller_number_id": number,
                "trunk_id": trunk,
                "lines": 2,
                "robot_hours": always(),
                "calling_window": always(),
            }),
        )
        .await?;
    let mut leads = Vec::new();
    for number in numbers {
        let lead = json!({ "number": number, "name": "Li", "campaign_id": id });
        leads.push(api.create("/leads", lead).await?);
    }
    api.post(
        "/leads/enqueue",
        json!({ "campaign_id": id, "all_listed": true }),
    )
    .await?;
    Ok(Campaign { id, leads })
}

impl Campaign {
    /// The campaign, as the answer shows it.
    pub async fn start(&self, house: &House) -> Result<Value> {
        let path = format!("/campaigns/{}/start", self.id);
        house.api.post(&path, json!({})).await
    }
}
