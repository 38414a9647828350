//! Who changed what: one row for each change, written in its transaction. Secrets are never in it; that a password changed
//! is.

use crate::db::{Row, Tx, sql};
use crate::error::StoreError;
use crate::ids::{AuditId, fresh};
use crate::list::{Asked, Field, Kind, Listing};
use crate::scope::Scope;
use crate::store::{Page, Store};
use model::Wall;
use serde_json::Value;
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    pub id: AuditId,
    pub at: Wall,
    /// `user`, `api_key`, `engine` or `setup`.
    pub actor: String,
    pub actor_id: Option<Uuid>,
    /// `trunk.updated` …
    pub action: String,
    pub subject: Option<Uuid>,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

pub static AUDIT: Listing = Listing {
    fields: &[
        Field::new("at", "at", Kind::Moment).sorted_by_id(),
        Field::new(
            "actor",
            "actor",
            Kind::Word(&["user", "api_key", "engine", "setup"]),
        ),
        Field::new("actor_id", "actor_id", Kind::Id),
        Field::new("action", "action", Kind::Text),
        Field::new("subject_id", "subject_id", Kind::Id),
    ],
    order: "-at",
    id: "id",
    search: &[],
};

/// One change, before it is written.
pub(crate) struct Deed {
    action: &'static str,
    subject: Option<Uuid>,
    before: Option<Value>,
    after: Option<Value>,
}

pub(crate) fn deed(action: &'static str, subject: impl Into<Option<Uuid>>) -> Deed {
    Deed {
        action,
        subject: subject.into(),
        before: None,
        after: None,
    }
}

impl Deed {
    pub fn before(mut self, value: Value) -> Deed {
        self.before = Some(value);
        self
    }
    pub fn after(mut self, value: Value) -> Deed {
        self.after = Some(value);
        self
    }
    /// Inside the change's own transaction.
    pub async fn note(self, tx: &mut Tx, scope: &Scope, now: Wall) -> Result<(), StoreError> {
        sql("INSERT INTO audit (tenant_id, id, at, actor, actor_id, action, subject_id, before, after) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
            .bind(scope.tenant())
            .bind(fresh::<Uuid>())
            .bind(now)
            .bind(scope.actor().kind())
            .bind(scope.actor().id())
            .bind(self.action)
            .bind(self.subject)
            .bind(self.before.map(|value| value.to_string()))
            .bind(self.after.map(|value| value.to_string()))
            .run(tx)
            .await
            .map(drop)
    }
}

impl Store {
    pub async fn audit(&self, scope: &Scope, asked: &Asked) -> Result<Page<AuditRow>, StoreError> {
        let list = sql("SELECT * FROM audit WHERE tenant_id = $1").bind(scope.tenant());
        asked.page(list, &self.db, read).await
    }

    /// A deed that changes no row of ours: a call was hung up, a list was imported or taken out.
    pub async fn note_deed(
        &self,
        scope: &Scope,
        action: &'static str,
        subject: Option<Uuid>,
        told: &Value,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        deed(action, subject)
            .after(told.clone())
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await
    }
}

fn read(row: &Row) -> Result<AuditRow, StoreError> {
    let id: Uuid = row.get("id")?;
    Ok(AuditRow {
        id: AuditId(id),
        at: row.get("at")?,
        actor: row.get("actor")?,
        actor_id: row.get("actor_id")?,
        action: row.get("action")?,
        subject: row.get("subject_id")?,
        before: row.maybe_json("before")?,
        after: row.maybe_json("after")?,
    })
}
