//! Extensions: the SIP accounts of softphones and desk phones.

use crate::cursor::{after, by_id};
use crate::db::{Row, sql};
use crate::error::StoreError;
use crate::ids::fresh;
use crate::scope::Scope;
use crate::sip_accounts;
use crate::store::{Page, Store};
use model::{CallerNumberId, E164, ExtensionId, TrunkId, Wall};
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

fn state(disabled: bool) -> &'static str {
    if disabled { "disabled" } else { "active" }
}

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
        tx.commit().await?;
        Ok(id)
    }

    pub async fn extensions(
        &self,
        scope: &Scope,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Extension>, StoreError> {
        let rows = crate::db::assembled(SELECT.to_owned())
            .and("WHERE e.tenant_id = ?", scope.tenant())
            .and("AND e.id > ?", after(cursor)?)
            .and("ORDER BY e.id LIMIT ?", limit + 1)
            .all(&self.db)
            .await?;
        let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(rows, limit, |extension| by_id(extension.id.0)))
    }

    /// All of them, for the directory.
    pub async fn all_extensions(&self, scope: &Scope) -> Result<Vec<Extension>, StoreError> {
        let rows = crate::db::assembled(SELECT.to_owned())
            .and("WHERE e.tenant_id = ?", scope.tenant())
            .then("ORDER BY e.number")
            .all(&self.db)
            .await?;
        rows.iter().map(read).collect()
    }

    pub async fn extension(&self, scope: &Scope, id: ExtensionId) -> Result<Extension, StoreError> {
        let row = crate::db::assembled(SELECT.to_owned())
            .and("WHERE e.tenant_id = ?", scope.tenant())
            .and("AND e.id = ?", id)
            .one(&self.db)
            .await?;
        read(&row)
    }

    /// A new `account` is a new password. Disabling takes the bindings with it.
    pub async fn save_extension(
        &self,
        scope: &Scope,
        id: ExtensionId,
        settings: &ExtensionSettings,
        account: Option<&Account>,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
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
        tx.commit().await
    }

    pub async fn delete_extension(&self, scope: &Scope, id: ExtensionId) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        sip_accounts::remove(&mut tx, scope, id.0).await?;
        sql("DELETE FROM extensions WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .run_one(&mut tx)
            .await?;
        tx.commit().await
    }
}
