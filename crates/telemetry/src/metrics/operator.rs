//! The operator's metrics: upstream's names, types and labels (`pkg/metricscollector/prommetrics.go`), for what exists so far.
//!
//! One difference: every series of an object goes when the object goes ([`Operator::forget_object`]).

use std::time::Duration;

use super::{Counter, Gauge, Grpc, Histogram, Registry};

const TRIGGER: &[&str] = &["namespace", "metric", "scaledObject", "scaler", "triggerIndex", "type"];
const OBJECT: &[&str] = &["namespace", "scaledObject"];
const HTTP_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const HTTP_SHORT: &[&str] = &["scaler", "status_code"];
const HTTP_LONG: &[&str] =
    &["namespace", "scaled_resource", "scaler", "trigger_name", "metric_name", "status_code"];

/// One metric of one trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trigger<'a> {
    /// Namespace of the object.
    pub namespace: &'a str,
    /// Name of the external metric.
    pub metric: &'a str,
    /// Name of the ScaledObject or ScaledJob.
    pub object: &'a str,
    /// The trigger's name, else upstream's Go type name (`prometheusScaler`).
    pub scaler: &'a str,
    /// Place in the object's list.
    pub index: usize,
    /// Whether the object is a ScaledJob.
    pub job: bool,
}

impl Trigger<'_> {
    fn with<T>(&self, labels: impl FnOnce(&[&str]) -> T) -> T {
        let index = self.index.to_string();
        let kind = if self.job { "scaledjob" } else { "scaledobject" };
        labels(&[self.namespace, self.metric, self.object, self.scaler, &index, kind])
    }
}

/// One HTTP request that a trigger made while it sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpRequest<'a> {
    /// Namespace of the object.
    pub namespace: &'a str,
    /// Name of the ScaledObject or ScaledJob.
    pub scaled_resource: &'a str,
    /// The trigger's type, such as `prometheus`; not the `scaler` of [`Trigger`].
    pub scaler: &'a str,
    /// The trigger's name, or empty.
    pub trigger_name: &'a str,
    /// Name of the external metric.
    pub metric_name: &'a str,
    /// Status of the answer; `None` when there was none.
    pub status: Option<u16>,
}

/// The operator's families. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Operator {
    registry: Registry,
    active: Gauge,
    value: Gauge,
    latency: Gauge,
    errors: Counter,
    empty: Counter,
    object_errors: Counter,
    paused: Gauge,
    triggers: Gauge,
    resources: Gauge,
    loop_latency: Gauge,
    http_requests: Counter,
    http_duration: Histogram,
    http_high_cardinality: bool,
    leader: Gauge,
    grpc: Grpc,
}

impl Operator {
    /// Declares the families. `http_high_cardinality`: the flag `--enable-high-cardinality-metrics-labels`.
    pub fn new(registry: &Registry, http_high_cardinality: bool) -> Self {
        let r = registry;
        Self {
            active: r.gauge("keda_scaler_active", "Indicates whether a scaler is active (1), or not (0).", TRIGGER),
            value: r.gauge(
                "keda_scaler_metrics_value",
                "The current value for each scaler's metric that would be used by the HPA in computing the target average.",
                TRIGGER,
            ),
            latency: r.gauge(
                "keda_scaler_metrics_latency_seconds",
                "The latency of retrieving current metric from each scaler, in seconds.",
                TRIGGER,
            ),
            errors: r.counter(
                "keda_scaler_detail_errors_total",
                "The total number of errors encountered for each scaler.",
                TRIGGER,
            ),
            empty: r.counter(
                "keda_scaler_empty_upstream_responses_total",
                "The number of empty answers of a source, with and without ignoreNullValues.",
                &["namespace", "scaledResource", "triggerName", "metricName", "resourceType", "ignoreNullValues"],
            ),
            object_errors: r.counter(
                "keda_scaled_object_errors_total",
                "The number of errors that occurred for each ScaledObject.",
                OBJECT,
            ),
            paused: r.gauge(
                "keda_scaled_object_paused",
                "Indicates whether a ScaledObject is paused (1), or not (0).",
                OBJECT,
            ),
            triggers: r.gauge(
                "keda_trigger_registered_total",
                "Total number of triggers per trigger type.",
                &["type"],
            ),
            resources: r.gauge(
                "keda_resource_registered_total",
                "Total number of KEDA custom resources per namespace for each type.",
                &["type", "namespace"],
            ),
            loop_latency: r.gauge(
                "keda_internal_scale_loop_latency_seconds",
                "Deviation between the expected and the actual time of a poll, in seconds.",
                &["namespace", "type", "resource"],
            ),
            http_requests: r.counter(
                "keda_scaler_http_requests_total",
                "The number of HTTP requests that scalers made, by status.",
                HTTP_LONG,
            ),
            http_duration: r.histogram(
                "keda_scaler_http_request_duration_seconds",
                "The duration of HTTP requests that scalers made.",
                if http_high_cardinality { HTTP_LONG } else { HTTP_SHORT },
                HTTP_BUCKETS,
            ),
            http_high_cardinality,
            leader: r.gauge(
                "leader_election_master_status",
                "Whether this process is the leader (1), or not (0), of the lease.",
                &["name"],
            ),
            grpc: Grpc::server(r),
            registry: r.clone(),
        }
    }

    /// The registry that the families are in.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The metrics service's calls.
    pub fn grpc(&self) -> &Grpc {
        &self.grpc
    }

    /// `keda_build_info`. `goversion` carries the Rust version here.
    pub fn build_info(&self, version: &str, git_commit: &str, rust_version: &str) {
        build_info(&self.registry, version, git_commit, rust_version);
    }

    /// Whether the trigger's metric is active.
    pub fn active(&self, trigger: &Trigger<'_>, active: bool) {
        trigger.with(|labels| self.active.set(labels, f64::from(active)));
    }

    /// The metric's value after fallback.
    pub fn value(&self, trigger: &Trigger<'_>, value: f64) {
        trigger.with(|labels| self.value.set(labels, value));
    }

    /// How long the last fetch took.
    pub fn latency(&self, trigger: &Trigger<'_>, latency: Duration) {
        trigger.with(|labels| self.latency.set(labels, latency.as_secs_f64()));
    }

    /// The metric could not be had.
    pub fn trigger_failed(&self, trigger: &Trigger<'_>) {
        trigger.with(|labels| self.errors.inc(labels));
    }

    /// The metric could be had: its count of errors is shown, at zero when there were none.
    pub fn trigger_succeeded(&self, trigger: &Trigger<'_>) {
        trigger.with(|labels| self.errors.series(labels));
    }

    /// An empty answer. `resource_type`: `scaledobject` or `scaledjob`.
    pub fn empty_response(
        &self,
        trigger: &Trigger<'_>,
        trigger_name: &str,
        resource_type: &str,
        ignored: bool,
    ) {
        self.empty.inc(&[
            trigger.namespace,
            trigger.object,
            trigger_name,
            trigger.metric,
            resource_type,
            if ignored { "true" } else { "false" },
        ]);
    }

    /// The object met an error.
    pub fn object_failed(&self, namespace: &str, name: &str) {
        self.object_errors.inc(&[namespace, name]);
    }

    /// The object met none: its count of errors is shown, at zero when there were none.
    pub fn object_succeeded(&self, namespace: &str, name: &str) {
        self.object_errors.series(&[namespace, name]);
    }

    /// Whether the object is paused.
    pub fn paused(&self, namespace: &str, name: &str, paused: bool) {
        self.paused.set(&[namespace, name], f64::from(paused));
    }

    /// Triggers of a type were added (positive) or taken away.
    pub fn triggers(&self, trigger_type: &str, change: i32) {
        self.triggers.add(&[trigger_type], f64::from(change));
    }

    /// Resources were added (positive) or taken away. `kind`: `scaled_object`, `scaled_job`, `trigger_authentication`,
    /// `cluster_trigger_authentication` or `cloudevent_source`; those of the cluster count under namespace `default`.
    pub fn resources(&self, kind: &str, namespace: &str, change: i32) {
        let namespace = if namespace.is_empty() { "default" } else { namespace };
        self.resources.add(&[kind, namespace], f64::from(change));
    }

    /// How late a poll was. `kind`: `scaledobject` or `scaledjob`.
    pub fn loop_latency(&self, namespace: &str, kind: &str, name: &str, late: Duration) {
        self.loop_latency.set(&[namespace, kind, name], late.as_secs_f64());
    }

    /// A request to a source has ended.
    pub fn http_request(&self, request: &HttpRequest<'_>, duration: Duration) {
        let status = request.status.map_or_else(|| "error".to_owned(), |status| status.to_string());
        let long = [
            request.namespace,
            request.scaled_resource,
            request.scaler,
            request.trigger_name,
            request.metric_name,
            &status,
        ];
        self.http_requests.inc(&long);
        let short = [request.scaler, status.as_str()];
        let labels: &[&str] = if self.http_high_cardinality { &long } else { &short };
        self.http_duration.observe(labels, duration.as_secs_f64());
    }

    /// Whether this process leads.
    pub fn leader(&self, lease: &str, leads: bool) {
        self.leader.set(&[lease], f64::from(leads));
    }

    /// Drops the series of the object's triggers: they may have other names, numbers and types from here on.
    pub fn forget_triggers(&self, namespace: &str, name: &str) {
        let pairs = [("namespace", namespace), ("scaledObject", name)];
        for gauge in [&self.active, &self.value, &self.latency] {
            gauge.remove(&pairs);
        }
        self.errors.remove(&pairs);
        self.empty.remove(&[("namespace", namespace), ("scaledResource", name)]);
        let pairs = [("namespace", namespace), ("scaled_resource", name)];
        self.http_requests.remove(&pairs);
        // Without the flag it has neither label, and nothing matches.
        self.http_duration.remove(&pairs);
    }

    /// Drops every series of the object.
    pub fn forget_object(&self, namespace: &str, name: &str) {
        self.forget_triggers(namespace, name);
        let pairs = [("namespace", namespace), ("scaledObject", name)];
        self.object_errors.remove(&pairs);
        self.paused.remove(&pairs);
        self.loop_latency.remove(&[("namespace", namespace), ("resource", name)]);
    }
}

pub(super) fn build_info(registry: &Registry, version: &str, git_commit: &str, rust_version: &str) {
    let info = registry.gauge(
        "keda_build_info",
        "Info metric, with static information about KEDA build like: version, git commit and Golang runtime info.",
        &["version", "git_commit", "goversion", "goos", "goarch"],
    );
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    info.set(&[version, git_commit, rust_version, std::env::consts::OS, arch], 1.0);
}
