//! One robot call at a time.

use crate::stage::callee::Line;
use crate::stage::house::*;
use crate::stage::peer::{Act, Manner};
use crate::stage::shop::Mood;
use crate::stage::{Happening, Stage};
use dialer::LeadState;
use model::*;
use std::time::Duration;
use switch::*;

const MAY: &str = "13800138001";

fn said(texts: &[&'static str]) -> Manner {
    Manner::says(texts.iter().map(|text| Line::said(text)).collect())
}

/// A campaign of one lead, to its end.
fn one_call(manner: Manner) -> Stage {
    let mut stage = Stage::new(1);
    stage.lead(MAY, manner);
    stage.start(|_| {});
    stage.run_campaign();
    stage.close();
    stage
}

fn grade(stage: &Stage) -> Option<Grade> {
    let records = stage.shop.records(MAY);
    let last = records.last().expect("a record");
    last.grade.as_ref().map(|record| record.grade)
}

#[test]
fn a_willing_callee_is_graded_a_and_charged_by_the_minute() {
    let stage = one_call(said(&["我是上班的", "有需要", "可以"]));
    let record = stage.shop.records(MAY)[0];
    assert_eq!(grade(&stage), Some(Grade::A));
    assert_eq!(record.cdr.disposition, Disposition::Answered);
    assert_eq!(record.cdr.termination.by, EndedBy::Flow);
    let minutes = record.cdr.talk_ms.div_ceil(60_000) as i64;
    assert_eq!(record.cdr.charge, Money(10 * minutes));
    assert_eq!(
        stage.shop.ledger.available(tenant()),
        Money(10_000 - record.cdr.charge.0)
    );
    assert_eq!(
        stage.shop.row(MAY).expect("a lead").lead.state,
        LeadState::Done { grade: Grade::A }
    );
    assert_eq!(stage.told(&["media listen", "media record"]).len(), 2);
    assert!(record.cdr.recording.is_some() && record.cdr.customer_stats.is_some());
    assert_eq!(record.cdr.caller, "+862161234567");
    let heard: Vec<&str> = record
        .turns
        .iter()
        .filter(|turn| turn.speaker == bots::Speaker::Callee)
        .map(|turn| turn.text.as_str())
        .collect();
    assert_eq!(heard, ["我是上班的", "有需要", "可以"]);
    assert!(
        record
            .turns
            .iter()
            .all(|turn| turn.to_ms <= record.cdr.talk_ms)
    );
}

#[test]
fn the_invite_leaves_after_the_commit_and_not_before() {
    let stage = one_call(said(&["可以"]));
    let steps = stage.told(&[
        "persist begin",
        "begun",
        "node sends INVITE",
        "persist finish",
    ]);
    let words: Vec<String> = steps
        .iter()
        .map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        words,
        [
            "persist begin +8613800138001",
            "begun ok",
            "node sends INVITE",
            "persist finish +8613800138001"
        ]
    );
}

#[test]
fn every_grade_by_its_callee() {
    let question = said(&["利息是多少"]).until(14_000);
    assert_eq!(grade(&one_call(question)), Some(Grade::B));
    let chat = said(&["我是上班的", "今天天气不错"]).until(16_000);
    assert_eq!(grade(&one_call(chat)), Some(Grade::C));
    let no = one_call(said(&["不需要", "不要"]));
    assert_eq!(grade(&no), Some(Grade::D));
    let refusal = no.shop.records(MAY)[0].grade.clone().expect("graded");
    assert_eq!(refusal.sub_reason, Some(bots::grade::SubReason::Refusal));
    let silent = one_call(said(&[]));
    assert_eq!(grade(&silent), Some(Grade::D));
    let record = &silent.shop.records(MAY)[0];
    assert_eq!(record.cdr.termination.by, EndedBy::Silence);
    let nobody = record.grade.clone().expect("graded").sub_reason;
    assert_eq!(nobody, Some(bots::grade::SubReason::NoEngagement));
}

#[test]
fn a_busy_callee_is_called_again_and_an_empty_number_never() {
    let mut stage = Stage::new(2);
    let busy = Manner::refuses(486, Some(17));
    stage.peers[GATEWAY]
        .moods
        .insert(MAY.to_owned(), vec![busy.clone()]);
    stage.lead(MAY, said(&["可以"]));
    stage.lead(&mobile(2), Manner::refuses(404, Some(1)));
    stage.start(|_| {});
    stage.run_campaign();
    stage.close();
    let records = stage.shop.records(MAY);
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].grade.as_ref().map(|g| g.grade), Some(Grade::E));
    assert_eq!(
        records[0].cdr.disposition,
        Disposition::Unreached(Unreached::Busy)
    );
    assert_eq!(records[0].cdr.charge, Money::ZERO);
    assert_eq!(records[1].grade.as_ref().map(|g| g.grade), Some(Grade::A));
    // The retry waited a minute from the end of the first.
    let wait = records[1].cdr.started_at.since(records[0].cdr.ended_at);
    assert!(
        wait >= Duration::from_secs(60) && wait < Duration::from_secs(70),
        "{wait:?}"
    );
    let empty = stage.shop.records(&mobile(2));
    assert_eq!(empty.len(), 1);
    assert_eq!(empty[0].grade.as_ref().map(|g| g.grade), Some(Grade::F));
}

#[test]
fn whoever_never_answers_is_f_the_third_time() {
    let stage = one_call(Manner::NeverAnswers);
    let records = stage.shop.records(MAY);
    let grades: Vec<_> = records
        .iter()
        .filter_map(|r| r.grade.as_ref())
        .map(|g| g.grade)
        .collect();
    assert_eq!(grades, [Grade::E, Grade::E, Grade::F]);
    for record in records {
        assert_eq!(
            record.cdr.disposition,
            Disposition::Unreached(Unreached::NoAnswer)
        );
        assert_eq!(
            record.cdr.ended_at.since(record.cdr.started_at).as_secs(),
            30
        );
        assert!(record.cdr.ringing_at.is_some());
    }
    assert_eq!(
        stage.shop.row(MAY).expect("a lead").lead.state,
        LeadState::Exhausted { grade: Grade::F }
    );
}

#[test]
fn a_gateway_that_does_nothing_is_a_fault_of_the_network() {
    let mut stage = Stage::new(3);
    stage.lead(MAY, Manner::Silent);
    stage.start(|campaign| campaign.max_attempts = 1);
    stage.run_campaign();
    stage.close();
    let record = stage.shop.records(MAY)[0];
    assert_eq!(
        record.cdr.disposition,
        Disposition::Unreached(Unreached::Network)
    );
}

#[test]
fn a_callee_may_hang_up_in_the_middle_of_a_prompt() {
    let stage = one_call(Manner::answers().until(1200));
    let record = stage.shop.records(MAY)[0];
    assert_eq!(record.cdr.termination.by, EndedBy::Callee);
    assert_eq!(record.cdr.disposition, Disposition::Answered);
    assert_eq!(record.cdr.charge, Money(10));
    assert!(
        (1200..1300).contains(&record.cdr.talk_ms),
        "{}",
        record.cdr.talk_ms
    );
    let robot = record
        .turns
        .last()
        .expect("what the robot had begun to say");
    assert_eq!(robot.decision, bots::Decision::Interrupted);
    assert!(robot.to_ms <= record.cdr.talk_ms, "not later than the end");
}

#[test]
fn a_callee_may_talk_over_the_robot() {
    let manner = Manner::says(vec![Line::over("我是上班的"), Line::said("可以")]);
    let stage = one_call(manner);
    assert!(
        !stage.told(&["media stop"]).is_empty(),
        "the prompt is stopped"
    );
    assert_eq!(grade(&stage), Some(Grade::A));
}

#[test]
fn a_question_is_answered_and_the_flow_goes_on() {
    let stage = one_call(said(&["利息是多少", "我是上班的", "可以", "可以"]));
    let record = stage.shop.records(MAY)[0];
    let counters = record.grade.as_ref().expect("graded").counters;
    assert_eq!((counters.q, counters.r), (1, 0));
    assert_eq!(grade(&stage), Some(Grade::A));
}

#[test]
fn the_cut_prompt_is_heard_before_the_money_ends_and_never_after() {
    // One minute is all there is; the callee would talk for ever.
    let chat: Vec<Line> = (0..60).map(|_| Line::said("利息是多少")).collect();
    let mut stage = Stage::new(4).only(10);
    stage.lead(MAY, Manner::says(chat));
    stage.start(|_| {});
    stage.run_campaign();
    stage.close();
    let record = stage.shop.records(MAY)[0];
    assert_eq!(record.cdr.termination.by, EndedBy::Balance);
    assert_eq!(record.cdr.charge, Money(10));
    assert!(record.cdr.talk_ms <= 60_000, "{}", record.cdr.talk_ms);
    let last = record.turns.last().expect("turns");
    assert_eq!(last.line, Some(bots::Line::Cut));
    assert_eq!(last.decision, bots::Decision::Said, "heard to its end");
    assert_eq!(stage.shop.ledger.available(tenant()), Money::ZERO);
}

#[test]
fn a_worker_that_reports_nothing_holds_no_line() {
    let mut stage = Stage::new(19).only(10);
    stage.worker.mute = true;
    stage.lead(MAY, said(&["可以"]));
    stage.start(|_| {});
    stage.run_campaign();
    stage.close();
    let record = stage.shop.records(MAY)[0];
    assert_eq!(record.cdr.termination.by, EndedBy::Balance);
    assert_eq!((record.cdr.talk_ms, record.cdr.charge), (60_000, Money(10)));
}

#[test]
fn no_money_no_call() {
    let mut stage = Stage::new(5).only(9);
    stage.lead(MAY, said(&["可以"]));
    stage.start(|_| {});
    stage.seconds(120);
    assert_eq!(
        stage.shop.denied.first().map(|d| d.1),
        Some(dialer::Rule::Balance)
    );
    assert!(stage.told(&["node sends INVITE"]).is_empty());
    assert!(
        stage.shop.claims < 30,
        "{} claims in two minutes",
        stage.shop.claims
    );
    // A recharge, and in five minutes at most the lead is asked again.
    stage.recharge(100);
    stage.run_campaign();
    stage.close();
    assert_eq!(grade(&stage), Some(Grade::A));
}

#[test]
fn an_attempt_the_store_refuses_has_its_end_and_costs_no_attempt() {
    for refused in [
        BeginRefused::Balance,
        BeginRefused::LeadGone,
        BeginRefused::Unavailable,
    ] {
        let mut stage = Stage::new(6);
        stage.shop.mood = Mood::Refuses(refused);
        stage.lead(MAY, said(&["可以"]));
        stage.start(|_| {});
        stage.seconds(3);
        let record = stage.shop.records(MAY)[0];
        assert_eq!(record.cdr.disposition, Disposition::Refused);
        assert!(stage.told(&["node sends INVITE"]).is_empty());
        assert_eq!(
            stage.shop.row(MAY).expect("a lead").lead.state,
            LeadState::Queued
        );
        assert_eq!(stage.shop.row(MAY).expect("a lead").lead.attempts, 0);
        stage.shop.mood = Mood::Commits;
        stage.run_campaign();
        stage.close();
        assert_eq!(grade(&stage), Some(Grade::A));
    }
}

#[test]
fn an_answer_of_the_store_that_never_comes_dials_nothing() {
    for mood in [Mood::Mute, Mood::Gone] {
        let mut stage = Stage::new(7);
        stage.shop.mood = mood.clone();
        stage.lead(MAY, said(&["可以"]));
        stage.start(|_| {});
        stage.seconds(40);
        assert!(stage.told(&["node sends INVITE"]).is_empty());
        assert_eq!(
            stage.shop.records(MAY)[0].cdr.disposition,
            Disposition::Refused
        );
        assert_eq!(stage.shop.ledger.reserved(tenant()), Money::ZERO);
        assert!(stage.node.is_idle());
        // Half a minute too late, it changes nothing.
        let call = stage.shop.records(MAY)[0].cdr.id;
        stage.tell(Input::Begun {
            call,
            result: Ok(None),
        });
        assert!(stage.node.is_idle());
        if mood == Mood::Mute {
            stage.shop.mood = Mood::Commits;
            stage.run_campaign();
            stage.close();
        }
    }
}

#[test]
fn a_campaign_paused_between_commit_and_dial_does_not_dial() {
    let mut stage = Stage::new(8);
    stage.shop.delay = (400, 400);
    stage.lead(MAY, said(&["可以"]));
    stage.start(|_| {});
    assert!(stage.until(Duration::from_secs(2), |s| {
        !s.told(&["persist begin"]).is_empty()
    }));
    stage.start(|campaign| campaign.state = dialer::CampaignState::Paused);
    stage.seconds(5);
    assert!(stage.told(&["node sends INVITE"]).is_empty());
    let record = stage.shop.records(MAY)[0];
    assert_eq!(record.cdr.termination.text, "the campaign was stopped");
    assert_eq!(
        stage.shop.row(MAY).expect("a lead").lead.state,
        LeadState::Queued
    );
    stage.close();
}

#[test]
fn a_tenant_banned_between_commit_and_dial_does_not_dial() {
    let mut stage = Stage::new(9);
    stage.shop.delay = (400, 400);
    stage.lead(MAY, said(&["可以"]));
    stage.start(|_| {});
    assert!(stage.until(Duration::from_secs(2), |s| {
        !s.told(&["persist begin"]).is_empty()
    }));
    stage.change_house(|house| house.banned = true);
    stage.seconds(5);
    assert!(stage.told(&["node sends INVITE"]).is_empty());
    assert!(
        stage.shop.bound.is_empty(),
        "its bindings are forgotten for good"
    );
    stage.close();
}

#[test]
fn a_gateway_that_leaves_between_claim_and_dial_costs_no_attempt() {
    let mut stage = Stage::new(10);
    stage.shop.delay = (600, 600);
    stage.lead(MAY, said(&["可以"]));
    stage.start(|_| {});
    assert!(stage.until(Duration::from_secs(2), |s| {
        !s.told(&["persist begin"]).is_empty()
    }));
    stage.unregister(GATEWAY);
    stage.seconds(60);
    assert!(stage.told(&["node sends INVITE"]).is_empty());
    assert_eq!(stage.shop.row(MAY).expect("a lead").lead.attempts, 0);
    assert!(
        stage.shop.claims <= 2,
        "nothing is claimed without a gateway"
    );
    stage.register(GATEWAY, None);
    stage.run_campaign();
    stage.close();
    assert_eq!(grade(&stage), Some(Grade::A));
}

#[test]
fn the_hour_is_asked_again_when_the_invite_is_about_to_leave() {
    let mut stage = Stage::new(11);
    stage.shop.delay = (4000, 4000);
    stage.lead(MAY, said(&["可以"]));
    stage.start(|_| {});
    assert!(stage.until(Duration::from_secs(6), |s| {
        !s.told(&["persist begin"]).is_empty()
    }));
    // Ten in the morning becomes two seconds to nine in the evening.
    stage.wall_off = 11 * 3_600_000 - stage.ms as i64 - 2000;
    stage.seconds(10);
    assert!(stage.told(&["node sends INVITE"]).is_empty());
    let record = stage.shop.records(MAY)[0];
    assert_eq!(record.cdr.disposition, Disposition::Refused);
    let claims = stage.shop.claims;
    stage.seconds(3600);
    assert_eq!(stage.shop.claims, claims, "nobody is claimed at night");
    stage.close();
}

#[test]
fn a_socket_that_cannot_be_opened_ends_the_attempt_as_a_fault_of_ours() {
    let mut stage = Stage::new(12);
    stage.worker.failing = 1;
    stage.lead(MAY, said(&["可以"]));
    stage.start(|_| {});
    stage.run_campaign();
    stage.close();
    let records = stage.shop.records(MAY);
    assert_eq!(
        records[0].cdr.disposition,
        Disposition::Unreached(Unreached::Network)
    );
    assert_eq!(records[1].cdr.disposition, Disposition::Answered);
}

#[test]
fn a_leg_its_worker_loses_ends_the_call_wherever_it_stands() {
    for wait in [100, 1000, 4000, 9000] {
        let mut stage = Stage::new(13);
        stage.lead(MAY, said(&["我是上班的"]));
        stage.start(|_| {});
        stage.run_for(Duration::from_millis(wait));
        let leg = LegId(1);
        assert!(stage.worker.is_open(leg), "{wait}");
        stage.lose_leg(leg);
        stage.seconds(40);
        assert!(stage.node.is_idle(), "{wait}");
        let record = stage.shop.records(MAY)[0];
        assert_eq!(record.cdr.termination.by, EndedBy::System);
        stage.start(|campaign| campaign.state = dialer::CampaignState::Finished);
        stage.close();
    }
}

#[test]
fn an_operator_hangs_up_at_any_time() {
    for wait in [0, 10, 50, 400, 2000, 5000, 12_000] {
        let mut stage = Stage::new(14);
        stage.lead(MAY, said(&["我是上班的", "今天天气不错"]));
        stage.start(|campaign| campaign.max_attempts = 1);
        let began = |s: &Stage| s.node.calls() == 1;
        assert!(stage.until(Duration::from_secs(2), began));
        stage.run_for(Duration::from_millis(wait));
        let call = stage.node.live_calls(tenant())[0].id;
        let other = TenantId(model::id::Uuid::from_u128(99));
        stage.tell(Input::HangUp {
            tenant: other,
            call,
            actor: "stranger".into(),
        });
        assert_eq!(stage.node.live_calls(tenant()).len(), 1, "not theirs");
        for _ in 0..2 {
            stage.tell(Input::HangUp {
                tenant: tenant(),
                call,
                actor: "ana".into(),
            });
        }
        assert!(stage.node.live_calls(tenant()).is_empty());
        stage.seconds(20);
        let record = stage.shop.records(MAY)[0];
        assert_eq!(record.cdr.termination.by, EndedBy::Operator);
        stage.run_campaign();
        stage.close();
    }
}

#[test]
fn both_sides_hang_up_at_once() {
    let mut stage = Stage::new(15);
    stage.lead(MAY, said(&["我是上班的"]));
    stage.start(|_| {});
    stage.seconds(5);
    let call = stage.node.live_calls(tenant())[0].id;
    let id = stage.dialog(GATEWAY);
    stage.after(0, Happening::PeerActs(GATEWAY, id, Act::HangUp));
    stage.tell(Input::HangUp {
        tenant: tenant(),
        call,
        actor: "ana".into(),
    });
    stage.run_campaign();
    stage.close();
    assert_eq!(stage.shop.finishes.len(), 1);
}

#[test]
fn an_answer_that_crosses_the_cancel_is_taken_down_again() {
    let mut stage = Stage::new(16);
    stage.lead(MAY, Manner::answers());
    stage.start(|campaign| campaign.max_attempts = 1);
    let answers = |s: &Stage| !s.told(&["gw sends SIP/2.0 200"]).is_empty();
    assert!(stage.until(Duration::from_secs(5), answers));
    let call = stage.node.live_calls(tenant())[0].id;
    stage.tell(Input::HangUp {
        tenant: tenant(),
        call,
        actor: "ana".into(),
    });
    stage.run_campaign();
    stage.close();
    let record = stage.shop.records(MAY)[0];
    assert_eq!(record.cdr.disposition, Disposition::Cancelled);
    assert_eq!(record.cdr.charge, Money::ZERO);
    let story = &stage.peers[GATEWAY].story;
    assert!(story.contains(&"confirmed".to_owned()) && story.contains(&"ended".to_owned()));
}

#[test]
fn an_answer_without_a_common_codec_is_a_fault_not_a_conversation() {
    let mut stage = Stage::new(17);
    stage.peers[GATEWAY].codecs = Vec::new();
    stage.lead(MAY, said(&["可以"]));
    stage.start(|campaign| campaign.max_attempts = 1);
    stage.run_campaign();
    stage.close();
    let record = stage.shop.records(MAY)[0];
    assert!(matches!(record.cdr.disposition, Disposition::Unreached(_)));
}

#[test]
fn clocks_that_jump_back_make_no_record_that_ends_before_it_began() {
    let mut stage = Stage::new(18);
    stage.lead(MAY, said(&["我是上班的", "可以"]));
    stage.start(|_| {});
    stage.seconds(1);
    stage.wall_off -= 600_000;
    stage.seconds(4);
    stage.wall_off -= 600_000;
    stage.run_campaign();
    stage.close();
    let record = stage.shop.records(MAY)[0];
    assert!(record.cdr.talk_ms > 5000 && record.cdr.charge == Money(10));
}

#[test]
fn attempts_that_never_left_do_not_fill_the_frequency_cap() {
    let mut stage = Stage::new(20);
    stage.shop.delay = (400, 400);
    stage.lead(MAY, said(&["可以"]));
    // Five times the campaign is paused between commit and dial; three calls a day are allowed.
    for _ in 0..5 {
        stage.start(|_| {});
        let begins = |s: &Stage| s.shop.held() > 0 && s.node.calls() == 1;
        assert!(stage.until(Duration::from_secs(60), begins));
        stage.start(|campaign| campaign.state = dialer::CampaignState::Paused);
        stage.seconds(2);
    }
    assert!(stage.told(&["node sends INVITE"]).is_empty());
    stage.start(|_| {});
    stage.run_campaign();
    stage.close();
    assert!(stage.shop.denied.is_empty(), "{:?}", stage.shop.denied);
    assert_eq!(grade(&stage), Some(Grade::A));
}
