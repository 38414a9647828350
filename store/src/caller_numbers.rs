//! Numbers a tenant may show to callees, once the platform has approved them.

use crate::audit::deed;
use crate::db::{Row, sql};
use crate::error::StoreError;
use crate::ids::fresh;
use crate::list::{Asked, Field, Kind, Listing, Search};
use crate::scope::{Platform, Scope};
use crate::store::{Page, Store};
use model::{CallerNumberId, E164, TenantId, Wall};
use serde_json::json;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    Pending,
    Approved,
    Rejected,
}

impl Approval {
    pub fn as_str(self) -> &'static str {
        match self {
            Approval::Pending => "pending",
            Approval::Approved => "approved",
            Approval::Rejected => "rejected",
        }
    }
    pub fn parse(text: &str) -> Option<Approval> {
        [Approval::Pending, Approval::Approved, Approval::Rejected]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerNumber {
    pub id: CallerNumberId,
    pub tenant: TenantId,
    pub number: E164,
    pub approval: Approval,
    pub decided_at: Option<Wall>,
    /// Why it was rejected, for the tenant to read.
    pub note: String,
    pub version: u64,
    pub created_at: Wall,
}

fn read(row: &Row) -> Result<CallerNumber, StoreError> {
    Ok(CallerNumber {
        id: row.get("id")?,
        tenant: row.get("tenant_id")?,
        number: row.get("number")?,
        approval: Approval::parse(&row.get::<String>("state")?)
            .ok_or(StoreError::Damaged("an approval"))?,
        decided_at: row.get("decided_at")?,
        note: row.get("note")?,
        version: row.get("version")?,
        created_at: row.get("created_at")?,
    })
}

pub static CALLER_NUMBERS: Listing = Listing {
    fields: &[
        Field::new("created_at", "created_at", Kind::Moment).sorted_by_id(),
        Field::new("number", "number", Kind::Text).sorted(),
        Field::new(
            "state",
            "state",
            Kind::Word(&["pending", "approved", "rejected"]),
        ),
    ],
    order: "created_at",
    id: "id",
    search: &[Search::Number("number")],
};

impl Store {
    /// Pending until the platform decides.
    pub async fn add_caller_number(
        &self,
        scope: &Scope,
        number: &E164,
        now: Wall,
    ) -> Result<CallerNumberId, StoreError> {
        let id: CallerNumberId = fresh();
        let mut tx = self.db.begin().await?;
        sql("INSERT INTO caller_numbers (tenant_id, id, number, created_at) VALUES ($1, $2, $3, $4)")
            .bind(scope.tenant())
            .bind(id)
            .bind(number)
            .bind(now)
            .run(&mut tx)
            .await?;
        deed("caller_number.created", id.0)
            .after(json!({ "number": number.as_str() }))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await?;
        Ok(id)
    }

    pub async fn caller_numbers(
        &self,
        scope: &Scope,
        asked: &Asked,
    ) -> Result<Page<CallerNumber>, StoreError> {
        let list = sql("SELECT * FROM caller_numbers WHERE tenant_id = $1").bind(scope.tenant());
        asked.page(list, &self.db, read).await
    }

    /// All of them, for the directory.
    pub async fn all_caller_numbers(&self, scope: &Scope) -> Result<Vec<CallerNumber>, StoreError> {
        let rows = sql("SELECT * FROM caller_numbers WHERE tenant_id = $1 ORDER BY id")
            .bind(scope.tenant())
            .all(&self.db)
            .await?;
        rows.iter().map(read).collect()
    }

    pub async fn caller_number(
        &self,
        scope: &Scope,
        id: CallerNumberId,
    ) -> Result<CallerNumber, StoreError> {
        let row = sql("SELECT * FROM caller_numbers WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .one(&self.db)
            .await?;
        read(&row)
    }

    /// `Reference` while an extension or a campaign shows it.
    pub async fn delete_caller_number(
        &self,
        scope: &Scope,
        id: CallerNumberId,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let row = sql("SELECT number FROM caller_numbers WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .one(&mut tx)
            .await?;
        deed("caller_number.deleted", id.0)
            .before(json!({ "number": row.get::<String>("number")? }))
            .note(&mut tx, scope, now)
            .await?;
        sql("DELETE FROM caller_numbers WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .run_one(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Numbers of every tenant, oldest first: the platform's work list.
    pub async fn caller_numbers_to_decide(
        &self,
        _: &Platform,
        asked: &Asked,
    ) -> Result<Page<CallerNumber>, StoreError> {
        let list = sql("SELECT * FROM caller_numbers WHERE TRUE");
        asked.page(list, &self.db, read).await
    }

    /// The platform's word. It may be taken back.
    pub async fn decide_caller_number(
        &self,
        platform: &Platform,
        tenant: TenantId,
        id: CallerNumberId,
        approval: Approval,
        note: &str,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sql("UPDATE caller_numbers SET state = $3, via = 'platform', decided_by = $4, decided_at = $5, note = $6, \
             version = version + 1 WHERE tenant_id = $1 AND id = $2")
            .bind(tenant)
            .bind(id)
            .bind(approval.as_str())
            .bind(platform.actor().id())
            .bind(now)
            .bind(note)
            .run_one(&mut tx)
            .await?;
        deed("caller_number.decided", id.0)
            .after(json!({ "state": approval.as_str(), "note": note }))
            .note(&mut tx, &platform.tenant(tenant), now)
            .await?;
        tx.commit().await
    }
}
