//! Extensions, with who is registered right now.

use crate::AdminState;
use crate::auth::Caller;
use crate::etag::{IfMatch, tagged_live};
use crate::extract::{At, Body};
use crate::page::{List, Listed, Page};
use crate::problem::{Answer, Checks, Problem};
use crate::secret;
use crate::wire::{Moment, nullable};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::RegistrationView;
use model::{CallerNumberId, ExtensionId, TrunkId};
use serde::{Deserialize, Serialize};
use sip::Account;
use store::extensions::{Extension, ExtensionSettings};
use store::{Listing, StoreError};
use utoipa::ToSchema;
use uuid::Uuid;

/// A device's current contact.
#[derive(Clone, Serialize, ToSchema)]
pub struct Registration {
    contact: String,
    /// Where its packets come from.
    source: String,
    user_agent: String,
    expires_at: Moment,
}

pub fn registrations_of(all: &[RegistrationView], aor: &str) -> Vec<Registration> {
    all.iter()
        .filter(|view| view.aor == aor)
        .map(|view| Registration {
            contact: view.contact.clone(),
            source: view.source.clone(),
            user_agent: view.user_agent.clone(),
            expires_at: view.expires_at.into(),
        })
        .collect()
}

/// The digest account of a device: one user name on the whole platform, which is its address of record too.
pub fn account(state: &AdminState, user: &str, slug: &str, password: &str) -> Account {
    let username = format!("{user}.{slug}");
    Account::from_password(&username, &state.config.realm, &username, password)
}

pub fn check_device_password(checks: &mut Checks, password: &str) {
    let n = password.chars().count();
    checks.that(n >= 8, "/password", "too_short", "at least 8 characters");
    checks.that(n <= 128, "/password", "too_long", "at most 128 characters");
    checks.that(
        password.chars().all(|c| c.is_ascii_graphic()),
        "/password",
        "invalid",
        "only printable ASCII without spaces: devices do not agree on anything else",
    );
}

#[derive(Serialize, ToSchema)]
#[schema(as = Extension)]
pub struct ExtensionView {
    id: Uuid,
    number: String,
    name: String,
    /// What the device is configured with, beside its password.
    username: String,
    realm: String,
    /// What an outside callee sees.
    caller_number_id: Option<Uuid>,
    /// The same number, once it is approved.
    display: Option<String>,
    /// The trunk outside calls leave by.
    trunk_id: Option<Uuid>,
    disabled: bool,
    registered: bool,
    registrations: Vec<Registration>,
    version: u64,
    created_at: Moment,
    updated_at: Moment,
}

fn view(extension: Extension, registered: &[RegistrationView]) -> ExtensionView {
    let registrations = registrations_of(registered, &extension.account.aor);
    ExtensionView {
        id: extension.id.0,
        number: extension.number,
        name: extension.name,
        username: extension.account.username,
        realm: extension.account.realm,
        caller_number_id: extension.caller_number.map(|id| id.0),
        display: extension.display.map(|number| number.to_string()),
        trunk_id: extension.trunk.map(|id| id.0),
        disabled: extension.disabled,
        registered: !registrations.is_empty(),
        registrations,
        version: extension.version,
        created_at: extension.created_at.into(),
        updated_at: extension.updated_at.into(),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtensionRequest {
    /// 2 to 8 digits.
    #[schema(example = "1001")]
    number: String,
    name: String,
    /// Made up and shown once when absent.
    password: Option<String>,
    caller_number_id: Option<Uuid>,
    trunk_id: Option<Uuid>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtensionPatch {
    name: Option<String>,
    password: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Uuid>)]
    caller_number_id: Option<Option<Uuid>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Uuid>)]
    trunk_id: Option<Option<Uuid>>,
    disabled: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub struct DeviceCreated {
    id: Uuid,
    username: String,
    realm: String,
    /// Only when it was made up here; shown now and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

impl DeviceCreated {
    pub fn of(id: Uuid, account: Account, password: Option<String>) -> DeviceCreated {
        DeviceCreated {
            id,
            username: account.username,
            realm: account.realm,
            password,
        }
    }
}

/// That what a body refers to is the tenant's own; another's is simply not there.
async fn check_references(
    state: &AdminState,
    caller: &Caller,
    settings: &ExtensionSettings,
) -> Answer<()> {
    if let Some(id) = settings.caller_number {
        reference(
            state.store.caller_number(&caller.scope, id).await,
            "/caller_number_id",
        )?;
    }
    if let Some(id) = settings.trunk {
        reference(state.store.trunk(&caller.scope, id).await, "/trunk_id")?;
    }
    Ok(())
}

pub fn reference<T>(found: Result<T, StoreError>, pointer: &str) -> Answer<T> {
    found.map_err(|error| match error {
        StoreError::NotFound => {
            Problem::not_found().field(pointer, "not_found", "there is no such thing")
        }
        error => error.into(),
    })
}

pub struct Extensions;

impl Listed for Extensions {
    const LISTING: &'static Listing = &store::extensions::EXTENSIONS;
}

/// List extensions
#[utoipa::path(get, path = "/extensions", tag = "devices", security(("bearer" = ["devices:read"])), params(List<Extensions>),
    responses((status = 200, body = Page<ExtensionView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    List(asked, ..): List<Extensions>,
) -> Answer<Json<Page<ExtensionView>>> {
    let extensions = state.store.extensions(&caller.scope, &asked).await?;
    let registered = state.engine.registrations(caller.tenant()).await;
    Ok(Json(Page::of(extensions, |extension| {
        view(extension, &registered)
    })))
}

/// Add an extension
#[utoipa::path(post, path = "/extensions", tag = "devices", security(("bearer" = ["devices:write"])),
    request_body = ExtensionRequest, responses((status = 201, body = DeviceCreated)))]
pub async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    Body(asked): Body<ExtensionRequest>,
) -> Answer<(StatusCode, Json<DeviceCreated>)> {
    let mut checks = Checks::new();
    let digits =
        (2..=8).contains(&asked.number.len()) && asked.number.bytes().all(|b| b.is_ascii_digit());
    checks.that(digits, "/number", "invalid", "2 to 8 digits");
    let emergency = dialer::EMERGENCY.contains(&asked.number.as_str());
    checks.that(
        !emergency,
        "/number",
        "reserved",
        "is an emergency number: who dials it must reach the emergency service",
    );
    checks.text(&asked.name, "/name", 100);
    if let Some(password) = &asked.password {
        check_device_password(&mut checks, password);
    }
    checks.done()?;
    let settings = ExtensionSettings {
        name: asked.name.trim().to_owned(),
        caller_number: asked.caller_number_id.map(CallerNumberId),
        trunk: asked.trunk_id.map(TrunkId),
        disabled: false,
    };
    check_references(&state, &caller, &settings).await?;
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
    let account = account(&state, &asked.number, &slug, &password);
    let id = state
        .store
        .create_extension(
            &caller.scope,
            &asked.number,
            &settings,
            &account,
            state.now(),
        )
        .await?;
    state.engine.changed(caller.tenant()).await;
    Ok((
        StatusCode::CREATED,
        Json(DeviceCreated::of(id.0, account, made_up)),
    ))
}

/// One extension
#[utoipa::path(get, path = "/extensions/{id}", tag = "devices", security(("bearer" = ["devices:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = ExtensionView)))]
pub async fn get(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<ExtensionId>,
) -> Answer<Response> {
    let extension = state.store.extension(&caller.scope, id).await?;
    let registered = state.engine.registrations(caller.tenant()).await;
    let version = extension.version;
    Ok(tagged_live(view(extension, &registered), version))
}

/// Change an extension
///
/// A new password ends nothing by itself: the device is challenged at its next registration.
#[utoipa::path(patch, path = "/extensions/{id}", tag = "devices", security(("bearer" = ["devices:write"])),
    params(("id" = Uuid, Path), IfMatch), request_body = ExtensionPatch, responses((status = 200, body = ExtensionView)))]
pub async fn change(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<ExtensionId>,
    known: IfMatch,
    Body(asked): Body<ExtensionPatch>,
) -> Answer<Response> {
    let extension = state.store.extension(&caller.scope, id).await?;
    let from = known.check(extension.version)?;
    let mut checks = Checks::new();
    if let Some(name) = &asked.name {
        checks.text(name, "/name", 100);
    }
    if let Some(password) = &asked.password {
        check_device_password(&mut checks, password);
    }
    checks.done()?;
    let settings = ExtensionSettings {
        name: asked.name.unwrap_or(extension.name),
        caller_number: asked
            .caller_number_id
            .map_or(extension.caller_number, |id| id.map(CallerNumberId)),
        trunk: asked.trunk_id.map_or(extension.trunk, |id| id.map(TrunkId)),
        disabled: asked.disabled.unwrap_or(extension.disabled),
    };
    check_references(&state, &caller, &settings).await?;
    let slug = state.store.tenant(&caller.scope).await?.slug;
    let account = asked
        .password
        .map(|password| account(&state, &extension.number, &slug, &password));
    let account = account.as_ref();
    state
        .store
        .save_extension(&caller.scope, id, &settings, account, from, state.now())
        .await
        .map_err(|error| known.lost(error))?;
    state.engine.changed(caller.tenant()).await;
    get(State(state), caller, At(id)).await
}

/// Delete an extension
#[utoipa::path(delete, path = "/extensions/{id}", tag = "devices", security(("bearer" = ["devices:write"])),
    params(("id" = Uuid, Path), IfMatch), responses((status = 204)))]
pub async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<ExtensionId>,
    known: IfMatch,
) -> Answer<StatusCode> {
    let extension = state.store.extension(&caller.scope, id).await?;
    known.check(extension.version)?;
    state
        .store
        .delete_extension(&caller.scope, id, state.now())
        .await?;
    state.engine.changed(caller.tenant()).await;
    Ok(StatusCode::NO_CONTENT)
}
