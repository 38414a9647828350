//! The digest accounts of extensions and trunks: one name space, since a REGISTER carries nothing but the user name.

use crate::db::{Row, Tx, sql};
use crate::error::StoreError;
use crate::scope::{Platform, Scope};
use crate::store::Store;
use model::Wall;
use sip::Account;
use uuid::Uuid;

/// Sets an owner's account, a first or a new one. The caller commits.
pub(crate) async fn put(
    tx: &mut Tx,
    scope: &Scope,
    owner: &'static str,
    owner_id: Uuid,
    account: &Account,
    now: Wall,
) -> Result<(), StoreError> {
    sql("INSERT INTO sip_accounts (tenant_id, owner_id, owner, username, aor, realm, ha1_md5, ha1_sha256, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant_id, owner_id) DO UPDATE SET \
         username = excluded.username, aor = excluded.aor, realm = excluded.realm, ha1_md5 = excluded.ha1_md5, \
         ha1_sha256 = excluded.ha1_sha256, updated_at = excluded.updated_at")
        .bind(scope.tenant())
        .bind(owner_id)
        .bind(owner)
        .bind(&account.username)
        .bind(&account.aor)
        .bind(&account.realm)
        .bind(account.ha1_md5)
        .bind(account.ha1_sha256)
        .bind(now)
        .run_one(tx)
        .await
}

impl Store {
    /// Accounts whose passwords were made for another realm: none of them can register here.
    pub async fn accounts_of_other_realms(
        &self,
        _: &Platform,
        realm: &str,
    ) -> Result<u64, StoreError> {
        sql("SELECT COUNT(*) AS n FROM sip_accounts WHERE realm <> $1")
            .bind(realm)
            .one(&self.db)
            .await?
            .get("n")
    }
}

/// Takes the account and its bindings away. The caller commits.
pub(crate) async fn remove(tx: &mut Tx, scope: &Scope, owner_id: Uuid) -> Result<(), StoreError> {
    sql("DELETE FROM bindings WHERE tenant_id = $1 AND aor IN \
         (SELECT aor FROM sip_accounts WHERE tenant_id = $1 AND owner_id = $2)")
    .bind(scope.tenant())
    .bind(owner_id)
    .run(tx)
    .await?;
    sql("DELETE FROM sip_accounts WHERE tenant_id = $1 AND owner_id = $2")
        .bind(scope.tenant())
        .bind(owner_id)
        .run(tx)
        .await?;
    Ok(())
}

/// From a row joined with its account.
pub(crate) fn read(row: &Row) -> Result<Account, StoreError> {
    Ok(Account {
        username: row.get("username")?,
        aor: row.get("aor")?,
        realm: row.get("realm")?,
        ha1_md5: row.get("ha1_md5")?,
        ha1_sha256: row.get("ha1_sha256")?,
    })
}
