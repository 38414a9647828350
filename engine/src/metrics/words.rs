//! The engine's counts as Prometheus reads them.

use super::{DIRECTIONS, Metrics, direction, sip};
use meter::{Page, Part, Ranges};
use std::fmt;
use std::sync::{Arc, Weak};
use switch::Figures;

/// A moment's figures beside the counts.
#[derive(Debug)]
pub struct Words {
    pub(crate) metrics: Arc<Metrics>,
    /// None: the node does not answer.
    pub(crate) figures: Option<(Figures, bool)>,
}

impl Part for Words {
    fn tell(&self, page: &mut Page<'_>) -> fmt::Result {
        self.signalling(page)?;
        self.calls(page)?;
        self.media(page)?;
        self.speech(page)?;
        if let Some(disk) = self.metrics.disk.get() {
            let free = disk.free() as f64;
            page.gauge(
                "huying_disk_free_bytes",
                "Free on the data folder's disk",
                free,
            )?;
            let size = disk.size() as f64;
            page.gauge(
                "huying_disk_size_bytes",
                "Size of the data folder's disk",
                size,
            )?;
            let low = u32::from(disk.low());
            page.gauge("huying_disk_low", "1: less is free than the reserve", low)?;
        }
        Ok(())
    }
}

impl Words {
    fn signalling(&self, page: &mut Page<'_>) -> fmt::Result {
        let both: [(&str, &sip::Messages); 2] =
            [("in", &self.metrics.sip_in), ("out", &self.metrics.sip_out)];
        let requests = both.iter().flat_map(|(way, messages)| {
            messages
                .requests()
                .map(|(method, n)| (words([way, method]), n as f64))
        });
        page.counters(
            "huying_sip_requests",
            "SIP requests, retransmissions too",
            ["way", "method"],
            requests,
        )?;
        let responses = both.iter().flat_map(|(way, messages)| {
            messages
                .responses()
                .map(|(method, code, n)| (words([way, method, &code.to_string()]), n as f64))
        });
        page.counters(
            "huying_sip_responses",
            "SIP responses, retransmissions too",
            ["way", "method", "code"],
            responses,
        )?;
        let malformed = self.metrics.sip_in.malformed() as f64;
        page.counter(
            "huying_sip_malformed",
            "Datagrams that are no SIP",
            malformed,
        )?;
        let Some((figures, journal)) = &self.figures else {
            return Ok(());
        };
        page.gauge(
            "huying_journal_up",
            "1: the call journal is written; 0: no attempt begins",
            u32::from(*journal),
        )?;
        page.gauge(
            "huying_registrations_active",
            "Devices registered here",
            figures.registered as f64,
        )?;
        page.gauge(
            "huying_rtp_ports_used",
            "RTP ports in use",
            figures.ports as f64,
        )
    }

    fn calls(&self, page: &mut Page<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        if let Some((figures, _)) = &self.figures {
            let live = figures.calls.iter();
            page.gauges(
                "huying_calls_active",
                "Calls up or being set up",
                ["direction"],
                live.map(|(d, n)| (words([DIRECTIONS[direction(*d)]]), *n as f64)),
            )?;
            page.gauge(
                "huying_calls_talking",
                "Answered calls",
                figures.talking as f64,
            )?;
        }
        let each = || DIRECTIONS.into_iter().zip(&metrics.calls);
        page.counters(
            "huying_calls",
            "Ended calls",
            ["direction", "outcome"],
            each().flat_map(|(direction, calls)| {
                let outcomes = calls.outcomes.get();
                outcomes.map(move |(outcome, n)| (words([direction, outcome]), n as f64))
            }),
        )?;
        page.counters(
            "huying_call_seizures",
            "Ended calls that were sent on their way; answers over seizures is the answer-seizure ratio",
            ["direction"],
            each().map(|(direction, calls)| (words([direction]), calls.seizures.get() as f64)),
        )?;
        page.counters(
            "huying_call_answers",
            "Ended calls that were answered",
            ["direction"],
            each().map(|(direction, calls)| (words([direction]), calls.answers.get() as f64)),
        )?;
        page.histograms(
            "huying_call_setup_seconds",
            "From a call's beginning to its answer",
            ["direction"],
            each().map(|(direction, calls)| (words([direction]), calls.setup.get())),
        )?;
        page.histograms(
            "huying_call_talk_seconds",
            "From answer to end",
            ["direction"],
            each().map(|(direction, calls)| (words([direction]), calls.talk.get())),
        )?;
        let by = |words: &meter::ByWord| -> Vec<_> {
            words
                .get()
                .map(|(word, n)| ([word.to_owned()], n as f64))
                .collect()
        };
        page.counters(
            "huying_grades",
            "Robot calls by grade",
            ["grade"],
            by(&metrics.grades),
        )?;
        page.counters(
            "huying_dialer_skipped",
            "Leads the gate refused",
            ["reason"],
            by(&metrics.denials),
        )?;
        page.counters(
            "huying_recordings",
            "What happened to recordings",
            ["event"],
            by(&metrics.recordings),
        )?;
        page.histogram(
            "huying_robot_turn_seconds",
            "From the callee's last word to the robot's first",
            metrics.turns.get(),
        )
    }

    fn media(&self, page: &mut Page<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        let workers = || metrics.workers.get().into_iter().flatten();
        let of = |what: &dyn Fn(&super::WorkerMetrics) -> u64| -> f64 {
            workers().map(|worker| what(worker)).sum::<u64>() as f64
        };
        let received = of(&|worker| worker.received.get());
        page.counter(
            "huying_rtp_packets_received",
            "RTP packets received",
            received,
        )?;
        let sent = of(&|worker| worker.sent.get());
        page.counter("huying_rtp_packets_sent", "RTP packets sent", sent)?;
        let late = of(&|worker| worker.late.get());
        page.counter(
            "huying_rtp_packets_late",
            "Came too late to be played",
            late,
        )?;
        let strangers = of(&|worker| worker.strangers.get());
        page.counter(
            "huying_rtp_packets_strange",
            "Came from elsewhere than negotiated, dropped",
            strangers,
        )?;
        page.counter(
            "huying_rtp_packets_lost",
            "Never came, of ended legs",
            metrics.packets_lost.get() as f64,
        )?;
        page.counter(
            "huying_rtp_frames_concealed",
            "Frames made up for what did not come, of ended legs",
            metrics.frames_concealed.get() as f64,
        )?;
        page.histogram(
            "huying_rtp_jitter_seconds",
            "Interarrival jitter of a leg at its end (RFC 3550)",
            metrics.jitter.get(),
        )?;
        let dropped = of(&|worker| worker.dropped_frames.get());
        page.counter(
            "huying_media_frames_dropped",
            "Frames a recorder or recogniser was too slow for",
            dropped,
        )?;
        let late = workers().map(|worker| worker.lateness.get());
        page.histogram(
            "huying_media_tick_late_seconds",
            "How much later than meant media workers woke",
            late.fold(Ranges::default(), Ranges::and),
        )
    }

    fn speech(&self, page: &mut Page<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        page.histogram(
            "huying_asr_latency_seconds",
            "From a recognition's request to its answer",
            metrics.recognised.get(),
        )?;
        let by = |words: &meter::ByWord| -> Vec<_> {
            words
                .get()
                .map(|(word, n)| ([word.to_owned()], n as f64))
                .collect()
        };
        page.counters(
            "huying_asr_requests",
            "Recognitions by result",
            ["result"],
            by(&metrics.recognitions),
        )?;
        page.counters(
            "huying_asr_discarded",
            "Texts nobody said, by how it was told",
            ["reason"],
            by(&metrics.discards),
        )?;
        let Some(speech) = metrics.speech.get().and_then(Weak::upgrade) else {
            return Ok(());
        };
        let load = speech.load();
        let waiting = [
            ("awaited", load.waiting_final),
            ("speculative", load.waiting_speculative),
        ];
        page.gauges(
            "huying_asr_waiting",
            "Recognitions waiting for a worker",
            ["kind"],
            waiting.map(|(kind, n)| (words([kind]), n as f64)),
        )?;
        page.gauge(
            "huying_asr_running",
            "Recognitions under way",
            load.running as f64,
        )?;
        page.gauge(
            "huying_asr_workers",
            "Recogniser threads",
            load.workers as f64,
        )?;
        page.gauge("huying_asr_legs", "Legs listened to", load.legs as f64)?;
        page.counter(
            "huying_asr_workers_replaced",
            "Recognisers that hung or crashed",
            load.workers_replaced as f64,
        )
    }
}

fn words<const N: usize>(words: [&str; N]) -> [String; N] {
    words.map(str::to_owned)
}
