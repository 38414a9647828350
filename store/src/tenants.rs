//! Enterprises: what they are called, where and when they call, what they pay.

use crate::cursor::{after, by_id};
use crate::db::{Json, Row, Tx, sql};
use crate::error::StoreError;
use crate::ids::fresh;
use crate::scope::{Platform, Scope};
use crate::store::{Page, Store};
use crate::users::{self, NewUser};
use dialer::Policy;
use model::*;

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

impl Store {
    /// One's own tenant.
    pub async fn tenant(&self, scope: &Scope) -> Result<Tenant, StoreError> {
        let row = sql("SELECT * FROM tenants WHERE id = $1")
            .bind(scope.tenant())
            .one(&self.db)
            .await?;
        read(&row, self.domains(scope.tenant()).await?)
    }

    pub async fn save_tenant_settings(
        &self,
        scope: &Scope,
        settings: &TenantSettings,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
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
        tx.commit().await
    }

    /// All tenants, oldest first.
    pub async fn tenants(
        &self,
        _: &Platform,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Tenant>, StoreError> {
        let rows = sql("SELECT * FROM tenants WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(after(cursor)?)
            .bind(limit + 1)
            .all(&self.db)
            .await?;
        let mut tenants = Vec::with_capacity(rows.len());
        for row in &rows {
            tenants.push(read(row, self.domains(row.get("id")?).await?)?);
        }
        Ok(Page::cut(tenants, limit, |tenant| by_id(tenant.id.0)))
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
        _: &Platform,
        new: &NewTenant,
        admin: &NewUser,
        now: Wall,
    ) -> Result<TenantId, StoreError> {
        let mut tx = self.db.begin().await?;
        let id = insert(&mut tx, new, now).await?;
        users::insert(&mut tx, id, admin, false, now).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Terms between the platform and a tenant. A ban ends the tenant's sessions with it.
    pub async fn set_tenant_terms(
        &self,
        _: &Platform,
        tenant: TenantId,
        terms: &TenantTerms,
        now: Wall,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
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
