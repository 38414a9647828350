//! Who changed what.

use crate::AdminState;
use crate::auth::Caller;
use crate::page::{List, Listed, Page};
use crate::problem::Answer;
use crate::wire::Moment;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use store::Listing;
use store::audit::AuditRow;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditView {
    id: Uuid,
    at: Moment,
    /// `user`, `api_key`, `engine` or `setup`.
    #[schema(example = "user")]
    actor: String,
    actor_id: Option<Uuid>,
    #[schema(example = "trunk.updated")]
    action: String,
    /// What was changed.
    subject_id: Option<Uuid>,
    /// Passwords and keys are never shown; that one changed is.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
}

fn view(row: AuditRow) -> AuditView {
    AuditView {
        id: row.id.0,
        at: row.at.into(),
        actor: row.actor,
        actor_id: row.actor_id,
        action: row.action,
        subject_id: row.subject,
        before: row.before,
        after: row.after,
    }
}

pub struct Audit;

impl Listed for Audit {
    const LISTING: &'static Listing = &store::audit::AUDIT;
}

/// List changes
#[utoipa::path(get, path = "/audit", tag = "account", security(("bearer" = ["audit:read"])), params(List<Audit>),
    responses((status = 200, body = Page<AuditView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    List(asked, ..): List<Audit>,
) -> Answer<Json<Page<AuditView>>> {
    let page = state.store.audit(&caller.scope, &asked).await?;
    Ok(Json(Page::of(page, view)))
}
