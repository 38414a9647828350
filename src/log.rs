//! Log lines: one for each event, whatever the wire put into it. For a terminal as text, for anybody else as JSON with stable
//! fields: `ts`, `level`, `target`, `msg`, then those of the event and of what it happened in (`call`, `tenant`,
//! `request_id` …).

use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;
use std::io::IsTerminal;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// From here on everything the filter lets through goes to standard error.
pub fn begin(filter: EnvFilter) {
    let lines = match std::io::stderr().is_terminal() {
        true => Lines::Text,
        false => Lines::Json,
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .fmt_fields(JsonFields::new())
        .event_format(lines)
        .init();
}

#[derive(Clone, Copy, Debug)]
pub enum Lines {
    Text,
    Json,
}

impl<S> FormatEvent<S, JsonFields> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(|s| s.from_root())
        {
            // They were written as JSON when the span began.
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            let fields = fields.and_then(|f| serde_json::from_str::<Map<_, _>>(&f.fields).ok());
            said.fields.extend(fields.unwrap_or_default());
        }
        event.record(&mut said);
        let mut ts = String::with_capacity(32);
        SystemTime.format_time(&mut Writer::new(&mut ts))?;
        let level = event.metadata().level().as_str();
        let target = event.metadata().target();
        match self {
            Lines::Json => {
                let text = |text: &str| Value::from(text);
                write!(writer, "{{\"ts\":{},\"level\":{}", text(&ts), text(level))?;
                let message = text(&said.message);
                write!(writer, ",\"target\":{},\"msg\":{message}", text(target))?;
                for (name, value) in said.fields {
                    // These four mean one thing in every line.
                    let taken = ["ts", "level", "target", "msg"].contains(&name.as_str());
                    let name = text(&if taken { format!("{name}_") } else { name });
                    write!(writer, ",{name}:{value}")?;
                }
                writer.write_str("}\n")
            }
            Lines::Text => {
                write!(writer, "{ts} {level:>5} {target}: {}", inert(&said.message))?;
                for (name, value) in &said.fields {
                    match value {
                        Value::String(text) if text.contains(' ') || text.is_empty() => {
                            write!(writer, " {name}=\"{}\"", inert(text))?;
                        }
                        Value::String(text) => write!(writer, " {name}={}", inert(text))?,
                        other => write!(writer, " {name}={other}")?,
                    }
                }
                writer.write_char('\n')
            }
        }
    }
}

/// Nothing that ends a line, moves a cursor or turns text around.
fn inert(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut inert = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match harmful(c) {
            true => inert.extend(c.escape_default()),
            false => inert.push(c),
        }
    }
    Cow::Owned(inert)
}

/// An event's words and values.
#[derive(Default)]
struct Said {
    message: String,
    fields: Map<String, Value>,
}

impl Said {
    fn keep(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", other) => self.message = other.to_string(),
            // What the `log` crate's records bring along.
            (name, _) if name.starts_with("log.") => {}
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value.into());
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.keep(field, value.to_string().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(lines: Lines, act: impl FnOnce()) -> String {
        let paper = Paper::default();
        let to = paper.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || to.clone())
            .fmt_fields(JsonFields::new())
            .event_format(lines)
            .finish();
        tracing::subscriber::with_default(subscriber, act);
        let bytes = paper.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_has_its_four_fields_then_those_of_the_event_and_its_request() {
        let text = written(Lines::Json, || {
            let request = tracing::error_span!("request", request_id = "r-1");
            let _inside = request.enter();
            tracing::warn!(call = %"c-1", n = 3, level = "own", "it {}", "rains");
        });
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&line["level"], &line["msg"]),
            (&"WARN".into(), &"it rains".into())
        );
        assert_eq!((&line["call"], &line["n"]), (&"c-1".into(), &3.into()));
        assert_eq!(
            (&line["request_id"], &line["level_"]),
            (&"r-1".into(), &"own".into())
        );
        assert!(line["ts"].as_str().unwrap().ends_with('Z'), "{line}");
        assert!(line["target"].as_str().unwrap().starts_with("huying::log"));
    }

    #[test]
    fn what_the_wire_sends_stays_in_its_line() {
        let evil = "a\r\n2026-01-01 ERROR forged: line\u{1b}[31m\u{2028}\u{202e}";
        for lines in [Lines::Text, Lines::Json] {
            let text = written(lines, || tracing::warn!(from = evil, "heard {evil}"));
            assert_eq!(text.matches('\n').count(), 1, "{text}");
            assert!(!text.contains(['\r', '\u{1b}']), "{text}");
        }
        let text = written(Lines::Text, || tracing::warn!(from = evil, ""));
        assert!(
            text.contains("\\r\\n") && !text.contains('\u{202e}'),
            "{text}"
        );
    }
}
