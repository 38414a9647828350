//! Attempts: a dial of a number, durable with its reservation before its INVITE leaves; and the verdicts of the gate.
//!
//! These functions run inside the writer's transaction. Each is idempotent: the writer repeats a batch whose commit failed.

use crate::db::{Json, Row, Tx, sql};
use crate::error::StoreError;
use crate::ids::{DecisionId, fresh};
use crate::scope::Scope;
use crate::store::Store;
use crate::{code, ledger};
use billing::{Posting, Rate, Reservation};
use dialer::{LeadState, Rule};
use model::*;
use std::time::Duration;
use switch::{Begin, BeginRefused, Denied};

/// One verdict of the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRow {
    pub id: DecisionId,
    pub at: Wall,
    pub allowed: bool,
    /// Which rule denied.
    pub rule: Option<Rule>,
    /// When to ask again, where time alone can help.
    pub next: Option<Wall>,
    pub detail: String,
    pub campaign: Option<CampaignId>,
    /// The call it allowed.
    pub call: Option<CallId>,
}

/// One dial.
#[derive(Clone, Debug, PartialEq)]
pub struct AttemptRow {
    pub call: CallId,
    pub direction: Direction,
    pub number: String,
    pub caller: String,
    pub campaign: Option<CampaignId>,
    pub lead: Option<LeadId>,
    pub begun_at: Wall,
    pub answered_at: Option<Wall>,
    /// None while it is live.
    pub ended_at: Option<Wall>,
    pub disposition: Option<Disposition>,
    pub grade: Option<Grade>,
    pub reserved: Money,
    pub rate: Option<Rate>,
    /// The last moment the call is known to have lived.
    pub seen_at: Wall,
}

/// Why a lead was, or was not, dialled.
#[derive(Clone, Debug, PartialEq)]
pub struct Why {
    pub lead: crate::leads::LeadRow,
    /// Newest first.
    pub decisions: Vec<DecisionRow>,
    /// Newest first.
    pub attempts: Vec<AttemptRow>,
}

impl Store {
    /// "Why was this lead not dialled?": where it stands, the latest verdicts, its attempts.
    pub async fn why(&self, scope: &Scope, lead: LeadId, at_most: u32) -> Result<Why, StoreError> {
        let row = self.lead(scope, lead).await?;
        let decisions = sql("SELECT * FROM decisions WHERE tenant_id = $1 AND lead_id = $2 ORDER BY at DESC, id DESC LIMIT $3")
            .bind(scope.tenant())
            .bind(lead)
            .bind(at_most)
            .all(&self.db)
            .await?;
        let attempts = sql("SELECT * FROM attempts WHERE tenant_id = $1 AND lead_id = $2 ORDER BY begun_at DESC LIMIT $3")
            .bind(scope.tenant())
            .bind(lead)
            .bind(at_most)
            .all(&self.db)
            .await?;
        Ok(Why {
            lead: row,
            decisions: decisions
                .iter()
                .map(read_decision)
                .collect::<Result<_, _>>()?,
            attempts: attempts.iter().map(read).collect::<Result<_, _>>()?,
        })
    }
}

/// Why an attempt was not begun, for the node; or why the database could not say.
pub(crate) enum NotBegun {
    Refused(BeginRefused),
    Failed(StoreError),
}

impl From<StoreError> for NotBegun {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Balance => NotBegun::Refused(BeginRefused::Balance),
            other => NotBegun::Failed(other),
        }
    }
}

/// Writes the attempt, moves its lead to `dialling` and reserves its money: all of it or nothing.
pub(crate) async fn begin(
    tx: &mut Tx,
    scope: &Scope,
    begin: &Begin,
) -> Result<Option<Reservation>, NotBegun> {
    let there = sql("SELECT * FROM attempts WHERE tenant_id = $1 AND call_id = $2")
        .bind(scope.tenant())
        .bind(begin.call)
        .optional(&mut *tx)
        .await?;
    if let Some(row) = there {
        // The commit of an earlier try was not lost after all.
        let amount: Money = row.get("reserved")?;
        let covers = Duration::from_millis(row.get("covers_ms")?);
        return Ok(begin
            .reserve
            .as_ref()
            .map(|_| Reservation { amount, covers }));
    }
    // The node gave it up and wrote its end while an earlier try was under way.
    let over = sql("SELECT id FROM calls WHERE tenant_id = $1 AND id = $2")
        .bind(scope.tenant())
        .bind(begin.call)
        .optional(&mut *tx)
        .await?;
    if over.is_some() {
        return Err(NotBegun::Refused(BeginRefused::Unavailable));
    }
    if let Some(lead) = begin.lead {
        take_lead(tx, scope, begin, lead).await?;
    }
    let reservation = match &begin.reserve {
        None => None,
        Some(reserve) => {
            let available = ledger::available(tx, scope).await?;
            let quoted = billing::quote(&reserve.rate, available, reserve.at_most)
                .map_err(|_| NotBegun::Refused(BeginRefused::Balance))?;
            let posting = Posting::reserve(begin.tenant, begin.call, quoted.amount, begin.at);
            ledger::post(tx, scope, &posting).await?;
            Some(quoted)
        }
    };
    let covers = reservation
        .as_ref()
        .map_or(0, |reservation| reservation.covers.as_millis() as u64);
    let rate: Option<String> = begin
        .reserve
        .as_ref()
        .and_then(|reserve| serde_json::to_string(&reserve.rate).ok());
    let written = sql(
        "INSERT INTO attempts (tenant_id, call_id, direction, campaign_id, lead_id, number, caller, trunk_id, extension_id, \
         state, begun_at, seen_at, reserved, covers_ms, rate) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open', $10, $10, $11, $12, $13)",
    )
    .bind(scope.tenant())
    .bind(begin.call)
    .bind(code::of(&begin.direction))
    .bind(begin.campaign)
    .bind(begin.lead)
    .bind(&begin.callee)
    .bind(&begin.caller)
    .bind(begin.trunk)
    .bind(begin.extension)
    .bind(begin.at)
    .bind(reservation.as_ref().map_or(Money::ZERO, |reservation| reservation.amount))
    .bind(covers)
    .bind(rate)
    .run(tx)
    .await;
    match written {
        Ok(_) => {}
        // Another row's attempt on the same number is live.
        Err(StoreError::Conflict { .. }) => return Err(NotBegun::Refused(BeginRefused::LeadGone)),
        Err(error) => return Err(error.into()),
    }
    if begin.lead.is_some() {
        let verdict = Verdict {
            campaign: begin.campaign,
            lead: begin.lead,
            call: Some(begin.call),
            number: &begin.callee,
            at: begin.at,
            denied: None,
        };
        decide(tx, scope, &verdict).await?;
    }
    Ok(reservation)
}

/// The lead must still be claimed, and its number on no list: an opt-out may have come since the gate was asked.
async fn take_lead(
    tx: &mut Tx,
    scope: &Scope,
    begin: &Begin,
    lead: LeadId,
) -> Result<(), NotBegun> {
    let taken = sql(
        "UPDATE leads SET state = 'dialling', call_id = $3, last_call_id = $3, claimed_at = NULL, due_at = NULL, updated_at = $4, \
         caller_number_id = COALESCE(caller_number_id, (SELECT c.id FROM caller_numbers AS c \
             WHERE c.tenant_id = $1 AND c.number = $5)) \
         WHERE tenant_id = $1 AND id = $2 AND state = 'claimed' AND number = $6 \
         AND NOT EXISTS (SELECT 1 FROM suppressed AS s WHERE s.tenant_id = $1 AND s.number = leads.number \
             AND s.list_id IN ($7, $8) AND (s.expires_at IS NULL OR s.expires_at > $4)) \
         AND NOT EXISTS (SELECT 1 FROM platform_suppressed AS p WHERE p.number = leads.number \
             AND (p.expires_at IS NULL OR p.expires_at > $4))",
    )
    .bind(scope.tenant())
    .bind(lead)
    .bind(begin.call)
    .bind(begin.at)
    .bind(&begin.caller)
    .bind(&begin.callee)
    .bind(scope.tenant())
    .bind(begin.campaign)
    .run(tx)
    .await?;
    if taken == 0 {
        Err(NotBegun::Refused(BeginRefused::LeadGone))
    } else {
        Ok(())
    }
}

/// Writes the verdict and where it leaves the lead. Only a claimed lead moves.
pub(crate) async fn denied(tx: &mut Tx, scope: &Scope, denied: &Denied) -> Result<(), StoreError> {
    let verdict = Verdict {
        campaign: Some(denied.campaign),
        lead: Some(denied.lead),
        call: None,
        number: denied.number.as_str(),
        at: denied.at,
        denied: Some((denied.rule, denied.next, denied.detail.as_str())),
    };
    if place_lead(tx, scope, denied.lead, None, &denied.state, denied.at).await? > 0 {
        decide(tx, scope, &verdict).await?;
    }
    Ok(())
}

/// Claimed but not dialled: waits again, due when it was.
pub(crate) async fn unclaim(
    tx: &mut Tx,
    scope: &Scope,
    leads: &[LeadId],
) -> Result<(), StoreError> {
    sql("UPDATE leads SET state = 'queued', claimed_at = NULL WHERE tenant_id = $1 AND state = 'claimed'")
        .bind(scope.tenant())
        .among("AND id", leads.iter().copied())
        .run(tx)
        .await
        .map(drop)
}

/// How long a lead whose attempt never left rests, so that what refused it (an empty balance, a database that is away) is
/// not asked again at once.
const REST: Duration = Duration::from_secs(30);

/// Writes a lead's state after its claim (`call: None`) or its attempt. Says whether it was there to be written.
pub(crate) async fn place_lead(
    tx: &mut Tx,
    scope: &Scope,
    lead: LeadId,
    call: Option<CallId>,
    state: &LeadState,
    at: Wall,
) -> Result<u64, StoreError> {
    let (mut due, mut grade, mut rule, mut on_call) = (None, None, None, None);
    match state {
        LeadState::Listed | LeadState::Claimed => {}
        LeadState::Queued => due = Some(at + REST),
        LeadState::Retry { due: when } => due = Some(*when),
        LeadState::Dialling { call } => on_call = Some(*call),
        LeadState::Done { grade: of } | LeadState::Exhausted { grade: of } => grade = Some(*of),
        LeadState::Suppressed { rule: of } => rule = Some(of.code()),
    }
    let place = sql(
        "UPDATE leads SET state = $3, due_at = $4, grade = COALESCE($5, grade), rule = $6, call_id = $7, claimed_at = NULL, \
         updated_at = $8 WHERE tenant_id = $1 AND id = $2",
    )
    .bind(scope.tenant())
    .bind(lead)
    .bind(state.kind().code())
    .bind(due)
    .bind(grade)
    .bind(rule)
    .bind(on_call)
    .bind(at);
    // A refused attempt finds its lead still claimed.
    match call {
        None => place.then("AND state = 'claimed'").run(tx).await,
        Some(call) => {
            place
                .and(
                    "AND (state = 'claimed' OR (state = 'dialling' AND call_id = ?))",
                    call,
                )
                .run(tx)
                .await
        }
    }
}

struct Verdict<'a> {
    campaign: Option<CampaignId>,
    lead: Option<LeadId>,
    call: Option<CallId>,
    number: &'a str,
    at: Wall,
    denied: Option<(Rule, Option<Wall>, &'a str)>,
}

async fn decide(tx: &mut Tx, scope: &Scope, verdict: &Verdict<'_>) -> Result<(), StoreError> {
    let (rule, next, detail) = verdict
        .denied
        .map_or(("", None, ""), |(rule, next, detail)| {
            (rule.code(), next, detail)
        });
    sql("INSERT INTO decisions (tenant_id, id, campaign_id, lead_id, call_id, number, at, allowed, rule, next_at, detail) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
        .bind(scope.tenant())
        .bind(fresh::<DecisionId>())
        .bind(verdict.campaign)
        .bind(verdict.lead)
        .bind(verdict.call)
        .bind(verdict.number)
        .bind(verdict.at)
        .bind(verdict.denied.is_none())
        .bind(rule)
        .bind(next)
        .bind(detail)
        .run(tx)
        .await
        .map(drop)
}

pub(crate) fn read_decision(row: &Row) -> Result<DecisionRow, StoreError> {
    Ok(DecisionRow {
        id: row.get("id")?,
        at: row.get("at")?,
        allowed: row.get("allowed")?,
        rule: Rule::from_code(&row.get::<String>("rule")?),
        next: row.get("next_at")?,
        detail: row.get("detail")?,
        campaign: row.get("campaign_id")?,
        call: row.get("call_id")?,
    })
}

pub(crate) fn read(row: &Row) -> Result<AttemptRow, StoreError> {
    Ok(AttemptRow {
        call: row.get("call_id")?,
        direction: code::read(row, "direction")?,
        number: row.get("number")?,
        caller: row.get("caller")?,
        campaign: row.get("campaign_id")?,
        lead: row.get("lead_id")?,
        begun_at: row.get("begun_at")?,
        answered_at: row.get("answered_at")?,
        ended_at: row.get("ended_at")?,
        disposition: row.maybe_json("disposition")?,
        grade: row.get("grade")?,
        reserved: row.get("reserved")?,
        rate: row.maybe_json("rate")?,
        seen_at: row.get("seen_at")?,
    })
}

/// Closes the attempt row, once; how many there were. `refused`: the callee said no, which starts refusal suppression.
pub(crate) async fn close(
    tx: &mut Tx,
    scope: &Scope,
    cdr: &Cdr,
    grade: Option<Grade>,
    refused: bool,
) -> Result<u64, StoreError> {
    let state = if cdr.disposition == Disposition::Interrupted {
        "interrupted"
    } else {
        "finished"
    };
    sql("UPDATE attempts SET state = $3, answered_at = $4, ended_at = $5, disposition = $6, grade = $7, refused = $8 \
         WHERE tenant_id = $1 AND call_id = $2 AND state = 'open'")
        .bind(scope.tenant())
        .bind(cdr.id)
        .bind(state)
        .bind(cdr.answered_at)
        .bind(cdr.ended_at)
        .bind(Json(&cdr.disposition))
        .bind(grade)
        .bind(refused)
        .run(tx)
        .await
}
