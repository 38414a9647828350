//! Numbers that are no ordinary subscriber's, in every spelling.

use crate::told::*;
use dialer::*;

const NOON: &str = "2026-11-21T12:00:00+08:00";

fn kind(text: &str, country: &str) -> String {
    match Called::read(text, country) {
        Ok(Called::Emergency(digits)) => format!("emergency {digits}"),
        Ok(Called::Short(digits)) => format!("short {digits}"),
        Ok(Called::Number(number)) => number.to_string(),
        Err(_) => "refused".into(),
    }
}

#[test]
fn an_emergency_number_is_one_however_it_is_written() {
    for spelling in [
        "110",
        "1 1 0",
        "１１０",
        "+86110",
        "+86 110",
        "0086110",
        "86110",
        "tel:110",
        "1-1-0",
        "(110)",
    ] {
        assert_eq!(kind(spelling, "86"), "emergency 110", "{spelling}");
    }
    for (text, country, expected) in [
        ("119", "86", "emergency 119"),
        ("120", "86", "emergency 120"),
        ("122", "86", "emergency 122"),
        ("112", "44", "emergency 112"),
        ("999", "852", "emergency 999"),
        ("+852999", "852", "emergency 999"),
        ("911", "1", "emergency 911"),
        ("992", "852", "emergency 992"),
        ("992", "86", "short 992"),
        ("95588", "86", "short 95588"),
        ("+8695588", "86", "short 95588"),
        ("008610086", "86", "short 10086"),
        ("12345", "86", "short 12345"),
        ("0110", "86", "short 0110"),
        ("13800138000", "86", "+8613800138000"),
        ("4008001234", "86", "+864008001234"),
        ("02188886666", "86", "+862188886666"),
        ("91234567", "852", "+85291234567"),
        ("", "86", "refused"),
        ("+", "86", "refused"),
        ("+86", "86", "refused"),
        ("%2B86110", "86", "refused"),
        ("110;phone-context=+86", "86", "refused"),
        ("1380013800a", "86", "refused"),
    ] {
        assert_eq!(kind(text, country), expected, "{text} in {country}");
    }
}

#[test]
fn a_persons_emergency_call_is_never_refused_and_a_robots_always() {
    let broke = Policy {
        banned: true,
        caller_approved: false,
        ..person(Purpose::Emergency)
    };
    let ask = |policy: &Policy| {
        may_dial_special(SpecialKind::Emergency, "110", policy, &History::default())
    };
    assert_eq!(ask(&broke), Decision::Allow);
    for purpose in Purpose::ALL {
        let robot = Policy {
            purpose,
            ..robots()
        };
        assert_eq!(
            ask(&robot).rule(),
            Some(Rule::EmergencyNumber),
            "{purpose:?}"
        );
    }
}

#[test]
fn short_numbers_are_for_people_whose_tenant_lists_them() {
    let listed = Policy {
        short_numbers: vec!["10086".into()],
        ..person(Purpose::Service)
    };
    let ask = |digits: &str, policy: &Policy, history: &History| {
        may_dial_special(SpecialKind::Short, digits, policy, history)
            .rule()
            .map(Rule::code)
    };
    assert_eq!(ask("10086", &listed, &fresh()), None);
    assert_eq!(ask("95588", &listed, &fresh()), Some("short_number"));
    assert_eq!(ask("10086", &listed, &History::default()), Some("balance"));
    assert_eq!(
        ask(
            "10086",
            &Policy {
                banned: true,
                ..listed.clone()
            },
            &fresh()
        ),
        Some("banned")
    );
    let unapproved = Policy {
        caller_approved: false,
        ..listed.clone()
    };
    assert_eq!(ask("10086", &unapproved, &fresh()), Some("caller_number"));
    let robot = Policy {
        by: By::Robot,
        ..listed
    };
    assert_eq!(ask("10086", &robot, &fresh()), Some("short_number"));
}

#[test]
fn a_robot_reaches_no_emergency_desk_by_dialling_on() {
    let everywhere = Policy {
        countries: vec!["".into()],
        ..robots()
    };
    for callee in [
        "+861101234567",
        "+8612011112222",
        "+85299912345",
        "+19115550100",
        "+441120000000",
    ] {
        assert_eq!(
            says(NOON, callee, &everywhere, &fresh()),
            "emergency_number",
            "{callee}"
        );
        let person = Policy {
            by: By::Person,
            ..everywhere.clone()
        };
        assert_eq!(
            says(NOON, callee, &person, &fresh()),
            "short_number",
            "{callee}"
        );
    }
    // A service number that is long enough to look like a subscriber's.
    assert_eq!(
        says(NOON, "+8695588", &everywhere, &fresh()),
        "short_number"
    );
}

#[test]
fn a_listed_short_number_passes_in_its_long_spelling_too() {
    let listed = Policy {
        short_numbers: vec!["95588".into()],
        ..person(Purpose::Service)
    };
    assert_eq!(says(NOON, "+8695588", &listed, &fresh()), "allow");
    assert_eq!(says(NOON, "+8612345", &listed, &fresh()), "short_number");
}

#[test]
fn countries_are_allowed_one_by_one() {
    for (callee, expected) in [
        ("+8613800138000", "allow"),
        ("+85291234567", "allow"),
        ("+442079460000", "calling_window until 2026-11-21 17:00"),
        ("+14155550100", "country"),
        ("+85366123456", "country"),
        ("+886912345678", "country"),
        ("+18765550100", "country"),
    ] {
        assert_eq!(
            says(NOON, callee, &robots(), &fresh()),
            expected,
            "{callee}"
        );
    }
    let none = Policy {
        countries: vec![],
        ..robots()
    };
    assert_eq!(says(NOON, MOBILE, &none, &fresh()), "country");
    // One city only.
    let shanghai = Policy {
        countries: vec!["8621".into()],
        ..robots()
    };
    assert_eq!(says(NOON, "+862188886666", &shanghai, &fresh()), "allow");
    assert_eq!(says(NOON, MOBILE, &shanghai, &fresh()), "country");
}

#[test]
fn premium_and_satellite_numbers_stay_shut_in_every_spelling() {
    let everywhere = Policy {
        countries: vec!["".into()],
        ..person(Purpose::Service)
    };
    for callee in [
        "+881612345678",
        "00881612345678",
        "00 8816 1234 5678",
        "００８８１６１２３４５６７８",
        "+870773123456",
        "+8821612345678",
        "+97912345678",
        "+19005550100",
        "+449098790000",
        "+447012345678",
        "+8617401234567",
        "17401234567",
        "+85290012345678",
    ] {
        assert_eq!(
            says(NOON, callee, &everywhere, &fresh()),
            "premium_prefix",
            "{callee}"
        );
    }
    // Neighbours that look alike.
    for callee in [
        "+8617601234567",
        "+447911123456",
        "+85290112345",
        "+4990612345",
        "+886912345678",
    ] {
        assert_eq!(
            says(NOON, callee, &everywhere, &fresh()),
            "allow",
            "{callee}"
        );
    }
}
