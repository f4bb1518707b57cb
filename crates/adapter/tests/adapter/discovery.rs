use http::Method;
use serde_json::json;

use crate::stage::Stage;

/// As kube-aggregator and client-go ask: the newest shape first, plain documents last.
#[tokio::test]
async fn aggregated_discovery_has_the_group() {
    let (stage, _operator) = Stage::up().await;
    let caller = stage.through_proxy("system:kube-aggregator").with("X-Remote-Group", "system:masters");
    let shape = |version: &str| {
        format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList")
    };
    let accept = format!("{},{},application/json", shape("v2"), shape("v2beta1"));
    let newest = caller.clone().with("Accept", &accept).get("/apis").await;
    assert_eq!((newest.status, newest.headers["content-type"].to_str().unwrap()), (200, &*shape("v2")));
    let list = newest.json();
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&json!("APIGroupDiscoveryList"), &json!("apidiscovery.k8s.io/v2"))
    );
    assert_eq!(list["items"][0]["metadata"]["name"], "external.metrics.k8s.io");
    assert_eq!(
        list["items"][0]["versions"],
        json!([{"version": "v1beta1", "freshness": "Current", "resources": [{
            "resource": "externalmetrics", "singularResource": "", "scope": "Namespaced", "verbs": ["get"],
            "responseKind": {"group": "external.metrics.k8s.io", "version": "v1beta1", "kind": "ExternalMetricValueList"}}]}])
    );
    let tag = newest.headers["etag"].to_str().unwrap();
    let again = caller.clone().with("Accept", &accept).with("If-None-Match", tag).get("/apis").await;
    assert_eq!((again.status, again.headers["etag"].to_str().unwrap()), (304, tag));

    let older = caller.clone().with("Accept", &shape("v2beta1")).get("/apis").await;
    assert_eq!(older.json()["apiVersion"], "apidiscovery.k8s.io/v2beta1");
    let plain = caller.with("Accept", &format!("application/json,{}", shape("v2"))).get("/apis").await;
    assert_eq!(plain.json()["kind"], "APIGroupList");
}

#[tokio::test]
async fn documents_as_upstreams() {
    let (stage, _operator) = Stage::up().await;
    // As the aggregator asks.
    let caller = stage.through_proxy("system:kube-aggregator").with("X-Remote-Group", "system:masters");
    let group = json!({"name": "external.metrics.k8s.io",
        "versions": [{"groupVersion": "external.metrics.k8s.io/v1beta1", "version": "v1beta1"}],
        "preferredVersion": {"groupVersion": "external.metrics.k8s.io/v1beta1", "version": "v1beta1"}});
    let groups = caller.get("/apis").await;
    assert_eq!(groups.json(), json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]}));
    assert_eq!(groups.headers["content-type"], "application/json");

    let one = caller.get("/apis/external.metrics.k8s.io").await.json();
    assert_eq!((&one["kind"], &one["name"]), (&json!("APIGroup"), &group["name"]));

    let list = caller.get("/apis/external.metrics.k8s.io/v1beta1").await.json();
    assert_eq!(
        list["resources"],
        json!([{"name": "externalmetrics", "singularName": "", "namespaced": true,
            "kind": "ExternalMetricValueList", "verbs": ["get"]}])
    );

    assert!(caller.get("/version").await.json()["gitVersion"].is_string());
    let v2 = caller.get("/openapi/v2").await;
    assert_eq!(v2.json()["info"], json!({"title": "keda-adapter", "version": "1.0.0"}));
    let tag = v2.headers["etag"].to_str().unwrap();
    assert_eq!(caller.clone().with("If-None-Match", tag).get("/openapi/v2").await.status, 304);
    let index = caller.get("/openapi/v3").await.json();
    let url = index["paths"]["apis/external.metrics.k8s.io/v1beta1"]["serverRelativeURL"].as_str().unwrap();
    let v3 = caller.get(url).await.json();
    assert_eq!(v3["openapi"], "3.0.0");
    for (document, at) in [(&v3, "/components/schemas"), (&v2.json(), "/definitions")] {
        let schemas = document.pointer(at).unwrap().as_object().unwrap();
        let kinds: Vec<_> = schemas
            .values()
            .filter_map(|schema| schema["x-kubernetes-group-version-kind"][0]["kind"].as_str())
            .collect();
        assert_eq!(kinds, ["ExternalMetricValue", "ExternalMetricValueList"], "for kubectl explain");
        for reference in document.to_string().split("\"$ref\":\"#").skip(1) {
            let target = reference.split('"').next().unwrap();
            assert!(document.pointer(target).is_some(), "{target} is referred to and is not there");
        }
    }

    assert_eq!(caller.get("/apis/other").await.error().0, 404);
    assert_eq!(caller.get("/").await.error().0, 404);
    assert_eq!(caller.send(Method::DELETE, "/apis").await.error().0, 405);
    assert!(stage.api.access_reviews().is_empty(), "system:masters need no review");
}
