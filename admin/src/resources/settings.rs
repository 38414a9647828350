//! The enterprise's own settings. What it pays and how many robots it may run is the platform's word (`platform`).

use crate::AdminState;
use crate::auth::Caller;
use crate::etag::{IfMatch, tagged};
use crate::extract::Body;
use crate::problem::{Answer, Checks, Code, Problem};
use crate::wire::{CalendarShape, Moment, check_calendar};
use axum::extract::State;
use axum::response::Response;
use dialer::{AfterRefusal, FrequencyCap};
use model::Calendar;
use serde::{Deserialize, Serialize};
use store::tenants::{Tenant, TenantSettings};
use utoipa::ToSchema;
use uuid::Uuid;

#[derive(Serialize, ToSchema)]
#[schema(as = Settings)]
pub struct SettingsView {
    pub tenant_id: Uuid,
    pub slug: String,
    pub name: String,
    pub zone: String,
    /// Calling code of national numbers.
    pub country: String,
    pub currency: String,
    /// When anything of the enterprise may dial, in its zone.
    #[schema(value_type = CalendarShape)]
    pub hours: Calendar,
    pub dialling: Dialling,
    pub rate: Rate,
    /// Robot calls at once.
    pub robot_lines: u32,
    pub domains: Vec<String>,
    pub banned: bool,
    pub version: u64,
    pub created_at: Moment,
    pub updated_at: Moment,
}

/// The gate's rules for outbound calls.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dialling {
    /// When people may be called, on the callee's own clock.
    #[schema(value_type = CalendarShape)]
    calling_window: Calendar,
    /// At most so many calls to one number within so many seconds.
    #[schema(value_type = Vec<FrequencyShape>)]
    frequency: Vec<FrequencyCap>,
    /// `{"kind": "never"}`, `{"kind": "wait", "seconds": 2592000}` or `{"kind": "ignore"}`.
    #[schema(value_type = Object)]
    after_refusal: AfterRefusal,
    /// Prefixes that may be dialled at all, country code first.
    countries: Vec<String>,
    /// Prefixes that may not, whatever the countries.
    premium: Vec<String>,
}

#[derive(ToSchema)]
#[schema(as = FrequencyCap)]
#[allow(dead_code)]
struct FrequencyShape {
    calls: u32,
    within_seconds: u64,
}

/// What a begun interval costs.
#[derive(Serialize, ToSchema)]
pub struct Rate {
    pub version: u64,
    pub per_interval_minor: i64,
    pub interval_seconds: u64,
}

pub fn view(tenant: Tenant) -> SettingsView {
    SettingsView {
        tenant_id: tenant.id.0,
        slug: tenant.slug,
        name: tenant.name,
        zone: tenant.zone.name().to_owned(),
        country: tenant.country,
        currency: tenant.currency,
        hours: tenant.hours,
        dialling: Dialling {
            calling_window: tenant.policy.calling_window,
            frequency: tenant.policy.frequency,
            after_refusal: tenant.policy.after_refusal,
            countries: tenant.policy.countries,
            premium: tenant.policy.premium,
        },
        rate: Rate {
            version: tenant.rate.version,
            per_interval_minor: tenant.rate.per_interval.minor(),
            interval_seconds: tenant.rate.interval_ms / 1000,
        },
        robot_lines: tenant.robot_lines,
        domains: tenant.domains,
        banned: tenant.banned,
        version: tenant.version,
        created_at: tenant.created_at.into(),
        updated_at: tenant.updated_at.into(),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsRequest {
    name: String,
    #[schema(example = "Asia/Shanghai")]
    zone: String,
    #[schema(example = "86")]
    country: String,
    #[schema(value_type = CalendarShape)]
    hours: Calendar,
    /// As it is when absent.
    dialling: Option<Dialling>,
}

/// The enterprise's settings
#[utoipa::path(get, path = "/settings", tag = "settings", security(("bearer" = ["settings:read"])),
    responses((status = 200, body = SettingsView)))]
pub async fn get(State(state): State<AdminState>, caller: Caller) -> Answer<Response> {
    let tenant = state.store.tenant(&caller.scope).await?;
    let version = tenant.version;
    Ok(tagged(view(tenant), version))
}

/// Replace the enterprise's settings
#[utoipa::path(put, path = "/settings", tag = "settings", params(IfMatch), security(("bearer" = ["settings:write"])),
    request_body = SettingsRequest, responses((status = 200, body = SettingsView)))]
pub async fn put(
    State(state): State<AdminState>,
    caller: Caller,
    known: IfMatch,
    Body(asked): Body<SettingsRequest>,
) -> Answer<Response> {
    let tenant = state.store.tenant(&caller.scope).await?;
    let from = known.check(tenant.version)?;
    let mut checks = Checks::new();
    checks.text(&asked.name, "/name", 100);
    let zone: Option<model::Zone> = asked.zone.parse().ok();
    checks.that(
        zone.is_some(),
        "/zone",
        "unknown_value",
        "an IANA zone, such as Asia/Shanghai",
    );
    let digits = |text: &String, most| {
        (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    checks.that(
        digits(&asked.country, 3),
        "/country",
        "invalid",
        "a calling code, such as 86",
    );
    check_calendar(&mut checks, &asked.hours, "/hours");
    let mut policy = tenant.policy;
    if let Some(dialling) = asked.dialling {
        check_calendar(
            &mut checks,
            &dialling.calling_window,
            "/dialling/calling_window",
        );
        let sane =
            |cap: &FrequencyCap| (1..=100).contains(&cap.calls) && cap.within.as_secs() >= 60;
        checks.that(
            dialling.frequency.len() <= 10 && dialling.frequency.iter().all(sane),
            "/dialling/frequency",
            "out_of_range",
            "at most 10 caps, each of 1 to 100 calls within at least 60 seconds",
        );
        for (list, pointer) in [
            (&dialling.countries, "/dialling/countries"),
            (&dialling.premium, "/dialling/premium"),
        ] {
            let fits = list.len() <= 500 && list.iter().all(|prefix| digits(prefix, 15));
            checks.that(
                fits,
                pointer,
                "invalid",
                "prefixes are digits, country code first",
            );
        }
        policy.calling_window = dialling.calling_window;
        policy.frequency = dialling.frequency;
        policy.after_refusal = dialling.after_refusal;
        policy.countries = dialling.countries;
        policy.premium = dialling.premium;
    }
    checks.done()?;
    let settings = TenantSettings {
        name: asked.name.trim().to_owned(),
        zone: zone.ok_or_else(|| Problem::new(Code::Invalid))?,
        country: asked.country,
        hours: asked.hours,
        policy,
    };
    state
        .store
        .save_tenant_settings(&caller.scope, &settings, from, state.now())
        .await
        .map_err(|error| known.lost(error))?;
    state.engine.changed(caller.tenant()).await;
    get(State(state), caller).await
}
