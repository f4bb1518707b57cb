//! What the operator looks at, and what it leaves alone.

use std::time::Duration;

use keda_operator::Scope;
use keda_testkit::Verb;
use serde_json::json;

use crate::{
    harness::{OPERATOR, Setup, World, deployment, prometheus, scaled_object},
    replicas,
};

#[tokio::test(start_paused = true)]
async fn other_namespaces_are_left_alone() {
    let namespaces = vec!["default".to_owned(), "second".to_owned()];
    let scope = Scope { namespaces, ..Scope::default() };
    let mut world = World::new(Setup { scope, ..Setup::default() });
    world.start_operator().await;
    world.source.set("load", 5.0);
    for namespace in ["default", "second", "other"] {
        for mut object in [deployment("web", 0), scaled_object("web", &[prometheus("load")])] {
            object["metadata"]["namespace"] = json!(namespace);
            world.server.seed(&object).unwrap();
        }
    }
    world.until(Duration::from_secs(120)).await;
    for namespace in ["default", "second"] {
        let web: k8s_openapi::api::apps::v1::Deployment = world.server.read(namespace, "web").unwrap();
        assert_eq!(web.spec.unwrap().replicas, Some(1), "{namespace}");
    }
    let other: keda_api::ScaledObject = world.server.read("other", "web").unwrap();
    assert_eq!((other.status.is_none(), other.metadata.finalizers), (true, None));
    // With a list of namespaces nothing namespaced is asked for across the cluster.
    let wide = world.server.requests().into_iter().find(|request| {
        let clustered = ["clustertriggerauthentications", "clustercloudeventsources", ""];
        let namespaced = !clustered.contains(&request.resource.as_str());
        request.user == OPERATOR && namespaced && request.namespace.is_empty()
    });
    assert_eq!(wide, None);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn objects_without_the_label_are_left_alone() {
    let scope = Scope { label_selector: Some("team=blue".to_owned()), ..Scope::default() };
    let mut world = World::new(Setup { scope, ..Setup::default() });
    world.start_operator().await;
    world.source.set("load", 5.0);
    for name in ["blue", "green"] {
        let mut object = scaled_object(name, &[prometheus("load")]);
        object["metadata"]["labels"] = json!({ "team": name });
        world.apply(&deployment(name, 0)).await.unwrap();
        world.apply(&object).await.unwrap();
    }
    world.until(Duration::from_secs(120)).await;
    assert_eq!((replicas(&world.server, "blue"), replicas(&world.server, "green")), (1, 0));
    world.finish().await;
}

/// Upstream issues 3668, 4857: who can list Secrets can read all of them.
#[tokio::test(start_paused = true)]
async fn secrets_are_read_by_name_and_never_listed_3668() {
    let mut world = World::new(Setup::default());
    world.start_operator().await;
    world.source.set("load", 5.0);
    for object in [
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "token" }, "stringData": { "token": "read-by-name" } }),
        json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": { "name": "token" },
            "spec": { "secretTargetRef": [{ "parameter": "bearerToken", "name": "token", "key": "token" }] },
        }),
    ] {
        world.apply(&object).await.unwrap();
    }
    let mut trigger = prometheus("load");
    trigger["metadata"]["authModes"] = json!("bearer");
    trigger["authenticationRef"] = json!({ "name": "token" });
    world.apply(&deployment("web", 0)).await.unwrap();
    world.apply(&scaled_object("web", &[trigger])).await.unwrap();
    world.until(Duration::from_secs(600)).await;
    assert_eq!(replicas(&world.server, "web"), 1);
    let reads: Vec<_> = world
        .server
        .requests()
        .into_iter()
        .filter(|request| {
            request.user == OPERATOR && ["secrets", "configmaps"].contains(&request.resource.as_str())
        })
        .collect();
    assert!(reads.iter().all(|read| read.verb == Verb::Get && read.name == "token"), "{reads:?}");
    // Once for the trigger, then one look in twenty seconds, whether it changed.
    assert!((30..=33).contains(&reads.len()), "{} reads in ten minutes", reads.len());
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_cluster_authentication_is_read_from_a_namespace_that_is_not_watched() {
    let scope = Scope {
        namespaces: vec!["default".to_owned()],
        cluster_object_namespace: Some("keda".to_owned()),
        ..Scope::default()
    };
    let mut world = World::new(Setup { scope, ..Setup::default() });
    world.start_operator().await;
    world.source.set("load", 5.0);
    for object in [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "keda" } }),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "token", "namespace": "keda" },
            "stringData": { "token": "secret-of-the-cluster" },
        }),
        json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ClusterTriggerAuthentication", "metadata": { "name": "token" },
            "spec": { "secretTargetRef": [{ "parameter": "bearerToken", "name": "token", "key": "token" }] },
        }),
    ] {
        world.apply(&object).await.unwrap();
    }
    let mut trigger = prometheus("load");
    trigger["metadata"]["authModes"] = json!("bearer");
    trigger["authenticationRef"] = json!({ "name": "token", "kind": "ClusterTriggerAuthentication" });
    world.apply(&deployment("web", 0)).await.unwrap();
    world.apply(&scaled_object("web", &[trigger])).await.unwrap();
    world.until(Duration::from_secs(60)).await;
    assert_eq!(replicas(&world.server, "web"), 1);
    assert_eq!(world.source.asked()[0].headers["authorization"], "Bearer secret-of-the-cluster");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_reads_no_scale_of_what_is_watched() {
    let mut world = World::new(Setup { hpa: None, ..Setup::default() });
    world.start_operator().await;
    world.source.set("load", 0.0);
    world.apply(&deployment("web", 0)).await.unwrap();
    world.apply(&scaled_object("web", &[prometheus("load")])).await.unwrap();
    for minute in 1..=10_u64 {
        world.until(Duration::from_secs(60 * minute)).await;
        let change = json!({ "metadata": { "annotations": { "minute": minute.to_string() } } });
        world.patch("ScaledObject/web", &change).await.unwrap();
    }
    world.until(Duration::from_secs(700)).await;
    let hpa: k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler =
        world.server.read("default", "keda-hpa-web").unwrap();
    assert_eq!(hpa.metadata.annotations.unwrap()["minute"], "10", "each change was reconciled");
    let scales =
        world.server.requests().into_iter().filter(|request| request.resource == "deployments/scale");
    assert_eq!(scales.count(), 0);
    world.finish().await;
}
