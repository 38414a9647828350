//! Calls between two endpoints through a network, calm and rough.

mod network;

use network::{Act, Manner, Network};
use sip::Event;

fn answering() -> Manner {
    Manner::Answer {
        ring_after: 50,
        answer_after: 2000,
        early: false,
    }
}

#[test]
fn an_answered_call_that_the_caller_ends() {
    let mut net = Network::new(1, 2);
    net.keep_wire = true;
    net.nodes[1].manner = answering();
    let id = net.call(0, 1);
    net.later(10_000, 0, id, Act::HangUp);
    net.run_out();
    assert_eq!(net.story(0), ["Progress 180", "Answered", "Ended local"]);
    assert_eq!(net.story(1), ["Incoming", "Confirmed", "Ended"]);
    assert_eq!(net.sent(0), ["INVITE", "ACK", "INVITE", "ACK", "BYE"]);
    assert_eq!(net.sent(1), ["407", "100", "180", "200", "200"]);
    assert!(
        matches!(&net.nodes[1].log.last().unwrap().1, Event::Ended { q850: Some(16), text, .. } if text == "done")
    );
}

#[test]
fn an_answered_call_that_the_callee_ends() {
    let mut net = Network::new(2, 2);
    net.nodes[1].manner = Manner::Answer {
        ring_after: 50,
        answer_after: 500,
        early: true,
    };
    net.call(0, 1);
    net.run(5000);
    let callee = *net.nodes[1].usages.keys().next().unwrap();
    net.perform(1, callee, Act::HangUp);
    net.run_out();
    assert_eq!(net.story(0), ["Progress 183", "Answered", "Ended"]);
    assert_eq!(net.story(1), ["Incoming", "Confirmed", "Ended local"]);
}

/// The same story under several hundred seeds; `run_out` checks that it ends legally on both sides and leaves nothing.
fn every_seed(scenario: impl Fn(u64, &mut Network)) {
    for seed in 1..=300 {
        let mut net = Network::new(seed, 2).rough();
        let run = std::panic::AssertUnwindSafe(|| {
            scenario(seed, &mut net);
            net.run_out();
        });
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("seed {seed}");
            for n in 0..2 {
                for (ms, event) in &net.nodes[n].log {
                    eprintln!("{ms:>8} node {n} {}", network::name(event));
                }
            }
            std::panic::resume_unwind(panic);
        }
    }
}

fn callee(net: &Network) -> Option<sip::InviteId> {
    net.nodes[1].usages.keys().next().copied()
}

#[test]
fn rough_the_caller_ends_it() {
    every_seed(|_, net| {
        net.nodes[1].manner = answering();
        let id = net.call(0, 1);
        net.later(30_000, 0, id, Act::HangUp);
    });
}

#[test]
fn rough_the_callee_ends_it() {
    every_seed(|seed, net| {
        net.nodes[1].manner = answering();
        let id = net.call(0, 1);
        net.run(2000 + 97 * (seed % 60));
        if let Some(callee) = callee(net) {
            net.perform(1, callee, Act::HangUp);
        }
        net.later(100_000, 0, id, Act::HangUp);
    });
}

#[test]
fn rough_both_end_it_at_once() {
    every_seed(|seed, net| {
        net.nodes[1].manner = answering();
        let id = net.call(0, 1);
        net.run(20_000 + seed);
        if let Some(callee) = callee(net) {
            net.perform(1, callee, Act::HangUp);
        }
        net.perform(0, id, Act::HangUp);
    });
}

#[test]
fn rough_cancelled_at_every_moment() {
    every_seed(|seed, net| {
        net.nodes[1].manner = Manner::Answer {
            ring_after: 40,
            answer_after: 1500,
            early: seed % 2 == 0,
        };
        let id = net.call(0, 1);
        net.later(seed * 17, 0, id, Act::HangUp);
    });
}

#[test]
fn rough_rejected() {
    every_seed(|_, net| {
        net.nodes[1].manner = Manner::Reject {
            after: 700,
            code: 486,
        };
        net.call(0, 1);
    });
}

#[test]
fn rough_nobody_answers() {
    every_seed(|_, net| {
        net.nodes[1].manner = Manner::Answer {
            ring_after: 100,
            answer_after: 300_000,
            early: false,
        };
        net.call(0, 1);
    });
}

#[test]
fn rough_offers_from_both_sides_at_once() {
    let met = std::cell::Cell::new(0);
    every_seed(|seed, net| {
        net.nodes[1].manner = answering();
        let id = net.call(0, 1);
        net.run(15_000);
        if let Some(callee) = callee(net) {
            net.perform(1, callee, Act::Reinvite);
            net.later(seed % 300, 0, id, Act::Reinvite);
            let (node, leg) = if seed % 2 == 0 { (0, id) } else { (1, callee) };
            net.later(seed * 113, node, leg, Act::HangUp);
        }
        net.later(90_000, 0, id, Act::HangUp);
        net.run(80_000);
        let settled = |n: usize| net.story(n).iter().any(|e| e == "Reoffered ok");
        met.set(met.get() + usize::from(settled(0)) + usize::from(settled(1)));
    });
    assert!(
        met.get() > 300,
        "most offers get their answer: {}",
        met.get()
    );
}

#[test]
fn rough_the_callee_is_gone() {
    every_seed(|_, net| {
        net.loss = 1000;
        net.call(0, 1);
    });
}

#[test]
fn rough_cut_off_in_the_middle() {
    every_seed(|seed, net| {
        net.nodes[1].manner = answering();
        let id = net.call(0, 1);
        net.run(seed * 40);
        net.loss = 1000;
        net.later(60_000, 0, id, Act::HangUp);
        net.run(61_000);
        if let Some(callee) = callee(net) {
            net.perform(1, callee, Act::HangUp);
        }
    });
}

#[test]
fn most_rough_calls_still_get_through() {
    let answered = std::cell::Cell::new(0);
    every_seed(|_, net| {
        net.nodes[1].manner = answering();
        let id = net.call(0, 1);
        net.later(60_000, 0, id, Act::HangUp);
        net.run(59_000);
        answered.set(answered.get() + usize::from(net.story(0).iter().any(|e| e == "Answered")));
    });
    assert!(answered.get() >= 295, "{} of 300", answered.get());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut net = Network::new(77, 2).rough();
        net.keep_wire = true;
        net.nodes[1].manner = answering();
        let id = net.call(0, 1);
        net.later(9000, 0, id, Act::HangUp);
        net.run_out();
        net.wire
    };
    assert_eq!(run(), run());
}

#[test]
fn glare_is_settled_by_waiting_unequally() {
    let mut net = Network::new(5, 2);
    net.keep_wire = true;
    net.nodes[1].manner = answering();
    let id = net.call(0, 1);
    net.run(5000);
    let callee = callee(&net).unwrap();
    net.perform(1, callee, Act::Reinvite);
    net.perform(0, id, Act::Reinvite);
    net.run(10_000);
    assert!(net.sent(0).contains(&"491".to_owned()) && net.sent(1).contains(&"491".to_owned()));
    for n in 0..2 {
        let story = net.story(n);
        assert!(
            story.contains(&"Reoffered ok".to_owned()) && story.contains(&"Reoffer".to_owned()),
            "{story:?}"
        );
    }
    net.perform(0, id, Act::HangUp);
    net.run_out();
}

#[test]
fn a_cancel_that_crosses_the_200_takes_the_call_down_again() {
    let mut net = Network::new(6, 2);
    net.keep_wire = true;
    net.nodes[1].manner = Manner::Answer {
        ring_after: 10,
        answer_after: 500,
        early: false,
    };
    let id = net.call(0, 1);
    // The 200 leaves at 540 ms and arrives at 550.
    net.later(545, 0, id, Act::HangUp);
    net.run_out();
    assert_eq!(net.story(0), ["Progress 180", "Failed 487 local"]);
    assert_eq!(net.story(1), ["Incoming", "Confirmed", "Ended"]);
    assert_eq!(
        net.sent(0),
        ["INVITE", "ACK", "INVITE", "CANCEL", "ACK", "BYE"]
    );
}

#[test]
fn hanging_up_before_any_answer_waits_for_a_provisional() {
    let mut net = Network::new(7, 2);
    net.keep_wire = true;
    net.nodes[1].manner = answering();
    let id = net.call(0, 1);
    net.perform(0, id, Act::HangUp);
    net.run_out();
    // The challenge answers the INVITE; no second one follows.
    assert_eq!(net.sent(0), ["INVITE", "ACK"]);
    assert_eq!(net.story(0), ["Failed 487 local"]);
}

#[test]
fn the_callee_who_hangs_up_before_the_ack_waits_for_it() {
    let mut net = Network::new(8, 2);
    net.keep_wire = true;
    net.nodes[1].manner = Manner::Answer {
        ring_after: 10,
        answer_after: 500,
        early: false,
    };
    net.call(0, 1);
    net.run(541);
    let callee = callee(&net).unwrap();
    net.perform(1, callee, Act::HangUp);
    assert_eq!(net.sent(1).last().unwrap(), "200");
    net.run_out();
    assert_eq!(net.story(1), ["Incoming", "Ended local"]);
    assert_eq!(net.story(0), ["Progress 180", "Answered", "Ended"]);
}

#[test]
fn a_peer_known_by_address_calls_without_a_challenge() {
    let mut net = Network::new(9, 2);
    net.keep_wire = true;
    net.nodes[1].manner = answering();
    net.nodes[1].book.trust(network::address(1));
    let id = net.call(0, 1);
    net.later(5000, 0, id, Act::HangUp);
    net.run_out();
    assert_eq!(net.sent(0), ["INVITE", "ACK", "BYE"]);
    assert!(
        matches!(&net.nodes[1].log[0].1, Event::Incoming(i) if i.account.username == "1001.acme")
    );
}
