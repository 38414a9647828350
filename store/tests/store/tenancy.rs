//! Two enterprises: nothing of one is there for the other, whichever function is asked.

use crate::databases::on_both;
use crate::house::*;
use dialer::{Campaign, CampaignState};
use model::*;
use serde_json::json;
use std::sync::Arc;
use store::calls::CALLS;
use store::campaigns::CAMPAIGNS;
use store::extensions::ExtensionSettings;
use store::leads::{Duplicates, LEADS, LeadWords, Selection};
use store::ledger::LEDGER;
use store::suppression::DO_NOT_CALL;
use store::users::{NewUser, UserChange};
use store::{Asked, Role, StoreError, fresh};
use switch::Persist;

macro_rules! not_found {
    ($($call:expr),+ $(,)?) => {$(
        let answer = $call.await;
        assert!(matches!(answer, Err(StoreError::NotFound | StoreError::Reference)), "{}: {answer:?}", stringify!($call));
    )+};
}

on_both!(what_is_another_tenants_is_not_there);
async fn what_is_another_tenants_is_not_there(house: House) {
    let acme = house.shop("acme", 100).await;
    let beta = house.shop("beta", 100).await;
    let lead_id = acme.queue(1).await[0];
    let store = &house.store;
    let mut answers = house.writer();
    let candidate = answers.claim(&acme, 1, NOW).await.remove(0);
    let begin = acme.begin(&candidate.lead, 1);
    answers.begin(begin.clone()).await.unwrap();
    let end = acme.finish(&begin, 10);
    let grade = end.grade.clone().unwrap();
    answers.push(Persist::Finish(Arc::new(end)));
    answers.close().await;

    let settings = ExtensionSettings {
        name: "Ana".into(),
        caller_number: None,
        trunk: None,
        disabled: false,
    };
    let extension = store
        .create_extension(
            &acme.scope,
            "1001",
            &settings,
            &account("1001", "acme"),
            NOW,
        )
        .await
        .unwrap();
    let user = NewUser {
        login: "ana@acme".into(),
        name: "Ana".into(),
        password: "$argon2".into(),
        role: Role::Agent,
    };
    let user = store.create_user(&acme.scope, &user, NOW).await.unwrap();
    let (campaign, template, trunk_id, caller) = (
        acme.campaign,
        acme.plan.template,
        acme.plan.trunk,
        acme.plan.caller,
    );
    let them = &beta.scope;

    let before = figures(&house, &acme).await;
    not_found!(
        store.lead(them, lead_id),
        store.edit_lead(them, lead_id, &LeadWords::default(), None, NOW),
        store.delete_lead(them, lead_id, NOW),
        store.take_back(them, lead_id, NOW),
        store.why(them, lead_id, 5),
        store.enqueue(them, beta.campaign, &Selection::Leads(vec![lead_id]), NOW),
        store.enqueue(them, campaign, &Selection::Leads(vec![]), NOW),
        store.enqueue(them, beta.campaign, &Selection::Campaign(campaign), NOW),
        store.add_lead(them, Some(campaign), "", &lead(1), NOW),
        store.import_leads(
            them,
            Some(campaign),
            "",
            &[lead(1)],
            Duplicates::Update,
            NOW
        ),
        store.campaign(them, campaign),
        store.campaign_parts(them, campaign),
        store.edit_campaign(
            them,
            &Campaign {
                name: "mine".into(),
                ..acme.plan.clone()
            },
            1,
            NOW
        ),
        store.move_campaign(them, campaign, CampaignState::Paused, NOW),
        store.delete_campaign(them, campaign, NOW),
        store.claim(them, campaign, 5, NOW),
        store.call(them, begin.call),
        store.regrade(them, begin.call, &grade, NOW),
        store.regrade_call(them, begin.call, 1, NOW),
        store.regrade_campaign(them, campaign, 1, NOW),
        store.unsuppress(them, &number(1000), None, NOW),
        store.template(them, template),
        store.template_version(them, template, 1),
        store.save_template(them, template, 1, "mine", &json!({}), NOW),
        store.delete_template(them, template, NOW),
        store.trunk(them, trunk_id),
        store.save_trunk(them, trunk_id, &trunk("mine"), None, None, NOW),
        store.delete_trunk(them, trunk_id, NOW),
        store.caller_number(them, caller),
        store.delete_caller_number(them, caller, NOW),
        store.extension(them, extension),
        store.save_extension(them, extension, &settings, None, None, NOW),
        store.delete_extension(them, extension, NOW),
        store.user(them, user),
        store.password_of(them, user),
    );
    let change = UserChange {
        name: Some("Eve".into()),
        ..UserChange::default()
    };
    not_found!(store.change_user(them, user, &change, None, None, NOW));
    // Naming another tenant's trunk, template or number in one's own campaign.
    for theirs in [
        Campaign {
            trunk: trunk_id,
            ..beta.plan.clone()
        },
        Campaign {
            template,
            ..beta.plan.clone()
        },
        Campaign {
            caller,
            ..beta.plan.clone()
        },
    ] {
        let theirs = Campaign {
            id: fresh(),
            name: "borrowed".into(),
            ..theirs
        };
        not_found!(store.add_campaign(them, &theirs, NOW));
    }
    // Lists show one's own.
    assert!(
        store
            .leads(them, &Asked::of(&LEADS))
            .await
            .unwrap()
            .rows
            .is_empty()
    );
    assert!(
        store
            .calls(them, &Asked::of(&CALLS))
            .await
            .unwrap()
            .rows
            .is_empty()
    );
    assert_eq!(
        store
            .campaigns(them, &Asked::of(&CAMPAIGNS))
            .await
            .unwrap()
            .rows
            .len(),
        1
    );
    assert_eq!(
        store
            .postings(them, &Asked::of(&LEDGER))
            .await
            .unwrap()
            .rows
            .len(),
        1
    );
    let of_theirs = Asked::of(&LEDGER)
        .with("call_id", &begin.call.to_string())
        .unwrap();
    assert!(
        store
            .postings(them, &of_theirs)
            .await
            .unwrap()
            .rows
            .is_empty()
    );
    assert!(
        store
            .progress(them, campaign)
            .await
            .unwrap()
            .states
            .is_empty()
    );
    assert!(
        store
            .history(them, &number(1000), NOW)
            .await
            .unwrap()
            .recent
            .is_empty()
    );
    assert!(
        store
            .suppressed(them, &Asked::of(&DO_NOT_CALL))
            .await
            .unwrap()
            .rows
            .is_empty()
    );
    // Batches are one's own.
    let batch = Selection::Batch("first".into());
    assert_eq!(
        store
            .enqueue(them, beta.campaign, &batch, NOW)
            .await
            .unwrap()
            .queued,
        0
    );
    assert_eq!(
        figures(&house, &acme).await,
        before,
        "nothing of the other changed"
    );
}

on_both!(a_change_in_another_tenants_name_touches_nothing);
async fn a_change_in_another_tenants_name_touches_nothing(house: House) {
    let acme = house.shop("acme", 100).await;
    let beta = house.shop("beta", 100).await;
    acme.queue(1).await;
    let mut answers = house.writer();
    let candidate = answers.claim(&acme, 1, NOW).await.remove(0);
    let begin = acme.begin(&candidate.lead, 1);
    let mut theirs = begin.clone();
    theirs.tenant = beta.tenant;
    assert_eq!(
        answers.begin(theirs).await,
        Err(switch::BeginRefused::LeadGone)
    );
    answers.begin(begin.clone()).await.unwrap();
    let mut end = acme.finish(&begin, 10);
    end.cdr.tenant = beta.tenant;
    answers.push(Persist::Finish(Arc::new(end)));
    answers.push(Persist::Unclaim {
        tenant: beta.tenant,
        leads: vec![candidate.lead.id],
    });
    answers.close().await;
    assert_eq!(
        acme.state(candidate.lead.id).await,
        dialer::LeadState::Dialling { call: begin.call }
    );
    assert_eq!(
        house.store.balance(&acme.scope).await.unwrap().reserved,
        Money(10)
    );
    acme.money_holds().await;
    beta.money_holds().await;
}

/// What would show a change.
async fn figures(house: &House, shop: &Shop) -> String {
    let store = &house.store;
    let leads = store
        .leads(&shop.scope, &Asked::of(&LEADS))
        .await
        .unwrap()
        .rows;
    let campaign = store.campaign(&shop.scope, shop.campaign).await.unwrap();
    let directory = store.tenant_directory(&shop.scope).await.unwrap();
    let template = store
        .template(&shop.scope, shop.plan.template)
        .await
        .unwrap();
    let calls = store
        .calls(&shop.scope, &Asked::of(&CALLS))
        .await
        .unwrap()
        .rows;
    let balance = store.balance(&shop.scope).await.unwrap();
    format!("{leads:?}{campaign:?}{directory:?}{template:?}{calls:?}{balance:?}")
}
