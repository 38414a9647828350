//! What is wrong with a template, said so that its author can mend it: in the language of the template.

use crate::compiled::Step;
use crate::template::{Language, Template, VERSION};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// One thing wrong, or odd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub severity: Severity,
    /// Key of the node it is about; `question.<id>` for a question; `silence`, `cut` … for a prompt; none for the whole.
    pub node: Option<String>,
    pub code: Code,
    pub message: String,
    pub fix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Cannot be dialled with.
    Error,
    Warning,
}

/// Stable names of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 此模板缺少结束流程.
    NoTerminatingNode,
    NoNodes,
    NewerVersion,
    UnreachableNode,
    DanglingJump,
    /// The last node goes on to nothing: the call would end without a farewell.
    RunsOffTheEnd,
    /// No way leads from here to a terminating node.
    CannotEnd,
    MissingPrompt,
    DuplicateKey,
    EmptyKey,
    EmptyText,
    EmptyWords,
    /// One word in two branches of a node, or both positive and negative.
    SharedWord,
    NoObjectionNode,
}

impl Code {
    pub fn as_str(self) -> &'static str {
        match self {
            Code::NoTerminatingNode => "no_terminating_node",
            Code::NoNodes => "no_nodes",
            Code::NewerVersion => "newer_version",
            Code::UnreachableNode => "unreachable_node",
            Code::DanglingJump => "dangling_jump",
            Code::RunsOffTheEnd => "runs_off_the_end",
            Code::CannotEnd => "cannot_end",
            Code::MissingPrompt => "missing_prompt",
            Code::DuplicateKey => "duplicate_key",
            Code::EmptyKey => "empty_key",
            Code::EmptyText => "empty_text",
            Code::EmptyWords => "empty_words",
            Code::SharedWord => "shared_word",
            Code::NoObjectionNode => "no_objection_node",
        }
    }

    pub fn severity(self) -> Severity {
        match self {
            Code::NoTerminatingNode
            | Code::NoNodes
            | Code::NewerVersion
            | Code::DanglingJump
            | Code::MissingPrompt
            | Code::DuplicateKey
            | Code::EmptyKey
            | Code::EmptyText
            | Code::EmptyWords => Severity::Error,
            Code::UnreachableNode
            | Code::RunsOffTheEnd
            | Code::CannotEnd
            | Code::SharedWord
            | Code::NoObjectionNode => Severity::Warning,
        }
    }

    /// Message and fix, Chinese and English; `{}` is what it is about. The manual's own words stay as users know them.
    fn texts(self) -> [&'static str; 4] {
        match self {
            Code::NoTerminatingNode => [
                "此模板缺少结束流程",
                "把结束语流程的“是否终止流程”设为“是”",
                "no node terminates the call",
                "set \"terminate\" on the closing node",
            ],
            Code::NoNodes => [
                "模板没有流程",
                "至少添加开场白和结束语",
                "the template has no nodes",
                "add a greeting and a closing node",
            ],
            Code::NewerVersion => [
                "模板格式版本 {} 比本系统新",
                "升级系统，或用旧版本导出",
                "template version {} is newer than this system",
                "upgrade, or export it in an older version",
            ],
            Code::UnreachableNode => [
                "流程“{}”不会被走到",
                "让某个流程跳转到它，或删除它",
                "node \"{}\" is never reached",
                "let another node jump to it, or delete it",
            ],
            Code::DanglingJump => [
                "跳转目标“{}”不存在",
                "改为已有流程的标识，或留空使用默认流程",
                "jump to \"{}\", which does not exist",
                "name an existing node, or leave it empty for the default",
            ],
            Code::RunsOffTheEnd => [
                "“{}”之后没有下一个流程，通话会没有结束语就挂断",
                "设置跳转流程，或把它设为终止流程",
                "nothing follows node \"{}\": the call would end without a farewell",
                "give it a jump, or make it terminate",
            ],
            Code::CannotEnd => [
                "从“{}”走不到结束流程",
                "加一个通向结束流程的跳转",
                "no way leads from node \"{}\" to a terminating node",
                "add a jump that leads to one",
            ],
            Code::MissingPrompt => [
                "“{}”还没有录音",
                "上传录音",
                "\"{}\" has no recorded prompt",
                "upload a recording",
            ],
            Code::DuplicateKey => [
                "标识“{}”重复",
                "改成不同的标识",
                "key \"{}\" is used twice",
                "give each its own key",
            ],
            Code::EmptyKey => [
                "有流程或问题没有标识",
                "填写标识",
                "a node or question has no key",
                "fill it in",
            ],
            Code::EmptyText => [
                "“{}”没有话术内容",
                "填写话术",
                "\"{}\" has no text",
                "write its script",
            ],
            Code::EmptyWords => [
                "“{}”的词为空",
                "填写至少一个词，删除空词",
                "\"{}\" has no words, or an empty one",
                "fill in at least one word and delete empty ones",
            ],
            Code::SharedWord => [
                "词“{}”同时属于两类",
                "只保留在一处",
                "the word \"{}\" stands in two places",
                "keep it in one",
            ],
            Code::NoObjectionNode => [
                "没有挽留流程，客户否定时会走下一个流程",
                "指定挽留流程，或给每个流程设置否定跳转",
                "there is no objection node: a negative goes on to the next node",
                "name one, or give each node a negative jump",
            ],
        }
    }
}

struct Findings {
    language: Language,
    all: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, code: Code, node: Option<&str>, about: &str) {
        let [zh, zh_fix, en, en_fix] = code.texts();
        let (message, fix) = match self.language {
            Language::Zh => (zh, zh_fix),
            Language::En => (en, en_fix),
        };
        self.all.push(Finding {
            severity: code.severity(),
            node: node.map(str::to_owned),
            code,
            message: message.replace("{}", about),
            fix: fix.to_owned(),
        });
    }
}

impl Template {
    /// Everything wrong with it; a template with a [`Severity::Error`] cannot be compiled, so it cannot be dialled with.
    pub fn check(&self) -> Vec<Finding> {
        self.check_in(self.language)
    }

    /// The same, told in another language than the template's own.
    pub fn check_in(&self, language: Language) -> Vec<Finding> {
        let mut found = Findings {
            language,
            all: Vec::new(),
        };
        if self.version > VERSION {
            found.add(Code::NewerVersion, None, &self.version.to_string());
        }
        if self.nodes.is_empty() {
            found.add(Code::NoNodes, None, "");
        }
        if !self.nodes.iter().any(|node| node.terminate) {
            found.add(Code::NoTerminatingNode, None, "");
        }
        self.check_keys(&mut found);
        self.check_words(&mut found);
        self.check_audio(&mut found);
        self.check_jumps(&mut found);
        self.check_ways(&mut found);
        found.all
    }

    /// Can it be dialled with?
    pub fn diallable(&self) -> bool {
        self.check()
            .iter()
            .all(|finding| finding.severity != Severity::Error)
    }

    fn check_keys(&self, found: &mut Findings) {
        let mut seen: HashMap<String, u32> = HashMap::new();
        for spoken in self.spoken() {
            let count = seen.entry(spoken.key.clone()).or_default();
            *count += 1;
            if *count == 2 && !spoken.key.is_empty() {
                found.add(Code::DuplicateKey, Some(&spoken.key), &spoken.key);
            }
        }
        let nodes = self.nodes.iter().map(|node| &node.key);
        if nodes
            .chain(self.questions.iter().map(|q| &q.id))
            .any(|key| key.trim().is_empty())
        {
            found.add(Code::EmptyKey, None, "");
        }
    }

    fn check_audio(&self, found: &mut Findings) {
        for spoken in self.spoken() {
            if spoken.text.trim().is_empty() {
                found.add(Code::EmptyText, Some(&spoken.key), &spoken.key);
            }
            if spoken.prompt.is_none() {
                found.add(Code::MissingPrompt, Some(&spoken.key), &spoken.key);
            }
        }
    }

    fn check_words(&self, found: &mut Findings) {
        let hollow = |words: &[String]| words.iter().any(|word| crate::fold::word(word).is_empty());
        for node in &self.nodes {
            let mut owner: HashMap<String, usize> = HashMap::new();
            for (at, branch) in node.branches.iter().enumerate() {
                if branch.words.is_empty() || hollow(&branch.words) {
                    found.add(Code::EmptyWords, Some(&node.key), &branch.name);
                }
                for word in &branch.words {
                    let first = *owner.entry(crate::fold::word(word)).or_insert(at);
                    if first != at {
                        found.add(Code::SharedWord, Some(&node.key), word);
                    }
                }
            }
        }
        for question in &self.questions {
            let key = format!("question.{}", question.id);
            if crate::fold::word(&question.text).is_empty() || hollow(&question.sub_questions) {
                found.add(Code::EmptyWords, Some(&key), &key);
            }
        }
        for (name, words) in [
            ("positive_words", &self.positive_words),
            ("negative_words", &self.negative_words),
        ] {
            if hollow(words) {
                found.add(Code::EmptyWords, None, name);
            }
        }
        for word in self
            .positive_words
            .iter()
            .filter(|word| self.negative_words.contains(word))
        {
            found.add(Code::SharedWord, None, word);
        }
        for correction in &self.corrections {
            if crate::fold::word(&correction.from).is_empty() {
                found.add(Code::EmptyWords, None, "corrections");
            }
        }
    }

    fn check_jumps(&self, found: &mut Findings) {
        for node in &self.nodes {
            let branches = node.branches.iter().map(|branch| &branch.jump);
            for jump in [&node.positive_jump, &node.negative_jump]
                .into_iter()
                .chain(branches)
            {
                if let Some(to) = jump
                    && self.node(to).is_none()
                {
                    found.add(Code::DanglingJump, Some(&node.key), to);
                }
            }
        }
        match &self.objection {
            Some(to) if self.node(to).is_none() => found.add(Code::DanglingJump, None, to),
            None if self.nodes.iter().any(|node| {
                !node.terminate && !node.ignore_negative && node.negative_jump.is_none()
            }) =>
            {
                found.add(Code::NoObjectionNode, None, "");
            }
            _ => {}
        }
    }

    /// Follows every way the flow can take.
    fn check_ways(&self, found: &mut Findings) {
        let count = self.nodes.len();
        let ways: Vec<Vec<Option<usize>>> = (0..count).map(|at| self.ways(at)).collect();
        let mut reached = vec![false; count];
        let mut open = if count > 0 { vec![0] } else { Vec::new() };
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut reached[at], true) {
                open.extend(ways[at].iter().flatten());
            }
        }
        let mut ends: Vec<bool> = self.nodes.iter().map(|node| node.terminate).collect();
        for _ in 0..count {
            for at in 0..count {
                ends[at] = ends[at] || ways[at].iter().flatten().any(|to| ends[*to]);
            }
        }
        let some_end = self.nodes.iter().any(|node| node.terminate);
        for (at, node) in self.nodes.iter().enumerate() {
            if !reached[at] {
                found.add(Code::UnreachableNode, Some(&node.key), &node.key);
                continue;
            }
            if ways[at].contains(&None) {
                found.add(Code::RunsOffTheEnd, Some(&node.key), &node.key);
            }
            if some_end && !ends[at] {
                found.add(Code::CannotEnd, Some(&node.key), &node.key);
            }
        }
    }

    fn ways(&self, at: usize) -> Vec<Option<usize>> {
        let node = &self.nodes[at];
        if node.terminate {
            return Vec::new();
        }
        let step = Step::of(self, at);
        let mut ways = vec![step.positive, step.negative];
        ways.extend(step.branches);
        if node.ignore_unmatched {
            ways.push(step.next);
        }
        ways
    }
}
