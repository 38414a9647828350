//! The end of a call: record, turns, grade, money, lead and suppression in one transaction, idempotent by call id.
//!
//! Runs inside the writer's transaction, or recovery's. A second end changes nothing, but that it closes what a late commit of
//! the attempt left open.

use crate::db::{Json, Tx, assembled, sql};
use crate::error::StoreError;
use crate::scope::Scope;
use crate::{attempts, code, ledger, suppression};
use billing::{Kind, Posting};
use bots::grade::SubReason;
use bots::{GradeRecord, TurnRecord};
use dialer::{DncList, OptOutBy, Suppression};
use model::*;
use switch::{CallEvent, Finish};

/// Whether this was the first end of the call. A second one changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Now,
    Before,
}

pub(crate) async fn finish(
    tx: &mut Tx,
    scope: &Scope,
    finish: &Finish,
) -> Result<Ended, StoreError> {
    let cdr = &finish.cdr;
    // Only what leaves by a trunk begins as an attempt and reserves; calls between extensions have nothing to look up.
    let attempted = matches!(cdr.direction, Direction::Robot | Direction::Outbound);
    // What the ledger set aside, not what the message says: there is no other money a call may touch.
    let reserved = match attempted {
        true => reserved(tx, scope, cdr.id).await?,
        false => None,
    };
    let charge = cdr
        .charge
        .clamp(Money::ZERO, reserved.unwrap_or(Money::ZERO));
    if charge != cdr.charge {
        tracing::error!(call = %cdr.id, asked = %cdr.charge, %charge, "a charge beyond its reservation was cut");
    }
    if !insert_record(tx, scope, finish, charge).await? {
        close_late(tx, scope, finish, reserved).await?;
        return Ok(Ended::Before);
    }
    if let Some(reserved) = reserved {
        let posting = match charge.is_positive() || cdr.answered_at.is_some() {
            true => Posting::settle(cdr.tenant, cdr.id, reserved, charge, cdr.ended_at),
            false => Posting::release(cdr.tenant, cdr.id, reserved, cdr.ended_at),
        };
        ledger::post(tx, scope, &posting).await?;
    }
    for turn in &finish.turns {
        insert_turn(tx, scope, cdr.id, turn).await?;
    }
    if let Some(grade) = &finish.grade {
        insert_grade(tx, scope, cdr.id, grade, cdr.ended_at).await?;
    }
    insert_events(tx, scope, cdr.id, &finish.events).await?;
    let grade = finish.grade.as_ref().map(|record| record.grade);
    let refused = finish
        .grade
        .as_ref()
        .is_some_and(|record| record.sub_reason == Some(SubReason::Refusal));
    if attempted {
        attempts::close(tx, scope, cdr, grade, refused).await?;
    }
    // Before the lead is placed, so that its own last word is the attempt's, not the list's.
    if finish.opt_out {
        opt_out(tx, scope, cdr).await?;
    }
    if let (Some(lead), Some(update)) = (cdr.lead, &finish.lead) {
        let placed =
            attempts::place_lead(tx, scope, lead, Some(cdr.id), &update.state, cdr.ended_at)
                .await?;
        if placed > 0 && cdr.disposition != Disposition::Refused {
            sql("UPDATE leads SET attempts = $3, unreached_in_a_row = $4, last_attempt_at = $5, last_disposition = $6, \
                 last_call_id = $7, grade = COALESCE($8, grade) WHERE tenant_id = $1 AND id = $2")
                .bind(scope.tenant())
                .bind(lead)
                .bind(update.attempts)
                .bind(update.unreached_in_a_row)
                .bind(cdr.ended_at)
                .bind(Json(&cdr.disposition))
                .bind(cdr.id)
                .bind(grade)
                .run(tx)
                .await?;
        }
    }
    Ok(Ended::Now)
}

/// The record was there before its attempt: a commit that was thought lost was only late. What it left open is closed.
async fn close_late(
    tx: &mut Tx,
    scope: &Scope,
    finish: &Finish,
    reserved: Option<Money>,
) -> Result<(), StoreError> {
    let cdr = &finish.cdr;
    if attempts::close(tx, scope, cdr, None, false).await? == 0 {
        return Ok(());
    }
    if let Some(reserved) = reserved {
        let posting = Posting::release(cdr.tenant, cdr.id, reserved, cdr.ended_at);
        ledger::post(tx, scope, &posting).await?;
    }
    if let (Some(lead), Some(update)) = (cdr.lead, &finish.lead) {
        let (call, at) = (Some(cdr.id), cdr.ended_at);
        attempts::place_lead(tx, scope, lead, call, &update.state, at).await?;
    }
    Ok(())
}

/// The same end with nothing but what money and lead need: for one that the database refuses whole.
pub(crate) fn bare(finish: &Finish) -> Finish {
    let mut cdr = finish.cdr.clone();
    cdr.customer_stats = None;
    Finish {
        cdr,
        reserved: finish.reserved,
        turns: Vec::new(),
        grade: None,
        labels: Vec::new(),
        lead: finish.lead,
        opt_out: false,
        events: Vec::new(),
    }
}

/// The reservation of a call: none when it reserved nothing, or was closed before.
async fn reserved(tx: &mut Tx, scope: &Scope, call: CallId) -> Result<Option<Money>, StoreError> {
    let row = sql(
        "SELECT e.amount FROM ledger_postings AS p JOIN ledger_entries AS e \
         ON e.tenant_id = p.tenant_id AND e.posting_id = p.id AND e.account = 'reserved' \
         WHERE p.tenant_id = $1 AND p.call_id = $2 AND p.kind = $3",
    )
    .bind(scope.tenant())
    .bind(call)
    .bind(Kind::Reserve.code())
    .optional(tx)
    .await?;
    row.map(|row| row.get("amount")).transpose()
}

/// False when the call has its record already.
async fn insert_record(
    tx: &mut Tx,
    scope: &Scope,
    finish: &Finish,
    charge: Money,
) -> Result<bool, StoreError> {
    let cdr = &finish.cdr;
    let (disposition, cause) = words(&cdr.disposition);
    let stats = cdr
        .customer_stats
        .as_ref()
        .and_then(|stats| serde_json::to_string(stats).ok());
    let written = sql(
        "INSERT INTO calls (tenant_id, id, direction, caller, callee, campaign_id, lead_id, extension_id, trunk_id, \
         started_at, ringing_at, answered_at, ended_at, disposition, cause, ended_by, sip_code, q850, ended_text, talk_ms, \
         charge, grade, labels, recording, stats, template_id, template_version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, \
         $24, $25, (SELECT c.template_id FROM campaigns AS c WHERE c.tenant_id = $1 AND c.id = $6), \
         (SELECT c.template_version FROM campaigns AS c WHERE c.tenant_id = $1 AND c.id = $6)) \
         ON CONFLICT (tenant_id, id) DO NOTHING",
    )
    .bind(scope.tenant())
    .bind(cdr.id)
    .bind(code::of(&cdr.direction))
    .bind(&cdr.caller)
    .bind(&cdr.callee)
    .bind(cdr.campaign)
    .bind(cdr.lead)
    .bind(cdr.extension)
    .bind(cdr.trunk)
    .bind(cdr.started_at)
    .bind(cdr.ringing_at)
    .bind(cdr.answered_at)
    .bind(cdr.ended_at)
    .bind(disposition)
    .bind(cause)
    .bind(code::of(&cdr.termination.by))
    .bind(cdr.termination.sip_code)
    .bind(cdr.termination.q850)
    .bind(&cdr.termination.text)
    .bind(cdr.talk_ms)
    .bind(charge)
    .bind(finish.grade.as_ref().map(|record| record.grade))
    .bind(Json(&finish.labels))
    .bind(cdr.recording.clone())
    .bind(stats)
    .run(tx)
    .await?;
    Ok(written > 0)
}

/// As the columns have it: what became of it, and why nobody was reached.
fn words(disposition: &Disposition) -> (&'static str, Option<String>) {
    match disposition {
        Disposition::Answered => ("answered", None),
        Disposition::Unreached(cause) => ("unreached", Some(code::of(cause))),
        Disposition::Cancelled => ("cancelled", None),
        Disposition::Refused => ("refused", None),
        Disposition::Interrupted => ("interrupted", None),
    }
}

async fn insert_turn(
    tx: &mut Tx,
    scope: &Scope,
    call: CallId,
    turn: &TurnRecord,
) -> Result<(), StoreError> {
    let json = |value: Option<serde_json::Value>| value.map(|value| value.to_string());
    sql("INSERT INTO turns (tenant_id, call_id, position, speaker, node, text, from_ms, to_ms, line, matched, counted, decision) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)")
        .bind(scope.tenant())
        .bind(call)
        .bind(turn.index)
        .bind(code::of(&turn.speaker))
        .bind(&turn.node)
        .bind(&turn.text)
        .bind(turn.from_ms)
        .bind(turn.to_ms)
        .bind(json(turn.line.as_ref().and_then(|line| serde_json::to_value(line).ok())))
        .bind(json(turn.matched.as_ref().and_then(|matched| serde_json::to_value(matched).ok())))
        .bind(turn.counted)
        .bind(Json(&turn.decision))
        .run(tx)
        .await
        .map(drop)
}

/// Written beside earlier ones: a call keeps one grade for each version of the rules.
pub(crate) async fn insert_grade(
    tx: &mut Tx,
    scope: &Scope,
    call: CallId,
    record: &GradeRecord,
    at: Wall,
) -> Result<(), StoreError> {
    sql("INSERT INTO grades (tenant_id, call_id, rules_version, graded_at, grade, rule, sub_reason, interactions, refusals, \
         positives, questions, unreached, unreached_in_a_row, evidence) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
         ON CONFLICT (tenant_id, call_id, rules_version) DO NOTHING")
        .bind(scope.tenant())
        .bind(call)
        .bind(record.rules_version)
        .bind(at)
        .bind(record.grade)
        .bind(code::of(&record.rule))
        .bind(record.sub_reason.as_ref().map(code::of))
        .bind(record.counters.n)
        .bind(record.counters.r)
        .bind(record.counters.a)
        .bind(record.counters.q)
        .bind(record.unreached.as_ref().map(code::of))
        .bind(record.unreached_in_a_row)
        .bind(Json(&record.evidence))
        .run(tx)
        .await
        .map(drop)
}

/// Rows of one statement; SQLite takes 32 766 values.
const EVENTS: usize = 64;

async fn insert_events(
    tx: &mut Tx,
    scope: &Scope,
    call: CallId,
    events: &[CallEvent],
) -> Result<(), StoreError> {
    for (part, events) in events.chunks(EVENTS).enumerate() {
        let row = |n: usize| {
            let value = 3 + n * 4;
            format!(
                "($1, $2, ${value}, ${}, ${}, ${})",
                value + 1,
                value + 2,
                value + 3
            )
        };
        let rows: Vec<String> = (0..events.len()).map(row).collect();
        let mut insert = assembled(format!(
            "INSERT INTO call_events (tenant_id, call_id, seq, at, type, data) VALUES {}",
            rows.join(", ")
        ))
        .bind(scope.tenant())
        .bind(call);
        for (n, event) in events.iter().enumerate() {
            insert = insert
                .bind((part * EVENTS + n) as u64 + 1)
                .bind(event.at)
                .bind(event.kind.as_ref())
                .bind(Json(&event.data));
        }
        insert.run(tx).await?;
    }
    Ok(())
}

/// The callee asked never to be called again: the tenant's list, and out of every queue.
async fn opt_out(tx: &mut Tx, scope: &Scope, cdr: &Cdr) -> Result<(), StoreError> {
    let Ok(number) = E164::parse(&cdr.callee, "") else {
        return Ok(());
    };
    let entry = Suppression {
        number,
        list: DncList::Tenant,
        tenant: Some(cdr.tenant),
        campaign: None,
        by: OptOutBy::Speech,
        since: cdr.ended_at,
        until: None,
        note: format!("call {}", cdr.id),
    };
    suppression::suppress(tx, scope, &entry).await.map(drop)
}
