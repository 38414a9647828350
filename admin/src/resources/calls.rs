//! Calls: records with all that is known of them, their recordings, and those that are up right now.

use crate::AdminState;
use crate::auth::Caller;
use crate::extract::At;
use crate::page::{List, Listed, Page};
use crate::problem::{Answer, Problem};
use crate::ranges;
use crate::wire::{Moment, moment};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bots::{GradeRecord, TurnRecord};
use engine::LiveCallView;
use model::{CallId, Direction, Disposition, Grade, LegStats, Termination};
use serde::Serialize;
use serde_json::Value;
use store::Listing;
use store::calls::{CallPage, CallRow};
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Serialize, ToSchema)]
#[schema(as = Call)]
pub struct CallView {
    id: Uuid,
    /// `robot`, `internal`, `outbound` or `inbound`.
    #[schema(value_type = String, example = "robot")]
    direction: Direction,
    caller: String,
    callee: String,
    campaign_id: Option<Uuid>,
    lead_id: Option<Uuid>,
    lead_name: Option<String>,
    extension_id: Option<Uuid>,
    trunk_id: Option<Uuid>,
    started_at: Moment,
    ringing_at: Option<Moment>,
    answered_at: Option<Moment>,
    ended_at: Moment,
    talk_ms: u64,
    /// `{"kind": "answered"}`, `{"kind": "unreached", "cause": "busy"}` …
    #[schema(value_type = Object)]
    disposition: Disposition,
    /// Who ended it, with the SIP and Q.850 codes.
    #[schema(value_type = Object)]
    termination: Termination,
    #[schema(value_type = Option<String>, example = "A")]
    grade: Option<char>,
    /// What users know the grade by.
    #[schema(example = "意向客户")]
    grade_name: Option<&'static str>,
    /// Of the nodes and branches taken.
    labels: Vec<String>,
    charge_minor: i64,
    /// Where its recording is, when there is one.
    recording_url: Option<String>,
}

fn view(row: CallRow) -> CallView {
    let cdr = row.cdr;
    CallView {
        id: cdr.id.0,
        direction: cdr.direction,
        caller: cdr.caller,
        callee: cdr.callee,
        campaign_id: cdr.campaign.map(|id| id.0),
        lead_id: cdr.lead.map(|id| id.0),
        lead_name: row.lead_name,
        extension_id: cdr.extension.map(|id| id.0),
        trunk_id: cdr.trunk.map(|id| id.0),
        started_at: cdr.started_at.into(),
        ringing_at: moment(cdr.ringing_at),
        answered_at: moment(cdr.answered_at),
        ended_at: cdr.ended_at.into(),
        talk_ms: cdr.talk_ms,
        disposition: cdr.disposition,
        termination: cdr.termination,
        grade: row.grade.map(Grade::letter),
        grade_name: row.grade.map(Grade::name),
        labels: row.labels,
        charge_minor: cdr.charge.minor(),
        recording_url: cdr
            .recording
            .map(|_| format!("/api/v1/calls/{}/recording", cdr.id)),
    }
}

#[derive(Serialize, ToSchema)]
pub struct CallPageView {
    #[serde(flatten)]
    call: CallView,
    template_id: Option<Uuid>,
    template_version: Option<u32>,
    /// Who said what, when (milliseconds of the call's audio), understood as what, and what the robot did about it.
    #[schema(value_type = Vec<Object>)]
    turns: Vec<TurnRecord>,
    /// The grade in force, with its rule, its counters and the turns it rests on.
    #[schema(value_type = Option<Object>)]
    grading: Option<GradeRecord>,
    /// Grades under other versions of the rules.
    #[schema(value_type = Vec<Object>)]
    earlier_gradings: Vec<GradeRecord>,
    events: Vec<CallEventView>,
    money: Money,
    /// What the customer's leg received and sent.
    #[schema(value_type = Option<Object>)]
    media: Option<LegStats>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallEvent)]
pub struct CallEventView {
    seq: u64,
    at: Moment,
    #[serde(rename = "type")]
    kind: String,
    #[schema(value_type = Object)]
    data: Value,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallMoney)]
pub struct Money {
    charge_minor: i64,
    reserved_minor: i64,
    postings: Vec<CallPosting>,
}

#[derive(Serialize, ToSchema)]
pub struct CallPosting {
    id: Uuid,
    kind: &'static str,
    at: Moment,
    available_minor: i64,
}

fn page_view(page: CallPage) -> CallPageView {
    let charge_minor = page.call.cdr.charge.minor();
    let media = page.call.cdr.customer_stats;
    let (template_id, template_version) = match page.call.template {
        Some((id, version)) => (Some(id.0), version),
        None => (None, None),
    };
    let mut gradings = page.grades.into_iter().map(|graded| graded.record);
    CallPageView {
        template_id,
        template_version,
        turns: page.turns,
        grading: gradings.next(),
        earlier_gradings: gradings.collect(),
        events: page
            .events
            .into_iter()
            .map(|event| CallEventView {
                seq: event.seq,
                at: event.at.into(),
                kind: event.kind,
                data: event.data,
            })
            .collect(),
        money: Money {
            charge_minor,
            reserved_minor: page.attempt.map_or(0, |attempt| attempt.reserved.minor()),
            postings: page
                .postings
                .iter()
                .map(|posting| CallPosting {
                    id: posting.id.0,
                    kind: posting.kind.code(),
                    at: posting.at.into(),
                    available_minor: posting.available().minor(),
                })
                .collect(),
        },
        media,
        call: view(page.call),
    }
}

pub struct Calls;

impl Listed for Calls {
    const LISTING: &'static Listing = &store::calls::CALLS;
}

/// List call records
#[utoipa::path(get, path = "/calls", tag = "calls", security(("bearer" = ["calls:read"])), params(List<Calls>),
    responses((status = 200, body = Page<CallView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    List(asked, ..): List<Calls>,
) -> Answer<Json<Page<CallView>>> {
    let page = state.store.calls(&caller.scope, &asked).await?;
    Ok(Json(Page::of(page, view)))
}

/// One call with everything known of it
#[utoipa::path(get, path = "/calls/{id}", tag = "calls", security(("bearer" = ["calls:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = CallPageView)))]
pub async fn get(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<CallId>,
) -> Answer<Json<CallPageView>> {
    Ok(Json(page_view(state.store.call(&caller.scope, id).await?)))
}

/// A call's recording
///
/// Two channels: left the customer, right everything the customer hears. Byte ranges are served.
#[utoipa::path(get, path = "/calls/{id}/recording", tag = "calls", security(("bearer" = ["recordings:read"])),
    params(("id" = Uuid, Path)),
    responses((status = 200, content_type = "audio/wav"), (status = 206, content_type = "audio/wav")))]
pub async fn recording(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<CallId>,
    headers: HeaderMap,
) -> Answer<Response> {
    let page = state.store.call(&caller.scope, id).await?;
    let name = page.call.cdr.recording.ok_or_else(Problem::not_found)?;
    ranges::wav(&state.config.recordings, &name, &id.to_string(), &headers).await
}

#[derive(Serialize, ToSchema)]
pub struct LiveCall {
    id: Uuid,
    #[schema(value_type = String, example = "robot")]
    direction: Direction,
    caller: String,
    callee: String,
    campaign_id: Option<Uuid>,
    lead_id: Option<Uuid>,
    started_at: Moment,
    answered_at: Option<Moment>,
}

fn live_view(call: LiveCallView) -> LiveCall {
    LiveCall {
        id: call.id.0,
        direction: call.direction,
        caller: call.caller,
        callee: call.callee,
        campaign_id: call.campaign.map(|id| id.0),
        lead_id: call.lead.map(|id| id.0),
        started_at: call.started_at.into(),
        answered_at: moment(call.answered_at),
    }
}

/// Calls that are up or being set up
#[utoipa::path(get, path = "/live-calls", tag = "calls", security(("bearer" = ["calls:monitor"])),
    responses((status = 200, body = Page<LiveCall>)))]
pub async fn live(State(state): State<AdminState>, caller: Caller) -> Answer<Json<Page<LiveCall>>> {
    let calls = state.engine.live_calls(caller.tenant()).await;
    Ok(Json(Page::whole(
        calls.into_iter().map(live_view).collect(),
    )))
}

/// Hang up a live call
#[utoipa::path(post, path = "/live-calls/{id}/hang-up", tag = "calls", security(("bearer" = ["calls:end"])),
    params(("id" = Uuid, Path)), responses((status = 202)))]
pub async fn hang_up(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<CallId>,
) -> Answer<StatusCode> {
    if state
        .engine
        .hang_up(caller.tenant(), id, caller.name())
        .await
    {
        let scope = &caller.scope;
        state
            .store
            .note_deed(scope, "call.hung_up", Some(id.0), &Value::Null, state.now())
            .await?;
        Ok(StatusCode::ACCEPTED)
    } else {
        Err(Problem::not_found().detail("no such call is up"))
    }
}
