//! A desk to ask the gate from.

use dialer::*;
use model::number::Zone;
use model::*;
use std::time::Duration;

pub const SHANGHAI: Zone = chrono_tz::Asia::Shanghai;
pub const MOBILE: &str = "+8613800138000";
pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// RFC 3339 with any offset.
pub fn at(text: &str) -> Wall {
    Wall::from_millis(
        chrono::DateTime::parse_from_rfc3339(text)
            .expect(text)
            .timestamp_millis(),
    )
}

pub fn number(text: &str) -> E164 {
    E164::parse(text, "86").expect(text)
}

pub fn id<T: From<model::id::Uuid>>(n: u128) -> T {
    T::from(model::id::Uuid::from_u128(n))
}

pub fn campaign() -> Campaign {
    Campaign::draft(id(1), id(2), "spring", id(3), id(4), id(5), SHANGHAI)
}

/// A Shanghai tenant's robots: window, hours and robot hours from 9 to 21, mainland and Hong Kong and Britain, 10 fen a minute.
pub fn robots() -> Policy {
    let tenant = Policy {
        tenant_hours: Calendar::daily(9 * 60, 21 * 60),
        countries: vec!["86".into(), "852".into(), "44".into()],
        ..Policy::default()
    };
    tenant.for_campaign(&campaign(), true, Money(10))
}

pub fn person(purpose: Purpose) -> Policy {
    robots().for_person(purpose, true, Money(10))
}

/// Nothing happened yet, and there is money.
pub fn fresh() -> History {
    History {
        balance: Money(10_000),
        ..History::default()
    }
}

/// What the gate says, in one line: `allow`, `frequency until 2026-11-22 09:00`, `country`.
pub fn says(when: &str, callee: &str, policy: &Policy, history: &History) -> String {
    says_in(SHANGHAI, when, callee, policy, history)
}

/// With the next moment on the clock of `zone`.
pub fn says_in(zone: Zone, when: &str, callee: &str, policy: &Policy, history: &History) -> String {
    let callee = number(callee);
    match may_dial(at(when), &callee, policy, history) {
        Decision::Allow => "allow".into(),
        Decision::Deny { rule, next, detail } => {
            assert!(
                !detail.is_empty() && !detail.contains(callee.digits()),
                "{detail}"
            );
            match next {
                None => rule.code().into(),
                Some(next) => {
                    let clock = next.utc().with_timezone(&zone).format("%Y-%m-%d %H:%M");
                    format!("{} until {clock}", rule.code())
                }
            }
        }
    }
}

pub fn detail(when: &str, callee: &str, policy: &Policy, history: &History) -> String {
    match may_dial(at(when), &number(callee), policy, history) {
        Decision::Allow => "allow".into(),
        Decision::Deny { detail, .. } => detail,
    }
}
