//! Whole campaigns, seed after seed, with everything that can go wrong: what must always hold is asked after every step.

use simulation::{Options, Outcome, Plan, play};
use simulation::{log::Log, shrink, told};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const SEEDS: u64 = 1000;

/// Of what a world is made, by its seed.
fn options(seed: u64) -> Options {
    Options {
        loss: [0, 5, 5, 15][seed as usize % 4],
        kills: (seed % 4) as u32,
        ..Options::new(200, seed)
    }
}

#[test]
fn a_thousand_seeds_of_two_hundred_leads() {
    let next = AtomicU64::new(1);
    let total = Mutex::new(Outcome::default());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > SEEDS || total.lock().unwrap().violation.is_some() {
                        return;
                    }
                    let plan = Plan::draw(&options(seed));
                    let outcome = play(&plan, Log::Nowhere);
                    let mut total = total.lock().unwrap();
                    if outcome.violation.is_some() && total.violation.is_none() {
                        let found = shrink::shrink(&plan).expect("the same plan fails again");
                        eprintln!("seed {seed}: {}", told::story(&found));
                    }
                    total.add(&outcome);
                }
            });
        }
    });
    let total = total.into_inner().unwrap();
    assert_eq!(total.violation, None);
    println!("{}", told::summary(&total));
    // It all came up, and not once or twice.
    let least = [
        ("process killed", 500),
        ("gateway unregistered", 100),
        ("gateway cut off", 100),
        ("gateway refuses all", 100),
        ("SIP socket refused", 100),
        ("RTP sockets failed", 100),
        ("leg lost", 100),
        ("media worker mute", 100),
        ("recogniser slow", 100),
        ("recogniser failed", 100),
        ("recogniser hung", 100),
        ("database away", 100),
        ("commits unknown", 100),
        ("database slow", 100),
        ("answers late", 100),
        ("clock set", 100),
        ("campaign paused", 100),
        ("enterprise banned", 100),
        ("hung up by an operator", 100),
        ("number suppressed", 100),
        ("service drained", 100),
        ("interrupted", 1000),
        ("datagrams doubled", 10_000),
    ];
    for (what, least) in least {
        let times = total.counts.get(what).copied().unwrap_or(0);
        assert!(times >= least, "{what}: {times} times");
    }
    for (outcome, least) in [
        ("answered A", 10_000),
        ("answered B", 1000),
        ("answered C", 1000),
        ("answered D", 1000),
        ("busy E", 1000),
        ("no answer F", 500),
        ("empty number F", 1000),
        ("network fault E", 1000),
        ("refused", 500),
    ] {
        let times = total.records.get(outcome).copied().unwrap_or(0);
        assert!(times >= least, "{outcome}: {times} times");
    }
    for (result, least) in [
        ("done A", 10_000),
        ("done D", 1000),
        ("exhausted E", 50),
        ("exhausted F", 1000),
        ("suppressed do_not_call", 500),
    ] {
        let times = total.results.get(result).copied().unwrap_or(0);
        assert!(times >= least, "{result}: {times} leads");
    }
}

#[test]
fn the_same_seed_gives_the_same_log() {
    let log = |seed| {
        let lines = std::rc::Rc::new(std::cell::RefCell::new(String::new()));
        let kept = lines.clone();
        let log = Log::To(Box::new(move |line| {
            let mut kept = kept.borrow_mut();
            kept.push_str(line);
            kept.push('\n');
        }));
        let outcome = play(&Plan::draw(&options(seed)), log);
        (lines.take(), outcome)
    };
    for seed in [7, 10] {
        let (first, second) = (log(seed), log(seed));
        assert!(first == second, "the logs of seed {seed} differ");
        assert!(first.0.lines().count() > 10_000);
        assert!(first.0.contains("KILLED"), "seed {seed} lives twice");
        assert!(first.0 != log(seed + 4).0);
    }
}
