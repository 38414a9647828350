//! Who asks: a session (cookie or bearer token) or an API key becomes a `Caller` with its `Scope`, and the door of the
//! route decides whether the caller may pass.

use crate::AdminState;
use crate::doors::{Door, Doors, covers, role_may};
use crate::once::once;
use crate::problem::{Answer, Code, Problem};
use crate::secret::{TokenKind, fingerprint};
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;
use model::{TenantId, UserId};
use std::sync::Arc;
use store::{Actor, Platform, Scope, SessionId};
use uuid::Uuid;

pub const COOKIE: &str = "huying_session";

/// A proven caller of a route that asks for one.
#[derive(Clone)]
pub struct Caller {
    pub scope: Scope,
    /// The person, or the one an API key acts for.
    pub user: UserId,
    platform: Option<Platform>,
    /// The words on an API key; none on a session, which may do what its role may.
    pub grants: Option<Vec<String>>,
    /// To look at again on a stream that lasts.
    token: Arc<str>,
}

impl Caller {
    pub fn tenant(&self) -> TenantId {
        self.scope.tenant()
    }
    pub fn is_platform_admin(&self) -> bool {
        self.platform.is_some()
    }
    /// Whether a role and, for a key, its words allow this.
    pub fn may(&self, permission: &str) -> bool {
        role_may(self.scope.role(), self.platform.is_some(), permission)
            && self
                .grants
                .as_ref()
                .is_none_or(|words| words.iter().any(|word| covers(word, permission)))
    }
    pub fn session(&self) -> Option<SessionId> {
        match self.scope.actor() {
            Actor::User { session, .. } => Some(session),
            _ => None,
        }
    }
    /// What the caller came with.
    pub fn token(&self) -> &str {
        &self.token
    }
    /// The session or the API key it came with.
    pub fn credential(&self) -> Uuid {
        match self.scope.actor() {
            Actor::User { session, .. } => session.0,
            Actor::ApiKey(key) => key.0,
            Actor::Engine | Actor::Setup => Uuid::nil(),
        }
    }
    /// For the log of who hung up and the like.
    pub fn name(&self) -> String {
        match self.scope.actor() {
            Actor::ApiKey(key) => format!("api_key:{key}"),
            _ => format!("user:{}", self.user),
        }
    }
    pub fn platform(&self) -> Answer<&Platform> {
        self.platform
            .as_ref()
            .ok_or_else(|| Problem::new(Code::Forbidden))
    }
    /// Whether the credential still opens this: it may have been revoked, or its role changed.
    pub async fn still(&self, state: &AdminState, permission: &str) -> bool {
        matches!(prove(state, &self.token).await, Ok(caller) if caller.may(permission))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        parts
            .extensions
            .get::<Caller>()
            .cloned()
            .ok_or_else(unauthenticated)
    }
}

fn unauthenticated() -> Problem {
    Problem::new(Code::Unauthenticated)
        .fix("sign in, or send Authorization: Bearer with a session's token or an API key")
}

/// Layer of every route below `/api`.
pub async fn guard(
    State((state, doors)): State<(AdminState, Arc<Doors>)>,
    route: MatchedPath,
    mut request: Request,
    next: Next,
) -> Response {
    let door = match doors.find(request.method().as_str(), route.as_str()) {
        Some(door) => door,
        // Another method than the route's: let the router say 405.
        None if !doors.knows(request.method().as_str(), route.as_str()) => {
            return next.run(request).await;
        }
        None => return Problem::internal("a route without a declared door").into_response(),
    };
    let Door::Needs(permission) = door else {
        return next.run(request).await;
    };
    match admit(&state, request.method(), request.headers(), permission).await {
        Ok(caller) => {
            let tenant = tracing::field::display(caller.tenant());
            tracing::Span::current().record("tenant", tenant);
            request.extensions_mut().insert(caller.clone());
            if request.method() != Method::POST {
                return next.run(request).await;
            }
            once(&state, &caller, request, next).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn admit(
    state: &AdminState,
    method: &Method,
    headers: &HeaderMap,
    permission: &str,
) -> Answer<Caller> {
    let caller = match presented(headers)? {
        Presented::Bearer(token) => prove(state, &token).await?,
        Presented::Cookie(token) => {
            // SameSite=Strict keeps the cookie at home in browsers that know it; this is for the others.
            let site = headers.get("sec-fetch-site").map(|value| value.as_bytes());
            if !method.is_safe() && !matches!(site, None | Some(b"same-origin" | b"none")) {
                return Err(Problem::new(Code::CrossSite));
            }
            prove(state, &token).await?
        }
    };
    if caller.may(permission) {
        return Ok(caller);
    }
    Err(Problem::new(Code::Forbidden).detail(format!("this needs `{permission}`")))
}

enum Presented {
    Bearer(String),
    Cookie(String),
}

fn presented(headers: &HeaderMap) -> Answer<Presented> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let token = value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim().to_owned());
        return token.map(Presented::Bearer).ok_or_else(unauthenticated);
    }
    CookieJar::from_headers(headers)
        .get(COOKIE)
        .map(|cookie| Presented::Cookie(cookie.value().to_owned()))
        .ok_or_else(unauthenticated)
}

async fn prove(state: &AdminState, token: &str) -> Answer<Caller> {
    let now = state.now();
    let hash = fingerprint(token);
    let found = match TokenKind::of(token) {
        Some(TokenKind::Session) => state.store.session(&state.platform, hash, now).await?,
        Some(TokenKind::ApiKey) => {
            state
                .store
                .api_key_holder(&state.platform, hash, now)
                .await?
        }
        _ => None,
    };
    let credential = found.ok_or_else(unauthenticated)?;
    if credential.tenant_banned {
        return Err(Problem::new(Code::Banned));
    }
    Ok(Caller {
        scope: credential.scope,
        user: credential.user,
        platform: credential.platform,
        grants: credential.grants,
        token: token.into(),
    })
}
