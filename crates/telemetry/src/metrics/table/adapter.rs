//! The metrics API server's families: what upstream cannot say, how old its answers are.

use super::{BUILD_INFO, Definition, Life};

const REQUEST_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Requests for metrics.
pub static ADAPTER_REQUESTS: Definition = Definition::counter(
    "keda_adapter_requests_total",
    &["code"],
    "Requests for metrics, by the status of the answer.",
)
.ours();
/// How long they took.
pub static ADAPTER_SECONDS: Definition = Definition::histogram(
    "keda_adapter_request_duration_seconds",
    &[],
    REQUEST_BUCKETS,
    "Time from a request for a metric to its answer.",
)
.ours();
/// Whether the operator can be reached.
pub static ADAPTER_CONNECTED: Definition = Definition::gauge(
    "keda_adapter_operator_connected",
    &[],
    "Whether the operator's metrics service can be reached (1), or not (0).",
)
.ours();
/// How old an answer is.
pub static ADAPTER_AGE: Definition = Definition::gauge(
    "keda_adapter_answer_age_seconds",
    &["namespace", "metric", "scaledObject"],
    "Age of the last sample that was answered because the operator was away. Absent while answers are fresh.",
)
.ours()
.until(Life::Condition);
/// Old answers.
pub static ADAPTER_STALE: Definition = Definition::counter(
    "keda_adapter_stale_answers_total",
    &["namespace"],
    "Answers from the last good sample because the operator was away.",
)
.ours();
/// What the API server was asked about callers.
pub static ADAPTER_REVIEWS: Definition = Definition::counter(
    "keda_adapter_reviews_total",
    &["review", "outcome"],
    "TokenReviews and SubjectAccessReviews sent to the API server, by outcome (allowed, denied, error).",
)
.ours();
/// How long its certificates are valid.
pub static ADAPTER_CERTIFICATE_END: Definition = Definition::gauge(
    "keda_adapter_certificate_not_after_timestamp_seconds",
    &["certificate"],
    "End of the validity of the certificate in use, in seconds since 1970.",
)
.ours();
/// Whether newer ones are there that cannot be used.
pub static ADAPTER_CERTIFICATE_STUCK: Definition = Definition::gauge(
    "keda_adapter_certificate_stuck",
    &["certificate"],
    "Whether the newest content of the certificate's files cannot be used (1), or not (0).",
)
.ours();

/// Of the metrics API server, without what it shares with the others.
pub const ADAPTER: &[&Definition] = &[
    &BUILD_INFO,
    &ADAPTER_REQUESTS,
    &ADAPTER_SECONDS,
    &ADAPTER_CONNECTED,
    &ADAPTER_AGE,
    &ADAPTER_STALE,
    &ADAPTER_REVIEWS,
    &ADAPTER_CERTIFICATE_END,
    &ADAPTER_CERTIFICATE_STUCK,
];
