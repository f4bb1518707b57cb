//! cpu and memory triggers need something to be a percentage of, and something that runs (core.md 1.8, platform.md 4.3).

use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use keda_api::{Quantity, ScaleTrigger, ScaledObject};
use keda_core::names;
use serde_json::Value;

use super::{document::Object, files::Files, report::Finding, scaled_object::target};

/// Whether the HPA reads this trigger's metric by itself.
pub(super) fn of_pods(trigger: &ScaleTrigger) -> bool {
    matches!(trigger.r#type.as_str(), "cpu" | "memory")
}

/// What admission would say, for a target whose manifest is among the files.
pub(super) fn check(
    object: &Object,
    typed: &ScaledObject,
    files: &Files,
    objects: &[Object],
) -> Vec<Finding> {
    let gvkr = target(typed);
    let namespace = typed.metadata.namespace.as_deref().unwrap_or_default();
    let name = typed.spec.scale_target_ref.name.as_str();
    let known = gvkr.api_version() == "apps/v1" && matches!(gvkr.kind.as_str(), "Deployment" | "StatefulSet");
    let Some(template) = files.template(&gvkr.kind, namespace, name).filter(|_| known) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (index, trigger) in typed.spec.triggers.iter().enumerate().filter(|(_, trigger)| of_pods(trigger)) {
        let resource = trigger.r#type.as_str();
        let only = trigger.metadata.get("containerName").filter(|name| !name.is_empty());
        let without: Vec<&str> = containers(template)
            .filter(|container| only.is_none_or(|only| container.name == *only))
            .filter(|container| !asks(container, resource))
            .map(|container| container.name.as_str())
            .collect();
        if without.is_empty() || limit_range(objects, namespace, resource) {
            continue;
        }
        let kind = names::gvk(&gvkr);
        findings.push(Finding::error(
            object.line_of(&format!("spec.triggers[{index}]")),
            format!(
                "trigger {index} ({resource}) needs a request or limit of {resource} on every container: {kind} \
                 {namespace}/{name} has none on {}",
                without.join(", ")
            ),
        ));
    }
    if typed.spec.triggers.iter().all(of_pods) && typed.spec.min_replica_count.unwrap_or(0) == 0 {
        findings.push(Finding::error(
            object.line_of("spec.minReplicaCount"),
            "scaling to zero needs a trigger that is not cpu or memory: set minReplicaCount to 1 or more, or add one",
        ));
    }
    findings
}

fn containers(template: &PodTemplateSpec) -> impl Iterator<Item = &Container> {
    template.spec.iter().flat_map(|spec| &spec.containers)
}

fn asks(container: &Container, resource: &str) -> bool {
    let Some(resources) = &container.resources else { return false };
    [&resources.requests, &resources.limits]
        .into_iter()
        .flatten()
        .filter_map(|amounts| amounts.get(resource))
        .any(|amount| positive(&amount.0))
}

/// A default of the namespace for every container.
fn limit_range(objects: &[Object], namespace: &str, resource: &str) -> bool {
    let ranges =
        objects.iter().filter(|object| object.kind() == "LimitRange" && object.namespace() == namespace);
    let mut limits =
        ranges.filter_map(|range| range.value.pointer("/spec/limits").and_then(Value::as_array)).flatten();
    limits.any(|limit| {
        limit["type"] == "Container"
            && ["default", "defaultRequest"].iter().any(|default| match &limit[default][resource] {
                Value::String(amount) => positive(amount),
                Value::Number(amount) => positive(&amount.to_string()),
                _ => false,
            })
    })
}

fn positive(amount: &str) -> bool {
    amount.parse::<Quantity>().is_ok_and(|amount| !amount.is_zero() && !amount.is_negative())
}
