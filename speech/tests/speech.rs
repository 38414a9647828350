//! Listener and workers together, with a recogniser that follows a script.

mod common;

use bots::{Discard, DiscardReason, Language, NotHeard, Recogniser, RecogniserError};
use common::*;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use model::{LegId, RequestId};
use rtrb::RingBuffer;
use speech::{Config, Scripted, Shared, Source, Speech, SpeechEvent, Stop, TapFrame};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// For machines that are asleep; nothing takes that long.
const MINUTE: Duration = Duration::from_secs(60);

struct Room {
    speech: Speech,
    events: Receiver<SpeechEvent>,
}

impl Room {
    fn new(source: impl Source + 'static, config: Config) -> Room {
        let (sink, events) = unbounded();
        let sink = Arc::new(move |event| drop(sink.send(event)));
        Room {
            speech: Speech::start(Arc::new(source), config, sink).unwrap(),
            events,
        }
    }

    fn next(&self) -> SpeechEvent {
        self.events
            .recv_timeout(Duration::from_secs(60))
            .expect("an event")
    }

    /// The next answer, whatever voices do meanwhile.
    fn answer(&self) -> (u64, Result<String, NotHeard>) {
        loop {
            if let SpeechEvent::Recognised {
                request, result, ..
            } = self.next()
            {
                return (request.0, result);
            }
        }
    }

    /// A leg that says this, once and for all.
    fn leg_says(&self, leg: u64, pcm: &[i16]) {
        let (mut ring, frames_out) = RingBuffer::<TapFrame>::new(4096);
        for frame in frames(pcm) {
            ring.push(frame).unwrap();
        }
        self.speech.listen(LegId(leg), frames_out).unwrap();
    }

    fn ask(&self, leg: u64, request: u64, is_final: bool) {
        let (leg, request) = (LegId(leg), RequestId(request));
        self.speech
            .recognise(leg, request, 0, 60_000, is_final, Language::Zh);
    }
}

fn one_worker() -> Config {
    Config {
        workers: 1,
        deadline: Duration::from_secs(50),
        ..Config::default()
    }
}

fn spoken() -> Vec<i16> {
    [silence(300), phrase("zh-no-01"), silence(600)].concat()
}

#[test]
fn a_leg_speaks_pauses_and_is_understood() {
    let room = Room::new(Shared(Arc::new(Scripted::lines(["不需要"]))), one_worker());
    room.leg_says(7, &spoken());
    let SpeechEvent::VoiceStarted {
        leg: LegId(7),
        at_ms,
    } = room.next()
    else {
        panic!()
    };
    assert!((300..1000).contains(&at_ms), "{at_ms}");
    loop {
        if let SpeechEvent::VoicePaused { last_voiced_ms, .. } = room.next()
            && last_voiced_ms > 1000
        {
            break;
        }
    }
    room.ask(7, 1, true);
    assert_eq!(room.answer(), (1, Ok("不需要".into())));
    let load = room.speech.load();
    assert_eq!((load.legs, load.workers, load.recognised), (1, 1, 1));
    assert!(
        load.recogniser.contains("scripted"),
        "never to be taken for recognition"
    );
}

#[test]
fn without_voice_the_recogniser_is_not_even_asked() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let scripted = Scripted::by(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok("谢谢观看".into())
    });
    let room = Room::new(Shared(Arc::new(scripted)), one_worker());
    room.leg_says(1, &noise(3000, 4000.0));
    room.ask(1, 1, true);
    let nothing = Discard {
        reason: DiscardReason::Empty,
        text: String::new(),
    };
    assert_eq!(room.answer(), (1, Err(NotHeard::Discarded(nothing))));
    room.ask(2, 2, true);
    assert_eq!(
        room.answer(),
        (2, Err(NotHeard::Failed(RecogniserError::Empty))),
        "an unknown leg"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

/// A recogniser that waits to be let go, once per call.
struct Held {
    entered: Sender<()>,
    release: Receiver<&'static str>,
}

impl Held {
    fn new() -> (Held, Receiver<()>, Sender<&'static str>) {
        let ((entered, inside), (let_go, release)) = (unbounded(), bounded(8));
        (Held { entered, release }, inside, let_go)
    }
    fn source(self) -> Shared {
        let Held { entered, release } = self;
        Shared(Arc::new(Scripted::by(move |_, _| {
            let _ = entered.send(());
            release
                .recv()
                .map(str::to_owned)
                .map_err(|_| RecogniserError::NoModel)
        })))
    }
}

#[test]
fn a_hung_recogniser_is_answered_for_and_replaced() {
    let (held, inside, let_go) = Held::new();
    let config = Config {
        deadline: Duration::from_millis(1500),
        patience: Duration::from_millis(10),
        ..one_worker()
    };
    let room = Room::new(held.source(), config);
    room.leg_says(1, &spoken());
    room.ask(1, 1, true);
    inside.recv_timeout(MINUTE).unwrap();
    assert_eq!(
        room.answer(),
        (1, Err(NotHeard::Failed(RecogniserError::TimedOut)))
    );
    room.ask(1, 2, true);
    // The first thread still hangs: only another one can come in here.
    inside.recv_timeout(MINUTE).unwrap();
    let_go.send("谢谢").unwrap();
    let_go.send("不用").unwrap();
    let (request, result) = room.answer();
    assert_eq!(request, 2, "the late text of the first is told to nobody");
    assert!(result.is_ok());
    assert_eq!(room.speech.load().workers_replaced, 1);
    assert_eq!(room.speech.load().workers, 1);
}

#[test]
fn one_slow_recognition_does_not_hold_up_another_leg() {
    let (held, inside, let_go) = Held::new();
    let room = Room::new(
        held.source(),
        Config {
            workers: 2,
            ..one_worker()
        },
    );
    room.leg_says(1, &spoken());
    room.leg_says(2, &spoken());
    room.ask(1, 1, true);
    room.ask(2, 2, true);
    inside.recv_timeout(MINUTE).unwrap();
    inside.recv_timeout(MINUTE).unwrap();
    let_go.send("可以").unwrap();
    let first = room.answer();
    let_go.send("可以").unwrap();
    let second = room.answer();
    assert_eq!(first.0 + second.0, 3);
}

#[test]
fn an_awaited_request_overtakes_guesses_and_abandoned_ones_are_never_run() {
    let (held, inside, let_go) = Held::new();
    let room = Room::new(held.source(), one_worker());
    room.leg_says(1, &spoken());
    room.ask(1, 1, false);
    inside.recv_timeout(MINUTE).unwrap();
    room.ask(1, 2, false);
    room.ask(1, 3, false);
    room.ask(1, 4, true);
    room.speech.abandon(LegId(1), RequestId(2));
    // The listener takes commands in order: once it answers this one, it has seen them all.
    room.ask(99, 5, true);
    assert_eq!(room.answer().0, 5);
    let order: Vec<u64> = (0..3)
        .map(|_| {
            let_go.send("好的").unwrap();
            room.answer().0
        })
        .collect();
    assert_eq!(order, [1, 4, 3]);
}

/// Returns as soon as it is told to stop.
struct Attentive;
struct Waiting(Stop);

impl Source for Attentive {
    fn name(&self) -> &str {
        "attentive"
    }
    fn worker(&self, stop: Stop) -> Result<Box<dyn Recogniser>, RecogniserError> {
        Ok(Box::new(Waiting(stop)))
    }
}

impl Recogniser for Waiting {
    fn recognise(&self, _: &[i16], language: Language) -> Result<bots::Heard, RecogniserError> {
        if language == Language::En {
            return Ok(bots::Heard {
                text: "hello".into(),
                ..Default::default()
            });
        }
        while !self.0.wanted() {
            std::thread::yield_now();
        }
        Err(RecogniserError::TimedOut)
    }
    fn name(&self) -> &str {
        "attentive"
    }
}

#[test]
fn a_running_request_that_is_forgotten_frees_its_worker_at_once() {
    let room = Room::new(Attentive, one_worker());
    room.leg_says(1, &spoken());
    room.leg_says(2, &spoken());
    room.ask(1, 1, true);
    room.speech.forget(LegId(1));
    room.speech
        .recognise(LegId(2), RequestId(2), 0, 60_000, true, Language::En);
    assert_eq!(room.answer().0, 2, "the first one is never answered");
    assert_eq!(room.speech.load().legs, 1);
}

#[test]
fn a_panicking_recogniser_costs_one_text_and_nothing_else() {
    let calls = AtomicUsize::new(0);
    let scripted = Scripted::by(move |_, _| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => panic!("a recogniser may do this"),
        _ => Ok("可以".into()),
    });
    let room = Room::new(Shared(Arc::new(scripted)), one_worker());
    room.leg_says(1, &spoken());
    room.ask(1, 1, true);
    let (_, result) = room.answer();
    assert!(
        matches!(result, Err(NotHeard::Failed(RecogniserError::Engine(_)))),
        "{result:?}"
    );
    room.ask(1, 2, true);
    assert_eq!(room.answer(), (2, Ok("可以".into())));
}

#[test]
fn there_is_room_for_so_many_legs() {
    let room = Room::new(
        Shared(Arc::new(Scripted::lines(["好"]))),
        Config {
            legs: 1,
            ..one_worker()
        },
    );
    room.leg_says(1, &spoken());
    let (_ring, frames_out) = RingBuffer::<TapFrame>::new(8);
    assert!(room.speech.listen(LegId(2), frames_out).is_err());
}
