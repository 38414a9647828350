//! A page of metrics as Prometheus reads it (OpenMetrics text), put together from parts at each scrape.

use crate::Ranges;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt::{self, Debug};

/// Who has something to tell.
pub trait Part: Debug + Send + Sync + 'static {
    fn tell(&self, page: &mut Page<'_>) -> fmt::Result;
}

/// What the parts write to. Names are base units, `_total` is added to counters; labels are words out of short lists.
pub struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    /// Values by their labels, in the order of the labels' names.
    pub fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; N],
        rows: impl IntoIterator<Item = ([String; N], f64)>,
    ) -> fmt::Result {
        self.family(
            name,
            help,
            MetricType::Counter,
            labels,
            rows,
            |out, value| out.encode_counter::<NoLabelSet, _, f64>(&value, None),
        )
    }

    pub fn counter(&mut self, name: &str, help: &str, value: impl Into<f64>) -> fmt::Result {
        self.counters(name, help, [], [([], value.into())])
    }

    pub fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; N],
        rows: impl IntoIterator<Item = ([String; N], f64)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, labels, rows, |out, value| {
            out.encode_gauge(&value)
        })
    }

    pub fn gauge(&mut self, name: &str, help: &str, value: impl Into<f64>) -> fmt::Result {
        self.gauges(name, help, [], [([], value.into())])
    }

    pub fn histograms<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; N],
        rows: impl IntoIterator<Item = ([String; N], Ranges)>,
    ) -> fmt::Result {
        self.family(
            name,
            help,
            MetricType::Histogram,
            labels,
            rows,
            |out, told| {
                out.encode_histogram::<NoLabelSet>(told.sum, told.number, &told.ranges, None)
            },
        )
    }

    pub fn histogram(&mut self, name: &str, help: &str, told: Ranges) -> fmt::Result {
        self.histograms(name, help, [], [([], told)])
    }

    fn family<const N: usize, V>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        labels: [&str; N],
        rows: impl IntoIterator<Item = ([String; N], V)>,
        write: impl Fn(&mut MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        let help = help.trim_end_matches('.');
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (values, value) in rows {
            if N == 0 {
                write(&mut family, value)?;
                continue;
            }
            let set: Vec<(&str, String)> = labels.into_iter().zip(values).collect();
            write(&mut family.encode_family(&set)?, value)?;
        }
        Ok(())
    }
}

/// The page, whole, with its content type.
pub fn page(parts: Vec<Box<dyn Part>>) -> (&'static str, String) {
    let mut registry = Registry::default();
    for part in parts {
        registry.register_collector(Box::new(Collected(part)));
    }
    let mut text = String::new();
    // Writing to a string fails only where a part does, and none has a reason to.
    encode(&mut text, &registry).ok();
    (
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        text,
    )
}

#[derive(Debug)]
struct Collected(Box<dyn Part>);

impl Collector for Collected {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.tell(&mut Page(encoder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Histogram;
    use std::time::Duration;

    #[derive(Debug)]
    struct Weather;

    impl Part for Weather {
        fn tell(&self, page: &mut Page<'_>) -> fmt::Result {
            let drops = [(["north".to_owned()], 3.0), (["so\"uth".to_owned()], 4.0)];
            page.counters("rain_drops", "Drops of rain.", ["side"], drops)?;
            page.gauge("clouds", "Clouds", 2)?;
            let storms = Histogram::new(&[1000]);
            storms.add(Duration::from_millis(1500));
            page.histogram("storm_seconds", "Storms", storms.get())
        }
    }

    #[test]
    fn a_page_reads_as_prometheus_wants_it() {
        let (_, text) = page(vec![Box::new(Weather)]);
        let expected = "# HELP rain_drops Drops of rain\n# TYPE rain_drops counter\n\
            rain_drops_total{side=\"north\"} 3.0\nrain_drops_total{side=\"so\\\"uth\"} 4.0\n\
            # HELP clouds Clouds\n# TYPE clouds gauge\nclouds 2.0\n\
            # HELP storm_seconds Storms\n# TYPE storm_seconds histogram\n\
            storm_seconds_sum 1.5\nstorm_seconds_count 1\n\
            storm_seconds_bucket{le=\"1.0\"} 0\nstorm_seconds_bucket{le=\"+Inf\"} 1\n# EOF\n";
        assert_eq!(text, expected);
    }
}
