//! Whose data a caller may touch. A `Scope` is one tenant seen by one actor; a `Platform` is the whole installation. Neither
//! can be made outside this crate: they are minted from evidence that was looked up in the database (a session's token, an
//! API key, a setup token), or held by the process that opened the database.

use crate::ids::{ApiKeyId, SessionId};
use model::{TenantId, UserId};
use serde::{Deserialize, Serialize};

/// What a person may do in their tenant. Finer permissions come on top of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Agent,
    /// 班长
    Supervisor,
    Admin,
    /// The engine itself.
    System,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Agent => "agent",
            Role::Supervisor => "supervisor",
            Role::Admin => "admin",
            Role::System => "system",
        }
    }
    pub fn parse(text: &str) -> Option<Role> {
        [Role::Agent, Role::Supervisor, Role::Admin, Role::System]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

/// Who acts: kept with every change worth asking about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    User {
        user: UserId,
        session: SessionId,
    },
    ApiKey(ApiKeyId),
    /// A call, a campaign, a start: nobody in particular.
    Engine,
    /// The holder of a setup link.
    Setup,
}

impl Actor {
    /// `user`, `api_key`, `engine`, `setup`.
    pub fn kind(self) -> &'static str {
        match self {
            Actor::User { .. } => "user",
            Actor::ApiKey(_) => "api_key",
            Actor::Engine => "engine",
            Actor::Setup => "setup",
        }
    }
    pub fn id(self) -> Option<uuid::Uuid> {
        match self {
            Actor::User { user, .. } => Some(user.0),
            Actor::ApiKey(key) => Some(key.0),
            Actor::Engine | Actor::Setup => None,
        }
    }
}

/// One tenant, seen by one actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    tenant: TenantId,
    actor: Actor,
    role: Role,
}

impl Scope {
    /// Only next to the query that found the evidence.
    pub(crate) fn mint(tenant: TenantId, actor: Actor, role: Role) -> Scope {
        Scope {
            tenant,
            actor,
            role,
        }
    }
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }
    pub fn actor(&self) -> Actor {
        self.actor
    }
    pub fn role(&self) -> Role {
        self.role
    }
}

/// The whole installation, for the functions on the list in `schema::PLATFORM_FUNCTIONS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    actor: Actor,
}

impl Platform {
    /// Only next to the query that found the evidence, and when the database is opened.
    pub(crate) fn mint(actor: Actor) -> Platform {
        Platform { actor }
    }
    pub fn actor(&self) -> Actor {
        self.actor
    }
    /// One tenant for the platform's actor: how the engine works for a call's or campaign's tenant.
    pub fn tenant(&self, tenant: TenantId) -> Scope {
        Scope::mint(tenant, self.actor, Role::System)
    }
}
