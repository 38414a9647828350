//! Whole dialogues in virtual time: the test is the callee, the media worker and the recogniser.

use bots::recogniser::{NotHeard, RecogniserError};
use bots::record::{Decision, MatchKind, Speaker, Summary, TurnRecord};
use bots::{
    Action, CompiledTemplate, Conversation, Counters, Discard, DiscardReason, RobotEvent, Template,
};
use model::{EndedBy, Mono, PlayId, PromptId, RequestId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const PROMPT_MS: u64 = 3000;
/// What the listener's voice detector needs to be sure of silence.
const DETECTED_MS: u64 = 100;

fn loan() -> Template {
    let json = include_str!("../../fixtures/templates/loan.zh.json");
    let mut template: Template = serde_json::from_str(json).expect("the fixture is a template");
    for (n, key) in keys(&template).into_iter().enumerate() {
        assert!(template.set_prompt(&key, Some(prompt(n))));
    }
    template
}

fn keys(template: &Template) -> Vec<String> {
    template
        .spoken()
        .into_iter()
        .map(|spoken| spoken.key)
        .collect()
}

fn prompt(n: usize) -> PromptId {
    PromptId(model::id::Uuid::from_u128(n as u128 + 1))
}

/// A call; its log is what a bystander would write down.
struct Call {
    talk: Conversation,
    names: HashMap<PromptId, String>,
    now: u64,
    playing: Option<(PlayId, u64)>,
    requests: Vec<RequestId>,
    log: Vec<String>,
    turns: Vec<TurnRecord>,
    ended: Option<EndedBy>,
}

impl Call {
    fn new() -> Call {
        Call::with(loan())
    }
    fn with(template: Template) -> Call {
        let names = keys(&template)
            .into_iter()
            .enumerate()
            .map(|(n, key)| (prompt(n), key))
            .collect();
        let compiled = CompiledTemplate::new(&template).expect("no errors");
        Call {
            talk: Conversation::new(compiled, PlayId(100), RequestId(500)),
            names,
            now: 0,
            playing: None,
            requests: Vec::new(),
            log: Vec::new(),
            turns: Vec::new(),
            ended: None,
        }
    }
    fn answered() -> Call {
        let mut call = Call::new();
        call.event(RobotEvent::Answered);
        call
    }

    fn event(&mut self, event: RobotEvent) {
        let mut out = Vec::new();
        self.talk
            .handle(Mono::from_millis(self.now), event, &mut out);
        for action in out {
            let at = self.now;
            match action {
                Action::Play { play, prompt } => {
                    self.log.push(format!("{at} play {}", self.names[&prompt]));
                    self.playing = Some((play, self.now + PROMPT_MS));
                }
                Action::Stop { play } => {
                    assert_eq!(self.playing.map(|(p, _)| p), Some(play), "stops what plays");
                    self.playing = None;
                    self.log.push(format!("{at} stop"));
                }
                Action::Recognise {
                    request,
                    from_ms,
                    to_ms,
                    is_final,
                } => {
                    self.requests.push(request);
                    let kind = if is_final { "final" } else { "maybe" };
                    self.log
                        .push(format!("{at} recognise {from_ms}-{to_ms} {kind}"));
                }
                Action::Promote { .. } => self.log.push(format!("{at} promote")),
                Action::Abandon { .. } => self.log.push(format!("{at} abandon")),
                Action::HangUp(by) => {
                    self.log.push(format!("{at} hang up {by:?}"));
                    assert!(self.ended.replace(by).is_none(), "hangs up once");
                    self.playing = None;
                }
                Action::Turn(turn) => self.turns.push(*turn),
            }
        }
    }

    /// Lets time pass: deadlines come when they are due, prompts end.
    fn until(&mut self, to: u64) {
        loop {
            let deadline = self.talk.next_deadline().map(|at| at.as_millis());
            let prompt = self.playing.map(|(_, end)| end);
            let next = [deadline, prompt]
                .into_iter()
                .flatten()
                .min()
                .filter(|at| *at <= to);
            let Some(at) = next else { break };
            self.now = self.now.max(at);
            if prompt == Some(at)
                && let Some((play, _)) = self.playing.take()
            {
                self.event(RobotEvent::PlayFinished { play });
            } else {
                self.event(RobotEvent::Deadline);
            }
        }
        self.now = to;
    }
    fn wait(&mut self, ms: u64) {
        self.until(self.now + ms);
    }
    fn prompt_ends(&mut self) {
        while let Some((_, end)) = self.playing {
            self.until(end);
        }
    }

    fn voice(&mut self, ms: u64) {
        self.event(RobotEvent::VoiceStarted { at_ms: self.now });
        self.wait(ms);
        let last = self.now;
        self.wait(DETECTED_MS);
        let silence = Duration::from_millis(DETECTED_MS);
        self.event(RobotEvent::VoicePaused {
            last_voiced_ms: last,
            silence,
        });
    }
    fn recognised(&mut self, text: &str) {
        let request = *self.requests.last().expect("asked for");
        self.event(RobotEvent::Recognised {
            request,
            result: Ok(text.into()),
        });
    }
    fn not_recognised(&mut self, why: NotHeard) {
        let request = *self.requests.last().expect("asked for");
        self.event(RobotEvent::Recognised {
            request,
            result: Err(why),
        });
    }
    /// After the prompt: speaks, is recognised 160 ms after being asked for, and is answered.
    fn says(&mut self, text: &str) {
        self.prompt_ends();
        self.wait(300);
        self.voice(900);
        self.wait(260);
        self.recognised(text);
        self.wait(700);
    }
    fn played(&self) -> String {
        let played = self
            .log
            .iter()
            .filter_map(|line| line.split_once(" play ").map(|(_, p)| p));
        played.collect::<Vec<_>>().join(" ")
    }
    fn finish(&mut self) -> Summary {
        self.talk.finish(Mono::from_millis(self.now))
    }
}

fn counters(n: u32, r: u32, a: u32, q: u32) -> Counters {
    Counters { n, r, a, q }
}

#[test]
fn a_willing_callee_is_led_to_the_farewell() {
    let mut call = Call::answered();
    call.says("我在公司上班。");
    call.says("可以啊，你给我介绍一下。");
    call.says("行，你加我微信吧。");
    call.prompt_ends();
    assert_eq!(call.played(), "greeting employed amount closing");
    assert_eq!(call.ended, Some(EndedBy::Flow));
    let summary = call.finish();
    assert_eq!(summary.counters, counters(3, 0, 2, 0));
    assert_eq!(summary.labels, ["上班族", "上班有意向", "同意加微信"]);
    assert_eq!(bots::grade::count(&summary.turns), summary.counters);
    assert_eq!(
        summary.turns, call.turns,
        "every turn was told as it happened"
    );
    let callee: Vec<&TurnRecord> = summary
        .turns
        .iter()
        .filter(|turn| turn.speaker == Speaker::Callee)
        .collect();
    assert_eq!(callee[0].node, "greeting");
    assert_eq!(
        callee[0].decision,
        Decision::GoTo {
            node: "employed".into()
        }
    );
    assert!(callee[0].to_ms - callee[0].from_ms == 900 && callee[0].from_ms == 3300);
}

#[test]
fn a_question_is_answered_and_the_flow_returns_to_where_it_was() {
    let mut call = Call::answered();
    call.says("你们公司在哪里？");
    call.says("我自己做点小生意。");
    call.says("多少千一个月？");
    call.says("利息是多少？");
    call.says("不需要，谢谢。");
    assert_eq!(
        call.played(),
        "greeting question.where greeting.reask business question.rate business.reask question.rate business.reask objection"
    );
    let summary = call.finish();
    assert_eq!(
        summary.counters,
        counters(5, 1, 0, 2),
        "the rate was asked for twice and counts once"
    );
}

#[test]
fn recognition_starts_at_the_pause_and_a_clear_answer_is_taken_early() {
    let mut call = Call::answered();
    call.prompt_ends();
    call.wait(500);
    call.voice(1000);
    call.wait(300);
    let log = call.log.join(" | ");
    assert!(log.contains("4700 recognise 3300-4680 maybe"), "{log}");
    assert!(!log.contains("promote"));
    call.recognised("不需要，谢谢。");
    assert!(
        call.log.last().unwrap().starts_with("4900 play objection"),
        "{:?}",
        call.log
    );
}

#[test]
fn an_unclear_answer_waits_for_the_whole_silence() {
    let mut call = Call::answered();
    call.prompt_ends();
    call.voice(1000);
    call.wait(110);
    call.recognised("今天天气不错。");
    call.wait(2);
    assert_eq!(call.played(), "greeting");
    call.wait(238);
    assert_eq!(call.log.last().unwrap(), "4450 play unmatched");
}

#[test]
fn a_retracted_end_point_is_no_interaction() {
    let mut call = Call::answered();
    call.prompt_ends();
    call.voice(600);
    call.wait(250);
    // 350 ms of silence: the robot has heard 可以 and begins to answer, but the callee goes on.
    call.recognised("可以。");
    call.wait(10);
    assert_eq!(call.played(), "greeting amount");
    call.voice(900);
    assert!(call.log.iter().any(|line| line.ends_with(" stop")));
    call.wait(150);
    let asked = call
        .log
        .iter()
        .rev()
        .find(|line| line.contains("recognise"))
        .unwrap();
    assert!(
        asked.contains("recognise 2800-"),
        "from the first word: {asked}"
    );
    call.recognised("可以，但是我现在没空。");
    call.wait(800);
    let summary = call.finish();
    assert_eq!(summary.counters, counters(1, 1, 0, 0));
    let robot = summary
        .turns
        .iter()
        .filter(|turn| turn.speaker == Speaker::Callee)
        .count();
    assert_eq!(robot, 1);
}

#[test]
fn speech_that_resumes_abandons_the_speculative_recognition() {
    let mut call = Call::answered();
    call.prompt_ends();
    call.voice(500);
    call.wait(150);
    call.voice(500);
    call.wait(150);
    let tail: Vec<&str> = call
        .log
        .iter()
        .map(|line| line.split_once(' ').unwrap().1)
        .skip(1)
        .collect();
    assert_eq!(
        tail,
        [
            "recognise 2800-3680 maybe",
            "abandon",
            "recognise 2800-4430 maybe"
        ]
    );
    let late = call.requests[0];
    call.event(RobotEvent::Recognised {
        request: late,
        result: Ok("不需要".into()),
    });
    call.wait(150);
    assert_eq!(
        call.played(),
        "greeting",
        "a result for half a sentence is nothing"
    );
}

#[test]
fn talking_over_the_robot_stops_it_and_counts() {
    let mut call = Call::answered();
    call.wait(1000);
    call.voice(1200);
    assert!(call.log.contains(&"1350 stop".to_owned()), "{:?}", call.log);
    call.wait(260);
    call.recognised("你是机器人吗？");
    call.wait(800);
    assert_eq!(call.played(), "greeting question.robot");
    let summary = call.finish();
    assert_eq!(summary.counters, counters(1, 0, 0, 1));
    assert_eq!(summary.turns[0].decision, Decision::Interrupted);
}

#[test]
fn a_grunt_over_the_prompt_does_not_derail() {
    let mut call = Call::answered();
    call.wait(1000);
    call.voice(200);
    call.prompt_ends();
    assert_eq!(call.log, ["0 play greeting"], "too short to stop anything");

    let mut call = Call::answered();
    call.wait(500);
    call.voice(600);
    call.wait(360);
    call.recognised("喂，你好。");
    call.wait(800);
    assert_eq!(
        call.played(),
        "greeting greeting",
        "the greeting is said again"
    );
    assert_eq!(call.finish().counters, counters(0, 0, 0, 0));
}

#[test]
fn without_barge_in_only_speech_past_the_end_of_the_prompt_counts() {
    let mut template = loan();
    template.nodes[0].barge_in = false;
    let mut call = Call::with(template.clone());
    call.event(RobotEvent::Answered);
    call.wait(500);
    call.voice(1500);
    call.prompt_ends();
    call.wait(500);
    assert_eq!(call.log, ["0 play greeting"], "ignored");

    let mut call = Call::with(template);
    call.event(RobotEvent::Answered);
    call.wait(2500);
    call.voice(1500);
    call.wait(260);
    call.recognised("我是上班的。");
    call.wait(100);
    assert_eq!(call.played(), "greeting employed");
}

#[test]
fn an_answer_on_the_last_syllable_of_the_prompt_counts() {
    let mut call = Call::answered();
    call.until(2700);
    call.voice(200);
    call.wait(350);
    call.recognised("上班。");
    call.wait(200);
    assert_eq!(call.played(), "greeting employed");
}

#[test]
fn silence_is_asked_about_once_and_then_ends_the_call() {
    let mut call = Call::answered();
    call.until(20_000);
    assert_eq!(
        call.log,
        [
            "0 play greeting",
            "7000 play silence",
            "14000 hang up Silence"
        ]
    );
    assert_eq!(
        call.talk.next_deadline(),
        None,
        "nothing is left to wait for"
    );
}

#[test]
fn speech_after_the_silence_prompt_starts_the_count_anew() {
    let mut call = Call::answered();
    call.until(7500);
    call.says("你声音有点小。");
    call.until(17_000);
    assert_eq!(call.played(), "greeting silence unmatched");
    call.until(22_000);
    assert_eq!(call.played(), "greeting silence unmatched silence");
}

#[test]
fn a_slow_recogniser_gives_the_fallback_within_two_seconds_and_late_text_is_dropped() {
    let mut call = Call::answered();
    call.prompt_ends();
    call.voice(1000);
    let spoken_until = call.now - DETECTED_MS;
    call.wait(3000);
    let heard = call
        .log
        .iter()
        .find(|line| line.ends_with("play fallback"))
        .expect("a fallback");
    let at: u64 = heard.split(' ').next().unwrap().parse().unwrap();
    assert!(at - spoken_until <= 1950, "{at} after {spoken_until}");
    assert!(call.log.iter().any(|line| line.ends_with("abandon")));
    call.recognised("不需要。");
    call.wait(500);
    assert_eq!(call.played(), "greeting fallback");
    call.says("我在单位上班。");
    assert_eq!(call.played(), "greeting fallback employed");
    let summary = call.finish();
    assert_eq!(summary.counters.n, 1);
    assert!(summary.turns.iter().any(|turn| matches!(
        turn.matched.as_ref().map(|m| &m.kind),
        Some(MatchKind::NotHeard {
            why: NotHeard::Failed(RecogniserError::TimedOut)
        })
    )));
}

#[test]
fn a_refused_speculation_is_asked_for_again_at_the_end_point() {
    let mut call = Call::answered();
    call.prompt_ends();
    call.voice(800);
    call.wait(110);
    call.not_recognised(NotHeard::Failed(RecogniserError::Overloaded));
    call.wait(300);
    assert!(
        call.log.last().unwrap().ends_with("final"),
        "{:?}",
        call.log
    );
    call.recognised("不用了。");
    assert_eq!(call.played(), "greeting objection");
}

#[test]
fn a_recogniser_that_keeps_failing_ends_the_call() {
    let mut call = Call::answered();
    for _ in 0..3 {
        call.prompt_ends();
        call.voice(800);
        call.wait(110);
        call.not_recognised(NotHeard::Failed(RecogniserError::NoModel));
        call.wait(1000);
    }
    assert_eq!(call.played(), "greeting fallback fallback");
    assert_eq!(call.ended, Some(EndedBy::System));
}

fn invented() -> NotHeard {
    NotHeard::Discarded(Discard {
        reason: DiscardReason::KnownInvention,
        text: "感谢观看".into(),
    })
}

#[test]
fn a_noise_is_no_turn() {
    let mut call = Call::answered();
    call.until(4000);
    call.voice(300);
    call.wait(110);
    call.not_recognised(invented());
    call.wait(700);
    assert_eq!(call.played(), "greeting");
    call.until(7100);
    assert_eq!(
        call.played(),
        "greeting silence",
        "the silence was never broken"
    );
    assert_eq!(call.finish().counters.n, 0);
}

#[test]
fn a_noise_over_the_prompt_has_it_said_again() {
    let mut call = Call::answered();
    call.wait(500);
    call.voice(700);
    call.wait(360);
    call.not_recognised(invented());
    call.wait(100);
    assert_eq!(call.played(), "greeting greeting");
}

#[test]
fn long_voice_without_words_is_asked_about() {
    let mut call = Call::answered();
    call.prompt_ends();
    call.voice(1500);
    call.wait(360);
    call.not_recognised(invented());
    call.wait(100);
    assert_eq!(call.played(), "greeting unmatched");
}

#[test]
fn a_voice_that_never_ends_is_cut_into_a_turn() {
    let mut call = Call::answered();
    call.prompt_ends();
    call.event(RobotEvent::VoiceStarted { at_ms: call.now });
    call.wait(15_100);
    assert!(
        call.log.last().unwrap().ends_with("final"),
        "{:?}",
        call.log
    );
    call.recognised("我不需要。");
    assert_eq!(call.played(), "greeting objection");
}

#[test]
fn what_nobody_understands_is_asked_twice_and_then_passed_over() {
    let mut call = Call::answered();
    for _ in 0..3 {
        call.says("今天天气不错。");
    }
    assert_eq!(call.played(), "greeting unmatched unmatched amount");
    // This node ignores what it cannot match.
    call.says("你们食堂好不好吃？");
    call.prompt_ends();
    assert_eq!(call.played(), "greeting unmatched unmatched amount closing");
    let summary = call.finish();
    assert_eq!(summary.counters, counters(4, 0, 0, 0));
    assert_eq!(summary.unmatched.len(), 4);
}

#[test]
fn refusals_lead_out_by_the_objection() {
    let mut call = Call::answered();
    call.says("不需要。");
    call.says("我没有兴趣，别再打了。");
    call.prompt_ends();
    assert_eq!(call.played(), "greeting objection closing");
    assert_eq!(call.ended, Some(EndedBy::Flow));
    let summary = call.finish();
    assert_eq!(summary.counters, counters(2, 2, 0, 0));
    assert_eq!(summary.labels, ["开场拒绝", "挽留失败"]);
}

#[test]
fn an_ignored_negative_counts_as_a_turn_but_not_as_a_refusal() {
    let mut template = loan();
    template.nodes[0].ignore_negative = true;
    let mut call = Call::with(template);
    call.event(RobotEvent::Answered);
    call.says("不需要，谢谢。");
    assert_eq!(call.played(), "greeting employed", "on to the next node");
    let summary = call.finish();
    assert_eq!(summary.counters, counters(1, 0, 0, 0));
    assert_eq!(bots::grade::count(&summary.turns), summary.counters);
}

#[test]
fn a_used_up_balance_is_said_and_ends_the_call() {
    let mut call = Call::answered();
    call.wait(1000);
    call.event(RobotEvent::BalanceLow);
    call.wait(500);
    call.voice(800);
    call.prompt_ends();
    assert_eq!(
        call.log,
        [
            "0 play greeting",
            "1000 stop",
            "1000 play cut",
            "4000 hang up Balance"
        ]
    );
}

#[test]
fn a_balance_cut_while_text_is_awaited_abandons_it() {
    let mut call = Call::answered();
    call.prompt_ends();
    call.voice(800);
    call.wait(500);
    call.event(RobotEvent::BalanceLow);
    assert!(call.log.iter().any(|line| line.ends_with("abandon")));
    call.recognised("可以");
    call.prompt_ends();
    assert_eq!(call.played(), "greeting cut");
    assert_eq!(call.finish().counters.n, 0);
}

#[test]
fn a_callee_who_speaks_and_hangs_up_at_once_was_heard() {
    let mut call = Call::answered();
    call.prompt_ends();
    call.voice(700);
    call.wait(110);
    call.recognised("不需要不需要");
    let summary = call.finish();
    assert_eq!(summary.counters, counters(1, 1, 0, 0));
}

#[test]
fn a_prompt_whose_end_is_never_told_does_not_hold_the_call() {
    let mut call = Call::answered();
    call.playing = None;
    call.until(64_500);
    assert_eq!(call.played(), "greeting silence");
}

#[test]
fn nothing_happens_after_the_end() {
    let mut call = Call::answered();
    call.until(20_000);
    let lines = call.log.len();
    call.event(RobotEvent::VoiceStarted { at_ms: 20_000 });
    call.event(RobotEvent::BalanceLow);
    call.event(RobotEvent::Answered);
    assert_eq!(call.log.len(), lines);
}

#[test]
fn the_same_events_give_the_same_actions() {
    let run = || {
        let mut call = Call::answered();
        call.says("喂，你好，哪位？");
        call.says("利息多少？");
        call.wait(1000);
        call.voice(900);
        call.wait(400);
        call.recognised("我是开店做生意的");
        call.says("算了吧");
        call.until(60_000);
        (
            call.log.clone(),
            serde_json::to_string(&call.finish()).unwrap(),
        )
    };
    assert_eq!(run(), run());
}

/// Any storm of events: no panic, one hang-up at most, deadlines in reach, counters that the records confirm.
#[test]
fn a_storm_of_events_leaves_a_consistent_record() {
    let template = CompiledTemplate::new(&loan()).unwrap();
    let texts = [
        "可以",
        "不需要",
        "利息多少",
        "嗯",
        "",
        "我上班",
        "今天天气不错",
        "别再打了",
        "转人工",
    ];
    for seed in 0..400u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut talk = Conversation::new(Arc::clone(&template), PlayId(0), RequestId(0));
        let (mut now, mut plays, mut asks, mut ended) = (0u64, 0u64, 0u64, 0);
        let mut out = Vec::new();
        talk.handle(Mono::ZERO, RobotEvent::Answered, &mut out);
        for _ in 0..120 {
            now += random(700);
            let event = match random(8) {
                0 => RobotEvent::PlayStarted {
                    play: PlayId(plays.saturating_sub(1)),
                },
                1 => RobotEvent::PlayFinished {
                    play: PlayId(plays.saturating_sub(1)),
                },
                2 | 3 => RobotEvent::VoiceStarted {
                    at_ms: now.saturating_sub(random(100)),
                },
                4 => {
                    let silence = random(400);
                    RobotEvent::VoicePaused {
                        last_voiced_ms: now.saturating_sub(silence),
                        silence: Duration::from_millis(silence),
                    }
                }
                5 => RobotEvent::Recognised {
                    request: RequestId(asks.saturating_sub(1)),
                    result: Ok(texts[random(texts.len() as u64) as usize].into()),
                },
                6 if random(12) == 0 => RobotEvent::BalanceLow,
                6 => RobotEvent::Recognised {
                    request: RequestId(asks.saturating_sub(1)),
                    result: Err(invented()),
                },
                _ => RobotEvent::Deadline,
            };
            out.clear();
            talk.handle(Mono::from_millis(now), event, &mut out);
            for action in &out {
                match action {
                    Action::Play { .. } => plays += 1,
                    Action::Recognise { .. } => asks += 1,
                    Action::HangUp(_) => ended += 1,
                    _ => {}
                }
            }
            if ended == 0 {
                let due = talk
                    .next_deadline()
                    .expect("a live call waits for something");
                assert!(
                    due.as_millis() > now && due.as_millis() <= now + 60_000,
                    "seed {seed}"
                );
            } else {
                assert_eq!(talk.next_deadline(), None, "seed {seed}");
            }
        }
        assert!(ended <= 1);
        let summary = talk.finish(Mono::from_millis(now));
        assert_eq!(
            bots::grade::count(&summary.turns),
            summary.counters,
            "seed {seed}"
        );
        assert!(
            summary
                .turns
                .iter()
                .enumerate()
                .all(|(n, turn)| turn.index == n as u32)
        );
    }
}
