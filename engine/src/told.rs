//! Events as log lines (level info, target `huying::events`), for those who read logs and no event stream: what happened, to
//! which call, with masked numbers. What was said stays out.

use model::Masked;
use switch::Notice;

const TARGET: &str = "huying::events";

pub(crate) fn log(notice: &Notice) {
    if !tracing::enabled!(target: TARGET, tracing::Level::INFO) || spoken(notice.kind) {
        return;
    }
    let data = &notice.data;
    let text = |name: &str| data[name].as_str();
    // Whatever people or peers wrote may hold a number.
    let masked = |name: &str| text(name).map(|text| Masked(text).to_string());
    tracing::info!(
        target: TARGET,
        tenant = %notice.tenant,
        call = text("call"),
        campaign = text("campaign"),
        lead = text("lead"),
        direction = text("direction"),
        caller = masked("caller"),
        callee = masked("callee"),
        aor = masked("aor"),
        disposition = data["disposition"]["kind"].as_str(),
        talk_ms = data["talk_ms"].as_u64(),
        charge = data["charge"].as_i64(),
        grade = text("grade"),
        rule = text("rule"),
        reason = masked("reason"),
        error = masked("error"),
        "{}",
        notice.kind
    );
}

/// Words of a conversation are not for logs.
fn spoken(kind: &str) -> bool {
    kind.starts_with("call.transcript") || kind == "call.robot.turn"
}
