//! Many leads at once, in the bulk lane.

use crate::db::{Json, Tx, assembled, sql};
use crate::error::StoreError;
use crate::ids::fresh;
use crate::lanes::Slice;
use crate::leads::{NewLead, known_campaign};
use crate::scope::Scope;
use crate::store::Store;
use model::*;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What an import does with a number that is already there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// Name, batch and custom columns are taken from the sheet; where the lead stands is kept.
    #[default]
    Update,
    /// Left alone and counted as rejected.
    Reject,
    /// Rejected too when any other campaign or list of the tenant has the number.
    RejectInTenant,
}

/// `inserted + updated + rejected.len()` is the number of rows that were handed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub inserted: u64,
    pub updated: u64,
    /// Positions, in the order handed in, of rows whose number was already there.
    pub duplicates: Vec<usize>,
}

/// Rows of one INSERT: few enough for a statement of reasonable size, many enough to be worth it.
pub(crate) const ROWS: usize = 200;

impl Store {
    /// Adds many, in short transactions of the bulk lane, so that calls are written in between. What was added stays when a
    /// later part fails; running the same import again finishes it.
    pub async fn import_leads(
        &self,
        scope: &Scope,
        campaign: Option<CampaignId>,
        batch: &str,
        leads: &[NewLead],
        duplicates: Duplicates,
        now: Wall,
    ) -> Result<Imported, StoreError> {
        let mut imported = Imported::default();
        let listed: Vec<_> = leads.iter().map(|lead| Listed { batch, lead }).collect();
        let list = List {
            scope,
            campaign,
            duplicates,
            now,
        };
        let mut chunks = listed.chunks(ROWS).enumerate().peekable();
        while chunks.peek().is_some() {
            let mut tx = self.begin_bulk().await?;
            known_campaign(&mut tx, scope, campaign).await?;
            let slice = Slice::begin();
            let mut part = Imported::default();
            while slice.lasts()
                && let Some((n, chunk)) = chunks.next()
            {
                import_chunk(&mut tx, &list, n * ROWS, chunk, &mut part).await?;
            }
            tx.commit().await?;
            imported.inserted += part.inserted;
            imported.updated += part.updated;
            imported.duplicates.append(&mut part.duplicates);
        }
        imported.duplicates.sort_unstable();
        Ok(imported)
    }
}

/// Where imported rows go.
pub(crate) struct List<'a> {
    pub scope: &'a Scope,
    pub campaign: Option<CampaignId>,
    pub duplicates: Duplicates,
    pub now: Wall,
}

/// One row of an INSERT.
#[derive(Clone, Copy)]
pub(crate) struct Listed<'a> {
    pub batch: &'a str,
    pub lead: &'a NewLead,
}

impl Listed<'_> {
    pub fn number(&self) -> &str {
        self.lead.number.as_str()
    }
}

/// Adds at most `ROWS` leads. `Imported::duplicates` counts from `offset`.
pub(crate) async fn import_chunk(
    tx: &mut Tx,
    list: &List<'_>,
    offset: usize,
    chunk: &[Listed<'_>],
    imported: &mut Imported,
) -> Result<(), StoreError> {
    let duplicates = list.duplicates;
    let mut elsewhere = std::collections::HashSet::new();
    if duplicates == Duplicates::RejectInTenant {
        let there = sql("SELECT number FROM leads WHERE tenant_id = $1")
            .bind(list.scope.tenant())
            .among("AND number", chunk.iter().map(Listed::number));
        for row in there.all(&mut *tx).await? {
            elsewhere.insert(row.get::<String>("number")?);
        }
    }
    // The last of equal numbers wins within a chunk, as it does across chunks.
    let mut last: HashMap<&str, usize> = HashMap::new();
    for (n, lead) in chunk.iter().enumerate() {
        last.insert(lead.number(), n);
    }
    let mut first_seen = std::collections::HashSet::new();
    let mut insert = assembled(
        "INSERT INTO leads (tenant_id, id, campaign_id, batch, name, number, custom, state, created_at, updated_at) VALUES"
            .into(),
    );
    let mut minted: HashMap<LeadId, usize> = HashMap::new();
    for (n, lead) in chunk.iter().enumerate() {
        let repeated = !first_seen.insert(lead.number());
        if elsewhere.contains(lead.number()) || (repeated && duplicates != Duplicates::Update) {
            imported.duplicates.push(offset + n);
            continue;
        }
        if repeated {
            imported.updated += 1;
            continue;
        }
        let winner = match duplicates {
            Duplicates::Update => &chunk[last[lead.number()]],
            _ => lead,
        };
        let id: LeadId = fresh();
        let open = if minted.is_empty() { "(?," } else { ", (?," };
        insert = insert
            .and(open, list.scope.tenant())
            .and("?,", id)
            .and("?,", list.campaign)
            .and("?,", winner.batch)
            .and("?,", &winner.lead.name)
            .and("?,", &winner.lead.number)
            .and("?, 'listed',", Json(&winner.lead.custom))
            .and("?,", list.now)
            .and("?)", list.now);
        minted.insert(id, offset + n);
    }
    if minted.is_empty() {
        return Ok(());
    }
    insert = insert.then(match list.campaign {
        Some(_) => "ON CONFLICT (tenant_id, campaign_id, number) WHERE campaign_id IS NOT NULL",
        None => "ON CONFLICT (tenant_id, number) WHERE campaign_id IS NULL",
    });
    insert = insert.then(match duplicates {
        Duplicates::Update => {
            "DO UPDATE SET name = excluded.name, batch = excluded.batch, custom = excluded.custom, \
             updated_at = excluded.updated_at"
        }
        Duplicates::Reject | Duplicates::RejectInTenant => "DO NOTHING",
    });
    for row in insert.then("RETURNING id").all(&mut *tx).await? {
        // A row that was there before keeps its id.
        match minted.remove(&row.get("id")?) {
            Some(_) => imported.inserted += 1,
            None => imported.updated += 1,
        }
    }
    if duplicates != Duplicates::Update {
        imported.duplicates.extend(minted.into_values());
    }
    Ok(())
}
