//! Claims: due leads handed to the node, each with the facts the gate asks for. One indexed change for the leads, four
//! queries for the facts, however many leads.

use crate::db::{Row, Tx, sql};
use crate::error::StoreError;
use crate::leads::read_lead;
use crate::ledger;
use crate::scope::Scope;
use crate::store::Store;
use dialer::{DncHit, DncList, History, LastAttempt};
use model::*;
use std::collections::HashMap;
use std::time::Duration;
use switch::{Candidate, Claimed};

/// After this long a claim whose answer was lost counts as never made.
const FORGOTTEN: Duration = Duration::from_secs(120);

/// More at once would make one statement too long.
pub const MOST: u16 = 500;

impl Store {
    /// Claims up to `at_most` leads of a running campaign that are due, the longest due first. No lead is handed out twice
    /// until it was given back. The writer does the same between its other changes.
    pub async fn claim(
        &self,
        scope: &Scope,
        campaign: CampaignId,
        at_most: u16,
        now: Wall,
    ) -> Result<Claimed, StoreError> {
        let mut tx = self.db.begin().await?;
        let claimed = claim(&mut tx, scope, campaign, at_most, now).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// What the gate has to know of a number before a person's call.
    pub async fn history(
        &self,
        scope: &Scope,
        number: &E164,
        now: Wall,
    ) -> Result<History, StoreError> {
        let mut tx = self.db.begin().await?;
        let mut facts = facts(&mut tx, scope, None, std::slice::from_ref(number), now).await?;
        Ok(facts.remove(number.as_str()).unwrap_or_default())
    }
}

pub(crate) async fn claim(
    tx: &mut Tx,
    scope: &Scope,
    campaign: CampaignId,
    at_most: u16,
    now: Wall,
) -> Result<Claimed, StoreError> {
    let state = sql("SELECT state FROM campaigns WHERE tenant_id = $1 AND id = $2")
        .bind(scope.tenant())
        .bind(campaign)
        .one(&mut *tx)
        .await?;
    if state.get::<String>("state")? != "running" {
        return Ok(Claimed::default());
    }
    // A node drops an answer that took 30 s, and its attempts begin within 30 s: who is still claimed is held by nobody.
    sql(
        "UPDATE leads SET state = 'queued', due_at = COALESCE(due_at, $3), claimed_at = NULL \
         WHERE tenant_id = $1 AND campaign_id = $2 AND state = 'claimed' AND claimed_at < $4",
    )
    .bind(scope.tenant())
    .bind(campaign)
    .bind(now)
    .bind(now - FORGOTTEN)
    .run(tx)
    .await?;
    // Materialised: PostgreSQL may otherwise run the inner query once for each row of the outer, and take more than asked.
    let rows = sql(
        "WITH due AS MATERIALIZED (SELECT id FROM leads WHERE tenant_id = $1 AND campaign_id = $2 \
         AND state IN ('queued', 'retry') AND due_at <= $3 ORDER BY due_at LIMIT $4",
    )
    .then(tx.skip_locked())
    .then(
        ") UPDATE leads SET state = 'claimed', claimed_at = $3, updated_at = $3 \
             WHERE tenant_id = $1 AND id IN (SELECT id FROM due) RETURNING *",
    )
    .bind(scope.tenant())
    .bind(campaign)
    .bind(now)
    .bind(at_most.min(MOST))
    .all(&mut *tx)
    .await?;
    let mut leads: Vec<(Option<Wall>, dialer::Lead)> = Vec::with_capacity(rows.len());
    for row in &rows {
        leads.push((row.get("due_at")?, read_lead(row)?));
    }
    // RETURNING promises no order.
    leads.sort_by_key(|(due, lead)| (*due, lead.id));
    let numbers: Vec<E164> = leads.iter().map(|(_, lead)| lead.number.clone()).collect();
    let mut facts = facts(tx, scope, Some(campaign), &numbers, now).await?;
    let candidate = |(_, lead): (_, dialer::Lead)| {
        // Numbers are unique within a campaign.
        let history = facts.remove(lead.number.as_str()).unwrap_or_default();
        let history = History {
            attempts: lead.attempts,
            unreached_in_a_row: lead.unreached_in_a_row,
            ..history
        };
        Candidate { lead, history }
    };
    let next = sql(
        "SELECT MIN(due_at) AS due FROM leads WHERE tenant_id = $1 AND campaign_id = $2 AND state IN ('queued', 'retry')",
    )
    .bind(scope.tenant())
    .bind(campaign)
    .one(&mut *tx);
    Ok(Claimed {
        next_due: next.await?.get("due")?,
        leads: leads.into_iter().map(candidate).collect(),
    })
}

/// By number. Recent attempts, the last one, refusals, live ones; do-not-call entries; the balance.
async fn facts(
    tx: &mut Tx,
    scope: &Scope,
    campaign: Option<CampaignId>,
    numbers: &[E164],
    now: Wall,
) -> Result<HashMap<String, History>, StoreError> {
    if numbers.is_empty() {
        return Ok(HashMap::new());
    }
    let balance = ledger::available(tx, scope).await?;
    let empty = History {
        balance,
        ..History::default()
    };
    let mut facts: HashMap<String, History> = numbers
        .iter()
        .map(|number| (number.as_str().to_owned(), empty.clone()))
        .collect();
    let attempts = sql("SELECT number, begun_at, ended_at, state, disposition, refused FROM attempts WHERE tenant_id = $1")
        .bind(scope.tenant())
        .among("AND number", numbers)
        .then("ORDER BY begun_at DESC");
    for row in attempts.all(&mut *tx).await? {
        if let Some(history) = facts.get_mut(&row.get::<String>("number")?) {
            add_attempt(history, &row)?;
        }
    }
    let mut add = |rows: Vec<Row>, list: Option<DncList>| -> Result<(), StoreError> {
        for row in rows {
            let list = match list {
                Some(list) => list,
                None if row.get::<uuid::Uuid>("list_id")? == scope.tenant().0 => DncList::Tenant,
                None => DncList::Campaign,
            };
            if let Some(history) = facts.get_mut(&row.get::<String>("number")?) {
                history.dnc.push(DncHit {
                    list,
                    until: row.get("expires_at")?,
                });
            }
        }
        Ok(())
    };
    let platform = sql("SELECT number, expires_at FROM platform_suppressed WHERE (expires_at IS NULL OR expires_at > $1)")
        .bind(now)
        .among("AND number", numbers);
    add(platform.all(&mut *tx).await?, Some(DncList::Platform))?;
    let mine = sql(
        "SELECT number, list_id, expires_at FROM suppressed WHERE tenant_id = $1 AND (expires_at IS NULL OR expires_at > $2) \
         AND list_id IN ($1, $3)",
    )
    .bind(scope.tenant())
    .bind(now)
    .bind(campaign)
    .among("AND number", numbers);
    add(mine.all(&mut *tx).await?, None)?;
    Ok(facts)
}

/// Rows come newest first.
fn add_attempt(history: &mut History, row: &Row) -> Result<(), StoreError> {
    let disposition: Option<Disposition> = row.maybe_json("disposition")?;
    // It never left: no call to the number, and nothing learned of it.
    if disposition == Some(Disposition::Refused) {
        return Ok(());
    }
    history.recent.push(row.get("begun_at")?);
    if row.get::<String>("state")? == "open" {
        history.in_flight = true;
        return Ok(());
    }
    let Some(ended): Option<Wall> = row.get("ended_at")? else {
        return Ok(());
    };
    if row.get::<bool>("refused")? {
        history.refused_at = history.refused_at.max(Some(ended));
    }
    if history.last.is_none_or(|last| last.at < ended)
        && let Some(disposition) = disposition
    {
        history.last = Some(LastAttempt {
            at: ended,
            disposition,
        });
    }
    Ok(())
}
