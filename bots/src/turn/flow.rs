//! Where the dialogue is and where a turn leads it.

use crate::compiled::CompiledTemplate;
use crate::recogniser::NotHeard;
use crate::record::{Counters, Decision, Line, MatchKind, Matched, Speaker, TurnRecord};
use crate::template::Language;
use model::{EndedBy, PromptId};

/// Something to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saying {
    Node(usize),
    /// The node again, shorter if it has a shorter form.
    Reask(usize),
    Answer(usize),
    Silence,
    Unmatched,
    Fallback,
    Cut,
}

/// What a turn leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Say(Vec<Saying>),
    Listen,
    HangUp(EndedBy),
}

/// A completed callee turn as the flow sees it.
pub(super) struct CalleeTurn {
    pub from_ms: u64,
    pub to_ms: u64,
    /// What it interrupted; empty when it followed the prompt.
    pub interrupted: Vec<Saying>,
}

/// The dialogue's state; cloned before each turn, so that a turn can be taken back.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    pub node: usize,
    pub turns: Vec<TurnRecord>,
    pub counters: Counters,
    pub labels: Vec<String>,
    pub unmatched: Vec<String>,
    asked: Vec<String>,
    /// Turns at this node that brought nothing.
    repeats: u32,
    /// Interrupted prompts said again at this node.
    resumes: u32,
    /// Silences in a row.
    silences: u32,
    /// Recognitions in a row that failed.
    failures: u32,
    callee_turns: u32,
}

impl Flow {
    pub fn prompt(&self, template: &CompiledTemplate, saying: Saying) -> Option<PromptId> {
        let all = template.template();
        match saying {
            Saying::Node(at) => template.node(at).prompt,
            Saying::Reask(at) => {
                let node = template.node(at);
                node.reask
                    .as_ref()
                    .and_then(|reask| reask.prompt)
                    .or(node.prompt)
            }
            Saying::Answer(at) => all.questions[at].prompt,
            Saying::Silence => all.prompts.silence.prompt,
            Saying::Unmatched => all.prompts.unmatched.prompt,
            Saying::Fallback => all.prompts.fallback.prompt,
            Saying::Cut => all.prompts.cut.prompt,
        }
    }

    /// The robot's own turn, when its prompt has ended.
    pub fn said(
        &mut self,
        template: &CompiledTemplate,
        saying: Saying,
        (from_ms, to_ms): (u64, u64),
        decision: Decision,
    ) {
        let all = template.template();
        let (line, text) = match saying {
            Saying::Node(at) => {
                let node = template.node(at);
                (Line::Node(node.key.clone()), &node.text)
            }
            Saying::Reask(at) => {
                let node = template.node(at);
                let text = node.reask.as_ref().map_or(&node.text, |reask| &reask.text);
                (Line::Reask(node.key.clone()), text)
            }
            Saying::Answer(at) => {
                let question = &all.questions[at];
                (Line::Answer(question.id.clone()), &question.answer)
            }
            Saying::Silence => (Line::Silence, &all.prompts.silence.text),
            Saying::Unmatched => (Line::Unmatched, &all.prompts.unmatched.text),
            Saying::Fallback => (Line::Fallback, &all.prompts.fallback.text),
            Saying::Cut => (Line::Cut, &all.prompts.cut.text),
        };
        self.record(template, |turn| TurnRecord {
            speaker: Speaker::Robot,
            text: text.clone(),
            from_ms,
            to_ms,
            line: Some(line),
            decision,
            ..turn
        });
    }

    /// Nobody spoke for as long as is allowed.
    pub fn silence(&mut self) -> Next {
        self.silences += 1;
        if self.silences > 1 {
            Next::HangUp(EndedBy::Silence)
        } else {
            Next::Say(vec![Saying::Silence])
        }
    }

    /// There was voice but no text. `unclear`: long enough to have been words.
    pub fn not_heard(
        &mut self,
        template: &CompiledTemplate,
        turn: CalleeTurn,
        why: NotHeard,
        unclear: bool,
    ) -> Next {
        let limit = template.template().limits.max_repeats;
        let (next, decision) = match why {
            NotHeard::Failed(_) => {
                self.failures += 1;
                if self.failures > limit {
                    (
                        Next::HangUp(EndedBy::System),
                        Decision::HangUp {
                            by: EndedBy::System,
                        },
                    )
                } else {
                    (Next::Say(vec![Saying::Fallback]), Decision::Fallback)
                }
            }
            NotHeard::Discarded(_) if !turn.interrupted.is_empty() && self.may_resume() => {
                (Next::Say(turn.interrupted.clone()), Decision::Resume)
            }
            NotHeard::Discarded(_) if unclear => {
                self.repeats += 1;
                if self.repeats > limit {
                    match self.silence() {
                        Next::HangUp(by) => (Next::HangUp(by), Decision::HangUp { by }),
                        next => (next, Decision::AskAgain),
                    }
                } else {
                    (Next::Say(vec![Saying::Unmatched]), Decision::AskAgain)
                }
            }
            NotHeard::Discarded(_) => (Next::Listen, Decision::Listen),
        };
        let matched = Matched {
            kind: MatchKind::NotHeard { why },
            text: String::new(),
            evidence: Vec::new(),
            score: 0.0,
        };
        self.record(template, |record| TurnRecord {
            from_ms: turn.from_ms,
            to_ms: turn.to_ms,
            matched: Some(matched),
            decision,
            ..record
        });
        next
    }

    /// Words were heard.
    pub fn heard(
        &mut self,
        template: &CompiledTemplate,
        turn: CalleeTurn,
        text: &str,
        matched: Matched,
    ) -> Next {
        self.silences = 0;
        self.failures = 0;
        let at = self.node;
        let key = template.node(at).key.clone();
        let backchannel = matched.kind == MatchKind::Backchannel;
        let (next, decision, counted) =
            if backchannel && !turn.interrupted.is_empty() && self.may_resume() {
                // 嗯 over a prompt: the robot says it again, nothing has happened.
                (Next::Say(turn.interrupted.clone()), Decision::Resume, false)
            } else {
                self.callee_turns += 1;
                self.counters.n += 1;
                let (next, decision) = self.lead(template, text, &matched);
                if self.callee_turns >= template.template().limits.max_turns {
                    let by = EndedBy::Flow;
                    (Next::HangUp(by), Decision::HangUp { by }, true)
                } else {
                    (next, decision, true)
                }
            };
        self.record(template, |record| TurnRecord {
            node: key,
            text: text.to_owned(),
            from_ms: turn.from_ms,
            to_ms: turn.to_ms,
            matched: Some(matched),
            counted,
            decision,
            ..record
        });
        next
    }

    fn lead(
        &mut self,
        template: &CompiledTemplate,
        text: &str,
        matched: &Matched,
    ) -> (Next, Decision) {
        let at = self.node;
        let node = template.node(at);
        let step = template.step(at);
        match &matched.kind {
            MatchKind::Positive => {
                self.counters.a += 1;
                self.label(node.positive_label.as_deref());
                self.go(template, step.positive)
            }
            MatchKind::Negative { ignored: true } => self.go(template, step.next),
            MatchKind::Negative { ignored: false } => {
                self.counters.r += 1;
                self.label(node.negative_label.as_deref());
                self.go(template, step.negative)
            }
            MatchKind::Question { id } => {
                if !self.asked.contains(id) {
                    self.asked.push(id.clone());
                    self.counters.q += 1;
                }
                let questions = &template.template().questions;
                let answer = questions.iter().position(|question| question.id == *id);
                let mut say: Vec<Saying> = answer.map(Saying::Answer).into_iter().collect();
                say.push(Saying::Reask(at));
                (
                    Next::Say(say),
                    Decision::Answer {
                        question: id.clone(),
                    },
                )
            }
            MatchKind::Branch { index, .. } => {
                self.label(node.branches[*index].label.as_deref());
                self.go(template, step.branches[*index])
            }
            MatchKind::Transfer => {
                self.label(Some(match template.template().language {
                    Language::Zh => "要求转人工",
                    Language::En => "asked for a human",
                }));
                self.go(template, step.positive)
            }
            MatchKind::Number => self.go(template, step.positive),
            MatchKind::Backchannel if node.ignore_unmatched => self.go(template, step.next),
            MatchKind::Backchannel => self.again(template, Saying::Reask(at), Decision::Resume),
            MatchKind::Unmatched { .. } | MatchKind::NotHeard { .. } => {
                self.unmatched.push(text.to_owned());
                if node.ignore_unmatched {
                    self.go(template, step.next)
                } else {
                    self.again(template, Saying::Unmatched, Decision::AskAgain)
                }
            }
        }
    }

    /// Asks again, until that has been tried often enough: then the flow goes on.
    fn again(
        &mut self,
        template: &CompiledTemplate,
        saying: Saying,
        decision: Decision,
    ) -> (Next, Decision) {
        self.repeats += 1;
        if self.repeats > template.template().limits.max_repeats {
            self.go(template, template.step(self.node).positive)
        } else {
            (Next::Say(vec![saying]), decision)
        }
    }

    fn go(&mut self, template: &CompiledTemplate, to: Option<usize>) -> (Next, Decision) {
        self.repeats = 0;
        self.resumes = 0;
        match to {
            Some(to) => {
                self.node = to;
                let node = template.node(to).key.clone();
                (Next::Say(vec![Saying::Node(to)]), Decision::GoTo { node })
            }
            None => (
                Next::HangUp(EndedBy::Flow),
                Decision::HangUp { by: EndedBy::Flow },
            ),
        }
    }

    fn may_resume(&mut self) -> bool {
        self.resumes += 1;
        self.resumes <= 2
    }

    fn label(&mut self, label: Option<&str>) {
        if let Some(label) = label.filter(|label| !label.is_empty())
            && !self.labels.iter().any(|known| known == label)
        {
            self.labels.push(label.to_owned());
        }
    }

    fn record(&mut self, template: &CompiledTemplate, fill: impl FnOnce(TurnRecord) -> TurnRecord) {
        let blank = TurnRecord {
            index: self.turns.len() as u32,
            speaker: Speaker::Callee,
            node: template.node(self.node).key.clone(),
            text: String::new(),
            from_ms: 0,
            to_ms: 0,
            line: None,
            matched: None,
            counted: false,
            decision: Decision::Said,
        };
        self.turns.push(fill(blank));
    }
}
