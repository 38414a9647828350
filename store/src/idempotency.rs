//! Requests that are done once however often they are sent. A key is taken before the work and answered after it; what a
//! process left unanswered when it stopped stays taken, since nobody knows whether the work was done.

use crate::db::sql;
use crate::error::StoreError;
use crate::scope::Scope;
use crate::store::Store;
use model::Wall;
use std::time::Duration;
use uuid::Uuid;

/// How long an answer is kept.
pub const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Whose request it is and which.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The session or the API key.
    pub credential: Uuid,
    /// SHA-256 of the key.
    pub key: [u8; 32],
    /// SHA-256 of what was asked.
    pub print: [u8; 32],
    /// The process that asks.
    pub run: Uuid,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Ours now: do the work, then `keep_answer` or `forget_request`.
    Ours,
    /// Done before; what was kept of the answer.
    Answered(Vec<u8>),
    /// This process is at it.
    InFlight,
    /// Another process was at it when it stopped.
    Unknown,
    /// The key belongs to another request.
    Other,
}

impl Store {
    /// Takes the key, or says who has it. Whatever is older than `KEPT` is swept away first, of all tenants.
    pub async fn take_request(
        &self,
        scope: &Scope,
        request: &Request,
        now: Wall,
    ) -> Result<Taken, StoreError> {
        let mut tx = self.db.begin().await?;
        sql("DELETE FROM idempotency WHERE created_at <= $1")
            .bind(now - KEPT)
            .run(&mut tx)
            .await?;
        let there = sql("SELECT print, run_id, answer FROM idempotency \
             WHERE tenant_id = $1 AND credential_id = $2 AND key = $3")
        .bind(scope.tenant())
        .bind(request.credential)
        .bind(request.key)
        .optional(&mut tx)
        .await?;
        if let Some(row) = there {
            if row.get::<[u8; 32]>("print")? != request.print {
                return Ok(Taken::Other);
            }
            return Ok(match row.get::<Option<Vec<u8>>>("answer")? {
                Some(answer) => Taken::Answered(answer),
                None if row.get::<Uuid>("run_id")? == request.run => Taken::InFlight,
                None => Taken::Unknown,
            });
        }
        sql(
            "INSERT INTO idempotency (tenant_id, credential_id, key, print, run_id, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(scope.tenant())
        .bind(request.credential)
        .bind(request.key)
        .bind(request.print)
        .bind(request.run)
        .bind(now)
        .run(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(Taken::Ours)
    }

    pub async fn keep_answer(
        &self,
        scope: &Scope,
        request: &Request,
        answer: &[u8],
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sql("UPDATE idempotency SET answer = $4 WHERE tenant_id = $1 AND credential_id = $2 AND key = $3")
            .bind(scope.tenant())
            .bind(request.credential)
            .bind(request.key)
            .bind(answer)
            .run_one(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Nothing was done: the key is free again.
    pub async fn forget_request(&self, scope: &Scope, request: &Request) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sql("DELETE FROM idempotency WHERE tenant_id = $1 AND credential_id = $2 AND key = $3 AND answer IS NULL")
            .bind(scope.tenant())
            .bind(request.credential)
            .bind(request.key)
            .run(&mut tx)
            .await?;
        tx.commit().await
    }
}
