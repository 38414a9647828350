//! The first administrator: a link that works once and for thirty minutes.

use crate::AdminState;
use crate::extract::Body;
use crate::problem::{Answer, Checks, Code, Problem};
use crate::secret::{self, TokenKind};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use model::{Calendar, Money, Wall};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::setup::FirstAdmin;
use store::tenants::NewTenant;
use store::{Platform, Store, StoreError};
use utoipa::ToSchema;
use uuid::Uuid;

const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// A fresh link for the person who started the program, or `None` when somebody can sign in already. Earlier links stop
/// working.
pub async fn setup_link(
    store: &Store,
    platform: &Platform,
    public_url: &str,
    now: Wall,
) -> Result<Option<String>, StoreError> {
    if store.is_set_up(platform).await? {
        return Ok(None);
    }
    let Ok(token) = secret::token(TokenKind::Setup) else {
        return Err(StoreError::Unavailable(store::Trouble::Io));
    };
    store
        .add_setup_token(platform, secret::fingerprint(&token), now, now + LIFETIME)
        .await?;
    Ok(Some(format!(
        "{}/setup?token={token}",
        public_url.trim_end_matches('/')
    )))
}

#[derive(Serialize, ToSchema)]
pub struct SetupState {
    /// True until the first administrator exists.
    open: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupRequest {
    /// From the link.
    token: String,
    enterprise: FirstEnterprise,
    /// What is typed into the login box; the enterprise account when absent.
    login: Option<String>,
    /// The person's name.
    name: String,
    password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstEnterprise {
    /// Lower-case letters, digits and dashes; part of logins and SIP user names.
    #[schema(example = "acme")]
    slug: String,
    #[schema(example = "极光贷款")]
    name: String,
    /// IANA zone; Asia/Shanghai when absent.
    zone: Option<String>,
    /// Calling code of national numbers; 86 when absent.
    country: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct SetupDone {
    tenant_id: Uuid,
    user_id: Uuid,
    login: String,
}

pub fn check_slug(checks: &mut Checks, slug: &str, pointer: &str) {
    let fits = (2..=32).contains(&slug.len())
        && slug
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !slug.starts_with('-')
        && !slug.ends_with('-');
    checks.that(
        fits,
        pointer,
        "invalid",
        "2 to 32 lower-case letters, digits and dashes",
    );
}

pub fn check_password(checks: &mut Checks, password: &str, pointer: &str) {
    let n = password.chars().count();
    checks.that(n >= 8, pointer, "too_short", "at least 8 characters");
    checks.that(n <= 200, pointer, "too_long", "at most 200 characters");
}

pub fn check_login(checks: &mut Checks, login: &str, pointer: &str) {
    let fits = (2..=64).contains(&login.chars().count())
        && login
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+'));
    checks.that(
        fits,
        pointer,
        "invalid",
        "2 to 64 letters, digits, dots and dashes",
    );
}

/// A new enterprise with everything at its default.
pub fn enterprise(slug: &str, name: &str, zone: &str, country: &str) -> Answer<NewTenant> {
    let mut checks = Checks::new();
    check_slug(&mut checks, slug, "/enterprise/slug");
    checks.text(name, "/enterprise/name", 100);
    let country_fits =
        (1..=3).contains(&country.len()) && country.bytes().all(|b| b.is_ascii_digit());
    checks.that(
        country_fits,
        "/enterprise/country",
        "invalid",
        "a calling code, such as 86",
    );
    let zone: Option<model::Zone> = zone.parse().ok();
    checks.that(
        zone.is_some(),
        "/enterprise/zone",
        "unknown_value",
        "an IANA zone, such as Asia/Shanghai",
    );
    checks.done()?;
    let policy = dialer::Policy {
        countries: vec![country.to_owned()],
        ..dialer::Policy::default()
    };
    Ok(NewTenant {
        slug: slug.to_owned(),
        name: name.trim().to_owned(),
        zone: zone.ok_or_else(|| Problem::new(Code::Invalid))?,
        country: country.to_owned(),
        currency: "CNY".to_owned(),
        per_interval: Money(15),
        interval_ms: 60_000,
        robot_lines: 10,
        hours: Calendar::always(),
        policy,
    })
}

/// Whether set-up is still to be done
#[utoipa::path(get, path = "/setup", tag = "account", security(()),
    responses((status = 200, body = SetupState)))]
pub async fn state(State(state): State<AdminState>) -> Answer<Json<SetupState>> {
    Ok(Json(SetupState {
        open: !state.store.is_set_up(&state.platform).await?,
    }))
}

/// Create the first enterprise and its administrator
///
/// The token comes from the link printed at start; it works once, for thirty minutes, and only while nobody can sign in.
#[utoipa::path(post, path = "/setup", tag = "account", security(()), request_body = SetupRequest,
    responses((status = 201, body = SetupDone)))]
pub async fn create(
    State(state): State<AdminState>,
    Body(asked): Body<SetupRequest>,
) -> Answer<(StatusCode, Json<SetupDone>)> {
    let now = state.now();
    let hash = secret::fingerprint(&asked.token);
    // Before a password is hashed: strangers with made-up tokens cost nothing.
    if !state
        .store
        .setup_token_is_good(&state.platform, hash, now)
        .await?
    {
        return Err(closed());
    }
    let enterprise = enterprise(
        &asked.enterprise.slug,
        &asked.enterprise.name,
        asked.enterprise.zone.as_deref().unwrap_or("Asia/Shanghai"),
        asked.enterprise.country.as_deref().unwrap_or("86"),
    )?;
    let login = asked
        .login
        .as_deref()
        .unwrap_or(&asked.enterprise.slug)
        .trim()
        .to_lowercase();
    let mut checks = Checks::new();
    check_login(&mut checks, &login, "/login");
    checks.text(&asked.name, "/name", 100);
    check_password(&mut checks, &asked.password, "/password");
    checks.done()?;
    let first = FirstAdmin {
        tenant: enterprise,
        login: login.clone(),
        name: asked.name.trim().to_owned(),
        password: secret::hash_password(asked.password).await?,
    };
    let (tenant, user) = match state.store.use_setup_token(hash, &first, now).await {
        Err(StoreError::NotFound | StoreError::WrongState { .. }) => return Err(closed()),
        other => other?,
    };
    state.engine.changed(tenant).await;
    Ok((
        StatusCode::CREATED,
        Json(SetupDone {
            tenant_id: tenant.0,
            user_id: user.0,
            login,
        }),
    ))
}

fn closed() -> Problem {
    Problem::new(Code::SetupClosed)
        .fix("start the program again, or run `huying admin create`, for a fresh link")
}
