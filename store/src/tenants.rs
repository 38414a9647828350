//! Enterprises: what they are called, where and when they call, what they pay.

use crate::audit::deed;
use crate::db::{Json, Row, Tx, sql};
use crate::error::StoreError;
use crate::ids::fresh;
use crate::list::{Asked, Field, Kind, Listing, Search};
use crate::scope::{Platform, Scope};
use crate::store::{Page, Store, made_from};
use crate::users::{self, NewUser};
use dialer::Policy;
use model::*;
use serde_json::{Value, json};

/// An enterprise.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenant {
    pub id: TenantId,
    /// Lower case, one on the platform: part of logins and SIP user names.
    pub slug: String,
    pub name: String,
    pub banned: bool,
    /// IANA zone its hours are in.
    pub zone: Zone,
    /// Calling code its national numbers belong to (`86`).
    pub country: String,
    pub currency: String,
    pub rate: TenantRate,
    pub robot_lines: u32,
    /// When its robots may call, in its zone.
    pub hours: Calendar,
    /// The gate's rules for this tenant; country, zone, hours and ban in it are those above.
    pub policy: Policy,
    pub domains: Vec<String>,
    pub version: u64,
    pub created_at: Wall,
    pub updated_at: Wall,
}

/// What a begun interval costs. Its version goes into each attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantRate {
    pub version: u64,
    pub per_interval: Money,
    pub interval_ms: u64,
}

#[derive(Clone, Debug)]
pub struct NewTenant {
    pub slug: String,
    pub name: String,
    pub zone: Zone,
    pub country: String,
    pub currency: String,
    pub per_interval: Money,
    pub interval_ms: u64,
    pub robot_lines: u32,
    pub hours: Calendar,
    pub policy: Policy,
}

/// What a tenant's administrator may set.
#[derive(Clone, Debug)]
pub struct TenantSettings {
    pub name: String,
    pub zone: Zone,
    pub country: String,
    pub hours: Calendar,
    pub policy: Policy,
}

/// What only the platform may set; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct TenantTerms {
    pub banned: Option<bool>,
    /// Price of an interval, and its length in milliseconds. Raises the rate's version.
    pub rate: Option<(Money, u64)>,
    pub robot_lines: Option<u32>,
    /// All SIP domains of its own.
    pub domains: Option<Vec<String>>,
}

fn read(row: &Row, domains: Vec<String>) -> Result<Tenant, StoreError> {
    let state: String = row.get("state")?;
    let banned = state == "banned";
    let zone: Zone = row
        .get::<String>("zone")?
        .parse()
        .map_err(|_| StoreError::Damaged("a time zone"))?;
    let country: String = row.get("country")?;
    let hours: Calendar = row.json("hours")?;
    let policy = Policy {
        banned,
        zone,
        country: country.clone(),
        tenant_hours: hours.clone(),
        ..row.json("policy")?
    };
    Ok(Tenant {
        id: row.get("id")?,
        slug: row.get("slug")?,
        name: row.get("name")?,
        banned,
        zone,
        country,
        currency: row.get("currency")?,
        rate: TenantRate {
            version: row.get("rate_version")?,
            per_interval: row.get("rate_per_interval")?,
            interval_ms: row.get("rate_interval_ms")?,
        },
        robot_lines: row.get("robot_lines")?,
        hours,
        policy,
        domains,
        version: row.get("version")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// Inserts a tenant; the caller commits.
pub(crate) async fn insert(
    tx: &mut Tx,
    new: &NewTenant,
    now: Wall,
) -> Result<TenantId, StoreError> {
    let id: TenantId = fresh();
    sql("INSERT INTO tenants (id, slug, name, zone, country, currency, rate_per_interval, rate_interval_ms, robot_lines, \
         hours, policy, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)")
        .bind(id)
        .bind(&new.slug)
        .bind(&new.name)
        .bind(new.zone.name())
        .bind(&new.country)
        .bind(&new.currency)
        .bind(new.per_interval)
        .bind(new.interval_ms)
        .bind(new.robot_lines)
        .bind(Json(&new.hours))
        .bind(Json(&new.policy))
        .bind(now)
        .run(tx)
        .await?;
    Ok(id)
}

pub static TENANTS: Listing = Listing {
    fields: &[
        Field::new("created_at", "created_at", Kind::Moment).sorted_by_id(),
        Field::new("slug", "slug", Kind::Text).sorted(),
        Field::new("name", "name", Kind::Text).sorted(),
        Field::new("banned", "state = 'banned'", Kind::Flag),
    ],
    order: "created_at",
    id: "id",
    search: &[Search::Text("slug"), Search::Text("name")],
};

/// For the audit.
fn told(tenant: &Tenant) -> Value {
    json!({
        "name": tenant.name, "zone": tenant.zone.name(), "country": tenant.country, "hours": tenant.hours,
        "policy": tenant.policy,
    })
}

/// Without its domains.
async fn inside(tx: &mut Tx, tenant: TenantId) -> Result<Tenant, StoreError> {
    let row = sql("SELECT * FROM tenants WHERE id = $1")
        .bind(tenant)
        .one(tx)
        .await?;
    read(&row, Vec::new())
}

impl Store {
    /// One's own tenant.
    pub async fn tenant(&self, scope: &Scope) -> Result<Tenant, StoreError> {
        let row = sql("SELECT * FROM tenants WHERE id = $1")
            .bind(scope.tenant())
            .one(&self.db)
            .await?;
        read(&row, self.domains(scope.tenant()).await?)
    }

    /// `Stale` when they were made `from` another version than the one that is stored.
    pub async fn save_tenant_settings(
        &self,
        scope: &Scope,
        settings: &TenantSettings,
        from: Option<u64>,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let old = inside(&mut tx, scope.tenant()).await?;
        made_from(from, old.version)?;
        sql("UPDATE tenants SET name = $2, zone = $3, country = $4, hours = $5, policy = $6, version = version + 1, \
             updated_at = $7 WHERE id = $1")
            .bind(scope.tenant())
            .bind(&settings.name)
            .bind(settings.zone.name())
            .bind(&settings.country)
            .bind(Json(&settings.hours))
            .bind(Json(&settings.policy))
            .bind(now)
            .run_one(&mut tx)
            .await?;
        let after = json!({
            "name": settings.name, "zone": settings.zone.name(), "country": settings.country, "hours": settings.hours,
            "policy": settings.policy,
        });
        deed("settings.updated", scope.tenant().0)
            .before(told(&old))
            .after(after)
            .note(&mut tx, scope, now)
            .await?;
        tx.commit().await
    }

    /// All tenants.
    pub async fn tenants(&self, _: &Platform, asked: &Asked) -> Result<Page<Tenant>, StoreError> {
        let list = sql("SELECT * FROM tenants WHERE TRUE");
        let (rows, next) = asked.rows(list, &self.db).await?;
        let mut tenants = Vec::with_capacity(rows.len());
        for row in &rows {
            tenants.push(read(row, self.domains(row.get("id")?).await?)?);
        }
        Ok(Page {
            rows: tenants,
            next,
        })
    }

    async fn domains(&self, tenant: TenantId) -> Result<Vec<String>, StoreError> {
        let rows = sql("SELECT domain FROM domains WHERE tenant_id = $1 ORDER BY domain")
            .bind(tenant)
            .all(&self.db)
            .await?;
        rows.iter().map(|row| row.get("domain")).collect()
    }

    /// An enterprise with the person who administers it.
    pub async fn create_tenant(
        &self,
        platform: &Platform,
        new: &NewTenant,
        admin: &NewUser,
        now: Wall,
    ) -> Result<TenantId, StoreError> {
        let mut tx = self.db.begin().await?;
        let id = insert(&mut tx, new, now).await?;
        users::insert(&mut tx, id, admin, false, now).await?;
        deed("tenant.created", id.0)
            .after(json!({ "slug": new.slug, "name": new.name, "login": admin.login }))
            .note(&mut tx, &platform.tenant(id), now)
            .await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Terms between the platform and a tenant. A ban ends the tenant's sessions with it. `Stale` when they were made `from`
    /// another version than the one that is stored.
    pub async fn set_tenant_terms(
        &self,
        platform: &Platform,
        tenant: TenantId,
        terms: &TenantTerms,
        from: Option<u64>,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let old = inside(&mut tx, tenant).await?;
        made_from(from, old.version)?;
        let before = json!({
            "banned": old.banned, "per_interval_minor": old.rate.per_interval.minor(),
            "interval_ms": old.rate.interval_ms, "robot_lines": old.robot_lines,
        });
        let after = json!({
            "banned": terms.banned, "per_interval_minor": terms.rate.map(|(price, _)| price.minor()),
            "interval_ms": terms.rate.map(|(_, interval)| interval), "robot_lines": terms.robot_lines,
            "domains": terms.domains,
        });
        deed("tenant.terms_set", tenant.0)
            .before(before)
            .after(after)
            .note(&mut tx, &platform.tenant(tenant), now)
            .await?;
        sql("UPDATE tenants SET version = version + 1, updated_at = $2 WHERE id = $1")
            .bind(tenant)
            .bind(now)
            .run_one(&mut tx)
            .await?;
        if let Some(banned) = terms.banned {
            sql("UPDATE tenants SET state = $2 WHERE id = $1")
                .bind(tenant)
                .bind(if banned { "banned" } else { "active" })
                .run_one(&mut tx)
                .await?;
            if banned {
                sql("DELETE FROM sessions WHERE tenant_id = $1")
                    .bind(tenant)
                    .run(&mut tx)
                    .await?;
            }
        }
        if let Some((per_interval, interval_ms)) = terms.rate {
            sql("UPDATE tenants SET rate_per_interval = $2, rate_interval_ms = $3, rate_version = rate_version + 1 \
                 WHERE id = $1")
                .bind(tenant)
                .bind(per_interval)
                .bind(interval_ms)
                .run_one(&mut tx)
                .await?;
        }
        if let Some(lines) = terms.robot_lines {
            sql("UPDATE tenants SET robot_lines = $2 WHERE id = $1")
                .bind(tenant)
                .bind(lines)
                .run_one(&mut tx)
                .await?;
        }
        if let Some(domains) = &terms.domains {
            sql("DELETE FROM domains WHERE tenant_id = $1")
                .bind(tenant)
                .run(&mut tx)
                .await?;
            for domain in domains {
                sql("INSERT INTO domains (tenant_id, domain, created_at) VALUES ($1, $2, $3)")
                    .bind(tenant)
                    .bind(domain)
                    .bind(now)
                    .run(&mut tx)
                    .await?;
            }
        }
        tx.commit().await
    }
}
