//! The adapter's metrics: upstream's gRPC client families, and what upstream cannot say: how old its answers are.

use super::{
    Counter, CounterSeries, Gauge, GaugeSeries, Grpc, Histogram, HistogramSeries, Registry, operator,
};

const SERIES: &[&str] = &["namespace", "metric", "scaledObject"];
const REQUEST_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// The adapter's families. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Adapter {
    registry: Registry,
    age: Gauge,
    stale: Counter,
    requests: Counter,
    ok: CounterSeries,
    duration: HistogramSeries,
    connected: GaugeSeries,
    reviews: Counter,
    grpc: Grpc,
}

impl Adapter {
    /// Declares the families.
    pub fn new(registry: &Registry) -> Self {
        let r = registry;
        let requests = r.counter(
            "keda_adapter_requests_total",
            "Requests for metrics, by the status of the answer.",
            &["code"],
        );
        let duration: Histogram = r.histogram(
            "keda_adapter_request_duration_seconds",
            "Time from a request for a metric to its answer.",
            &[],
            REQUEST_BUCKETS,
        );
        let connected = r.gauge(
            "keda_adapter_operator_connected",
            "Whether the operator's metrics service can be reached (1), or not (0).",
            &[],
        );
        Self {
            age: r.gauge(
                "keda_adapter_answer_age_seconds",
                "Age of the last sample that was answered because the operator was away. Absent while answers are fresh.",
                SERIES,
            ),
            stale: r.counter(
                "keda_adapter_stale_answers_total",
                "Answers from the last good sample because the operator was away.",
                &["namespace"],
            ),
            ok: requests.series(&["200"]),
            requests,
            duration: duration.series(&[]),
            connected: connected.series(&[]),
            reviews: r.counter(
                "keda_adapter_reviews_total",
                "TokenReviews and SubjectAccessReviews sent to the API server, by outcome (allowed, denied, error).",
                &["review", "outcome"],
            ),
            grpc: Grpc::client(r),
            registry: r.clone(),
        }
    }

    /// The registry that the families are in.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Calls of the operator's metrics service.
    pub fn grpc(&self) -> &Grpc {
        &self.grpc
    }

    /// `keda_build_info`, which upstream's adapter does not have.
    pub fn build_info(&self, version: &str, git_commit: &str, rust_version: &str) {
        operator::build_info(&self.registry, version, git_commit, rust_version);
    }

    /// A request for a metric was answered.
    pub fn request(&self, status: u16, seconds: f64) {
        if status == 200 {
            self.ok.inc();
        } else {
            self.requests.inc(&[&status.to_string()]);
        }
        self.duration.observe(seconds);
    }

    /// The answer was a sample of this age.
    pub fn stale(&self, namespace: &str, object: &str, metric: &str, age_seconds: f64) {
        self.stale.inc(&[namespace]);
        self.age.set(&[namespace, metric, object], age_seconds);
    }

    /// The metric's answers are fresh again, or nobody asks for it any more.
    pub fn fresh(&self, namespace: &str, object: &str, metric: &str) {
        self.age.remove(&[("namespace", namespace), ("metric", metric), ("scaledObject", object)]);
    }

    /// Whether the operator can be reached.
    pub fn connected(&self, connected: bool) {
        self.connected.set(f64::from(connected));
    }

    /// The API server answered a review. `review`: `token` or `access`; `outcome`: `allowed`, `denied` or `error`.
    pub fn review(&self, review: &str, outcome: &str) {
        self.reviews.inc(&[review, outcome]);
    }
}
