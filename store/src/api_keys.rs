//! Keys for programs. The key is shown once and kept as its SHA-256.

use crate::audit::deed;
use crate::db::{Json, Row, sql};
use crate::error::StoreError;
use crate::ids::{ApiKeyId, fresh};
use crate::list::{Asked, Field, Kind, Listing, Search};
use crate::scope::Scope;
use crate::store::{Page, Store};
use model::{UserId, Wall};
use serde_json::json;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    /// The key's first characters.
    pub prefix: String,
    pub scopes: Vec<String>,
    pub created_by: UserId,
    pub created_at: Wall,
    pub expires_at: Option<Wall>,
    pub last_used_at: Option<Wall>,
    pub revoked_at: Option<Wall>,
}

#[derive(Clone, Debug)]
pub struct NewApiKey {
    pub name: String,
    pub prefix: String,
    pub hash: [u8; 32],
    pub scopes: Vec<String>,
    /// The person it acts for.
    pub created_by: UserId,
    pub expires_at: Option<Wall>,
}

fn read(row: &Row) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        id: row.get("id")?,
        name: row.get("name")?,
        prefix: row.get("prefix")?,
        scopes: row.json("scopes")?,
        created_by: row.get("created_by")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        last_used_at: row.get("last_used_at")?,
        revoked_at: row.get("revoked_at")?,
    })
}

pub static API_KEYS: Listing = Listing {
    fields: &[
        Field::new("created_at", "created_at", Kind::Moment).sorted_by_id(),
        Field::new("name", "name", Kind::Text).sorted(),
        Field::new("created_by", "created_by", Kind::Id),
        Field::new("revoked", "revoked_at IS NOT NULL", Kind::Flag),
    ],
    order: "created_at",
    id: "id",
    search: &[Search::Text("name"), Search::Text("prefix")],
};

impl Store {
    pub async fn create_api_key(
        &self,
        scope: &Scope,
        new: &NewApiKey,
        now: Wall,
    ) -> Result<ApiKeyId, StoreError> {
        let id: ApiKeyId = fresh();
        let mut tx = self.db.begin().await?;
        sql("INSERT INTO api_keys (tenant_id, id, name, prefix, hash, scopes, created_by, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
            .bind(scope.tenant())
            .bind(id)
            .bind(&new.name)
            .bind(&new.prefix)
            .bind(new.hash)
            .bind(Json(&new.scopes))
            .bind(new.created_by)
            .bind(now)
            .bind(new.expires_at)
            .run(&mut tx)
            .await?;
        deed("api_key.created", id.0)
            .after(json!({ "name": new.name, "prefix": new.prefix, "scopes": new.scopes }))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Revoked ones stay listed.
    pub async fn api_keys(&self, scope: &Scope, asked: &Asked) -> Result<Page<ApiKey>, StoreError> {
        let list = sql("SELECT * FROM api_keys WHERE tenant_id = $1").bind(scope.tenant());
        asked.page(list, &self.db, read).await
    }

    pub async fn api_key(&self, scope: &Scope, id: ApiKeyId) -> Result<ApiKey, StoreError> {
        let row = sql("SELECT * FROM api_keys WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .one(&self.db)
            .await?;
        read(&row)
    }

    /// From now on it opens nothing. Revoking twice is no error.
    pub async fn revoke_api_key(
        &self,
        scope: &Scope,
        id: ApiKeyId,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sql("UPDATE api_keys SET revoked_at = coalesce(revoked_at, $3) WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .bind(now)
            .run_one(&mut tx)
            .await?;
        deed("api_key.revoked", id.0)
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await
    }
}
