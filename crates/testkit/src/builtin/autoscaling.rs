//! HorizontalPodAutoscalers (autoscaling/v2): defaults and the checks that an operator's mistakes meet.
//!
//! Sources: `pkg/apis/autoscaling/v2/defaults.go` and `pkg/apis/autoscaling/validation/validation.go` of Kubernetes.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use keda_api::Quantity;
use serde_json::{Value, json};

use super::{age, at, computed, of, path_column, resource, set_default, text};
use crate::{
    resource::{Builtin, Resource},
    schema::FieldError,
};

static AUTOSCALER: Builtin = Builtin {
    decode,
    default,
    validate: |object, _| validate(object),
    initial_status: Some(|| json!({"desiredReplicas": 0, "currentMetrics": null})),
    ..of::<HorizontalPodAutoscaler>()
};

pub(super) fn resources() -> Vec<Resource> {
    vec![
        resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", &AUTOSCALER)
            .short(&["hpa"])
            .in_all()
            .with_status()
            .with_generation()
            .columns(vec![
                computed("Reference", |object| {
                    let target = at(object, "spec.scaleTargetRef");
                    json!(format!("{}/{}", text(target, "kind"), text(target, "name")))
                }),
                computed("Targets", targets),
                path_column("MinPods", "string", ".spec.minReplicas"),
                path_column("MaxPods", "integer", ".spec.maxReplicas"),
                path_column("Replicas", "integer", ".status.currentReplicas"),
                age(),
            ]),
    ]
}

/// Types, and the form of quantities, which k8s-openapi leaves open.
fn decode(body: Value) -> Result<Value, serde_json::Error> {
    const TYPES: Builtin = of::<HorizontalPodAutoscaler>();
    let object = (TYPES.decode)(body)?;
    let metrics = at(&object, "spec.metrics").as_array().into_iter().flatten();
    let targets = metrics.flat_map(|metric| SOURCES.iter().map(|source| &metric[source]["target"]));
    let quantities =
        targets.flat_map(|target| QUANTITIES.iter().filter_map(|member| target[member].as_str()));
    for quantity in quantities {
        quantity.parse::<Quantity>().map_err(|_| {
            let text =
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
            <serde_json::Error as serde::de::Error>::custom(text)
        })?;
    }
    Ok(object)
}

/// Where a metric's target may be, and which of its members are quantities.
const SOURCES: [&str; 5] = ["external", "object", "pods", "resource", "containerResource"];
const QUANTITIES: [&str; 2] = ["value", "averageValue"];

fn default(object: &mut Value) {
    set_default(object, "spec.minReplicas", 1);
    if at(object, "spec.metrics").as_array().is_none_or(Vec::is_empty) {
        object["spec"]["metrics"] = json!([{"type": "Resource", "resource":
            {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]);
    }
    for metric in object["spec"]["metrics"].as_array_mut().into_iter().flatten() {
        for source in SOURCES {
            for member in QUANTITIES {
                let place = metric.pointer_mut(&format!("/{source}/target/{member}"));
                place.into_iter().for_each(keep_quantity);
            }
        }
    }
    if at(object, "spec.behavior").is_object() {
        default_rules(
            &mut object["spec"]["behavior"]["scaleUp"],
            Some(0),
            &json!([{"type": "Pods", "value": 4, "periodSeconds": 15},
                {"type": "Percent", "value": 100, "periodSeconds": 15}]),
        );
        default_rules(
            &mut object["spec"]["behavior"]["scaleDown"],
            None,
            &json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]),
        );
    }
}

fn default_rules(rules: &mut Value, window: Option<i64>, policies: &Value) {
    set_default(rules, "selectPolicy", "Max");
    if let Some(window) = window {
        set_default(rules, "stabilizationWindowSeconds", window);
    }
    if at(rules, "policies").as_array().is_none_or(Vec::is_empty) {
        rules["policies"] = policies.clone();
    }
    rules.get_mut("tolerance").into_iter().for_each(keep_quantity);
}

/// Quantities come back as Kubernetes keeps them.
fn keep_quantity(value: &mut Value) {
    if let Value::String(written) = value
        && let Ok(kept) = Quantity::kept_text(written)
    {
        *written = kept;
    }
}

fn validate(object: &Value) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let min = at(object, "spec.minReplicas").as_i64().unwrap_or(1);
    let max = at(object, "spec.maxReplicas").as_i64().unwrap_or(0);
    if min < 1 {
        faults.push(FieldError::invalid("spec.minReplicas", min, "must be greater than or equal to 1"));
    }
    if max < min {
        let detail = "must be greater than or equal to `minReplicas`";
        faults.push(FieldError::invalid("spec.maxReplicas", max, detail));
    }
    if max == 0 {
        faults.push(FieldError::required("spec.maxReplicas", ""));
    }
    for member in ["kind", "name"] {
        if text(at(object, "spec.scaleTargetRef"), member).is_empty() {
            faults.push(FieldError::required(format!("spec.scaleTargetRef.{member}"), ""));
        }
    }
    let api_version = text(object, "spec.scaleTargetRef.apiVersion");
    if !api_version.contains('/') && text(object, "spec.scaleTargetRef.kind") != "ReplicationController" {
        let detail = "apiVersion must specify API group";
        faults.push(FieldError::invalid("spec.scaleTargetRef.apiVersion", api_version, detail));
    }
    for (index, metric) in at(object, "spec.metrics").as_array().into_iter().flatten().enumerate() {
        validate_metric(&format!("spec.metrics[{index}]"), metric, &mut faults);
    }
    for direction in ["scaleUp", "scaleDown"] {
        let rules = &at(object, "spec.behavior")[direction];
        if rules.is_object() {
            validate_rules(&format!("spec.behavior.{direction}"), rules, &mut faults);
        }
    }
    faults
}

fn validate_metric(path: &str, metric: &Value, faults: &mut Vec<FieldError>) {
    let kind = text(metric, "type");
    let member = match kind {
        "External" => "external",
        "Object" => "object",
        "Pods" => "pods",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        "" => {
            faults.push(FieldError::required(format!("{path}.type"), "must specify a metric source type"));
            return;
        }
        other => {
            let known = ["ContainerResource", "External", "Object", "Pods", "Resource"].map(Value::from);
            faults.push(FieldError::not_supported(format!("{path}.type"), other.into(), &known));
            return;
        }
    };
    let source = &metric[member];
    if !source.is_object() {
        let detail = "must populate information for the given metric source";
        faults.push(FieldError::required(format!("{path}.{member}"), detail));
        return;
    }
    let path = format!("{path}.{member}");
    if member == "external" {
        validate_name(&format!("{path}.metric.name"), text(source, "metric.name"), faults);
        let target = &source["target"];
        match (target["value"].is_null(), target["averageValue"].is_null()) {
            (true, true) => faults.push(FieldError::required(
                format!("{path}.target.averageValue"),
                "must set either a target value for metric or a per-pod target",
            )),
            (false, false) => faults.push(FieldError::forbidden(
                format!("{path}.target.value"),
                "may not set both a target value for metric and a per-pod target",
            )),
            _ => {}
        }
    }
    for name in ["value", "averageValue"] {
        let value = &source["target"][name];
        let Some(written) = value.as_str() else { continue };
        if written.parse::<Quantity>().is_ok_and(|quantity| quantity.milli() <= 0) {
            faults.push(FieldError::invalid(
                format!("{path}.target.{name}"),
                value.clone(),
                "must be positive",
            ));
        }
    }
}

/// A metric's name is a segment of the metrics API's path.
fn validate_name(path: &str, name: &str, faults: &mut Vec<FieldError>) {
    if name.is_empty() {
        faults.push(FieldError::required(path, "must specify a metric name"));
    } else if name == "." || name == ".." {
        faults.push(FieldError::invalid(path, name, format!("may not be '{name}'")));
    } else {
        for character in ['/', '%'].into_iter().filter(|character| name.contains(*character)) {
            faults.push(FieldError::invalid(path, name, format!("may not contain '{character}'")));
        }
    }
}

fn validate_rules(path: &str, rules: &Value, faults: &mut Vec<FieldError>) {
    if let Some(window) = at(rules, "stabilizationWindowSeconds").as_i64() {
        let path = format!("{path}.stabilizationWindowSeconds");
        if window < 0 {
            faults.push(FieldError::invalid(path, window, "must be greater than or equal to zero"));
        } else if window > 3600 {
            faults.push(FieldError::invalid(path, window, "must be less than or equal to 3600"));
        }
    }
    let choices = ["Disabled", "Max", "Min"].map(Value::from);
    if !choices.contains(&rules["selectPolicy"]) {
        let path = format!("{path}.selectPolicy");
        faults.push(FieldError::not_supported(path, rules["selectPolicy"].clone(), &choices));
    }
    for (index, policy) in at(rules, "policies").as_array().into_iter().flatten().enumerate() {
        let path = format!("{path}.policies[{index}]");
        let kinds = ["Percent", "Pods"].map(Value::from);
        if !kinds.contains(&policy["type"]) {
            faults.push(FieldError::not_supported(format!("{path}.type"), policy["type"].clone(), &kinds));
        }
        for (member, most) in [("value", i64::MAX), ("periodSeconds", 1800)] {
            let number = policy[member].as_i64().unwrap_or(0);
            let path = format!("{path}.{member}");
            if number <= 0 {
                faults.push(FieldError::invalid(path, number, "must be greater than zero"));
            } else if number > most {
                faults.push(FieldError::invalid(
                    path,
                    number,
                    format!("must be less than or equal to {most}"),
                ));
            }
        }
    }
}

/// `value/target`, one a metric, as kubectl shows it.
fn targets(object: &Value) -> Value {
    let metrics = at(object, "spec.metrics").as_array().into_iter().flatten();
    let shown: Vec<String> = metrics
        .enumerate()
        .map(|(index, metric)| {
            let member = if metric["type"] == "External" { "external" } else { "resource" };
            let current = &at(object, "status.currentMetrics")[index][member]["current"];
            let target = &metric[member]["target"];
            let (name, suffix) = if target["averageValue"].is_string() {
                ("averageValue", " (avg)")
            } else if target["value"].is_string() {
                ("value", "")
            } else {
                ("averageUtilization", "%")
            };
            let show = |value: &Value| match value {
                Value::Null => "<unknown>".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            format!("{}/{}{suffix}", show(&current[name]), show(&target[name]))
        })
        .collect();
    json!(shown.join(", "))
}
