//! Where each lead stands, and that it ends with exactly one result, the one its attempts call for.

use super::{Barred, Law, Record, Verdict, dialer::Rules, must};
use dialer::{Lead, LeadState, LeadStateKind};
use model::*;
use std::collections::HashMap;

#[derive(Default)]
pub(super) struct Leads {
    stories: HashMap<LeadId, Story>,
}

#[derive(Default)]
struct Story {
    state: Option<LeadStateKind>,
    /// Final states reached.
    results: u32,
    /// Attempts that count.
    attempts: u32,
    in_a_row: u32,
    last: Option<(Disposition, Option<Grade>)>,
    /// Of any attempt before.
    grade: Option<Grade>,
}

fn law(holds: bool, rule: &'static str, what: impl FnOnce() -> String) -> Verdict {
    must(holds, Law::Leads, rule, what)
}

/// From where to where, while a campaign runs and nobody touches the list.
fn along(from: LeadStateKind, to: LeadStateKind) -> bool {
    use LeadStateKind::*;
    match from {
        Queued | Retry => matches!(to, Claimed | Suppressed | Queued | Retry),
        Claimed => matches!(to, Dialling | Queued | Retry | Suppressed | Exhausted),
        Dialling => matches!(to, Done | Retry | Exhausted | Suppressed | Queued),
        Listed => matches!(to, Queued),
        Done | Suppressed | Exhausted => false,
    }
}

impl Leads {
    pub fn placed(&mut self, lead: LeadId, state: &LeadState) -> Verdict {
        let story = self.stories.entry(lead).or_default();
        let kind = state.kind();
        let from = story.state.replace(kind).unwrap_or(LeadStateKind::Queued);
        story.results += u32::from(kind.is_final());
        law(along(from, kind), "states along the graph", || {
            format!("lead {lead} goes from {} to {}", from.code(), kind.code())
        })
    }

    pub fn recorded(&mut self, record: &Record) {
        let Some(lead) = record.lead else { return };
        let story = self.stories.entry(lead).or_default();
        match record.disposition {
            // Nothing left: it does not count.
            Disposition::Refused => return,
            Disposition::Answered => story.in_a_row = 0,
            Disposition::Unreached(_) => story.in_a_row += 1,
            Disposition::Cancelled | Disposition::Interrupted => {}
        }
        story.attempts += 1;
        story.last = Some((record.disposition, record.grade));
        story.grade = record.grade.or(story.grade);
    }

    /// What a lead's own story must have led to.
    pub fn result(&mut self, lead: &Lead, campaign: Option<&Rules>, barred: Barred) -> Verdict {
        let Some(rules) = campaign else { return Ok(()) };
        let story = self.stories.entry(lead.id).or_default();
        let results = story.results;
        let told = |what: &str| {
            format!(
                "lead {} to {} is {:?}: {what}",
                lead.id, lead.number, lead.state
            )
        };
        let waits = matches!(lead.state, LeadState::Retry { .. });
        // Put off to another day by a refusal on the same number elsewhere.
        if waits && barred.refused {
            return Ok(());
        }
        law(results == 1, "exactly one result", || {
            told(&format!("{results} results"))
        })?;
        let spent = story.attempts >= rules.max_attempts;
        let unreached = |cause: Unreached, grade: Option<Grade>| {
            let empty = cause == Unreached::EmptyNumber;
            let due = match empty || story.in_a_row >= rules.unconnected {
                true => Grade::F,
                false => Grade::E,
            };
            let never = rules.wait(cause).is_none();
            (spent || never) && grade == Some(due)
        };
        let legal = match (lead.state, story.last) {
            (LeadState::Done { grade }, Some((Disposition::Answered, given))) => {
                given == Some(grade) && grade <= Grade::D
            }
            // Interrupted, and had refused by then.
            (LeadState::Done { grade: Grade::D }, Some((Disposition::Interrupted, given))) => {
                given == Some(Grade::D) && barred.refused
            }
            (LeadState::Exhausted { grade }, Some((Disposition::Unreached(cause), given))) => {
                (unreached(cause, given) || barred.empty) && Some(grade) == given
            }
            (
                LeadState::Exhausted { grade },
                Some((Disposition::Cancelled | Disposition::Interrupted, _)),
            ) => spent && grade == story.grade.unwrap_or(Grade::E),
            (LeadState::Suppressed { rule }, _) => barred.explains(rule),
            _ => false,
        };
        law(legal, "the result its attempts call for", || {
            told(&format!(
                "{} attempts, the last {:?}",
                story.attempts, story.last
            ))
        })
    }
}
