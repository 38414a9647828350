//! Leads: the numbers robots are to call.

use super::campaigns::{WaitingView, waiting};
use super::decisions::{self, DecisionView};
use super::extensions::reference;
use crate::AdminState;
use crate::auth::Caller;
use crate::etag::{IfMatch, tagged_live};
use crate::extract::{At, Body};
use crate::page::{List, Listed, Page};
use crate::problem::{Answer, Checks, Problem};
use crate::wire::{Created, Moment, moment, number};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use dialer::{CampaignState, LeadState};
use engine::Waiting;
use model::{CampaignId, Disposition, Grade, LeadId, Wall};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::leads::{LeadRow, LeadWords, NewLead, Selection};
use store::{Listing, StoreError};
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Serialize, ToSchema)]
#[schema(as = Lead)]
pub struct LeadView {
    id: Uuid,
    number: String,
    name: String,
    /// 批次
    batch: String,
    /// Further columns.
    #[schema(value_type = Object)]
    custom: Map<String, Value>,
    campaign_id: Option<Uuid>,
    /// `listed`, `queued`, `claimed`, `dialling`, `retry`, `done`, `suppressed` or `exhausted`.
    #[schema(example = "queued")]
    state: &'static str,
    /// The rule that forbids it for good, of a suppressed one.
    #[schema(example = "do_not_call")]
    rule: Option<&'static str>,
    /// When it may be dialled, while it waits.
    due_at: Option<Moment>,
    attempts: u32,
    unreached_in_a_row: u32,
    #[schema(value_type = Option<String>, example = "A")]
    grade: Option<char>,
    last_call_id: Option<Uuid>,
    created_at: Moment,
    updated_at: Moment,
}

pub fn view(row: LeadRow) -> LeadView {
    LeadView {
        id: row.lead.id.0,
        number: row.lead.number.to_string(),
        name: row.lead.name,
        batch: row.lead.batch,
        custom: row.custom,
        campaign_id: row.lead.campaign.map(|id| id.0),
        state: row.lead.state.kind().code(),
        rule: match row.lead.state {
            LeadState::Suppressed { rule } => Some(rule.code()),
            _ => None,
        },
        due_at: moment(row.due),
        attempts: row.lead.attempts,
        unreached_in_a_row: row.lead.unreached_in_a_row,
        grade: row.lead.grade.map(Grade::letter),
        last_call_id: row.last_call.map(|id| id.0),
        created_at: row.created_at.into(),
        updated_at: row.updated_at.into(),
    }
}

pub struct Leads;

impl Listed for Leads {
    const LISTING: &'static Listing = &store::leads::LEADS;
}

/// List leads
#[utoipa::path(get, path = "/leads", tag = "leads", security(("bearer" = ["leads:read"])), params(List<Leads>),
    responses((status = 200, body = Page<LeadView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    List(asked, ..): List<Leads>,
) -> Answer<Json<Page<LeadView>>> {
    let page = state.store.leads(&caller.scope, &asked).await?;
    Ok(Json(Page::of(page, view)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeadRequest {
    #[schema(example = "13800138000")]
    number: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    batch: String,
    /// Into this campaign's list, not yet its queue.
    campaign_id: Option<Uuid>,
    #[serde(default)]
    #[schema(value_type = Object)]
    custom: Map<String, Value>,
}

fn check_words(checks: &mut Checks, name: &str, batch: &str, custom: &Map<String, Value>) {
    checks.optional_text(name, "/name", 100);
    checks.optional_text(batch, "/batch", 64);
    checks.that(
        custom.len() <= 100,
        "/custom",
        "too_long",
        "at most 100 columns",
    );
    let flat = custom.values().all(|value| match value {
        Value::String(text) => text.chars().count() <= 1000,
        Value::Array(_) | Value::Object(_) => false,
        _ => true,
    });
    checks.that(
        flat,
        "/custom",
        "invalid",
        "columns are texts of up to 1000 characters, numbers or booleans",
    );
}

/// Add a lead
#[utoipa::path(post, path = "/leads", tag = "leads", security(("bearer" = ["leads:write"])),
    request_body = LeadRequest, responses((status = 201, body = Created)))]
pub async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    Body(asked): Body<LeadRequest>,
) -> Answer<(StatusCode, Json<Created>)> {
    let mut checks = Checks::new();
    check_words(&mut checks, &asked.name, &asked.batch, &asked.custom);
    checks.done()?;
    let country = state.store.tenant(&caller.scope).await?.country;
    let number = number(&asked.number, &country, "/number")?;
    let campaign = asked.campaign_id.map(CampaignId);
    if let Some(id) = campaign {
        reference(
            state.store.campaign(&caller.scope, id).await,
            "/campaign_id",
        )?;
    }
    let new = NewLead {
        number,
        name: asked.name,
        custom: asked.custom,
    };
    let id = state
        .store
        .add_lead(
            &caller.scope,
            campaign,
            asked.batch.trim(),
            &new,
            state.now(),
        )
        .await?;
    Ok((StatusCode::CREATED, Json(Created { id: id.0 })))
}

/// One lead
#[utoipa::path(get, path = "/leads/{id}", tag = "leads", security(("bearer" = ["leads:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = LeadView)))]
pub async fn get(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<LeadId>,
) -> Answer<Response> {
    let row = state.store.lead(&caller.scope, id).await?;
    let version = version(&row);
    Ok(tagged_live(view(row), version))
}

/// A lead is changed by people and by calls: the moment of its last change is its version.
fn version(row: &LeadRow) -> u64 {
    row.updated_at.as_millis().max(0) as u64
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeadPatch {
    name: Option<String>,
    batch: Option<String>,
    #[schema(value_type = Option<Object>)]
    custom: Option<Map<String, Value>>,
}

/// Change what a lead is called
#[utoipa::path(patch, path = "/leads/{id}", tag = "leads", security(("bearer" = ["leads:write"])),
    params(("id" = Uuid, Path), IfMatch), request_body = LeadPatch, responses((status = 200, body = LeadView)))]
pub async fn change(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<LeadId>,
    known: IfMatch,
    Body(asked): Body<LeadPatch>,
) -> Answer<Response> {
    let row = state.store.lead(&caller.scope, id).await?;
    let from = known.check(version(&row))?.map(|_| row.updated_at);
    let words = LeadWords {
        name: asked.name.unwrap_or(row.lead.name),
        batch: asked.batch.unwrap_or(row.lead.batch).trim().to_owned(),
        custom: asked.custom.unwrap_or(row.custom),
    };
    let mut checks = Checks::new();
    check_words(&mut checks, &words.name, &words.batch, &words.custom);
    checks.done()?;
    state
        .store
        .edit_lead(&caller.scope, id, &words, from, state.now())
        .await
        .map_err(|error| known.lost(error))?;
    get(State(state), caller, At(id)).await
}

/// Delete a lead
#[utoipa::path(delete, path = "/leads/{id}", tag = "leads", security(("bearer" = ["leads:write"])),
    params(("id" = Uuid, Path), IfMatch), responses((status = 204)))]
pub async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<LeadId>,
    known: IfMatch,
) -> Answer<StatusCode> {
    let row = state.store.lead(&caller.scope, id).await?;
    known.check(version(&row))?;
    state
        .store
        .delete_lead(&caller.scope, id, state.now())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Exactly one of the ways to choose.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnqueueRequest {
    campaign_id: Uuid,
    #[schema(max_items = 1000)]
    lead_ids: Option<Vec<Uuid>>,
    batch: Option<String>,
    /// All that are listed in the campaign.
    #[serde(default)]
    all_listed: bool,
}

#[derive(Serialize, ToSchema)]
pub struct EnqueuedView {
    queued: u64,
    /// Waiting or live already, or the campaign has the number by another lead.
    skipped: u64,
}

/// Put leads into a campaign's queue (加入呼叫)
#[utoipa::path(post, path = "/leads/enqueue", tag = "leads", security(("bearer" = ["leads:write"])),
    request_body = EnqueueRequest, responses((status = 200, body = EnqueuedView)))]
pub async fn enqueue(
    State(state): State<AdminState>,
    caller: Caller,
    Body(asked): Body<EnqueueRequest>,
) -> Answer<Json<EnqueuedView>> {
    let campaign = CampaignId(asked.campaign_id);
    let selection = match (asked.lead_ids, asked.batch, asked.all_listed) {
        (Some(ids), None, false) if (1..=1000).contains(&ids.len()) => {
            Selection::Leads(ids.into_iter().map(LeadId).collect())
        }
        (Some(_), None, false) => {
            return Err(Problem::invalid(
                "/lead_ids",
                "out_of_range",
                "1 to 1000 leads at a time",
            ));
        }
        (None, Some(batch), false) => Selection::Batch(batch),
        (None, None, true) => Selection::Campaign(campaign),
        _ => {
            return Err(Problem::invalid(
                "",
                "choose_one",
                "give one of lead_ids, batch and all_listed",
            ));
        }
    };
    reference(
        state.store.campaign(&caller.scope, campaign).await,
        "/campaign_id",
    )?;
    let done = match state
        .store
        .enqueue(&caller.scope, campaign, &selection, state.now())
        .await
    {
        Err(StoreError::NotFound) => {
            return Err(Problem::not_found().field(
                "/lead_ids",
                "not_found",
                "one of them is not there",
            ));
        }
        other => other?,
    };
    state
        .engine
        .campaign_changed(caller.tenant(), campaign)
        .await;
    Ok(Json(EnqueuedView {
        queued: done.queued,
        skipped: done.skipped,
    }))
}

/// Take a lead out of the queue
#[utoipa::path(post, path = "/leads/{id}/take-back", tag = "leads", security(("bearer" = ["leads:write"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = LeadView)))]
pub async fn take_back(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<LeadId>,
) -> Answer<Response> {
    state
        .store
        .take_back(&caller.scope, id, state.now())
        .await?;
    get(State(state), caller, At(id)).await
}

#[derive(Serialize, ToSchema)]
#[schema(as = Why)]
pub struct WhyView {
    lead: LeadView,
    /// What must happen before it is dialled; absent when it is on the phone or will not be dialled again. Beside what a
    /// campaign waits for: `queue` (it is only listed), `campaign` (it is not running), `due` (its time), `turn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<WaitingView>,
    /// When it is looked at next, where that is known.
    next_at: Option<Moment>,
    /// What the gate said, newest first.
    decisions: Vec<DecisionView>,
    /// Dials, newest first.
    attempts: Vec<AttemptView>,
}

fn waits(
    reason: &'static str,
    detail: impl Into<String>,
    fix: Option<&'static str>,
    until: Option<Wall>,
) -> Option<WaitingView> {
    Some(WaitingView {
        reason,
        detail: detail.into(),
        fix,
        until: moment(until),
    })
}

async fn waits_for(
    state: &AdminState,
    caller: &Caller,
    row: &LeadRow,
) -> Answer<Option<WaitingView>> {
    let campaign = match (&row.lead.state, row.lead.campaign) {
        (LeadState::Listed, _) => {
            let fix = Some("POST /leads/enqueue");
            return Ok(waits("queue", "it is listed and not in a queue", fix, None));
        }
        (LeadState::Queued | LeadState::Retry { .. }, Some(campaign)) => campaign,
        _ => return Ok(None),
    };
    let plan = state
        .store
        .campaign(&caller.scope, campaign)
        .await?
        .campaign;
    if plan.state != CampaignState::Running {
        let detail = format!("its campaign is {}", plan.state.code());
        let fix = Some("POST /campaigns/{id}/start");
        return Ok(waits("campaign", detail, fix, None));
    }
    if row.due.is_some_and(|due| due > state.now()) {
        return Ok(waits("due", "its time has not come", None, row.due));
    }
    let standing = state.engine.standing(caller.tenant(), campaign).await;
    match standing.and_then(|standing| standing.waiting) {
        // The others are not due; this one is.
        None | Some(Waiting::Leads { .. }) => {
            Ok(waits("turn", "its turn: others are before it", None, None))
        }
        Some(of_campaign) => Ok(Some(waiting(of_campaign))),
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptView {
    call_id: Uuid,
    caller: String,
    begun_at: Moment,
    answered_at: Option<Moment>,
    ended_at: Option<Moment>,
    #[schema(value_type = Option<Object>)]
    disposition: Option<Disposition>,
    #[schema(value_type = Option<String>)]
    grade: Option<char>,
}

/// Why a lead was, or was not, dialled
#[utoipa::path(get, path = "/leads/{id}/why", tag = "leads", security(("bearer" = ["leads:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = WhyView)))]
pub async fn why(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<LeadId>,
) -> Answer<Json<WhyView>> {
    let why = state.store.why(&caller.scope, id, 50).await?;
    let waits_for = waits_for(&state, &caller, &why.lead).await?;
    let asked_again = why.decisions.first().filter(|row| !row.allowed);
    let next_at = match why.lead.lead.state {
        LeadState::Queued | LeadState::Retry { .. } => {
            why.lead.due.max(asked_again.and_then(|row| row.next))
        }
        _ => None,
    };
    let decisions = why.decisions.into_iter().map(decisions::view);
    let attempts = why.attempts.into_iter().map(|row| AttemptView {
        call_id: row.call.0,
        caller: row.caller,
        begun_at: row.begun_at.into(),
        answered_at: moment(row.answered_at),
        ended_at: moment(row.ended_at),
        disposition: row.disposition,
        grade: row.grade.map(Grade::letter),
    });
    Ok(Json(WhyView {
        lead: view(why.lead),
        waits_for,
        next_at: moment(next_at),
        decisions: decisions.collect(),
        attempts: attempts.collect(),
    }))
}
