//! Numbers the enterprise may show, once the platform has approved them.

use crate::AdminState;
use crate::auth::Caller;
use crate::etag::{IfMatch, tagged};
use crate::extract::{At, Body};
use crate::page::{List, Listed, Page};
use crate::problem::Answer;
use crate::wire::{Created, Moment, moment, number};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use model::CallerNumberId;
use serde::{Deserialize, Serialize};
use store::Listing;
use store::caller_numbers::CallerNumber;
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Serialize, ToSchema)]
#[schema(as = CallerNumber)]
pub struct CallerNumberView {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub number: String,
    /// `pending`, `approved` or `rejected`.
    #[schema(example = "approved")]
    pub state: &'static str,
    /// Why it was rejected.
    pub note: String,
    pub decided_at: Option<Moment>,
    pub version: u64,
    pub created_at: Moment,
}

pub fn view(number: CallerNumber) -> CallerNumberView {
    CallerNumberView {
        id: number.id.0,
        tenant_id: number.tenant.0,
        number: number.number.to_string(),
        state: number.approval.as_str(),
        note: number.note,
        decided_at: moment(number.decided_at),
        version: number.version,
        created_at: number.created_at.into(),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallerNumberRequest {
    #[schema(example = "02188886666")]
    number: String,
}

pub struct CallerNumbers;

impl Listed for CallerNumbers {
    const LISTING: &'static Listing = &store::caller_numbers::CALLER_NUMBERS;
}

/// List caller numbers
#[utoipa::path(get, path = "/caller-numbers", tag = "numbers", security(("bearer" = ["numbers:read"])),
    params(List<CallerNumbers>), responses((status = 200, body = Page<CallerNumberView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    List(asked, ..): List<CallerNumbers>,
) -> Answer<Json<Page<CallerNumberView>>> {
    let numbers = state.store.caller_numbers(&caller.scope, &asked).await?;
    Ok(Json(Page::of(numbers, view)))
}

/// Add a caller number
///
/// It is pending, and shown to nobody, until the platform approves it.
#[utoipa::path(post, path = "/caller-numbers", tag = "numbers", security(("bearer" = ["numbers:write"])),
    request_body = CallerNumberRequest, responses((status = 201, body = Created)))]
pub async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    Body(asked): Body<CallerNumberRequest>,
) -> Answer<(StatusCode, Json<Created>)> {
    let country = state.store.tenant(&caller.scope).await?.country;
    let number = number(&asked.number, &country, "/number")?;
    let id = state
        .store
        .add_caller_number(&caller.scope, &number, state.now())
        .await?;
    Ok((StatusCode::CREATED, Json(Created { id: id.0 })))
}

/// One caller number
#[utoipa::path(get, path = "/caller-numbers/{id}", tag = "numbers", security(("bearer" = ["numbers:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = CallerNumberView)))]
pub async fn get(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<CallerNumberId>,
) -> Answer<Response> {
    let number = state.store.caller_number(&caller.scope, id).await?;
    let version = number.version;
    Ok(tagged(view(number), version))
}

/// Delete a caller number
#[utoipa::path(delete, path = "/caller-numbers/{id}", tag = "numbers", security(("bearer" = ["numbers:write"])),
    params(("id" = Uuid, Path), IfMatch), responses((status = 204)))]
pub async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<CallerNumberId>,
    known: IfMatch,
) -> Answer<StatusCode> {
    let number = state.store.caller_number(&caller.scope, id).await?;
    known.check(number.version)?;
    state
        .store
        .delete_caller_number(&caller.scope, id, state.now())
        .await?;
    state.engine.changed(caller.tenant()).await;
    Ok(StatusCode::NO_CONTENT)
}
