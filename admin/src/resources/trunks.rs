//! Trunks: gateways that register to us, with their state right now.

use super::extensions::{
    DeviceCreated, Registration, account, check_device_password, registrations_of,
};
use crate::AdminState;
use crate::auth::Caller;
use crate::etag::{IfMatch, tagged_live};
use crate::extract::{At, Body};
use crate::page::{List, Listed, Page};
use crate::problem::{Answer, Checks};
use crate::secret;
use crate::wire::Moment;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::RegistrationView;
use model::TrunkId;
use serde::{Deserialize, Serialize};
use store::Listing;
use store::trunks::{Trunk, TrunkSettings};
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrunkState {
    Up,
    /// Its gateway is not registered.
    Down,
    Disabled,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Trunk)]
pub struct TrunkView {
    id: Uuid,
    name: String,
    /// What the gateway is configured with, beside its password.
    username: String,
    realm: String,
    state: TrunkState,
    registrations: Vec<Registration>,
    max_concurrent: u32,
    calls_per_second: u32,
    codecs: Vec<String>,
    forced_display: bool,
    version: u64,
    created_at: Moment,
    updated_at: Moment,
}

fn view(trunk: Trunk, registered: &[RegistrationView]) -> TrunkView {
    let registrations = registrations_of(registered, &trunk.account.aor);
    let state = match (trunk.settings.disabled, registrations.is_empty()) {
        (true, _) => TrunkState::Disabled,
        (false, true) => TrunkState::Down,
        (false, false) => TrunkState::Up,
    };
    TrunkView {
        id: trunk.id.0,
        name: trunk.settings.name,
        username: trunk.account.username,
        realm: trunk.account.realm,
        state,
        registrations,
        max_concurrent: trunk.settings.max_concurrent,
        calls_per_second: trunk.settings.calls_per_second,
        codecs: trunk.settings.codecs,
        forced_display: trunk.settings.forced_display,
        version: trunk.version,
        created_at: trunk.created_at.into(),
        updated_at: trunk.updated_at.into(),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrunkRequest {
    name: String,
    /// Lower-case letters, digits and dashes; the gateway registers as `gw1.enterprise`.
    #[schema(example = "gw1")]
    user: String,
    /// Made up and shown once when absent.
    password: Option<String>,
    #[serde(default = "thirty")]
    #[schema(default = 30, minimum = 1, maximum = 10000)]
    max_concurrent: u32,
    #[serde(default = "ten")]
    #[schema(default = 10, minimum = 1, maximum = 1000)]
    calls_per_second: u32,
    /// In order of preference.
    #[serde(default = "codecs")]
    #[schema(default = json!(["pcma", "pcmu"]))]
    codecs: Vec<String>,
    /// 强显: it shows a number of its own, so that no caller number need be approved.
    #[serde(default)]
    forced_display: bool,
}

fn thirty() -> u32 {
    30
}
fn ten() -> u32 {
    10
}
fn codecs() -> Vec<String> {
    vec!["pcma".to_owned(), "pcmu".to_owned()]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrunkPatch {
    name: Option<String>,
    password: Option<String>,
    max_concurrent: Option<u32>,
    calls_per_second: Option<u32>,
    codecs: Option<Vec<String>>,
    forced_display: Option<bool>,
    disabled: Option<bool>,
}

fn check(checks: &mut Checks, settings: &TrunkSettings) {
    checks.text(&settings.name, "/name", 100);
    checks.that(
        (1..=10_000).contains(&settings.max_concurrent),
        "/max_concurrent",
        "out_of_range",
        "1 to 10000",
    );
    checks.that(
        (1..=1000).contains(&settings.calls_per_second),
        "/calls_per_second",
        "out_of_range",
        "1 to 1000",
    );
    let known = |codec: &String| codec == "pcma" || codec == "pcmu";
    let fits = (1..=2).contains(&settings.codecs.len()) && settings.codecs.iter().all(known);
    checks.that(fits, "/codecs", "unknown_value", "pcma, pcmu, or both");
}

pub struct Trunks;

impl Listed for Trunks {
    const LISTING: &'static Listing = &store::trunks::TRUNKS;
}

/// List trunks
#[utoipa::path(get, path = "/trunks", tag = "devices", security(("bearer" = ["devices:read"])), params(List<Trunks>),
    responses((status = 200, body = Page<TrunkView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    List(asked, ..): List<Trunks>,
) -> Answer<Json<Page<TrunkView>>> {
    let trunks = state.store.trunks(&caller.scope, &asked).await?;
    let registered = state.engine.registrations(caller.tenant()).await;
    Ok(Json(Page::of(trunks, |trunk| view(trunk, &registered))))
}

/// Add a trunk
#[utoipa::path(post, path = "/trunks", tag = "devices", security(("bearer" = ["devices:write"])),
    request_body = TrunkRequest, responses((status = 201, body = DeviceCreated)))]
pub async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    Body(asked): Body<TrunkRequest>,
) -> Answer<(StatusCode, Json<DeviceCreated>)> {
    let settings = TrunkSettings {
        name: asked.name.trim().to_owned(),
        max_concurrent: asked.max_concurrent,
        calls_per_second: asked.calls_per_second,
        codecs: asked.codecs,
        forced_display: asked.forced_display,
        disabled: false,
    };
    let mut checks = Checks::new();
    check(&mut checks, &settings);
    let fits = (1..=32).contains(&asked.user.len())
        && asked
            .user
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    checks.that(
        fits,
        "/user",
        "invalid",
        "1 to 32 lower-case letters, digits and dashes",
    );
    if let Some(password) = &asked.password {
        check_device_password(&mut checks, password);
    }
    checks.done()?;
    let slug = state.store.tenant(&caller.scope).await?.slug;
    let made_up = if asked.password.is_none() {
        Some(secret::device_password()?)
    } else {
        None
    };
    let password = asked
        .password
        .or_else(|| made_up.clone())
        .unwrap_or_default();
    let account = account(&state, &asked.user, &slug, &password);
    let id = state
        .store
        .create_trunk(&caller.scope, &settings, &account, state.now())
        .await?;
    state.engine.changed(caller.tenant()).await;
    Ok((
        StatusCode::CREATED,
        Json(DeviceCreated::of(id.0, account, made_up)),
    ))
}

/// One trunk
#[utoipa::path(get, path = "/trunks/{id}", tag = "devices", security(("bearer" = ["devices:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = TrunkView)))]
pub async fn get(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TrunkId>,
) -> Answer<Response> {
    let trunk = state.store.trunk(&caller.scope, id).await?;
    let registered = state.engine.registrations(caller.tenant()).await;
    let version = trunk.version;
    Ok(tagged_live(view(trunk, &registered), version))
}

/// Change a trunk
#[utoipa::path(patch, path = "/trunks/{id}", tag = "devices", security(("bearer" = ["devices:write"])),
    params(("id" = Uuid, Path), IfMatch), request_body = TrunkPatch, responses((status = 200, body = TrunkView)))]
pub async fn change(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TrunkId>,
    known: IfMatch,
    Body(asked): Body<TrunkPatch>,
) -> Answer<Response> {
    let trunk = state.store.trunk(&caller.scope, id).await?;
    let from = known.check(trunk.version)?;
    let old = trunk.settings;
    let settings = TrunkSettings {
        name: asked.name.unwrap_or(old.name),
        max_concurrent: asked.max_concurrent.unwrap_or(old.max_concurrent),
        calls_per_second: asked.calls_per_second.unwrap_or(old.calls_per_second),
        codecs: asked.codecs.unwrap_or(old.codecs),
        forced_display: asked.forced_display.unwrap_or(old.forced_display),
        disabled: asked.disabled.unwrap_or(old.disabled),
    };
    let mut checks = Checks::new();
    check(&mut checks, &settings);
    if let Some(password) = &asked.password {
        check_device_password(&mut checks, password);
    }
    checks.done()?;
    let username = trunk.account.username;
    let account = asked.password.map(|password| {
        sip::Account::from_password(
            &username,
            &state.config.realm,
            &trunk.account.aor,
            &password,
        )
    });
    let account = account.as_ref();
    state
        .store
        .save_trunk(&caller.scope, id, &settings, account, from, state.now())
        .await
        .map_err(|error| known.lost(error))?;
    state.engine.changed(caller.tenant()).await;
    get(State(state), caller, At(id)).await
}

/// Delete a trunk
#[utoipa::path(delete, path = "/trunks/{id}", tag = "devices", security(("bearer" = ["devices:write"])),
    params(("id" = Uuid, Path), IfMatch), responses((status = 204)))]
pub async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<TrunkId>,
    known: IfMatch,
) -> Answer<StatusCode> {
    let trunk = state.store.trunk(&caller.scope, id).await?;
    known.check(trunk.version)?;
    state
        .store
        .delete_trunk(&caller.scope, id, state.now())
        .await?;
    state.engine.changed(caller.tenant()).await;
    Ok(StatusCode::NO_CONTENT)
}
