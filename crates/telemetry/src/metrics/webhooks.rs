//! The webhooks' metrics: upstream's two families, controller-runtime's of webhooks, and lookups that failed.

use super::{Counter, CounterSeries, Gauge, Histogram, Registry, operator, table};

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
            validations: r.counter(&table::VALIDATIONS),
            errors: r.counter(&table::VALIDATION_ERRORS),
            requests: r.counter(&table::WEBHOOK_REQUESTS),
            latency: r.histogram(&table::WEBHOOK_SECONDS),
            in_flight: r.gauge(&table::WEBHOOK_IN_FLIGHT),
            lookups: r.counter(&table::WEBHOOK_LOOKUPS).series(&[]),
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
