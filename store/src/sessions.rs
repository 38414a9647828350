//! Credentials and what they open: a session's token or an API key is looked up here, and the `Scope` is minted beside the
//! query that found it.

use crate::audit::deed;
use crate::db::{Row, sql};
use crate::error::StoreError;
use crate::ids::{ApiKeyId, SessionId, fresh};
use crate::scope::{Actor, Platform, Role, Scope};
use crate::store::Store;
use crate::users::read_role;
use model::{TenantId, UserId, Wall};
use serde_json::json;

/// An account found by its login, not yet proven.
#[derive(Clone, Debug)]
pub struct Login {
    pub tenant: TenantId,
    pub user: UserId,
    /// Argon2 in PHC form.
    pub password: String,
    pub disabled: bool,
    pub tenant_banned: bool,
}

/// A proven caller.
#[derive(Clone, Debug)]
pub struct Credential {
    pub scope: Scope,
    /// The person, or the one who made the key.
    pub user: UserId,
    /// For a platform administrator's session.
    pub platform: Option<Platform>,
    /// The words on an API key; `None` for a session, which may do all its role may.
    pub grants: Option<Vec<String>>,
    pub tenant_banned: bool,
    pub expires_at: Option<Wall>,
}

/// A session about to be opened.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub token_hash: [u8; 32],
    pub expires_at: Wall,
    pub remote: Option<String>,
    pub user_agent: Option<String>,
}

/// Looking at a session or key writes when it was last seen at most this often.
const SEEN_EVERY_MS: i64 = 60_000;

impl Store {
    /// By what was typed into the login box.
    pub async fn login(&self, _: &Platform, login: &str) -> Result<Option<Login>, StoreError> {
        let row = sql(
            "SELECT u.tenant_id, u.id, u.password, u.state, t.state AS tenant_state FROM users u \
                       JOIN tenants t ON t.id = u.tenant_id WHERE u.login = $1",
        )
        .bind(login)
        .optional(&self.db)
        .await?;
        row.map(|row| {
            Ok(Login {
                tenant: row.get("tenant_id")?,
                user: row.get("id")?,
                password: row.get("password")?,
                disabled: row.get::<String>("state")? != "active",
                tenant_banned: row.get::<String>("tenant_state")? == "banned",
            })
        })
        .transpose()
    }

    /// After the password was found right.
    pub async fn open_session(
        &self,
        _: &Platform,
        login: &Login,
        new: &NewSession,
        now: Wall,
    ) -> Result<SessionId, StoreError> {
        let id: SessionId = fresh();
        let mut tx = self.db.begin().await?;
        sql("DELETE FROM sessions WHERE expires_at <= $1")
            .bind(now)
            .run(&mut tx)
            .await?;
        sql("INSERT INTO sessions (tenant_id, id, user_id, token_hash, created_at, expires_at, last_seen_at, remote, \
             user_agent) VALUES ($1, $2, $3, $4, $5, $6, $5, $7, $8)")
            .bind(login.tenant)
            .bind(id)
            .bind(login.user)
            .bind(new.token_hash)
            .bind(now)
            .bind(new.expires_at)
            .bind(new.remote.clone())
            .bind(new.user_agent.clone())
            .run(&mut tx)
            .await?;
        sql("UPDATE users SET last_login_at = $3 WHERE tenant_id = $1 AND id = $2")
            .bind(login.tenant)
            .bind(login.user)
            .bind(now)
            .run(&mut tx)
            .await?;
        let actor = Actor::User {
            user: login.user,
            session: id,
        };
        deed("session.opened", login.user.0)
            .after(json!({ "remote": new.remote, "user_agent": new.user_agent }))
            .note(&mut tx, &Scope::mint(login.tenant, actor, Role::Agent), now)
            .await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Who holds this session token.
    pub async fn session(
        &self,
        _: &Platform,
        token_hash: [u8; 32],
        now: Wall,
    ) -> Result<Option<Credential>, StoreError> {
        let row = sql("SELECT s.tenant_id, s.id, s.user_id, s.expires_at, s.last_seen_at, u.role, u.platform_admin, \
                       t.state AS tenant_state FROM sessions s \
                       JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id \
                       JOIN tenants t ON t.id = s.tenant_id \
                       WHERE s.token_hash = $1 AND s.expires_at > $2 AND u.state = 'active'")
            .bind(token_hash)
            .bind(now)
            .optional(&self.db)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (session, user): (SessionId, UserId) = (row.get("id")?, row.get("user_id")?);
        let actor = Actor::User { user, session };
        let seen: Wall = row.get("last_seen_at")?;
        let credential = credential(&row, actor, None)?;
        if now.as_millis() - seen.as_millis() > SEEN_EVERY_MS {
            let mut tx = self.db.begin().await?;
            sql("UPDATE sessions SET last_seen_at = $3 WHERE tenant_id = $1 AND id = $2")
                .bind(credential.scope.tenant())
                .bind(session)
                .bind(now)
                .run(&mut tx)
                .await?;
            tx.commit().await?;
        }
        Ok(Some(credential))
    }

    /// Who holds this API key. It may never do more than the person who made it may now.
    pub async fn api_key_holder(
        &self,
        _: &Platform,
        hash: [u8; 32],
        now: Wall,
    ) -> Result<Option<Credential>, StoreError> {
        let row = sql("SELECT k.tenant_id, k.id, k.created_by AS user_id, k.scopes, k.expires_at, k.last_used_at, u.role, \
                       u.platform_admin, t.state AS tenant_state FROM api_keys k \
                       JOIN users u ON u.tenant_id = k.tenant_id AND u.id = k.created_by \
                       JOIN tenants t ON t.id = k.tenant_id \
                       WHERE k.hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2) \
                       AND u.state = 'active'")
            .bind(hash)
            .bind(now)
            .optional(&self.db)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let key: ApiKeyId = row.get("id")?;
        let used: Option<Wall> = row.get("last_used_at")?;
        let credential = credential(&row, Actor::ApiKey(key), Some(row.json("scopes")?))?;
        if used.is_none_or(|used| now.as_millis() - used.as_millis() > SEEN_EVERY_MS) {
            let mut tx = self.db.begin().await?;
            sql("UPDATE api_keys SET last_used_at = $3 WHERE tenant_id = $1 AND id = $2")
                .bind(credential.scope.tenant())
                .bind(key)
                .bind(now)
                .run(&mut tx)
                .await?;
            tx.commit().await?;
        }
        Ok(Some(credential))
    }

    /// Signs out. The session may be gone already.
    pub async fn close_session(&self, scope: &Scope, session: SessionId) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sql("DELETE FROM sessions WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(session)
            .run(&mut tx)
            .await?;
        tx.commit().await
    }
}

fn credential(
    row: &Row,
    actor: Actor,
    grants: Option<Vec<String>>,
) -> Result<Credential, StoreError> {
    let role: Role = read_role(row)?;
    let platform_admin: bool = row.get("platform_admin")?;
    Ok(Credential {
        scope: Scope::mint(row.get("tenant_id")?, actor, role),
        user: row.get("user_id")?,
        platform: platform_admin.then(|| Platform::mint(actor)),
        grants,
        tenant_banned: row.get::<String>("tenant_state")? == "banned",
        expires_at: row.get("expires_at")?,
    })
}
