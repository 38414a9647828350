//! What is wrong with a template, said so that its author can mend it.

use crate::template::Template;
use serde::{Deserialize, Serialize};

/// One thing wrong, or odd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub severity: Severity,
    /// Key of the node it is about; `question.<id>` for a question; none for the whole template.
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
    RunsOffTheEnd,
    CannotEnd,
    MissingPrompt,
    DuplicateKey,
    EmptyKey,
    EmptyText,
    EmptyWords,
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
}

impl Template {
    /// Everything wrong with it; a template with an [`Severity::Error`] cannot be compiled.
    pub fn check(&self) -> Vec<Finding> {
        Vec::new()
    }
}
