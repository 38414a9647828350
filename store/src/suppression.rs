//! Do-not-call lists: the platform's, a tenant's, a campaign's.

use crate::audit::deed;
use crate::db::{Row, Tx, sql};
use crate::error::StoreError;
use crate::lanes::Slice;
use crate::leads::known_campaign;
use crate::list::{Asked, Field, Kind, Listing, Search};
use crate::scope::{Platform, Scope};
use crate::store::{Page, Store};
use dialer::{DncList, OptOutBy, Suppression};
use model::*;
use serde_json::json;

/// Its key is (number, list): the order by number is whole with the list's id.
pub static DO_NOT_CALL: Listing = Listing {
    fields: &[
        Field::new("number", "number", Kind::Text).sorted(),
        Field::new("campaign_id", "list_id", Kind::Id),
        Field::new(
            "by",
            "source",
            Kind::Word(&["speech", "key", "sms", "agent", "import", "api"]),
        ),
        Field::new("since", "created_at", Kind::Moment),
        Field::new("until", "expires_at", Kind::Moment),
    ],
    order: "number",
    id: "list_id",
    search: &[Search::Number("number")],
};

impl Store {
    /// Puts a number on the tenant's list, or on a campaign's, and takes it out of the queues that list binds. Returns how
    /// many queued leads that stopped. Being there already, it takes the later end.
    pub async fn suppress(&self, scope: &Scope, entry: &Suppression) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        known_campaign(&mut tx, scope, entry.campaign).await?;
        let stopped = suppress(&mut tx, scope, entry).await?;
        deed("do_not_call.added", list_id(scope, entry.campaign))
            .after(json!({
                "number": entry.number.as_str(), "campaign_id": entry.campaign, "by": entry.by, "note": entry.note,
                "stopped": stopped,
            }))
            .note(&mut tx, scope, entry.since)
            .await?;
        tx.commit().await?;
        Ok(stopped)
    }

    /// Many, in short transactions of the bulk lane. Returns how many leads were stopped.
    pub async fn import_suppressed(
        &self,
        scope: &Scope,
        entries: &[Suppression],
    ) -> Result<u64, StoreError> {
        let mut stopped = 0;
        let mut entries = entries.iter().peekable();
        while entries.peek().is_some() {
            let mut tx = self.begin_bulk().await?;
            let slice = Slice::begin();
            while slice.lasts()
                && let Some(entry) = entries.next()
            {
                known_campaign(&mut tx, scope, entry.campaign).await?;
                stopped += suppress(&mut tx, scope, entry).await?;
            }
            tx.commit().await?;
        }
        Ok(stopped)
    }

    /// Takes a number off one list. Leads it had stopped stay stopped until somebody enqueues them.
    pub async fn unsuppress(
        &self,
        scope: &Scope,
        number: &E164,
        campaign: Option<CampaignId>,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sql("DELETE FROM suppressed WHERE tenant_id = $1 AND number = $2 AND list_id = $3")
            .bind(scope.tenant())
            .bind(number)
            .bind(list_id(scope, campaign))
            .run_one(&mut tx)
            .await?;
        deed("do_not_call.removed", list_id(scope, campaign))
            .before(json!({ "number": number.as_str(), "campaign_id": campaign }))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await
    }

    pub async fn suppressed(
        &self,
        scope: &Scope,
        asked: &Asked,
    ) -> Result<Page<Suppression>, StoreError> {
        let list = sql("SELECT * FROM suppressed WHERE tenant_id = $1").bind(scope.tenant());
        asked.page(list, &self.db, read).await
    }

    /// The platform's list binds every tenant and every caller.
    pub async fn suppress_on_platform(
        &self,
        _platform: &Platform,
        number: &E164,
        by: OptOutBy,
        note: &str,
        until: Option<Wall>,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sql("INSERT INTO platform_suppressed (number, source, note, created_at, expires_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (number) DO UPDATE SET source = excluded.source, note = excluded.note, expires_at = excluded.expires_at")
            .bind(number)
            .bind(crate::code::of(&by))
            .bind(note)
            .bind(now)
            .bind(until)
            .run(&mut tx)
            .await?;
        tx.commit().await
    }
}

/// The id a list goes by: the tenant's own for the tenant's list.
fn list_id(scope: &Scope, campaign: Option<CampaignId>) -> uuid::Uuid {
    campaign.map_or(scope.tenant().0, |campaign| campaign.0)
}

pub(crate) async fn suppress(
    tx: &mut Tx,
    scope: &Scope,
    entry: &Suppression,
) -> Result<u64, StoreError> {
    sql("INSERT INTO suppressed (tenant_id, number, list_id, source, note, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (tenant_id, number, list_id) DO UPDATE SET source = excluded.source, note = excluded.note, \
         expires_at = CASE WHEN suppressed.expires_at IS NULL OR excluded.expires_at IS NULL THEN NULL \
             WHEN suppressed.expires_at > excluded.expires_at THEN suppressed.expires_at ELSE excluded.expires_at END")
        .bind(scope.tenant())
        .bind(&entry.number)
        .bind(list_id(scope, entry.campaign))
        .bind(crate::code::of(&entry.by))
        .bind(&entry.note)
        .bind(entry.since)
        .bind(entry.until)
        .run(tx)
        .await?;
    let mut stop = sql(
        "UPDATE leads SET state = 'suppressed', rule = 'do_not_call', due_at = NULL, updated_at = $3 \
         WHERE tenant_id = $1 AND number = $2 AND state IN ('queued', 'retry')",
    )
    .bind(scope.tenant())
    .bind(&entry.number)
    .bind(entry.since);
    if let Some(campaign) = entry.campaign {
        stop = stop.and("AND campaign_id = ?", campaign);
    }
    stop.run(tx).await
}

fn read(row: &Row) -> Result<Suppression, StoreError> {
    let tenant: TenantId = row.get("tenant_id")?;
    let list: uuid::Uuid = row.get("list_id")?;
    let campaign = (list != tenant.0).then_some(CampaignId(list));
    Ok(Suppression {
        number: row.get("number")?,
        list: if campaign.is_some() {
            DncList::Campaign
        } else {
            DncList::Tenant
        },
        tenant: Some(tenant),
        campaign,
        by: crate::code::read(row, "source")?,
        since: row.get("created_at")?,
        until: row.get("expires_at")?,
        note: row.get("note")?,
    })
}
