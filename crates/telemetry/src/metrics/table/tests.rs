//! The table against what upstream's source says, and against itself.

use std::collections::BTreeSet;

use super::*;

fn all() -> impl Iterator<Item = &'static Definition> {
    PROCESSES.iter().flat_map(|process| process.families).flat_map(|families| families.iter()).copied()
}

/// platform.md 5.1 and 5.2: name, type, labels.
const UPSTREAM: &[(&str, &str, &str)] = &[
    ("keda_build_info", "gauge", "version,git_commit,goversion,goos,goarch"),
    ("keda_scaler_active", "gauge", L),
    ("keda_scaler_metrics_value", "gauge", L),
    ("keda_scaler_metrics_latency_seconds", "gauge", L),
    ("keda_scaler_detail_errors_total", "counter", L),
    (
        "keda_scaler_empty_upstream_responses_total",
        "counter",
        "namespace,scaledResource,triggerName,metricName,resourceType,ignoreNullValues",
    ),
    ("keda_scaled_object_errors_total", "counter", "namespace,scaledObject"),
    ("keda_scaled_object_paused", "gauge", "namespace,scaledObject"),
    ("keda_scaled_job_errors_total", "counter", "namespace,scaledJob"),
    ("keda_trigger_registered_total", "gauge", "type"),
    ("keda_resource_registered_total", "gauge", "type,namespace"),
    ("keda_internal_scale_loop_latency_seconds", "gauge", "namespace,type,resource"),
    ("keda_cloudeventsource_events_emitted_total", "counter", "namespace,cloudeventsource,eventsink,state"),
    ("keda_cloudeventsource_events_queued", "gauge", "namespace"),
    ("keda_scaler_http_requests_total", "counter", HTTP),
    ("keda_scaler_http_request_duration_seconds", "histogram", "scaler,status_code"),
    ("keda_scaler_http_request_duration_seconds", "histogram", HTTP),
    ("keda_internal_metricsservice_grpc_server_started_total", "counter", METHOD),
    ("keda_internal_metricsservice_grpc_server_handled_total", "counter", HANDLED),
    ("keda_internal_metricsservice_grpc_server_msg_received_total", "counter", METHOD),
    ("keda_internal_metricsservice_grpc_server_msg_sent_total", "counter", METHOD),
    ("keda_internal_metricsservice_grpc_server_handling_seconds", "histogram", METHOD),
    ("keda_internal_metricsservice_grpc_client_started_total", "counter", METHOD),
    ("keda_internal_metricsservice_grpc_client_handled_total", "counter", HANDLED),
    ("keda_internal_metricsservice_grpc_client_msg_received_total", "counter", METHOD),
    ("keda_internal_metricsservice_grpc_client_msg_sent_total", "counter", METHOD),
    ("keda_internal_metricsservice_grpc_client_handling_seconds", "histogram", METHOD),
    ("keda_webhook_scaled_object_validations_total", "counter", "namespace,action"),
    ("keda_webhook_scaled_object_validation_errors_total", "counter", "namespace,action,reason"),
];
const L: &str = "namespace,metric,scaledObject,scaler,triggerIndex,type";
const HTTP: &str = "namespace,scaled_resource,scaler,trigger_name,metric_name,status_code";
const METHOD: &str = "grpc_type,grpc_service,grpc_method";
const HANDLED: &str = "grpc_type,grpc_service,grpc_method,grpc_code";

#[test]
fn upstreams_families_are_here_with_its_types_and_labels_and_no_other_is_called_upstreams() {
    let described =
        |definition: &Definition| (definition.name, definition.type_name(), definition.labels.join(","));
    let here: BTreeSet<_> = all()
        .filter(|definition| definition.origin == Origin::Upstream && definition.name.starts_with("keda_"))
        .map(described)
        .collect();
    let there = UPSTREAM.iter().map(|(name, kind, labels)| (*name, *kind, (*labels).to_owned())).collect();
    assert_eq!(here, there);
}

/// platform.md 5.3, and the kinds of `pkg/metricscollector/opentelemetry.go`.
#[test]
fn upstreams_instruments_are_here_with_its_kinds_and_attributes() {
    let scaler = "namespace,scaledObject|scaledJob,scaler,scalerIndex|triggerIndex,metric";
    let resource = "namespace,type";
    let http = "namespace,scaled_resource,scaler,trigger_name,metric_name,status_code";
    let there: BTreeSet<(&str, &str, &str, String)> = [
        ("keda.build.info", "gauge, int", "", "version,git_commit,goversion,goos,goarch"),
        ("keda.scaler.active", "gauge, float", "", scaler),
        ("keda.scaler.metrics.value", "gauge, float", "", scaler),
        ("keda.scaler.metrics.latency.seconds", "gauge, float", "s", scaler),
        ("keda.scaler.metrics.latency", "gauge, float", "", scaler),
        ("keda.internal.scale.loop.latency.seconds", "gauge, float", "s", "namespace,type,name"),
        ("keda.internal.scale.loop.latency", "gauge, float", "", "namespace,type,name"),
        ("keda.scaled.object.paused", "gauge, float", "", "namespace,scaledObject"),
        ("keda.scaler.errors", "counter", "", scaler),
        ("keda.scaledobject.errors", "counter", "", "namespace,scaledObject"),
        ("keda.scaledjob.errors", "counter", "", "namespace,scaledJob"),
        (
            "keda.scaler.empty.upstream.responses",
            "counter",
            "",
            "namespace,scaledResource,triggerName,metricName,isScaledObject?,ignoreNullValues?",
        ),
        ("keda.trigger.registered.count", "up-down counter", "", "type"),
        ("keda.trigger.totals", "up-down counter", "", "type"),
        ("keda.resource.registered.count", "up-down counter", "", resource),
        ("keda.resource.totals", "up-down counter", "", resource),
        (
            "keda.cloudeventsource.events.emitted.count",
            "counter",
            "",
            "namespace,cloudEventSource,eventsink,state",
        ),
        ("keda.cloudeventsource.events.queued", "gauge, float", "", "namespace"),
        ("keda.scaler.http.requests.count", "counter", "", http),
        ("keda.scaler.http.request.duration.seconds", "histogram", "s", http),
    ]
    .map(|(name, kind, unit, attributes)| (name, kind, unit, attributes.to_owned()))
    .into();
    let attribute = |attribute: &Attribute| match *attribute {
        Attribute::Label(name) | Attribute::Renamed(_, name) => name.to_owned(),
        Attribute::ByType(_, object, job) if object == job => object.to_owned(),
        Attribute::ByType(_, object, job) => format!("{object}|{job}"),
        Attribute::Is(_, name, _) => format!("{name}?"),
    };
    let here: BTreeSet<_> = all()
        .flat_map(|definition| definition.instruments)
        .map(|it| {
            let attributes: Vec<String> = it.attributes.iter().map(attribute).collect();
            (it.name, it.points.describe(), it.unit, attributes.join(","))
        })
        .collect();
    assert_eq!(here, there);
}

#[test]
fn attributes_come_from_labels() {
    for definition in all() {
        for instrument in definition.instruments {
            for attribute in instrument.attributes {
                let (Attribute::Label(label)
                | Attribute::Renamed(label, _)
                | Attribute::ByType(label, ..)
                | Attribute::Is(label, ..)) = *attribute;
                let short = definition.name == HTTP_DURATION.name;
                assert!(definition.labels.contains(&label) || short, "{}: {label}", instrument.name);
            }
        }
    }
}

#[test]
fn what_goes_with_an_object_names_it() {
    for definition in all().filter(|definition| matches!(definition.life, Life::Triggers | Life::Object)) {
        assert!(definition.labels.contains(&"namespace"), "{}", definition.name);
    }
}
