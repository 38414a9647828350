//! Books kept wrong on purpose: the judge sees it, and the story that is left is short.

use simulation::log::Log;
use simulation::shop::Flaw;
use simulation::shrink::{Found, shrink};
use simulation::{Law, Options, Plan, play, told};

/// The first seed that shows a flaw, as small as it gets.
fn found(flaw: Flaw) -> Found {
    for seed in 1..200 {
        let mut plan = Plan::draw(&Options::new(60, seed));
        plan.flaw = Some(flaw);
        if play(&plan, Log::Nowhere).violation.is_some() {
            let found = shrink(&plan).expect("it fails again");
            assert_eq!(
                shrink(&plan).map(|again| again.plan),
                Some(found.plan.clone())
            );
            println!("{}", told::story(&found));
            return found;
        }
    }
    panic!("nobody sees {flaw:?}");
}

#[test]
fn a_charge_too_much_shrinks_to_one_call() {
    let found = found(Flaw::ChargesTwice);
    assert_eq!(found.violation.law, Law::Money);
    assert_eq!(found.plan.leads.len(), 1);
    assert!(found.plan.troubles.is_empty() && found.plan.kills.is_empty());
    let story = told::story(&found);
    assert!(story.lines().count() < 40, "{story}");
    assert!(story.contains("answers after"), "{story}");
}

#[test]
fn spacing_that_is_forgotten_shrinks_to_one_callee_who_was_not_reached() {
    let found = found(Flaw::ForgetsSpacing);
    assert_eq!(
        (found.violation.law, found.violation.rule),
        (Law::Dialer, "spacing holds")
    );
    assert_eq!(found.plan.leads.len(), 1);
    assert!(found.plan.troubles.is_empty() && found.plan.kills.is_empty());
}

#[test]
fn a_claim_that_is_forgotten_shrinks_to_one_lead_and_the_trouble_that_did_it() {
    let found = found(Flaw::ForgetsClaims);
    assert_eq!(found.violation.law, Law::Leads);
    assert_eq!((found.plan.leads.len(), found.plan.troubles.len()), (1, 1));
    let story = told::story(&found);
    assert!(
        story.contains("the database commits and says it did not"),
        "{story}"
    );
}
