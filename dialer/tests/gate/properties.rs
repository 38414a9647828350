//! What must hold whatever is asked.

use crate::told::*;
use dialer::*;
use model::*;
use proptest::prelude::*;

fn calendar() -> impl Strategy<Value = Calendar> {
    let days = prop::sample::select(vec![Weekday::Mon, Weekday::Wed, Weekday::Fri, Weekday::Sun]);
    let span = (days, 0u16..24, 1u16..=24)
        .prop_filter("not empty", |(_, from, to)| from != to)
        .prop_map(|(day, from, to)| Span {
            day,
            from: from * 60,
            to: to * 60,
        });
    let usual = Just(Calendar::daily(9 * 60, 21 * 60));
    let odd = prop::collection::vec(span, 1..6).prop_map(|spans| Calendar {
        spans,
        holidays: vec!["2026-03-30".parse().unwrap(), "2026-10-26".parse().unwrap()],
    });
    prop_oneof![2 => usual, 1 => Just(Calendar::always()), 3 => odd]
}

prop_compose! {
    fn policy()(
        calling_window in calendar(),
        tenant_hours in calendar(),
        robot_hours in calendar(),
        caps in prop::collection::vec((1u32..4, 1u64..72), 0..3),
        rest in 0u32..20,
        most in 1u32..5,
    ) -> Policy {
        let caps = caps.into_iter();
        Policy {
            calling_window,
            tenant_hours,
            robot_hours,
            frequency: caps.map(|(calls, hours)| FrequencyCap { calls, within: HOUR * hours as u32 }).collect(),
            after_refusal: AfterRefusal::Wait { rest: DAY * rest },
            max_attempts: Some(most),
            ..robots()
        }
    }
}

/// Hours around the two changes of London's clocks.
fn moment() -> impl Strategy<Value = Wall> {
    (prop::bool::ANY, 0i64..20 * 24 * 60).prop_map(|(spring, minutes)| {
        let start = at(if spring {
            "2026-03-20T00:00:00Z"
        } else {
            "2026-10-15T00:00:00Z"
        });
        Wall(start.0 + minutes * 60_000)
    })
}

fn history(now: Wall) -> impl Strategy<Value = History> {
    let ago = move |hours: u32| now - HOUR * hours;
    let causes = prop::sample::select(vec![Unreached::Busy, Unreached::NoAnswer, Unreached::Fax]);
    let last = prop::option::of((0u32..30, causes));
    (
        prop::collection::vec(0u32..100, 0..5),
        last,
        0u32..5,
        prop::option::weighted(0.2, 0u32..600),
        prop::option::weighted(0.2, 0u32..400),
    )
        .prop_map(move |(recent, last, attempts, refused, dnc)| {
            let until = |hours| now - 100 * HOUR + HOUR * hours;
            History {
                last: last.map(|(hours, cause)| LastAttempt::unreached(ago(hours), cause)),
                attempts,
                refused_at: refused.map(ago),
                dnc: dnc
                    .map(|hours| DncHit {
                        list: DncList::Tenant,
                        until: Some(until(hours)),
                    })
                    .into_iter()
                    .collect(),
                ..fresh()
            }
            .with_recent(recent.into_iter().map(ago).collect())
        })
}

fn asked() -> impl Strategy<Value = (Wall, Policy, History, E164)> {
    let callee = prop::sample::select(vec![MOBILE, "+442079460000", "+85291234567"]);
    moment().prop_flat_map(move |now| {
        (
            Just(now),
            policy(),
            history(now),
            callee.clone().prop_map(number),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// The next time is after now, is really allowed if nothing happens until then, and nothing earlier is.
    #[test]
    fn the_next_time_is_the_first_allowed((now, policy, history, callee) in asked()) {
        let decision = may_dial(now, &callee, &policy, &history);
        if let Decision::Deny { next: Some(next), .. } = &decision {
            prop_assert!(*next > now);
            prop_assert_eq!(may_dial(*next, &callee, &policy, &history), Decision::Allow);
            // A minute before, an hour before, halfway.
            let between = next.0 - now.0;
            for earlier in [60_000, 3_600_000, between / 2, between / 3] {
                if earlier > 0 && earlier <= between {
                    let before = Wall(next.0 - earlier);
                    prop_assert_ne!(may_dial(before, &callee, &policy, &history), Decision::Allow);
                }
            }
        }
        prop_assert_eq!(&decision, &may_dial(now, &callee, &policy, &history), "pure");
    }

    /// An independent reading of what an allowed robot call may never be.
    #[test]
    fn an_allowed_call_breaks_no_rule((now, policy, history, callee) in asked()) {
        if may_dial(now, &callee, &policy, &history) == Decision::Allow {
            prop_assert!(history.dnc.iter().all(|hit| hit.until.is_some_and(|until| until <= now)));
            prop_assert!(policy.calling_window.open(now, callee.zone().unwrap()));
            prop_assert!(policy.tenant_hours.open(now, SHANGHAI));
            prop_assert!(policy.robot_hours.open(now, SHANGHAI));
            for cap in &policy.frequency {
                let counted = history.recent.iter().filter(|t| now.since(**t) < cap.within).count();
                prop_assert!(counted < cap.calls as usize);
            }
            prop_assert!(history.attempts < policy.max_attempts.unwrap());
            let last = history.last.map(|last| (last.at, last.disposition));
            if let Some((ended, Disposition::Unreached(cause))) = last {
                let wait = policy.retry.unwrap().interval(cause);
                prop_assert!(wait.is_some_and(|wait| now.since(ended) >= wait));
            }
        }
    }
}
