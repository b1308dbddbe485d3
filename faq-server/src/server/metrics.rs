//! What Prometheus reads.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::clock::now_ms;
use super::store::jobs::Depth;

/// Value of the label `service`.
pub(crate) const SERVICE: &str = "faq";

/// Buckets for whatever takes from a millisecond to two minutes.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 120.0,
];

pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    queue_depth: IntGaugeVec,
    queue_age: IntGaugeVec,
    jobs: IntCounterVec,
    ingest_seconds: HistogramVec,
    answer_seconds: HistogramVec,
    answers: IntCounterVec,
    tokens: IntCounterVec,
    pub(crate) answers_waiting: IntGauge,
    pub(crate) storage_free_bytes: IntGauge,
    pub(crate) collections_open: IntGauge,
    pub(crate) first_delta_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let metrics = Self {
            requests: counter(
                "http_requests_total",
                "Requests answered.",
                &["service", "method", "route", "status"],
            ),
            request_seconds: histogram(
                "http_request_duration_seconds",
                "Time to a response's first byte.",
                &["service", "method", "route", "status"],
            ),
            queue_depth: gauge("faq_queue_jobs", "Jobs in the queue.", &["kind", "state"]),
            queue_age: gauge(
                "faq_queue_oldest_seconds",
                "How long the oldest job that is due has waited.",
                &["kind"],
            ),
            jobs: counter(
                "faq_jobs_total",
                "Attempts at jobs, by how they ended.",
                &["kind", "outcome"],
            ),
            ingest_seconds: histogram(
                "faq_ingest_stage_seconds",
                "Time of each stage of making a document searchable.",
                &["stage"],
            ),
            answer_seconds: histogram(
                "faq_answer_stage_seconds",
                "Time of each stage of answering.",
                &["stage"],
            ),
            answers: counter(
                "faq_answers_total",
                "Answers, by model and outcome (answered, the reason of an abstention, cached, \
                 failed, cancelled).",
                &["model", "outcome"],
            ),
            tokens: counter(
                "faq_generation_tokens_total",
                "Tokens that models read and wrote.",
                &["model", "direction"],
            ),
            answers_waiting: plain_gauge("faq_answers_waiting", "Questions that wait for a slot."),
            storage_free_bytes: plain_gauge(
                "faq_storage_free_bytes",
                "Free space where uploaded files are kept; 0 where there is no disk.",
            ),
            collections_open: plain_gauge(
                "faq_collections_open",
                "Organisations whose knowledge is open.",
            ),
            first_delta_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "faq_answer_first_delta_seconds",
                    "Time to the first sentence of an answer.",
                )
                .buckets(SECONDS.to_vec()),
            )
            .expect("a valid histogram"),
            registry,
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let collectors: [Box<dyn prometheus::core::Collector>; 13] = [
            Box::new(self.requests.clone()),
            Box::new(self.request_seconds.clone()),
            Box::new(self.queue_depth.clone()),
            Box::new(self.queue_age.clone()),
            Box::new(self.jobs.clone()),
            Box::new(self.ingest_seconds.clone()),
            Box::new(self.answer_seconds.clone()),
            Box::new(self.answers.clone()),
            Box::new(self.tokens.clone()),
            Box::new(self.answers_waiting.clone()),
            Box::new(self.storage_free_bytes.clone()),
            Box::new(self.collections_open.clone()),
            Box::new(self.first_delta_seconds.clone()),
        ];
        for collector in collectors {
            self.registry
                .register(collector)
                .expect("each metric has a name of its own");
        }
    }

    pub(crate) fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let status = status.to_string();
        let labels = [SERVICE, method, route, &status];
        self.requests.with_label_values(&labels).inc();
        self.request_seconds
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }

    pub(crate) fn queue(&self, depths: &[Depth]) {
        self.queue_depth.reset();
        self.queue_age.reset();
        for depth in depths {
            let kind = depth.kind.name();
            let set = |state, n: u64| {
                self.queue_depth
                    .with_label_values(&[kind, state])
                    .set(i64::try_from(n).unwrap_or(i64::MAX));
            };
            set("queued", depth.queued);
            set("leased", depth.leased);
            let age = depth
                .oldest_ms
                .map_or(0, |due| (now_ms() - due).max(0) / 1000);
            self.queue_age.with_label_values(&[kind]).set(age);
        }
    }

    pub(crate) fn job(&self, kind: &str, outcome: &str) {
        self.jobs.with_label_values(&[kind, outcome]).inc();
    }

    pub(crate) fn ingest_stage(&self, stage: &str, took: Duration) {
        self.ingest_seconds
            .with_label_values(&[stage])
            .observe(took.as_secs_f64());
    }

    pub(crate) fn answered(&self, model: &str, outcome: &str) {
        self.answers.with_label_values(&[model, outcome]).inc();
    }

    pub(crate) fn answer(&self, answer: &faq_core::Answer) {
        let outcome = match answer.reason {
            None => "answered",
            Some(reason) => super::answers::reason_name(reason),
        };
        self.answered(&answer.model, outcome);
        let seconds = |stage, ms: f64| {
            self.answer_seconds
                .with_label_values(&[stage])
                .observe(ms / 1e3);
        };
        let timings = &answer.timings_ms;
        seconds("search", timings.search);
        seconds("write", (timings.total - timings.search).max(0.0));
        seconds("total", timings.total);
        if timings.first_delta > 0.0 {
            self.first_delta_seconds.observe(timings.first_delta / 1e3);
        }
        let worked = answer.read_by.as_ref().unwrap_or(&answer.model);
        for (direction, n) in [
            ("read", answer.usage.prompt_tokens),
            ("written", answer.usage.completion_tokens),
        ] {
            self.tokens
                .with_label_values(&[worked.as_str(), direction])
                .inc_by(n as u64);
        }
    }

    /// Prometheus' text format.
    pub(crate) fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

// Names and labels are constants of this file, and a test makes them all.

fn counter(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect("a valid counter")
}

fn gauge(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help), labels).expect("a valid gauge")
}

fn plain_gauge(name: &str, help: &str) -> IntGauge {
    IntGauge::new(name, help).expect("a valid gauge")
}

fn histogram(name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    HistogramVec::new(
        HistogramOpts::new(name, help).buckets(SECONDS.to_vec()),
        labels,
    )
    .expect("a valid histogram")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn requests_are_counted_by_route() {
        let metrics = Metrics::new();
        metrics.request("GET", "/v1/documents/{id}", 200, Duration::from_millis(3));
        let text = metrics.text().unwrap();
        assert!(
            text.contains(
                "http_requests_total{method=\"GET\",route=\"/v1/documents/{id}\",service=\"faq\",\
             status=\"200\"} 1"
            ),
            "{text}"
        );
    }
}
