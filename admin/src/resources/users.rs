//! People of the enterprise who sign in.

use crate::AdminState;
use crate::auth::Caller;
use crate::etag::{IfMatch, tagged};
use crate::extract::{At, Body};
use crate::page::{List, Listed, Page};
use crate::problem::{Answer, Checks, Code, Problem};
use crate::resources::setup::{check_login, check_password};
use crate::secret;
use crate::wire::{Created, Moment, moment};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use model::UserId;
use serde::{Deserialize, Serialize};
use store::users::{NewUser, User, UserChange};
use store::{Listing, Role};
use utoipa::ToSchema;
use uuid::Uuid;

/// What one may be in one's enterprise.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Role)]
pub enum RoleName {
    Agent,
    /// 班长
    Supervisor,
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Role {
        match name {
            RoleName::Agent => Role::Agent,
            RoleName::Supervisor => Role::Supervisor,
            RoleName::Admin => Role::Admin,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    id: Uuid,
    login: String,
    name: String,
    #[schema(example = "supervisor")]
    role: &'static str,
    platform_admin: bool,
    disabled: bool,
    version: u64,
    created_at: Moment,
    last_login_at: Option<Moment>,
}

fn view(user: User) -> UserView {
    UserView {
        id: user.id.0,
        login: user.login,
        name: user.name,
        role: user.role.as_str(),
        platform_admin: user.platform_admin,
        disabled: user.disabled,
        version: user.version,
        created_at: user.created_at.into(),
        last_login_at: moment(user.last_login_at),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserRequest {
    /// 工号; the login becomes `12@enterprise`.
    #[schema(example = "12")]
    number: String,
    name: String,
    role: RoleName,
    password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    name: Option<String>,
    role: Option<RoleName>,
    disabled: Option<bool>,
    password: Option<String>,
}

pub struct Users;

impl Listed for Users {
    const LISTING: &'static Listing = &store::users::USERS;
}

/// List people
#[utoipa::path(get, path = "/users", tag = "people", security(("bearer" = ["users:read"])), params(List<Users>),
    responses((status = 200, body = Page<UserView>)))]
pub async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    List(asked, ..): List<Users>,
) -> Answer<Json<Page<UserView>>> {
    let users = state.store.users(&caller.scope, &asked).await?;
    Ok(Json(Page::of(users, view)))
}

/// Add a person
#[utoipa::path(post, path = "/users", tag = "people", security(("bearer" = ["users:write"])),
    request_body = UserRequest, responses((status = 201, body = Created)))]
pub async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    Body(asked): Body<UserRequest>,
) -> Answer<(StatusCode, Json<Created>)> {
    let number = asked.number.trim().to_lowercase();
    let mut checks = Checks::new();
    // One character is enough for a number inside an enterprise.
    check_login(&mut checks, &format!("{number}0"), "/number");
    checks.text(&asked.name, "/name", 100);
    check_password(&mut checks, &asked.password, "/password");
    checks.done()?;
    let slug = state.store.tenant(&caller.scope).await?.slug;
    let new = NewUser {
        login: format!("{number}@{slug}"),
        name: asked.name.trim().to_owned(),
        password: secret::hash_password(asked.password).await?,
        role: asked.role.into(),
    };
    let id = state
        .store
        .create_user(&caller.scope, &new, state.now())
        .await?;
    Ok((StatusCode::CREATED, Json(Created { id: id.0 })))
}

/// One person
#[utoipa::path(get, path = "/users/{id}", tag = "people", security(("bearer" = ["users:read"])),
    params(("id" = Uuid, Path)), responses((status = 200, body = UserView)))]
pub async fn get(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<UserId>,
) -> Answer<Response> {
    shown(&state, &caller, id).await
}

async fn shown(state: &AdminState, caller: &Caller, id: UserId) -> Answer<Response> {
    let user = state.store.user(&caller.scope, id).await?;
    let version = user.version;
    Ok(tagged(view(user), version))
}

/// Change a person
///
/// A new role or password, or being disabled, ends the person's sessions.
#[utoipa::path(patch, path = "/users/{id}", tag = "people", security(("bearer" = ["users:write"])),
    params(("id" = Uuid, Path), IfMatch), request_body = UserPatch, responses((status = 200, body = UserView)))]
pub async fn change(
    State(state): State<AdminState>,
    caller: Caller,
    At(id): At<UserId>,
    known: IfMatch,
    Body(asked): Body<UserPatch>,
) -> Answer<Response> {
    let user = state.store.user(&caller.scope, id).await?;
    let from = known.check(user.version)?;
    if user.platform_admin && !caller.is_platform_admin() {
        return Err(
            Problem::new(Code::Forbidden).detail("this is an administrator of the platform")
        );
    }
    if id == caller.user && (asked.role.is_some() || asked.disabled == Some(true)) {
        return Err(Problem::new(Code::WrongState)
            .detail("nobody changes their own role or disables themselves"));
    }
    let mut checks = Checks::new();
    if let Some(name) = &asked.name {
        checks.text(name, "/name", 100);
    }
    if let Some(password) = &asked.password {
        check_password(&mut checks, password, "/password");
    }
    checks.done()?;
    let password = match asked.password {
        Some(password) => Some(secret::hash_password(password).await?),
        None => None,
    };
    let change = UserChange {
        name: asked.name,
        role: asked.role.map(Role::from),
        disabled: asked.disabled,
        password,
    };
    state
        .store
        .change_user(&caller.scope, id, &change, from, None, state.now())
        .await
        .map_err(|error| known.lost(error))?;
    shown(&state, &caller, id).await
}
