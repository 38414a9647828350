//! Whether the process lives, and whether it can take calls.

use crate::AdminState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct Ready {
    ready: bool,
    /// No new calls are begun; live ones go on.
    draining: bool,
    database: bool,
    /// The recogniser in use, or why robots cannot hear.
    speech: String,
    calls: usize,
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
    let engine = state.engine.ready().await;
    let database = state.store.is_set_up(&state.platform).await.is_ok();
    let ready = engine.ready && !engine.draining && database;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let view = Ready {
        ready,
        draining: engine.draining,
        database,
        speech: engine.speech,
        calls: engine.calls,
    };
    (status, Json(view))
}
