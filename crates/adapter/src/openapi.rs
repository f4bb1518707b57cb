//! OpenAPI of the group, for `kubectl explain externalmetrics` and clients that generate code.
//!
//! The shapes are `k8s.io/metrics/pkg/apis/external_metrics/v1beta1/types.go`; names of schemas are as Kubernetes' generator makes them.

use keda_api::external_metrics::{API_VERSION, GROUP};
use serde_json::{Value, json};

const VALUE: &str = "io.k8s.metrics.pkg.apis.external_metrics.v1beta1.ExternalMetricValue";
const LIST: &str = "io.k8s.metrics.pkg.apis.external_metrics.v1beta1.ExternalMetricValueList";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";

/// The document of `/openapi/v2`: without paths, as only its definitions are looked at.
pub(crate) fn v2() -> Value {
    json!({
        "swagger": "2.0",
        "info": info(),
        "paths": {format!("/apis/{API_VERSION}/"): {"get": {
            "description": "get available resources",
            "operationId": "getExternalMetricsV1beta1APIResources",
            "produces": ["application/json"],
            "responses": {"200": {"description": "OK"}},
        }}},
        "definitions": schemas("#/definitions/"),
    })
}

/// The index of `/openapi/v3`.
pub(crate) fn v3_index() -> Value {
    json!({"paths": {
        format!("apis/{API_VERSION}"): {"serverRelativeURL": format!("/openapi/v3/apis/{API_VERSION}")},
    }})
}

/// The document of the group's version.
pub(crate) fn v3() -> Value {
    let parameter = |name: &str, of: &str, place: &str, text: &str| {
        json!({
            "name": name, "in": place, "required": place == "path", "description": text,
            "schema": {"type": of, "uniqueItems": true},
        })
    };
    let namespace = parameter("namespace", "string", "path", "namespace of the ScaledObject");
    let metric = parameter(
        "metric",
        "string",
        "path",
        "name of the metric, as in the ScaledObject's status.externalMetricNames",
    );
    let selector =
        parameter("labelSelector", "string", "query", "scaledobject.keda.sh/name=NAME: the ScaledObject");
    let path = |last: &str| format!("/apis/{API_VERSION}/namespaces/{{namespace}}/{last}");
    let list = |operation: &str| {
        json!({
            "description": "values of one metric of one ScaledObject",
            "operationId": operation,
            "x-kubernetes-action": "list",
            "x-kubernetes-group-version-kind": kind("ExternalMetricValueList"),
            "responses": {"200": {"description": "OK", "content": {
                "application/json": {"schema": reference("#/components/schemas/", LIST)},
            }}},
        })
    };
    json!({
        "openapi": "3.0.0",
        "info": info(),
        "paths": {
            format!("/apis/{API_VERSION}/"): {"get": {
                "description": "get available resources",
                "operationId": "getExternalMetricsV1beta1APIResources",
                "responses": {"200": {"description": "OK"}},
            }},
            // What discovery lists in place of the metrics: `kubectl explain externalmetrics` looks for it here.
            path("externalmetrics"): {
                "get": list("listExternalMetricsV1beta1NamespacedExternalMetrics"),
                "parameters": [namespace, selector],
            },
            path("{metric}"): {
                "get": list("listExternalMetricsV1beta1NamespacedExternalMetric"),
                "parameters": [namespace, metric, selector],
            },
        },
        "components": {"schemas": schemas("#/components/schemas/")},
    })
}

fn info() -> Value {
    json!({"title": "keda-adapter", "version": "1.0.0"})
}

fn kind(name: &str) -> Value {
    json!({"group": GROUP, "kind": name, "version": "v1beta1"})
}

fn reference(root: &str, name: &str) -> Value {
    json!({"$ref": format!("{root}{name}")})
}

fn schemas(root: &str) -> Value {
    let described = |name: &str, text: &str| json!({"allOf": [reference(root, name)], "description": text});
    let text = |description: &str| json!({"type": "string", "description": description});
    let strings = |description: &str| json!({"type": "object", "description": description, "additionalProperties": {"type": "string"}});
    json!({
        LIST: {
            "type": "object",
            "description": "Values of one external metric. KEDA answers with one value for a metric of a ScaledObject.",
            "required": ["items"],
            "properties": {
                "apiVersion": text("Version of the schema, external.metrics.k8s.io/v1beta1."),
                "kind": text("ExternalMetricValueList."),
                "metadata": described(LIST_META, "Metadata of lists, empty here."),
                "items": {
                    "type": "array",
                    "description": "The values.",
                    "items": reference(root, VALUE),
                },
            },
            "x-kubernetes-group-version-kind": [kind("ExternalMetricValueList")],
        },
        VALUE: {
            "type": "object",
            "description": "One value of an external metric.",
            "required": ["metricName", "metricLabels", "timestamp", "value"],
            "properties": {
                "apiVersion": text("Version of the schema, external.metrics.k8s.io/v1beta1."),
                "kind": text("ExternalMetricValue."),
                "metricName": text("Name of the metric: s, the index of the trigger, and what the trigger calls it."),
                "metricLabels": strings("Labels that tell values of one metric apart; KEDA sets none."),
                "timestamp": described(TIME, "When the value was taken."),
                "window": {"type": "integer", "format": "int64", "description": "Seconds over which the value was taken; absent for a moment."},
                "value": described(QUANTITY, "The value."),
            },
            "x-kubernetes-group-version-kind": [kind("ExternalMetricValue")],
        },
        LIST_META: {
            "type": "object",
            "description": "Metadata that every list has.",
            "properties": {
                "continue": text("Where the next part of a long list begins."),
                "remainingItemCount": {"type": "integer", "format": "int64", "description": "How many items come after this part."},
                "resourceVersion": text("Version of the list, for watches."),
                "selfLink": text("No longer set by Kubernetes."),
            },
        },
        QUANTITY: text("A number with an optional suffix: 1500m is 1.5, 2k is 2000."),
        TIME: {"type": "string", "format": "date-time", "description": "A moment, as RFC 3339 has it."},
    })
}
