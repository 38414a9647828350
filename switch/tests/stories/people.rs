//! People call each other, and out.

use crate::stage::Stage;
use crate::stage::house::*;
use crate::stage::peer::{Act, Manner, leg_of};
use model::*;
use std::time::Duration;
use switch::*;

const OUT: &str = "13900139000";

fn phones(seed: u64) -> Stage {
    let mut stage = Stage::new(seed);
    stage.peers[BO].manner = Manner::answers();
    stage.peers[GATEWAY]
        .manners
        .insert(OUT.to_owned(), Manner::answers());
    stage
}

fn last(stage: &Stage) -> &Finish {
    stage.shop.finishes.last().expect("a record")
}

#[test]
fn registration_needs_the_password() {
    let mut stage = Stage::bare(1);
    stage.register(ANA, None);
    stage.register(BO, Some("guess"));
    stage.seconds(2);
    assert_eq!(stage.notices("extension.registered").len(), 1);
    assert!(!stage.notices("extension.rejected").is_empty());
    assert_eq!(stage.shop.bound.len(), 1);
    assert_eq!(stage.node.registrations(tenant()).len(), 1);
    let contact = stage.shop.bound.keys().next().expect("Ana's").clone();
    assert!(contact.contains("10.0.1.2"), "{contact}");
    stage.close();
    assert!(stage.shop.bound.is_empty());
}

#[test]
fn one_extension_calls_another_and_their_packets_are_forwarded() {
    for caller_ends in [true, false] {
        let mut stage = phones(2);
        let id = stage.call(ANA, "1002");
        stage.seconds(10);
        assert_eq!(stage.peers[ANA].story[1..], ["progress 180", "answered"]);
        let (a, b) = (
            leg_of(&stage, ANA, id),
            leg_of(&stage, BO, stage.dialog(BO)),
        );
        assert!(a.is_some() && b.is_some());
        assert_eq!(stage.worker.bridged(a.unwrap()), b);
        let live = &stage.node.live_calls(tenant())[0];
        assert_eq!(
            (live.caller.as_str(), live.callee.as_str()),
            ("1001", "1002")
        );
        match caller_ends {
            true => stage.hang_up(ANA, id),
            false => stage.hang_up(BO, stage.dialog(BO)),
        }
        stage.seconds(5);
        let cdr = &last(&stage).cdr;
        let by = if caller_ends {
            EndedBy::Caller
        } else {
            EndedBy::Callee
        };
        assert_eq!((cdr.termination.by, cdr.termination.q850), (by, Some(16)));
        assert_eq!(
            (cdr.direction, cdr.charge),
            (Direction::Internal, Money::ZERO)
        );
        let talk = 10_000 - 1735;
        assert!(cdr.talk_ms.abs_diff(talk) < 50, "{}", cdr.talk_ms);
        stage.close();
    }
}

#[test]
fn early_media_is_heard_and_the_200_says_the_same() {
    let mut stage = phones(3);
    stage.peers[BO].manner = Manner::Answers {
        rings: 200,
        after: 3000,
        early: true,
        lines: [].into(),
        hangs_up: Some(4000),
        drift: 0,
        mute: None,
    };
    stage.call(ANA, "1002");
    stage.seconds(2);
    assert_eq!(stage.peers[ANA].story[1..], ["progress 183 with media"]);
    assert_eq!(stage.told(&["media bridge"]).len(), 1);
    stage.seconds(20);
    assert_eq!(last(&stage).cdr.disposition, Disposition::Answered);
    assert_eq!(stage.told(&["media bridge"]).len(), 1);
    stage.close();
}

#[test]
fn a_caller_may_put_the_other_on_hold_and_come_back() {
    use media::Direction::{SendOnly, SendRecv};
    let mut stage = phones(21);
    let id = stage.call(ANA, "1002");
    stage.seconds(5);
    for (direction, answer) in [(SendOnly, "recvonly"), (SendRecv, "sendrecv")] {
        stage.peer_acts(ANA, id, Act::Hold(direction));
        stage.seconds(2);
        let told = format!("reoffered {answer}");
        assert_eq!(stage.peers[ANA].story.last(), Some(&told));
    }
    assert_eq!(stage.node.calls(), 1);
    stage.hang_up(ANA, id);
    stage.seconds(2);
    stage.close();
}

#[test]
fn the_caller_gives_up() {
    for wait in [0, 3, 8, 20, 150, 1000, 1710, 1712] {
        let mut stage = phones(4);
        let id = stage.call(ANA, "1002");
        stage.run_for(Duration::from_millis(wait));
        stage.hang_up(ANA, id);
        stage.seconds(60);
        assert!(stage.shop.finishes.len() <= 1, "{wait}");
        if wait > 20 {
            let answered = last(&stage).cdr.disposition == Disposition::Answered;
            assert!(answered == (wait >= 1710) || !answered, "{wait}");
        }
        stage.close();
    }
}

#[test]
fn the_callee_is_busy_or_does_not_answer() {
    let mut stage = phones(5);
    stage.peers[BO].manner = Manner::refuses(486, Some(17));
    stage.call(ANA, "1002");
    stage.seconds(5);
    assert_eq!(
        stage.peers[ANA].story.last().map(String::as_str),
        Some("failed 486")
    );
    assert_eq!(
        last(&stage).cdr.disposition,
        Disposition::Unreached(Unreached::Busy)
    );
    stage.peers[BO].manner = Manner::NeverAnswers;
    stage.call(ANA, "1002");
    stage.seconds(70);
    assert_eq!(
        stage.peers[ANA].story.last().map(String::as_str),
        Some("failed 408")
    );
    assert_eq!(
        last(&stage).cdr.disposition,
        Disposition::Unreached(Unreached::NoAnswer)
    );
    stage.close();
}

#[test]
fn of_two_phones_the_first_to_answer_wins() {
    let mut stage = phones(6);
    stage.register(BO_TOO, None);
    stage.seconds(1);
    stage.call(ANA, "1002");
    stage.seconds(5);
    assert_eq!(stage.worker.open(), 2, "the loser's leg is closed");
    assert_eq!(
        stage.peers[BO_TOO].story.last().map(String::as_str),
        Some("cancelled")
    );
    stage.hang_up(BO, stage.dialog(BO));
    stage.seconds(5);
    assert_eq!(stage.shop.finishes.len(), 1);
    stage.close();
}

#[test]
fn both_phones_answer_at_once() {
    let mut stage = phones(7);
    stage.register(BO_TOO, None);
    stage.peers[BO_TOO].manner = Manner::answers();
    stage.seconds(1);
    let id = stage.call(ANA, "1002");
    stage.seconds(5);
    assert_eq!(stage.worker.open(), 2);
    stage.hang_up(ANA, id);
    stage.seconds(5);
    stage.close();
    assert_eq!(stage.shop.finishes.len(), 1);
}

#[test]
fn one_of_two_phones_refuses_or_has_no_socket_and_the_other_answers() {
    for failing in [0, 1] {
        let mut stage = phones(8);
        stage.register(BO_TOO, None);
        stage.peers[BO_TOO].manner = Manner::refuses(486, Some(17));
        stage.seconds(1);
        if failing == 1 {
            // The caller's leg is opened first, then the newest contact's.
            stage.call(ANA, "1002");
            assert!(stage.until(Duration::from_secs(1), |s| s.worker.opened == 1));
            stage.worker.failing = 1;
        } else {
            stage.call(ANA, "1002");
        }
        stage.seconds(5);
        assert_eq!(stage.worker.open(), 2, "{failing}");
        stage.hang_up(BO, stage.dialog(BO));
        stage.seconds(5);
        assert_eq!(last(&stage).cdr.disposition, Disposition::Answered);
        stage.close();
    }
}

#[test]
fn what_cannot_be_reached_says_why() {
    let mut stage = phones(9);
    for (to, status) in [("1003", 480), ("1009", 403), ("ghost", 404)] {
        stage.call(ANA, to);
        stage.seconds(2);
        let story = stage.peers[ANA].story.last().expect("a story").clone();
        // Four digits that are no extension are a short number, which is not on the list.
        assert_eq!(story, format!("failed {status}"), "{to}");
    }
    assert_eq!(stage.notices("call.refused").len(), 3);
    assert!(stage.shop.finishes.is_empty());
    stage.close();
}

#[test]
fn no_common_codec_is_488() {
    let mut stage = phones(10);
    stage.peers[ANA].codecs = Vec::new();
    stage.call(ANA, "1002");
    stage.seconds(2);
    assert_eq!(
        stage.peers[ANA].story.last().map(String::as_str),
        Some("failed 488")
    );
    stage.peers[ANA].codecs = vec![media::Codec::Pcma];
    stage.peers[BO].codecs = vec![media::Codec::Pcmu];
    stage.call(ANA, "1002");
    stage.seconds(5);
    assert_eq!(
        stage.peers[ANA].story.last().map(String::as_str),
        Some("failed 488")
    );
    stage.close();
}

#[test]
fn a_call_out_is_committed_displayed_and_charged() {
    let mut stage = phones(11);
    let id = stage.call(ANA, OUT);
    stage.seconds(65);
    stage.hang_up(ANA, id);
    stage.seconds(5);
    let cdr = &last(&stage).cdr;
    assert_eq!(
        (cdr.direction, cdr.charge),
        (Direction::Outbound, Money(20))
    );
    assert_eq!(
        (cdr.caller.as_str(), cdr.callee.as_str()),
        ("+862161234567", "+8613900139000")
    );
    assert_eq!(stage.shop.ledger.available(tenant()), Money(10_000 - 20));
    stage.close();
}

#[test]
fn a_caller_number_that_is_not_approved_is_403() {
    let mut stage = phones(12);
    stage.call_as(ANA, "02169999999", OUT);
    stage.seconds(2);
    assert_eq!(
        stage.peers[ANA].story.last().map(String::as_str),
        Some("failed 403")
    );
    stage.call_as(ANA, "13700137000", OUT);
    stage.seconds(2);
    assert_eq!(
        stage.peers[ANA].story.last().map(String::as_str),
        Some("failed 403")
    );
    assert!(stage.peers[GATEWAY].dialogs.is_empty());
    stage.close();
}

#[test]
fn beeps_tell_both_that_the_money_ends() {
    let mut stage = phones(13).only(10);
    stage.call(ANA, OUT);
    stage.seconds(90);
    let cdr = &last(&stage).cdr;
    assert_eq!(
        (cdr.termination.by, cdr.charge),
        (EndedBy::Balance, Money(10))
    );
    assert!((59_000..=60_000).contains(&cdr.talk_ms), "{}", cdr.talk_ms);
    assert_eq!(stage.told(&["media unbridge"]).len(), 1);
    assert_eq!(
        stage.told(&["worker finished"]).len(),
        2,
        "heard to their end by both"
    );
    assert_eq!(
        stage.peers[ANA].story.last().map(String::as_str),
        Some("ended")
    );
    stage.close();
}

#[test]
fn the_cut_comes_in_time_with_beeps_or_without() {
    // A second is all there is: shorter than the beeps.
    let mut stage = phones(24).only(10);
    let second = Duration::from_secs(1);
    let rate = billing::Rate::new(Currency::Cny, Money(10), second, Duration::ZERO);
    stage.change_house(|house| house.rate = rate.expect("a rate"));
    stage.call(ANA, OUT);
    stage.seconds(10);
    let cdr = &last(&stage).cdr;
    assert_eq!((cdr.talk_ms, cdr.charge), (1000, Money(10)));
    assert!(stage.told(&["media unbridge", "media play"]).is_empty());
    stage.close();
    // The beeps never report their end.
    let mut stage = phones(25).only(10);
    stage.worker.mute = true;
    stage.call(ANA, OUT);
    stage.seconds(90);
    let cdr = &last(&stage).cdr;
    assert_eq!(
        (cdr.talk_ms, cdr.termination.by),
        (60_000, EndedBy::Balance)
    );
    stage.close();
}

#[test]
fn no_money_is_402_and_no_store_503() {
    let mut stage = phones(14).only(9);
    stage.call(ANA, OUT);
    stage.seconds(2);
    assert_eq!(
        stage.peers[ANA].story.last().map(String::as_str),
        Some("failed 402")
    );
    assert_eq!(last(&stage).cdr.disposition, Disposition::Refused);
    stage.recharge(100);
    stage.shop.mood = crate::stage::shop::Mood::Mute;
    stage.call(ANA, OUT);
    stage.seconds(40);
    assert_eq!(
        stage.peers[ANA].story.last().map(String::as_str),
        Some("failed 503")
    );
    assert!(stage.peers[GATEWAY].dialogs.is_empty());
    stage.close();
}

#[test]
fn an_emergency_waits_for_no_store_and_no_money() {
    let mut stage = phones(15).only(1);
    stage.shop.mood = crate::stage::shop::Mood::Gone;
    stage.change_house(|house| house.trunks[0].max_calls = 0);
    stage.peers[GATEWAY]
        .manners
        .insert("110".to_owned(), Manner::answers().until(5000));
    stage.call(ANA, "110");
    stage.seconds(1);
    assert_eq!(stage.peers[GATEWAY].dialogs.len(), 1);
    stage.seconds(20);
    assert_eq!(last(&stage).cdr.disposition, Disposition::Answered);
    assert_eq!(last(&stage).cdr.charge, Money::ZERO);
    stage.close();
}

#[test]
fn the_callers_cancel_while_the_store_commits_ends_it_once() {
    for wait in [15, 50, 320, 340] {
        let mut stage = phones(16);
        stage.shop.delay = (300, 300);
        let id = stage.call(ANA, OUT);
        stage.run_for(Duration::from_millis(wait));
        stage.hang_up(ANA, id);
        stage.seconds(60);
        stage.close();
        assert!(stage.shop.finishes.len() <= 1);
        assert_eq!(stage.shop.ledger.available(tenant()), Money(10_000));
    }
}

#[test]
fn all_lines_of_the_trunk_may_be_in_use() {
    let mut stage = phones(17);
    stage.change_house(|house| house.trunks[0].max_calls = 1);
    stage.call(ANA, OUT);
    stage.seconds(3);
    stage.call(BO, OUT);
    stage.seconds(3);
    assert_eq!(
        stage.peers[BO].story.last().map(String::as_str),
        Some("failed 503")
    );
    stage.tell(Input::HangUpAll);
    stage.close();
}

#[test]
fn a_tenant_banned_or_an_extension_deleted_in_a_call_leaves_nothing_behind() {
    for banned in [true, false] {
        let mut stage = phones(18);
        let id = stage.call(ANA, "1002");
        stage.seconds(5);
        stage.change_house(|house| {
            house.banned = banned;
            house.extensions.clear();
        });
        let bound = usize::from(!banned);
        assert_eq!(
            stage.node.registrations(tenant()).len(),
            bound,
            "the gateway"
        );
        stage.call(BO, "1001");
        stage.seconds(5);
        assert_eq!(
            stage.peers[BO].story.last().map(String::as_str),
            Some("failed 403")
        );
        stage.hang_up(ANA, id);
        stage.seconds(5);
        assert_eq!(last(&stage).cdr.disposition, Disposition::Answered);
        stage.close();
    }
}

#[test]
fn a_drain_refuses_new_calls_and_lets_live_ones_talk() {
    let mut stage = phones(19);
    let id = stage.call(ANA, "1002");
    stage.seconds(5);
    stage.tell(Input::Drain);
    stage.call(BO, OUT);
    stage.seconds(5);
    assert_eq!(
        stage.peers[BO].story.last().map(String::as_str),
        Some("failed 503")
    );
    assert_eq!(stage.node.calls(), 1);
    stage.hang_up(ANA, id);
    stage.close();
}

#[test]
fn calls_run_out_of_ports_before_they_run_out_of_manners() {
    let mut stage = phones(20);
    for _ in 0..29 {
        stage.call(ANA, "1002");
    }
    stage.seconds(5);
    assert_eq!(stage.worker.open(), 58);
    stage.call(ANA, "1002");
    stage.seconds(3);
    stage.call(ANA, "1002");
    stage.seconds(3);
    let story = &stage.peers[ANA].story;
    assert_eq!(story.last().map(String::as_str), Some("failed 503"));
    stage.tell(Input::HangUpAll);
    stage.close();
}

#[test]
fn a_trunk_calls_in_to_an_extension_and_no_further() {
    let mut stage = phones(22);
    let id = stage.call_as(GATEWAY, "13900139000", "1002");
    stage.seconds(5);
    stage.hang_up(GATEWAY, id);
    stage.seconds(2);
    let cdr = &last(&stage).cdr;
    assert_eq!(cdr.direction, Direction::Inbound);
    assert_eq!(
        (cdr.caller.as_str(), cdr.trunk),
        ("13900139000", Some(trunk()))
    );
    assert!(cdr.customer_stats.is_some());
    // Not out again, which would be a stranger's call on the tenant's bill.
    stage.call_as(GATEWAY, "13900139000", OUT);
    stage.seconds(2);
    let story = &stage.peers[GATEWAY].story;
    assert_eq!(story.last().map(String::as_str), Some("failed 404"));
    stage.close();
}

#[test]
fn another_tenants_extension_is_a_stranger() {
    let mut stage = phones(23);
    let mut other = directory();
    other.tenant = TenantId(model::id::Uuid::from_u128(77));
    other.account = "other".to_owned();
    other.domains = vec!["other.example".to_owned()];
    other.trunks.clear();
    other.extensions.truncate(1);
    let (user, aor) = ("2001.other", "2001@other");
    let account = sip::Account::from_password(user, REALM, aor, "pw");
    other.extensions[0].account = std::sync::Arc::new(account);
    other.extensions[0].number = "2001".to_owned();
    stage.tell(Input::Directory(std::sync::Arc::new(other)));
    for to in ["2001.other", "2001"] {
        stage.call(ANA, to);
        stage.seconds(2);
        let story = stage.peers[ANA].story.last().cloned().unwrap_or_default();
        assert!(
            ["failed 404", "failed 403"].contains(&story.as_str()),
            "{story}"
        );
    }
    stage.close();
}
