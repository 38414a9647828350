//! Leads: one number of a list each. Added by hand (by the thousand: `imports`), listed, put into a campaign's queue, taken
//! back.
//!
//! This module shows the house style of the others: rows are read by one function, SQL stands next to the function that
//! owns it, every statement begins with the tenant, `begin` … `commit` bracket what belongs together.

use crate::audit::deed;
use crate::db::{Json, Row, Statement, Tx, sql};
use crate::error::StoreError;
use crate::ids::fresh;
use crate::lanes::Slice;
use crate::list::{Asked, Field, GRADES, Kind, Listing, Search};
use crate::scope::Scope;
use crate::store::{Page, Store, made_from};
use dialer::{LastAttempt, Lead, LeadState, LeadStateKind, Rule};
use model::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

use crate::bulk::ROWS;
pub use crate::bulk::{Duplicates, Imported};

/// A lead as people see it.
#[derive(Clone, Debug, PartialEq)]
pub struct LeadRow {
    pub lead: Lead,
    /// Columns of the sheet that are none of ours.
    pub custom: Map<String, Value>,
    /// When it may be claimed, while it waits.
    pub due: Option<Wall>,
    pub last_call: Option<CallId>,
    pub created_at: Wall,
    pub updated_at: Wall,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewLead {
    pub number: E164,
    pub name: String,
    pub custom: Map<String, Value>,
}

/// What people may change of a lead.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeadWords {
    pub name: String,
    pub batch: String,
    pub custom: Map<String, Value>,
}

pub static LEADS: Listing = Listing {
    fields: &[
        Field::new("created_at", "created_at", Kind::Moment).sorted_by_id(),
        Field::new("number", "number", Kind::Text).sorted(),
        Field::new("updated_at", "updated_at", Kind::Moment),
        Field::new("due_at", "due_at", Kind::Moment),
        Field::new("campaign_id", "campaign_id", Kind::Id),
        Field::new(
            "state",
            "state",
            Kind::Word(&[
                "listed",
                "queued",
                "claimed",
                "dialling",
                "retry",
                "done",
                "suppressed",
                "exhausted",
            ]),
        ),
        Field::new("grade", "grade", GRADES),
        Field::new("batch", "batch", Kind::Text),
    ],
    order: "-created_at",
    id: "id",
    search: &[Search::Text("name"), Search::Number("number")],
};

/// Which leads are put into a queue.
#[derive(Clone, Debug)]
pub enum Selection {
    Leads(Vec<LeadId>),
    Batch(String),
    /// Of this campaign, all that are listed.
    Campaign(CampaignId),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enqueued {
    pub queued: u64,
    /// Already waiting, live, or their number is in this campaign by another row.
    pub skipped: u64,
}

/// How a campaign stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub states: HashMap<&'static str, u64>,
    /// Of leads with a graded attempt.
    pub grades: HashMap<Grade, u64>,
    /// Leads that wait now, by the rule that last denied them… counted over decisions.
    pub denied: HashMap<String, u64>,
    /// The earliest moment a waiting lead is due.
    pub next_due: Option<Wall>,
}

impl Store {
    /// `Conflict{number}` when the campaign (or the list outside campaigns) has the number.
    pub async fn add_lead(
        &self,
        scope: &Scope,
        campaign: Option<CampaignId>,
        batch: &str,
        lead: &NewLead,
        now: Wall,
    ) -> Result<LeadId, StoreError> {
        let mut tx = self.db.begin().await?;
        known_campaign(&mut tx, scope, campaign).await?;
        let id: LeadId = fresh();
        sql("INSERT INTO leads (tenant_id, id, campaign_id, batch, name, number, custom, state, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'listed', $8, $8)")
            .bind(scope.tenant())
            .bind(id)
            .bind(campaign)
            .bind(batch)
            .bind(&lead.name)
            .bind(&lead.number)
            .bind(Json(&lead.custom))
            .bind(now)
            .run(&mut tx)
            .await?;
        deed("lead.created", id.0)
            .after(json!({
                "number": lead.number.as_str(), "name": lead.name, "batch": batch, "campaign_id": campaign,
                "custom": lead.custom,
            }))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await?;
        Ok(id)
    }

    pub async fn lead(&self, scope: &Scope, id: LeadId) -> Result<LeadRow, StoreError> {
        let row = sql("SELECT * FROM leads WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .one(&self.db)
            .await?;
        read(&row)
    }

    pub async fn leads(&self, scope: &Scope, asked: &Asked) -> Result<Page<LeadRow>, StoreError> {
        let list = sql("SELECT * FROM leads WHERE tenant_id = $1").bind(scope.tenant());
        asked.page(list, &self.db, read).await
    }

    /// Name, batch and custom columns. Where it stands is changed by calls and by `enqueue`. `Stale` when it was made `from`
    /// a lead that was changed since, by the moment of its last change.
    pub async fn edit_lead(
        &self,
        scope: &Scope,
        id: LeadId,
        words: &LeadWords,
        from: Option<Wall>,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let old = sql("SELECT * FROM leads WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .one(&mut tx)
            .await?;
        let old = read(&old)?;
        let millis = |at: Wall| at.as_millis() as u64;
        made_from(from.map(millis), millis(old.updated_at))?;
        sql("UPDATE leads SET name = $3, batch = $4, custom = $5, updated_at = $6 WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .bind(&words.name)
            .bind(&words.batch)
            .bind(Json(&words.custom))
            .bind(now)
            .run_one(&mut tx)
            .await?;
        deed("lead.updated", id.0)
            .before(json!({ "name": old.lead.name, "batch": old.lead.batch, "custom": old.custom }))
            .after(json!({ "name": words.name, "batch": words.batch, "custom": words.custom }))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await
    }

    /// Calls and decisions stay; the number is gone from the list. A live lead is `WrongState`.
    pub async fn delete_lead(
        &self,
        scope: &Scope,
        id: LeadId,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        settled(&mut tx, scope, id).await?;
        let old = sql("SELECT number, name, batch FROM leads WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .one(&mut tx)
            .await?;
        deed("lead.deleted", id.0)
            .before(json!({
                "number": old.get::<String>("number")?, "name": old.get::<String>("name")?,
                "batch": old.get::<String>("batch")?,
            }))
            .note(&mut tx, scope, now)
            .await?;
        sql("DELETE FROM leads WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .run_one(&mut tx)
            .await?;
        tx.commit().await
    }

    /// 加入呼叫: puts leads into the campaign's queue, due at once. A lead that has ended begins a new run.
    pub async fn enqueue(
        &self,
        scope: &Scope,
        campaign: CampaignId,
        selection: &Selection,
        now: Wall,
    ) -> Result<Enqueued, StoreError> {
        let (done, which) = match selection {
            Selection::Leads(ids) => {
                let done = self.enqueue_leads(scope, campaign, ids, now).await?;
                (done, json!({ "leads": ids.len() }))
            }
            Selection::Batch(batch) => {
                let done = self.enqueue_batch(scope, campaign, batch, now).await?;
                (done, json!({ "batch": batch }))
            }
            Selection::Campaign(from) => {
                let done = self.enqueue_listed(scope, campaign, *from, now).await?;
                (done, json!({ "listed_in": from }))
            }
        };
        let told = json!({ "which": which, "queued": done.queued, "skipped": done.skipped });
        self.note_deed(scope, "leads.enqueued", Some(campaign.0), &told, now)
            .await?;
        Ok(done)
    }

    /// All or, when one is not there, none.
    async fn enqueue_leads(
        &self,
        scope: &Scope,
        campaign: CampaignId,
        ids: &[LeadId],
        now: Wall,
    ) -> Result<Enqueued, StoreError> {
        let mut done = Enqueued::default();
        let mut tx = self.begin_bulk().await?;
        known_campaign(&mut tx, scope, Some(campaign)).await?;
        for id in ids {
            sql("SELECT 1 AS n FROM leads WHERE tenant_id = $1 AND id = $2")
                .bind(scope.tenant())
                .bind(*id)
                .one(&mut *tx)
                .await?;
            let queued = queueing(scope, campaign, now)
                .and("AND l.id = ?", *id)
                .run(&mut tx)
                .await?;
            done.queued += queued;
            done.skipped += 1 - queued.min(1);
        }
        tx.commit().await?;
        Ok(done)
    }

    /// In short transactions, in the order of the ids.
    async fn enqueue_batch(
        &self,
        scope: &Scope,
        campaign: CampaignId,
        batch: &str,
        now: Wall,
    ) -> Result<Enqueued, StoreError> {
        let mut done = Enqueued::default();
        let mut after = LeadId(uuid::Uuid::nil());
        loop {
            let mut tx = self.begin_bulk().await?;
            known_campaign(&mut tx, scope, Some(campaign)).await?;
            let slice = Slice::begin();
            let mut more = true;
            while more && slice.lasts() {
                let rows = sql("SELECT id FROM leads WHERE tenant_id = $1 AND batch = $2 AND id > $3 ORDER BY id LIMIT $4")
                    .bind(scope.tenant())
                    .bind(batch)
                    .bind(after)
                    .bind(ROWS as u64)
                    .all(&mut *tx)
                    .await?;
                more = rows.len() == ROWS;
                let Some(last) = rows.last() else { break };
                let last: LeadId = last.get("id")?;
                let queued = queueing(scope, campaign, now)
                    .and(BATCH, batch)
                    .and("AND l.id > ?", after)
                    .and("AND l.id <= ?", last)
                    .run(&mut tx)
                    .await?;
                done.queued += queued;
                done.skipped += (rows.len() as u64).saturating_sub(queued);
                after = last;
            }
            tx.commit().await?;
            if !more {
                return Ok(done);
            }
        }
    }

    /// In short transactions. What is queued is no longer listed, so each part finds the next.
    async fn enqueue_listed(
        &self,
        scope: &Scope,
        campaign: CampaignId,
        from: CampaignId,
        now: Wall,
    ) -> Result<Enqueued, StoreError> {
        let mut done = Enqueued::default();
        loop {
            let mut tx = self.begin_bulk().await?;
            known_campaign(&mut tx, scope, Some(campaign)).await?;
            known_campaign(&mut tx, scope, Some(from)).await?;
            let slice = Slice::begin();
            let mut more = true;
            while more && slice.lasts() {
                let text = if from == campaign { OWN_LISTED } else { LISTED };
                let rows = sql(text)
                    .bind(scope.tenant())
                    .bind(from)
                    .bind(ROWS as u64)
                    .bind(campaign)
                    .all(&mut *tx)
                    .await?;
                let ids = rows.iter().map(|row| row.get::<LeadId>("id"));
                let ids = ids.collect::<Result<Vec<_>, _>>()?;
                let queued = queueing(scope, campaign, now)
                    .among("AND l.id", ids)
                    .run(&mut tx)
                    .await?;
                done.queued += queued;
                more = queued > 0;
            }
            tx.commit().await?;
            if !more {
                return Ok(done);
            }
        }
    }

    /// Back to the list: it is not dialled until it is enqueued again. A live lead is `WrongState`.
    pub async fn take_back(&self, scope: &Scope, id: LeadId, now: Wall) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        settled(&mut tx, scope, id).await?;
        sql(
            "UPDATE leads SET state = 'listed', due_at = NULL, rule = NULL, updated_at = $3 \
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(scope.tenant())
        .bind(id)
        .bind(now)
        .run_one(&mut tx)
        .await?;
        deed("lead.taken_back", id.0)
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await
    }

    pub async fn progress(
        &self,
        scope: &Scope,
        campaign: CampaignId,
    ) -> Result<Progress, StoreError> {
        let mut progress = Progress::default();
        let bound = |statement: Statement| statement.bind(scope.tenant()).bind(campaign);
        let counts = bound(sql(
            "SELECT state, grade, COUNT(*) AS n FROM leads WHERE tenant_id = $1 AND campaign_id = $2 GROUP BY state, grade",
        ));
        for row in counts.all(&self.db).await? {
            let n: u64 = row.get("n")?;
            *progress.states.entry(kind(&row)?.code()).or_default() += n;
            if let Some(grade) = row.get::<Option<Grade>>("grade")? {
                *progress.grades.entry(grade).or_default() += n;
            }
        }
        let denied = bound(sql("SELECT rule, COUNT(*) AS n FROM decisions \
             WHERE tenant_id = $1 AND campaign_id = $2 AND allowed = FALSE GROUP BY rule"));
        for row in denied.all(&self.db).await? {
            progress.denied.insert(row.get("rule")?, row.get("n")?);
        }
        let due = bound(sql("SELECT MIN(due_at) AS due FROM leads \
             WHERE tenant_id = $1 AND campaign_id = $2 AND state IN ('queued', 'retry')"));
        progress.next_due = due.one(&self.db).await?.get("due")?;
        Ok(progress)
    }
}

/// Moves what may be queued into the campaign's queue; which, the caller adds. A number that already stands in the campaign
/// by another row stays out.
fn queueing(scope: &Scope, campaign: CampaignId, now: Wall) -> Statement {
    sql("UPDATE leads AS l SET campaign_id = $2, state = 'queued', due_at = $3, attempts = 0, rule = NULL, updated_at = $3 \
         WHERE l.tenant_id = $1 AND l.state IN ('listed', 'done', 'exhausted', 'suppressed') \
         AND (l.campaign_id = $2 OR NOT EXISTS (SELECT 1 FROM leads AS other \
              WHERE other.tenant_id = $1 AND other.campaign_id = $2 AND other.number = l.number))")
    .bind(scope.tenant())
    .bind(campaign)
    .bind(now)
}

/// Listed leads of one campaign, some of them. ($4 is the campaign they go to: the same.)
const OWN_LISTED: &str = "SELECT id FROM leads WHERE tenant_id = $1 AND campaign_id = $2 AND state = 'listed' \
     AND campaign_id = $4 LIMIT $3";

/// The same for another campaign: those it has no row for.
const LISTED: &str = "SELECT c.id FROM leads AS c WHERE c.tenant_id = $1 AND c.campaign_id = $2 AND c.state = 'listed' \
     AND NOT EXISTS (SELECT 1 FROM leads AS twin WHERE twin.tenant_id = $1 AND twin.campaign_id = $4 \
     AND twin.number = c.number) LIMIT $3";

/// Of rows of one batch with the same number, one.
const BATCH: &str = "AND l.batch = ? AND NOT EXISTS (SELECT 1 FROM leads AS twin \
     WHERE twin.tenant_id = $1 AND twin.number = l.number AND twin.batch = l.batch AND twin.id < l.id \
     AND twin.state IN ('listed', 'done', 'exhausted', 'suppressed'))";

/// That the campaign is this tenant's.
pub(crate) async fn known_campaign(
    tx: &mut Tx,
    scope: &Scope,
    campaign: Option<CampaignId>,
) -> Result<(), StoreError> {
    let Some(campaign) = campaign else {
        return Ok(());
    };
    sql("SELECT 1 AS n FROM campaigns WHERE tenant_id = $1 AND id = $2")
        .bind(scope.tenant())
        .bind(campaign)
        .one(tx)
        .await
        .map(drop)
}

/// That the lead is there, and neither claimed nor on the phone.
async fn settled(tx: &mut Tx, scope: &Scope, id: LeadId) -> Result<(), StoreError> {
    let row = sql("SELECT state FROM leads WHERE tenant_id = $1 AND id = $2")
        .bind(scope.tenant())
        .bind(id)
        .one(tx)
        .await?;
    match kind(&row)? {
        LeadStateKind::Claimed => Err(StoreError::WrongState { state: "claimed" }),
        LeadStateKind::Dialling => Err(StoreError::WrongState { state: "dialling" }),
        _ => Ok(()),
    }
}

fn kind(row: &Row) -> Result<LeadStateKind, StoreError> {
    LeadStateKind::from_code(&row.get::<String>("state")?)
        .ok_or(StoreError::Damaged("a lead's state"))
}

fn state(row: &Row) -> Result<LeadState, StoreError> {
    let damaged = StoreError::Damaged("a lead's state");
    let grade = |row: &Row| row.get::<Option<Grade>>("grade");
    Ok(match kind(row)? {
        LeadStateKind::Listed => LeadState::Listed,
        LeadStateKind::Queued => LeadState::Queued,
        LeadStateKind::Claimed => LeadState::Claimed,
        LeadStateKind::Dialling => LeadState::Dialling {
            call: row.get("call_id")?,
        },
        LeadStateKind::Retry => LeadState::Retry {
            due: row.get("due_at")?,
        },
        LeadStateKind::Done => LeadState::Done {
            grade: grade(row)?.ok_or(damaged)?,
        },
        LeadStateKind::Exhausted => LeadState::Exhausted {
            grade: grade(row)?.ok_or(damaged)?,
        },
        LeadStateKind::Suppressed => LeadState::Suppressed {
            rule: rule(row)?.ok_or(damaged)?,
        },
    })
}

fn rule(row: &Row) -> Result<Option<Rule>, StoreError> {
    Ok(row
        .get::<Option<String>>("rule")?
        .and_then(|code| Rule::from_code(&code)))
}

pub(crate) fn read_lead(row: &Row) -> Result<Lead, StoreError> {
    let last = match row.get::<Option<Wall>>("last_attempt_at")? {
        Some(at) => row
            .maybe_json("last_disposition")?
            .map(|disposition| LastAttempt { at, disposition }),
        None => None,
    };
    Ok(Lead {
        id: row.get("id")?,
        tenant: row.get("tenant_id")?,
        campaign: row.get("campaign_id")?,
        number: row.get("number")?,
        name: row.get("name")?,
        batch: row.get("batch")?,
        state: state(row)?,
        attempts: row.get("attempts")?,
        unreached_in_a_row: row.get("unreached_in_a_row")?,
        last,
        grade: row.get("grade")?,
        caller: row.get("caller_number_id")?,
    })
}

fn read(row: &Row) -> Result<LeadRow, StoreError> {
    Ok(LeadRow {
        lead: read_lead(row)?,
        custom: row.json("custom")?,
        due: row.get("due_at")?,
        last_call: row.get("last_call_id")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
