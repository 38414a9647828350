//! Trunks: gateways that register to us.

use crate::cursor::{after, by_id};
use crate::db::{Json, Row, assembled, sql};
use crate::error::StoreError;
use crate::ids::fresh;
use crate::scope::Scope;
use crate::sip_accounts;
use crate::store::{Page, Store};
use model::{TrunkId, Wall};
use sip::Account;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    pub id: TrunkId,
    pub settings: TrunkSettings,
    pub account: Account,
    pub version: u64,
    pub created_at: Wall,
    pub updated_at: Wall,
}

/// What people set of a trunk, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkSettings {
    pub name: String,
    pub max_concurrent: u32,
    pub calls_per_second: u32,
    /// In order of preference: `pcma`, `pcmu`.
    pub codecs: Vec<String>,
    /// 强显: it shows a number of its own whatever we send.
    pub forced_display: bool,
    pub disabled: bool,
}

const SELECT: &str = "SELECT t.*, a.username, a.aor, a.realm, a.ha1_md5, a.ha1_sha256 FROM trunks t \
     JOIN sip_accounts a ON a.tenant_id = t.tenant_id AND a.owner_id = t.id";

fn read(row: &Row) -> Result<Trunk, StoreError> {
    Ok(Trunk {
        id: row.get("id")?,
        settings: TrunkSettings {
            name: row.get("name")?,
            max_concurrent: row.get("max_concurrent")?,
            calls_per_second: row.get("calls_per_second")?,
            codecs: row.json("codecs")?,
            forced_display: row.get("forced_display")?,
            disabled: row.get::<String>("state")? != "active",
        },
        account: sip_accounts::read(row)?,
        version: row.get("version")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn state(disabled: bool) -> &'static str {
    if disabled { "disabled" } else { "active" }
}

impl Store {
    pub async fn create_trunk(
        &self,
        scope: &Scope,
        settings: &TrunkSettings,
        account: &Account,
        now: Wall,
    ) -> Result<TrunkId, StoreError> {
        let id: TrunkId = fresh();
        let mut tx = self.db.begin().await?;
        sql("INSERT INTO trunks (tenant_id, id, name, max_concurrent, calls_per_second, codecs, forced_display, state, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)")
            .bind(scope.tenant())
            .bind(id)
            .bind(&settings.name)
            .bind(settings.max_concurrent)
            .bind(settings.calls_per_second)
            .bind(Json(&settings.codecs))
            .bind(settings.forced_display)
            .bind(state(settings.disabled))
            .bind(now)
            .run(&mut tx)
            .await?;
        sip_accounts::put(&mut tx, scope, "trunk", id.0, account, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    pub async fn trunks(
        &self,
        scope: &Scope,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Trunk>, StoreError> {
        let rows = assembled(SELECT.to_owned())
            .and("WHERE t.tenant_id = ?", scope.tenant())
            .and("AND t.id > ?", after(cursor)?)
            .and("ORDER BY t.id LIMIT ?", limit + 1)
            .all(&self.db)
            .await?;
        let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(rows, limit, |trunk| by_id(trunk.id.0)))
    }

    /// All of them, for the directory.
    pub async fn all_trunks(&self, scope: &Scope) -> Result<Vec<Trunk>, StoreError> {
        let rows = assembled(SELECT.to_owned())
            .and("WHERE t.tenant_id = ?", scope.tenant())
            .then("ORDER BY t.id")
            .all(&self.db)
            .await?;
        rows.iter().map(read).collect()
    }

    pub async fn trunk(&self, scope: &Scope, id: TrunkId) -> Result<Trunk, StoreError> {
        let row = assembled(SELECT.to_owned())
            .and("WHERE t.tenant_id = ?", scope.tenant())
            .and("AND t.id = ?", id)
            .one(&self.db)
            .await?;
        read(&row)
    }

    /// A new `account` is a new password.
    pub async fn save_trunk(
        &self,
        scope: &Scope,
        id: TrunkId,
        settings: &TrunkSettings,
        account: Option<&Account>,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sql("UPDATE trunks SET name = $3, max_concurrent = $4, calls_per_second = $5, codecs = $6, forced_display = $7, \
             state = $8, version = version + 1, updated_at = $9 WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .bind(&settings.name)
            .bind(settings.max_concurrent)
            .bind(settings.calls_per_second)
            .bind(Json(&settings.codecs))
            .bind(settings.forced_display)
            .bind(state(settings.disabled))
            .bind(now)
            .run_one(&mut tx)
            .await?;
        if let Some(account) = account {
            sip_accounts::put(&mut tx, scope, "trunk", id.0, account, now).await?;
        }
        tx.commit().await
    }

    /// `Reference` while an extension or a campaign uses it.
    pub async fn delete_trunk(&self, scope: &Scope, id: TrunkId) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sip_accounts::remove(&mut tx, scope, id.0).await?;
        sql("DELETE FROM trunks WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .run_one(&mut tx)
            .await?;
        tx.commit().await
    }
}
