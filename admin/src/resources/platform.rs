//! What the platform's administrators do across enterprises.

use super::caller_numbers::{self, CallerNumberView, CallerNumbers};
use super::settings::{self, SettingsView};
use super::setup::{check_password, enterprise};
use crate::AdminState;
use crate::auth::Caller;
use crate::etag::IfMatch;
use crate::extract::{At, Body};
use crate::page::{List, Listed, Page};
use crate::problem::{Answer, Checks, Code, Problem};
use crate::secret;
use crate::wire::Created;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use billing::{Applied, Posting};
use model::{CallerNumberId, Money, TenantId};
use serde::{Deserialize, Serialize};
use store::caller_numbers::Approval;
use store::tenants::TenantTerms;
use store::users::NewUser;
use store::{Listing, Role};
use utoipa::ToSchema;

pub struct Tenants;

impl Listed for Tenants {
    const LISTING: &'static Listing = &store::tenants::TENANTS;
}

/// List enterprises
#[utoipa::path(get, path = "/platform/tenants", tag = "platform", security(("bearer" = ["platform:read"])),
    params(List<Tenants>), responses((status = 200, body = Page<SettingsView>)))]
pub async fn tenants(
    State(state): State<AdminState>,
    caller: Caller,
    List(asked, ..): List<Tenants>,
) -> Answer<Json<Page<SettingsView>>> {
    let tenants = state.store.tenants(caller.platform()?, &asked).await?;
    Ok(Json(Page::of(tenants, settings::view)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantRequest {
    /// Its first administrator signs in with this.
    #[schema(example = "acme")]
    slug: String,
    name: String,
    zone: Option<String>,
    country: Option<String>,
    /// The administrator's password.
    password: String,
}

/// Add an enterprise with its administrator
#[utoipa::path(post, path = "/platform/tenants", tag = "platform", security(("bearer" = ["platform:write"])),
    request_body = TenantRequest, responses((status = 201, body = Created)))]
pub async fn create_tenant(
    State(state): State<AdminState>,
    caller: Caller,
    Body(asked): Body<TenantRequest>,
) -> Answer<(StatusCode, Json<Created>)> {
    let new = enterprise(
        &asked.slug,
        &asked.name,
        asked.zone.as_deref().unwrap_or("Asia/Shanghai"),
        asked.country.as_deref().unwrap_or("86"),
    )?;
    let mut checks = Checks::new();
    check_password(&mut checks, &asked.password, "/password");
    checks.done()?;
    let admin = NewUser {
        login: new.slug.clone(),
        name: new.name.clone(),
        password: secret::hash_password(asked.password).await?,
        role: Role::Admin,
    };
    let id = state
        .store
        .create_tenant(caller.platform()?, &new, &admin, state.now())
        .await?;
    state.engine.changed(id).await;
    Ok((StatusCode::CREATED, Json(Created { id: id.0 })))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TermsPatch {
    /// 禁止: nothing of it registers, dials or signs in.
    banned: Option<bool>,
    rate: Option<RateRequest>,
    robot_lines: Option<u32>,
    /// All SIP domains of its own.
    domains: Option<Vec<String>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateRequest {
    per_interval_minor: i64,
    interval_seconds: u64,
}

/// Set an enterprise's terms
#[utoipa::path(patch, path = "/platform/tenants/{id}", tag = "platform", security(("bearer" = ["platform:write"])),
    params(("id" = Uuid, Path), IfMatch), request_body = TermsPatch, responses((status = 204)))]
pub async fn set_terms(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TenantId>,
    known: IfMatch,
    Body(asked): Body<TermsPatch>,
) -> Answer<StatusCode> {
    if id == caller.tenant() && asked.banned == Some(true) {
        return Err(Problem::new(Code::WrongState).detail("nobody bans their own enterprise"));
    }
    let mut checks = Checks::new();
    if let Some(rate) = &asked.rate {
        checks.that(
            (0..=1_000_000).contains(&rate.per_interval_minor),
            "/rate/per_interval_minor",
            "out_of_range",
            "0 to 1000000",
        );
        let fits = (1..=3600).contains(&rate.interval_seconds);
        checks.that(fits, "/rate/interval_seconds", "out_of_range", "1 to 3600");
    }
    let lines_fit = asked.robot_lines.is_none_or(|lines| lines <= 100_000);
    checks.that(lines_fit, "/robot_lines", "out_of_range", "at most 100000");
    let domains: Option<Vec<String>> = asked.domains.map(|list| {
        list.iter()
            .map(|domain| domain.trim().to_ascii_lowercase())
            .collect()
    });
    for (n, domain) in domains.iter().flatten().enumerate() {
        let fits = (3..=253).contains(&domain.len())
            && domain.contains('.')
            && domain.split('.').all(|label| {
                !label.is_empty()
                    && label
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            });
        checks.that(fits, &format!("/domains/{n}"), "invalid", "a domain name");
    }
    checks.done()?;
    let terms = TenantTerms {
        banned: asked.banned,
        rate: asked
            .rate
            .map(|rate| (Money(rate.per_interval_minor), rate.interval_seconds * 1000)),
        robot_lines: asked.robot_lines,
        domains,
    };
    let platform = caller.platform()?;
    let tenant = state.store.tenant(&platform.tenant(id)).await?;
    let from = known.check(tenant.version)?;
    state
        .store
        .set_tenant_terms(platform, id, &terms, from, state.now())
        .await
        .map_err(|error| known.lost(error))?;
    state.engine.changed(id).await;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RechargeRequest {
    /// In the currency's smallest unit.
    #[schema(minimum = 1, example = 100000)]
    amount_minor: i64,
    /// The receipt. The same receipt again is the same recharge.
    reference: String,
    #[serde(default)]
    note: String,
}

#[derive(Serialize, ToSchema)]
pub struct Recharged {
    /// False when this receipt had been booked before.
    booked: bool,
    available_minor: i64,
}

/// Book a recharge
#[utoipa::path(post, path = "/platform/tenants/{id}/recharges", tag = "platform",
    security(("bearer" = ["platform:write"])), params(("id" = Uuid, Path)), request_body = RechargeRequest,
    responses((status = 201, body = Recharged)))]
pub async fn recharge(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TenantId>,
    Body(asked): Body<RechargeRequest>,
) -> Answer<(StatusCode, Json<Recharged>)> {
    let mut checks = Checks::new();
    checks.text(&asked.reference, "/reference", 100);
    checks.optional_text(&asked.note, "/note", 500);
    // 10^13 minor units: far above any receipt, far below where sums could wrap.
    let fits = (1..=10_000_000_000_000).contains(&asked.amount_minor);
    checks.that(fits, "/amount_minor", "out_of_range", "a positive amount");
    checks.done()?;
    let mut posting = Posting::recharge(
        id,
        asked.reference.trim(),
        Money(asked.amount_minor),
        state.now(),
    )
    .map_err(|error| Problem::invalid("/reference", "invalid", error.to_string()))?;
    posting.note = asked.note;
    let platform = caller.platform()?;
    let applied = state.store.post(platform, &posting).await?;
    let balance = state.store.balance(&platform.tenant(id)).await?;
    state.engine.changed(id).await;
    let done = Recharged {
        booked: applied == Applied::New,
        available_minor: balance.available.minor(),
    };
    Ok((StatusCode::CREATED, Json(done)))
}

/// List caller numbers of all enterprises
///
/// `state=pending` are those that wait for a decision.
#[utoipa::path(get, path = "/platform/caller-numbers", tag = "platform", security(("bearer" = ["platform:read"])),
    params(List<CallerNumbers>), responses((status = 200, body = Page<CallerNumberView>)))]
pub async fn caller_numbers(
    State(state): State<AdminState>,
    caller: Caller,
    List(asked, ..): List<CallerNumbers>,
) -> Answer<Json<Page<CallerNumberView>>> {
    let platform = caller.platform()?;
    let numbers = state
        .store
        .caller_numbers_to_decide(platform, &asked)
        .await?;
    Ok(Json(Page::of(numbers, caller_numbers::view)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    approved: bool,
    /// For the enterprise to read.
    #[serde(default)]
    note: String,
}

/// Approve or reject a caller number
#[utoipa::path(post, path = "/platform/tenants/{tenant}/caller-numbers/{id}/decision", tag = "platform",
    security(("bearer" = ["platform:write"])), params(("tenant" = Uuid, Path), ("id" = Uuid, Path)),
    request_body = DecisionRequest, responses((status = 204)))]
pub async fn decide(
    State(state): State<AdminState>,
    caller: Caller,
    At((tenant, id)): At<(TenantId, CallerNumberId)>,
    Body(asked): Body<DecisionRequest>,
) -> Answer<StatusCode> {
    let mut checks = Checks::new();
    checks.optional_text(&asked.note, "/note", 500);
    checks.done()?;
    let approval = if asked.approved {
        Approval::Approved
    } else {
        Approval::Rejected
    };
    let platform = caller.platform()?;
    state
        .store
        .decide_caller_number(platform, tenant, id, approval, &asked.note, state.now())
        .await?;
    state.engine.changed(tenant).await;
    Ok(StatusCode::NO_CONTENT)
}
