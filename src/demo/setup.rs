//! The enterprise that calls, set up through the REST API: money, gateway account, caller number, template with its audio,
//! campaign. The demo's, and the benches'.

use super::api::{Api, text};
use anyhow::Result;
use serde_json::{Value, json};

const TEMPLATE: &str = include_str!("../../fixtures/templates/loan.zh.json");
pub const PASSWORD: &str = "demo-password";

macro_rules! prompts {
    ($($key:literal),+ $(,)?) => {
        &[$(($key, include_bytes!(concat!("../../fixtures/audio/prompts/", $key, ".wav")) as &[u8])),+]
    };
}

/// The template's audio, by key.
pub const PROMPTS: &[(&str, &[u8])] = prompts![
    "greeting",
    "greeting.reask",
    "employed",
    "employed.reask",
    "business",
    "business.reask",
    "amount",
    "amount.reask",
    "closing",
    "objection",
    "objection.reask",
    "question.rate",
    "question.terms",
    "question.where",
    "question.source",
    "question.robot",
    "question.time",
    "silence",
    "unmatched",
    "fallback",
    "cut",
];

/// What is set up.
pub struct Plan {
    /// Robot calls at once.
    pub lines: u16,
    pub calls_per_second: u32,
    /// The campaign's.
    pub retry: Value,
    /// The template's audio, by key.
    pub prompts: Vec<(String, Vec<u8>)>,
}

impl Plan {
    /// With the recorded prompts.
    pub fn new(lines: u16) -> Plan {
        let prompts = PROMPTS
            .iter()
            .map(|(key, wav)| ((*key).to_owned(), wav.to_vec()))
            .collect();
        Plan {
            lines,
            calls_per_second: 10,
            retry: json!({ "no_answer_seconds": 1 }),
            prompts,
        }
    }
}

pub struct Prepared {
    pub api: Api,
    /// The user the gateway registers as.
    pub gateway: String,
    /// Without leads, not started.
    pub campaign: String,
}

pub async fn prepare(link: &str, plan: &Plan) -> Result<Prepared> {
    let enterprise = json!({ "slug": "demo", "name": "汇银贷款（演示）" });
    let (api, done) = Api::set_up(link, enterprise, PASSWORD).await?;
    let tenant = text(&done, "tenant_id")?;
    let platform = format!("/platform/tenants/{tenant}");
    let rate = json!({ "per_interval_minor": 12, "interval_seconds": 60 });
    api.patch(
        &platform,
        &json!({ "rate": rate, "robot_lines": plan.lines }),
    )
    .await?;
    let money =
        json!({ "amount_minor": 10_000.max(i64::from(plan.lines) * 1000), "reference": "demo-1" });
    api.post(&format!("{platform}/recharges"), &money).await?;

    let trunk = json!({
        "name": "simulated gateway",
        "user": "gw1",
        "password": PASSWORD,
        "max_concurrent": plan.lines.max(30),
        "calls_per_second": plan.calls_per_second,
    });
    let trunk = api.post("/trunks", &trunk).await?;
    let number = api
        .post("/caller-numbers", &json!({ "number": "02188886666" }))
        .await?;
    let number = text(&number, "id")?;
    let decision = format!("{platform}/caller-numbers/{number}/decision");
    api.post(&decision, &json!({ "approved": true })).await?;

    let template: Value = serde_json::from_str(TEMPLATE)?;
    let template = api.post("/templates", &template).await?;
    let template = text(&template, "id")?;
    for (key, wav) in &plan.prompts {
        let path = format!("/templates/{template}/prompts");
        let (name, fields) = (format!("{key}.wav"), [("key", key.clone())]);
        api.upload(&path, &name, wav.clone(), &fields).await?;
    }

    // Always open: the demo runs whenever somebody wants to see it.
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let spans: Vec<Value> = days
        .iter()
        .map(|day| json!({ "day": day, "from": 0, "to": 1440 }))
        .collect();
    let always = json!({ "spans": spans, "holidays": [] });
    let campaign = json!({
        "name": "演示",
        "template_id": template,
        "caller_number_id": number,
        "trunk_id": text(&trunk, "id")?,
        "lines": plan.lines,
        "robot_hours": always,
        "calling_window": always,
        "max_attempts": 3,
        "unconnected": 3,
        "retry": plan.retry,
    });
    let campaign = text(&api.post("/campaigns", &campaign).await?, "id")?;
    Ok(Prepared {
        api,
        gateway: text(&trunk, "username")?,
        campaign,
    })
}
