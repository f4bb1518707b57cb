//! The operator's metrics: what it has to tell, as the families of [`table`].
//!
//! One difference to upstream: every series of an object goes when the object goes ([`Operator::forget_object`],
//! [`Operator::forget_job`], [`Operator::forget_cloud_event_source`]).

use std::time::Duration;

use super::{Counter, Gauge, Grpc, Histogram, Registry, reconciles::Reconciles, table};

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

/// The label `type` of objects.
const SCALED_OBJECT: &str = "scaledobject";
const SCALED_JOB: &str = "scaledjob";

impl Trigger<'_> {
    fn with<T>(&self, labels: impl FnOnce(&[&str]) -> T) -> T {
        let index = self.index.to_string();
        let kind = if self.job { SCALED_JOB } else { SCALED_OBJECT };
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
    errors_by_code: Counter,
    empty: Counter,
    object_errors: Counter,
    paused: Gauge,
    job_errors: Counter,
    triggers: Gauge,
    resources: Gauge,
    loop_latency: Gauge,
    cloud_events: Counter,
    cloud_events_queued: Gauge,
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
        let http_duration =
            if http_high_cardinality { &table::HTTP_DURATION_LONG } else { &table::HTTP_DURATION };
        Self {
            active: r.gauge(&table::SCALER_ACTIVE),
            value: r.gauge(&table::SCALER_VALUE),
            latency: r.gauge(&table::SCALER_LATENCY),
            errors: r.counter(&table::SCALER_ERRORS),
            errors_by_code: r.counter(&table::SCALER_ERRORS_BY_CODE),
            empty: r.counter(&table::EMPTY_RESPONSES),
            object_errors: r.counter(&table::OBJECT_ERRORS),
            paused: r.gauge(&table::OBJECT_PAUSED),
            job_errors: r.counter(&table::JOB_ERRORS),
            triggers: r.gauge(&table::TRIGGERS),
            resources: r.gauge(&table::RESOURCES),
            loop_latency: r.gauge(&table::LOOP_LATENCY),
            cloud_events: r.counter(&table::CLOUD_EVENTS),
            cloud_events_queued: r.gauge(&table::CLOUD_EVENTS_QUEUED),
            http_requests: r.counter(&table::HTTP_REQUESTS),
            http_duration: r.histogram(http_duration),
            http_high_cardinality,
            leader: r.gauge(&table::LEADER),
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

    /// Of what kind the failure was, and its code in the catalogue of errors, or an empty text.
    pub fn trigger_failed_by(&self, trigger: &Trigger<'_>, kind: &str, code: &str) {
        trigger.with(|labels| {
            let [namespace, _, object, scaler, index, of] = labels else { return };
            self.errors_by_code.inc(&[namespace, object, scaler, index, of, kind, code]);
        });
    }

    /// An empty answer. `trigger_name`: the name that the user gave it, or empty.
    pub fn empty_response(&self, trigger: &Trigger<'_>, trigger_name: &str, ignored: bool) {
        let resource_type = kind_name(trigger.job);
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

    /// A ScaledJob met an error.
    pub fn job_failed(&self, namespace: &str, name: &str) {
        self.job_errors.inc(&[namespace, name]);
    }

    /// A ScaledJob met none: its count of errors is shown, at zero when there were none.
    pub fn job_succeeded(&self, namespace: &str, name: &str) {
        self.job_errors.series(&[namespace, name]);
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

    /// A CloudEvent was sent to the sink of a CloudEventSource (`emitted`), or given up.
    pub fn cloud_event(&self, namespace: &str, source: &str, sink: &str, emitted: bool) {
        self.cloud_events.inc(&[namespace, source, sink, if emitted { "emitted" } else { "failed" }]);
    }

    /// How many CloudEvents wait in the queues of a namespace's sources; empty for those of the cluster.
    pub fn cloud_events_queued(&self, namespace: &str, waiting: usize) {
        // Queues are bounded far below 2^52.
        self.cloud_events_queued.set(&[namespace], waiting as f64);
    }

    /// Drops every series of a CloudEventSource.
    pub fn forget_cloud_event_source(&self, namespace: &str, source: &str) {
        self.cloud_events.remove(&[("namespace", namespace), ("cloudeventsource", source)]);
    }

    /// Drops the count of waiting events: the namespace has no source any more.
    pub fn forget_cloud_event_queue(&self, namespace: &str) {
        self.cloud_events_queued.remove(&[("namespace", namespace)]);
    }

    /// The reconciles of one controller, by controller-runtime's name of it: the kind in lower case. `at_once`: how many may run
    /// at the same time.
    pub fn reconciles(&self, controller: &'static str, at_once: usize) -> Reconciles {
        Reconciles::new(&self.registry, controller, at_once)
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

    /// Drops the series of a ScaledObject's triggers: they may have other names, numbers and types from here on.
    pub fn forget_triggers(&self, namespace: &str, name: &str) {
        self.forget_triggers_of(namespace, name, false);
    }

    /// The same of a ScaledJob.
    pub fn forget_job_triggers(&self, namespace: &str, name: &str) {
        self.forget_triggers_of(namespace, name, true);
    }

    fn forget_triggers_of(&self, namespace: &str, name: &str, job: bool) {
        let kind = if job { SCALED_JOB } else { SCALED_OBJECT };
        let pairs = [("namespace", namespace), ("scaledObject", name), ("type", kind)];
        for gauge in [&self.active, &self.value, &self.latency] {
            gauge.remove(&pairs);
        }
        self.errors.remove(&pairs);
        self.errors_by_code.remove(&pairs);
        let kind = ("resourceType", kind_name(job));
        self.empty.remove(&[("namespace", namespace), ("scaledResource", name), kind]);
        // These two do not say which kind it is: an object of the other kind and the same name begins again at zero.
        let pairs = [("namespace", namespace), ("scaled_resource", name)];
        self.http_requests.remove(&pairs);
        // Without the flag it has neither label, and nothing matches.
        self.http_duration.remove(&pairs);
    }

    /// Drops every series of a ScaledObject.
    pub fn forget_object(&self, namespace: &str, name: &str) {
        self.forget_triggers(namespace, name);
        let pairs = [("namespace", namespace), ("scaledObject", name)];
        self.object_errors.remove(&pairs);
        self.paused.remove(&pairs);
        self.loop_latency.remove(&[("namespace", namespace), ("type", SCALED_OBJECT), ("resource", name)]);
    }

    /// Drops every series of a ScaledJob.
    pub fn forget_job(&self, namespace: &str, name: &str) {
        self.forget_job_triggers(namespace, name);
        self.job_errors.remove(&[("namespace", namespace), ("scaledJob", name)]);
        self.loop_latency.remove(&[("namespace", namespace), ("type", SCALED_JOB), ("resource", name)]);
    }
}

/// The kind of an object as manifests spell it.
fn kind_name(job: bool) -> &'static str {
    if job { "ScaledJob" } else { "ScaledObject" }
}

pub(super) fn build_info(registry: &Registry, version: &str, git_commit: &str, rust_version: &str) {
    let info = registry.gauge(&table::BUILD_INFO);
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    info.set(&[version, git_commit, rust_version, std::env::consts::OS, arch], 1.0);
}
