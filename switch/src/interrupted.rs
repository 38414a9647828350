//! The end of a call whose process is gone: what is known of it, and the record that follows from that. One pure answer, for
//! recovery and for the simulation.
//!
//! An answered call lasted until the last beat of its process. It is charged for that long by the rate it was begun with, at
//! least for a moment and never beyond its reservation. Its lead was dialled: the attempt counts, and who had refused by then
//! is not asked again. A call that was over ended as it ended.

use crate::effect::{Begin, CallEvent, Finish, LeadTerms, Noted};
use billing::Rate;
use bots::grade::{Outcome, SubReason};
use bots::{GradeRecord, TurnRecord};
use model::*;
use serde_json::json;
use std::time::Duration;

/// An answered call was answered for some time, however short.
const MOMENT: Duration = Duration::from_millis(1);

const TEXT: &str = "the engine stopped during the call";

/// How such a call ended.
pub fn termination() -> Termination {
    Termination {
        by: EndedBy::System,
        sip_code: None,
        q850: None,
        text: TEXT.to_owned(),
    }
}

/// What is known of a call, from its attempt and from what was noted of it, in whatever order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    base: Option<Base>,
    recording: Option<String>,
    turns: Vec<TurnRecord>,
    over: Option<Box<Finish>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Base {
    /// As if it were cut at its beginning or at its answer.
    cdr: Cdr,
    reserved: Money,
    rate: Option<Rate>,
    /// On the clock of its run.
    answered: Option<Mono>,
    lead: Option<Box<LeadTerms>>,
}

impl Known {
    /// An attempt on it was begun. `lead`: for a robot's call.
    pub fn begun(&mut self, begin: &Begin, lead: Option<LeadTerms>) {
        let cdr = Cdr {
            id: begin.call,
            tenant: begin.tenant,
            direction: begin.direction,
            caller: begin.caller.clone(),
            callee: begin.callee.clone(),
            campaign: begin.campaign,
            lead: begin.lead,
            extension: begin.extension,
            trunk: begin.trunk,
            started_at: begin.at,
            ringing_at: None,
            answered_at: None,
            ended_at: begin.at,
            disposition: Disposition::Interrupted,
            termination: termination(),
            talk_ms: 0,
            charge: Money::ZERO,
            recording: None,
            customer_stats: None,
        };
        // Its answer says more.
        self.base.get_or_insert(Base {
            cdr,
            reserved: Money::ZERO,
            rate: None,
            answered: None,
            lead: lead.map(Box::new),
        });
    }

    /// Takes a note in; the same note twice is one.
    pub fn note(&mut self, noted: Noted) {
        match noted {
            Noted::Recording { file } => self.recording = Some(file),
            Noted::Turn(turn) => {
                if let Err(at) = self.turns.binary_search_by_key(&turn.index, |t| t.index) {
                    self.turns.insert(at, turn);
                }
            }
            Noted::Over(finish) => self.over = Some(finish),
            Noted::Answered {
                cdr,
                reserved,
                rate,
                mono,
                lead,
            } => {
                let answered = Some(mono);
                self.base = Some(Base {
                    cdr,
                    reserved,
                    rate,
                    answered,
                    lead,
                });
            }
        }
    }

    /// The file it is recorded into.
    pub fn recording(&self) -> Option<&str> {
        let over = self
            .over
            .as_ref()
            .and_then(|over| over.cdr.recording.as_deref());
        over.or(self.recording.as_deref())
    }

    /// That file is not there.
    pub fn forget_recording(&mut self) {
        self.recording = None;
        if let Some(over) = &mut self.over {
            over.cdr.recording = None;
        }
    }

    /// Its end: as it was, when it was over; else interrupted at `last_beat`, when its process was last known to live (on
    /// the clock of that run). `now`: the wall clock, which its lead waits by. `None`: nothing but scraps is known.
    pub fn end(self, last_beat: Mono, now: Wall) -> Option<Finish> {
        if let Some(over) = self.over {
            return Some(*over);
        }
        let Base {
            mut cdr,
            reserved,
            rate,
            answered,
            lead,
        } = self.base?;
        if let Some(answered) = answered {
            let talk = last_beat.since(answered);
            cdr.talk_ms = talk.as_millis() as u64;
            cdr.ended_at = cdr.answered_at.unwrap_or(cdr.started_at) + talk;
            cdr.charge = rate.map_or(Money::ZERO, |rate| {
                billing::charge(&rate, talk.max(MOMENT)).min(reserved)
            });
        }
        cdr.recording = self.recording;
        let grade = lead.as_ref().and_then(|lead| refusal(lead, &self.turns));
        let lead = lead.map(|terms| match &grade {
            // Interrupted or not, who refused is not asked again.
            Some(record) => terms.after(Disposition::Answered, Some(record.grade), false, now),
            None => terms.after(Disposition::Interrupted, None, false, now),
        });
        let event = CallEvent {
            at: cdr.ended_at,
            kind: "ended".into(),
            data: json!({ "by": cdr.termination.by, "text": cdr.termination.text }),
        };
        Some(Finish {
            cdr,
            reserved,
            turns: self.turns,
            grade,
            labels: Vec::new(),
            lead,
            opt_out: false,
            events: vec![event],
        })
    }
}

/// The grade of what was said so far, when it is a refusal. Of anything else the last word may not have been said.
fn refusal(lead: &LeadTerms, turns: &[TurnRecord]) -> Option<GradeRecord> {
    let outcome = Outcome {
        reached: Ok(bots::grade::count(turns)),
        unreached_in_a_row: 0,
    };
    let record = bots::grade::grade_turns(&lead.rules, &outcome, turns);
    (record.sub_reason == Some(SubReason::Refusal)).then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Note;
    use bots::{Decision, MatchKind, Matched, Speaker};
    use dialer::{LeadState, RetryRules};
    use model::id::Uuid;

    fn begin() -> Begin {
        Begin {
            call: CallId(Uuid::from_u128(1)),
            tenant: TenantId(Uuid::from_u128(2)),
            direction: Direction::Robot,
            campaign: None,
            lead: None,
            extension: None,
            trunk: None,
            caller: "02188886666".into(),
            callee: "+8613800138000".into(),
            at: Wall(1_000_000),
            reserve: None,
        }
    }

    fn begun() -> Known {
        let mut known = Known::default();
        known.begun(&begin(), None);
        known
    }

    fn answered(reserved: i64, lead: Option<LeadTerms>) -> Noted {
        let mut cdr = begun().end(Mono::ZERO, Wall(0)).unwrap().cdr;
        cdr.answered_at = Some(Wall(1_005_000));
        cdr.ended_at = Wall(1_005_000);
        Noted::Answered {
            cdr,
            reserved: Money(reserved),
            rate: Some(Rate::per_minute(Currency::Cny, Money(10))),
            mono: Mono::from_millis(500_000),
            lead: lead.map(Box::new),
        }
    }

    fn cut_after(ms: u64, reserved: i64) -> Cdr {
        let mut known = begun();
        known.note(answered(reserved, None));
        let end = known.end(Mono::from_millis(500_000 + ms), Wall(2_000_000));
        end.unwrap().cdr
    }

    #[test]
    fn it_is_charged_to_the_last_beat_within_its_reservation() {
        let cut = cut_after(61_000, 100);
        assert_eq!((cut.charge, cut.talk_ms), (Money(20), 61_000));
        assert_eq!(cut.ended_at, Wall(1_066_000));
        assert_eq!(cut.disposition, Disposition::Interrupted);
        assert_eq!(cut_after(61_000, 15).charge, Money(15));
        // Before its first beat: it was answered all the same.
        let cut = cut_after(0, 100);
        assert_eq!((cut.charge, cut.talk_ms), (Money(10), 0));
    }

    #[test]
    fn what_nobody_answered_costs_nothing() {
        let end = begun().end(Mono::from_millis(9_000_000), Wall(0)).unwrap();
        assert_eq!((end.cdr.charge, end.cdr.talk_ms), (Money::ZERO, 0));
        assert_eq!(end.cdr.answered_at, None);
    }

    #[test]
    fn notes_count_once_and_in_any_order() {
        let mut known = Known::default();
        let file = "a.wav".to_owned();
        known.note(Noted::Recording { file });
        for index in [1, 0, 1] {
            known.note(Noted::Turn(refused(index)));
        }
        assert_eq!(known.clone().end(Mono::ZERO, Wall(0)), None, "scraps");
        known.note(answered(10, None));
        let end = known.end(Mono::from_millis(500_001), Wall(0)).unwrap();
        assert_eq!(end.cdr.recording.as_deref(), Some("a.wav"));
        let turns: Vec<u32> = end.turns.iter().map(|turn| turn.index).collect();
        assert_eq!(turns, [0, 1]);
    }

    fn refused(index: u32) -> TurnRecord {
        let matched = Matched {
            kind: MatchKind::Negative { ignored: false },
            text: "不要".into(),
            evidence: Vec::new(),
            score: 1.0,
        };
        TurnRecord {
            index,
            speaker: Speaker::Callee,
            node: "greeting".into(),
            text: "不要".into(),
            from_ms: 0,
            to_ms: 900,
            line: None,
            matched: Some(matched),
            counted: true,
            decision: Decision::Listen,
        }
    }

    #[test]
    fn the_attempt_counts_and_a_refusal_is_not_forgotten() {
        let terms = LeadTerms {
            attempts: 1,
            unreached_in_a_row: 1,
            grade: None,
            max_attempts: 3,
            retry: RetryRules::default(),
            rules: bots::Rules::default(),
        };
        let now = Wall(2_000_000);
        let mut known = Known::default();
        known.note(answered(10, Some(terms)));
        let lead = known.clone().end(Mono::ZERO, now).unwrap().lead.unwrap();
        assert_eq!((lead.attempts, lead.unreached_in_a_row), (2, 1));
        assert!(matches!(lead.state, LeadState::Retry { due } if due > now));
        known.note(Noted::Turn(refused(1)));
        let end = known.clone().end(Mono::ZERO, now).unwrap();
        let done = LeadState::Done { grade: Grade::D };
        assert_eq!(end.lead.unwrap().state, done);
        assert_eq!(end.cdr.disposition, Disposition::Interrupted);
        // Over, and not yet written: as it was.
        let mut over = end;
        over.labels = vec!["label".into()];
        known.note(Noted::Over(Box::new(over.clone())));
        assert_eq!(known.end(Mono::from_millis(9_000_000), now), Some(over));
    }

    #[test]
    fn what_the_journal_keeps_is_read_back_as_it_was() {
        let mut known = begun();
        known.note(answered(10, None));
        known.note(Noted::Turn(refused(3)));
        let over = known.end(Mono::from_millis(700_000), Wall(1)).unwrap();
        let note = Note {
            tenant: begin().tenant,
            call: begin().call,
            what: Noted::Over(Box::new(over)),
        };
        let text = serde_json::to_string(&note).unwrap();
        assert_eq!(serde_json::from_str::<Note>(&text).unwrap(), note);
    }
}
