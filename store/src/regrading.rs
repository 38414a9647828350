//! Versions of the rules of grading, and calls graded again under them. Version 1 is built in: calls are graded under it as
//! they end. Older grades are kept; the newest rules' grade is the call's, its attempt's, and its lead's while that call is
//! the lead's last.

use crate::audit::deed;
use crate::calls::read_turn;
use crate::code;
use crate::db::{Json, Row, Tx, sql};
use crate::error::StoreError;
use crate::finish;
use crate::lanes::Slice;
use crate::leads::known_campaign;
use crate::scope::Scope;
use crate::store::Store;
use bots::grade::{Outcome, count, grade_turns};
use bots::{GradeRecord, Rules};
use model::*;
use serde_json::json;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesVersion {
    pub rules: Rules,
    /// Absent of the built-in one.
    pub created_at: Option<Wall>,
}

/// A call's grade before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regraded {
    pub before: Grade,
    pub record: GradeRecord,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CampaignRegraded {
    pub calls: u64,
    /// Whose grade is another now.
    pub changed: u64,
}

/// Calls of one slice of the bulk lane.
const CALLS: u64 = 50;

impl Store {
    /// Oldest first.
    pub async fn grade_rules(&self, scope: &Scope) -> Result<Vec<RulesVersion>, StoreError> {
        let rows =
            sql("SELECT rules, created_at FROM grade_rules WHERE tenant_id = $1 ORDER BY version")
                .bind(scope.tenant())
                .all(&self.db)
                .await?;
        let built_in = RulesVersion {
            rules: Rules::default(),
            created_at: None,
        };
        let mut versions = vec![built_in];
        for row in &rows {
            versions.push(RulesVersion {
                rules: row.json("rules")?,
                created_at: row.get("created_at")?,
            });
        }
        Ok(versions)
    }

    /// Keeps them as the next version, whatever version they name.
    pub async fn add_grade_rules(
        &self,
        scope: &Scope,
        rules: &Rules,
        now: Wall,
    ) -> Result<Rules, StoreError> {
        let mut tx = self.db.begin().await?;
        let newest: Option<u32> =
            sql("SELECT MAX(version) AS version FROM grade_rules WHERE tenant_id = $1")
                .bind(scope.tenant())
                .one(&mut tx)
                .await?
                .get("version")?;
        let version = newest.unwrap_or(Rules::default().version) + 1;
        let rules = Rules {
            version,
            ..rules.clone()
        };
        sql("INSERT INTO grade_rules (tenant_id, version, rules, created_by, created_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(scope.tenant())
            .bind(version)
            .bind(Json(&rules))
            .bind(scope.actor().id())
            .bind(now)
            .run(&mut tx)
            .await?;
        deed("grade_rules.created", None::<uuid::Uuid>)
            .after(json!(rules))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await?;
        Ok(rules)
    }

    /// `Invalid{rules_version}` when there is no such version; `WrongState` for a call that has no grade.
    pub async fn regrade_call(
        &self,
        scope: &Scope,
        call: CallId,
        version: u32,
        now: Wall,
    ) -> Result<Regraded, StoreError> {
        let mut tx = self.db.begin().await?;
        let call_row = sql(CALL)
            .bind(scope.tenant())
            .bind(call)
            .one(&mut tx)
            .await?;
        let rules = rules(&mut tx, scope, version).await?;
        let done = regrade(&mut tx, scope, &call_row, &rules, now)
            .await?
            .ok_or(StoreError::WrongState {
                state: "it has no grade",
            })?;
        deed("call.regraded", call.0)
            .before(json!({ "grade": done.before }))
            .after(json!({ "grade": done.record.grade, "rules_version": version }))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await?;
        Ok(done)
    }

    /// All graded calls of a campaign, in short transactions of the bulk lane. Doing it again changes nothing.
    pub async fn regrade_campaign(
        &self,
        scope: &Scope,
        campaign: CampaignId,
        version: u32,
        now: Wall,
    ) -> Result<CampaignRegraded, StoreError> {
        let mut done = CampaignRegraded::default();
        let (mut at, mut id) = (Wall::from_millis(i64::MIN), CallId(uuid::Uuid::nil()));
        loop {
            let mut tx = self.begin_bulk().await?;
            known_campaign(&mut tx, scope, Some(campaign)).await?;
            let rules = rules(&mut tx, scope, version).await?;
            let slice = Slice::begin();
            let mut more = true;
            while more && slice.lasts() {
                let calls = sql(CALLS_OF_CAMPAIGN)
                    .bind(scope.tenant())
                    .bind(campaign)
                    .bind(at)
                    .bind(id)
                    .bind(CALLS)
                    .all(&mut *tx)
                    .await?;
                more = calls.len() as u64 == CALLS;
                for call in &calls {
                    (at, id) = (call.get("started_at")?, call.get("id")?);
                    if let Some(regraded) = regrade(&mut tx, scope, call, &rules, now).await? {
                        done.calls += 1;
                        done.changed += u64::from(regraded.before != regraded.record.grade);
                    }
                }
            }
            if !more {
                deed("campaign.regraded", campaign.0)
                    .after(json!({ "rules_version": version, "calls": done.calls, "changed": done.changed }))
                    .note(&mut tx, scope, now)
                    .await?;
            }
            tx.commit().await?;
            if !more {
                return Ok(done);
            }
        }
    }
}

const CALL: &str =
    "SELECT id, started_at, disposition, cause, grade FROM calls WHERE tenant_id = $1 AND id = $2";

const CALLS_OF_CAMPAIGN: &str = "SELECT id, started_at, disposition, cause, grade FROM calls \
     WHERE tenant_id = $1 AND campaign_id = $2 AND grade IS NOT NULL AND (started_at, id) > ($3, $4) \
     ORDER BY started_at, id LIMIT $5";

async fn rules(tx: &mut Tx, scope: &Scope, version: u32) -> Result<Rules, StoreError> {
    let built_in = Rules::default();
    if version == built_in.version {
        return Ok(built_in);
    }
    let row = sql("SELECT rules FROM grade_rules WHERE tenant_id = $1 AND version = $2")
        .bind(scope.tenant())
        .bind(version)
        .optional(tx)
        .await?;
    row.ok_or(StoreError::Invalid {
        field: "rules_version",
    })?
    .json("rules")
}

/// `None` for a call without a grade.
async fn regrade(
    tx: &mut Tx,
    scope: &Scope,
    call: &Row,
    rules: &Rules,
    now: Wall,
) -> Result<Option<Regraded>, StoreError> {
    let id: CallId = call.get("id")?;
    let newest = sql(
        "SELECT rules_version, unreached, unreached_in_a_row FROM grades \
         WHERE tenant_id = $1 AND call_id = $2 ORDER BY rules_version DESC LIMIT 1",
    )
    .bind(scope.tenant())
    .bind(id)
    .optional(&mut *tx)
    .await?;
    let (Some(grade), Some(newest)) = (call.get::<Option<Grade>>("grade")?, newest) else {
        return Ok(None);
    };
    let turns = sql("SELECT * FROM turns WHERE tenant_id = $1 AND call_id = $2 ORDER BY position")
        .bind(scope.tenant())
        .bind(id)
        .all(&mut *tx)
        .await?;
    let turns = turns.iter().map(read_turn).collect::<Result<Vec<_>, _>>()?;
    let outcome = Outcome {
        reached: match code::maybe(&newest, "unreached")? {
            Some(why) => Err(why),
            None => Ok(count(&turns)),
        },
        unreached_in_a_row: newest.get("unreached_in_a_row")?,
    };
    let record = grade_turns(rules, &outcome, &turns);
    finish::insert_grade(tx, scope, id, &record, now).await?;
    if record.rules_version >= newest.get::<u32>("rules_version")? && record.grade != grade {
        for text in [
            "UPDATE calls SET grade = $3 WHERE tenant_id = $1 AND id = $2",
            "UPDATE attempts SET grade = $3 WHERE tenant_id = $1 AND call_id = $2",
        ] {
            sql(text)
                .bind(scope.tenant())
                .bind(id)
                .bind(record.grade)
                .run(tx)
                .await?;
        }
        sql("UPDATE leads SET grade = $3, updated_at = $4 WHERE tenant_id = $1 AND last_call_id = $2 \
             AND id = (SELECT c.lead_id FROM calls AS c WHERE c.tenant_id = $1 AND c.id = $2)")
            .bind(scope.tenant())
            .bind(id)
            .bind(record.grade)
            .bind(now)
            .run(tx)
            .await?;
    }
    Ok(Some(Regraded {
        before: grade,
        record,
    }))
}
