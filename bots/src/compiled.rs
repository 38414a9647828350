//! A template ready to run: jumps resolved, words compiled.

use crate::check::{Finding, Severity};
use crate::template::Template;
use std::sync::Arc;

/// Shared by every call of a campaign.
#[derive(Debug)]
pub struct CompiledTemplate {
    template: Template,
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
        Ok(Arc::new(CompiledTemplate {
            template: template.clone(),
        }))
    }

    pub fn template(&self) -> &Template {
        &self.template
    }
}
