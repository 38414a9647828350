//! Windows, hours, holidays, zones.

use crate::told::*;
use dialer::*;
use model::*;

fn holiday(date: &str) -> chrono::NaiveDate {
    date.parse().unwrap()
}

#[test]
fn a_shanghai_day_from_the_first_minute_to_the_last() {
    let say = |when: &str| says(when, MOBILE, &robots(), &fresh());
    assert_eq!(
        say("2026-11-21T08:59:59.999+08:00"),
        "calling_window until 2026-11-21 09:00"
    );
    assert_eq!(say("2026-11-21T09:00:00+08:00"), "allow");
    assert_eq!(say("2026-11-21T20:59:59.999+08:00"), "allow");
    assert_eq!(
        say("2026-11-21T21:00:00+08:00"),
        "calling_window until 2026-11-22 09:00"
    );
}

#[test]
fn a_londoner_called_from_shanghai_is_asked_by_both_clocks() {
    // Winter: Shanghai is eight hours ahead. 9 to 21 in both leaves London's 9:00 to 13:00.
    let say = |when: &str| {
        says_in(
            chrono_tz::Europe::London,
            when,
            "+442079460000",
            &robots(),
            &fresh(),
        )
    };
    assert_eq!(
        say("2026-01-15T08:00:00Z"),
        "calling_window until 2026-01-15 09:00"
    );
    assert_eq!(say("2026-01-15T09:00:00Z"), "allow");
    assert_eq!(
        say("2026-01-15T13:00:00Z"),
        "tenant_hours until 2026-01-16 09:00"
    );
    // The day the clocks go forward (2026-03-29) the common time starts an hour earlier by UTC and ends at 14:00.
    assert_eq!(
        say("2026-03-28T20:00:00Z"),
        "tenant_hours until 2026-03-29 09:00"
    );
    assert_eq!(say("2026-03-29T08:00:00Z"), "allow");
    assert_eq!(say("2026-03-29T12:59:00Z"), "allow");
    assert_eq!(
        say("2026-03-29T13:00:00Z"),
        "tenant_hours until 2026-03-30 09:00"
    );
    // And back (2026-10-25).
    assert_eq!(say("2026-10-24T08:00:00Z"), "allow");
    assert_eq!(
        say("2026-10-25T08:00:00Z"),
        "calling_window until 2026-10-25 09:00"
    );
    assert_eq!(say("2026-10-25T09:00:00Z"), "allow");
}

#[test]
fn hong_kong_keeps_its_own_holiday() {
    // The window is the callee's; Hong Kong's day off is put into a campaign for Hong Kong.
    let mut policy = robots();
    policy.calling_window.holidays.push(holiday("2026-07-01"));
    let say = |when: &str, callee: &str| says(when, callee, &policy, &fresh());
    assert_eq!(
        say("2026-07-01T10:00:00+08:00", "+85291234567"),
        "holiday until 2026-07-02 09:00"
    );
    assert_eq!(say("2026-06-30T10:00:00+08:00", "+85291234567"), "allow");
}

#[test]
fn a_holiday_is_a_date_where_the_callee_is() {
    // 25 December in London, already the 26th in Shanghai.
    let mut policy = robots();
    policy.tenant_hours = Calendar::always();
    policy.robot_hours = Calendar::always();
    policy.calling_window.holidays.push(holiday("2026-12-25"));
    let say = |when: &str, callee: &str| says(when, callee, &policy, &fresh());
    assert_eq!(
        say("2026-12-26T02:00:00+08:00", "+442079460000"),
        "holiday until 2026-12-26 17:00"
    );
    assert_eq!(say("2026-12-26T09:30:00+08:00", MOBILE), "allow");
    assert_eq!(
        say("2026-12-25T09:30:00+08:00", MOBILE),
        "holiday until 2026-12-26 09:00"
    );
}

#[test]
fn golden_week_is_waited_out() {
    let mut policy = robots();
    for day in 1..=7 {
        policy
            .tenant_hours
            .holidays
            .push(holiday(&format!("2026-10-0{day}")));
    }
    let say = |when: &str| says(when, MOBILE, &policy, &fresh());
    assert_eq!(
        say("2026-09-30T21:30:00+08:00"),
        "calling_window until 2026-10-08 09:00"
    );
    assert_eq!(
        say("2026-10-03T12:00:00+08:00"),
        "holiday until 2026-10-08 09:00"
    );
    assert_eq!(say("2026-10-08T09:00:00+08:00"), "allow");
}

#[test]
fn robots_that_work_at_night_meet_the_evening_of_the_callee() {
    // Robot hours over midnight, 18:00 to 02:00; the window still ends at 21:00.
    let policy = Policy {
        robot_hours: Calendar::daily(18 * 60, 2 * 60),
        ..robots()
    };
    let say = |when: &str| says(when, MOBILE, &policy, &fresh());
    assert_eq!(
        say("2026-11-21T12:00:00+08:00"),
        "robot_hours until 2026-11-21 18:00"
    );
    assert_eq!(say("2026-11-21T18:00:00+08:00"), "allow");
    assert_eq!(
        say("2026-11-22T01:00:00+08:00"),
        "calling_window until 2026-11-22 18:00"
    );
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_it_began_on() {
    // Friday night only: 22:00 to 02:00. Saturday 01:00 is still Friday's; Friday 01:00 is nobody's.
    let friday = Calendar {
        spans: vec![Span {
            day: Weekday::Fri,
            from: 22 * 60,
            to: 2 * 60,
        }],
        holidays: vec![holiday("2026-11-28")],
    };
    let policy = Policy {
        calling_window: friday,
        tenant_hours: Calendar::always(),
        robot_hours: Calendar::always(),
        ..robots()
    };
    let say = |when: &str| says(when, MOBILE, &policy, &fresh());
    assert_eq!(
        say("2026-11-20T01:00:00+08:00"),
        "calling_window until 2026-11-20 22:00"
    );
    assert_eq!(say("2026-11-21T01:59:00+08:00"), "allow");
    assert_eq!(
        say("2026-11-21T02:00:00+08:00"),
        "calling_window until 2026-11-27 22:00"
    );
    // 28 November is a holiday: what began the evening before runs out all the same.
    assert_eq!(say("2026-11-28T01:30:00+08:00"), "allow");
    assert_eq!(
        say("2026-11-28T12:00:00+08:00"),
        "holiday until 2026-12-04 22:00"
    );
}

#[test]
fn a_number_that_tells_no_zone_is_judged_in_the_tenants() {
    let policy = Policy {
        countries: vec!["1".into()],
        ..robots()
    };
    let say = |when: &str| says(when, "+14155550100", &policy, &fresh());
    assert_eq!(say("2026-11-21T10:00:00+08:00"), "allow");
    assert_eq!(
        say("2026-11-21T08:00:00+08:00"),
        "calling_window until 2026-11-21 09:00"
    );
}

#[test]
fn hours_that_never_meet_have_no_next_time() {
    let policy = Policy {
        robot_hours: Calendar::daily(0, 8 * 60),
        ..robots()
    };
    assert_eq!(
        says("2026-11-21T10:00:00+08:00", MOBILE, &policy, &fresh()),
        "robot_hours"
    );
    let nothing = Policy {
        tenant_hours: Calendar::default(),
        ..robots()
    };
    assert_eq!(
        says("2026-11-21T10:00:00+08:00", MOBILE, &nothing, &fresh()),
        "tenant_hours"
    );
}

#[test]
fn the_sentence_says_whose_clock() {
    assert_eq!(
        detail("2026-01-15T08:00:00Z", "+442079460000", &robots(), &fresh()),
        "it is 2026-01-15 08:00 GMT where the callee is, outside the calling window"
    );
    assert_eq!(
        detail("2026-01-15T13:00:00Z", "+442079460000", &robots(), &fresh()),
        "it is 2026-01-15 21:00 CST, outside the enterprise's hours"
    );
}

#[test]
fn a_retry_due_at_night_is_due_in_the_morning() {
    let history = History {
        last: Some(LastAttempt::unreached(
            at("2026-11-21T20:00:00+08:00"),
            Unreached::NoAnswer,
        )),
        attempts: 1,
        ..fresh()
    };
    // Two hours after 20:00 the window is shut.
    assert_eq!(
        says("2026-11-21T20:30:00+08:00", MOBILE, &robots(), &history),
        "retry_interval until 2026-11-22 09:00"
    );
}
