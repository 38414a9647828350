//! After a crash. Leads that were claimed wait again; attempts that were open become `interrupted`: charged to the last moment
//! they are known to have lived, counted as an attempt, their reservation released. Running it twice changes nothing more.
//!
//! It looks at what is live (partial indexes), so its cost does not grow with the number of leads.

use crate::db::{Row, sql};
use crate::error::StoreError;
use crate::finish::{self, Ended};
use crate::scope::Platform;
use crate::store::Store;
use crate::{attempts, code};
use dialer::outcome;
use model::*;
use std::time::Duration;
use switch::Finish;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Leads that wait again.
    pub unclaimed: u64,
    /// Attempts that were open.
    pub interrupted: u64,
}

impl Store {
    /// Before the engine starts.
    pub async fn recover(&self, platform: &Platform, now: Wall) -> Result<Recovered, StoreError> {
        let mut recovered = Recovered::default();
        let open = sql("SELECT * FROM attempts WHERE state = 'open'")
            .all(&self.db)
            .await?;
        for row in &open {
            recovered.interrupted +=
                u64::from(self.interrupt(platform, row, now).await? == Ended::Now);
        }
        let mut tx = self.db.begin().await?;
        // A lead on the phone whose attempt is gone cannot be, but must not wait for ever either.
        recovered.unclaimed = sql(
            "UPDATE leads SET state = 'queued', due_at = COALESCE(due_at, $1), claimed_at = NULL, call_id = NULL, updated_at = $1 \
             WHERE state IN ('claimed', 'dialling')",
        )
        .bind(now)
        .run(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(recovered)
    }

    /// One attempt, in a transaction of its own: a stop in between leaves the rest for the next start.
    async fn interrupt(
        &self,
        platform: &Platform,
        row: &Row,
        now: Wall,
    ) -> Result<Ended, StoreError> {
        let attempt = attempts::read(row)?;
        let scope = platform.tenant(row.get("tenant_id")?);
        let talk = attempt
            .answered_at
            .map_or(Duration::ZERO, |at| attempt.seen_at.since(at));
        let charge = match (&attempt.rate, attempt.answered_at) {
            (Some(rate), Some(_)) => billing::charge(rate, talk.max(ALIVE)).min(attempt.reserved),
            _ => Money::ZERO,
        };
        let ended_at = attempt.seen_at.max(attempt.begun_at);
        let cdr = Cdr {
            id: attempt.call,
            tenant: scope.tenant(),
            direction: code::read(row, "direction")?,
            caller: attempt.caller.clone(),
            callee: attempt.number.clone(),
            campaign: attempt.campaign,
            lead: attempt.lead,
            extension: row.get("extension_id")?,
            trunk: row.get("trunk_id")?,
            started_at: attempt.begun_at,
            ringing_at: None,
            answered_at: attempt.answered_at,
            ended_at,
            disposition: Disposition::Interrupted,
            termination: Termination {
                by: EndedBy::System,
                sip_code: None,
                q850: None,
                text: "the engine stopped during the call".to_owned(),
            },
            talk_ms: talk.as_millis() as u64,
            charge,
            recording: None,
            customer_stats: None,
        };
        let lead = match (attempt.lead, attempt.campaign) {
            (Some(lead), Some(campaign)) => {
                // Either may have been deleted; the call has its record all the same.
                let lead = self.lead(&scope, lead).await.ok();
                let campaign = self.campaign(&scope, campaign).await.ok();
                lead.zip(campaign).map(|(lead, campaign)| {
                    let before = outcome::Before {
                        attempts: lead.lead.attempts,
                        unreached_in_a_row: lead.lead.unreached_in_a_row,
                    };
                    let grade = lead.lead.grade.unwrap_or(Grade::E);
                    let plan = &campaign.campaign;
                    outcome::after_attempt(
                        plan.max_attempts,
                        &plan.retry,
                        before,
                        cdr.disposition,
                        grade,
                        false,
                        now,
                    )
                })
            }
            _ => None,
        };
        let end = Finish {
            reserved: attempt.reserved,
            turns: Vec::new(),
            grade: None,
            labels: Vec::new(),
            lead,
            opt_out: false,
            events: Vec::new(),
            cdr,
        };
        let mut tx = self.db.begin().await?;
        let ended = finish::finish(&mut tx, &scope, &end).await?;
        if ended == Ended::Before {
            // Its record was written, its attempt not closed: cannot be, since both are one transaction. Close it.
            attempts::close(&mut tx, &scope, &end.cdr, None, false).await?;
        }
        tx.commit().await?;
        Ok(ended)
    }
}

/// An answered call was answered for some time, however short.
const ALIVE: Duration = Duration::from_millis(1);
