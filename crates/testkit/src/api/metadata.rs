//! Object metadata: what clients may set, what only the server sets, and what is well-formed.
//!
//! Sources: `k8s.io/apimachinery/pkg/api/validation/objectmeta.go`, `.../pkg/util/validation/validation.go`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use crate::{
    names::{dns_label, dns_subdomain, label_value, qualified_name},
    refusal::Refusal,
    resource::Resource,
    schema::FieldError,
    store::Store,
};

/// Checks the types of metadata and drops what is no part of it.
pub(super) fn decode(object: &mut Value) -> Result<(), Refusal> {
    let metadata = object["metadata"].take();
    let metadata = if metadata.is_null() { json!({}) } else { metadata };
    let typed: ObjectMeta = serde_json::from_value(metadata)
        .map_err(|error| Refusal::bad_request(format!("the object's metadata is malformed: {error}")))?;
    let mut metadata = serde_json::to_value(typed).unwrap_or_default();
    if let Some(members) = metadata.as_object_mut() {
        // Field ownership is not tracked here, and selfLink is history.
        members.remove("managedFields");
        members.remove("selfLink");
        members.retain(|_, value| !is_empty(value));
    }
    object["metadata"] = metadata;
    Ok(())
}

/// The API server leaves empty maps and lists of metadata out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Metadata of a new object: what the server owns is set or cleared.
pub(super) fn initialize(object: &mut Value, store: &mut Store, now: Timestamp) {
    let uid = store.new_uid();
    let Some(members) = object["metadata"].as_object_mut() else { return };
    for name in ["deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "generation"] {
        members.remove(name);
    }
    if !members.contains_key("name")
        && let Some(prefix) = members.get("generateName").and_then(Value::as_str)
    {
        // 63 characters at most, as a label value can hold.
        let prefix: String = prefix.chars().take(58).collect();
        members.insert("name".to_owned(), json!(format!("{prefix}{}", store.new_suffix())));
    }
    members.insert("uid".to_owned(), json!(uid));
    members.insert("creationTimestamp".to_owned(), json!(format!("{now:.0}")));
}

/// Metadata of a changed object: what the server owns stays as it was.
pub(super) fn keep(object: &mut Value, old: &Value) {
    let Some(members) = object["metadata"].as_object_mut() else { return };
    for name in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "generateName",
        "resourceVersion",
    ] {
        match old["metadata"].get(name) {
            Some(value) => members.insert(name.to_owned(), value.clone()),
            None => members.remove(name),
        };
    }
}

/// Faults of an object's metadata; `old` is given for changes.
pub(super) fn validate(resource: &Resource, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    let mut faults = Vec::new();
    if name.is_empty() {
        faults.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else if resource.group() == "rbac.authorization.k8s.io" {
        for character in ['/', '%'].into_iter().filter(|character| name.contains(*character)) {
            faults.push(FieldError::invalid("metadata.name", name, format!("may not contain '{character}'")));
        }
    } else if resource.kind == "Namespace" {
        faults.extend(dns_label(name).map(|detail| FieldError::invalid("metadata.name", name, detail)));
    } else {
        faults.extend(dns_subdomain(name).map(|detail| FieldError::invalid("metadata.name", name, detail)));
    }
    validate_labels(&metadata["labels"], &mut faults);
    validate_annotations(&metadata["annotations"], &mut faults);
    validate_owners(&metadata["ownerReferences"], &mut faults);
    if let Some(old) = old.filter(|old| old["metadata"]["deletionTimestamp"].is_string()) {
        let known = old["metadata"]["finalizers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let added = metadata["finalizers"].as_array().into_iter().flatten();
        let added: Vec<&str> =
            added.filter(|finalizer| !known.contains(finalizer)).filter_map(Value::as_str).collect();
        if !added.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
            );
            faults.push(FieldError::forbidden("metadata.finalizers", detail));
        }
    }
    faults
}

fn validate_labels(labels: &Value, faults: &mut Vec<FieldError>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        faults.extend(
            qualified_name(key).map(|detail| FieldError::invalid("metadata.labels", key.as_str(), detail)),
        );
        let text = value.as_str().unwrap_or_default();
        faults.extend(label_value(text).map(|detail| FieldError::invalid("metadata.labels", text, detail)));
    }
}

fn validate_annotations(annotations: &Value, faults: &mut Vec<FieldError>) {
    const LIMIT: usize = 256 * 1024;
    let empty = Map::new();
    let annotations = annotations.as_object().unwrap_or(&empty);
    for key in annotations.keys() {
        faults.extend(
            qualified_name(&key.to_lowercase())
                .map(|detail| FieldError::invalid("metadata.annotations", key.as_str(), detail)),
        );
    }
    let size: usize =
        annotations.iter().map(|(key, value)| key.len() + value.as_str().unwrap_or_default().len()).sum();
    if size > LIMIT {
        faults.push(FieldError::too_long("metadata.annotations", LIMIT));
    }
}

fn validate_owners(owners: &Value, faults: &mut Vec<FieldError>) {
    let owners = owners.as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, owner) in owners.iter().enumerate() {
        for member in ["apiVersion", "kind", "name", "uid"] {
            if owner[member].as_str().is_none_or(str::is_empty) {
                let path = format!("metadata.ownerReferences[{index}].{member}");
                faults.push(FieldError::required(path, "must not be empty"));
            }
        }
    }
    if owners.iter().filter(|owner| owner["controller"] == true).count() > 1 {
        let detail = "Only one reference can have Controller set to true";
        faults.push(FieldError::invalid("metadata.ownerReferences", Value::from(owners), detail));
    }
}

/// What a client should hear about finalizers that it adds to custom resources.
pub(super) fn finalizer_warnings(object: &Value, old: Option<&Value>) -> Vec<String> {
    let finalizers = |object: &Value| -> Vec<String> {
        let finalizers = object["metadata"]["finalizers"].as_array().into_iter().flatten();
        finalizers.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let known = old.map(finalizers).unwrap_or_default();
    let unqualified = |name: &String| !name.contains('/') && !known.contains(name);
    let warning = |name: String| {
        format!(
            "metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers"
        )
    };
    finalizers(object).into_iter().filter(unqualified).map(warning).collect()
}
