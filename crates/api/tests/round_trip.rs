//! Every object that a definition admits is read and written back as it was: nothing gained, nothing lost.
//!
//! The objects are made from the schemas: one with every member, one with the required members only, one for every word of
//! every enum. Upstream's schemas are used too, where they are beside the workspace.

#![expect(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::path::Path;

use keda_api::{
    CloudEventSource, ClusterCloudEventSource, ClusterTriggerAuthentication, ScaledJob, ScaledObject,
    TriggerAuthentication,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Which members an object gets, and which word of an enum (counted anew in each enum).
#[derive(Clone, Copy)]
struct Choice {
    optional: bool,
    word: usize,
}

/// A value that the schema admits.
fn value(schema: &Value, choice: Choice) -> Value {
    if let Some(words) = schema["enum"].as_array() {
        return words[choice.word % words.len()].clone();
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return "100m".into();
    }
    match schema["type"].as_str() {
        Some("string") if schema["format"] == "date-time" => "2026-11-24T12:00:00Z".into(),
        Some("string") => "text".into(),
        Some("integer") => schema["minimum"].as_f64().map_or(7, |minimum| minimum as i64).into(),
        Some("boolean") => false.into(),
        Some("array") if choice.optional => {
            json!([value(&schema["items"], choice), value(&schema["items"], choice)])
        }
        Some("array") => json!([value(&schema["items"], choice)]),
        Some("object") => object(schema, choice),
        other => panic!("a schema without a type that is known here: {other:?}"),
    }
}

fn object(schema: &Value, choice: Choice) -> Value {
    let required =
        |name: &String| schema["required"].as_array().is_some_and(|names| names.contains(&json!(name)));
    let mut members: Map<String, Value> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| choice.optional || required(name))
        .map(|(name, schema)| match name.as_str() {
            // Free text in the schema; one of three words in the type.
            "status" if schema["type"] == "string" => (name.clone(), "True".into()),
            _ => (name.clone(), value(schema, choice)),
        })
        .collect();
    if choice.optional && schema["additionalProperties"].is_object() {
        members.insert("key".into(), value(&schema["additionalProperties"], choice));
    }
    if choice.optional && schema["x-kubernetes-preserve-unknown-fields"] == true {
        members.insert("ofLaterKubernetes".into(), json!({ "kept": [1, null, "text"] }));
    }
    members.into()
}

/// The same value, read as a `K` and written again.
fn again<K: DeserializeOwned + Serialize>(value: Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<K>(value)?)
}

fn again_by_kind(kind: &str, value: Value) -> Result<Value, serde_json::Error> {
    match kind {
        "ScaledObject" => again::<ScaledObject>(value),
        "ScaledJob" => again::<ScaledJob>(value),
        "TriggerAuthentication" => again::<TriggerAuthentication>(value),
        "ClusterTriggerAuthentication" => again::<ClusterTriggerAuthentication>(value),
        "CloudEventSource" => again::<CloudEventSource>(value),
        "ClusterCloudEventSource" => again::<ClusterCloudEventSource>(value),
        other => panic!("a kind that is not known here: {other}"),
    }
}

fn check(definition: &Value) {
    let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
    let version = &definition["spec"]["versions"][0];
    let group = definition["spec"]["group"].as_str().unwrap();
    let schema = &version["schema"]["openAPIV3Schema"];
    let words = (0..20).map(|word| Choice { optional: true, word });
    for choice in words.chain([Choice { optional: false, word: 0 }]) {
        let mut object = value(schema, choice);
        object["apiVersion"] = format!("{group}/{}", version["name"].as_str().unwrap()).into();
        object["kind"] = kind.into();
        object["metadata"] = json!({ "name": "name", "generation": 1 });
        if object["spec"].is_null() {
            // Upstream admits a ScaledJob without a spec; see docs/differences.md.
            object["spec"] = value(&schema["properties"]["spec"], choice);
        }
        assert_eq!(again_by_kind(kind, object.clone()).unwrap(), object, "{kind}");
    }
}

#[test]
fn what_our_definitions_admit() {
    for definition in keda_api::crds::all() {
        check(&serde_json::to_value(definition).unwrap());
    }
}

#[test]
fn what_upstream_definitions_admit() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/upstream/crds");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return println!("skipped: upstream's definitions are not here: {}", folder.display());
    };
    for entry in entries {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        check(&serde_saphyr::from_str(&text).unwrap());
    }
}

/// What upstream's operator leaves behind when it writes a whole object: empty members, empty texts (core.md section 12,
/// row 3).
#[test]
fn empty_members_stay() {
    let object = json!({
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": { "name": "name" },
        "spec": {
            "scaleTargetRef": { "name": "app", "kind": "" },
            "advanced": { "scalingModifiers": {}, "horizontalPodAutoscalerConfig": { "behavior": {} } },
            "triggers": [{ "type": "cron", "metadata": {}, "name": "" }],
        },
        "status": { "conditions": [], "health": {}, "authenticationsTypes": "" },
    });
    assert_eq!(again::<ScaledObject>(object.clone()).unwrap(), object);
}

/// Words from another version of a definition make no object unreadable, and stay.
#[test]
fn unknown_words_stay() {
    let object = json!({
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "TriggerAuthentication",
        "metadata": { "name": "name" },
        "spec": { "podIdentity": { "provider": "azure" } },
    });
    assert_eq!(again::<TriggerAuthentication>(object.clone()).unwrap(), object);
}
