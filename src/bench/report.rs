//! What a bench found: one shape for people and one for programs.

use serde_json::{Value, json};

/// One measured number.
#[derive(Clone, Debug)]
pub struct Case {
    pub case: String,
    pub metric: &'static str,
    pub value: f64,
    /// A peer measured in the same run.
    pub peer: Option<(&'static str, f64)>,
}

impl Case {
    /// Nothing to divide by: no ratio.
    fn ratio(&self) -> Option<f64> {
        let (_, peer) = self.peer?;
        (peer > 0.0).then(|| self.value / peer)
    }
}

#[derive(Debug)]
pub struct Report {
    pub bench: &'static str,
    pub cases: Vec<Case>,
    /// What was measured, and how, in words.
    pub notes: Vec<String>,
}

impl Report {
    pub fn new(bench: &'static str) -> Report {
        Report {
            bench,
            cases: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub fn case(&mut self, case: &str, metric: &'static str, value: f64) {
        self.beside(case, metric, value, None);
    }

    pub fn beside(
        &mut self,
        case: &str,
        metric: &'static str,
        value: f64,
        peer: Option<(&'static str, f64)>,
    ) {
        let case = case.to_owned();
        self.cases.push(Case {
            case,
            metric,
            value,
            peer,
        });
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// The table, or with `json` one object; then the notes go beside it.
    pub fn print(&self, json: bool) {
        if json {
            println!("{}", self.json());
            for note in &self.notes {
                eprintln!("{note}");
            }
            return;
        }
        let columns = ("case", "metric", "value", "peer", "peer value", "ratio");
        let (case, metric, value, peer, peer_value, ratio) = columns;
        println!("{case:<16} {metric:<28} {value:>10}  {peer:<12} {peer_value:>10} {ratio:>6}");
        for case in &self.cases {
            let (peer, peer_value, ratio) = match case.peer {
                Some((peer, value)) => {
                    let ratio = case
                        .ratio()
                        .map_or("-".into(), |ratio| format!("{ratio:.2}"));
                    (peer, number(value), ratio)
                }
                None => ("-", "-".into(), "-".into()),
            };
            let (name, metric, value) = (&case.case, case.metric, number(case.value));
            let line = format!(
                "{name:<16} {metric:<28} {value:>10}  {peer:<12} {peer_value:>10} {ratio:>6}"
            );
            println!("{line}");
        }
        println!();
        for note in &self.notes {
            println!("{note}");
        }
    }

    pub fn json(&self) -> Value {
        let cases: Vec<Value> = self
            .cases
            .iter()
            .map(|case| {
                json!({
                    "case": case.case,
                    "metric": case.metric,
                    "value": rounded(case.value),
                    "peer": case.peer.map(|(name, _)| name),
                    "peer_value": case.peer.map(|(_, value)| rounded(value)),
                    "ratio": case.ratio().map(rounded),
                })
            })
            .collect();
        json!({ "bench": self.bench, "cases": cases })
    }
}

/// Four significant digits: more would only look exact.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powf(3.0 - value.abs().log10().floor());
    (value * scale).round() / scale
}

fn number(value: f64) -> String {
    let value = rounded(value);
    match value.abs() {
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// The value below which `share` (0 to 1) of them lie.
pub fn percentile<T: Copy + Ord>(sorted: &[T], share: f64) -> Option<T> {
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_the_fields_readers_rely_on() {
        let mut report = Report::new("media");
        report.beside(
            "relay",
            "cpu_percent_per_100_calls",
            8.0999,
            Some(("rtpengine", 16.2)),
        );
        report.case("robot", "cpu_percent_per_100_calls", 31.23456);
        assert_eq!(
            report.json(),
            json!({ "bench": "media", "cases": [
                { "case": "relay", "metric": "cpu_percent_per_100_calls", "value": 8.1, "peer": "rtpengine",
                  "peer_value": 16.2, "ratio": 0.5 },
                { "case": "robot", "metric": "cpu_percent_per_100_calls", "value": 31.23, "peer": null,
                  "peer_value": null, "ratio": null },
            ] })
        );
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let sorted: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&sorted, 0.5), Some(50));
        assert_eq!(percentile(&sorted, 0.99), Some(99));
        assert_eq!(percentile(&[7], 0.95), Some(7));
        assert_eq!(percentile::<u32>(&[], 0.5), None);
    }
}
