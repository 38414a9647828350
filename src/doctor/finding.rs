//! One line of the report.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Ok,
    Warn,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub state: State,
    /// What was looked at: `SIP port`.
    pub subject: &'static str,
    /// What was seen.
    pub text: String,
    /// What mends it; empty when nothing needs mending.
    pub fix: String,
}

impl Finding {
    pub fn ok(subject: &'static str, text: impl Into<String>) -> Finding {
        Finding {
            state: State::Ok,
            subject,
            text: text.into(),
            fix: String::new(),
        }
    }
    pub fn warn(subject: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding {
            state: State::Warn,
            subject,
            text: text.into(),
            fix: fix.into(),
        }
    }
    pub fn failed(
        subject: &'static str,
        text: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding {
            state: State::Failed,
            subject,
            text: text.into(),
            fix: fix.into(),
        }
    }
}

/// `WARN    clock          text` and, where there is one, the fix below it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Ok => "ok",
            State::Warn => "WARN",
            State::Failed => "FAILED",
        };
        write!(f, "  {state:<7} {:<14} {}", self.subject, self.text)?;
        if !self.fix.is_empty() {
            write!(f, "\n  {:<22} FIX: {}", "", self.fix)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_stands_in_columns_with_its_fix_below() {
        let finding = Finding::failed("clock", "it is 1970", "set the clock");
        let shown = finding.to_string();
        assert_eq!(
            shown,
            "  FAILED  clock          it is 1970\n                         FIX: set the clock"
        );
        assert_eq!(
            Finding::ok("cores", "2").to_string(),
            "  ok      cores          2"
        );
    }
}
