//! People who sign in. A login is one on the whole platform: `acme` (the enterprise account) or `12@acme`.

use crate::audit::deed;
use crate::db::{Row, Tx, sql};
use crate::error::StoreError;
use crate::ids::fresh;
use crate::list::{Asked, Field, Kind, Listing, Search};
use crate::scope::{Role, Scope};
use crate::store::{Page, Store, made_from};
use model::{TenantId, UserId, Wall};
use serde_json::json;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub login: String,
    pub name: String,
    pub role: Role,
    pub platform_admin: bool,
    pub disabled: bool,
    pub version: u64,
    pub created_at: Wall,
    pub last_login_at: Option<Wall>,
}

#[derive(Clone, Debug)]
pub struct NewUser {
    /// Lower case.
    pub login: String,
    pub name: String,
    /// Argon2 in PHC form.
    pub password: String,
    pub role: Role,
}

/// What changes; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    pub name: Option<String>,
    pub role: Option<Role>,
    pub disabled: Option<bool>,
    /// Argon2 in PHC form.
    pub password: Option<String>,
}

pub(crate) fn read_role(row: &Row) -> Result<Role, StoreError> {
    let text: String = row.get("role")?;
    Role::parse(&text).ok_or(StoreError::Damaged("a role"))
}

fn read(row: &Row) -> Result<User, StoreError> {
    let state: String = row.get("state")?;
    Ok(User {
        id: row.get("id")?,
        login: row.get("login")?,
        name: row.get("name")?,
        role: read_role(row)?,
        platform_admin: row.get("platform_admin")?,
        disabled: state != "active",
        version: row.get("version")?,
        created_at: row.get("created_at")?,
        last_login_at: row.get("last_login_at")?,
    })
}

/// Inserts a user; the caller commits. Only set-up makes platform administrators.
pub(crate) async fn insert(
    tx: &mut Tx,
    tenant: TenantId,
    new: &NewUser,
    platform_admin: bool,
    now: Wall,
) -> Result<UserId, StoreError> {
    let id: UserId = fresh();
    sql("INSERT INTO users (tenant_id, id, login, name, password, role, platform_admin, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)")
        .bind(tenant)
        .bind(id)
        .bind(&new.login)
        .bind(&new.name)
        .bind(&new.password)
        .bind(new.role.as_str())
        .bind(platform_admin)
        .bind(now)
        .run(tx)
        .await?;
    Ok(id)
}

pub static USERS: Listing = Listing {
    fields: &[
        Field::new("created_at", "created_at", Kind::Moment).sorted_by_id(),
        Field::new("login", "login", Kind::Text).sorted(),
        Field::new("name", "name", Kind::Text).sorted(),
        Field::new(
            "role",
            "role",
            Kind::Word(&["agent", "supervisor", "admin"]),
        ),
        Field::new("disabled", "state = 'disabled'", Kind::Flag),
    ],
    order: "created_at",
    id: "id",
    search: &[Search::Text("login"), Search::Text("name")],
};

impl Store {
    pub async fn create_user(
        &self,
        scope: &Scope,
        new: &NewUser,
        now: Wall,
    ) -> Result<UserId, StoreError> {
        let mut tx = self.db.begin().await?;
        let id = insert(&mut tx, scope.tenant(), new, false, now).await?;
        deed("user.created", id.0)
            .after(json!({ "login": new.login, "name": new.name, "role": new.role }))
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await?;
        Ok(id)
    }

    pub async fn users(&self, scope: &Scope, asked: &Asked) -> Result<Page<User>, StoreError> {
        let list = sql("SELECT * FROM users WHERE tenant_id = $1").bind(scope.tenant());
        asked.page(list, &self.db, read).await
    }

    pub async fn user(&self, scope: &Scope, id: UserId) -> Result<User, StoreError> {
        let row = sql("SELECT * FROM users WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .one(&self.db)
            .await?;
        read(&row)
    }

    /// The hash to compare a password with, for changing one's own.
    pub async fn password_of(&self, scope: &Scope, id: UserId) -> Result<String, StoreError> {
        sql("SELECT password FROM users WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .one(&self.db)
            .await?
            .get("password")
    }

    /// A new role, password or state ends all sessions of the user but `spared`. `Stale` when it was made `from` another
    /// version than the one that is stored.
    pub async fn change_user(
        &self,
        scope: &Scope,
        id: UserId,
        change: &UserChange,
        from: Option<u64>,
        spared: Option<crate::ids::SessionId>,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let old = sql("SELECT * FROM users WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .one(&mut tx)
            .await?;
        let old = read(&old)?;
        made_from(from, old.version)?;
        sql("UPDATE users SET name = coalesce($3, name), role = coalesce($4, role), state = coalesce($5, state), \
             password = coalesce($6, password), version = version + 1, updated_at = $7 WHERE tenant_id = $1 AND id = $2")
            .bind(scope.tenant())
            .bind(id)
            .bind(change.name.clone())
            .bind(change.role.map(Role::as_str))
            .bind(change.disabled.map(|disabled| if disabled { "disabled" } else { "active" }))
            .bind(change.password.clone())
            .bind(now)
            .run_one(&mut tx)
            .await?;
        if change.role.is_some() || change.password.is_some() || change.disabled == Some(true) {
            sql("DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 AND ($3 IS NULL OR id <> $3)")
                .bind(scope.tenant())
                .bind(id)
                .bind(spared)
                .run(&mut tx)
                .await?;
        }
        let mut after = json!({
            "name": change.name.as_ref().unwrap_or(&old.name), "role": change.role.unwrap_or(old.role),
            "disabled": change.disabled.unwrap_or(old.disabled),
        });
        if change.password.is_some() {
            after["password"] = json!("changed");
        }
        deed("user.updated", id.0)
            .before(json!({ "name": old.name, "role": old.role, "disabled": old.disabled }))
            .after(after)
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await
    }
}
