//! The flow an author writes: a versioned JSON value with the manual's fields (S1 §8.5).

use model::PromptId;
use serde::{Deserialize, Serialize};

/// The schema of the JSON value. A reader refuses a newer one.
pub const VERSION: u32 = 1;

/// What the robot speaks and the recogniser is told to expect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    #[default]
    Zh,
    En,
}

impl Language {
    pub fn code(self) -> &'static str {
        match self {
            Language::Zh => "zh",
            Language::En => "en",
        }
    }
    /// `zh`, `zh-CN`, `en-US` …
    pub fn from_code(code: &str) -> Option<Language> {
        match code.split(['-', '_']).next().unwrap_or(code) {
            "zh" | "cmn" | "yue" => Some(Language::Zh),
            "en" => Some(Language::En),
            _ => None,
        }
    }
}

/// Something the robot says: its script and, once recorded or rendered, its audio.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Phrase {
    pub text: String,
    pub prompt: Option<PromptId>,
}

/// 模板.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    #[serde(default = "version")]
    pub version: u32,
    pub name: String,
    #[serde(default)]
    pub language: Language,
    /// 流程: in order; the first one greets, and "next" means the one below.
    pub nodes: Vec<Node>,
    /// Where a negative answer leads when its node names no jump.
    #[serde(default)]
    pub objection: Option<String>,
    #[serde(default)]
    pub questions: Vec<Question>,
    #[serde(default)]
    pub corrections: Vec<Correction>,
    #[serde(default)]
    pub prompts: Prompts,
    /// Words of this trade that mean yes, beside the built-in lexicon.
    #[serde(default)]
    pub positive_words: Vec<String>,
    #[serde(default)]
    pub negative_words: Vec<String>,
    #[serde(default)]
    pub limits: Limits,
}

fn version() -> u32 {
    VERSION
}

/// 流程节点.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Unique in the template, stable over edits; also the key of its audio.
    pub key: String,
    #[serde(default)]
    pub name: String,
    /// 话术.
    pub text: String,
    #[serde(default)]
    pub prompt: Option<PromptId>,
    /// Said instead of the whole script when the flow comes back here after an answer.
    #[serde(default)]
    pub reask: Option<Phrase>,
    /// 肯定/否定提取标签: kept on the call's description.
    #[serde(default)]
    pub positive_label: Option<String>,
    #[serde(default)]
    pub negative_label: Option<String>,
    /// 肯定跳转流程; unset: the next node.
    #[serde(default)]
    pub positive_jump: Option<String>,
    /// 否定跳转流程; unset: the objection node (from the objection node itself: the next node).
    #[serde(default)]
    pub negative_jump: Option<String>,
    #[serde(default)]
    pub branches: Vec<Branch>,
    /// 是否终止流程: hang up after this prompt has played.
    #[serde(default)]
    pub terminate: bool,
    /// 忽略没有匹配: go on to the next node.
    #[serde(default)]
    pub ignore_unmatched: bool,
    /// 忽略否定的词: go on to the next node; such a negative is no refusal.
    #[serde(default)]
    pub ignore_negative: bool,
    /// The callee's voice stops the prompt.
    #[serde(default = "yes")]
    pub barge_in: bool,
}

fn yes() -> bool {
    true
}

/// 判断分支.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    pub name: String,
    pub words: Vec<String>,
    /// Unset: the next node.
    #[serde(default)]
    pub jump: Option<String>,
    #[serde(default)]
    pub label: Option<String>,
}

/// 问题, with its 子问题 (other ways to ask what has the same answer).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Unique in the template; the key of its audio is `question.<id>`.
    pub id: String,
    pub text: String,
    #[serde(default)]
    pub sub_questions: Vec<String>,
    pub answer: String,
    #[serde(default)]
    pub prompt: Option<PromptId>,
}

/// 纠正: what the recogniser writes and what was meant, replaced before matching.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    pub from: String,
    pub to: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prompts {
    /// Nobody spoke.
    pub silence: Phrase,
    /// Something was said that nothing here knows.
    pub unmatched: Phrase,
    /// The recogniser is slow or failed.
    pub fallback: Phrase,
    /// The balance is used up: said before hanging up.
    pub cut: Phrase,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Silence after a prompt before the silence prompt, and again before hanging up. Milliseconds.
    pub max_silence_ms: u32,
    /// How often a node may say "pardon" before the flow goes on without an understood answer.
    pub max_repeats: u32,
    /// Callee turns after which the call ends, whatever they were.
    pub max_turns: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_silence_ms: 4000,
            max_repeats: 2,
            max_turns: 40,
        }
    }
}

/// One text of a template that needs audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken<'a> {
    /// Node key, `<node key>.reask`, `question.<id>`, `silence`, `unmatched`, `fallback`, `cut`.
    pub key: String,
    pub text: &'a str,
    pub prompt: Option<PromptId>,
}

impl Template {
    /// Every text that needs audio, in the order an author meets them.
    pub fn spoken(&self) -> Vec<Spoken<'_>> {
        let mut all = Vec::new();
        for node in &self.nodes {
            all.push(Spoken {
                key: node.key.clone(),
                text: &node.text,
                prompt: node.prompt,
            });
            if let Some(reask) = &node.reask {
                let key = format!("{}.reask", node.key);
                all.push(Spoken {
                    key,
                    text: &reask.text,
                    prompt: reask.prompt,
                });
            }
        }
        for question in &self.questions {
            let key = format!("question.{}", question.id);
            all.push(Spoken {
                key,
                text: &question.answer,
                prompt: question.prompt,
            });
        }
        let Prompts {
            silence,
            unmatched,
            fallback,
            cut,
        } = &self.prompts;
        for (key, phrase) in [
            ("silence", silence),
            ("unmatched", unmatched),
            ("fallback", fallback),
            ("cut", cut),
        ] {
            all.push(Spoken {
                key: key.to_owned(),
                text: &phrase.text,
                prompt: phrase.prompt,
            });
        }
        all
    }

    /// Gives the text named by a key of [`Template::spoken`] its audio. False when there is no such text.
    pub fn set_prompt(&mut self, key: &str, prompt: Option<PromptId>) -> bool {
        let slot = match key {
            "silence" => Some(&mut self.prompts.silence.prompt),
            "unmatched" => Some(&mut self.prompts.unmatched.prompt),
            "fallback" => Some(&mut self.prompts.fallback.prompt),
            "cut" => Some(&mut self.prompts.cut.prompt),
            _ => None,
        };
        // A node may be called `cut` too, or `question.x`: every text of that key gets the audio.
        let mut found = slot.map(|slot| *slot = prompt).is_some();
        for node in &mut self.nodes {
            if node.key == key {
                node.prompt = prompt;
                found = true;
            }
            if let Some(reask) = &mut node.reask
                && key.strip_suffix(".reask") == Some(node.key.as_str())
            {
                reask.prompt = prompt;
                found = true;
            }
        }
        for question in &mut self.questions {
            if key.strip_prefix("question.") == Some(question.id.as_str()) {
                question.prompt = prompt;
                found = true;
            }
        }
        found
    }

    pub fn node(&self, key: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.key == key)
    }
    pub fn question(&self, id: &str) -> Option<&Question> {
        self.questions.iter().find(|question| question.id == id)
    }
}
