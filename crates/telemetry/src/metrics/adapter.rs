//! The adapter's metrics: upstream's gRPC client families, and what upstream cannot say: how old its answers are.

use super::{Counter, CounterSeries, Gauge, GaugeSeries, Grpc, HistogramSeries, Registry, operator, table};

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
        let requests = r.counter(&table::ADAPTER_REQUESTS);
        Self {
            age: r.gauge(&table::ADAPTER_AGE),
            stale: r.counter(&table::ADAPTER_STALE),
            ok: requests.series(&["200"]),
            requests,
            duration: r.histogram(&table::ADAPTER_SECONDS).series(&[]),
            connected: r.gauge(&table::ADAPTER_CONNECTED).series(&[]),
            reviews: r.counter(&table::ADAPTER_REVIEWS),
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
