//! Campaigns of robot calls: planned, started, paused, watched.

use super::extensions::reference;
use super::templates;
use crate::AdminState;
use crate::auth::Caller;
use crate::etag::{IfMatch, tagged_live};
use crate::extract::{At, Body};
use crate::page::{List, Listed, Page};
use crate::problem::{Answer, Checks, Code, Problem};
use crate::tongue::Tongue;
use crate::wire::{CalendarShape, Moment, check_calendar, moment};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bots::Severity;
use dialer::{Campaign, CampaignState, RetryRules};
use engine::{ClaimRefused, Waiting};
use model::{Calendar, CallerNumberId, CampaignId, TemplateId, TrunkId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use store::Listing;
use store::caller_numbers::Approval;
use store::campaigns::CampaignRow;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Serialize, ToSchema)]
#[schema(as = Campaign)]
pub struct CampaignView {
    id: Uuid,
    name: String,
    /// `draft`, `running`, `paused` or `finished`.
    #[schema(example = "running")]
    state: &'static str,
    template_id: Uuid,
    /// The version its calls speak from, once it was started.
    template_version: Option<u32>,
    caller_number_id: Uuid,
    trunk_id: Uuid,
    lines: u16,
    #[schema(value_type = CalendarShape)]
    robot_hours: Calendar,
    #[schema(value_type = CalendarShape)]
    calling_window: Calendar,
    zone: String,
    max_attempts: u32,
    #[schema(value_type = RetryShape)]
    retry: RetryRules,
    unconnected: u32,
    ring_timeout_seconds: u64,
    max_duration_seconds: u64,
    version: u64,
    created_at: Moment,
    updated_at: Moment,
    started_at: Option<Moment>,
    finished_at: Option<Moment>,
    /// Why it begins no call at the moment, where it is running and one campaign is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_for: Option<WaitingView>,
}

/// Why a running campaign begins no call at the moment.
#[derive(Serialize, ToSchema)]
#[schema(as = WaitingFor)]
pub struct WaitingView {
    /// `gateway`, `hours`, `lines`, `leads`, `banned`, `database`, `disk`, or a rule of the gate such as `balance`.
    #[schema(example = "gateway")]
    pub reason: &'static str,
    pub detail: String,
    /// What to do about it, where something can be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<&'static str>,
    /// When it goes on by itself, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
}

pub fn waiting(waiting: Waiting) -> WaitingView {
    let (reason, detail, fix, until) = match waiting {
        Waiting::Gateway => (
            "gateway",
            "no gateway is registered as the campaign's trunk".to_owned(),
            Some(
                "let it register with the trunk's user and password; GET /trunks shows when it has",
            ),
            None,
        ),
        Waiting::Hours { opens } => (
            "hours",
            "robots may not call now".to_owned(),
            Some("wait, or change the campaign's robot_hours or the enterprise's hours"),
            opens,
        ),
        Waiting::Lines(limit) => (
            "lines",
            format!("as many calls are up as {} allows", limit.phrase()),
            None,
            None,
        ),
        Waiting::Leads { due } => (
            "leads",
            "no lead of its list is due".to_owned(),
            Some("add leads, or enqueue listed ones: POST /leads/enqueue"),
            due,
        ),
        Waiting::Refused(ClaimRefused::Unavailable) => (
            "database",
            "the database or the call journal cannot be written to".to_owned(),
            Some("GET /readyz says which, and why"),
            None,
        ),
        Waiting::Refused(ClaimRefused::DiskFull) => (
            "disk",
            "the disk is nearly full: a call could not be recorded".to_owned(),
            Some("make room below the data folder, or lower disk_reserve"),
            None,
        ),
        Waiting::Banned => (
            "banned",
            "the enterprise is banned".to_owned(),
            Some("ask the platform's administrator"),
            None,
        ),
        Waiting::Rule(rule) => (
            rule.code(),
            "the gate refuses every lead by this rule".to_owned(),
            Some("GET /leads/{id}/why tells more"),
            None,
        ),
    };
    WaitingView {
        reason,
        detail,
        fix,
        until: moment(until),
    }
}

/// Seconds to wait after an attempt that reached nobody, by why; null is never again.
#[derive(ToSchema)]
#[schema(as = RetryRules)]
#[allow(dead_code)]
struct RetryShape {
    busy_seconds: Option<u64>,
    rejected_seconds: Option<u64>,
    no_answer_seconds: Option<u64>,
    switched_off_seconds: Option<u64>,
    machine_seconds: Option<u64>,
    fax_seconds: Option<u64>,
    network_seconds: Option<u64>,
}

fn view(row: CampaignRow) -> CampaignView {
    let campaign = row.campaign;
    CampaignView {
        id: campaign.id.0,
        name: campaign.name,
        state: campaign.state.code(),
        template_id: campaign.template.0,
        template_version: row.template_version,
        caller_number_id: campaign.caller.0,
        trunk_id: campaign.trunk.0,
        lines: campaign.lines,
        robot_hours: campaign.robot_hours,
        calling_window: campaign.calling_window,
        zone: campaign.zone.name().to_owned(),
        max_attempts: campaign.max_attempts,
        retry: campaign.retry,
        unconnected: campaign.unconnected,
        ring_timeout_seconds: campaign.ring_timeout.as_secs(),
        max_duration_seconds: campaign.max_duration.as_secs(),
        version: row.version,
        created_at: row.created_at.into(),
        updated_at: row.updated_at.into(),
        started_at: moment(row.started_at),
        finished_at: moment(row.finished_at),
        waiting_for: None,
    }
}

/// One campaign, with what it waits for.
async fn shown(state: &AdminState, caller: &Caller, id: CampaignId) -> Answer<Response> {
    let row = state.store.campaign(&caller.scope, id).await?;
    let standing = state.engine.standing(caller.tenant(), id).await;
    let version = row.version;
    let mut campaign = view(row);
    campaign.waiting_for = standing.and_then(|standing| standing.waiting).map(waiting);
    Ok(tagged_live(campaign, version))
}

/// What is absent is the default.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignRequest {
    name: String,
    template_id: Uuid,
    caller_number_id: Uuid,
    trunk_id: Uuid,
    /// Robot calls at once.
    #[schema(default = 1, minimum = 1)]
    lines: Option<u16>,
    /// 启动时间, in `zone`; 9 to 21 by default.
    #[schema(value_type = Option<CalendarShape>)]
    robot_hours: Option<Calendar>,
    /// When people may be called, on the callee's own clock; the enterprise's by default.
    #[schema(value_type = Option<CalendarShape>)]
    calling_window: Option<Calendar>,
    /// The enterprise's by default.
    zone: Option<String>,
    /// Attempts on one number, the first included.
    #[schema(default = 3, minimum = 1)]
    max_attempts: Option<u32>,
    #[schema(value_type = Option<RetryShape>)]
    retry: Option<RetryRules>,
    /// Attempts in a row that reached nobody until the grade is F.
    #[schema(default = 3, minimum = 1)]
    unconnected: Option<u32>,
    #[schema(default = 30, minimum = 15, maximum = 180)]
    ring_timeout_seconds: Option<u64>,
    #[schema(default = 600, minimum = 10, maximum = 14400)]
    max_duration_seconds: Option<u64>,
}

/// A plan out of a request: everything it refers to is there, everything in it makes sense.
async fn planned(
    state: &AdminState,
    caller: &Caller,
    id: CampaignId,
    asked: CampaignRequest,
) -> Answer<Campaign> {
    let scope = &caller.scope;
    let tenant = state.store.tenant(scope).await?;
    let mut checks = Checks::new();
    checks.text(&asked.name, "/name", 100);
    for (calendar, pointer) in [
        (&asked.robot_hours, "/robot_hours"),
        (&asked.calling_window, "/calling_window"),
    ] {
        if let Some(calendar) = calendar {
            check_calendar(&mut checks, calendar, pointer);
        }
    }
    let zone = match &asked.zone {
        None => Some(tenant.zone),
        Some(name) => name.parse().ok(),
    };
    checks.that(
        zone.is_some(),
        "/zone",
        "unknown_value",
        "an IANA zone, such as Asia/Shanghai",
    );
    checks.done()?;
    let (template, number, trunk) = (
        TemplateId(asked.template_id),
        CallerNumberId(asked.caller_number_id),
        TrunkId(asked.trunk_id),
    );
    reference(state.store.template(scope, template).await, "/template_id")?;
    reference(
        state.store.caller_number(scope, number).await,
        "/caller_number_id",
    )?;
    reference(state.store.trunk(scope, trunk).await, "/trunk_id")?;
    let zone = zone.unwrap_or(tenant.zone);
    let mut plan = Campaign::draft(
        id,
        scope.tenant(),
        asked.name.trim(),
        template,
        number,
        trunk,
        zone,
    );
    plan.calling_window = asked.calling_window.unwrap_or(tenant.policy.calling_window);
    plan.robot_hours = asked.robot_hours.unwrap_or(plan.robot_hours);
    plan.lines = asked.lines.unwrap_or(plan.lines);
    plan.max_attempts = asked.max_attempts.unwrap_or(plan.max_attempts);
    plan.retry = asked.retry.unwrap_or(plan.retry);
    plan.unconnected = asked.unconnected.unwrap_or(plan.unconnected);
    plan.ring_timeout = asked
        .ring_timeout_seconds
        .map_or(plan.ring_timeout, Duration::from_secs);
    plan.max_duration = asked
        .max_duration_seconds
        .map_or(plan.max_duration, Duration::from_secs);
    plan.check()
        .map_err(|error| Problem::invalid(pointer_of(error), "out_of_range", error.to_string()))?;
    Ok(plan)
}

fn pointer_of(error: dialer::CampaignError) -> &'static str {
    use dialer::CampaignError as E;
    match error {
        E::NoName => "/name",
        E::NoLines => "/lines",
        E::NoAttempts => "/max_attempts",
        E::NoUnconnected => "/unconnected",
        E::RingTimeout => "/ring_timeout_seconds",
        E::MaxDuration => "/max_duration_seconds",
        E::RobotHours | E::NeverOpen => "/robot_hours",
        E::CallingWindow => "/calling_window",
        E::RetryTooSoon => "/retry",
    }
}

pub struct Campaigns;

impl Listed for Campaigns {
    const LISTING: &'static Listing = &store::campaigns::CAMPAIGNS;
}

/// List campaigns
#[utoipa::path(get, path = "/campaigns", tag = "dialling", security(("bearer" = ["campaigns:read"])),
    params(List<Campaigns>), responses((status = 200, body = Page<CampaignView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    List(asked, ..): List<Campaigns>,
) -> Answer<Json<Page<CampaignView>>> {
    let page = state.store.campaigns(&caller.scope, &asked).await?;
    Ok(Json(Page::of(page, view)))
}

/// Add a campaign
#[utoipa::path(post, path = "/campaigns", tag = "dialling", security(("bearer" = ["campaigns:write"])),
    request_body = CampaignRequest, responses((status = 201, body = CampaignView)))]
pub async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    Body(asked): Body<CampaignRequest>,
) -> Answer<(StatusCode, Json<CampaignView>)> {
    let plan = planned(&state, &caller, store::fresh(), asked).await?;
    state
        .store
        .add_campaign(&caller.scope, &plan, state.now())
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(view(state.store.campaign(&caller.scope, plan.id).await?)),
    ))
}

/// One campaign
#[utoipa::path(get, path = "/campaigns/{id}", tag = "dialling", security(("bearer" = ["campaigns:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = CampaignView)))]
pub async fn get(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<CampaignId>,
) -> Answer<Response> {
    shown(&state, &caller, id).await
}

/// Replace a campaign's plan
///
/// A running one takes the new plan over at once.
#[utoipa::path(put, path = "/campaigns/{id}", tag = "dialling", security(("bearer" = ["campaigns:write"])),
    params(("id" = Uuid, Path), IfMatch), request_body = CampaignRequest, responses((status = 200, body = CampaignView)))]
pub async fn put(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<CampaignId>,
    known: IfMatch,
    tongue: Tongue,
    Body(asked): Body<CampaignRequest>,
) -> Answer<Response> {
    let row = state.store.campaign(&caller.scope, id).await?;
    known.check(row.version)?;
    let plan = planned(&state, &caller, id, asked).await?;
    if row.campaign.state == CampaignState::Running {
        check_ready(&state, &caller, &plan, tongue).await?;
    }
    state
        .store
        .edit_campaign(&caller.scope, &plan, row.version, state.now())
        .await
        .map_err(|error| known.lost(error))?;
    state.engine.campaign_changed(caller.tenant(), id).await;
    get(State(state), caller, At(id)).await
}

/// What a start needs: a diallable template, an approved number (or a trunk that shows its own), an enabled trunk.
async fn check_ready(
    state: &AdminState,
    caller: &Caller,
    plan: &Campaign,
    tongue: Tongue,
) -> Answer<()> {
    let (_, template) = templates::load(state, caller, plan.template).await?;
    let findings = template.check_in(tongue.of_template());
    if let Some(worst) = findings
        .iter()
        .find(|finding| finding.severity == Severity::Error)
    {
        let mut problem = Problem::new(Code::TemplateIncomplete)
            .detail(worst.message.clone())
            .fix(worst.fix.clone());
        for finding in findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
        {
            let pointer = format!("/template/{}", finding.node.as_deref().unwrap_or_default());
            problem = problem.field(&pointer, finding.code.as_str(), finding.message.clone());
        }
        return Err(problem);
    }
    let trunk = state.store.trunk(&caller.scope, plan.trunk).await?.settings;
    if trunk.disabled {
        return Err(Problem::new(Code::WrongState).detail("its trunk is disabled"));
    }
    let number = state
        .store
        .caller_number(&caller.scope, plan.caller)
        .await?;
    if number.approval != Approval::Approved && !trunk.forced_display {
        return Err(
            Problem::new(Code::NotApproved).fix("ask the platform's administrator to approve it")
        );
    }
    Ok(())
}

async fn step(
    state: &AdminState,
    caller: &Caller,
    id: CampaignId,
    to: CampaignState,
) -> Answer<Response> {
    state
        .store
        .move_campaign(&caller.scope, id, to, state.now())
        .await?;
    state.engine.campaign_changed(caller.tenant(), id).await;
    shown(state, caller, id).await
}

/// Start a campaign, or go on with a paused one
#[utoipa::path(post, path = "/campaigns/{id}/start", tag = "dialling", security(("bearer" = ["campaigns:write"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = CampaignView)))]
pub async fn start(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<CampaignId>,
    tongue: Tongue,
) -> Answer<Response> {
    let row = state.store.campaign(&caller.scope, id).await?;
    check_ready(&state, &caller, &row.campaign, tongue).await?;
    step(&state, &caller, id, CampaignState::Running).await
}

/// Pause a campaign
///
/// No new calls; live ones go on.
#[utoipa::path(post, path = "/campaigns/{id}/pause", tag = "dialling", security(("bearer" = ["campaigns:write"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = CampaignView)))]
pub async fn pause(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<CampaignId>,
) -> Answer<Response> {
    step(&state, &caller, id, CampaignState::Paused).await
}

#[derive(Serialize, ToSchema)]
#[schema(as = Progress)]
pub struct ProgressView {
    state: &'static str,
    leads: u64,
    /// Leads by state: listed, queued, claimed, dialling, retry, done, suppressed, exhausted.
    states: BTreeMap<&'static str, u64>,
    /// Leads by their last grade.
    grades: BTreeMap<char, u64>,
    /// Verdicts of the gate that denied, by rule.
    denied: BTreeMap<String, u64>,
    /// When the next waiting lead is due.
    next_due_at: Option<Moment>,
    /// Calls that are up or being set up.
    in_flight: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_for: Option<WaitingView>,
}

/// How a campaign stands
#[utoipa::path(get, path = "/campaigns/{id}/progress", tag = "dialling", security(("bearer" = ["campaigns:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = ProgressView)))]
pub async fn progress(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<CampaignId>,
) -> Answer<Json<ProgressView>> {
    let row = state.store.campaign(&caller.scope, id).await?;
    let progress = state.store.progress(&caller.scope, id).await?;
    let standing = state.engine.standing(caller.tenant(), id).await;
    let standing = standing.unwrap_or_default();
    Ok(Json(ProgressView {
        state: row.campaign.state.code(),
        leads: progress.states.values().sum(),
        states: progress.states.into_iter().collect(),
        grades: progress
            .grades
            .into_iter()
            .map(|(grade, n)| (grade.letter(), n))
            .collect(),
        denied: progress.denied.into_iter().collect(),
        next_due_at: moment(progress.next_due),
        in_flight: standing.in_flight,
        waiting_for: standing.waiting.map(waiting),
    }))
}
