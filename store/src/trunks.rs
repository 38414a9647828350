//! Trunks: gateways that register to us.

use crate::audit::deed;
use crate::db::{Json, Row, Tx, assembled, sql};
use crate::error::StoreError;
use crate::ids::fresh;
use crate::list::{Asked, Field, Kind, Listing, Search};
use crate::scope::Scope;
use crate::sip_accounts;
use crate::store::{Page, Store, made_from};
use model::{TrunkId, Wall};
use serde::Serialize;
use serde_json::{Value, json};
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

/// For the audit.
fn told(settings: &TrunkSettings, password: bool) -> Value {
    let mut told = json!(settings);
    if password {
        told["password"] = json!("changed");
    }
    told
}

fn state(disabled: bool) -> &'static str {
    if disabled { "disabled" } else { "active" }
}

pub static TRUNKS: Listing = Listing {
    fields: &[
        Field::new("created_at", "t.created_at", Kind::Moment).sorted_by_id(),
        Field::new("name", "t.name", Kind::Text).sorted(),
        Field::new("disabled", "t.state = 'disabled'", Kind::Flag),
        Field::new("forced_display", "t.forced_display", Kind::Flag),
    ],
    order: "created_at",
    id: "t.id",
    search: &[Search::Text("t.name"), Search::Text("a.username")],
};

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
        deed("trunk.created", id.0)
            .after(told(settings, false))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await?;
        Ok(id)
    }

    pub async fn trunks(&self, scope: &Scope, asked: &Asked) -> Result<Page<Trunk>, StoreError> {
        let list = assembled(SELECT.to_owned()).and("WHERE t.tenant_id = ?", scope.tenant());
        asked.page(list, &self.db, read).await
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

    /// A new `account` is a new password. `Stale` when it was made `from` another version than the one that is stored.
    pub async fn save_trunk(
        &self,
        scope: &Scope,
        id: TrunkId,
        settings: &TrunkSettings,
        account: Option<&Account>,
        from: Option<u64>,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let old = inside(&mut tx, scope, id).await?;
        made_from(from, old.version)?;
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
        deed("trunk.updated", id.0)
            .before(told(&old.settings, false))
            .after(told(settings, account.is_some()))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await
    }

    /// `Reference` while an extension or a campaign uses it.
    pub async fn delete_trunk(
        &self,
        scope: &Scope,
        id: TrunkId,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let old = inside(&mut tx, scope, id).await?;
        deed("trunk.deleted", id.0)
            .before(told(&old.settings, false))
            .note(&mut tx, scope, now)
            .await?;
        sip_accounts::remove(&mut tx, scope, id.0).await?;
        sql("DELETE FROM trunks WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .run_one(&mut tx)
            .await?;
        tx.commit().await
    }
}

async fn inside(tx: &mut Tx, scope: &Scope, id: TrunkId) -> Result<Trunk, StoreError> {
    let row = assembled(SELECT.to_owned())
        .and("WHERE t.tenant_id = ?", scope.tenant())
        .and("AND t.id = ?", id)
        .one(tx)
        .await?;
    read(&row)
}
