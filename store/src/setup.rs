//! The first administrator of an installation, by a link that works once, for a while, and only while nobody is there.

use crate::audit::deed;
use crate::db::{Tx, sql};
use crate::error::StoreError;
use crate::scope::{Actor, Platform, Role, Scope};
use crate::store::Store;
use crate::tenants::{self, NewTenant};
use crate::users::{self, NewUser};
use model::{TenantId, UserId, Wall};
use serde_json::json;

/// Who is made first.
#[derive(Clone, Debug)]
pub struct FirstAdmin {
    pub tenant: NewTenant,
    pub login: String,
    pub name: String,
    /// Argon2 in PHC form.
    pub password: String,
}

async fn nobody_yet(tx: &mut Tx) -> Result<(), StoreError> {
    match sql("SELECT 1 AS one FROM users LIMIT 1")
        .optional(tx)
        .await?
    {
        None => Ok(()),
        Some(_) => Err(StoreError::WrongState { state: "set up" }),
    }
}

async fn make(
    tx: &mut Tx,
    first: &FirstAdmin,
    now: Wall,
) -> Result<(TenantId, UserId), StoreError> {
    let tenant = tenants::insert(tx, &first.tenant, now).await?;
    let new = NewUser {
        login: first.login.clone(),
        name: first.name.clone(),
        password: first.password.clone(),
        role: Role::Admin,
    };
    let user = users::insert(tx, tenant, &new, true, now).await?;
    deed("tenant.created", tenant.0)
        .after(json!({ "slug": first.tenant.slug, "name": first.tenant.name, "login": new.login }))
        .note(tx, &Scope::mint(tenant, Actor::Setup, Role::Admin), now)
        .await?;
    Ok((tenant, user))
}

impl Store {
    /// Whether anybody can sign in yet.
    pub async fn is_set_up(&self, _: &Platform) -> Result<bool, StoreError> {
        Ok(sql("SELECT 1 AS one FROM users LIMIT 1")
            .optional(&self.db)
            .await?
            .is_some())
    }

    /// Keeps a link's hash. Earlier links stop working: the newest printed one is the one people see.
    pub async fn add_setup_token(
        &self,
        _: &Platform,
        hash: [u8; 32],
        now: Wall,
        expires_at: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sql("DELETE FROM setup_tokens WHERE used_at IS NULL")
            .run(&mut tx)
            .await?;
        sql("INSERT INTO setup_tokens (hash, created_at, expires_at) VALUES ($1, $2, $3)")
            .bind(hash)
            .bind(now)
            .bind(expires_at)
            .run(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Whether a link would still work.
    pub async fn setup_token_is_good(
        &self,
        _: &Platform,
        hash: [u8; 32],
        now: Wall,
    ) -> Result<bool, StoreError> {
        let row = sql("SELECT 1 AS one FROM setup_tokens WHERE hash = $1 AND used_at IS NULL AND expires_at > $2 \
                       AND NOT EXISTS (SELECT 1 FROM users)")
            .bind(hash)
            .bind(now)
            .optional(&self.db)
            .await?;
        Ok(row.is_some())
    }

    /// Uses the link up: the first tenant and its administrator, who is the platform's too.
    /// `NotFound` for a wrong, used or expired link; `WrongState` when somebody is there already.
    pub async fn use_setup_token(
        &self,
        hash: [u8; 32],
        first: &FirstAdmin,
        now: Wall,
    ) -> Result<(TenantId, UserId), StoreError> {
        let mut tx = self.db.begin().await?;
        sql("UPDATE setup_tokens SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND expires_at > $2")
            .bind(hash)
            .bind(now)
            .run_one(&mut tx)
            .await?;
        nobody_yet(&mut tx).await?;
        let made = make(&mut tx, first, now).await?;
        tx.commit().await?;
        Ok(made)
    }

    /// The same from the command line or a demonstration, whose process holds the database.
    pub async fn create_first_admin(
        &self,
        _: &Platform,
        first: &FirstAdmin,
        now: Wall,
    ) -> Result<(TenantId, UserId), StoreError> {
        let mut tx = self.db.begin().await?;
        nobody_yet(&mut tx).await?;
        let made = make(&mut tx, first, now).await?;
        tx.commit().await?;
        Ok(made)
    }
}
