//! A database that is away, and the ends of calls that wait for it in the journal. (Ways to be away: `faults`.)

use crate::databases::on_both;
use crate::house::*;
use model::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use store::journal::{Entry, Journal};
use store::recovery::Recovered;
use store::writer::{Bounds, Fault, Moment, Options};
use store::{StoreError, Trouble};
use switch::{Begin, BeginRefused, Finish};

const TIGHT: Bounds = Bounds {
    begins: 3,
    ends: 4,
    all: 1000,
    stop: Duration::from_secs(5),
};

/// Fails before every transaction while the flag stands.
fn away(flag: &Arc<AtomicBool>) -> Fault {
    let flag = flag.clone();
    Arc::new(move |moment| match moment {
        Moment::Begin if flag.load(Ordering::SeqCst) => Err(StoreError::Unavailable(Trouble::Io)),
        _ => Ok(()),
    })
}

/// So many calls, begun.
async fn begun(house: &House, shop: &Shop, n: u16) -> Vec<Begin> {
    shop.queue(u64::from(n)).await;
    let mut answers = house.writer();
    let mut begun = Vec::new();
    for candidate in answers.claim(shop, n, NOW).await {
        let begin = shop.begin(&candidate.lead, 1);
        answers.begin(begin.clone()).await.unwrap();
        begun.push(begin);
    }
    answers.close().await;
    begun
}

/// As the engine does.
fn end(journal: &Journal, answers: &Answers, end: Finish) {
    let end = Arc::new(end);
    let kept = journal.append(Entry::Ended(end.clone()));
    answers.writer.finish(end, kept).unwrap();
}

async fn all_have_one_record(house: &House, shop: &Shop, begun: &[Begin]) {
    for begin in begun {
        let page = house.store.call(&shop.scope, begin.call).await.unwrap();
        assert_eq!((page.call.cdr.charge, page.postings.len()), (Money(10), 2));
    }
    shop.money_holds().await;
}

on_both!(ends_that_find_no_room_are_read_back_when_the_database_answers);
async fn ends_that_find_no_room_are_read_back_when_the_database_answers(house: House) {
    let shop = house.shop("acme", 10_000).await;
    let begun = begun(&house, &shop, 40).await;
    let (journal, _) = house.journal().await;
    let gone = Arc::new(AtomicBool::new(true));
    let mut answers = house.writer_with(Options {
        journal: Some(journal.clone()),
        bounds: TIGHT,
        fault: Some(away(&gone)),
    });
    for begin in &begun {
        end(&journal, &answers, shop.finish(begin, 10));
    }
    assert!(answers.writer.waiting() <= TIGHT.ends);
    assert!(answers.writer.spooled() >= begun.len() - TIGHT.ends);
    let lead = begun[0].lead.unwrap();
    let lead = house.store.lead(&shop.scope, lead).await.unwrap().lead;
    let more = shop.begin(&lead, 1);
    let refused = answers.begin(more).await;
    assert_eq!(
        refused,
        Err(BeginRefused::Unavailable),
        "nothing new begins"
    );
    gone.store(false, Ordering::SeqCst);
    answers.close().await;
    all_have_one_record(&house, &shop, &begun).await;
    journal.close();
    let folder = std::fs::read_dir(house.place.folder().join("journal")).unwrap();
    assert_eq!(folder.count(), 0);
}

on_both!(a_stop_while_the_database_is_away_leaves_the_ends_for_the_next_start);
async fn a_stop_while_the_database_is_away_leaves_the_ends_for_the_next_start(house: House) {
    let shop = house.shop("acme", 10_000).await;
    let begun = begun(&house, &shop, 10).await;
    let (journal, _) = house.journal().await;
    let gone = Arc::new(AtomicBool::new(true));
    let answers = house.writer_with(Options {
        journal: Some(journal.clone()),
        bounds: Bounds {
            stop: Duration::ZERO,
            ..TIGHT
        },
        fault: Some(away(&gone)),
    });
    for begin in &begun {
        end(&journal, &answers, shop.finish(begin, 10));
    }
    answers.close().await;
    journal.close();
    let house = house.reopen().await;
    let recovered = house.recover(later(600)).await;
    assert_eq!((recovered.finished, recovered.interrupted), (10, 0));
    assert_eq!(house.recover(later(600)).await, Recovered::default());
    let shop = Shop {
        store: house.store.clone(),
        ..shop
    };
    all_have_one_record(&house, &shop, &begun).await;
}

on_both!(a_commit_whose_result_nobody_heard_of_is_repeated_and_changes_nothing);
async fn a_commit_whose_result_nobody_heard_of_is_repeated_and_changes_nothing(house: House) {
    let shop = house.shop("acme", 10_000).await;
    let begun = begun(&house, &shop, 5).await;
    let (journal, _) = house.journal().await;
    let lost = AtomicUsize::new(2);
    let fault: Fault = Arc::new(move |moment| {
        let less = |n: usize| n.checked_sub(1);
        let lose = moment == Moment::Committed
            && lost
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                .is_ok();
        match lose {
            true => Err(StoreError::Unavailable(Trouble::Io)),
            false => Ok(()),
        }
    });
    let answers = house.writer_with(Options {
        journal: Some(journal.clone()),
        fault: Some(fault),
        ..Options::default()
    });
    for begin in &begun {
        end(&journal, &answers, shop.finish(begin, 10));
    }
    answers.close().await;
    all_have_one_record(&house, &shop, &begun).await;
    journal.close();
    assert_eq!(house.recover(later(600)).await.finished, 0);
}
