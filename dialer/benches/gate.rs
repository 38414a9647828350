//! What one answer of the gate costs: allowed, denied by a list, and denied by hours, which looks for the next opening.

use criterion::{Criterion, criterion_group, criterion_main};
use dialer::*;
use model::*;
use std::hint::black_box;
use std::time::Duration;

fn id<T: From<model::id::Uuid>>(n: u128) -> T {
    T::from(model::id::Uuid::from_u128(n))
}

fn at(text: &str) -> Wall {
    Wall::from_millis(
        chrono::DateTime::parse_from_rfc3339(text)
            .unwrap()
            .timestamp_millis(),
    )
}

fn gate(c: &mut Criterion) {
    let zone = chrono_tz::Asia::Shanghai;
    let plan = Campaign::draft(id(1), id(2), "spring", id(3), id(4), id(5), zone);
    let mut tenant = Policy {
        countries: vec!["852".into(), "44".into(), "86".into()],
        ..Policy::default()
    };
    tenant.tenant_hours = Calendar::daily(8 * 60, 22 * 60);
    // A dozen holidays, as a year has.
    for day in 10..22 {
        tenant
            .tenant_hours
            .holidays
            .push(format!("2026-02-{day}").parse().unwrap());
    }
    let policy = tenant.for_campaign(&plan, true, Money(10));
    let mobile = E164::parse("13800138000", "86").unwrap();
    let london = E164::parse("+442079460000", "86").unwrap();
    let noon = at("2026-11-21T12:00:00+08:00");
    let recent = vec![
        noon - Duration::from_secs(9 * 3600),
        noon - Duration::from_secs(40 * 3600),
    ];
    let known = History {
        last: Some(LastAttempt::unreached(recent[0], Unreached::NoAnswer)),
        attempts: 2,
        unreached_in_a_row: 2,
        balance: Money(10_000),
        ..History::default()
    }
    .with_recent(recent);
    let dnc = History {
        dnc: vec![DncHit {
            list: DncList::Tenant,
            until: None,
        }],
        ..known.clone()
    };
    let new = History {
        balance: Money(10_000),
        ..History::default()
    };
    let never = Policy {
        robot_hours: Calendar::daily(60, 120),
        ..policy.clone()
    };

    let cases: [(&str, &str, &E164, &Policy, &History); 6] = [
        (
            "allow",
            "2026-11-21T12:00:00+08:00",
            &mobile,
            &policy,
            &known,
        ),
        (
            "deny_do_not_call",
            "2026-11-21T12:00:00+08:00",
            &mobile,
            &policy,
            &dnc,
        ),
        (
            "deny_night",
            "2026-11-21T23:00:00+08:00",
            &mobile,
            &policy,
            &known,
        ),
        (
            "deny_two_zones",
            "2026-11-21T23:00:00+08:00",
            &london,
            &policy,
            &known,
        ),
        (
            "deny_holidays",
            "2026-02-09T22:30:00+08:00",
            &mobile,
            &policy,
            &new,
        ),
        (
            "deny_hours_that_never_meet",
            "2026-11-21T12:00:00+08:00",
            &mobile,
            &never,
            &known,
        ),
    ];
    let mut group = c.benchmark_group("gate");
    group
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    for (name, when, callee, policy, history) in cases {
        let now = at(when);
        println!("{name}: {:?}", may_dial(now, callee, policy, history));
        group.bench_function(name, |b| {
            b.iter(|| may_dial(black_box(now), black_box(callee), policy, history));
        });
    }
    group.finish();
}

criterion_group!(benches, gate);
criterion_main!(benches);
