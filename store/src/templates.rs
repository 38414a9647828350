//! Templates of robot calls. Each change is a new version; a running campaign stays on the one it started with.
//! The body is the robot's own value, kept as JSON: what it means is checked by `bots`, not here.

use crate::audit::deed;
use crate::db::{Json, Row, sql};
use crate::error::StoreError;
use crate::ids::fresh;
use crate::list::{Asked, Field, Kind, Listing, Search};
use crate::scope::Scope;
use crate::store::{Page, Store};
use model::{TemplateId, Wall};
use serde_json::{Value, json};

/// A template without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateHead {
    pub id: TemplateId,
    pub name: String,
    pub version: u32,
    pub created_at: Wall,
    pub updated_at: Wall,
}

fn head(row: &Row) -> Result<TemplateHead, StoreError> {
    Ok(TemplateHead {
        id: row.get("id")?,
        name: row.get("name")?,
        version: row.get("version")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

pub static TEMPLATES: Listing = Listing {
    fields: &[
        Field::new("created_at", "created_at", Kind::Moment).sorted_by_id(),
        Field::new("updated_at", "updated_at", Kind::Moment).sorted(),
        Field::new("name", "name", Kind::Text).sorted(),
    ],
    order: "created_at",
    id: "id",
    search: &[Search::Text("name")],
};

impl Store {
    pub async fn create_template(
        &self,
        scope: &Scope,
        name: &str,
        body: &Value,
        now: Wall,
    ) -> Result<TemplateId, StoreError> {
        let id: TemplateId = fresh();
        let mut tx = self.db.begin().await?;
        sql("INSERT INTO templates (tenant_id, id, name, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)")
            .bind(scope.tenant())
            .bind(id)
            .bind(name)
            .bind(now)
            .run(&mut tx)
            .await?;
        sql("INSERT INTO template_versions (tenant_id, template_id, version, body, created_by, created_at) \
             VALUES ($1, $2, 1, $3, $4, $5)")
            .bind(scope.tenant())
            .bind(id)
            .bind(Json(body))
            .bind(scope.actor().id())
            .bind(now)
            .run(&mut tx)
            .await?;
        deed("template.created", id.0)
            .after(json!({ "name": name, "version": 1 }))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await?;
        Ok(id)
    }

    pub async fn templates(
        &self,
        scope: &Scope,
        asked: &Asked,
    ) -> Result<Page<TemplateHead>, StoreError> {
        let list = sql("SELECT * FROM templates WHERE tenant_id = $1 AND deleted_at IS NULL")
            .bind(scope.tenant());
        asked.page(list, &self.db, head).await
    }

    /// The newest version.
    pub async fn template(
        &self,
        scope: &Scope,
        id: TemplateId,
    ) -> Result<(TemplateHead, Value), StoreError> {
        let row = sql("SELECT t.*, v.body FROM templates t JOIN template_versions v \
                       ON v.tenant_id = t.tenant_id AND v.template_id = t.id AND v.version = t.version \
                       WHERE t.tenant_id = $1 AND t.id = $2 AND t.deleted_at IS NULL")
            .bind(scope.tenant())
            .bind(id)
            .one(&self.db)
            .await?;
        Ok((head(&row)?, row.json("body")?))
    }

    /// One version's body, of a deleted template too: calls and campaigns of the past refer to it.
    pub async fn template_version(
        &self,
        scope: &Scope,
        id: TemplateId,
        version: u32,
    ) -> Result<Value, StoreError> {
        sql("SELECT body FROM template_versions WHERE tenant_id = $1 AND template_id = $2 AND version = $3")
            .bind(scope.tenant())
            .bind(id)
            .bind(version)
            .one(&self.db)
            .await?
            .json("body")
    }

    /// Keeps a new version of a template that was read at version `from`; `Stale` when it has moved on since.
    pub async fn save_template(
        &self,
        scope: &Scope,
        id: TemplateId,
        from: u32,
        name: &str,
        body: &Value,
        now: Wall,
    ) -> Result<u32, StoreError> {
        let mut tx = self.db.begin().await?;
        let row = sql(
            "SELECT version, name FROM templates WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL",
        )
        .bind(scope.tenant())
        .bind(id)
        .one(&mut tx)
        .await?;
        if row.get::<u32>("version")? != from {
            return Err(StoreError::Stale);
        }
        let version = from + 1;
        sql("INSERT INTO template_versions (tenant_id, template_id, version, body, created_by, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(scope.tenant())
            .bind(id)
            .bind(version)
            .bind(Json(body))
            .bind(scope.actor().id())
            .bind(now)
            .run(&mut tx)
            .await?;
        sql("UPDATE templates SET name = $3, version = $4, updated_at = $5 WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .bind(name)
            .bind(version)
            .bind(now)
            .run_one(&mut tx)
            .await?;
        // The bodies stand in their versions.
        deed("template.updated", id.0)
            .before(json!({ "name": row.get::<String>("name")?, "version": from }))
            .after(json!({ "name": name, "version": version }))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await?;
        Ok(version)
    }

    /// Its versions stay for the records that name them. `WrongState` while a campaign that is not finished uses it.
    pub async fn delete_template(
        &self,
        scope: &Scope,
        id: TemplateId,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let used = sql("SELECT 1 AS one FROM campaigns WHERE tenant_id = $1 AND template_id = $2 AND state <> 'finished' LIMIT 1")
            .bind(scope.tenant())
            .bind(id)
            .optional(&mut tx)
            .await?;
        if used.is_some() {
            return Err(StoreError::WrongState {
                state: "a campaign uses it",
            });
        }
        sql("UPDATE templates SET deleted_at = $3, updated_at = $3 WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL")
            .bind(scope.tenant())
            .bind(id)
            .bind(now)
            .run_one(&mut tx)
            .await?;
        deed("template.deleted", id.0)
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await
    }
}
