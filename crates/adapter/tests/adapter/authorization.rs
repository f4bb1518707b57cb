use std::time::Duration;

use http::Method;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview};

use crate::{
    operator::Say,
    stage::{Stage, path_of},
};

fn resource(review: &SubjectAccessReview) -> Option<&ResourceAttributes> {
    review.spec.resource_attributes.as_ref()
}

#[tokio::test]
async fn who_may_read_everything_is_asked_about_once() {
    let (stage, _operator) = Stage::up().await;
    for metric in ["a", "b", "c"] {
        stage.script.say(metric, Say::Value("1"));
        assert_eq!(stage.hpa().get(&path_of(metric)).await.value(), "1");
    }
    let reviews = stage.api.access_reviews();
    assert_eq!(reviews.len(), 1, "one question for all metrics");
    let asked = resource(&reviews[0]).unwrap();
    let expected = ResourceAttributes {
        group: Some("external.metrics.k8s.io".to_owned()),
        version: Some("v1beta1".to_owned()),
        resource: Some("*".to_owned()),
        verb: Some("list".to_owned()),
        ..ResourceAttributes::default()
    };
    assert_eq!(asked, &expected);
}

#[tokio::test]
async fn others_are_asked_about_metric_by_metric() {
    let (stage, _operator) = Stage::up().await;
    stage.api.allows(|review| {
        resource(review)
            .is_some_and(|r| r.resource.as_deref() == Some("a") && r.namespace.as_deref() == Some("ns"))
    });
    stage.script.say("a", Say::Value("1"));
    stage.script.say("b", Say::Value("1"));
    let caller = stage.through_proxy("ann");
    for _ in 0..3 {
        assert_eq!(caller.get(&path_of("a")).await.value(), "1");
        let reply = caller.get(&path_of("b")).await;
        let text = "b.external.metrics.k8s.io is forbidden: User \"ann\" cannot list resource \"b\" in API group \"external.metrics.k8s.io\" in the namespace \"ns\": the test says no";
        assert_eq!(reply.error(), (403, text.to_owned()));
        assert_eq!(reply.json()["reason"], "Forbidden");
    }
    assert_eq!(stage.api.access_reviews().len(), 3, "everything, a, b");
    assert_eq!(stage.measured("keda_adapter_reviews_total{review=\"access\",outcome=\"denied\"}"), Some(2.0));
    assert!(stage.script.asked().iter().all(|reference| reference.metric_name == "a"));
}

#[tokio::test]
async fn decisions_expire() {
    let ttl = Duration::from_millis(50);
    let (stage, _operator) = Stage::up_with(|options| {
        options.authorized_cache_ttl = ttl;
        options.unauthorized_cache_ttl = ttl;
    })
    .await;
    stage.script.say("m", Say::Value("1"));
    assert_eq!(stage.hpa().get(&path_of("m")).await.status, 200);
    stage.api.allows(|_| false);
    tokio::time::sleep(ttl * 2).await;
    assert_eq!(stage.hpa().get(&path_of("m")).await.status, 403);
}

#[tokio::test]
async fn verbs_follow_methods_and_paths() {
    let (stage, _operator) = Stage::up().await;
    stage.api.allows(|_| false);
    let caller = stage.through_proxy("ann");
    let verb = || async {
        let spec = stage.api.access_reviews().pop().unwrap().spec;
        spec.resource_attributes
            .map(|r| r.verb.unwrap())
            .or(spec.non_resource_attributes.map(|n| n.verb.unwrap()))
    };
    caller.send(Method::POST, &path_of("m")).await;
    assert_eq!(verb().await.as_deref(), Some("create"));
    caller.get(&format!("{}&watch=1", path_of("m"))).await;
    assert_eq!(verb().await.as_deref(), Some("watch"));
    let reply = caller.get("/metrics").await;
    assert_eq!(
        reply.error(),
        (403, "forbidden: User \"ann\" cannot get path \"/metrics\": the test says no".to_owned())
    );
    assert_eq!(verb().await.as_deref(), Some("get"));
    // Nobody learns what exists.
    assert_eq!(caller.get("/nothing").await.error().0, 403);
}

#[tokio::test]
async fn probes_are_open_and_the_rest_is_not() {
    let (stage, _operator) = Stage::up().await;
    stage.api.allows(|_| false);
    let anybody = stage.anybody();
    for path in ["/healthz", "/livez", "/readyz", "/readyz?verbose"] {
        assert_eq!(anybody.get(path).await.status, 200, "{path}");
    }
    for path in ["/metrics", "/apis", "/healthz/ping", &path_of("m")] {
        assert_eq!(anybody.get(path).await.error().0, 403, "{path}");
    }
    let spec = stage.api.access_reviews().pop().unwrap().spec;
    assert_eq!(spec.user.as_deref(), Some("system:anonymous"));
    assert_eq!(spec.groups.unwrap(), ["system:unauthenticated"]);
}

#[tokio::test]
async fn an_api_server_in_trouble_means_no_answer_and_no_memory() {
    let (stage, _operator) = Stage::up().await;
    stage.script.say("m", Say::Value("1"));
    stage.api.down(true);
    let waits = tokio::spawn({
        let caller = stage.hpa();
        async move { caller.get(&path_of("m")).await.status }
    });
    crate::stage::until("asked", || async { !stage.api.access_reviews().is_empty() }).await;
    stage.api.down(false);
    assert_eq!(waits.await.unwrap(), 200, "asked again until it answers");
}

#[tokio::test]
async fn own_metrics_need_a_right() {
    let (stage, _operator) = Stage::up().await;
    stage.api.allows(|review| {
        review.spec.non_resource_attributes.as_ref().is_some_and(|n| n.path.as_deref() == Some("/metrics"))
    });
    let reply = stage.through_proxy("prometheus").get("/metrics").await;
    assert_eq!(reply.status, 200);
    assert!(reply.text.contains("keda_adapter_operator_connected 1\n"), "{}", reply.text);
    assert!(
        reply.text.contains("keda_adapter_certificate_stuck{certificate=\"serving\"} 0\n"),
        "{}",
        reply.text
    );
}
