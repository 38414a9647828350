//! Campaigns: lines, hours, pauses, drains.

use crate::stage::Stage;
use crate::stage::callee::Line;
use crate::stage::house::*;
use crate::stage::peer::Manner;
use crate::stage::shop::Weather;
use dialer::CampaignState;
use dialer::pacing::Limit;
use model::*;
use std::sync::Arc;
use std::time::Duration;
use switch::*;

fn willing() -> Manner {
    Manner::says(vec![Line::said("我是上班的"), Line::said("可以")])
}

fn with_leads(seed: u64, leads: usize) -> Stage {
    let mut stage = Stage::new(seed);
    for n in 1..=leads {
        stage.lead(&mobile(n), willing());
    }
    stage
}

fn waiting(stage: &Stage) -> Option<Waiting> {
    let standing = stage.node.standing(tenant(), campaign());
    standing.expect("it is running").waiting
}

/// Robot calls that are not over.
fn up(stage: &Stage) -> usize {
    stage.node.live_calls(tenant()).len()
}

#[test]
fn four_lines_are_filled_and_never_exceeded() {
    let mut stage = with_leads(1, 12);
    stage.start(|_| {});
    stage.seconds(5);
    assert_eq!(up(&stage), 4);
    assert_eq!(waiting(&stage), Some(Waiting::Lines(Limit::Campaign)));
    stage.run_campaign();
    stage.seconds(10);
    assert_eq!(waiting(&stage), Some(Waiting::Leads { due: None }));
    stage.close();
    assert_eq!(stage.outcomes(), vec!["Answered A"; 12]);
    assert_eq!(stage.notices("campaign.finished").len(), 1);
}

#[test]
fn a_campaign_that_begins_nothing_says_what_it_waits_for() {
    let mut stage = with_leads(1, 1);
    stage.change_house(|house| house.trunks.clear());
    stage.start(|_| {});
    assert_eq!(waiting(&stage), Some(Waiting::Gateway));
    stage.change_house(|house| house.banned = true);
    assert_eq!(waiting(&stage), Some(Waiting::Banned));
    // The gateway registers again by itself.
    stage.change_house(|_| {});
    stage.run_campaign();
    stage.seconds(10);
    assert_eq!(waiting(&stage), Some(Waiting::Leads { due: None }));
    stage.close();
}

#[test]
fn the_tightest_of_all_limits_holds() {
    let mut stage = with_leads(2, 6);
    stage.lines = 2;
    stage.change_house(|house| house.robot_lines = 2);
    stage.start(|_| {});
    stage.seconds(5);
    assert_eq!(up(&stage), 2);
    stage.lines = 3;
    stage.change_house(|house| house.trunks[0].max_calls = 3);
    stage.seconds(5);
    assert_eq!(up(&stage), 3);
    stage.run_campaign();
    stage.close();
}

#[test]
fn a_trunk_begins_so_many_calls_a_second_and_no_fewer() {
    let mut stage = with_leads(3, 8);
    stage.lines = 8;
    stage.change_house(|house| house.trunks[0].calls_per_second = 2);
    stage.start(|campaign| campaign.lines = 8);
    stage.run_campaign();
    stage.close();
    let mut starts: Vec<i64> = stage.shop.attempts.values().map(|a| a.begin.at.0).collect();
    starts.sort();
    for pair in starts.windows(3) {
        assert!(pair[2] - pair[0] >= 1000, "{starts:?}");
    }
    assert!(starts[7] - starts[0] < 4500, "{starts:?}");
}

#[test]
fn a_paused_campaign_finishes_its_calls_and_begins_no_more() {
    let mut stage = with_leads(4, 12);
    stage.start(|_| {});
    stage.seconds(6);
    assert_eq!(up(&stage), 4);
    stage.start(|campaign| campaign.state = CampaignState::Paused);
    stage.seconds(60);
    assert_eq!(stage.outcomes(), vec!["Answered A"; 4]);
    assert!(stage.node.is_idle());
    assert_eq!(stage.notices("campaign.paused").len(), 1);
    stage.start(|_| {});
    stage.run_campaign();
    stage.close();
    assert_eq!(stage.outcomes(), vec!["Answered A"; 12]);
}

#[test]
fn lines_still_talking_count_when_a_paused_campaign_goes_on() {
    let mut stage = with_leads(5, 12);
    stage.start(|_| {});
    stage.seconds(6);
    for _ in 0..3 {
        stage.start(|campaign| campaign.state = CampaignState::Paused);
        stage.run_for(Duration::from_millis(300));
        stage.start(|_| {});
        stage.run_for(Duration::from_millis(700));
    }
    // `Stage::check` has counted at every step.
    stage.run_campaign();
    stage.close();
}

#[test]
fn an_answer_to_a_claim_that_comes_too_late_finds_no_lines() {
    let mut stage = with_leads(6, 12);
    // The first answer comes half a minute late, together with the second.
    stage.shop.busy_until = stage.ms + 31_000;
    stage.start(|_| {});
    stage.seconds(45);
    assert!(stage.shop.unclaimed >= 4, "what is too much goes back");
    stage.run_campaign();
    stage.close();
    assert_eq!(stage.shop.finishes.len(), 12);
}

#[test]
fn fewer_lines_are_kept_to_as_calls_end() {
    let mut stage = with_leads(7, 10);
    stage.start(|_| {});
    stage.seconds(5);
    stage.start(|campaign| campaign.lines = 1);
    assert!(stage.until(Duration::from_secs(60), |s| up(s) <= 1));
    stage.lines = 1;
    stage.run_campaign();
    stage.close();
}

#[test]
fn nobody_is_claimed_at_night() {
    let mut stage = with_leads(8, 3);
    // 22:00 in Shanghai.
    stage.wall_off = 12 * 3_600_000;
    stage.start(|_| {});
    stage.seconds(3600);
    assert_eq!(stage.shop.claims, 0);
    // 08:59:50 the next day.
    stage.wall_off = 23 * 3_600_000 - 10_000 - stage.ms as i64;
    stage.seconds(9);
    assert_eq!(stage.shop.claims, 0);
    stage.run_campaign();
    stage.close();
    assert!(stage.shop.denied.is_empty(), "{:?}", stage.shop.denied);
    assert_eq!(stage.outcomes(), vec!["Answered A"; 3]);
}

#[test]
fn a_gateway_that_comes_back_is_used_at_once() {
    let mut stage = with_leads(9, 3);
    stage.unregister(GATEWAY);
    stage.seconds(1);
    stage.start(|_| {});
    stage.seconds(60);
    assert_eq!(stage.shop.claims, 0);
    stage.register(GATEWAY, None);
    stage.seconds(1);
    assert_eq!(up(&stage), 3);
    stage.run_campaign();
    stage.close();
}

#[test]
fn draining_ends_no_call_and_begins_none() {
    for wait in [0, 5, 20, 100, 1000, 2500, 9000] {
        let mut stage = with_leads(10, 12);
        stage.start(|_| {});
        stage.run_for(Duration::from_millis(wait));
        stage.tell(Input::Drain);
        let dialled = stage.told(&["node sends INVITE"]).len();
        stage.seconds(90);
        assert_eq!(stage.told(&["node sends INVITE"]).len(), dialled, "{wait}");
        assert!(stage.node.is_idle() && stage.node.is_draining());
        let talked = stage
            .outcomes()
            .iter()
            .filter(|o| *o == "Answered A")
            .count();
        assert_eq!(talked, dialled, "{wait}: {:?}", stage.outcomes());
        stage.close();
        // Nothing is asked for again and again.
        assert_eq!(
            stage
                .node
                .next_deadline()
                .filter(|at| *at <= stage.now().mono),
            None
        );
    }
}

#[test]
fn hanging_up_all_ends_every_call_with_its_record() {
    for wait in [5, 20, 300, 3000, 9000] {
        let mut stage = with_leads(11, 12);
        stage.start(|_| {});
        stage.run_for(Duration::from_millis(wait));
        stage.tell(Input::HangUpAll);
        assert_eq!(up(&stage), 0);
        stage.seconds(40);
        stage.close();
    }
}

#[test]
fn two_campaigns_share_a_trunk_by_turns() {
    let mut stage = with_leads(12, 4);
    for n in 5..=8 {
        stage.list(100 + n, second_campaign(), &mobile(n as usize));
        stage.peers[GATEWAY]
            .manners
            .insert(mobile(n as usize), willing());
    }
    stage.lines = 1;
    stage.change_house(|house| house.trunks[0].max_calls = 1);
    stage.start(|_| {});
    let mut other = plan();
    other.campaign.id = second_campaign();
    stage.tell(Input::Campaign(Arc::new(other)));
    stage.run_campaign();
    stage.close();
    let by = |id: CampaignId| {
        let of = |f: &&Arc<Finish>| f.cdr.campaign == Some(id);
        stage.shop.finishes.iter().filter(of).count()
    };
    assert_eq!((by(campaign()), stage.shop.finishes.len()), (4, 8));
}

#[test]
fn a_lead_for_whom_no_port_is_free_loses_no_attempt() {
    let mut stage = with_leads(13, 1);
    stage.start(|campaign| campaign.state = CampaignState::Paused);
    stage.peers[BO].manner = Manner::answers();
    for _ in 0..30 {
        stage.call(ANA, "1002");
    }
    stage.seconds(5);
    stage.start(|_| {});
    stage.seconds(5);
    let record = stage.shop.records(&mobile(1))[0];
    assert_eq!(record.cdr.disposition, Disposition::Refused);
    assert_eq!(record.cdr.termination.text, "no RTP port is free");
    let lead = &stage.shop.row(&mobile(1)).expect("a lead").lead;
    assert_eq!((lead.attempts, lead.unreached_in_a_row), (0, 0));
    for id in stage.peers[ANA].dialogs.keys().copied().collect::<Vec<_>>() {
        stage.hang_up(ANA, id);
    }
    stage.run_campaign();
    stage.close();
    assert_eq!(stage.shop.records(&mobile(1)).len(), 2);
}

#[test]
fn a_campaign_that_is_refused_leads_is_not_over() {
    let mut stage = with_leads(1, 3);
    stage.shop.weather = Weather::Away;
    stage.start(|_| {});
    stage.seconds(30);
    let refused = Waiting::Refused(ClaimRefused::Unavailable);
    assert_eq!(waiting(&stage), Some(refused));
    assert!(stage.notices("campaign.finished").is_empty());
    stage.shop.weather = Weather::Fine;
    stage.run_campaign();
    stage.seconds(10);
    stage.close();
    assert_eq!(stage.outcomes(), vec!["Answered A"; 3]);
    assert_eq!(stage.notices("campaign.finished").len(), 1);
}
