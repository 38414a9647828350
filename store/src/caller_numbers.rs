//! Numbers a tenant may show to callees, once the platform has approved them.

use crate::cursor::{after, by_id};
use crate::db::{Row, sql};
use crate::error::StoreError;
use crate::ids::fresh;
use crate::scope::{Platform, Scope};
use crate::store::{Page, Store};
use model::{CallerNumberId, E164, TenantId, Wall};

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
        tx.commit().await?;
        Ok(id)
    }

    pub async fn caller_numbers(
        &self,
        scope: &Scope,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<CallerNumber>, StoreError> {
        let rows = sql(
            "SELECT * FROM caller_numbers WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        )
        .bind(scope.tenant())
        .bind(after(cursor)?)
        .bind(limit + 1)
        .all(&self.db)
        .await?;
        let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(rows, limit, |number| by_id(number.id.0)))
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
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sql("DELETE FROM caller_numbers WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .run_one(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Numbers of every tenant in one state, oldest first: the platform's work list.
    pub async fn caller_numbers_to_decide(
        &self,
        _: &Platform,
        approval: Approval,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<CallerNumber>, StoreError> {
        let rows =
            sql("SELECT * FROM caller_numbers WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3")
                .bind(approval.as_str())
                .bind(after(cursor)?)
                .bind(limit + 1)
                .all(&self.db)
                .await?;
        let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(rows, limit, |number| by_id(number.id.0)))
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
        tx.commit().await
    }
}
