//! One sentence at one node: corrections, words of node, template and lexicon, likeness to questions, one result that
//! can explain itself.

use crate::fold::{self, Clause};
use crate::lexicon::{
    self, Class, ClauseVerdict, Hit, Reading, Source, Verdict, Words, conclude_all, conclude_clause,
};
use crate::record::{Evidence, MatchKind, Matched};
use crate::score::{Likeness, Scorer};
use crate::template::{Language, Template};
use aho_corasick::{AhoCorasick, MatchKind as Longest};

/// Likeness that makes a clause with the form of a question that question, and one without.
const ASKED: f32 = 0.5;
const UNASKED: f32 = 0.75;

/// A template's words, compiled.
#[derive(Debug)]
pub struct Matcher {
    language: Language,
    corrections: Option<(AhoCorasick, Vec<String>)>,
    own: Words,
    /// Branch words, per node.
    branches: Vec<Words>,
    branch_names: Vec<Vec<String>>,
    ignore_negative: Vec<bool>,
    questions: Vec<String>,
    scorer: Scorer,
}

impl Matcher {
    pub fn new(template: &Template) -> Matcher {
        let mut own = Vec::new();
        for (list, class) in [
            (&template.positive_words, Class::Positive),
            (&template.negative_words, Class::Negative),
        ] {
            own.extend(list.iter().map(|word| (word.clone(), class)));
        }
        let branches = template.nodes.iter().map(|node| {
            let words = node
                .branches
                .iter()
                .zip(0u16..)
                .flat_map(|(branch, index)| {
                    branch
                        .words
                        .iter()
                        .map(move |word| (word.clone(), Class::Branch(index)))
                });
            Words::new(words.collect(), 2)
        });
        let names = |node: &crate::template::Node| {
            node.branches
                .iter()
                .map(|branch| branch.name.clone())
                .collect()
        };
        let forms: Vec<Vec<String>> = template
            .questions
            .iter()
            .map(|q| {
                std::iter::once(&q.text)
                    .chain(&q.sub_questions)
                    .cloned()
                    .collect()
            })
            .collect();
        lexicon::warm();
        Matcher {
            language: template.language,
            corrections: corrections(template),
            own: Words::new(own, 3),
            branches: branches.collect(),
            branch_names: template.nodes.iter().map(names).collect(),
            ignore_negative: template
                .nodes
                .iter()
                .map(|node| node.ignore_negative)
                .collect(),
            questions: template.questions.iter().map(|q| q.id.clone()).collect(),
            scorer: Scorer::new(&forms),
        }
    }

    /// What a sentence said at a node is. `node` is the node's place in the template.
    pub fn matched(&self, node: usize, text: &str) -> Matched {
        let clauses = fold::clauses(text)
            .into_iter()
            .map(|clause| self.corrected(clause))
            .collect();
        let own: Vec<&Words> = std::iter::once(&self.own)
            .chain(self.branches.get(node))
            .collect();
        let number = lexicon::has_number(text);
        let reading = lexicon::read_clauses(clauses, Some(&own), number);
        let mut verdicts: Vec<ClauseVerdict> =
            reading.clauses.iter().map(conclude_clause).collect();
        let asked = self.questions_in(&reading, &mut verdicts);
        let mut verdict = conclude_all(&reading, &verdicts);
        let mut question = None;
        let mut asks_unlisted = false;
        if verdict == Verdict::Question {
            question = asked.iter().flatten().next_back().cloned();
            if question.is_none() {
                // A question nobody prepared for: whatever else was said is what can be acted on.
                asks_unlisted = true;
                for v in &mut verdicts {
                    if v.verdict == Verdict::Question {
                        v.verdict = Verdict::Neutral;
                    }
                }
                verdict = conclude_all(&reading, &verdicts);
            }
        }
        self.explain(node, &reading, verdict, question, asks_unlisted)
    }

    /// Which template question each clause asks; marks those clauses.
    fn questions_in(
        &self,
        reading: &Reading,
        verdicts: &mut [ClauseVerdict],
    ) -> Vec<Option<Likeness<'_>>> {
        let mut found: Vec<Option<Likeness>> = vec![None; reading.clauses.len()];
        for (at, clause) in reading.clauses.iter().enumerate() {
            let verdict = verdicts[at].verdict;
            let asks = verdict == Verdict::Question || clause.asked;
            let open = matches!(verdict, Verdict::Neutral | Verdict::WeakPositive);
            if !asks && !open || clause.backchannel {
                continue;
            }
            let least = if asks { ASKED } else { UNASKED };
            if let Some(likeness) = self.scorer.best(&clause.text).filter(|l| l.score >= least) {
                found[at] = Some(likeness);
                verdicts[at].verdict = Verdict::Question;
            }
        }
        if found.iter().all(Option::is_none)
            && reading.clauses.len() > 1
            && let Some(at) = verdicts
                .iter()
                .rposition(|v| v.verdict == Verdict::Question)
        {
            // The recogniser may have put a comma into the question.
            found[at] = self
                .scorer
                .best(&reading.text())
                .filter(|l| l.score >= ASKED);
        }
        found
    }

    fn explain(
        &self,
        node: usize,
        reading: &Reading,
        verdict: Verdict,
        question: Option<Likeness>,
        asks_unlisted: bool,
    ) -> Matched {
        let kind = match (verdict, &question) {
            (Verdict::Question, Some(likeness)) => MatchKind::Question {
                id: self.questions[likeness.question].clone(),
            },
            (Verdict::Positive | Verdict::WeakPositive, _) => MatchKind::Positive,
            (Verdict::Hard | Verdict::Negative | Verdict::WeakNegative, _) => {
                let ignored = self.ignore_negative.get(node).copied().unwrap_or_default();
                MatchKind::Negative { ignored }
            }
            (Verdict::Transfer, _) => MatchKind::Transfer,
            (Verdict::Number, _) => MatchKind::Number,
            (Verdict::Branch(Class::Branch(index)), _) => {
                let index = usize::from(index);
                MatchKind::Branch {
                    index,
                    name: self.branch_names[node][index].clone(),
                }
            }
            (Verdict::Backchannel, _) => MatchKind::Backchannel,
            _ => MatchKind::Unmatched {
                question: asks_unlisted,
            },
        };
        let mut evidence: Vec<Evidence> = Vec::new();
        if let (MatchKind::Question { .. }, Some(likeness)) = (&kind, &question) {
            evidence.push(Evidence {
                class: "question".into(),
                words: likeness.form.to_owned(),
                source: "likeness".into(),
                by_sound: false,
                weight: likeness.score,
            });
        }
        let mut by_sound = false;
        for clause in &reading.clauses {
            for hit in clause.hits.iter().filter(|hit| !hit.span.is_empty()) {
                let supports = supports(hit, verdict);
                by_sound |= supports && hit.by_sound;
                evidence.push(Evidence {
                    class: hit.class.name().into(),
                    words: clause.text[hit.span.clone()].to_owned(),
                    source: match hit.source {
                        Source::Lexicon => "lexicon".into(),
                        Source::Template => "template".into(),
                    },
                    by_sound: hit.by_sound,
                    weight: if supports { 1.0 } else { 0.0 },
                });
            }
            if let Some(class) = clause.weak {
                evidence.push(Evidence {
                    class: class.name().into(),
                    words: clause.text.clone(),
                    source: "lexicon".into(),
                    by_sound: false,
                    weight: if supports_weak(class, verdict) {
                        0.5
                    } else {
                        0.0
                    },
                });
            }
        }
        let score = match verdict {
            Verdict::Question => question.map_or(0.0, |likeness| likeness.score),
            Verdict::WeakNegative | Verdict::WeakPositive => 0.6,
            Verdict::Neutral | Verdict::Backchannel => 0.0,
            _ if by_sound => 0.7,
            _ => 0.95,
        };
        Matched {
            kind,
            text: reading.text(),
            evidence,
            score,
        }
    }

    fn corrected(&self, mut clause: Clause) -> Clause {
        if let Some((automaton, to)) = &self.corrections
            && automaton.is_match(&clause.text)
        {
            clause.text = automaton.replace_all(&clause.text, to);
        }
        clause
    }

    pub fn language(&self) -> Language {
        self.language
    }
}

fn corrections(template: &Template) -> Option<(AhoCorasick, Vec<String>)> {
    let (from, to): (Vec<String>, Vec<String>) = template
        .corrections
        .iter()
        .map(|c| (fold::word(&c.from), fold::word(&c.to)))
        .filter(|(from, _)| !from.is_empty())
        .unzip();
    if from.is_empty() {
        return None;
    }
    let automaton = AhoCorasick::builder()
        .match_kind(Longest::LeftmostLongest)
        .build(&from)
        .ok()?;
    Some((automaton, to))
}

fn supports(hit: &Hit, verdict: Verdict) -> bool {
    match verdict {
        Verdict::Hard => hit.class == Class::Hard,
        Verdict::Negative => hit.class == Class::Negative,
        Verdict::Positive => matches!(hit.class, Class::Positive | Class::More),
        Verdict::Question => matches!(hit.class, Class::Wh | Class::Form | Class::Tag),
        Verdict::Transfer => hit.class == Class::Transfer,
        Verdict::Branch(class) => hit.class == class,
        _ => false,
    }
}

fn supports_weak(class: Class, verdict: Verdict) -> bool {
    matches!(
        (class, verdict),
        (
            Class::WeakPositive,
            Verdict::WeakPositive | Verdict::Positive
        ) | (
            Class::WeakNegative,
            Verdict::WeakNegative | Verdict::Negative
        )
    )
}

/// Clear enough to answer without waiting for the whole end-point silence.
pub fn decisive(matched: &Matched, text: &str) -> bool {
    let clear = match matched.kind {
        MatchKind::Positive | MatchKind::Branch { .. } | MatchKind::Transfer => {
            matched.score >= 0.7
        }
        MatchKind::Negative { .. } => matched.score >= 0.7,
        MatchKind::Question { .. } => matched.score >= 0.7,
        _ => false,
    };
    clear && !lexicon::unfinished(text)
}
