//! Numbers the enterprise must not call.

use super::extensions::reference;
use crate::AdminState;
use crate::auth::Caller;
use crate::extract::{At, Body, Query};
use crate::page::{List, Listed, Page};
use crate::problem::{Answer, Checks};
use crate::wire::{Moment, moment, number};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dialer::{DncList, OptOutBy, Suppression};
use model::CampaignId;
use serde::{Deserialize, Serialize};
use store::Listing;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

#[derive(Serialize, ToSchema)]
#[schema(as = DoNotCall)]
pub struct DoNotCallView {
    number: String,
    /// `tenant` or `campaign`.
    #[schema(example = "tenant")]
    list: &'static str,
    campaign_id: Option<Uuid>,
    /// `speech`, `key`, `sms`, `agent`, `import` or `api`.
    #[schema(value_type = String, example = "speech")]
    by: OptOutBy,
    since: Moment,
    /// For good when absent.
    until: Option<Moment>,
    note: String,
}

fn view(entry: Suppression) -> DoNotCallView {
    DoNotCallView {
        number: entry.number.to_string(),
        list: entry.list.name(),
        campaign_id: entry.campaign.map(|id| id.0),
        by: entry.by,
        since: entry.since.into(),
        until: moment(entry.until),
        note: entry.note,
    }
}

pub struct DoNotCalls;

impl Listed for DoNotCalls {
    const LISTING: &'static Listing = &store::suppression::DO_NOT_CALL;
}

/// List numbers not to call
#[utoipa::path(get, path = "/do-not-call", tag = "dialling", security(("bearer" = ["suppression:read"])),
    params(List<DoNotCalls>), responses((status = 200, body = Page<DoNotCallView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    List(asked, ..): List<DoNotCalls>,
) -> Answer<Json<Page<DoNotCallView>>> {
    let page = state.store.suppressed(&caller.scope, &asked).await?;
    Ok(Json(Page::of(page, view)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DoNotCallRequest {
    number: String,
    /// Only for this campaign; for the whole enterprise when absent.
    campaign_id: Option<Uuid>,
    /// For good when absent.
    until: Option<Moment>,
    #[serde(default)]
    note: String,
}

#[derive(Serialize, ToSchema)]
pub struct Suppressed {
    number: String,
    /// Queued leads this stopped.
    stopped: u64,
}

/// Never call this number
#[utoipa::path(post, path = "/do-not-call", tag = "dialling", security(("bearer" = ["suppression:write"])),
    request_body = DoNotCallRequest, responses((status = 201, body = Suppressed)))]
pub async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    Body(asked): Body<DoNotCallRequest>,
) -> Answer<(StatusCode, Json<Suppressed>)> {
    let now = state.now();
    let mut checks = Checks::new();
    checks.optional_text(&asked.note, "/note", 500);
    checks.that(
        asked.until.is_none_or(|at| at.0 > now),
        "/until",
        "in_the_past",
        "lies in the past",
    );
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
    let entry = Suppression {
        number: number.clone(),
        list: if campaign.is_some() {
            DncList::Campaign
        } else {
            DncList::Tenant
        },
        tenant: Some(caller.tenant()),
        campaign,
        by: OptOutBy::Api,
        since: now,
        until: asked.until.map(|at| at.0),
        note: asked.note,
    };
    let stopped = state.store.suppress(&caller.scope, &entry).await?;
    Ok((
        StatusCode::CREATED,
        Json(Suppressed {
            number: number.to_string(),
            stopped,
        }),
    ))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct WhichList {
    /// The campaign's list; the enterprise's when absent.
    campaign_id: Option<Uuid>,
}

/// Take a number off the list
#[utoipa::path(delete, path = "/do-not-call/{number}", tag = "dialling", security(("bearer" = ["suppression:write"])),
    params(("number" = String, Path), WhichList), responses((status = 204)))]
pub async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    At(text): At<String>,
    Query(which): Query<WhichList>,
) -> Answer<StatusCode> {
    let country = state.store.tenant(&caller.scope).await?.country;
    let number = number(&text, &country, "/number")?;
    let campaign = which.campaign_id.map(CampaignId);
    state
        .store
        .unsuppress(&caller.scope, &number, campaign, state.now())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
