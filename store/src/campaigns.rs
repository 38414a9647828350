//! Campaigns: which leads a robot calls, with which template, from which number, over which trunk, when.

use crate::audit::deed;
use crate::db::{Json, Row, Tx, sql};
use crate::error::StoreError;
use crate::list::{Asked, Field, Kind, Listing, Search};
use crate::scope::{Platform, Scope};
use crate::store::{Page, Store, made_from};
use dialer::{Campaign, CampaignState};
use model::*;
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq)]
pub struct CampaignRow {
    pub campaign: Campaign,
    /// The version its calls use; the template's newest when it was started.
    pub template_version: Option<u32>,
    /// Rises with every change; an update names the one it was made from.
    pub version: u64,
    pub created_at: Wall,
    pub updated_at: Wall,
    pub started_at: Option<Wall>,
    pub finished_at: Option<Wall>,
}

/// Everything a running campaign needs of its template: the engine compiles it.
#[derive(Clone, Debug, PartialEq)]
pub struct CampaignParts {
    pub campaign: Campaign,
    pub template_version: u32,
    /// The template's body, as it was saved.
    pub template: Value,
    pub prompts: Vec<PromptFile>,
}

/// A prompt's audio below the prompts folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptFile {
    pub id: PromptId,
    pub name: String,
    pub file: String,
    pub sha256: [u8; 32],
    pub duration_ms: u64,
}

pub static CAMPAIGNS: Listing = Listing {
    fields: &[
        Field::new("created_at", "created_at", Kind::Moment).sorted_by_id(),
        Field::new("updated_at", "updated_at", Kind::Moment).sorted(),
        Field::new("name", "name", Kind::Text).sorted(),
        Field::new(
            "state",
            "state",
            Kind::Word(&["draft", "running", "paused", "finished"]),
        ),
        Field::new("template_id", "template_id", Kind::Id),
        Field::new("caller_number_id", "caller_number_id", Kind::Id),
        Field::new("trunk_id", "trunk_id", Kind::Id),
    ],
    order: "-created_at",
    id: "id",
    search: &[Search::Text("name")],
};

impl Store {
    /// Adds a draft. Template, trunk and caller number, the tenant's own, must be there: else `Reference`.
    /// `Conflict{name}` when the name is taken.
    pub async fn add_campaign(
        &self,
        scope: &Scope,
        campaign: &Campaign,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sql("INSERT INTO campaigns (tenant_id, id, name, state, template_id, trunk_id, caller_number_id, plan, created_at, updated_at) \
             VALUES ($1, $2, $3, 'draft', $4, $5, $6, $7, $8, $8)")
            .bind(scope.tenant())
            .bind(campaign.id)
            .bind(&campaign.name)
            .bind(campaign.template)
            .bind(campaign.trunk)
            .bind(campaign.caller)
            .bind(Json(campaign))
            .bind(now)
            .run(&mut tx)
            .await?;
        deed("campaign.created", campaign.id.0)
            .after(json!(campaign))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await
    }

    pub async fn campaign(&self, scope: &Scope, id: CampaignId) -> Result<CampaignRow, StoreError> {
        let row = sql("SELECT * FROM campaigns WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .one(&self.db)
            .await?;
        read(&row)
    }

    pub async fn campaigns(
        &self,
        scope: &Scope,
        asked: &Asked,
    ) -> Result<Page<CampaignRow>, StoreError> {
        let list = sql("SELECT * FROM campaigns WHERE tenant_id = $1").bind(scope.tenant());
        asked.page(list, &self.db, read).await
    }

    /// Everything but id, tenant and state. `Stale` unless `version` is the one that is stored.
    pub async fn edit_campaign(
        &self,
        scope: &Scope,
        campaign: &Campaign,
        version: u64,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let old = sql("SELECT * FROM campaigns WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(campaign.id)
            .one(&mut tx)
            .await?;
        let old = read(&old)?;
        made_from(Some(version), old.version)?;
        sql(
            "UPDATE campaigns SET name = $4, template_id = $5, trunk_id = $6, caller_number_id = $7, plan = $8, \
             template_version = CASE WHEN template_id = $5 THEN template_version END, \
             version = version + 1, updated_at = $9 WHERE tenant_id = $1 AND id = $2 AND version = $3",
        )
        .bind(scope.tenant())
        .bind(campaign.id)
        .bind(version)
        .bind(&campaign.name)
        .bind(campaign.template)
        .bind(campaign.trunk)
        .bind(campaign.caller)
        .bind(Json(campaign))
        .bind(now)
        .run_one(&mut tx)
        .await?;
        deed("campaign.updated", campaign.id.0)
            .before(json!(old.campaign))
            .after(json!(campaign))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await
    }

    /// Start, pause, finish. `WrongState` when that is no step from where it stands. A start takes the template's newest
    /// version and keeps it.
    pub async fn move_campaign(
        &self,
        scope: &Scope,
        id: CampaignId,
        to: CampaignState,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let from = state(&mut tx, scope, id).await?;
        if from == to {
            return Ok(());
        }
        if !from.may_become(to) {
            return Err(StoreError::WrongState { state: from.code() });
        }
        let (starts, finishes) = (to == CampaignState::Running, to == CampaignState::Finished);
        sql("UPDATE campaigns SET state = $3, version = version + 1, updated_at = $4, \
             started_at = CASE WHEN $5 THEN COALESCE(started_at, $4) ELSE started_at END, \
             finished_at = CASE WHEN $6 THEN $4 END, \
             template_version = CASE WHEN $7 THEN (SELECT t.version FROM templates AS t \
                 WHERE t.tenant_id = campaigns.tenant_id AND t.id = campaigns.template_id) ELSE template_version END \
             WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .bind(to.code())
            .bind(now)
            .bind(starts)
            .bind(finishes)
            .bind(starts && from != CampaignState::Paused)
            .run_one(&mut tx)
            .await?;
        deed("campaign.moved", id.0)
            .before(json!({ "state": from.code() }))
            .after(json!({ "state": to.code() }))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await
    }

    /// A draft without leads. Anything else stays, for its records: `WrongState`, or `Reference` while it has leads.
    pub async fn delete_campaign(
        &self,
        scope: &Scope,
        id: CampaignId,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let found = state(&mut tx, scope, id).await?;
        if found != CampaignState::Draft {
            return Err(StoreError::WrongState {
                state: found.code(),
            });
        }
        deed("campaign.deleted", id.0)
            .note(&mut tx, scope, now)
            .await?;
        sql("DELETE FROM campaigns WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .run_one(&mut tx)
            .await?;
        tx.commit().await
    }

    /// The plan with its template's body and prompts.
    pub async fn campaign_parts(
        &self,
        scope: &Scope,
        id: CampaignId,
    ) -> Result<CampaignParts, StoreError> {
        let row = self.campaign(scope, id).await?;
        let body = sql(
            "SELECT v.version, v.body FROM templates AS t JOIN template_versions AS v \
             ON v.tenant_id = t.tenant_id AND v.template_id = t.id AND v.version = COALESCE($3, t.version) \
             WHERE t.tenant_id = $1 AND t.id = $2",
        )
        .bind(scope.tenant())
        .bind(row.campaign.template)
        .bind(row.template_version)
        .one(&self.db)
        .await?;
        let prompts =
            sql("SELECT * FROM prompts WHERE tenant_id = $1 AND template_id = $2 ORDER BY id")
                .bind(scope.tenant())
                .bind(row.campaign.template)
                .all(&self.db)
                .await?;
        Ok(CampaignParts {
            campaign: row.campaign,
            template_version: body.get("version")?,
            template: body.json("body")?,
            prompts: prompts.iter().map(prompt).collect::<Result<_, _>>()?,
        })
    }

    /// What runs, over all tenants: looked up at start.
    pub async fn running_campaigns(
        &self,
        _platform: &Platform,
    ) -> Result<Vec<(TenantId, CampaignId)>, StoreError> {
        let rows = sql("SELECT tenant_id, id FROM campaigns WHERE state = 'running'")
            .all(&self.db)
            .await?;
        rows.iter()
            .map(|row| Ok((row.get("tenant_id")?, row.get("id")?)))
            .collect()
    }
}

async fn state(tx: &mut Tx, scope: &Scope, id: CampaignId) -> Result<CampaignState, StoreError> {
    let row = sql("SELECT state FROM campaigns WHERE tenant_id = $1 AND id = $2")
        .bind(scope.tenant())
        .bind(id)
        .one(tx)
        .await?;
    read_state(&row)
}

fn read_state(row: &Row) -> Result<CampaignState, StoreError> {
    CampaignState::from_code(&row.get::<String>("state")?)
        .ok_or(StoreError::Damaged("a campaign's state"))
}

/// The columns win over the plan beside them.
fn read(row: &Row) -> Result<CampaignRow, StoreError> {
    let plan: Campaign = row.json("plan")?;
    Ok(CampaignRow {
        campaign: Campaign {
            id: row.get("id")?,
            tenant: row.get("tenant_id")?,
            name: row.get("name")?,
            state: read_state(row)?,
            template: row.get("template_id")?,
            trunk: row.get("trunk_id")?,
            caller: row.get("caller_number_id")?,
            ..plan
        },
        template_version: row.get("template_version")?,
        version: row.get("version")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
    })
}

fn prompt(row: &Row) -> Result<PromptFile, StoreError> {
    Ok(PromptFile {
        id: row.get("id")?,
        name: row.get("name")?,
        file: row.get("file")?,
        sha256: row.get("sha256")?,
        duration_ms: row.get("duration_ms")?,
    })
}
