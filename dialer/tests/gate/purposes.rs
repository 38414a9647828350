//! Which rules bind whom: every rule broken alone, asked for every purpose.

use crate::told::*;
use dialer::*;
use model::*;

const NOON: &str = "2026-11-21T12:00:00+08:00";

/// One thing wrong.
type Wrong = fn(&mut Policy, &mut History);

const RULES: [(Rule, Wrong); 18] = [
    (Rule::Banned, |p, _| p.banned = true),
    (Rule::Country, |p, _| p.countries = vec!["852".into()]),
    (Rule::PremiumPrefix, |p, _| p.premium = vec!["86138".into()]),
    (Rule::CallerNumber, |p, _| p.caller_approved = false),
    (Rule::DoNotCall, |_, h| {
        h.dnc.push(DncHit {
            list: DncList::Platform,
            until: None,
        })
    }),
    (Rule::DoNotCall, |_, h| {
        h.dnc.push(DncHit {
            list: DncList::Tenant,
            until: None,
        })
    }),
    (Rule::DoNotCall, |_, h| {
        h.dnc.push(DncHit {
            list: DncList::Campaign,
            until: None,
        })
    }),
    (Rule::EmptyNumber, |_, h| {
        h.last = Some(LastAttempt::unreached(
            at(NOON) - DAY,
            Unreached::EmptyNumber,
        ));
    }),
    (Rule::NotRetried, |_, h| {
        h.last = Some(LastAttempt::unreached(at(NOON) - DAY, Unreached::Fax));
    }),
    (Rule::AttemptsExhausted, |_, h| h.attempts = 3),
    (Rule::Refused, |_, h| h.refused_at = Some(at(NOON) - DAY)),
    (Rule::InFlight, |_, h| h.in_flight = true),
    (Rule::RetryInterval, |_, h| {
        h.last = Some(LastAttempt::unreached(at(NOON) - MINUTE, Unreached::Busy));
    }),
    (Rule::Frequency, |_, h| h.recent = vec![at(NOON) - HOUR; 3]),
    (Rule::CallingWindow, |p, _| {
        p.calling_window = Calendar::daily(0, 60)
    }),
    (Rule::TenantHours, |p, _| {
        p.tenant_hours = Calendar::daily(0, 60)
    }),
    (Rule::RobotHours, |p, _| {
        p.robot_hours = Calendar::daily(0, 60)
    }),
    (Rule::Balance, |_, h| h.balance = Money(9)),
];

/// `x` where it binds; columns: Marketing, Service, Forward, Verification, Internal, Emergency. (No full number is an emergency
/// number: a person's is judged as Service.)
const PERSON: [&str; 18] = [
    "xxxxxx", // banned
    "xxxx.x", // country
    "xxxx.x", // premium
    "xxxx.x", // caller number
    "xxxx.x", // the platform's list
    "x.....", // the tenant's
    "x.....", // the campaign's
    "x.....", // empty number
    "x.....", // not retried
    "x.....", // attempts
    "x.....", // refused
    "x.....", // in flight
    "x.....", // retry interval
    "x.....", // frequency
    "x.....", // calling window
    "x.....", // tenant hours
    "......", // robot hours
    "xxxx.x", // balance
];

/// A robot has no emergencies: it is held to what binds Marketing.
const ROBOT: [&str; 18] = [
    "xxxxxx", "xxxx.x", "xxxx.x", "xxxx.x", "xxxx.x", "xxxx.x", "xxxx.x", "xxxx.x", "xxxx.x",
    "xxxx.x", "x....x", "xxxx.x", "xxxx.x", "x....x", "x....x", "x....x", "xxxx.x", "xxxx.x",
];

#[test]
fn every_rule_for_every_purpose() {
    for (by, table) in [(By::Person, PERSON), (By::Robot, ROBOT)] {
        for ((rule, wrong), row) in RULES.into_iter().zip(table) {
            for (purpose, mark) in Purpose::ALL.into_iter().zip(row.chars()) {
                let mut policy = Policy {
                    purpose,
                    by,
                    ..robots()
                };
                let mut history = fresh();
                let before = may_dial(at(NOON), &number(MOBILE), &policy, &history);
                assert_eq!(before, Decision::Allow, "{by:?} {purpose:?}");
                wrong(&mut policy, &mut history);
                let said = may_dial(at(NOON), &number(MOBILE), &policy, &history);
                let expected = (mark == 'x').then_some(rule);
                assert_eq!(said.rule(), expected, "{rule:?} for {by:?} {purpose:?}");
            }
        }
    }
}

#[test]
fn what_ends_a_lead_carries_no_next_time_and_what_waits_for_an_event_neither() {
    for (rule, wrong) in RULES {
        let (mut policy, mut history) = (robots(), fresh());
        wrong(&mut policy, &mut history);
        let Decision::Deny { next, .. } = may_dial(at(NOON), &number(MOBILE), &policy, &history)
        else {
            panic!("{rule:?}")
        };
        let timed = matches!(rule, Rule::Refused | Rule::RetryInterval | Rule::Frequency);
        assert_eq!(next.is_some(), timed, "{rule:?}");
    }
}

#[test]
fn a_campaign_narrows_the_tenants_policy_and_a_person_is_not_bound_by_it() {
    let tenant = Policy {
        countries: vec!["852".into()],
        ..Policy::default()
    };
    let mut plan = campaign();
    plan.max_attempts = 7;
    plan.robot_hours = Calendar::daily(600, 660);
    let robot = tenant.for_campaign(&plan, true, Money(3));
    assert_eq!((robot.by, robot.purpose), (By::Robot, Purpose::Marketing));
    assert_eq!(robot.max_attempts, Some(7));
    assert_eq!(robot.robot_hours, plan.robot_hours);
    // Nobody need be claimed before ten tomorrow.
    let eleven = at("2026-11-21T11:00:00+08:00");
    assert_eq!(
        robot.robots_open(eleven),
        Some(at("2026-11-22T10:00:00+08:00"))
    );
    assert_eq!(robot.robots_open(eleven - HOUR), Some(eleven - HOUR));
    assert_eq!(robot.countries, tenant.countries);
    let person = tenant.for_person(Purpose::Forward, true, Money(3));
    assert_eq!((person.by, person.purpose), (By::Person, Purpose::Forward));
    assert_eq!(person.max_attempts, None);
}
