//! The `scale` subresource: autoscaling/v1 Scale in front of a workload.
//!
//! `spec.replicas` of a Scale is left out when it is zero, as the API server's Go types do it: clients must read its
//! absence as zero.

use serde_json::{Value, json};

use super::invalid_subject;
use crate::{
    refusal::{Refusal, Subject},
    resource::Resource,
    schema::FieldError,
    selector,
};

fn find<'a>(object: &'a Value, path: &[String]) -> &'a Value {
    path.iter().fold(object, |value, name| value.get(name).unwrap_or(&Value::Null))
}

/// The Scale of an object; a custom resource that names no replicas has none to read.
pub(super) fn of(resource: &Resource, object: &Value) -> Result<Value, Refusal> {
    let paths = resource.scale.as_ref().ok_or_else(Refusal::no_route)?;
    if find(object, &paths.spec_replicas).is_null() && resource.is_custom() {
        let path = format!(".{}", paths.spec_replicas.join("."));
        return Err(Refusal::internal(&format!("the spec replicas field {path:?} does not exist")));
    }
    or_zero(resource, object)
}

/// The Scale of an object that is about to be written: no replicas are zero.
pub(super) fn or_zero(resource: &Resource, object: &Value) -> Result<Value, Refusal> {
    let paths = resource.scale.as_ref().ok_or_else(Refusal::no_route)?;
    let replicas = find(object, &paths.spec_replicas).as_i64().unwrap_or(0);
    let mut status = json!({"replicas": find(object, &paths.status_replicas).as_i64().unwrap_or(0)});
    let chosen = paths.selector.as_ref().map(|path| find(object, path));
    match chosen {
        Some(Value::String(text)) if !text.is_empty() => status["selector"] = json!(text),
        Some(selector @ Value::Object(_)) => {
            status["selector"] = json!(selector::of_object(selector).unwrap_or_default().text());
        }
        _ => {}
    }
    let mut metadata = json!({});
    for name in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(name) {
            metadata[name] = value.clone();
        }
    }
    let spec = if replicas == 0 { json!({}) } else { json!({"replicas": replicas}) };
    Ok(
        json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}),
    )
}

/// The object with the replicas that a Scale asks for.
pub(super) fn set(resource: &Resource, object: &Value, scale: &Value) -> Result<Value, Refusal> {
    let paths = resource.scale.as_ref().ok_or_else(Refusal::no_route)?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if scale["kind"].as_str().is_some_and(|kind| kind != "Scale") {
        let found = format!("expected kind Scale, but got {}", scale["kind"]);
        return Err(Refusal::bad_request(found));
    }
    let replicas = match &scale["spec"]["replicas"] {
        Value::Null => 0,
        number => number.as_i64().ok_or_else(|| {
            Refusal::bad_request(format!(
                "Scale in version \"v1\" cannot be handled as a Scale: replicas: {number}"
            ))
        })?,
    };
    // Custom resources have their own checks, of their own field.
    if replicas < 0 && !resource.is_custom() {
        let fault = FieldError::invalid("spec.replicas", replicas, "must be greater than or equal to 0");
        let about = Subject { group: "autoscaling", kind: "Scale", ..invalid_subject(resource, name) };
        return Err(Refusal::invalid(about, &[fault]));
    }
    let mut object = object.clone();
    let mut place = &mut object;
    for name in &paths.spec_replicas {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[name];
    }
    *place = json!(replicas);
    Ok(object)
}
