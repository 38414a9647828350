//! After a stop, clean or not: what the journal and the database left open is closed, before the engine starts.
//!
//! - A call whose end is in the journal ends as it did; its record, charge and lead are written if they were not.
//! - A call that was up is `interrupted` (`switch::interrupted`): charged to the last beat of its run, its turns kept, its
//!   recording linked where the file is there.
//! - An attempt that is open in the database and unknown to the journal was never answered: interrupted, without a charge.
//! - Leads that were claimed wait again.
//!
//! Each end is idempotent by call id, and a call leaves the journal only after its commit: a stop in between leaves the rest
//! for the next start, and running it twice changes nothing more. An end that the database refuses for good stops no start: it
//! is tried without its trimmings, then kept as a file (`Journal::reject`).
//!
//! It looks at what is live (partial indexes), so its cost does not grow with the number of leads.

use crate::db::{Row, Tx, sql};
use crate::error::StoreError;
use crate::finish::{self, Ended};
use crate::journal::{Entry, Journal, Left, LeftState};
use crate::scope::Platform;
use crate::store::Store;
use crate::{attempts, code};
use model::id::Uuid;
use model::*;
use std::path::Path;
use std::sync::Arc;
use switch::interrupted::Known;
use switch::{Begin, Finish, LeadTerms};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Leads that wait again.
    pub unclaimed: u64,
    /// Calls that were up or being set up.
    pub interrupted: u64,
    /// Calls that had ended, and that the database did not have.
    pub finished: u64,
    /// Ends that the database refuses for good.
    pub rejected: u64,
}

/// Ends of one transaction.
const BATCH: usize = 256;

impl Store {
    /// The database's own id: what a journal says it belongs to.
    pub async fn installation(&self, _: &Platform, now: Wall) -> Result<Uuid, StoreError> {
        let mut tx = self.db.begin().await?;
        sql("INSERT INTO installation (one, id, created_at) VALUES (1, $1, $2) ON CONFLICT (one) DO NOTHING")
            .bind(uuid::Uuid::now_v7())
            .bind(now)
            .run(&mut tx)
            .await?;
        let row = sql("SELECT id FROM installation").one(&mut tx).await?;
        tx.commit().await?;
        row.get("id")
    }

    /// Before the engine starts. `left`: what the journal has of the last run; `recordings`: the folder of its recordings.
    pub async fn recover(
        &self,
        platform: &Platform,
        journal: &Journal,
        left: &Left,
        recordings: &Path,
        now: Wall,
    ) -> Result<Recovered, StoreError> {
        let mut recovered = Recovered::default();
        if left.damaged > 0 {
            tracing::error!(
                records = left.damaged,
                "parts of the call journal are damaged"
            );
        }
        let mut ends: Vec<Arc<Finish>> = Vec::new();
        for call in &left.calls {
            let end = match &call.state {
                LeftState::Ended(ending) => left
                    .end(*ending)
                    .inspect_err(|error| tracing::error!(call = %call.call, %error, "its end cannot be read"))
                    .ok(),
                LeftState::Up { known, last_beat } => {
                    let mut known = known.as_ref().clone();
                    if !known.recording().is_some_and(|file| is_recorded(&recordings.join(file))) {
                        known.forget_recording();
                    }
                    known.end(*last_beat, now).map(Arc::new)
                }
                LeftState::Scraps => None,
            };
            match end {
                Some(end) => ends.push(end),
                // Its attempt, where it has one, is found in the database.
                None => {
                    journal.append(Entry::Settled(call.call));
                }
            }
            if ends.len() >= BATCH {
                self.end_all(platform, journal, &mut ends, &mut recovered)
                    .await?;
            }
        }
        self.end_all(platform, journal, &mut ends, &mut recovered)
            .await?;

        let open = sql("SELECT * FROM attempts WHERE state = 'open'")
            .all(&self.db)
            .await?;
        for row in &open {
            ends.extend(self.never_answered(platform, row, now).await?.map(Arc::new));
            if ends.len() >= BATCH {
                self.end_all(platform, journal, &mut ends, &mut recovered)
                    .await?;
            }
        }
        self.end_all(platform, journal, &mut ends, &mut recovered)
            .await?;

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

    /// Many ends in one transaction; each alone when one of them is refused.
    async fn end_all(
        &self,
        platform: &Platform,
        journal: &Journal,
        ends: &mut Vec<Arc<Finish>>,
        recovered: &mut Recovered,
    ) -> Result<(), StoreError> {
        let ends = std::mem::take(ends);
        let mut tx = self.db.begin().await?;
        let mut counted = Recovered::default();
        for end in &ends {
            match finish::finish(&mut tx, &platform.tenant(end.cdr.tenant), end).await {
                Ok(ended) => counted.count(end, ended),
                Err(error) if error.is_transient() => return Err(error),
                Err(_) => {
                    tx.rollback().await?;
                    for end in &ends {
                        self.end_alone(platform, journal, end, recovered).await?;
                    }
                    return Ok(());
                }
            }
        }
        tx.commit().await?;
        recovered.interrupted += counted.interrupted;
        recovered.finished += counted.finished;
        for end in ends {
            journal.append(Entry::Settled(end.cdr.id));
        }
        Ok(())
    }

    async fn end_alone(
        &self,
        platform: &Platform,
        journal: &Journal,
        end: &Finish,
        recovered: &mut Recovered,
    ) -> Result<(), StoreError> {
        let scope = platform.tenant(end.cdr.tenant);
        let bare = finish::bare(end);
        for end in [end, &bare] {
            let mut tx: Tx = self.db.begin().await?;
            match finish::finish(&mut tx, &scope, end).await {
                Ok(ended) => {
                    tx.commit().await?;
                    recovered.count(end, ended);
                    journal.append(Entry::Settled(end.cdr.id));
                    return Ok(());
                }
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => tracing::error!(call = %end.cdr.id, %error, "its end is refused"),
            }
        }
        journal.reject(end, "refused at the start");
        recovered.rejected += 1;
        Ok(())
    }

    async fn never_answered(
        &self,
        platform: &Platform,
        row: &Row,
        now: Wall,
    ) -> Result<Option<Finish>, StoreError> {
        let attempt = attempts::read(row)?;
        let scope = platform.tenant(row.get("tenant_id")?);
        let terms = match (attempt.lead, attempt.campaign) {
            (Some(lead), Some(campaign)) => {
                // Either may have been deleted; the call has its record all the same.
                let lead = self.lead(&scope, lead).await.ok();
                let campaign = self.campaign(&scope, campaign).await.ok();
                lead.zip(campaign)
                    .map(|(lead, campaign)| LeadTerms::of(&campaign.campaign, &lead.lead))
            }
            _ => None,
        };
        let begin = Begin {
            call: attempt.call,
            tenant: scope.tenant(),
            direction: code::read(row, "direction")?,
            campaign: attempt.campaign,
            lead: attempt.lead,
            extension: row.get("extension_id")?,
            trunk: row.get("trunk_id")?,
            caller: attempt.caller,
            callee: attempt.number,
            at: attempt.begun_at,
            reserve: None,
        };
        let mut known = Known::default();
        known.begun(&begin, terms);
        Ok(known.end(Mono::ZERO, now))
    }
}

impl Recovered {
    fn count(&mut self, end: &Finish, ended: Ended) {
        match (ended, end.cdr.disposition) {
            (Ended::Before, _) => {}
            (Ended::Now, Disposition::Interrupted) => self.interrupted += 1,
            (Ended::Now, _) => self.finished += 1,
        }
    }
}

/// A file with more than a header: there is something to hear.
fn is_recorded(file: &Path) -> bool {
    const HEADER: u64 = 44;
    std::fs::metadata(file).is_ok_and(|file| file.len() > HEADER)
}
