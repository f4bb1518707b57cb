//! Pod templates and selectors, shared by Pods, Deployments, StatefulSets, ReplicaSets and Jobs.

use serde_json::{Value, json};

use super::{at, immutable, not_negative, set_default, text};
use crate::{schema::FieldError, selector};

/// Defaults of a pod spec at a path (`spec` or `spec.template.spec`).
pub(super) fn default_pod(object: &mut Value, path: &str) {
    for (name, value) in [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("securityContext", json!({})),
    ] {
        set_default(object, &format!("{path}.{name}"), value);
    }
    let pointer = format!("/{}/containers", path.replace('.', "/"));
    for container in object.pointer_mut(&pointer).and_then(Value::as_array_mut).into_iter().flatten() {
        let image = text(container, "image");
        let latest =
            image.ends_with(":latest") || !image.rsplit('/').next().is_some_and(|name| name.contains(':'));
        set_default(container, "imagePullPolicy", if latest { "Always" } else { "IfNotPresent" });
        set_default(container, "resources", json!({}));
        set_default(container, "terminationMessagePath", "/dev/termination-log");
        set_default(container, "terminationMessagePolicy", "File");
    }
}

/// Faults of a pod spec at a path.
pub(super) fn validate_pod(object: &Value, path: &str) -> Vec<FieldError> {
    let containers = at(object, path)["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut faults = Vec::new();
    if containers.is_empty() {
        faults.push(FieldError::required(format!("{path}.containers"), ""));
    }
    for (index, container) in containers.iter().enumerate() {
        for member in ["name", "image"].into_iter().filter(|member| text(container, member).is_empty()) {
            faults.push(FieldError::required(format!("{path}.containers[{index}].{member}"), ""));
        }
    }
    faults
}

/// Faults of a workload with replicas, a selector and a template.
pub(super) fn validate(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut faults: Vec<FieldError> = not_negative(object, "spec.replicas").into_iter().collect();
    let chosen = at(object, "spec.selector");
    let labels = at(object, "spec.template.metadata.labels");
    if chosen.as_object().is_none_or(serde_json::Map::is_empty) {
        faults.push(FieldError::required("spec.selector", ""));
    }
    if !selector::of_object(chosen).is_some_and(|parsed| !parsed.is_empty() && parsed.matches(labels)) {
        let detail = "`selector` does not match template `labels`";
        faults.push(FieldError::invalid("spec.template.metadata.labels", labels.clone(), detail));
    }
    if let Some(old) = old {
        faults.extend(immutable("spec.selector", object, old));
    }
    faults.extend(validate_pod(object, "spec.template.spec"));
    faults
}
