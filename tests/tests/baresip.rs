//! baresip, which no one here wrote: tones measured at both ends of a call between extensions, and a callee of a robot whose
//! recorded speech must be understood.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Duration;
use tests::api::text;
use tests::baresip::Baresip;
use tests::house::{House, PASSWORD, PER_MINUTE, deaf, whisper};
use tests::{SOON, campaign, sound};

/// Two cores: sound is only measured where nothing else takes them.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A line of baresip's accounts file: a device that registers, takes every call and speaks one codec.
fn account(house: &House, user: &str, codec: &str) -> String {
    let registrar = house.sip;
    format!(
        "<sip:{user}@{registrar};transport=udp>;auth_user={user};auth_pass={PASSWORD};answermode=auto;regint=600;audio_codecs={codec}"
    )
}

/// Two phones, one call, a tone each way.
async fn tones(codec: &str) -> Result<()> {
    let _alone = ALONE.lock().await;
    let house = House::open(deaf()).await?;
    house.extension("1001").await?;
    house.extension("1002").await?;
    let mut events = house.events();
    let tone = |hz| media::measure::tone(hz, -10.0, 60 * 8000);
    let mut bo = Baresip::start(&[account(&house, "1002.acme", codec)], &tone(1000.0)).await?;
    events
        .next("extension.registered", SOON, |data| {
            data["aor"] == "1002.acme"
        })
        .await?;
    let mut ann = Baresip::start(&[account(&house, "1001.acme", codec)], &tone(440.0)).await?;
    events
        .next("extension.registered", SOON, |data| {
            data["aor"] == "1001.acme"
        })
        .await?;

    ann.command("dial", &format!("sip:1002@{}", house.sip))
        .await?;
    ann.event("CALL_ESTABLISHED", SOON).await?;
    bo.event("CALL_ESTABLISHED", SOON).await?;
    ann.has_heard(Duration::from_secs(3)).await?;
    bo.has_heard(Duration::from_secs(3)).await?;
    ann.command("hangup", "").await?;
    bo.event("CALL_CLOSED", SOON).await?;
    let ended = events.next("call.ended", SOON, |_| true).await?;

    for (who, wanted, heard) in [
        ("bo", 440.0, bo.quit().await?),
        ("ann", 1000.0, ann.quit().await?),
    ] {
        let (hz, share) = sound::pitch(&heard).with_context(|| format!("{who} heard nothing"))?;
        ensure!(
            (hz - wanted).abs() < 3.0 && share > 0.9,
            "{who} heard {hz} Hz, {share} of the power"
        );
        // -10 dBFS went in; forwarding changes no sample.
        let loud: Vec<i16> = heard[heard.len() / 4..heard.len() * 3 / 4].to_vec();
        let level = media::measure::level(&loud);
        ensure!((level + 10.0).abs() < 1.5, "{who} heard it at {level} dBFS");
    }
    let record = house.record_of(&ended).await?;
    ensure!(
        record["direction"] == "internal" && record["charge_minor"] == 0,
        "{record}"
    );
    let packets = |name: &str| record["media"][name].as_u64();
    ensure!(
        packets("packets_received") > Some(100) && packets("packets_sent") > Some(100),
        "the record's figures: {}",
        record["media"]
    );
    house.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_phones_hear_each_others_tone_in_a_law() -> Result<()> {
    tones("PCMA").await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_phones_hear_each_others_tone_in_mu_law() -> Result<()> {
    tones("PCMU").await
}

/// The gateway's account registers; behind it is a phone of its own number, which answers and says 可以，你说吧 again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_callee_at_a_gateway_is_understood_and_graded() -> Result<()> {
    const CALLEE: &str = "13800138000";
    let hearing = whisper()?;
    let _alone = ALONE.lock().await;
    let house = House::open(hearing).await?;
    let trunk = house.trunk().await?;
    let campaign = campaign::plan(&house, &trunk, &[CALLEE]).await?;

    let yes = sound::phrase("demo-yes-speak-f")?;
    // The greeting takes five seconds; then there is an answer to every question of the robot's.
    let mut says = sound::seconds(6.0);
    for _ in 0..20 {
        says.extend(&yes);
        says.extend(sound::seconds(5.0));
    }
    let mut events = house.events();
    // Calls come for the dialled number, so that account has its name; it registers nowhere.
    let line = format!(
        "<sip:{CALLEE}@{};transport=udp>;regint=0;answermode=auto;audio_codecs=PCMA",
        house.sip
    );
    let mut callee = Baresip::start(&[account(&house, "gw1.acme", "PCMA"), line], &says).await?;
    events.next("trunk.up", SOON, |_| true).await?;
    campaign.start(&house).await?;
    callee.event("CALL_ESTABLISHED", SOON).await?;
    let ended = events
        .next("call.ended", Duration::from_secs(120), |_| true)
        .await?;
    let record = house.record_of(&ended).await?;

    let turns = record["turns"].as_array().context("turns")?;
    let said: Vec<&Value> = turns
        .iter()
        .filter(|turn| turn["speaker"] == "callee")
        .collect();
    let recognised = said
        .iter()
        .filter_map(|turn| turn["text"].as_str())
        .filter(|text| !text.is_empty());
    let recognised: Vec<&str> = recognised.collect();
    ensure!(!recognised.is_empty(), "nothing was recognised: {record}");
    ensure!(
        recognised.iter().any(|text| text.contains("可以")),
        "{recognised:?}"
    );
    let grade = text(&record, "grade")?;
    ensure!(
        ["A", "B", "C", "D"].contains(&grade.as_str()),
        "{grade}: {record}"
    );
    ensure!(
        record["charge_minor"].as_i64() >= Some(PER_MINUTE),
        "{record}"
    );

    // The callee heard the robot, and the recording has both.
    let robot = sound::voiced(&callee.quit().await?);
    ensure!(robot > 3.0, "the callee heard {robot} s of the robot");
    let file = recording(&house, &record).await?;
    let channels = sound::read(&file)?;
    let [from_callee, to_callee] = channels.as_slice() else {
        anyhow::bail!("{} channels", channels.len())
    };
    let (left, right) = (sound::voiced(from_callee), sound::voiced(to_callee));
    ensure!(
        left > 0.5 && right > 3.0,
        "recorded: callee {left} s, robot {right} s"
    );
    house.close().await;
    Ok(())
}

/// The recording, downloaded as the record says.
async fn recording(house: &House, record: &Value) -> Result<std::path::PathBuf> {
    let path = text(record, "recording_url")?;
    let path = path.trim_start_matches("/api/v1");
    let bytes = house
        .api
        .request("GET", path)
        .send()
        .await?
        .error_for_status()?
        .bytes()
        .await?;
    let file = house.data().join("downloaded.wav");
    std::fs::write(&file, bytes)?;
    Ok(file)
}
