//! Many leads at once, in the bulk lane.

use crate::db::{Json, Row, Tx, assembled, sql};
use crate::error::StoreError;
use crate::ids::fresh;
use crate::lanes::Slice;
use crate::leads::{NewLead, known_campaign};
use crate::scope::Scope;
use crate::store::Store;
use model::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

/// What an import does with a number that is already there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// What the sheet says of name, batch and custom columns is taken over; what it does not say, and where the lead
    /// stands, is kept.
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
        let named = |lead| Listed {
            batch: Some(batch),
            lead,
        };
        let listed: Vec<_> = leads.iter().map(named).collect();
        let list = List {
            scope,
            campaign,
            batch,
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
    /// Of new leads that name none.
    pub batch: &'a str,
    pub duplicates: Duplicates,
    pub now: Wall,
}

#[derive(Clone, Copy)]
pub(crate) struct Listed<'a> {
    pub batch: Option<&'a str>,
    pub lead: &'a NewLead,
}

impl Listed<'_> {
    pub fn number(&self) -> &str {
        self.lead.number.as_str()
    }
}

/// One row of an INSERT: what all rows of its number say, the later over the earlier.
struct Words<'a> {
    /// The first of its rows, in the chunk.
    place: usize,
    number: &'a E164,
    batch: Option<Cow<'a, str>>,
    name: Cow<'a, str>,
    custom: Cow<'a, Map<String, Value>>,
}

impl<'a> Words<'a> {
    fn of(place: usize, row: &Listed<'a>) -> Words<'a> {
        Words {
            place,
            number: &row.lead.number,
            batch: row.batch.map(Cow::Borrowed),
            name: Cow::Borrowed(&row.lead.name),
            custom: Cow::Borrowed(&row.lead.custom),
        }
    }

    fn change(&mut self, later: &Listed<'a>) {
        self.batch = later.batch.map(Cow::Borrowed).or(self.batch.take());
        if !later.lead.name.is_empty() {
            self.name = Cow::Borrowed(&later.lead.name);
        }
        if !later.lead.custom.is_empty() {
            self.custom.to_mut().extend(later.lead.custom.clone());
        }
    }

    /// What the lead says that is there, and no row says.
    fn keep(&mut self, there: &Row) -> Result<(), StoreError> {
        if self.batch.is_none() {
            self.batch = Some(Cow::Owned(there.get("batch")?));
        }
        if self.name.is_empty() {
            self.name = Cow::Owned(there.get("name")?);
        }
        let mut custom: Map<String, Value> = there.json("custom")?;
        if !custom.is_empty() {
            custom.extend(std::mem::take(self.custom.to_mut()));
            self.custom = Cow::Owned(custom);
        }
        Ok(())
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
    let mut elsewhere = HashSet::new();
    if duplicates == Duplicates::RejectInTenant {
        let there = sql("SELECT number FROM leads WHERE tenant_id = $1")
            .bind(list.scope.tenant())
            .among("AND number", chunk.iter().map(Listed::number));
        for row in there.all(&mut *tx).await? {
            elsewhere.insert(row.get::<String>("number")?);
        }
    }
    let mut rows: Vec<Words<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (n, lead) in chunk.iter().enumerate() {
        if elsewhere.contains(lead.number()) {
            imported.duplicates.push(offset + n);
            continue;
        }
        match places.entry(lead.number()) {
            Entry::Vacant(entry) => {
                entry.insert(rows.len());
                rows.push(Words::of(n, lead));
            }
            Entry::Occupied(entry) if duplicates == Duplicates::Update => {
                rows[*entry.get()].change(lead);
                imported.updated += 1;
            }
            Entry::Occupied(_) => imported.duplicates.push(offset + n),
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    if duplicates == Duplicates::Update {
        let there = sql("SELECT number, batch, name, custom FROM leads WHERE tenant_id = $1")
            .bind(list.scope.tenant());
        let there = match list.campaign {
            Some(campaign) => there.and("AND campaign_id = ?", campaign),
            None => there.then("AND campaign_id IS NULL"),
        };
        let there = there.among("AND number", rows.iter().map(|row| row.number));
        for old in there.all(&mut *tx).await? {
            if let Some(place) = places.get(old.get::<String>("number")?.as_str()) {
                rows[*place].keep(&old)?;
            }
        }
    }
    let mut insert = assembled(
        "INSERT INTO leads (tenant_id, id, campaign_id, batch, name, number, custom, state, created_at, updated_at) VALUES"
            .into(),
    );
    let mut minted: HashMap<LeadId, usize> = HashMap::new();
    for row in &rows {
        let id: LeadId = fresh();
        let open = if minted.is_empty() { "(?," } else { ", (?," };
        insert = insert
            .and(open, list.scope.tenant())
            .and("?,", id)
            .and("?,", list.campaign)
            .and("?,", row.batch.as_deref().unwrap_or(list.batch))
            .and("?,", row.name.as_ref())
            .and("?,", row.number)
            .and("?, 'listed',", Json(row.custom.as_ref()))
            .and("?,", list.now)
            .and("?)", list.now);
        minted.insert(id, offset + row.place);
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
