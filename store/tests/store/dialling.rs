//! Leads: claimed once, in order, with what the gate has to know; imported, queued, taken back.

use crate::databases::on_both;
use crate::house::*;
use dialer::{DncList, LeadState, OptOutBy, Suppression};
use model::*;
use std::collections::HashSet;
use std::sync::Arc;
use store::leads::{Duplicates, LEADS, Selection};
use store::suppression::DO_NOT_CALL;
use store::{Asked, StoreError};
use switch::{BeginRefused, Denied, Persist};

on_both!(no_lead_is_handed_out_twice_however_many_ask, threads = 4);
async fn no_lead_is_handed_out_twice_however_many_ask(house: House) {
    let shop = house.shop("acme", 0).await;
    shop.queue(60).await;
    let askers: Vec<_> = (0..8)
        .map(|_| {
            let (store, scope, campaign) = (house.store.clone(), shop.scope.clone(), shop.campaign);
            tokio::spawn(async move {
                let mut mine = Vec::new();
                for _ in 0..5 {
                    let claimed = store.claim(&scope, campaign, 3, NOW).await.unwrap();
                    mine.extend(claimed.leads.into_iter().map(|candidate| candidate.lead.id));
                }
                mine
            })
        })
        .collect();
    let mut all = Vec::new();
    for asker in askers {
        all.extend(asker.await.unwrap());
    }
    assert_eq!(all.len(), 60);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 60);
}

on_both!(the_longest_due_come_first_and_the_rest_say_when);
async fn the_longest_due_come_first_and_the_rest_say_when(house: House) {
    let shop = house.shop("acme", 100).await;
    let ids = shop.queue(3).await;
    let mut answers = house.writer();
    let first = answers.claim(&shop, 1, NOW).await.remove(0);
    assert_eq!(first.lead.id, ids[0]);
    assert_eq!(first.lead.state, LeadState::Claimed);
    assert_eq!(first.history.balance, Money(100));
    answers.push(Persist::Denied(Box::new(Denied {
        tenant: shop.tenant,
        campaign: shop.campaign,
        lead: first.lead.id,
        number: first.lead.number.clone(),
        rule: dialer::Rule::CallingWindow,
        detail: "closed".into(),
        at: NOW,
        next: Some(later(100)),
        state: LeadState::Retry { due: later(100) },
    })));
    assert_eq!(answers.claim(&shop, 10, NOW).await.len(), 2);
    assert_eq!(answers.claim(&shop, 10, later(99)).await.len(), 0);
    let again = answers.claim(&shop, 10, later(100)).await;
    assert_eq!(again[0].lead.id, first.lead.id);
    answers.push(Persist::Unclaim {
        tenant: shop.tenant,
        leads: vec![first.lead.id],
    });
    assert_eq!(
        answers.claim(&shop, 10, later(100)).await.len(),
        1,
        "given back, handed out again"
    );
    let why = house
        .store
        .why(&shop.scope, first.lead.id, 10)
        .await
        .unwrap();
    assert_eq!(why.decisions[0].rule, Some(dialer::Rule::CallingWindow));
    assert_eq!(why.decisions[0].next, Some(later(100)));
    answers.close().await;
}

on_both!(an_attempt_that_never_left_is_no_call_to_the_number);
async fn an_attempt_that_never_left_is_no_call_to_the_number(house: House) {
    let shop = house.shop("acme", 1000).await;
    shop.queue(1).await;
    let mut answers = house.writer();
    let candidate = answers.claim(&shop, 1, NOW).await.remove(0);
    let begin = shop.begin(&candidate.lead, 1);
    answers.begin(begin.clone()).await.unwrap();
    let end = shop.unanswered(&begin, Disposition::Refused);
    answers.push(Persist::Finish(Arc::new(end)));
    let back = answers.claim(&shop, 1, later(86_000)).await.remove(0);
    assert_eq!((back.history.recent.len(), back.history.last), (0, None));
    answers.close().await;
}

on_both!(the_gate_learns_of_attempts_refusals_and_lists);
async fn the_gate_learns_of_attempts_refusals_and_lists(house: House) {
    let shop = house.shop("acme", 1000).await;
    let ids = shop.queue(1).await;
    let mut answers = house.writer();
    let candidate = answers.claim(&shop, 1, NOW).await.remove(0);
    let begin = shop.begin(&candidate.lead, 1);
    answers.begin(begin.clone()).await.unwrap();
    assert!(
        house
            .store
            .history(&shop.scope, &number(1000), NOW)
            .await
            .unwrap()
            .in_flight
    );
    let mut end = shop.unanswered(&begin, Disposition::Unreached(Unreached::Busy));
    end.grade = Some(bots::grade::grade(
        &bots::grade::Rules::default(),
        &bots::grade::Outcome {
            reached: Err(Unreached::Busy),
            unreached_in_a_row: 1,
        },
    ));
    answers.push(Persist::Finish(Arc::new(end)));
    let back = answers.claim(&shop, 1, later(901)).await.remove(0);
    assert_eq!(back.lead.id, ids[0]);
    assert_eq!(
        (back.history.attempts, back.history.unreached_in_a_row),
        (1, 1)
    );
    assert_eq!(back.history.recent, vec![NOW]);
    assert_eq!(
        back.history.last.unwrap().disposition,
        Disposition::Unreached(Unreached::Busy)
    );
    assert_eq!(back.lead.grade, Some(Grade::E));
    assert!(!back.history.in_flight);
    house
        .store
        .suppress_on_platform(
            &house.platform,
            &number(1000),
            OptOutBy::Import,
            "list",
            None,
            NOW,
        )
        .await
        .unwrap();
    let told = house
        .store
        .history(&shop.scope, &number(1000), NOW)
        .await
        .unwrap();
    assert_eq!(told.dnc[0].list, DncList::Platform);
    // The list grew after the claim: the attempt is refused all the same.
    assert_eq!(
        answers.begin(shop.begin(&back.lead, 1)).await,
        Err(BeginRefused::LeadGone)
    );
    answers.close().await;
}

on_both!(an_opt_out_stops_what_is_queued_and_what_is_claimed);
async fn an_opt_out_stops_what_is_queued_and_what_is_claimed(house: House) {
    let shop = house.shop("acme", 1000).await;
    let ids = shop.queue(2).await;
    let mut answers = house.writer();
    let claimed = answers.claim(&shop, 1, NOW).await.remove(0);
    let entry = |number| Suppression {
        number,
        list: DncList::Tenant,
        tenant: Some(shop.tenant),
        campaign: None,
        by: OptOutBy::Agent,
        since: NOW,
        until: None,
        note: "asked".into(),
    };
    assert_eq!(
        house
            .store
            .suppress(&shop.scope, &entry(number(1001)))
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        shop.state(ids[1]).await,
        LeadState::Suppressed {
            rule: dialer::Rule::DoNotCall
        }
    );
    assert_eq!(
        house
            .store
            .suppress(&shop.scope, &entry(number(1000)))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        answers.begin(shop.begin(&claimed.lead, 1)).await,
        Err(BeginRefused::LeadGone)
    );
    let listed = house
        .store
        .suppressed(&shop.scope, &Asked::of(&DO_NOT_CALL).limit(1))
        .await
        .unwrap();
    let next = Asked::of(&DO_NOT_CALL)
        .limit(1)
        .after(&listed.next.unwrap())
        .unwrap();
    let rest = house.store.suppressed(&shop.scope, &next).await.unwrap();
    assert_eq!(
        (listed.rows.len(), rest.rows.len(), rest.next),
        (1, 1, None)
    );
    house
        .store
        .unsuppress(&shop.scope, &number(1000), None, NOW)
        .await
        .unwrap();
    assert!(
        house
            .store
            .history(&shop.scope, &number(1000), NOW)
            .await
            .unwrap()
            .dnc
            .is_empty()
    );
    answers.close().await;
}

on_both!(one_number_is_never_in_two_live_attempts);
async fn one_number_is_never_in_two_live_attempts(house: House) {
    let shop = house.shop("acme", 1000).await;
    shop.queue(1).await;
    let other = dialer::Campaign {
        id: store::fresh(),
        name: "autumn".into(),
        ..shop.plan.clone()
    };
    house
        .store
        .add_campaign(&shop.scope, &other, NOW)
        .await
        .unwrap();
    house
        .store
        .move_campaign(&shop.scope, other.id, dialer::CampaignState::Running, NOW)
        .await
        .unwrap();
    house
        .store
        .add_lead(&shop.scope, Some(other.id), "", &lead(1000), NOW)
        .await
        .unwrap();
    house
        .store
        .enqueue(&shop.scope, other.id, &Selection::Campaign(other.id), NOW)
        .await
        .unwrap();
    let mut answers = house.writer();
    let first = answers.claim(&shop, 1, NOW).await.remove(0);
    let second = house
        .store
        .claim(&shop.scope, other.id, 1, NOW)
        .await
        .unwrap()
        .leads
        .remove(0);
    answers.begin(shop.begin(&first.lead, 1)).await.unwrap();
    let mut begin = shop.begin(&second.lead, 1);
    begin.campaign = Some(other.id);
    assert_eq!(
        answers.begin(begin.clone()).await,
        Err(BeginRefused::LeadGone)
    );
    // The node ends the refused attempt; the lead rests a while and waits again. No money was touched.
    let mut end = shop.unanswered(&begin, Disposition::Refused);
    end.lead = Some(dialer::LeadUpdate {
        state: LeadState::Queued,
        attempts: 0,
        unreached_in_a_row: 0,
    });
    answers.push(Persist::Finish(Arc::new(end)));
    answers.close().await;
    assert_eq!(shop.state(second.lead.id).await, LeadState::Queued);
    assert_eq!(
        house.store.balance(&shop.scope).await.unwrap().reserved,
        Money(10)
    );
    shop.money_holds().await;
}

on_both!(an_import_accounts_for_every_row);
async fn an_import_accounts_for_every_row(house: House) {
    let shop = house.shop("acme", 0).await;
    let import = async |rows: &[store::leads::NewLead], duplicates| {
        let campaign = Some(shop.campaign);
        house
            .store
            .import_leads(&shop.scope, campaign, "b", rows, duplicates, NOW)
            .await
            .unwrap()
    };
    let rows: Vec<_> = (0..1000).map(lead).collect();
    let first = import(&rows, Duplicates::Update).await;
    assert_eq!(
        (first.inserted, first.updated, first.duplicates.len()),
        (1000, 0, 0)
    );
    let mixed = [lead(1), lead(2000), lead(2000), lead(2)];
    let second = import(&mixed, Duplicates::Update).await;
    assert_eq!(
        (second.inserted, second.updated, second.duplicates),
        (1, 3, vec![])
    );
    let third = import(&[lead(3), lead(3000), lead(3000)], Duplicates::Reject).await;
    assert_eq!(
        (third.inserted, third.updated, third.duplicates),
        (1, 0, vec![0, 2])
    );
    let outside = house
        .store
        .import_leads(
            &shop.scope,
            None,
            "b",
            &[lead(1), lead(4000)],
            Duplicates::RejectInTenant,
            NOW,
        )
        .await
        .unwrap();
    assert_eq!((outside.inserted, outside.duplicates), (1, vec![0]));
    // The list, page by page, shows each once.
    let filter = Asked::of(&LEADS)
        .with("campaign_id", &shop.campaign.to_string())
        .unwrap()
        .limit(300);
    let (mut seen, mut cursor) = (HashSet::new(), None::<String>);
    loop {
        let asked = match &cursor {
            Some(cursor) => filter.clone().after(cursor).unwrap(),
            None => filter.clone(),
        };
        let page = house.store.leads(&shop.scope, &asked).await.unwrap();
        seen.extend(page.rows.iter().map(|row| row.lead.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 1002);
    let found = Asked::of(&LEADS).with("q", "lead 77").unwrap();
    assert_eq!(
        house
            .store
            .leads(&shop.scope, &found)
            .await
            .unwrap()
            .rows
            .len(),
        11
    );
}

on_both!(a_batch_is_queued_once_per_number_and_a_live_lead_is_left_alone);
async fn a_batch_is_queued_once_per_number_and_a_live_lead_is_left_alone(house: House) {
    let shop = house.shop("acme", 0).await;
    let inside = house
        .store
        .add_lead(&shop.scope, Some(shop.campaign), "march", &lead(1), NOW)
        .await
        .unwrap();
    house
        .store
        .add_lead(&shop.scope, None, "march", &lead(1), NOW)
        .await
        .unwrap();
    house
        .store
        .add_lead(&shop.scope, None, "march", &lead(2), NOW)
        .await
        .unwrap();
    let batch = Selection::Batch("march".into());
    let done = house
        .store
        .enqueue(&shop.scope, shop.campaign, &batch, NOW)
        .await
        .unwrap();
    assert_eq!((done.queued, done.skipped), (2, 1));
    assert_eq!(
        house
            .store
            .claim(&shop.scope, shop.campaign, 10, NOW)
            .await
            .unwrap()
            .leads
            .len(),
        2
    );
    let again = house
        .store
        .enqueue(
            &shop.scope,
            shop.campaign,
            &Selection::Leads(vec![inside]),
            NOW,
        )
        .await
        .unwrap();
    assert_eq!((again.queued, again.skipped), (0, 1));
    let state = StoreError::WrongState { state: "claimed" };
    assert_eq!(
        house.store.take_back(&shop.scope, inside, NOW).await,
        Err(state.clone())
    );
    assert_eq!(
        house.store.delete_lead(&shop.scope, inside, NOW).await,
        Err(state)
    );
    let progress = house
        .store
        .progress(&shop.scope, shop.campaign)
        .await
        .unwrap();
    assert_eq!(progress.states["claimed"], 2);
}

on_both!(a_paused_campaign_hands_out_nothing);
async fn a_paused_campaign_hands_out_nothing(house: House) {
    let shop = house.shop("acme", 0).await;
    shop.queue(1).await;
    house
        .store
        .move_campaign(
            &shop.scope,
            shop.campaign,
            dialer::CampaignState::Paused,
            NOW,
        )
        .await
        .unwrap();
    assert!(
        house
            .store
            .claim(&shop.scope, shop.campaign, 10, NOW)
            .await
            .unwrap()
            .leads
            .is_empty()
    );
    assert!(
        house
            .store
            .running_campaigns(&house.platform)
            .await
            .unwrap()
            .is_empty()
    );
    let row = house
        .store
        .campaign(&shop.scope, shop.campaign)
        .await
        .unwrap();
    assert_eq!(row.template_version, Some(1));
    let edited = dialer::Campaign {
        lines: 3,
        ..row.campaign
    };
    house
        .store
        .edit_campaign(&shop.scope, &edited, row.version, NOW)
        .await
        .unwrap();
    assert_eq!(
        house
            .store
            .edit_campaign(&shop.scope, &edited, row.version, NOW)
            .await,
        Err(StoreError::Stale)
    );
    assert_eq!(
        house
            .store
            .campaign(&shop.scope, shop.campaign)
            .await
            .unwrap()
            .campaign
            .lines,
        3
    );
}
