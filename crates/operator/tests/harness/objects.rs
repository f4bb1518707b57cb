//! Objects as users write them, for tests in Rust and for the shorthands of scenarios.

use serde_json::{Value, json};

/// A Deployment.
pub(crate) fn deployment(name: &str, replicas: i32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": name, "image": name }] },
            },
        },
    })
}

/// A ScaledObject on the Deployment of its name: polled every 30 s, a cooldown of 60 s, at most 10 replicas.
pub(crate) fn scaled_object(name: &str, triggers: &[Value]) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "scaleTargetRef": { "name": name },
            "pollingInterval": 30, "cooldownPeriod": 60, "maxReplicaCount": 10,
            "triggers": triggers,
        },
    })
}

/// A ScaledJob: polled every 30 s, at most 10 Jobs.
pub(crate) fn scaled_job(name: &str, triggers: &[Value]) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob",
        "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "jobTargetRef": { "template": { "spec": { "containers": [{ "name": "work", "image": "work" }] } } },
            "pollingInterval": 30, "maxReplicaCount": 10,
            "triggers": triggers,
        },
    })
}

/// A trigger on a query, ten a replica.
pub(crate) fn prometheus(query: &str) -> Value {
    json!({
        "type": "prometheus",
        "metadata": { "serverAddress": "http://prometheus:9090", "query": query, "threshold": "10" },
    })
}
