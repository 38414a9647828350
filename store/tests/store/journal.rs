//! What a kill leaves, at each point of a call's life, and what the next start makes of it.

use crate::databases::{Database, Place, on_both};
use crate::house::*;
use bots::{Decision, MatchKind, Matched, Speaker, TurnRecord};
use dialer::LeadState;
use model::*;
use std::sync::Arc;
use store::calls::CallPage;
use store::journal::{Entry, Journal};
use store::recovery::Recovered;
use switch::{Begin, BeginRefused, Note, Noted, Persist};

fn note(begin: &Begin, what: Noted) -> Entry {
    let (tenant, call) = (begin.tenant, begin.call);
    Entry::Note(Box::new(Note { tenant, call, what }))
}

fn beat(seconds: u64) -> Entry {
    Entry::Beat(Now {
        mono: Mono::from_millis(seconds * 1000),
        // A clock that jumped says nothing of how long a call lasted.
        wall: later(86_400),
    })
}

fn said(index: u32, kind: MatchKind) -> TurnRecord {
    TurnRecord {
        index,
        speaker: Speaker::Callee,
        node: "greeting".into(),
        text: "不要".into(),
        from_ms: 100,
        to_ms: 1900,
        line: None,
        matched: Some(Matched {
            kind,
            text: "不要".into(),
            evidence: Vec::new(),
            score: 0.9,
        }),
        counted: true,
        decision: Decision::Listen,
    }
}

/// One call, begun; then whatever `until` does, and a kill. What the next start makes of it, which the one after that must
/// not change.
async fn killed(
    database: Database,
    until: impl AsyncFnOnce(&House, &Shop, &Journal, &Begin),
) -> Aftermath {
    let house = House::at(Place::fresh(database)).await;
    let shop = house.shop("acme", 100).await;
    let lead = shop.queue(1).await[0];
    let (journal, left) = house.journal().await;
    assert!(left.calls.is_empty());
    let mut answers = house.writer();
    let candidate = answers.claim(&shop, 1, NOW).await.remove(0);
    let begin = shop.begin(&candidate.lead, 5);
    answers.begin(begin.clone()).await.unwrap();
    answers.close().await;
    until(&house, &shop, &journal, &begin).await;
    journal.flush();
    drop(journal);

    let house = house.reopen().await;
    let recovered = house.recover(later(600)).await;
    let page = house.store.call(&shop.scope, begin.call).await.unwrap();
    assert_eq!(house.recover(later(900)).await, Recovered::default());
    let again = house.store.call(&shop.scope, begin.call).await.unwrap();
    assert_eq!(again.call.cdr, page.call.cdr);
    assert_eq!(again.postings.len(), 2, "reserved and closed, once");
    let lead = house.store.lead(&shop.scope, lead).await.unwrap().lead;
    assert!(house.store.prove_ledger(&shop.scope).await.unwrap().holds());
    let balance = house.store.balance(&shop.scope).await.unwrap();
    assert_eq!(balance.reserved, Money::ZERO);
    let charge = page.call.cdr.charge;
    assert_eq!(balance.available.minor(), 100 - charge.minor());
    let folder = std::fs::read_dir(house.place.folder().join("journal")).unwrap();
    assert_eq!(folder.count(), 0, "nothing is left to be told");
    Aftermath {
        recovered,
        charge: charge.minor(),
        page,
        lead,
    }
}

struct Aftermath {
    recovered: Recovered,
    charge: i64,
    page: CallPage,
    lead: dialer::Lead,
}

on_both!(ringing_is_interrupted_without_a_charge_and_counts);
async fn ringing_is_interrupted_without_a_charge_and_counts(house: House) {
    let after = killed(house.place.database, async |_, _, _, _| {}).await;
    assert_eq!((after.recovered.interrupted, after.charge), (1, 0));
    let cdr = after.page.call.cdr;
    assert_eq!(cdr.disposition, Disposition::Interrupted);
    assert_eq!(cdr.answered_at, None);
    assert!(matches!(after.lead.state, LeadState::Retry { due } if due > later(600)));
    assert_eq!(after.lead.attempts, 1);
}

on_both!(an_answered_call_is_charged_to_the_last_beat);
async fn an_answered_call_is_charged_to_the_last_beat(house: House) {
    let after = killed(house.place.database, async |_, shop, journal, begin| {
        journal.append(shop.answered(begin, later(5)));
    })
    .await;
    assert_eq!((after.recovered.interrupted, after.charge), (1, 10));
    let after = killed(house.place.database, async |house, shop, journal, begin| {
        journal.append(shop.answered(begin, later(5)));
        for file in ["there.wav", "empty.wav"] {
            let file = file.to_owned();
            journal.append(note(begin, Noted::Recording { file }));
        }
        std::fs::write(house.place.folder().join("empty.wav"), [0; 44]).unwrap();
        journal.append(note(
            begin,
            Noted::Turn(said(1, MatchKind::Question { id: "price".into() })),
        ));
        for seconds in [7, 9, 66] {
            journal.append(beat(seconds));
        }
    })
    .await;
    let cdr = after.page.call.cdr;
    assert_eq!((after.charge, cdr.talk_ms), (20, 61_000));
    assert_eq!(cdr.ended_at, later(66));
    assert_eq!(cdr.recording, None, "a file without sound is no recording");
    assert_eq!(after.page.turns.len(), 1);
    assert!(matches!(after.lead.state, LeadState::Retry { .. }));
}

on_both!(a_recording_is_linked_where_it_is_there);
async fn a_recording_is_linked_where_it_is_there(house: House) {
    let after = killed(house.place.database, async |house, shop, journal, begin| {
        journal.append(shop.answered(begin, later(5)));
        let file = "there.wav".to_owned();
        std::fs::write(house.place.folder().join(&file), [0; 1000]).unwrap();
        journal.append(note(begin, Noted::Recording { file }));
    })
    .await;
    assert_eq!(after.page.call.cdr.recording.as_deref(), Some("there.wav"));
}

on_both!(who_refused_before_the_kill_is_not_called_again);
async fn who_refused_before_the_kill_is_not_called_again(house: House) {
    let after = killed(house.place.database, async |_, shop, journal, begin| {
        journal.append(shop.answered(begin, later(5)));
        let refused = said(1, MatchKind::Negative { ignored: false });
        journal.append(note(begin, Noted::Turn(refused)));
    })
    .await;
    assert_eq!(after.lead.state, LeadState::Done { grade: Grade::D });
    assert_eq!(after.page.call.grade, Some(Grade::D));
}

on_both!(a_call_that_was_over_ends_as_it_ended);
async fn a_call_that_was_over_ends_as_it_ended(house: House) {
    for committed in [false, true] {
        let after = killed(house.place.database, async |house, shop, journal, begin| {
            journal.append(shop.answered(begin, later(5)));
            let over = Box::new(shop.finish(begin, 10));
            journal.append(note(begin, Noted::Over(over)));
            journal.append(beat(300));
            if committed {
                journal.append(Entry::Ended(Arc::new(shop.finish(begin, 10))));
                let answers = house.writer();
                answers.push(Persist::Finish(Arc::new(shop.finish(begin, 10))));
                answers.close().await;
            }
        })
        .await;
        assert_eq!(after.recovered.finished, u64::from(!committed));
        assert_eq!((after.charge, after.page.call.grade), (10, Some(Grade::A)));
        assert_eq!(after.lead.state, LeadState::Done { grade: Grade::A });
    }
}

on_both!(a_call_inside_has_no_attempt_and_gets_its_record);
async fn a_call_inside_has_no_attempt_and_gets_its_record(house: House) {
    let shop = house.shop("acme", 0).await;
    let (journal, _) = house.journal().await;
    let begin = Begin {
        call: store::fresh(),
        direction: Direction::Internal,
        campaign: None,
        lead: None,
        trunk: None,
        reserve: None,
        callee: "1002".into(),
        ..shop.begin(&lead_of(&shop).await, 1)
    };
    journal.append(shop.answered(&begin, later(5)));
    journal.append(beat(35));
    journal.flush();
    drop(journal);
    assert_eq!(house.recover(later(60)).await.interrupted, 1);
    let cdr = house
        .store
        .call(&shop.scope, begin.call)
        .await
        .unwrap()
        .call
        .cdr;
    assert_eq!((cdr.talk_ms, cdr.charge), (30_000, Money::ZERO));
    shop.money_holds().await;
}

async fn lead_of(shop: &Shop) -> dialer::Lead {
    let id = shop.queue(1).await[0];
    shop.store.lead(&shop.scope, id).await.unwrap().lead
}

on_both!(an_end_that_is_refused_for_good_stops_no_start);
async fn an_end_that_is_refused_for_good_stops_no_start(house: House) {
    let shop = house.shop("acme", 100).await;
    let (journal, _) = house.journal().await;
    let lead = lead_of(&shop).await;
    let (poison, sound) = (shop.begin(&lead, 1), shop.begin(&lead, 1));
    let mut end = shop.finish(&poison, 0);
    end.cdr.tenant = store::fresh();
    journal.append(Entry::Ended(Arc::new(end)));
    journal.append(Entry::Ended(Arc::new(shop.finish(&sound, 0))));
    journal.flush();
    drop(journal);
    let recovered = house.recover(later(60)).await;
    assert_eq!((recovered.finished, recovered.rejected), (1, 1));
    let folder = house.place.folder().join("journal");
    let kept = store::journal::rejected(&folder);
    assert!(
        kept[0].ends_with(format!("{}.json", poison.call)),
        "{kept:?}"
    );
    assert_eq!(house.recover(later(90)).await, Recovered::default());
}

on_both!(a_late_begin_takes_no_money_and_a_late_end_gives_it_back);
async fn a_late_begin_takes_no_money_and_a_late_end_gives_it_back(house: House) {
    let shop = house.shop("acme", 100).await;
    shop.queue(1).await;
    let mut answers = house.writer();
    let candidate = answers.claim(&shop, 1, NOW).await.remove(0);
    let begin = shop.begin(&candidate.lead, 2);
    // The node was told that nothing could be begun, and said how that ended.
    let refused = shop.unanswered(&begin, Disposition::Refused);
    answers.push(Persist::Finish(Arc::new(refused)));
    let late = answers.begin(begin.clone()).await;
    assert_eq!(late, Err(BeginRefused::Unavailable));
    answers.close().await;
    let balance = house.store.balance(&shop.scope).await.unwrap();
    assert_eq!(balance.reserved, Money::ZERO);
    shop.money_holds().await;
}

on_both!(a_claim_whose_answer_was_lost_is_due_again);
async fn a_claim_whose_answer_was_lost_is_due_again(house: House) {
    let shop = house.shop("acme", 100).await;
    shop.queue(2).await;
    let mut answers = house.writer();
    assert_eq!(answers.claim(&shop, 2, NOW).await.len(), 2);
    assert_eq!(answers.claim(&shop, 2, later(119)).await.len(), 0);
    assert_eq!(answers.claim(&shop, 2, later(121)).await.len(), 2);
    answers.close().await;
}
