//! Campaigns to load the engine with: the demo's enterprise, leads, and a simulated gateway with callees behind it.

use super::child::Child;
use super::cores;
use crate::demo::setup::{self, PASSWORD, Plan, Prepared};
use crate::gateway::{self, Callee, Gateway, Line, Seen, When};
use crate::serve;
use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const RATE: usize = media::SAMPLE_RATE as usize;

pub struct Crowd {
    pub prepared: Prepared,
    pub gateway: Gateway,
    http: String,
}

impl Crowd {
    /// Everything but the start: enterprise, campaign, one lead for each callee, the gateway registered.
    pub async fn gather(
        child: &Child,
        plan: &Plan,
        callees: HashMap<String, Vec<Callee>>,
        core: Option<usize>,
    ) -> Result<Crowd> {
        let prepared = setup::prepare(&child.link, plan).await?;
        let campaign = &prepared.campaign;
        let mut numbers: Vec<&String> = callees.keys().collect();
        numbers.sort_unstable();
        for number in numbers {
            let lead = json!({ "number": number, "campaign_id": campaign });
            prepared.api.post("/leads", &lead).await?;
        }
        let all = json!({ "campaign_id": campaign, "all_listed": true });
        prepared.api.post("/leads/enqueue", &all).await?;
        let config = gateway::Config {
            registrar: child.sip,
            realm: child.realm.clone(),
            username: prepared.gateway.clone(),
            password: PASSWORD.into(),
            callees,
            seed: serve::seed()?,
        };
        let gateway = cores::on(core, || Gateway::start(config))?;
        match gateway.seen.recv_timeout(Duration::from_secs(10)) {
            Ok(Seen::Registered) => {}
            other => bail!("the simulated gateway could not register: {other:?}"),
        }
        let http = format!("http://{}/readyz", child.http);
        Ok(Crowd {
            prepared,
            gateway,
            http,
        })
    }

    pub async fn start(&self) -> Result<()> {
        let start = format!("/campaigns/{}/start", self.prepared.campaign);
        self.prepared.api.post(&start, &json!({})).await?;
        Ok(())
    }

    /// Calls that are up now.
    pub async fn live(&self) -> Result<usize> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let ready: serde_json::Value = client.get(&self.http).send().await?.json().await?;
        let calls = ready["calls"].as_u64().context("no number of calls")?;
        Ok(calls as usize)
    }

    pub async fn wait_for_live(&self, wanted: usize) -> Result<()> {
        let mut look = tokio::time::interval(Duration::from_millis(200));
        let mut live = 0;
        for _ in 0..(wanted + 100) {
            look.tick().await;
            live = self.live().await?;
            if live >= wanted {
                return Ok(());
            }
        }
        ensure!(
            live >= wanted,
            "only {live} of {wanted} robot calls came up"
        );
        Ok(())
    }
}

/// The n-th callee's number.
pub fn number(n: usize) -> String {
    format!("138{n:08}")
}

/// Robots whose greeting lasts at least so long: their prompt, over and over.
pub fn talkers(lines: u16, how_long: Duration) -> Plan {
    let mut plan = Plan::new(lines);
    plan.calls_per_second = 50;
    // All calls have to come up first.
    let seconds = how_long.as_secs() as usize + usize::from(lines) / 20 + 20;
    for (key, wav) in &mut plan.prompts {
        if key.as_str() == "greeting"
            && let Ok(pcm) = media::prompt::decode(wav, Some("wav"))
        {
            let samples = (seconds * RATE).min(590 * RATE);
            let long: Vec<i16> = pcm.iter().copied().cycle().take(samples).collect();
            *wav = as_wav(&long);
        }
    }
    plan
}

/// Callees that answer at once and make noise: 0.4 s every 2 s, so that with its hangover the voice detector looks at half of
/// all windows.
pub fn noisy(count: u16, how_long: Duration) -> HashMap<String, Vec<Callee>> {
    let seconds = how_long.as_secs() as usize + usize::from(count) / 20 + 20;
    let mut state = 0x2545_f491_u32;
    let noise: Arc<[i16]> = (0..seconds * RATE)
        .map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let sample = (state >> 16) as i32 - 32_768;
            // About -35 dBFS.
            if n % (2 * RATE) < RATE * 2 / 5 {
                (sample / 32) as i16
            } else {
                0
            }
        })
        .collect();
    let callee = Callee::Talks {
        rings: Duration::from_millis(20),
        lines: vec![Line {
            when: When::Over(Duration::from_millis(100)),
            speech: noise,
        }],
        hangs_up: false,
    };
    (0..usize::from(count))
        .map(|n| (number(n), vec![callee.clone()]))
        .collect()
}

/// 16 bit, 8 kHz, mono.
fn as_wav(pcm: &[i16]) -> Vec<u8> {
    let bytes = pcm.len() as u32 * 2;
    let rate = media::SAMPLE_RATE;
    let mut wav = Vec::with_capacity(44 + bytes as usize);
    wav.extend(b"RIFF");
    wav.extend((36 + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16u32.to_le_bytes());
    wav.extend([1, 0, 1, 0]);
    wav.extend(rate.to_le_bytes());
    wav.extend((rate * 2).to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(bytes.to_le_bytes());
    wav.extend(pcm.iter().flat_map(|sample| sample.to_le_bytes()));
    wav
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_is_made_long_and_can_still_be_read() {
        let plan = talkers(4, Duration::from_secs(10));
        let (_, greeting) = plan
            .prompts
            .iter()
            .find(|(key, _)| key == "greeting")
            .unwrap();
        let pcm = media::prompt::decode(greeting, Some("wav")).unwrap();
        assert!(pcm.len() >= 30 * RATE, "{}", pcm.len() / RATE);
    }
}
