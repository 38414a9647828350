//! Whether the process lives, and whether it can take calls: if not, why, and what to do.

use crate::AdminState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// How long the database may take to answer before it counts as away.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Serialize, ToSchema)]
pub struct Ready {
    ready: bool,
    /// No new calls are begun; live ones go on.
    draining: bool,
    database: bool,
    /// The recogniser in use, or why robots cannot hear.
    speech: String,
    calls: usize,
    /// Why it is not ready.
    reasons: Vec<Reason>,
    /// What works less well than it could.
    warnings: Vec<Reason>,
}

#[derive(Serialize, ToSchema)]
pub struct Reason {
    /// Stable: `draining`, `engine`, `database`, `journal`, `disk`, `speech`.
    code: &'static str,
    text: String,
    /// What would help.
    fix: &'static str,
}

/// The process lives
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()), responses((status = 200, body = String)))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// It can take calls
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()),
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
pub async fn readyz(State(state): State<AdminState>) -> (StatusCode, Json<Ready>) {
    let (engine, database) = tokio::join!(state.engine.ready(), database(&state));
    let mut reasons = Vec::new();
    let mut because = |code, text: String, fix| reasons.push(Reason { code, text, fix });
    if engine.draining {
        let text = format!("it is stopping; {} calls go on", engine.calls);
        because("draining", text, "wait, or start it again");
    } else if let Some(text) = engine.journal {
        because(
            "journal",
            text,
            "make room on its disk, or mend it; no restart is needed",
        );
    } else if engine.disk.is_none() && !engine.ready {
        let text = "the engine does not answer".to_owned();
        because("engine", text, "look into the log; start it again");
    }
    if let Some(text) = engine.disk {
        because(
            "disk",
            text,
            "make room; recordings and robots go on by themselves",
        );
    }
    if !database {
        let text = "the database does not answer".to_owned();
        because(
            "database",
            text,
            "look after the database; what waits is written when it is back",
        );
    }
    let mut warnings = Vec::new();
    if !engine.can_hear && !engine.speech.is_empty() {
        warnings.push(Reason {
            code: "speech",
            text: engine.speech.clone(),
            fix: "huying models pull, then start it again",
        });
    }
    let ready = reasons.is_empty();
    let status = match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let view = Ready {
        ready,
        draining: engine.draining,
        database,
        speech: engine.speech,
        calls: engine.calls,
        reasons,
        warnings,
    };
    (status, Json(view))
}

/// Whether it answers a question.
pub(crate) async fn database(state: &AdminState) -> bool {
    let asked = state.store.is_set_up(&state.platform);
    matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(_)))
}
