//! A template ready to run: jumps resolved to places, words compiled.

use crate::check::{Finding, Severity};
use crate::matcher::Matcher;
use crate::template::{Node, Template};
use std::sync::Arc;

/// Shared by every call of a campaign.
#[derive(Debug)]
pub struct CompiledTemplate {
    template: Template,
    steps: Vec<Step>,
    matcher: Matcher,
}

/// Where a node leads. None: past the last node, which ends the call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    pub next: Option<usize>,
    pub positive: Option<usize>,
    pub negative: Option<usize>,
    pub branches: Vec<Option<usize>>,
}

impl Step {
    /// Resolves a node's jumps; a jump to nowhere counts as unset ([`Template::check`] names it).
    pub fn of(template: &Template, at: usize) -> Step {
        let place = |key: &str| template.nodes.iter().position(|node| node.key == key);
        let node = &template.nodes[at];
        let next = (at + 1 < template.nodes.len()).then_some(at + 1);
        let jump = |to: &Option<String>| to.as_deref().and_then(place);
        let objection = jump(&template.objection).filter(|objection| *objection != at);
        Step {
            next,
            positive: jump(&node.positive_jump).or(next),
            negative: if node.ignore_negative {
                next
            } else {
                jump(&node.negative_jump).or(objection).or(next)
            },
            branches: node
                .branches
                .iter()
                .map(|branch| jump(&branch.jump).or(next))
                .collect(),
        }
    }
}

impl CompiledTemplate {
    /// Refuses a template with errors, returning all findings.
    pub fn new(template: &Template) -> Result<Arc<CompiledTemplate>, Vec<Finding>> {
        let findings = template.check();
        if findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
        {
            return Err(findings);
        }
        let steps = (0..template.nodes.len())
            .map(|at| Step::of(template, at))
            .collect();
        let matcher = Matcher::new(template);
        Ok(Arc::new(CompiledTemplate {
            template: template.clone(),
            steps,
            matcher,
        }))
    }

    pub fn template(&self) -> &Template {
        &self.template
    }
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }
    pub(crate) fn node(&self, at: usize) -> &Node {
        &self.template.nodes[at]
    }
    pub(crate) fn step(&self, at: usize) -> &Step {
        &self.steps[at]
    }
}
