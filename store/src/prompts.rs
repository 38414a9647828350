//! Recorded prompts of templates. The audio is a file of ours below the prompts folder; the row names it.

use crate::audit::deed;
use crate::db::{Row, sql};
use crate::error::StoreError;
use crate::scope::Scope;
use crate::store::Store;
use model::{PromptId, TemplateId, Wall};
use serde_json::json;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    pub id: PromptId,
    pub template: TemplateId,
    pub name: String,
    /// Below the prompts folder.
    pub file: String,
    /// Of the file.
    pub sha256: [u8; 32],
    pub duration_ms: u32,
    pub created_at: Wall,
}

fn read(row: &Row) -> Result<Prompt, StoreError> {
    Ok(Prompt {
        id: row.get("id")?,
        template: row.get("template_id")?,
        name: row.get("name")?,
        file: row.get("file")?,
        sha256: row.get("sha256")?,
        duration_ms: row.get("duration_ms")?,
        created_at: row.get("created_at")?,
    })
}

impl Store {
    /// The file must be in its place already. Its id is the caller's, since the file is named after it.
    pub async fn add_prompt(&self, scope: &Scope, prompt: &Prompt) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sql("SELECT 1 AS one FROM templates WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL")
            .bind(scope.tenant())
            .bind(prompt.template)
            .one(&mut tx)
            .await?;
        sql("INSERT INTO prompts (tenant_id, id, template_id, name, file, sha256, duration_ms, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(scope.tenant())
            .bind(prompt.id)
            .bind(prompt.template)
            .bind(&prompt.name)
            .bind(&prompt.file)
            .bind(prompt.sha256)
            .bind(prompt.duration_ms)
            .bind(prompt.created_at)
            .run(&mut tx)
            .await?;
        deed("prompt.created", prompt.id.0)
            .after(json!({ "template_id": prompt.template, "name": prompt.name }))
            .note(&mut tx, scope, prompt.created_at)
            .await?;
        tx.commit().await
    }

    /// All prompts of a template, oldest first.
    pub async fn prompts(
        &self,
        scope: &Scope,
        template: TemplateId,
    ) -> Result<Vec<Prompt>, StoreError> {
        let rows =
            sql("SELECT * FROM prompts WHERE tenant_id = $1 AND template_id = $2 ORDER BY id")
                .bind(scope.tenant())
                .bind(template)
                .all(&self.db)
                .await?;
        rows.iter().map(read).collect()
    }

    pub async fn prompt(
        &self,
        scope: &Scope,
        template: TemplateId,
        id: PromptId,
    ) -> Result<Prompt, StoreError> {
        let row =
            sql("SELECT * FROM prompts WHERE tenant_id = $1 AND template_id = $2 AND id = $3")
                .bind(scope.tenant())
                .bind(template)
                .bind(id)
                .one(&self.db)
                .await?;
        read(&row)
    }
}
