//! The rules of grading as versions, and calls graded again under one of them.

use crate::AdminState;
use crate::auth::Caller;
use crate::extract::{At, Body};
use crate::page::Page;
use crate::problem::{Answer, Checks, Problem};
use crate::wire::{Moment, moment};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bots::{GradeRecord, Rules};
use model::{CallId, CampaignId, Wall};
use serde::{Deserialize, Serialize};
use store::StoreError;
use utoipa::ToSchema;

/// The thresholds of the grades A to F; the first line that fits decides.
#[derive(Serialize, ToSchema)]
#[schema(as = GradeRules)]
pub struct RulesView {
    version: u32,
    thresholds: Thresholds,
    /// Absent of the first, which is built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Moment>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GradeThresholds)]
pub struct Thresholds {
    /// Unreached attempts in a row that make an E an F.
    #[schema(minimum = 1, maximum = 1000, example = 3)]
    unreached_in_a_row: u32,
    /// Refusals that decide whatever else was said.
    #[schema(minimum = 1, maximum = 1000, example = 3)]
    refusals: u32,
    /// Two refusals decide below this many interactions.
    #[schema(minimum = 0, maximum = 1000, example = 5)]
    two_refusals_below: u32,
    /// One refusal decides below this many interactions.
    #[schema(minimum = 0, maximum = 1000, example = 3)]
    one_refusal_below: u32,
    /// For A: positive answers, or questions, or interactions.
    #[schema(minimum = 1, maximum = 1000, example = 1)]
    a_positives: u32,
    #[schema(minimum = 1, maximum = 1000, example = 2)]
    a_questions: u32,
    #[schema(minimum = 1, maximum = 1000, example = 5)]
    a_interactions: u32,
    /// For B: questions, or interactions.
    #[schema(minimum = 1, maximum = 1000, example = 1)]
    b_questions: u32,
    #[schema(minimum = 1, maximum = 1000, example = 4)]
    b_interactions: u32,
    /// For C: interactions.
    #[schema(minimum = 1, maximum = 1000, example = 2)]
    c_interactions: u32,
}

impl Thresholds {
    fn of(rules: &Rules) -> Thresholds {
        let Rules {
            version: _,
            unreached_in_a_row,
            refusals,
            two_refusals_below,
            one_refusal_below,
            a_positives,
            a_questions,
            a_interactions,
            b_questions,
            b_interactions,
            c_interactions,
        } = *rules;
        Thresholds {
            unreached_in_a_row,
            refusals,
            two_refusals_below,
            one_refusal_below,
            a_positives,
            a_questions,
            a_interactions,
            b_questions,
            b_interactions,
            c_interactions,
        }
    }

    fn rules(&self) -> Rules {
        Rules {
            version: 0,
            unreached_in_a_row: self.unreached_in_a_row,
            refusals: self.refusals,
            two_refusals_below: self.two_refusals_below,
            one_refusal_below: self.one_refusal_below,
            a_positives: self.a_positives,
            a_questions: self.a_questions,
            a_interactions: self.a_interactions,
            b_questions: self.b_questions,
            b_interactions: self.b_interactions,
            c_interactions: self.c_interactions,
        }
    }

    fn check(&self) -> Answer<()> {
        let mut checks = Checks::new();
        for (value, least, pointer) in [
            (self.unreached_in_a_row, 1, "/unreached_in_a_row"),
            (self.refusals, 1, "/refusals"),
            (self.two_refusals_below, 0, "/two_refusals_below"),
            (self.one_refusal_below, 0, "/one_refusal_below"),
            (self.a_positives, 1, "/a_positives"),
            (self.a_questions, 1, "/a_questions"),
            (self.a_interactions, 1, "/a_interactions"),
            (self.b_questions, 1, "/b_questions"),
            (self.b_interactions, 1, "/b_interactions"),
            (self.c_interactions, 1, "/c_interactions"),
        ] {
            let fits = (least..=1000).contains(&value);
            checks.that(fits, pointer, "out_of_range", &format!("{least} to 1000"));
        }
        checks.done()
    }
}

fn view(rules: &Rules, created_at: Option<Wall>) -> RulesView {
    RulesView {
        version: rules.version,
        thresholds: Thresholds::of(rules),
        created_at: moment(created_at),
    }
}

/// Versions of the rules of grading
///
/// Calls are graded under the first, the built-in one, as they end; under the others when they are graded again.
#[utoipa::path(get, path = "/grade-rules", tag = "calls", security(("bearer" = ["calls:read"])),
    responses((status = 200, body = Page<RulesView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
) -> Answer<Json<Page<RulesView>>> {
    let versions = state.store.grade_rules(&caller.scope).await?;
    let views = versions
        .iter()
        .map(|known| view(&known.rules, known.created_at));
    Ok(Json(Page::whole(views.collect())))
}

/// Add a version of the rules of grading
#[utoipa::path(post, path = "/grade-rules", tag = "calls", security(("bearer" = ["settings:write"])),
    request_body = Thresholds, responses((status = 201, body = RulesView)))]
pub async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    Body(asked): Body<Thresholds>,
) -> Answer<(StatusCode, Json<RulesView>)> {
    asked.check()?;
    let now = state.now();
    let rules = state
        .store
        .add_grade_rules(&caller.scope, &asked.rules(), now)
        .await?;
    Ok((StatusCode::CREATED, Json(view(&rules, Some(now)))))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegradeRequest {
    /// One of `GET /grade-rules`.
    #[schema(minimum = 1, example = 2)]
    rules_version: u32,
}

#[derive(Serialize, ToSchema)]
pub struct Regraded {
    #[schema(value_type = String, example = "B")]
    before: char,
    /// The grade under these rules. The one in force is that of the newest rules; older ones are kept.
    #[schema(value_type = Object)]
    grading: GradeRecord,
}

fn known_version(error: StoreError) -> Problem {
    match error {
        StoreError::Invalid {
            field: "rules_version",
        } => Problem::invalid(
            "/rules_version",
            "unknown_value",
            "GET /grade-rules lists the versions there are",
        ),
        error => error.into(),
    }
}

/// Grade a call again
#[utoipa::path(post, path = "/calls/{id}/regrade", tag = "calls", security(("bearer" = ["campaigns:write"])),
    params(("id" = Uuid, Path)), request_body = RegradeRequest, responses((status = 200, body = Regraded)))]
pub async fn call(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<CallId>,
    Body(asked): Body<RegradeRequest>,
) -> Answer<Json<Regraded>> {
    let done = state
        .store
        .regrade_call(&caller.scope, id, asked.rules_version, state.now())
        .await
        .map_err(known_version)?;
    Ok(Json(Regraded {
        before: done.before.letter(),
        grading: done.record,
    }))
}

#[derive(Serialize, ToSchema)]
pub struct CampaignRegraded {
    /// Graded again.
    calls: u64,
    /// Whose grade under these rules is another than the one that was in force.
    changed: u64,
}

/// Grade all calls of a campaign again
///
/// Older grades are kept. Sending it again changes nothing.
#[utoipa::path(post, path = "/campaigns/{id}/regrade", tag = "dialling", security(("bearer" = ["campaigns:write"])),
    params(("id" = Uuid, Path)), request_body = RegradeRequest, responses((status = 200, body = CampaignRegraded)))]
pub async fn campaign(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<CampaignId>,
    Body(asked): Body<RegradeRequest>,
) -> Answer<Json<CampaignRegraded>> {
    let done = state
        .store
        .regrade_campaign(&caller.scope, id, asked.rules_version, state.now())
        .await
        .map_err(known_version)?;
    Ok(Json(CampaignRegraded {
        calls: done.calls,
        changed: done.changed,
    }))
}
