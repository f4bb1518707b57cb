//! Objects for tests: the least that the API server takes, as JSON, for [`ApiServer::seed`](crate::ApiServer::seed) or a
//! client. Change what a test is about with [`with`].

use serde_json::{Map, Value, json};

/// A Deployment of one container, whose pods carry the label `app=<name>`.
#[must_use]
pub fn deployment(namespace: &str, name: &str, replicas: i32) -> Value {
    workload("Deployment", namespace, name, replicas)
}

/// A StatefulSet of one container, whose pods carry the label `app=<name>`.
#[must_use]
pub fn stateful_set(namespace: &str, name: &str, replicas: i32) -> Value {
    let object = workload("StatefulSet", namespace, name, replicas);
    with(object, json!({"spec": {"serviceName": name}}))
}

fn workload(kind: &str, namespace: &str, name: &str, replicas: i32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "app:1"}]},
            },
        },
    })
}

/// A ScaledObject on a Deployment.
#[must_use]
pub fn scaled_object(
    namespace: &str,
    name: &str,
    target: &str,
    triggers: impl IntoIterator<Item = Value>,
) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"scaleTargetRef": {"name": target}, "triggers": Value::from_iter(triggers)},
    })
}

/// A `prometheus` trigger.
#[must_use]
pub fn prometheus(server_address: &str, query: &str, threshold: &str) -> Value {
    json!({"type": "prometheus",
        "metadata": {"serverAddress": server_address, "query": query, "threshold": threshold}})
}

/// A `cron` trigger.
#[must_use]
pub fn cron(timezone: &str, start: &str, end: &str, desired_replicas: i32) -> Value {
    json!({"type": "cron", "metadata": {"timezone": timezone, "start": start, "end": end,
        "desiredReplicas": desired_replicas.to_string()}})
}

/// A Secret with these texts.
#[must_use]
pub fn secret(namespace: &str, name: &str, texts: &[(&str, &str)]) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": name},
        "stringData": map(texts)})
}

/// A ConfigMap with these texts.
#[must_use]
pub fn config_map(namespace: &str, name: &str, texts: &[(&str, &str)]) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name},
        "data": map(texts)})
}

/// A TriggerAuthentication that reads parameters from keys of one Secret: `(parameter, key)`.
#[must_use]
pub fn trigger_authentication(namespace: &str, name: &str, secret: &str, keys: &[(&str, &str)]) -> Value {
    let references: Vec<Value> = keys
        .iter()
        .map(|(parameter, key)| json!({"parameter": parameter, "name": secret, "key": key}))
        .collect();
    json!({"apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
        "metadata": {"namespace": namespace, "name": name}, "spec": {"secretTargetRef": references}})
}

/// An object with a JSON merge patch on top.
#[must_use]
pub fn with(mut object: Value, change: Value) -> Value {
    crate::patch::merge(&mut object, change);
    object
}

fn map(texts: &[(&str, &str)]) -> Map<String, Value> {
    texts.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiServer;

    #[tokio::test(start_paused = true)]
    async fn the_server_takes_them_all() {
        let server = ApiServer::new();
        server.install_crds(keda_api::crds::all()).unwrap();
        let triggers = [prometheus("http://p", "up", "5"), cron("UTC", "0 8 * * *", "0 18 * * *", 3)];
        let object = scaled_object("shop", "web", "web", triggers);
        for object in [
            deployment("shop", "web", 2),
            stateful_set("shop", "db", 1),
            with(object, json!({"spec": {"minReplicaCount": 1}})),
            secret("shop", "token", &[("key", "value")]),
            config_map("shop", "settings", &[("key", "value")]),
            trigger_authentication("shop", "auth", "token", &[("bearerToken", "key")]),
        ] {
            server.seed(&object).unwrap();
        }
        let stored: keda_api::ScaledObject = server.read("shop", "web").unwrap();
        assert_eq!((stored.spec.min_replica_count, stored.spec.triggers.len()), (Some(1), 2));
    }
}
