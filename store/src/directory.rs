//! What the switch asks of a tenant's configuration, loaded whole.

use crate::db::{Row, sql};
use crate::error::StoreError;
use crate::scope::{Platform, Scope};
use crate::sip_accounts;
use crate::store::Store;
use billing::Rate;
use model::{Currency, TenantId};
use std::sync::Arc;
use std::time::Duration;
use switch::directory::{CallerNumber, Extension, TenantDirectory, Trunk};

impl Store {
    /// One tenant's directory: the engine loads it again after each change.
    pub async fn tenant_directory(&self, scope: &Scope) -> Result<TenantDirectory, StoreError> {
        let tenant = self.tenant(scope).await?;
        let rows = async |text: &'static str| sql(text).bind(scope.tenant()).all(&self.db).await;
        let extensions = rows(
            "SELECT e.id, e.number, e.name, e.trunk_id, a.username, a.aor, a.realm, a.ha1_md5, a.ha1_sha256, \
             c.number AS display FROM extensions AS e \
             JOIN sip_accounts AS a ON a.tenant_id = e.tenant_id AND a.owner_id = e.id \
             LEFT JOIN caller_numbers AS c ON c.tenant_id = e.tenant_id AND c.id = e.caller_number_id \
             WHERE e.tenant_id = $1 AND e.state = 'active' ORDER BY e.number",
        )
        .await?;
        let trunks = rows(
            "SELECT t.id, t.name, t.max_concurrent, t.calls_per_second, t.forced_display, a.username, a.aor, a.realm, \
             a.ha1_md5, a.ha1_sha256 FROM trunks AS t \
             JOIN sip_accounts AS a ON a.tenant_id = t.tenant_id AND a.owner_id = t.id \
             WHERE t.tenant_id = $1 AND t.state = 'active' ORDER BY t.name",
        )
        .await?;
        let numbers = rows(
            "SELECT id, number, state FROM caller_numbers WHERE tenant_id = $1 ORDER BY number",
        )
        .await?;
        Ok(TenantDirectory {
            tenant: tenant.id,
            account: tenant.slug,
            domains: tenant.domains,
            banned: tenant.banned,
            country: tenant.country,
            rate: self.rate(scope).await?,
            robot_lines: tenant.robot_lines,
            policy: tenant.policy,
            extensions: extensions.iter().map(extension).collect::<Result<_, _>>()?,
            trunks: trunks.iter().map(trunk).collect::<Result<_, _>>()?,
            caller_numbers: numbers
                .iter()
                .map(caller_number)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Every tenant's directory, banned ones too: looked up at start.
    pub async fn directory(&self, platform: &Platform) -> Result<Vec<TenantDirectory>, StoreError> {
        let mut directory = Vec::new();
        for row in sql("SELECT id FROM tenants ORDER BY id")
            .all(&self.db)
            .await?
        {
            let tenant: TenantId = row.get("id")?;
            directory.push(self.tenant_directory(&platform.tenant(tenant)).await?);
        }
        Ok(directory)
    }

    /// What calls cost the tenant now.
    pub async fn rate(&self, scope: &Scope) -> Result<Rate, StoreError> {
        let row = sql("SELECT currency, rate_per_interval, rate_interval_ms, rate_minimum_ms FROM tenants WHERE id = $1")
            .bind(scope.tenant())
            .one(&self.db)
            .await?;
        let currency = Currency::from_code(&row.get::<String>("currency")?);
        let duration = |column| row.get(column).map(Duration::from_millis);
        Rate::new(
            currency.ok_or(StoreError::Damaged("a currency"))?,
            row.get("rate_per_interval")?,
            duration("rate_interval_ms")?,
            duration("rate_minimum_ms")?,
        )
        .map_err(|_| StoreError::Damaged("a rate"))
    }
}

fn extension(row: &Row) -> Result<Extension, StoreError> {
    Ok(Extension {
        id: row.get("id")?,
        number: row.get("number")?,
        name: row.get("name")?,
        account: Arc::new(sip_accounts::read(row)?),
        display: row.get("display")?,
        trunk: row.get("trunk_id")?,
    })
}

fn trunk(row: &Row) -> Result<Trunk, StoreError> {
    Ok(Trunk {
        id: row.get("id")?,
        name: row.get("name")?,
        account: Arc::new(sip_accounts::read(row)?),
        max_calls: row.get("max_concurrent")?,
        calls_per_second: row.get("calls_per_second")?,
        forced_display: row.get("forced_display")?,
    })
}

fn caller_number(row: &Row) -> Result<CallerNumber, StoreError> {
    Ok(CallerNumber {
        id: row.get("id")?,
        number: row.get("number")?,
        approved: row.get::<String>("state")? == "approved",
    })
}
