//! A thousand objects on one Azure identity: what it costs.

use std::time::Duration;

use keda_auth::azure::fake::{CLIENT, TENANT};
use serde_json::{Value, json};

use crate::harness::{Setup, World, deployment};

const OBJECTS: usize = 1000;

fn manifests() -> Vec<Value> {
    let annotations = json!({
        "azure.workload.identity/client-id": CLIENT,
        "azure.workload.identity/tenant-id": TENANT,
    });
    let mut all = vec![
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "keda" } }),
        json!({ "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": { "name": "keda-operator", "namespace": "keda", "annotations": annotations } }),
        json!({ "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": { "name": "workspace", "namespace": "default" },
            "spec": { "podIdentity": { "provider": "azure-workload" } } }),
    ];
    for index in 0..OBJECTS {
        let mut target = deployment(&format!("web-{index}"), 1);
        target["metadata"]["namespace"] = json!("default");
        all.push(target);
        all.push(json!({ "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": { "name": format!("web-{index}"), "namespace": "default" },
            "spec": {
                "scaleTargetRef": { "name": format!("web-{index}") },
                "minReplicaCount": 1,
                "pollingInterval": 900,
                "triggers": [{
                    "type": "prometheus",
                    "metadata": {
                        "serverAddress": "https://shop.westeurope.prometheus.monitor.azure.com",
                        "query": format!("load{}", index % 10), "threshold": "100",
                    },
                    "authenticationRef": { "name": "workspace" },
                }],
            } }));
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_thousand_triggers_on_one_identity_share_one_token_8152() {
    let mut world = World::new(Setup { hpa: None, rollout: false, observe: false, ..Setup::default() });
    let azure = world.source.azure().clone();
    azure.federate_as(
        CLIENT,
        "https://kubernetes.default.svc",
        "system:serviceaccount:keda:keda-operator",
        "api://AzureADTokenExchange",
    );
    azure.grant(CLIENT);
    for index in 0..10 {
        world.source.set(&format!("load{index}"), 50.0);
    }
    world.start_operator().await;
    for manifest in manifests() {
        world.server.seed(&manifest).expect("is created");
    }
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    let asked = azure.token_requests().len();
    assert!((2..=4).contains(&asked), "{asked} token requests in two hours");
    let presented = world.source.asked();
    assert!(presented.len() > OBJECTS, "{} queries", presented.len());
    assert!(presented.iter().all(|query| query.headers.contains_key("authorization")));
    world.finish().await;
}
