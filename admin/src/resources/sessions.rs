//! Signing in and out, and who one is.

use crate::AdminState;
use crate::auth::{COOKIE, Caller};
use crate::doors::permissions_of;
use crate::extract::Body;
use crate::problem::{Answer, Checks, Code, Problem};
use crate::resources::setup::check_password;
use crate::secret::{self, TokenKind};
use crate::wire::Moment;
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::net::IpAddr;
use store::sessions::NewSession;
use store::users::UserChange;
use utoipa::ToSchema;
use uuid::Uuid;

/// The other end of the socket a request came over.
#[derive(Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Where the request came from, when it came over a socket.
pub struct Source(Option<IpAddr>);

impl FromRequestParts<AdminState> for Source {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>();
        let proxies = &state.config.trusted_proxies;
        Ok(Source(
            peer.map(|Peer(peer)| proxies.client(*peer, &parts.headers)),
        ))
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Enterprise account, or `12@enterprise`.
    #[schema(example = "acme")]
    login: String,
    password: String,
}

#[derive(Serialize, ToSchema)]
pub struct SignedIn {
    /// For `Authorization: Bearer`; browsers have it in a cookie as well.
    token: String,
    expires_at: Moment,
}

/// Sign in
#[utoipa::path(post, path = "/sessions", tag = "account", security(()), request_body = SignIn,
    responses((status = 201, body = SignedIn)))]
pub async fn create(
    State(state): State<AdminState>,
    Source(source): Source,
    headers: HeaderMap,
    jar: CookieJar,
    Body(asked): Body<SignIn>,
) -> Answer<(StatusCode, CookieJar, Json<SignedIn>)> {
    let now = state.now();
    let name = asked.login.trim().to_lowercase();
    if let Some(seconds) = state.throttle.must_wait(source, &name, now) {
        return Err(Problem::new(Code::TooManyAttempts).retry_after(seconds));
    }
    let login = state.store.login(&state.platform, &name).await?;
    // Counted before the slow part, so that many tries at once do not slip through together.
    state.throttle.failed(source, &name, now);
    let hash = login
        .as_ref()
        .filter(|login| !login.disabled)
        .map(|login| login.password.clone());
    let right = secret::password_matches(asked.password, hash).await?;
    let Some(login) = login.filter(|_| right) else {
        return Err(Problem::new(Code::WrongCredentials));
    };
    state.throttle.succeeded(source, &name);
    if login.tenant_banned {
        return Err(Problem::new(Code::Banned));
    }
    let token = secret::token(TokenKind::Session)?;
    let expires_at = now + state.config.session;
    let user_agent = headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .map(|text| text.chars().take(200).collect());
    let session = NewSession {
        token_hash: secret::fingerprint(&token),
        expires_at,
        remote: source.map(|ip| ip.to_string()),
        user_agent,
    };
    state
        .store
        .open_session(&state.platform, &login, &session, now)
        .await?;
    let cookie = Cookie::build((COOKIE, token.clone()))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(state.config.public_url.starts_with("https://"))
        .build();
    Ok((
        StatusCode::CREATED,
        jar.add(cookie),
        Json(SignedIn {
            token,
            expires_at: expires_at.into(),
        }),
    ))
}

/// Sign out
#[utoipa::path(delete, path = "/sessions/current", tag = "account", security(("bearer" = ["account:own"])),
    responses((status = 204)))]
pub async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    jar: CookieJar,
) -> Answer<(StatusCode, CookieJar)> {
    if let Some(session) = caller.session() {
        state.store.close_session(&caller.scope, session).await?;
    }
    Ok((
        StatusCode::NO_CONTENT,
        jar.remove(Cookie::build(COOKIE).path("/").build()),
    ))
}

#[derive(Serialize, ToSchema)]
pub struct Me {
    user_id: Uuid,
    login: String,
    name: String,
    #[schema(example = "admin")]
    role: &'static str,
    platform_admin: bool,
    tenant: MyTenant,
    /// What this credential may do.
    permissions: Vec<&'static str>,
}

#[derive(Serialize, ToSchema)]
pub struct MyTenant {
    id: Uuid,
    slug: String,
    name: String,
    zone: String,
    currency: String,
}

/// Who one is
#[utoipa::path(get, path = "/me", tag = "account", security(("bearer" = ["account:own"])),
    responses((status = 200, body = Me)))]
pub async fn me(State(state): State<AdminState>, caller: Caller) -> Answer<Json<Me>> {
    let user = state.store.user(&caller.scope, caller.user).await?;
    let tenant = state.store.tenant(&caller.scope).await?;
    let role = caller.scope.role();
    let permissions = permissions_of(role, caller.is_platform_admin());
    Ok(Json(Me {
        user_id: user.id.0,
        login: user.login,
        name: user.name,
        role: role.as_str(),
        platform_admin: caller.is_platform_admin(),
        tenant: MyTenant {
            id: tenant.id.0,
            slug: tenant.slug,
            name: tenant.name,
            zone: tenant.zone.name().to_owned(),
            currency: tenant.currency,
        },
        permissions: permissions
            .into_iter()
            .filter(|permission| caller.may(permission))
            .collect(),
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    old: String,
    new: String,
}

/// Change one's own password
///
/// Every other session of this user ends.
#[utoipa::path(put, path = "/me/password", tag = "account", security(("bearer" = ["account:own"])),
    request_body = NewPassword, responses((status = 204)))]
pub async fn password(
    State(state): State<AdminState>,
    caller: Caller,
    Source(source): Source,
    Body(asked): Body<NewPassword>,
) -> Answer<StatusCode> {
    let now = state.now();
    let name = caller.user.to_string();
    if let Some(seconds) = state.throttle.must_wait(source, &name, now) {
        return Err(Problem::new(Code::TooManyAttempts).retry_after(seconds));
    }
    let mut checks = Checks::new();
    check_password(&mut checks, &asked.new, "/new");
    checks.done()?;
    let hash = state.store.password_of(&caller.scope, caller.user).await?;
    state.throttle.failed(source, &name, now);
    if !secret::password_matches(asked.old, Some(hash)).await? {
        return Err(Problem::invalid(
            "/old",
            "wrong",
            "this is not the password",
        ));
    }
    state.throttle.succeeded(source, &name);
    let change = UserChange {
        password: Some(secret::hash_password(asked.new).await?),
        ..UserChange::default()
    };
    state
        .store
        .change_user(
            &caller.scope,
            caller.user,
            &change,
            None,
            caller.session(),
            now,
        )
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
