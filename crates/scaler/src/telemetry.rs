//! What the frame reports about triggers. The operator implements [`Telemetry`] on its metrics.

use std::time::Duration;

use crate::{Error, Reading};

/// Which metric of which trigger of which object something is reported about: the labels of upstream's metrics
/// (platform.md 5.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Subject {
    /// `ScaledObject` or `ScaledJob`.
    pub object_kind: String,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub object_name: String,
    /// Position in `spec.triggers`.
    pub trigger_index: usize,
    /// The trigger's type, e.g. `prometheus`.
    pub trigger_type: &'static str,
    /// The trigger's `name`, empty if it has none.
    pub trigger_name: String,
    /// The trigger's name, else upstream's Go type name, e.g. `prometheusScaler`: the `scaler` label.
    pub label: String,
    /// Metric name with its `s<index>-` prefix.
    pub metric: String,
    /// Its value only feeds a formula: whether it is active is for nobody to know.
    pub feeds_formula: bool,
}

/// Takes the frame's reports. Called on the sampling path: implementations must not block.
pub trait Telemetry: Send + Sync {
    /// One metric was sampled, well or not, in `latency`.
    fn sampled(&self, subject: &Subject, latency: Duration, result: Result<&Reading, &Error>);

    /// The source answered without a number (`keda_scaler_empty_upstream_responses_total`). `ignored` says whether the
    /// user chose to read that as 0 (`ignoreNullValues`).
    fn empty_response(&self, subject: &Subject, ignored: bool);

    /// One HTTP request of the trigger ended (`keda_scaler_http_requests_total`); no status means a transport failure.
    fn http_request(&self, subject: &Subject, status: Option<u16>, latency: Duration);
}

/// Reports nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Telemetry for Silent {
    fn sampled(&self, _: &Subject, _: Duration, _: Result<&Reading, &Error>) {}
    fn empty_response(&self, _: &Subject, _: bool) {}
    fn http_request(&self, _: &Subject, _: Option<u16>, _: Duration) {}
}
