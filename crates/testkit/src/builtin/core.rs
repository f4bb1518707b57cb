//! The core group: namespaces, pods, secrets, config maps, services, service accounts.

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, LimitRange, Namespace, Pod, Secret, Service, ServiceAccount},
};
use serde_json::{Value, json};

use super::{age, at, computed, of, path_column, resource, set_default, text, workload};
use crate::{
    resource::{Builtin, Effect, Resource},
    schema::FieldError,
};

static NAMESPACE: Builtin = Builtin {
    default: |object| {
        let name = text(object, "metadata.name").to_owned();
        if !name.is_empty() {
            object["metadata"]["labels"] = with_name_label(&object["metadata"]["labels"], &name);
        }
        set_default(object, "spec.finalizers", json!(["kubernetes"]));
    },
    initial_status: Some(|| json!({"phase": "Active"})),
    selectable: &["status.phase"],
    ..of::<Namespace>()
};

static POD: Builtin = Builtin {
    default: |object| workload::default_pod(object, "spec"),
    validate: |object, _| workload::validate_pod(object, "spec"),
    initial_status: Some(|| json!({"phase": "Pending", "qosClass": "BestEffort"})),
    selectable: &[
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
    ],
    ..of::<Pod>()
};

static SECRET: Builtin = Builtin {
    default: |object| {
        set_default(object, "type", "Opaque");
        merge_string_data(object);
    },
    validate: |object, old| {
        let frozen =
            old.is_some_and(|old| at(old, "immutable") == true && at(old, "data") != at(object, "data"));
        let fault = || FieldError::forbidden("data", "field is immutable when `immutable` is set");
        frozen.then(fault).into_iter().collect()
    },
    selectable: &["type"],
    ..of::<Secret>()
};

static CONFIG_MAP: Builtin = of::<ConfigMap>();

static SERVICE: Builtin = Builtin {
    default: |object| {
        set_default(object, "spec.type", "ClusterIP");
        set_default(object, "spec.sessionAffinity", "None");
        for port in object["spec"]["ports"].as_array_mut().into_iter().flatten() {
            set_default(port, "protocol", "TCP");
            let number = port["port"].clone();
            set_default(port, "targetPort", number);
        }
    },
    initial_status: Some(|| json!({"loadBalancer": {}})),
    ..of::<Service>()
};

static SERVICE_ACCOUNT: Builtin = of::<ServiceAccount>();

static LIMIT_RANGE: Builtin = of::<LimitRange>();

pub(super) fn resources() -> Vec<Resource> {
    let core = |kind, plural, rules| resource("", "v1", kind, plural, rules);
    let mut namespace = core("Namespace", "namespaces", &NAMESPACE)
        .short(&["ns"])
        .cluster_scoped()
        .with_status()
        .columns(vec![path_column("Status", "string", ".status.phase"), age()]);
    namespace.effect = Effect::Namespace;
    vec![
        core("ConfigMap", "configmaps", &CONFIG_MAP)
            .short(&["cm"])
            .columns(vec![computed("Data", |object| count(at(object, "data"))), age()]),
        namespace,
        core("Pod", "pods", &POD).short(&["po"]).in_all().with_status().with_generation().columns(vec![
            computed("Ready", ready_containers),
            path_column("Status", "string", ".status.phase"),
            computed("Restarts", |_| json!("0")),
            age(),
        ]),
        core("Secret", "secrets", &SECRET).columns(vec![
            path_column("Type", "string", ".type"),
            computed("Data", |object| count(at(object, "data"))),
            age(),
        ]),
        core("LimitRange", "limitranges", &LIMIT_RANGE)
            .short(&["limits"])
            .columns(vec![computed("Created At", |object| {
                json!(text(object, "metadata.creationTimestamp"))
            })]),
        core("ServiceAccount", "serviceaccounts", &SERVICE_ACCOUNT).short(&["sa"]).columns(vec![age()]),
        core("Service", "services", &SERVICE).short(&["svc"]).in_all().with_status().columns(vec![
            path_column("Type", "string", ".spec.type"),
            computed("Cluster-IP", |object| json!(or_none(text(object, "spec.clusterIP")))),
            computed("External-IP", |object| json!(or_none(text(object, "spec.externalName")))),
            computed("Port(s)", ports),
            age(),
        ]),
    ]
}

/// The label that the API server puts on every namespace; its key has dots, so no dotted path reaches it.
fn with_name_label(labels: &Value, name: &str) -> Value {
    let mut labels = labels.clone();
    if !labels.is_object() {
        labels = json!({});
    }
    labels["kubernetes.io/metadata.name"] = json!(name);
    labels
}

/// `stringData` is write-only: it ends up in `data`.
fn merge_string_data(object: &mut Value) {
    let Some(members) = object.as_object_mut() else { return };
    let Some(Value::Object(texts)) = members.remove("stringData") else { return };
    for (key, value) in texts {
        let bytes = ByteString(value.as_str().unwrap_or_default().as_bytes().to_vec());
        if let Ok(encoded) = serde_json::to_value(bytes) {
            object["data"][key] = encoded;
        }
    }
}

fn count(members: &Value) -> Value {
    json!(members.as_object().map_or(0, serde_json::Map::len).to_string())
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

fn ready_containers(pod: &Value) -> Value {
    let all = at(pod, "spec.containers").as_array().map_or(0, Vec::len);
    let ready = at(pod, "status.containerStatuses").as_array().into_iter().flatten();
    json!(format!("{}/{all}", ready.filter(|status| status["ready"] == true).count()))
}

fn ports(service: &Value) -> Value {
    let ports = at(service, "spec.ports").as_array().into_iter().flatten();
    let texts: Vec<String> =
        ports.map(|port| format!("{}/{}", port["port"], text(port, "protocol"))).collect();
    json!(or_none(&texts.join(",")))
}
