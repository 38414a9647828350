//! Listening and speaking: one call's voice, silence, prompts and recognitions, and what each of them waits for.

use super::flow::{CalleeTurn, Flow, Next, Saying};
use super::{Action, RobotEvent, Tuning};
use crate::compiled::CompiledTemplate;
use crate::distrust::{Discard, DiscardReason};
use crate::lexicon::unfinished;
use crate::matcher::decisive;
use crate::recogniser::{NotHeard, RecogniserError};
use crate::record::{Decision, Matched, Summary};
use model::{EndedBy, Mono, PlayId, RequestId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// One robot call's dialogue.
#[derive(Clone, Debug)]
pub struct Conversation {
    template: Arc<CompiledTemplate>,
    tuning: Tuning,
    next_play: u64,
    next_request: u64,
    answered: Mono,
    floor: Floor,
    ear: Ear,
    flow: Flow,
    /// The last turn, while the callee may still show that it was not over.
    undo: Option<Undo>,
    /// Turns already told.
    told: usize,
}

/// Who has the floor.
#[derive(Clone, Debug)]
enum Floor {
    NotAnswered,
    Robot {
        play: PlayId,
        saying: Saying,
        from: Mono,
        rest: VecDeque<Saying>,
    },
    /// `silent_at`: when silence becomes too long.
    Callee {
        silent_at: Mono,
    },
    Closed,
}

/// What is heard of the callee.
#[derive(Clone, Debug)]
enum Ear {
    Quiet,
    Voice {
        speech: Speech,
        since: Mono,
    },
    /// `last`: when the voice stopped.
    Paused {
        speech: Speech,
        since: Mono,
        last: Mono,
        attempt: Attempt,
    },
    /// The turn is over, its text is still being made.
    Awaited {
        speech: Speech,
        last: Mono,
        request: RequestId,
    },
}

#[derive(Clone, Debug)]
struct Speech {
    from_ms: u64,
    last_ms: u64,
    /// What it talked over and stopped.
    interrupted: Vec<Saying>,
    /// It goes on from a turn that was taken for finished.
    continues: bool,
}

#[derive(Clone, Debug)]
enum Attempt {
    NotYet,
    Running(RequestId),
    Text {
        text: String,
        matched: Box<Matched>,
        after: Duration,
    },
    Failed(NotHeard),
}

#[derive(Clone, Debug)]
struct Undo {
    flow: Flow,
    speech: Speech,
    settles_at: Mono,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Settle,
    Speculate,
    EndPoint,
    BargeIn,
    LongestTurn,
    Fallback,
    Silence,
    PromptLost,
}

impl Conversation {
    /// Ids are minted upwards from the given ones.
    pub fn new(
        template: Arc<CompiledTemplate>,
        first_play: PlayId,
        first_request: RequestId,
    ) -> Conversation {
        Conversation {
            template,
            tuning: Tuning::default(),
            next_play: first_play.0,
            next_request: first_request.0,
            answered: Mono::ZERO,
            floor: Floor::NotAnswered,
            ear: Ear::Quiet,
            flow: Flow::default(),
            undo: None,
            told: 0,
        }
    }

    pub fn with_tuning(mut self, tuning: Tuning) -> Conversation {
        self.tuning = tuning;
        self
    }

    /// Key of the node the dialogue is at.
    pub fn node(&self) -> &str {
        &self.template.node(self.flow.node).key
    }

    /// Takes what happened, appends what is to be done.
    pub fn handle(&mut self, now: Mono, event: RobotEvent, out: &mut Vec<Action>) {
        if matches!(self.floor, Floor::Closed) {
            return;
        }
        match event {
            RobotEvent::Answered => {
                if matches!(self.floor, Floor::NotAnswered) {
                    self.answered = now;
                    self.say(now, vec![Saying::Node(0)], out);
                }
            }
            RobotEvent::PlayStarted { play } => {
                if let Floor::Robot {
                    play: current,
                    from,
                    ..
                } = &mut self.floor
                    && *current == play
                {
                    *from = now;
                }
            }
            RobotEvent::PlayFinished { play } => {
                if matches!(self.floor, Floor::Robot { play: current, .. } if current == play) {
                    self.prompt_ended(now, out);
                }
            }
            RobotEvent::VoiceStarted { at_ms } => self.voice_started(now, at_ms, out),
            RobotEvent::VoicePaused {
                last_voiced_ms,
                silence,
            } => {
                self.voice_paused(now, last_voiced_ms, silence);
            }
            RobotEvent::Recognised { request, result } => {
                self.recognised(now, request, result, out);
            }
            RobotEvent::Digit(_) => {
                // A key is a sign of life; what it means is not mapped.
                let later = now + self.max_silence();
                if let Floor::Callee { silent_at } = &mut self.floor {
                    *silent_at = later;
                }
            }
            RobotEvent::Deadline => {}
            RobotEvent::BalanceLow => self.balance_low(now, out),
        }
        // Each firing moves the state on; the bound is for a state that would not.
        for _ in 0..16 {
            match self.timers().min() {
                Some((due, timer)) if due <= now => self.fire(now, timer, out),
                _ => break,
            }
        }
    }

    /// When [`RobotEvent::Deadline`] is due.
    pub fn next_deadline(&self) -> Option<Mono> {
        self.timers().map(|(due, _)| due).min()
    }

    /// The call is over: what it left. A turn whose text was there when the callee hung up counts.
    pub fn finish(&mut self, now: Mono) -> Summary {
        if let Floor::Robot { saying, from, .. } = self.floor {
            let span = (self.ms(from), self.ms(now));
            self.flow
                .said(&self.template, saying, span, Decision::Interrupted);
        }
        if let (
            Floor::Callee { .. },
            Ear::Paused {
                speech,
                attempt: Attempt::Text { text, matched, .. },
                ..
            },
        ) = (&self.floor, &self.ear)
        {
            let turn = CalleeTurn {
                from_ms: speech.from_ms,
                to_ms: speech.last_ms,
                interrupted: speech.interrupted.clone(),
            };
            self.flow
                .heard(&self.template, turn, text, (**matched).clone());
        }
        self.floor = Floor::Closed;
        self.ear = Ear::Quiet;
        self.undo = None;
        self.told = self.flow.turns.len();
        Summary {
            turns: std::mem::take(&mut self.flow.turns),
            counters: self.flow.counters,
            labels: std::mem::take(&mut self.flow.labels),
            unmatched: std::mem::take(&mut self.flow.unmatched),
        }
    }

    fn timers(&self) -> impl Iterator<Item = (Mono, Timer)> {
        let t = &self.tuning;
        let mut all: [Option<(Mono, Timer)>; 4] = [None; 4];
        let closed = matches!(self.floor, Floor::Closed);
        if let Some(undo) = &self.undo {
            let resuming = matches!(&self.ear, Ear::Voice { speech, .. } if speech.continues);
            all[0] = (!resuming).then_some((undo.settles_at, Timer::Settle));
        }
        match &self.floor {
            Floor::Robot { from, .. } => {
                all[1] = Some((*from + t.longest_prompt, Timer::PromptLost));
                if let Ear::Voice { speech, since } = &self.ear
                    && (speech.continues || self.interruptible())
                {
                    all[2] = Some((
                        *since + t.barge_in_after + t.pause_noticed_after,
                        Timer::BargeIn,
                    ));
                }
            }
            Floor::Callee { silent_at } => match &self.ear {
                Ear::Quiet => all[1] = Some((*silent_at, Timer::Silence)),
                Ear::Voice { since, .. } => {
                    all[1] = Some((*since + t.longest_turn, Timer::LongestTurn));
                }
                Ear::Paused { last, attempt, .. } => {
                    all[1] = Some(match attempt {
                        Attempt::NotYet => (*last + t.speculate_after, Timer::Speculate),
                        Attempt::Text { after, .. } => (*last + *after, Timer::EndPoint),
                        _ => (*last + t.end_after, Timer::EndPoint),
                    });
                }
                Ear::Awaited { last, .. } => {
                    all[1] = Some((*last + t.fallback_after, Timer::Fallback));
                }
            },
            Floor::NotAnswered | Floor::Closed => {}
        }
        all.into_iter().flatten().filter(move |_| !closed)
    }

    fn fire(&mut self, now: Mono, timer: Timer, out: &mut Vec<Action>) {
        match timer {
            Timer::Settle => self.settle(out),
            Timer::Speculate => {
                let Ear::Paused { speech, .. } = &self.ear else {
                    return;
                };
                let speech = speech.clone();
                let request = self.recognise(&speech, false, out);
                if let Ear::Paused { attempt, .. } = &mut self.ear {
                    *attempt = Attempt::Running(request);
                }
            }
            Timer::EndPoint => self.end_point(now, out),
            Timer::BargeIn => self.barge_in(now, out),
            Timer::LongestTurn => {
                let Ear::Voice { mut speech, .. } = self.take_ear() else {
                    return;
                };
                speech.last_ms = self.ms(now);
                let request = self.recognise(&speech, true, out);
                self.ear = Ear::Awaited {
                    speech,
                    last: now,
                    request,
                };
            }
            Timer::Fallback => {
                let Ear::Awaited {
                    speech, request, ..
                } = self.take_ear()
                else {
                    return;
                };
                out.push(Action::Abandon { request });
                let late = NotHeard::Failed(RecogniserError::TimedOut);
                self.not_heard(now, speech, late, out);
            }
            Timer::Silence => {
                let next = self.flow.silence();
                self.follow(now, next, out);
            }
            Timer::PromptLost => self.prompt_ended(now, out),
        }
    }

    // ── The callee's voice ──

    fn voice_started(&mut self, now: Mono, at_ms: u64, out: &mut Vec<Action>) {
        let since = (self.answered + Duration::from_millis(at_ms)).min(now);
        let speech = match self.take_ear() {
            Ear::Voice { speech, since } => {
                self.ear = Ear::Voice { speech, since };
                return;
            }
            // The end-point is retracted: the callee goes on.
            Ear::Awaited {
                speech, request, ..
            } => {
                out.push(Action::Abandon { request });
                speech
            }
            Ear::Paused {
                speech,
                since: began,
                last,
                attempt,
            } => {
                if let Attempt::Running(request) = attempt {
                    out.push(Action::Abandon { request });
                }
                if matches!(self.floor, Floor::Robot { .. }) {
                    // Over a prompt only what hangs together adds up.
                    if since.since(last) < self.tuning.end_after {
                        self.ear = Ear::Voice {
                            speech,
                            since: began,
                        };
                        return;
                    }
                    self.new_speech(at_ms)
                } else {
                    speech
                }
            }
            Ear::Quiet => self.new_speech(at_ms),
        };
        match self.floor {
            Floor::Robot { .. } | Floor::Callee { .. } => self.ear = Ear::Voice { speech, since },
            Floor::NotAnswered | Floor::Closed => {}
        }
        if matches!(self.floor, Floor::Callee { .. })
            && matches!(&self.ear, Ear::Voice { speech, .. } if speech.continues)
        {
            self.retract();
        }
    }

    fn new_speech(&self, at_ms: u64) -> Speech {
        let within = self.tuning.retract_within.as_millis() as u64;
        let continues = self
            .undo
            .as_ref()
            .is_some_and(|undo| at_ms.saturating_sub(undo.speech.last_ms) < within);
        Speech {
            from_ms: at_ms,
            last_ms: at_ms,
            interrupted: Vec::new(),
            continues,
        }
    }

    fn voice_paused(&mut self, now: Mono, last_voiced_ms: u64, silence: Duration) {
        match self.take_ear() {
            Ear::Voice { mut speech, since } => {
                speech.last_ms = last_voiced_ms.max(speech.from_ms);
                let last = (now - silence).max(since);
                self.ear = Ear::Paused {
                    speech,
                    since,
                    last,
                    attempt: Attempt::NotYet,
                };
            }
            other => self.ear = other,
        }
    }

    /// Voice over a prompt has lasted: the floor is the callee's.
    fn barge_in(&mut self, now: Mono, out: &mut Vec<Action>) {
        let silent_at = now + self.max_silence();
        let Floor::Robot {
            play,
            saying,
            from,
            rest,
        } = std::mem::replace(&mut self.floor, Floor::Callee { silent_at })
        else {
            return;
        };
        out.push(Action::Stop { play });
        let continues = matches!(&self.ear, Ear::Voice { speech, .. } if speech.continues);
        if continues && self.undo.is_some() {
            self.retract();
            return;
        }
        let span = (self.ms(from), self.ms(now));
        self.flow
            .said(&self.template, saying, span, Decision::Interrupted);
        if let Ear::Voice { speech, .. } = &mut self.ear {
            speech.interrupted = std::iter::once(saying).chain(rest).collect();
        }
        self.tell(out);
    }

    /// The last turn was not over: it is taken back, and what is said now belongs to it.
    fn retract(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        self.flow = undo.flow;
        if let Ear::Voice { speech, .. } = &mut self.ear {
            let last_ms = speech.last_ms;
            *speech = Speech {
                last_ms,
                continues: false,
                ..undo.speech
            };
        }
    }

    // ── Recognition ──

    fn recognise(&mut self, speech: &Speech, is_final: bool, out: &mut Vec<Action>) -> RequestId {
        let request = RequestId(self.next_request);
        self.next_request += 1;
        let from_ms = speech
            .from_ms
            .saturating_sub(self.tuning.lead_in.as_millis() as u64);
        let to_ms = speech.last_ms + self.tuning.lead_out.as_millis() as u64;
        out.push(Action::Recognise {
            request,
            from_ms,
            to_ms,
            is_final,
        });
        request
    }

    fn recognised(
        &mut self,
        now: Mono,
        wanted: RequestId,
        result: Result<String, NotHeard>,
        out: &mut Vec<Action>,
    ) {
        match self.take_ear() {
            Ear::Paused {
                speech,
                since,
                last,
                attempt: Attempt::Running(request),
            } if request == wanted => {
                let attempt = self.judged(result);
                self.ear = Ear::Paused {
                    speech,
                    since,
                    last,
                    attempt,
                };
            }
            Ear::Awaited {
                speech, request, ..
            } if request == wanted => match self.judged(result) {
                Attempt::Text { text, matched, .. } => self.heard(now, speech, text, *matched, out),
                Attempt::Failed(why) => self.not_heard(now, speech, why, out),
                Attempt::NotYet | Attempt::Running(_) => {}
            },
            // Late, or of speech that went on since.
            other => self.ear = other,
        }
    }

    fn judged(&self, result: Result<String, NotHeard>) -> Attempt {
        match result {
            Ok(text) if text.trim().is_empty() => Attempt::Failed(NotHeard::Discarded(Discard {
                reason: DiscardReason::Empty,
                text,
            })),
            Ok(text) => {
                let matched = self.template.matcher().matched(self.flow.node, &text);
                let after = if decisive(&matched, &text) {
                    self.tuning.decisive_after
                } else if unfinished(&text) {
                    self.tuning.unfinished_after
                } else {
                    self.tuning.end_after
                };
                Attempt::Text {
                    text,
                    matched: Box::new(matched),
                    after,
                }
            }
            Err(why) => Attempt::Failed(why),
        }
    }

    fn end_point(&mut self, now: Mono, out: &mut Vec<Action>) {
        let Ear::Paused {
            speech,
            last,
            attempt,
            ..
        } = self.take_ear()
        else {
            return;
        };
        match attempt {
            Attempt::Text { text, matched, .. } => self.heard(now, speech, text, *matched, out),
            Attempt::Running(request) => {
                out.push(Action::Promote { request });
                self.ear = Ear::Awaited {
                    speech,
                    last,
                    request,
                };
            }
            // A speculative request may be refused under load; the turn itself is worth another.
            Attempt::NotYet | Attempt::Failed(NotHeard::Failed(RecogniserError::Overloaded)) => {
                let request = self.recognise(&speech, true, out);
                self.ear = Ear::Awaited {
                    speech,
                    last,
                    request,
                };
            }
            Attempt::Failed(why) => self.not_heard(now, speech, why, out),
        }
    }

    // ── Turns ──

    fn heard(
        &mut self,
        now: Mono,
        speech: Speech,
        text: String,
        matched: Matched,
        out: &mut Vec<Action>,
    ) {
        let turn = self.begin_turn(now, speech, out);
        let next = self.flow.heard(&self.template, turn, &text, matched);
        self.follow(now, next, out);
    }

    fn not_heard(&mut self, now: Mono, speech: Speech, why: NotHeard, out: &mut Vec<Action>) {
        let voiced = Duration::from_millis(speech.last_ms.saturating_sub(speech.from_ms));
        let turn = self.begin_turn(now, speech, out);
        let unclear = voiced >= self.tuning.unclear_after;
        let next = self.flow.not_heard(&self.template, turn, why, unclear);
        self.follow(now, next, out);
    }

    fn begin_turn(&mut self, now: Mono, speech: Speech, out: &mut Vec<Action>) -> CalleeTurn {
        self.settle(out);
        let last = self.answered + Duration::from_millis(speech.last_ms);
        let turn = CalleeTurn {
            from_ms: speech.from_ms,
            to_ms: speech.last_ms,
            interrupted: speech.interrupted.clone(),
        };
        let settles_at = (last + self.tuning.retract_within).max(now);
        self.undo = Some(Undo {
            flow: self.flow.clone(),
            speech,
            settles_at,
        });
        turn
    }

    fn follow(&mut self, now: Mono, next: Next, out: &mut Vec<Action>) {
        match next {
            Next::Say(sayings) => self.say(now, sayings, out),
            Next::Listen => {
                // A noise does not start the wait anew, but leaves time to speak after it.
                if let Floor::Callee { silent_at } = &mut self.floor {
                    *silent_at = (*silent_at).max(now + Duration::from_secs(1));
                }
            }
            Next::HangUp(by) => self.hang_up(by, out),
        }
    }

    /// What happened stays: it is told.
    fn settle(&mut self, out: &mut Vec<Action>) {
        self.undo = None;
        if let Ear::Voice { speech, .. } | Ear::Paused { speech, .. } = &mut self.ear {
            speech.continues = false;
        }
        self.tell(out);
    }

    fn tell(&mut self, out: &mut Vec<Action>) {
        if self.undo.is_none() {
            let fresh = self.flow.turns.iter().skip(self.told);
            out.extend(fresh.map(|turn| Action::Turn(Box::new(turn.clone()))));
            self.told = self.flow.turns.len();
        }
    }

    // ── The robot's voice ──

    fn say(&mut self, now: Mono, sayings: Vec<Saying>, out: &mut Vec<Action>) {
        let mut rest: VecDeque<Saying> = sayings.into();
        while let Some(saying) = rest.pop_front() {
            let Some(prompt) = self.flow.prompt(&self.template, saying) else {
                // A compiled template has them all; without audio there is nothing to wait for.
                continue;
            };
            let play = PlayId(self.next_play);
            self.next_play += 1;
            out.push(Action::Play { play, prompt });
            self.floor = Floor::Robot {
                play,
                saying,
                from: now,
                rest,
            };
            return;
        }
        self.floor = Floor::Callee {
            silent_at: now + self.max_silence(),
        };
    }

    fn prompt_ended(&mut self, now: Mono, out: &mut Vec<Action>) {
        let silent_at = now + self.max_silence();
        let Floor::Robot {
            saying, from, rest, ..
        } = std::mem::replace(&mut self.floor, Floor::Callee { silent_at })
        else {
            return;
        };
        let span = (self.ms(from), self.ms(now));
        self.flow.said(&self.template, saying, span, Decision::Said);
        self.tell(out);
        match saying {
            Saying::Cut => return self.hang_up(EndedBy::Balance, out),
            Saying::Node(at) if self.template.node(at).terminate => {
                return self.hang_up(EndedBy::Flow, out);
            }
            _ => {}
        }
        if !rest.is_empty() {
            return self.say(now, rest.into(), out);
        }
        // A reply heard to its end cannot be taken back, unless the callee is just talking on.
        if matches!(&self.ear, Ear::Voice { speech, .. } if speech.continues) {
            return self.retract();
        }
        self.settle(out);
        // Speech over the prompt counts when it lasted to its end.
        let tail = self.tuning.prompt_tail;
        if matches!(&self.ear, Ear::Paused { last, .. } if now.since(*last) > tail) {
            self.ear = Ear::Quiet;
        }
    }

    /// May the callee's voice stop what is being said?
    fn interruptible(&self) -> bool {
        let Floor::Robot { saying, .. } = &self.floor else {
            return false;
        };
        let node = self.template.node(self.flow.node);
        node.barge_in && !node.terminate && *saying != Saying::Cut
    }

    fn balance_low(&mut self, now: Mono, out: &mut Vec<Action>) {
        match self.take_ear() {
            Ear::Awaited { request, .. }
            | Ear::Paused {
                attempt: Attempt::Running(request),
                ..
            } => {
                out.push(Action::Abandon { request });
            }
            _ => {}
        }
        self.settle(out);
        match self.floor {
            Floor::NotAnswered => return self.hang_up(EndedBy::Balance, out),
            Floor::Robot {
                saying: Saying::Cut,
                ..
            } => return,
            Floor::Robot {
                play, saying, from, ..
            } => {
                out.push(Action::Stop { play });
                let span = (self.ms(from), self.ms(now));
                self.flow
                    .said(&self.template, saying, span, Decision::Interrupted);
                self.tell(out);
            }
            Floor::Callee { .. } | Floor::Closed => {}
        }
        self.say(now, vec![Saying::Cut], out);
    }

    fn hang_up(&mut self, by: EndedBy, out: &mut Vec<Action>) {
        self.settle(out);
        self.floor = Floor::Closed;
        self.ear = Ear::Quiet;
        out.push(Action::HangUp(by));
    }

    fn take_ear(&mut self) -> Ear {
        std::mem::replace(&mut self.ear, Ear::Quiet)
    }
    fn max_silence(&self) -> Duration {
        Duration::from_millis(u64::from(self.template.template().limits.max_silence_ms))
    }
    /// Milliseconds since the answer.
    fn ms(&self, at: Mono) -> u64 {
        at.since(self.answered).as_millis() as u64
    }
}
