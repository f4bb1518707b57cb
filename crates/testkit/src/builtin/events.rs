//! Events, in both of their groups, and Leases.
//!
//! v1 and events.k8s.io/v1 Events are one and the same object under two names for most fields. The table holds the
//! v1 form. The newer API is strict: required fields, `action` of at most 128 and `note` of at most 1024 bytes; a
//! client that sends more loses its event, so this matters. Source: `pkg/apis/core/validation/events.go` of Kubernetes.

use k8s_openapi::api::{coordination::v1::Lease, core::v1 as core, events::v1 as events};
use serde_json::{Value, json};

use super::{age, at, column, computed, immutable, of, path_cell, path_column, resource, set_default, text};
use crate::{
    names::qualified_name,
    resource::{Builtin, Cell, Conversion, GroupResource, Resource},
    schema::FieldError,
};

/// Names in v1 and in events.k8s.io/v1.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

static CORE_EVENT: Builtin = Builtin {
    default: |object| {
        complete(object, ["source", "firstTimestamp", "lastTimestamp"]);
        set_default(object, "reportingComponent", "");
        set_default(object, "reportingInstance", "");
    },
    validate: |object, _| {
        let mut faults: Vec<FieldError> =
            namespace_fault(object, "involvedObject", true).into_iter().collect();
        // Events with an eventTime are new-style ones, whatever API they came through.
        if !at(object, "eventTime").is_null() {
            faults.extend(strict(object, "reportingComponent", "message"));
        }
        faults
    },
    create_on_update: true,
    selectable: &[
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ],
    ..of::<core::Event>()
};

static NEW_EVENT: Builtin = Builtin {
    default: |object| {
        complete(object, ["deprecatedSource", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"]);
    },
    validate: |object, old| match old {
        None => {
            let mut faults: Vec<FieldError> =
                namespace_fault(object, "regarding", false).into_iter().collect();
            faults.extend(strict(object, "reportingController", "note"));
            faults.extend(create_faults(object));
            faults
        }
        // Only the series of an event may change. Faults name the fields as v1 does.
        Some(old) => [
            ("regarding", "involvedObject"),
            ("reason", "reason"),
            ("note", "message"),
            ("reportingController", "reportingController"),
            ("reportingInstance", "reportingInstance"),
            ("action", "action"),
            ("related", "related"),
            ("type", "type"),
            ("eventTime", "eventTime"),
        ]
        .into_iter()
        .filter_map(|(path, field)| {
            Some(FieldError { path: field.to_owned(), ..immutable(path, object, old)? })
        })
        .collect(),
    },
    convert: Some(Conversion {
        from_stored: |object| rename(object, |(stored, shown)| (stored, shown)),
        to_stored: |object| rename(object, |(stored, shown)| (shown, stored)),
    }),
    create_on_update: true,
    selectable: &[
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "regarding.apiVersion",
        "regarding.resourceVersion",
        "regarding.fieldPath",
        "reason",
        "reportingController",
        "type",
    ],
    ..of::<events::Event>()
};

static LEASE: Builtin = Builtin {
    validate: |object, _| {
        let mut faults = Vec::new();
        if at(object, "spec.leaseDurationSeconds").as_i64().is_some_and(|seconds| seconds <= 0) {
            let value = at(object, "spec.leaseDurationSeconds").clone();
            faults.push(FieldError::invalid("spec.leaseDurationSeconds", value, "must be greater than 0"));
        }
        faults.extend(super::not_negative(object, "spec.leaseTransitions"));
        faults
    },
    unconditional_update: false,
    create_on_update: true,
    ..of::<Lease>()
};

pub(super) fn resources() -> Vec<Resource> {
    let mut new =
        resource("events.k8s.io", "v1", "Event", "events", &NEW_EVENT).short(&["ev"]).columns(vec![
            column("Last Seen", "string", 0, path_cell(".metadata.creationTimestamp", Cell::Age)),
            path_column("Type", "string", ".type"),
            path_column("Reason", "string", ".reason"),
            computed("Object", |object| object_name(&object["regarding"])),
            path_column("Message", "string", ".note"),
        ]);
    new.stored_in = GroupResource::new("", "events");
    vec![
        resource("", "v1", "Event", "events", &CORE_EVENT).short(&["ev"]).columns(vec![
            column("Last Seen", "string", 0, path_cell(".metadata.creationTimestamp", Cell::Age)),
            path_column("Type", "string", ".type"),
            path_column("Reason", "string", ".reason"),
            computed("Object", |object| object_name(&object["involvedObject"])),
            path_column("Message", "string", ".message"),
        ]),
        new,
        resource("coordination.k8s.io", "v1", "Lease", "leases", &LEASE)
            .columns(vec![path_column("Holder", "string", ".spec.holderIdentity"), age()]),
    ]
}

fn object_name(reference: &Value) -> Value {
    json!(format!("{}/{}", text(reference, "kind").to_lowercase(), text(reference, "name")))
}

fn rename(object: &mut Value, direction: fn((&'static str, &'static str)) -> (&'static str, &'static str)) {
    let Some(members) = object.as_object_mut() else { return };
    for (from, to) in NAMES.map(direction) {
        if let Some(value) = members.remove(from) {
            members.insert(to.to_owned(), value);
        }
    }
}

/// Members that the API server writes even where they are empty.
fn complete(object: &mut Value, [source, first, last]: [&str; 3]) {
    if object[source].is_null() {
        object[source] = json!({});
    }
    for time in [first, last, "eventTime"] {
        if object[time].is_null() {
            object[time] = Value::Null;
        }
    }
}

/// Events about cluster-scoped objects live in `default`. In v1, others live where their object does.
fn namespace_fault(event: &Value, object: &str, same: bool) -> Option<FieldError> {
    let namespace = text(event, "metadata.namespace");
    let of_object = text(event, &format!("{object}.namespace"));
    let sound = if of_object.is_empty() { namespace == "default" } else { !same || namespace == of_object };
    (!sound)
        .then(|| FieldError::invalid("involvedObject.namespace", of_object, "does not match event.namespace"))
}

/// What every new-style event must have. `note` is called `message` in faults, as in the API server's.
fn strict(event: &Value, controller: &str, note: &str) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let reporter = text(event, controller);
    if reporter.is_empty() {
        faults.push(FieldError::required(controller, ""));
    }
    faults.extend(qualified_name(reporter).map(|detail| FieldError::invalid(controller, reporter, detail)));
    for (path, field) in [
        ("reportingInstance", "reportingInstance"),
        ("action", "action"),
        ("reason", "reason"),
        (note, "message"),
    ] {
        let value = text(event, path);
        let limit = if field == "message" { 1024 } else { 128 };
        if value.is_empty() && field != "message" {
            faults.push(FieldError::required(field, ""));
        }
        if value.len() > limit {
            faults.push(FieldError::invalid(field, "", format!("can have at most {limit} characters")));
        }
    }
    faults
}

/// What only the creation of an event in the newer API must satisfy.
fn create_faults(event: &Value) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if at(event, "eventTime").is_null() {
        faults.push(FieldError::required("eventTime", ""));
    }
    let kind = text(event, "type");
    if !matches!(kind, "Normal" | "Warning") {
        faults.push(FieldError::invalid("type", "", format!("has invalid value: {kind}")));
    }
    for (path, field) in [
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
        ("deprecatedSource.component", "source"),
    ] {
        if !matches!(at(event, path), Value::Null) && at(event, path) != 0 && at(event, path) != "" {
            faults.push(FieldError::invalid(field, "", "needs to be unset"));
        }
    }
    let series = at(event, "series");
    if series.is_object() {
        if series["count"].as_i64().unwrap_or(0) < 2 {
            faults.push(FieldError::invalid("series.count", "", "should be at least 2"));
        }
        if series["lastObservedTime"].is_null() {
            faults.push(FieldError::required("series.lastObservedTime", ""));
        }
    }
    faults
}
