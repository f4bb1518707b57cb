use http::Method;
use serde_json::json;

use crate::stage::Stage;

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

    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    assert_eq!(caller.clone().with("Accept", aggregated).get("/apis").await.status, 406);
    let either = format!("{aggregated},application/json;q=0.9");
    assert_eq!(caller.clone().with("Accept", &either).get("/apis").await.status, 200);

    assert!(caller.get("/version").await.json()["gitVersion"].is_string());
    let v2 = caller.get("/openapi/v2").await;
    assert_eq!(v2.json()["info"], json!({"title": "keda-adapter", "version": "1.0.0"}));
    let tag = v2.headers["etag"].to_str().unwrap();
    assert_eq!(caller.clone().with("If-None-Match", tag).get("/openapi/v2").await.status, 304);
    let index = caller.get("/openapi/v3").await.json();
    let url = index["paths"]["apis/external.metrics.k8s.io/v1beta1"]["serverRelativeURL"].as_str().unwrap();
    assert_eq!(caller.get(url).await.json()["openapi"], "3.0.0");

    assert_eq!(caller.get("/apis/other").await.error().0, 404);
    assert_eq!(caller.get("/").await.error().0, 404);
    assert_eq!(caller.send(Method::DELETE, "/apis").await.error().0, 405);
    assert!(stage.api.access_reviews().is_empty(), "system:masters need no review");
}
