//! Call records: a list by time with filters, and one call with everything that is known of it.

use crate::attempts::{self, AttemptRow, DecisionRow};
use crate::db::{Row, Statement, sql};
use crate::error::StoreError;
use crate::ledger::PostingRow;
use crate::list::{Asked, Field, GRADES, Kind, Listing, Search};
use crate::scope::Scope;
use crate::store::{Page, Store};
use crate::{code, finish};
use bots::{Counters, GradeRecord, TurnRecord};
use model::*;
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq)]
pub struct CallRow {
    pub cdr: Cdr,
    pub grade: Option<Grade>,
    /// Of the nodes and branches taken.
    pub labels: Vec<String>,
    /// What the robot spoke from.
    pub template: Option<(TemplateId, Option<u32>)>,
    /// Name of the lead, where there is one still.
    pub lead_name: Option<String>,
}

/// A call with all that hangs on it, each in order.
#[derive(Clone, Debug, PartialEq)]
pub struct CallPage {
    pub call: CallRow,
    pub turns: Vec<TurnRecord>,
    /// The newest rules first; the first is the one in force.
    pub grades: Vec<GradedAt>,
    pub events: Vec<EventRow>,
    pub attempt: Option<AttemptRow>,
    /// What the gate said of it.
    pub decisions: Vec<DecisionRow>,
    /// Oldest first.
    pub postings: Vec<PostingRow>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct GradedAt {
    pub record: GradeRecord,
    pub at: Wall,
}

/// One line of the call's timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    pub seq: u64,
    pub at: Wall,
    pub kind: String,
    pub data: Value,
}

pub static CALLS: Listing = Listing {
    fields: &[
        Field::new("started_at", "c.started_at", Kind::Moment).sorted(),
        Field::new("grade", "c.grade", GRADES),
        Field::new(
            "direction",
            "c.direction",
            Kind::Word(&["robot", "internal", "outbound", "inbound"]),
        ),
        Field::new("campaign_id", "c.campaign_id", Kind::Id),
        Field::new("lead_id", "c.lead_id", Kind::Id),
        Field::new("extension_id", "c.extension_id", Kind::Id),
        Field::new("trunk_id", "c.trunk_id", Kind::Id),
        Field::new("answered", "c.answered_at IS NOT NULL", Kind::Flag),
        Field::new("caller", "c.caller", Kind::Part),
        Field::new("callee", "c.callee", Kind::Part),
    ],
    order: "-started_at",
    id: "c.id",
    search: &[
        Search::Number("c.caller"),
        Search::Number("c.callee"),
        Search::Text("l.name"),
    ],
};

/// Figures over all calls a filter finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallTotals {
    pub calls: u64,
    pub answered: u64,
    pub talk_ms: u64,
    pub charge: Money,
}

const ROWS: &str = "SELECT c.*, l.name AS lead_name FROM calls AS c \
    LEFT JOIN leads AS l ON l.tenant_id = c.tenant_id AND l.id = c.lead_id WHERE c.tenant_id = $1";

impl Store {
    pub async fn calls(&self, scope: &Scope, asked: &Asked) -> Result<Page<CallRow>, StoreError> {
        let list = sql(ROWS).bind(scope.tenant());
        asked.page(list, &self.db, read).await
    }

    /// Figures over all that the filters find, whatever the page.
    pub async fn call_totals(
        &self,
        scope: &Scope,
        asked: &Asked,
    ) -> Result<CallTotals, StoreError> {
        let totals = sql(
            "SELECT COUNT(*) AS calls, COUNT(c.answered_at) AS answered, \
             CAST(COALESCE(SUM(c.talk_ms), 0) AS BIGINT) AS talk_ms, \
             CAST(COALESCE(SUM(c.charge), 0) AS BIGINT) AS charge FROM calls AS c \
             LEFT JOIN leads AS l ON l.tenant_id = c.tenant_id AND l.id = c.lead_id WHERE c.tenant_id = $1",
        );
        let row = asked
            .filtered(totals.bind(scope.tenant()))
            .one(&self.db)
            .await?;
        Ok(CallTotals {
            calls: row.get("calls")?,
            answered: row.get("answered")?,
            talk_ms: row.get("talk_ms")?,
            charge: row.get("charge")?,
        })
    }

    pub async fn call(&self, scope: &Scope, id: CallId) -> Result<CallPage, StoreError> {
        let of_call = |statement: Statement| statement.bind(scope.tenant()).bind(id);
        let row = sql(ROWS)
            .bind(scope.tenant())
            .and("AND c.id = ?", id)
            .one(&self.db)
            .await?;
        let turns = of_call(sql(
            "SELECT * FROM turns WHERE tenant_id = $1 AND call_id = $2 ORDER BY position",
        ));
        let grades = of_call(sql(
            "SELECT * FROM grades WHERE tenant_id = $1 AND call_id = $2 ORDER BY rules_version DESC",
        ));
        let events = of_call(sql(
            "SELECT * FROM call_events WHERE tenant_id = $1 AND call_id = $2 ORDER BY seq",
        ));
        let attempt = of_call(sql(
            "SELECT * FROM attempts WHERE tenant_id = $1 AND call_id = $2",
        ));
        let postings = self.postings_of_call(scope, id).await?;
        Ok(CallPage {
            call: read(&row)?,
            turns: turns
                .all(&self.db)
                .await?
                .iter()
                .map(read_turn)
                .collect::<Result<_, _>>()?,
            grades: grades
                .all(&self.db)
                .await?
                .iter()
                .map(read_grade)
                .collect::<Result<_, _>>()?,
            events: events
                .all(&self.db)
                .await?
                .iter()
                .map(read_event)
                .collect::<Result<_, _>>()?,
            attempt: attempt
                .optional(&self.db)
                .await?
                .as_ref()
                .map(attempts::read)
                .transpose()?,
            decisions: self.decisions_of_call(scope, id).await?,
            postings,
        })
    }

    /// Another grade, under other rules; the older ones are kept. The newest rules' grade is the call's.
    pub async fn regrade(
        &self,
        scope: &Scope,
        call: CallId,
        record: &GradeRecord,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sql("SELECT 1 AS n FROM calls WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(call)
            .one(&mut tx)
            .await?;
        finish::insert_grade(&mut tx, scope, call, record, now).await?;
        sql("UPDATE calls SET grade = (SELECT g.grade FROM grades AS g WHERE g.tenant_id = $1 AND g.call_id = $2 \
             ORDER BY g.rules_version DESC LIMIT 1) WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(call)
            .run_one(&mut tx)
            .await?;
        tx.commit().await
    }
}

fn read(row: &Row) -> Result<CallRow, StoreError> {
    // As serde writes a Disposition.
    let kind: String = row.get("disposition")?;
    let disposition = match row.get::<Option<String>>("cause")? {
        Some(cause) => json!({ "kind": kind, "cause": cause }),
        None => json!({ "kind": kind }),
    };
    let disposition =
        serde_json::from_value(disposition).map_err(|_| StoreError::Damaged("a disposition"))?;
    let template: Option<TemplateId> = row.get("template_id")?;
    let version: Option<u32> = row.get("template_version")?;
    Ok(CallRow {
        cdr: Cdr {
            id: row.get("id")?,
            tenant: row.get("tenant_id")?,
            direction: code::read(row, "direction")?,
            caller: row.get("caller")?,
            callee: row.get("callee")?,
            campaign: row.get("campaign_id")?,
            lead: row.get("lead_id")?,
            extension: row.get("extension_id")?,
            trunk: row.get("trunk_id")?,
            started_at: row.get("started_at")?,
            ringing_at: row.get("ringing_at")?,
            answered_at: row.get("answered_at")?,
            ended_at: row.get("ended_at")?,
            disposition,
            termination: Termination {
                by: code::read(row, "ended_by")?,
                sip_code: row.get("sip_code")?,
                q850: row.get("q850")?,
                text: row.get("ended_text")?,
            },
            talk_ms: row.get("talk_ms")?,
            charge: row.get("charge")?,
            recording: row.get("recording")?,
            customer_stats: row.maybe_json("stats")?,
        },
        grade: row.get("grade")?,
        labels: row.json("labels")?,
        template: template.map(|id| (id, version)),
        lead_name: row.get("lead_name")?,
    })
}

pub(crate) fn read_turn(row: &Row) -> Result<TurnRecord, StoreError> {
    Ok(TurnRecord {
        index: row.get("position")?,
        speaker: code::read(row, "speaker")?,
        node: row.get("node")?,
        text: row.get("text")?,
        from_ms: row.get("from_ms")?,
        to_ms: row.get("to_ms")?,
        line: row.maybe_json("line")?,
        matched: row.maybe_json("matched")?,
        counted: row.get("counted")?,
        decision: row.json("decision")?,
    })
}

fn read_grade(row: &Row) -> Result<GradedAt, StoreError> {
    Ok(GradedAt {
        record: GradeRecord {
            grade: row.get("grade")?,
            rule: code::read(row, "rule")?,
            rules_version: row.get("rules_version")?,
            sub_reason: code::maybe(row, "sub_reason")?,
            counters: Counters {
                n: row.get("interactions")?,
                r: row.get("refusals")?,
                a: row.get("positives")?,
                q: row.get("questions")?,
            },
            unreached: code::maybe(row, "unreached")?,
            unreached_in_a_row: row.get("unreached_in_a_row")?,
            evidence: row.json("evidence")?,
        },
        at: row.get("graded_at")?,
    })
}

fn read_event(row: &Row) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        seq: row.get("seq")?,
        at: row.get("at")?,
        kind: row.get("type")?,
        data: row.json("data")?,
    })
}
