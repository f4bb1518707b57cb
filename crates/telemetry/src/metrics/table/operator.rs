//! The operator's families: upstream's of `pkg/metricscollector/{prommetrics,opentelemetry}.go`, controller-runtime's, and ours.

use super::{Attribute as A, Definition, Instrument, Life, Points};

const TRIGGER: &[&str] = &["namespace", "metric", "scaledObject", "scaler", "triggerIndex", "type"];
const OBJECT: &[&str] = &["namespace", "scaledObject"];
const JOB: &[&str] = &["namespace", "scaledJob"];
const HTTP: &[&str] =
    &["namespace", "scaled_resource", "scaler", "trigger_name", "metric_name", "status_code"];
const BUILD: &[&str] = &["version", "git_commit", "goversion", "goos", "goarch"];
const CONTROLLER: &[&str] = &["controller"];
const HTTP_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// controller-runtime's (`pkg/internal/controller/metrics/metrics.go`).
const RECONCILE_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25,
    1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0,
    50.0, 60.0,
];

const TRIGGER_ATTRIBUTES: &[A] = &[
    A::Label("namespace"),
    A::ByType("scaledObject", "scaledObject", "scaledJob"),
    A::Label("scaler"),
    A::ByType("triggerIndex", "scalerIndex", "triggerIndex"),
    A::Label("metric"),
];
const OBJECT_ATTRIBUTES: &[A] = &[A::Label("namespace"), A::Label("scaledObject")];
const JOB_ATTRIBUTES: &[A] = &[A::Label("namespace"), A::Label("scaledJob")];
const LOOP_ATTRIBUTES: &[A] = &[A::Label("namespace"), A::Label("type"), A::Renamed("resource", "name")];
const TYPE_ATTRIBUTES: &[A] = &[A::Label("type")];
const RESOURCE_ATTRIBUTES: &[A] = &[A::Label("namespace"), A::Label("type")];
const HTTP_ATTRIBUTES: &[A] = &[
    A::Label("namespace"),
    A::Label("scaled_resource"),
    A::Label("scaler"),
    A::Label("trigger_name"),
    A::Label("metric_name"),
    A::Label("status_code"),
];

/// What was built.
pub static BUILD_INFO: Definition = Definition::gauge(
    "keda_build_info",
    BUILD,
    "Info metric, with static information about KEDA build like: version, git commit and Golang runtime info.",
)
.pushed(&[Instrument::new(
    Points::WholeGauge,
    "keda.build.info",
    &[
        A::Label("version"),
        A::Label("git_commit"),
        A::Label("goversion"),
        A::Label("goos"),
        A::Label("goarch"),
    ],
    "A constant 1, labelled by what KEDA was built from.",
)]);

/// Whether a trigger's metric is active.
pub static SCALER_ACTIVE: Definition =
    Definition::gauge("keda_scaler_active", TRIGGER, "Indicates whether a scaler is active (1), or not (0).")
        .until(Life::Triggers)
        .pushed(&[Instrument::new(
            Points::Gauge,
            "keda.scaler.active",
            TRIGGER_ATTRIBUTES,
            "Indicates whether a scaler is active (1), or not (0)",
        )]);

/// A trigger's value.
pub static SCALER_VALUE: Definition = Definition::gauge(
    "keda_scaler_metrics_value",
    TRIGGER,
    "The current value for each scaler's metric that would be used by the HPA in computing the target average.",
)
.until(Life::Triggers)
.pushed(&[Instrument::new(
    Points::Gauge,
    "keda.scaler.metrics.value",
    TRIGGER_ATTRIBUTES,
    "The current value for each scaler's metric that would be used by the HPA in computing the target average",
)]);

/// How long a trigger's last fetch took.
pub static SCALER_LATENCY: Definition = Definition::gauge(
    "keda_scaler_metrics_latency_seconds",
    TRIGGER,
    "The latency of retrieving current metric from each scaler, in seconds.",
)
.until(Life::Triggers)
.pushed(&[
    Instrument::new(
        Points::Gauge,
        "keda.scaler.metrics.latency.seconds",
        TRIGGER_ATTRIBUTES,
        "The latency of retrieving current metric from each scaler",
    )
    .seconds(),
    Instrument::new(
        Points::Milliseconds,
        "keda.scaler.metrics.latency",
        TRIGGER_ATTRIBUTES,
        "DEPRECATED - use `keda.scaler.metrics.latency.seconds` instead",
    )
    .deprecated(),
]);

/// Failures of a trigger.
pub static SCALER_ERRORS: Definition = Definition::counter(
    "keda_scaler_detail_errors_total",
    TRIGGER,
    "The total number of errors encountered for each scaler.",
)
.until(Life::Triggers)
.pushed(&[Instrument::new(
    Points::Counter,
    "keda.scaler.errors",
    TRIGGER_ATTRIBUTES,
    "Number of scaler errors",
)]);

/// Failures of a trigger by what kind they are.
pub static SCALER_ERRORS_BY_CODE: Definition = Definition::counter(
    "keda_scaler_errors_by_code_total",
    &["namespace", "scaledObject", "scaler", "triggerIndex", "type", "kind", "code"],
    "Errors of each scaler by kind, and by the code of its page in docs/errors where it has one.",
)
.ours()
.until(Life::Triggers);

/// Answers without a number.
pub static EMPTY_RESPONSES: Definition = Definition::counter(
    "keda_scaler_empty_upstream_responses_total",
    &["namespace", "scaledResource", "triggerName", "metricName", "resourceType", "ignoreNullValues"],
    "Number of times a query returns an empty result",
)
.until(Life::Triggers)
.pushed(&[Instrument::new(
    Points::Counter,
    "keda.scaler.empty.upstream.responses",
    &[
        A::Label("namespace"),
        A::Label("scaledResource"),
        A::Label("triggerName"),
        A::Label("metricName"),
        A::Is("resourceType", "isScaledObject", "ScaledObject"),
        A::Is("ignoreNullValues", "ignoreNullValues", "true"),
    ],
    "Number of times a query returns an empty result",
)]);

/// Errors of a ScaledObject.
pub static OBJECT_ERRORS: Definition = Definition::counter(
    "keda_scaled_object_errors_total",
    OBJECT,
    "The number of errors that have occurred for each ScaledObject.",
)
.until(Life::Object)
.pushed(&[Instrument::new(
    Points::Counter,
    "keda.scaledobject.errors",
    OBJECT_ATTRIBUTES,
    "Number of scaled object errors",
)]);

/// Whether a ScaledObject is paused.
pub static OBJECT_PAUSED: Definition = Definition::gauge(
    "keda_scaled_object_paused",
    OBJECT,
    "Indicates whether a ScaledObject is paused (1), or not (0).",
)
.until(Life::Object)
.pushed(&[Instrument::new(
    Points::Gauge,
    "keda.scaled.object.paused",
    OBJECT_ATTRIBUTES,
    "Indicates whether a ScaledObject is paused",
)]);

/// Errors of a ScaledJob.
pub static JOB_ERRORS: Definition =
    Definition::counter("keda_scaled_job_errors_total", JOB, "Number of scaled job errors")
        .until(Life::Object)
        .pushed(&[Instrument::new(
            Points::Counter,
            "keda.scaledjob.errors",
            JOB_ATTRIBUTES,
            "Number of scaled job errors",
        )]);

/// Triggers in use.
pub static TRIGGERS: Definition = Definition::gauge(
    "keda_trigger_registered_total",
    &["type"],
    "Total number of triggers per trigger type registered.",
)
.pushed(&[
    Instrument::new(
        Points::UpDownCounter,
        "keda.trigger.registered.count",
        TYPE_ATTRIBUTES,
        "Total number of triggers per trigger type registered",
    ),
    Instrument::new(
        Points::UpDownCounter,
        "keda.trigger.totals",
        TYPE_ATTRIBUTES,
        "DEPRECATED - use 'keda.trigger.registered.count' instead",
    )
    .deprecated(),
]);

/// KEDA's objects.
pub static RESOURCES: Definition = Definition::gauge(
    "keda_resource_registered_total",
    &["type", "namespace"],
    "Total number of KEDA custom resources per namespace for each custom resource type (CRD) registered.",
)
.pushed(&[
    Instrument::new(
        Points::UpDownCounter,
        "keda.resource.registered.count",
        RESOURCE_ATTRIBUTES,
        "Total number of KEDA custom resources per namespace for each custom resource type (CRD) registered",
    ),
    Instrument::new(
        Points::UpDownCounter,
        "keda.resource.totals",
        RESOURCE_ATTRIBUTES,
        "DEPRECATED - use 'keda.resource.registered.count' instead",
    )
    .deprecated(),
]);

/// How late polls are.
pub static LOOP_LATENCY: Definition = Definition::gauge(
    "keda_internal_scale_loop_latency_seconds",
    &["namespace", "type", "resource"],
    "Total deviation (in seconds) between the expected execution time and the actual execution time for the scaling loop.",
)
.until(Life::Object)
.pushed(&[
    Instrument::new(
        Points::Gauge,
        "keda.internal.scale.loop.latency.seconds",
        LOOP_ATTRIBUTES,
        "Internal latency of ScaledObject/ScaledJob loop execution",
    )
    .seconds(),
    Instrument::new(
        Points::Milliseconds,
        "keda.internal.scale.loop.latency",
        LOOP_ATTRIBUTES,
        "DEPRECATED - use `keda.internal.scale.loop.latency.seconds` instead",
    )
    .deprecated(),
]);

/// CloudEvents that were sent, or could not be.
pub static CLOUD_EVENTS: Definition = Definition::counter(
    "keda_cloudeventsource_events_emitted_total",
    &["namespace", "cloudeventsource", "eventsink", "state"],
    "CloudEvents by the namespace and name of their CloudEventSource, their sink, and whether they were emitted or failed.",
)
.until(Life::Object)
.pushed(&[Instrument::new(
    Points::Counter,
    "keda.cloudeventsource.events.emitted.count",
    &[
        A::Label("namespace"),
        A::Renamed("cloudeventsource", "cloudEventSource"),
        A::Label("eventsink"),
        A::Label("state"),
    ],
    "CloudEvents by the namespace and name of their CloudEventSource, their sink, and whether they were emitted or failed.",
)]);

/// CloudEvents that wait.
pub static CLOUD_EVENTS_QUEUED: Definition = Definition::gauge(
    "keda_cloudeventsource_events_queued",
    &["namespace"],
    "Indicates how many events are still queue",
)
.until(Life::Object)
.pushed(&[Instrument::new(
    Points::Gauge,
    "keda.cloudeventsource.events.queued",
    &[A::Label("namespace")],
    "Indicates how many events are still queue",
)]);

/// HTTP requests of triggers.
pub static HTTP_REQUESTS: Definition = Definition::counter(
    "keda_scaler_http_requests_total",
    HTTP,
    "Total number of outbound HTTP requests issued during scaler metric collection.",
)
.until(Life::Triggers)
.pushed(&[Instrument::new(
    Points::Counter,
    "keda.scaler.http.requests.count",
    HTTP_ATTRIBUTES,
    "Total number of outbound HTTP requests issued during scaler metric collection, labeled by HTTP status code.",
)]);

const HTTP_HELP: &str =
    "Duration in seconds of outbound HTTP requests issued during scaler metric collection.";
const HTTP_DURATIONS: &[Instrument] = &[Instrument::new(
    Points::Histogram,
    "keda.scaler.http.request.duration.seconds",
    HTTP_ATTRIBUTES,
    HTTP_HELP,
)
.seconds()];

/// How long they take.
pub static HTTP_DURATION: Definition = Definition::histogram(
    "keda_scaler_http_request_duration_seconds",
    &["scaler", "status_code"],
    HTTP_BUCKETS,
    HTTP_HELP,
)
.pushed(HTTP_DURATIONS);

/// The same under `--enable-high-cardinality-metrics-labels`.
pub static HTTP_DURATION_LONG: Definition =
    Definition::histogram("keda_scaler_http_request_duration_seconds", HTTP, HTTP_BUCKETS, HTTP_HELP)
        .until(Life::Triggers)
        .pushed(HTTP_DURATIONS);

/// Whether this process leads.
pub static LEADER: Definition = Definition::gauge(
    "leader_election_master_status",
    &["name"],
    "Whether this process is the leader (1), or not (0), of the lease.",
);

/// Reconciles, by outcome.
pub static RECONCILES: Definition = Definition::counter(
    "controller_runtime_reconcile_total",
    &["controller", "result"],
    "Total number of reconciliations per controller",
);

/// Reconciles that failed.
pub static RECONCILE_ERRORS: Definition = Definition::counter(
    "controller_runtime_reconcile_errors_total",
    CONTROLLER,
    "Total number of reconciliation errors per controller",
);

/// Reconciles that panicked.
pub static RECONCILE_PANICS: Definition = Definition::counter(
    "controller_runtime_reconcile_panics_total",
    CONTROLLER,
    "Total number of reconciliation panics per controller",
);

/// How long reconciles take.
pub static RECONCILE_SECONDS: Definition = Definition::histogram(
    "controller_runtime_reconcile_time_seconds",
    CONTROLLER,
    RECONCILE_BUCKETS,
    "Length of time per reconciliation per controller",
);

/// How many reconciles are under way.
pub static RECONCILES_ACTIVE: Definition = Definition::gauge(
    "controller_runtime_active_workers",
    CONTROLLER,
    "Number of currently used workers per controller",
);

/// How many may be.
pub static RECONCILES_AT_ONCE: Definition = Definition::gauge(
    "controller_runtime_max_concurrent_reconciles",
    CONTROLLER,
    "Maximum number of concurrent reconciles per controller",
);

/// Tokens for sources.
pub static TOKENS: Definition = Definition::counter(
    "keda_tokens_given_total",
    &["provider"],
    "Access tokens that triggers were given, most of them held already.",
)
.ours();

/// Requests for tokens.
pub static TOKEN_REQUESTS: Definition = Definition::counter(
    "keda_token_requests_total",
    &["provider"],
    "Requests for access tokens to login hosts.",
)
.ours();

/// Of the operator, without what it shares with the others.
pub const OPERATOR: &[&Definition] = &[
    &BUILD_INFO,
    &SCALER_ACTIVE,
    &SCALER_VALUE,
    &SCALER_LATENCY,
    &SCALER_ERRORS,
    &EMPTY_RESPONSES,
    &OBJECT_ERRORS,
    &OBJECT_PAUSED,
    &JOB_ERRORS,
    &TRIGGERS,
    &RESOURCES,
    &LOOP_LATENCY,
    &CLOUD_EVENTS,
    &CLOUD_EVENTS_QUEUED,
    &HTTP_REQUESTS,
    &HTTP_DURATION,
    &HTTP_DURATION_LONG,
    &LEADER,
    &RECONCILES,
    &RECONCILE_ERRORS,
    &RECONCILE_PANICS,
    &RECONCILE_SECONDS,
    &RECONCILES_ACTIVE,
    &RECONCILES_AT_ONCE,
    &SCALER_ERRORS_BY_CODE,
    &TOKENS,
    &TOKEN_REQUESTS,
];
