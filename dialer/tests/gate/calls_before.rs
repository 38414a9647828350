//! What happened to the number before: lists, refusals, attempts, caps, money.

use crate::told::*;
use dialer::*;
use model::*;

const NOON: &str = "2026-11-21T12:00:00+08:00";

fn noon(history: History) -> String {
    says(NOON, MOBILE, &robots(), &history)
}

fn hit(list: DncList, until: Option<&str>) -> DncHit {
    DncHit {
        list,
        until: until.map(at),
    }
}

#[test]
fn do_not_call_binds_until_it_expires() {
    let on = |dnc: Vec<DncHit>| noon(History { dnc, ..fresh() });
    assert_eq!(on(vec![hit(DncList::Tenant, None)]), "do_not_call");
    assert_eq!(on(vec![hit(DncList::Campaign, None)]), "do_not_call");
    assert_eq!(on(vec![hit(DncList::Platform, None)]), "do_not_call");
    assert_eq!(
        on(vec![hit(
            DncList::Tenant,
            Some("2026-12-01T22:00:00+08:00")
        )]),
        "do_not_call until 2026-12-02 09:00",
        "expired at night, dialled in the morning"
    );
    assert_eq!(
        on(vec![hit(DncList::Tenant, Some(NOON))]),
        "allow",
        "expired at this moment"
    );
    assert_eq!(
        on(vec![
            hit(DncList::Tenant, Some("2026-11-25T12:00:00+08:00")),
            hit(DncList::Platform, Some("2026-11-23T12:00:00+08:00")),
        ]),
        "do_not_call until 2026-11-25 12:00",
        "the longest list decides"
    );
    assert_eq!(
        on(vec![
            hit(DncList::Tenant, Some("2026-11-25T12:00:00+08:00")),
            hit(DncList::Campaign, None)
        ]),
        "do_not_call"
    );
}

#[test]
fn the_sentence_names_the_lists() {
    let history = History {
        dnc: vec![
            hit(DncList::Tenant, None),
            hit(DncList::Platform, Some("2026-11-23T12:00:00+08:00")),
            hit(DncList::Campaign, Some("2026-11-20T12:00:00+08:00")),
        ],
        ..fresh()
    };
    assert_eq!(
        detail(NOON, MOBILE, &robots(), &history),
        "the number is on the do-not-call list of the platform and the tenant"
    );
}

#[test]
fn each_cause_waits_its_own_time() {
    let last = |ago, cause| History {
        last: Some(LastAttempt::unreached(at(NOON) - ago, cause)),
        attempts: 1,
        ..fresh()
    };
    let table = [
        (
            Unreached::Busy,
            14 * MINUTE,
            "retry_interval until 2026-11-21 12:01",
        ),
        (Unreached::Busy, 15 * MINUTE, "allow"),
        (
            Unreached::NoAnswer,
            HOUR,
            "retry_interval until 2026-11-21 13:00",
        ),
        (Unreached::NoAnswer, 2 * HOUR, "allow"),
        (
            Unreached::SwitchedOff,
            HOUR,
            "retry_interval until 2026-11-21 15:00",
        ),
        (
            Unreached::Machine,
            HOUR,
            "retry_interval until 2026-11-21 15:00",
        ),
        (
            Unreached::CallAssistant,
            HOUR,
            "retry_interval until 2026-11-21 15:00",
        ),
        (
            Unreached::Rejected,
            HOUR,
            "retry_interval until 2026-11-22 11:00",
        ),
        (
            Unreached::Network,
            9 * MINUTE,
            "retry_interval until 2026-11-21 12:01",
        ),
        (Unreached::Fax, 30 * DAY, "not_retried"),
        (Unreached::EmptyNumber, 300 * DAY, "empty_number"),
    ];
    for (cause, ago, expected) in table {
        assert_eq!(noon(last(ago, cause)), expected, "{cause:?}");
    }
}

#[test]
fn what_died_under_us_is_retried_like_a_network_fault() {
    for disposition in [Disposition::Cancelled, Disposition::Interrupted] {
        let last = LastAttempt {
            at: at(NOON) - 4 * MINUTE,
            disposition,
        };
        let history = History {
            last: Some(last),
            attempts: 1,
            ..fresh()
        };
        assert_eq!(
            noon(history),
            "retry_interval until 2026-11-21 12:06",
            "{disposition:?}"
        );
    }
}

#[test]
fn duplicates_of_a_number_share_its_attempts() {
    let history = |attempts| History {
        attempts,
        ..fresh()
    };
    assert_eq!(noon(history(2)), "allow");
    assert_eq!(noon(history(3)), "attempts_exhausted");
    assert_eq!(
        detail(NOON, MOBILE, &robots(), &history(3)),
        "3 of 3 attempts are made"
    );
}

#[test]
fn one_number_is_never_in_two_live_attempts() {
    assert_eq!(
        noon(History {
            in_flight: true,
            ..fresh()
        }),
        "in_flight"
    );
}

#[test]
fn a_cap_slides() {
    // Three in a day.
    let calls = |ago: &[u32]| {
        let times = ago.iter().map(|hours| at(NOON) - HOUR * *hours).collect();
        noon(fresh().with_recent(times))
    };
    assert_eq!(calls(&[3, 23]), "allow");
    // The oldest of the last three leaves the window at 13:00; order does not matter.
    assert_eq!(calls(&[23, 3, 5]), "frequency until 2026-11-21 13:00");
    assert_eq!(
        calls(&[24, 3, 5]),
        "allow",
        "exactly a day ago no longer counts"
    );
    // A fourth that should not have happened: the third newest decides.
    assert_eq!(calls(&[1, 2, 4, 23]), "frequency until 2026-11-22 09:00");
}

#[test]
fn of_several_caps_the_one_that_ends_last_decides() {
    let policy = Policy {
        frequency: vec![
            FrequencyCap {
                calls: 1,
                within: HOUR,
            },
            FrequencyCap {
                calls: 2,
                within: 7 * DAY,
            },
        ],
        ..robots()
    };
    let history = fresh().with_recent(vec![at(NOON) - 30 * MINUTE, at(NOON) - 6 * DAY]);
    assert_eq!(
        says(NOON, MOBILE, &policy, &history),
        "frequency until 2026-11-22 12:00"
    );
    assert_eq!(policy.recent_needed(at(NOON)), (2, at(NOON) - 7 * DAY));
    assert_eq!(
        detail(NOON, MOBILE, &policy, &history),
        "the number was called once within 1 hour, the most allowed"
    );
    let never = Policy {
        frequency: vec![FrequencyCap {
            calls: 0,
            within: DAY,
        }],
        ..robots()
    };
    assert_eq!(says(NOON, MOBILE, &never, &fresh()), "frequency");
}

#[test]
fn a_clock_set_back_forgives_nothing() {
    let ahead = vec![at(NOON) + HOUR, at(NOON) + HOUR, at(NOON) + HOUR];
    assert_eq!(
        noon(fresh().with_recent(ahead)),
        "frequency until 2026-11-22 13:00"
    );
}

#[test]
fn a_refusal_is_respected_for_as_long_as_the_tenant_says() {
    let history = History {
        refused_at: Some(at(NOON) - 29 * DAY),
        ..fresh()
    };
    let under = |after_refusal| {
        says(
            NOON,
            MOBILE,
            &Policy {
                after_refusal,
                ..robots()
            },
            &history,
        )
    };
    assert_eq!(
        under(AfterRefusal::Wait { rest: 30 * DAY }),
        "refused until 2026-11-22 12:00"
    );
    assert_eq!(under(AfterRefusal::Wait { rest: 29 * DAY }), "allow");
    assert_eq!(under(AfterRefusal::Never), "refused");
    assert_eq!(under(AfterRefusal::Ignore), "allow");
}

#[test]
fn no_money_no_call() {
    let with = |balance| {
        noon(History {
            balance: Money(balance),
            ..fresh()
        })
    };
    assert_eq!(with(10), "allow");
    assert_eq!(with(9), "balance");
    assert_eq!(with(0), "balance");
    assert_eq!(with(-5), "balance");
    // A free rate asks for nothing, but not of a debtor.
    let free = Policy {
        first_charge: Money::ZERO,
        ..robots()
    };
    let history = |balance| History {
        balance: Money(balance),
        ..History::default()
    };
    assert_eq!(says(NOON, MOBILE, &free, &history(0)), "allow");
    assert_eq!(says(NOON, MOBILE, &free, &history(-1)), "balance");
    assert_eq!(
        detail(NOON, MOBILE, &robots(), &history(9)),
        "the balance of 0.09 does not cover the first interval of 0.10"
    );
}

#[test]
fn who_may_not_call_at_all() {
    let banned = Policy {
        banned: true,
        ..robots()
    };
    assert_eq!(says(NOON, MOBILE, &banned, &fresh()), "banned");
    let unapproved = Policy {
        caller_approved: false,
        ..robots()
    };
    assert_eq!(says(NOON, MOBILE, &unapproved, &fresh()), "caller_number");
}

#[test]
fn the_default_history_owns_nothing_and_so_may_dial_nothing() {
    assert_eq!(noon(History::default()), "balance");
}

/// Everything is wrong at once; mended one by one, the rules come up in their fixed order.
#[test]
fn the_first_rule_in_order_is_the_answer() {
    let night = "2026-10-01T23:00:00+08:00";
    let mut policy = Policy {
        banned: true,
        caller_approved: false,
        countries: vec![],
        premium: vec!["86".into()],
        max_attempts: Some(1),
        ..robots()
    };
    policy
        .tenant_hours
        .holidays
        .push("2026-10-01".parse().unwrap());
    let mut history = History {
        recent: vec![at(night); 3],
        last: Some(LastAttempt::unreached(at(night), Unreached::EmptyNumber)),
        attempts: 1,
        refused_at: Some(at(night)),
        dnc: vec![hit(DncList::Tenant, None)],
        in_flight: true,
        ..History::default()
    };
    type Mend = fn(&mut Policy, &mut History);
    let steps: [(&str, Mend); 16] = [
        ("banned", |p, _| p.banned = false),
        ("country", |p, _| p.countries = vec!["".into()]),
        ("premium_prefix", |p, _| p.premium.clear()),
        ("caller_number", |p, _| p.caller_approved = true),
        ("do_not_call", |_, h| h.dnc.clear()),
        ("empty_number", |_, h| {
            h.last = h
                .last
                .map(|last| LastAttempt::unreached(last.at, Unreached::Fax));
        }),
        ("not_retried", |_, h| {
            h.last = h
                .last
                .map(|last| LastAttempt::unreached(last.at, Unreached::Busy));
        }),
        ("attempts_exhausted", |p, _| p.max_attempts = Some(2)),
        ("refused", |_, h| h.refused_at = None),
        ("in_flight", |_, h| h.in_flight = false),
        ("retry_interval", |_, h| h.last = None),
        ("frequency", |_, h| h.recent.clear()),
        ("holiday", |p, _| p.tenant_hours.holidays.clear()),
        ("calling_window", |p, _| {
            p.calling_window = Calendar::always()
        }),
        ("tenant_hours", |p, _| p.tenant_hours = Calendar::always()),
        ("robot_hours", |p, _| p.robot_hours = Calendar::always()),
    ];
    for (rule, mend) in steps {
        let said = may_dial(at(night), &number(MOBILE), &policy, &history);
        assert_eq!(said.rule().map(Rule::code), Some(rule));
        mend(&mut policy, &mut history);
    }
    assert_eq!(says(night, MOBILE, &policy, &history), "balance");
    history.balance = Money(10);
    assert_eq!(says(night, MOBILE, &policy, &history), "allow");
}

#[test]
fn codes_are_stable_and_unique() {
    let codes: Vec<_> = Rule::ORDER.into_iter().map(Rule::code).collect();
    assert_eq!(
        codes.join(" "),
        "banned emergency_number short_number country premium_prefix caller_number do_not_call empty_number not_retried \
         attempts_exhausted refused in_flight retry_interval frequency holiday calling_window tenant_hours robot_hours balance"
    );
    for rule in Rule::ORDER {
        assert_eq!(Rule::from_code(rule.code()), Some(rule));
        assert_eq!(serde_json::to_value(rule).unwrap(), rule.code());
    }
}

#[test]
fn a_decision_and_its_grounds_can_be_kept() {
    let policy = robots();
    let history = History {
        refused_at: Some(at(NOON)),
        ..fresh()
    }
    .with_recent(vec![at(NOON)]);
    let decision = may_dial(at(NOON), &number(MOBILE), &policy, &history);
    let json = serde_json::to_value((&policy, &history, &decision)).unwrap();
    assert_eq!(json[2]["rule"], "refused");
    assert_eq!(
        json[0]["after_refusal"],
        serde_json::json!({"kind": "wait", "seconds": 2_592_000})
    );
    let (policy, history, kept): (Policy, History, Decision) =
        serde_json::from_value(json).unwrap();
    assert_eq!(may_dial(at(NOON), &number(MOBILE), &policy, &history), kept);
}
