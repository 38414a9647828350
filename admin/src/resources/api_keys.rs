//! Keys for programs, with a list of what they may do.

use crate::AdminState;
use crate::auth::Caller;
use crate::doors::{covers, is_scope};
use crate::extract::{At, Body};
use crate::page::{List, Listed, Page};
use crate::problem::{Answer, Checks};
use crate::secret::{self, TokenKind};
use crate::wire::{Moment, moment};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use store::api_keys::{ApiKey, NewApiKey};
use store::{ApiKeyId, Listing};
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct ApiKeyView {
    id: Uuid,
    name: String,
    /// The key's first characters, to tell keys apart.
    prefix: String,
    scopes: Vec<String>,
    /// Whose role bounds it.
    created_by: Uuid,
    created_at: Moment,
    expires_at: Option<Moment>,
    last_used_at: Option<Moment>,
    revoked_at: Option<Moment>,
}

fn view(key: ApiKey) -> ApiKeyView {
    ApiKeyView {
        id: key.id.0,
        name: key.name,
        prefix: key.prefix,
        scopes: key.scopes,
        created_by: key.created_by.0,
        created_at: key.created_at.into(),
        expires_at: moment(key.expires_at),
        last_used_at: moment(key.last_used_at),
        revoked_at: moment(key.revoked_at),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRequest {
    name: String,
    /// `calls:read`, `campaigns:*` … or `*`.
    #[schema(example = json!(["calls:read", "campaigns:*"]))]
    scopes: Vec<String>,
    expires_at: Option<Moment>,
}

#[derive(Serialize, ToSchema)]
pub struct ApiKeyCreated {
    id: Uuid,
    /// Shown now and never again.
    key: String,
}

pub struct ApiKeys;

impl Listed for ApiKeys {
    const LISTING: &'static Listing = &store::api_keys::API_KEYS;
}

/// List API keys
#[utoipa::path(get, path = "/api-keys", tag = "account", security(("bearer" = ["keys:read"])), params(List<ApiKeys>),
    responses((status = 200, body = Page<ApiKeyView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    List(asked, ..): List<ApiKeys>,
) -> Answer<Json<Page<ApiKeyView>>> {
    let keys = state.store.api_keys(&caller.scope, &asked).await?;
    Ok(Json(Page::of(keys, view)))
}

/// Create an API key
///
/// It acts for the person who creates it and never reaches beyond that person's role, or beyond the key it was made with.
#[utoipa::path(post, path = "/api-keys", tag = "account", security(("bearer" = ["keys:write"])),
    request_body = ApiKeyRequest, responses((status = 201, body = ApiKeyCreated)))]
pub async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    Body(asked): Body<ApiKeyRequest>,
) -> Answer<(StatusCode, Json<ApiKeyCreated>)> {
    let now = state.now();
    let mut checks = Checks::new();
    checks.text(&asked.name, "/name", 100);
    checks.that(
        !asked.scopes.is_empty(),
        "/scopes",
        "required",
        "a key without a scope opens nothing",
    );
    checks.that(
        asked.scopes.len() <= 50,
        "/scopes",
        "too_long",
        "at most 50 scopes",
    );
    for (n, word) in asked.scopes.iter().enumerate().take(50) {
        let pointer = format!("/scopes/{n}");
        checks.that(
            is_scope(word),
            &pointer,
            "unknown_value",
            "there is no such scope",
        );
        let held = caller
            .grants
            .as_ref()
            .is_none_or(|held| held.iter().any(|own| covers(own, word)));
        checks.that(
            held,
            &pointer,
            "beyond_own",
            "the key in use does not have this itself",
        );
    }
    if let Some(at) = asked.expires_at {
        checks.that(at.0 > now, "/expires_at", "in_the_past", "lies in the past");
    }
    checks.done()?;
    let key = secret::token(TokenKind::ApiKey)?;
    let new = NewApiKey {
        name: asked.name.trim().to_owned(),
        prefix: key.chars().take(12).collect(),
        hash: secret::fingerprint(&key),
        scopes: asked.scopes,
        created_by: caller.user,
        expires_at: asked.expires_at.map(|at| at.0),
    };
    let id = state.store.create_api_key(&caller.scope, &new, now).await?;
    Ok((StatusCode::CREATED, Json(ApiKeyCreated { id: id.0, key })))
}

/// Revoke an API key
#[utoipa::path(delete, path = "/api-keys/{id}", tag = "account", security(("bearer" = ["keys:write"])),
    params(("id" = Uuid, Path)), responses((status = 204)))]
pub async fn revoke(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<ApiKeyId>,
) -> Answer<StatusCode> {
    state
        .store
        .revoke_api_key(&caller.scope, id, state.now())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
