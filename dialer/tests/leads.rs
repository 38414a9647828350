//! A lead from the list to its end: the graph of its states, what attempts and denials make of it, how many are dialled at once.

use dialer::outcome::{
    ASK_AGAIN, ASK_AGAIN_CLOSED, Before, after_attempt, after_denial, unreached_in_a_row,
};
use dialer::*;
use model::*;
use std::time::Duration;

const NOW: Wall = Wall::from_millis(1_800_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

fn id<T: From<model::id::Uuid>>(n: u128) -> T {
    T::from(model::id::Uuid::from_u128(n))
}

fn campaign() -> Campaign {
    let zone = chrono_tz::Asia::Shanghai;
    Campaign::draft(id(1), id(2), "spring", id(3), id(4), id(5), zone)
}

#[test]
fn the_graph_is_exactly_this() {
    use LeadStateKind::*;
    let graph = [
        (Listed, vec![Queued, Suppressed]),
        (Queued, vec![Listed, Claimed, Suppressed]),
        (
            Claimed,
            vec![Listed, Queued, Dialling, Retry, Suppressed, Exhausted],
        ),
        (Dialling, vec![Queued, Retry, Done, Suppressed, Exhausted]),
        (Retry, vec![Listed, Queued, Claimed, Suppressed, Exhausted]),
        (Done, vec![Listed, Queued, Suppressed]),
        (Suppressed, vec![Listed, Queued]),
        (Exhausted, vec![Listed, Queued, Suppressed]),
    ];
    for (from, to) in graph {
        let legal: Vec<_> = LeadStateKind::ALL
            .into_iter()
            .filter(|next| from.may_become(*next))
            .collect();
        assert_eq!(legal, to, "{from:?}");
        assert_eq!(LeadStateKind::from_code(from.code()), Some(from));
    }
}

#[test]
fn only_an_attempt_reaches_a_person_and_only_a_claim_begins_one() {
    use LeadStateKind::*;
    for from in LeadStateKind::ALL {
        assert_eq!(from.may_become(Done), from == Dialling, "{from:?}");
        assert_eq!(from.may_become(Dialling), from == Claimed, "{from:?}");
        assert_eq!(from.may_become(Claimed), from.waits(), "{from:?}");
        assert!(!from.may_become(from), "{from:?}");
        // An opt-out stops whatever is not live.
        assert!(from == Suppressed || from.may_become(Suppressed));
        if from.is_final() {
            assert!(!from.may_become(Retry) && !from.may_become(Claimed));
        }
    }
}

fn after(before: (u32, u32), disposition: Disposition, grade: Grade) -> LeadUpdate {
    let before = Before {
        attempts: before.0,
        unreached_in_a_row: before.1,
    };
    let plan = campaign();
    after_attempt(
        plan.max_attempts,
        &plan.retry,
        before,
        disposition,
        grade,
        false,
        NOW,
    )
}

#[test]
fn three_times_unanswered_is_the_end() {
    let no_answer = Disposition::Unreached(Unreached::NoAnswer);
    let first = after((0, 0), no_answer, Grade::E);
    assert_eq!(
        first.state,
        LeadState::Retry {
            due: NOW + 120 * MINUTE
        }
    );
    assert_eq!(
        (first.attempts, first.unreached_in_a_row, first.due()),
        (1, 1, first.state.due())
    );
    let second = after((1, 1), no_answer, Grade::E);
    assert_eq!(second.state.kind(), LeadStateKind::Retry);
    let third = after((2, 2), no_answer, Grade::F);
    assert_eq!(third.state, LeadState::Exhausted { grade: Grade::F });
    assert_eq!((third.attempts, third.unreached_in_a_row), (3, 3));
}

#[test]
fn an_empty_number_is_never_dialled_again() {
    let update = after(
        (0, 0),
        Disposition::Unreached(Unreached::EmptyNumber),
        Grade::F,
    );
    assert_eq!(update.state, LeadState::Exhausted { grade: Grade::F });
    let always = RetryRules::every(MINUTE);
    assert_eq!(
        always.interval(Unreached::EmptyNumber),
        None,
        "no setting retries it"
    );
}

#[test]
fn a_live_person_ends_the_row_whatever_was_said() {
    for grade in [Grade::A, Grade::D] {
        let update = after((1, 2), Disposition::Answered, grade);
        assert_eq!(update.state, LeadState::Done { grade });
        assert_eq!((update.attempts, update.unreached_in_a_row), (2, 0));
    }
}

#[test]
fn our_own_faults_count_as_attempts_but_say_nothing_of_the_callee() {
    for disposition in [Disposition::Cancelled, Disposition::Interrupted] {
        let update = after((0, 2), disposition, Grade::E);
        assert_eq!(
            update.state,
            LeadState::Retry {
                due: NOW + 10 * MINUTE
            }
        );
        assert_eq!((update.attempts, update.unreached_in_a_row), (1, 2));
    }
    let refused = after((1, 2), Disposition::Refused, Grade::E);
    assert_eq!(refused.state, LeadState::Queued);
    assert_eq!(
        (refused.attempts, refused.unreached_in_a_row),
        (1, 2),
        "nothing left the house"
    );
    assert_eq!(
        unreached_in_a_row(u32::MAX, Disposition::Unreached(Unreached::Busy)),
        u32::MAX
    );
}

#[test]
fn who_asks_to_be_left_alone_is() {
    let plan = campaign();
    let update = after_attempt(
        plan.max_attempts,
        &plan.retry,
        Before::default(),
        Disposition::Answered,
        Grade::D,
        true,
        NOW,
    );
    assert_eq!(
        update.state,
        LeadState::Suppressed {
            rule: Rule::DoNotCall
        }
    );
}

#[test]
fn every_outcome_is_a_legal_step_from_dialling() {
    let dialling = LeadState::Dialling { call: id(9) };
    let causes = [
        Unreached::Busy,
        Unreached::Rejected,
        Unreached::NoAnswer,
        Unreached::EmptyNumber,
        Unreached::SwitchedOff,
        Unreached::Machine,
        Unreached::CallAssistant,
        Unreached::Fax,
        Unreached::Network,
    ];
    let mut all: Vec<_> = causes.into_iter().map(Disposition::Unreached).collect();
    all.extend([Disposition::Answered, Disposition::Cancelled]);
    all.extend([Disposition::Refused, Disposition::Interrupted]);
    for disposition in all {
        for before in [(0, 0), (1, 1), (2, 2), (9, 9)] {
            let update = after(before, disposition, Grade::E);
            assert!(
                dialling.may_become(&update.state),
                "{disposition:?} {update:?}"
            );
            assert!(update.due().is_none_or(|due| due > NOW), "{update:?}");
        }
    }
}

#[test]
fn a_denial_puts_the_lead_where_the_rule_says() {
    let denied = |rule, next| Decision::Deny {
        rule,
        next,
        detail: String::new(),
    };
    let tomorrow = NOW + Duration::from_secs(86_400);
    let state = |decision: &Decision, grade| after_denial(decision, grade, NOW);
    assert_eq!(state(&Decision::Allow, None), None);
    assert_eq!(
        state(&denied(Rule::CallingWindow, Some(tomorrow)), None),
        Some(LeadState::Retry { due: tomorrow })
    );
    assert_eq!(
        state(&denied(Rule::DoNotCall, Some(tomorrow)), None),
        Some(LeadState::Retry { due: tomorrow }),
        "an entry that expires"
    );
    for rule in [
        Rule::DoNotCall,
        Rule::Country,
        Rule::PremiumPrefix,
        Rule::Refused,
    ] {
        assert_eq!(
            state(&denied(rule, None), None),
            Some(LeadState::Suppressed { rule })
        );
    }
    assert_eq!(
        state(&denied(Rule::AttemptsExhausted, None), Some(Grade::F)),
        Some(LeadState::Exhausted { grade: Grade::F })
    );
    for rule in [
        Rule::Balance,
        Rule::InFlight,
        Rule::CallerNumber,
        Rule::Banned,
    ] {
        assert_eq!(
            state(&denied(rule, None), None),
            Some(LeadState::Retry {
                due: NOW + ASK_AGAIN
            }),
            "{rule:?}"
        );
    }
    assert_eq!(
        state(&denied(Rule::RobotHours, None), None),
        Some(LeadState::Retry {
            due: NOW + ASK_AGAIN_CLOSED
        }),
        "hours that never meet"
    );
    for rule in Rule::ORDER {
        for next in [None, Some(tomorrow)] {
            let next = state(&denied(rule, next), Some(Grade::E)).unwrap();
            assert!(LeadState::Claimed.may_become(&next), "{rule:?} {next:?}");
        }
    }
}

#[test]
fn a_campaign_is_checked_before_it_runs() {
    assert_eq!(campaign().check(), Ok(()));
    type Break = fn(&mut Campaign);
    let broken: [(CampaignError, Break); 10] = [
        (CampaignError::NoName, |c| c.name = "  ".into()),
        (CampaignError::NoLines, |c| c.lines = 0),
        (CampaignError::NoAttempts, |c| c.max_attempts = 0),
        (CampaignError::NoUnconnected, |c| c.unconnected = 0),
        (CampaignError::RingTimeout, |c| {
            c.ring_timeout = Duration::from_secs(14)
        }),
        (CampaignError::MaxDuration, |c| {
            c.max_duration = Duration::from_secs(5 * 3600)
        }),
        (CampaignError::RobotHours, |c| {
            c.robot_hours = Calendar::daily(600, 600)
        }),
        (CampaignError::CallingWindow, |c| {
            c.calling_window = Calendar::daily(600, 1500)
        }),
        (CampaignError::NeverOpen, |c| {
            c.robot_hours = Calendar::default()
        }),
        (CampaignError::RetryTooSoon, |c| {
            c.retry.busy = Some(Duration::from_millis(999))
        }),
    ];
    for (error, damage) in broken {
        let mut plan = campaign();
        damage(&mut plan);
        assert_eq!(plan.check(), Err(error));
    }
}

#[test]
fn a_campaign_starts_pauses_and_ends() {
    use CampaignState::*;
    let legal = [
        (Draft, Running),
        (Running, Paused),
        (Running, Finished),
        (Paused, Running),
        (Paused, Finished),
        (Finished, Running),
    ];
    for from in CampaignState::ALL {
        for to in CampaignState::ALL {
            assert_eq!(
                from.may_become(to),
                legal.contains(&(from, to)),
                "{from:?} {to:?}"
            );
        }
        assert_eq!(CampaignState::from_code(from.code()), Some(from));
    }
}

#[test]
fn what_is_served_says_its_units() {
    let mut plan = campaign();
    plan.state = CampaignState::Running;
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["ring_timeout_seconds"], 30);
    assert_eq!(json["retry"]["busy_seconds"], 900);
    assert_eq!(json["retry"]["fax_seconds"], serde_json::Value::Null);
    assert_eq!(
        (&json["state"], &json["mode"]),
        (&"running".into(), &"robot".into())
    );
    assert_eq!(json["zone"], "Asia/Shanghai");
    assert_eq!(serde_json::from_value::<Campaign>(json).unwrap(), plan);

    let states = [
        (LeadState::Queued, serde_json::json!({"kind": "queued"})),
        (
            LeadState::Retry { due: Wall(5) },
            serde_json::json!({"kind": "retry", "due": 5}),
        ),
        (
            LeadState::Suppressed {
                rule: Rule::DoNotCall,
            },
            serde_json::json!({"kind": "suppressed", "rule": "do_not_call"}),
        ),
        (
            LeadState::Done { grade: Grade::A },
            serde_json::json!({"kind": "done", "grade": "A"}),
        ),
    ];
    for (state, expected) in states {
        assert_eq!(serde_json::to_value(state).unwrap(), expected);
        assert_eq!(
            serde_json::from_value::<LeadState>(expected).unwrap(),
            state
        );
    }
}

#[test]
fn the_tightest_limit_decides_and_says_its_name() {
    use pacing::Limit;
    let lines = |campaign, tenant, trunk, starts, recognition| Lines {
        campaign,
        tenant,
        trunk,
        starts,
        recognition,
    };
    let in_use = InUse {
        campaign: 2,
        tenant: 5,
        trunk: 8,
        robots: 6,
    };
    let table = [
        (lines(10, None, None, None, None), 8, Limit::Campaign),
        (lines(10, Some(6), None, None, None), 1, Limit::Tenant),
        (lines(10, Some(20), Some(12), None, None), 4, Limit::Trunk),
        (
            lines(10, Some(20), Some(30), Some(3), None),
            3,
            Limit::CallsPerSecond,
        ),
        (
            lines(10, Some(20), Some(30), Some(9), Some(8)),
            2,
            Limit::Recognition,
        ),
        (lines(2, None, None, None, None), 0, Limit::Campaign),
        // More in use than allowed, after a limit was lowered.
        (lines(10, Some(1), None, None, None), 0, Limit::Tenant),
        (
            lines(1_000_000, None, None, None, None),
            u16::MAX,
            Limit::Campaign,
        ),
    ];
    for (lines, free, bound_by) in table {
        assert_eq!(
            free_lines(&lines, &in_use),
            Free {
                lines: free,
                bound_by
            },
            "{lines:?}"
        );
    }
}

#[test]
fn no_second_begins_more_calls_than_the_trunk_takes() {
    let at = Mono::from_millis;
    let mut rate = StartRate::new(3);
    for ms in [0, 100, 900] {
        assert!(rate.allowed(at(ms)) > Some(0));
        rate.started(at(ms));
    }
    assert_eq!(rate.allowed(at(999)), Some(0));
    assert_eq!(rate.next_free(), Some(at(1000)));
    assert_eq!(rate.allowed(at(1000)), Some(1));
    rate.started(at(1000));
    assert_eq!(
        (rate.allowed(at(1099)), rate.next_free()),
        (Some(0), Some(at(1100)))
    );
    assert_eq!(rate.allowed(at(5000)), Some(3));
    assert_eq!(rate.next_free(), None);
    let mut free = StartRate::new(0);
    free.started(at(0));
    assert_eq!((free.allowed(at(0)), free.next_free()), (None, None));
}
