//! The webhooks' metrics: upstream's two families, controller-runtime's of webhooks, and lookups that failed.

use super::{Counter, CounterSeries, Gauge, Histogram, Registry, operator};

const BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The webhooks' families. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Webhooks {
    registry: Registry,
    validations: Counter,
    errors: Counter,
    requests: Counter,
    latency: Histogram,
    in_flight: Gauge,
    lookups: CounterSeries,
}

impl Webhooks {
    /// Declares the families.
    pub fn new(registry: &Registry) -> Self {
        let r = registry;
        Self {
            validations: r.counter(
                "keda_webhook_scaled_object_validations_total",
                "Total number of scaled object validations",
                &["namespace", "action"],
            ),
            errors: r.counter(
                "keda_webhook_scaled_object_validation_errors_total",
                "Total number of scaled object validating errors",
                &["namespace", "action", "reason"],
            ),
            requests: r.counter(
                "controller_runtime_webhook_requests_total",
                "Total number of admission requests by HTTP status code.",
                &["webhook", "code"],
            ),
            latency: r.histogram(
                "controller_runtime_webhook_latency_seconds",
                "Histogram of the latency of processing admission requests",
                &["webhook"],
                BUCKETS,
            ),
            in_flight: r.gauge(
                "controller_runtime_webhook_requests_in_flight",
                "Current number of admission requests being served.",
                &["webhook"],
            ),
            lookups: r
                .counter(
                    "keda_webhook_lookup_failures_total",
                    "Objects that were refused because the API server could not be asked about others.",
                    &[],
                )
                .series(&[]),
            registry: r.clone(),
        }
    }

    /// The registry that the families are in.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// `keda_build_info`, which upstream's webhooks do not have.
    pub fn build_info(&self, version: &str, git_commit: &str, rust_version: &str) {
        operator::build_info(&self.registry, version, git_commit, rust_version);
    }

    /// A ScaledObject is checked. `action`: `create` or `update`.
    pub fn validation(&self, namespace: &str, action: &str) {
        self.validations.inc(&[namespace, action]);
    }

    /// A rule refuses it.
    pub fn validation_error(&self, namespace: &str, action: &str, reason: &str) {
        self.errors.inc(&[namespace, action, reason]);
    }

    /// An object was refused because it could not be checked.
    pub fn lookup_failed(&self) {
        self.lookups.inc();
    }

    /// A request came in at a path.
    pub fn begin(&self, webhook: &'static str) -> InFlight {
        self.in_flight.add(&[webhook], 1.0);
        InFlight { in_flight: self.in_flight.clone(), webhook }
    }

    /// It was answered.
    pub fn end(&self, webhook: &str, code: u16, seconds: f64) {
        self.requests.inc(&[webhook, &code.to_string()]);
        self.latency.observe(&[webhook], seconds);
    }
}

/// A request under way; it may also end because its caller went away.
#[derive(Debug)]
pub struct InFlight {
    in_flight: Gauge,
    webhook: &'static str,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.in_flight.add(&[self.webhook], -1.0);
    }
}
