//! The webhooks' families: upstream's two, controller-runtime's of webhooks, and lookups that failed.

use super::{BUILD_INFO, Definition};

const BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const WEBHOOK: &[&str] = &["webhook"];

/// ScaledObjects that were checked.
pub static VALIDATIONS: Definition = Definition::counter(
    "keda_webhook_scaled_object_validations_total",
    &["namespace", "action"],
    "Total number of scaled object validations",
);
/// Rules that refused one.
pub static VALIDATION_ERRORS: Definition = Definition::counter(
    "keda_webhook_scaled_object_validation_errors_total",
    &["namespace", "action", "reason"],
    "Total number of scaled object validating errors",
);
/// Requests.
pub static WEBHOOK_REQUESTS: Definition = Definition::counter(
    "controller_runtime_webhook_requests_total",
    &["webhook", "code"],
    "Total number of admission requests by HTTP status code.",
);
/// How long they took.
pub static WEBHOOK_SECONDS: Definition = Definition::histogram(
    "controller_runtime_webhook_latency_seconds",
    WEBHOOK,
    BUCKETS,
    "Histogram of the latency of processing admission requests",
);
/// Requests under way.
pub static WEBHOOK_IN_FLIGHT: Definition = Definition::gauge(
    "controller_runtime_webhook_requests_in_flight",
    WEBHOOK,
    "Current number of admission requests being served.",
);
/// Lookups that failed.
pub static WEBHOOK_LOOKUPS: Definition = Definition::counter(
    "keda_webhook_lookup_failures_total",
    &[],
    "Objects that were refused because the API server could not be asked about others.",
)
.ours();
/// Certificates that were read.
pub static CERTIFICATE_READS: Definition =
    Definition::counter("certwatcher_read_certificate_total", &[], "Total number of certificate reads.");
/// Certificates that could not be.
pub static CERTIFICATE_READ_ERRORS: Definition = Definition::counter(
    "certwatcher_read_certificate_errors_total",
    &[],
    "Total number of certificate read errors.",
);
/// How long the certificate is valid.
pub static WEBHOOK_CERTIFICATE_END: Definition = Definition::gauge(
    "keda_webhooks_certificate_not_after_timestamp_seconds",
    &[],
    "End of the validity of the certificate in use, in seconds since 1970.",
)
.ours();
/// Whether a newer one is there that cannot be used.
pub static WEBHOOK_CERTIFICATE_STUCK: Definition = Definition::gauge(
    "keda_webhooks_certificate_stuck",
    &[],
    "Whether the newest content of the certificate's files cannot be used (1), or not (0).",
)
.ours();

/// Of the webhooks, without what they share with the others.
pub const WEBHOOKS: &[&Definition] = &[
    &BUILD_INFO,
    &VALIDATIONS,
    &VALIDATION_ERRORS,
    &WEBHOOK_REQUESTS,
    &WEBHOOK_SECONDS,
    &WEBHOOK_IN_FLIGHT,
    &CERTIFICATE_READS,
    &CERTIFICATE_READ_ERRORS,
    &WEBHOOK_LOOKUPS,
    &WEBHOOK_CERTIFICATE_END,
    &WEBHOOK_CERTIFICATE_STUCK,
];
