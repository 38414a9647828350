//! Extensions: the SIP accounts of softphones and desk phones.

use crate::audit::deed;
use crate::db::{Row, Tx, assembled, sql};
use crate::error::StoreError;
use crate::ids::fresh;
use crate::list::{Asked, Field, Kind, Listing, Search};
use crate::scope::Scope;
use crate::sip_accounts;
use crate::store::{Page, Store, made_from};
use model::{CallerNumberId, E164, ExtensionId, TrunkId, Wall};
use serde_json::{Value, json};
use sip::Account;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    pub id: ExtensionId,
    /// What others in the tenant dial.
    pub number: String,
    pub name: String,
    pub account: Account,
    /// What an outside callee sees.
    pub caller_number: Option<CallerNumberId>,
    /// The same number, when it is approved.
    pub display: Option<E164>,
    pub trunk: Option<TrunkId>,
    pub disabled: bool,
    pub version: u64,
    pub created_at: Wall,
    pub updated_at: Wall,
}

impl Extension {
    pub fn settings(&self) -> ExtensionSettings {
        ExtensionSettings {
            name: self.name.clone(),
            caller_number: self.caller_number,
            trunk: self.trunk,
            disabled: self.disabled,
        }
    }
}

/// What people set of an extension, whole.
#[derive(Clone, Debug)]
pub struct ExtensionSettings {
    pub name: String,
    pub caller_number: Option<CallerNumberId>,
    pub trunk: Option<TrunkId>,
    pub disabled: bool,
}

const SELECT: &str = "SELECT e.*, a.username, a.aor, a.realm, a.ha1_md5, a.ha1_sha256, c.number AS display \
     FROM extensions e JOIN sip_accounts a ON a.tenant_id = e.tenant_id AND a.owner_id = e.id \
     LEFT JOIN caller_numbers c ON c.tenant_id = e.tenant_id AND c.id = e.caller_number_id AND c.state = 'approved'";

fn read(row: &Row) -> Result<Extension, StoreError> {
    Ok(Extension {
        id: row.get("id")?,
        number: row.get("number")?,
        name: row.get("name")?,
        account: sip_accounts::read(row)?,
        caller_number: row.get("caller_number_id")?,
        display: row.get("display")?,
        trunk: row.get("trunk_id")?,
        disabled: row.get::<String>("state")? != "active",
        version: row.get("version")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// For the audit.
fn told(settings: &ExtensionSettings, password: bool) -> Value {
    let mut told = json!({
        "name": settings.name, "caller_number_id": settings.caller_number, "trunk_id": settings.trunk,
        "disabled": settings.disabled,
    });
    if password {
        told["password"] = json!("changed");
    }
    told
}

fn state(disabled: bool) -> &'static str {
    if disabled { "disabled" } else { "active" }
}

pub static EXTENSIONS: Listing = Listing {
    fields: &[
        Field::new("created_at", "e.created_at", Kind::Moment).sorted_by_id(),
        Field::new("number", "e.number", Kind::Text).sorted(),
        Field::new("name", "e.name", Kind::Text).sorted(),
        Field::new("trunk_id", "e.trunk_id", Kind::Id),
        Field::new("caller_number_id", "e.caller_number_id", Kind::Id),
        Field::new("disabled", "e.state = 'disabled'", Kind::Flag),
    ],
    order: "created_at",
    id: "e.id",
    search: &[Search::Text("e.name"), Search::Text("e.number")],
};

impl Store {
    pub async fn create_extension(
        &self,
        scope: &Scope,
        number: &str,
        settings: &ExtensionSettings,
        account: &Account,
        now: Wall,
    ) -> Result<ExtensionId, StoreError> {
        let id: ExtensionId = fresh();
        let mut tx = self.db.begin().await?;
        sql("INSERT INTO extensions (tenant_id, id, number, name, caller_number_id, trunk_id, state, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)")
            .bind(scope.tenant())
            .bind(id)
            .bind(number)
            .bind(&settings.name)
            .bind(settings.caller_number)
            .bind(settings.trunk)
            .bind(state(settings.disabled))
            .bind(now)
            .run(&mut tx)
            .await?;
        sip_accounts::put(&mut tx, scope, "extension", id.0, account, now).await?;
        let mut after = told(settings, false);
        after["number"] = json!(number);
        deed("extension.created", id.0)
            .after(after)
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await?;
        Ok(id)
    }

    pub async fn extensions(
        &self,
        scope: &Scope,
        asked: &Asked,
    ) -> Result<Page<Extension>, StoreError> {
        let list = assembled(SELECT.to_owned()).and("WHERE e.tenant_id = ?", scope.tenant());
        asked.page(list, &self.db, read).await
    }

    /// All of them, for the directory.
    pub async fn all_extensions(&self, scope: &Scope) -> Result<Vec<Extension>, StoreError> {
        let rows = assembled(SELECT.to_owned())
            .and("WHERE e.tenant_id = ?", scope.tenant())
            .then("ORDER BY e.number")
            .all(&self.db)
            .await?;
        rows.iter().map(read).collect()
    }

    pub async fn extension(&self, scope: &Scope, id: ExtensionId) -> Result<Extension, StoreError> {
        let row = assembled(SELECT.to_owned())
            .and("WHERE e.tenant_id = ?", scope.tenant())
            .and("AND e.id = ?", id)
            .one(&self.db)
            .await?;
        read(&row)
    }

    /// A new `account` is a new password. Disabling takes the bindings with it. `Stale` when it was made `from` another
    /// version than the one that is stored.
    pub async fn save_extension(
        &self,
        scope: &Scope,
        id: ExtensionId,
        settings: &ExtensionSettings,
        account: Option<&Account>,
        from: Option<u64>,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let old = inside(&mut tx, scope, id).await?;
        made_from(from, old.version)?;
        sql("UPDATE extensions SET name = $3, caller_number_id = $4, trunk_id = $5, state = $6, version = version + 1, \
             updated_at = $7 WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .bind(&settings.name)
            .bind(settings.caller_number)
            .bind(settings.trunk)
            .bind(state(settings.disabled))
            .bind(now)
            .run_one(&mut tx)
            .await?;
        if let Some(account) = account {
            sip_accounts::put(&mut tx, scope, "extension", id.0, account, now).await?;
        }
        deed("extension.updated", id.0)
            .before(told(&old.settings(), false))
            .after(told(settings, account.is_some()))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await
    }

    pub async fn delete_extension(
        &self,
        scope: &Scope,
        id: ExtensionId,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let old = inside(&mut tx, scope, id).await?;
        let mut before = told(&old.settings(), false);
        before["number"] = json!(old.number);
        deed("extension.deleted", id.0)
            .before(before)
            .note(&mut tx, scope, now)
            .await?;
        sip_accounts::remove(&mut tx, scope, id.0).await?;
        sql("DELETE FROM extensions WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .run_one(&mut tx)
            .await?;
        tx.commit().await
    }
}

async fn inside(tx: &mut Tx, scope: &Scope, id: ExtensionId) -> Result<Extension, StoreError> {
    let row = assembled(SELECT.to_owned())
        .and("WHERE e.tenant_id = ?", scope.tenant())
        .and("AND e.id = ?", id)
        .one(tx)
        .await?;
    read(&row)
}
