//! Verdicts of the gate: why numbers were, or were not, dialled.

use crate::AdminState;
use crate::auth::Caller;
use crate::page::{List, Listed, Page};
use crate::problem::Answer;
use crate::wire::{Moment, moment};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use store::Listing;
use store::attempts::DecisionRow;
use store::decisions::Verdict;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Serialize, ToSchema)]
#[schema(as = Decision)]
pub struct DecisionView {
    id: Uuid,
    at: Moment,
    allowed: bool,
    /// The rule that denied.
    #[schema(example = "calling_window")]
    rule: Option<&'static str>,
    detail: String,
    /// When it will be asked again.
    next_at: Option<Moment>,
    campaign_id: Option<Uuid>,
    /// The call it allowed.
    call_id: Option<Uuid>,
}

pub fn view(row: DecisionRow) -> DecisionView {
    DecisionView {
        id: row.id.0,
        at: row.at.into(),
        allowed: row.allowed,
        rule: row.rule.map(|rule| rule.code()),
        detail: row.detail,
        next_at: moment(row.next),
        campaign_id: row.campaign.map(|id| id.0),
        call_id: row.call.map(|id| id.0),
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Verdict)]
pub struct VerdictView {
    #[serde(flatten)]
    decision: DecisionView,
    lead_id: Option<Uuid>,
    number: String,
}

pub struct Decisions;

impl Listed for Decisions {
    const LISTING: &'static Listing = &store::decisions::DECISIONS;
}

/// List verdicts of the gate
#[utoipa::path(get, path = "/decisions", tag = "dialling", security(("bearer" = ["campaigns:read"])),
    params(List<Decisions>), responses((status = 200, body = Page<VerdictView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    List(asked, ..): List<Decisions>,
) -> Answer<Json<Page<VerdictView>>> {
    let page = state.store.decisions(&caller.scope, &asked).await?;
    Ok(Json(Page::of(page, |verdict: Verdict| VerdictView {
        decision: view(verdict.decision),
        lead_id: verdict.lead.map(|id| id.0),
        number: verdict.number,
    })))
}
