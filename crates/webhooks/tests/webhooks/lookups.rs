//! When the API server is away, slow, or says no: never a silent "allowed", never a crash.

use std::time::{Duration, Instant};

use keda_testkit::{Denial, Fault, builders::with};
use serde_json::{Value, json};

use crate::{
    client::review,
    stage::{SCALED_OBJECT, Stage, object, server},
};

fn cpu_on(target: &str) -> Value {
    object(json!({"spec": {"scaleTargetRef": {"name": target}, "minReplicaCount": 1,
        "triggers": [{"type": "cpu", "metadata": {"value": "50"}}]}}))
}

#[tokio::test]
async fn an_answer_from_memory_takes_no_request() {
    let stage = Stage::up().await;
    let mark = stage.api.mark();
    assert!(stage.create(&cpu_on("app")).await.allowed);
    assert!(stage.api.requests_since(mark).is_empty(), "{:?}", stage.api.requests_since(mark));
}

#[tokio::test]
async fn a_lookup_that_fails_refuses_and_says_why() {
    let stage = Stage::up().await;
    stage.api.faults().every(|request| request.resource == "deployments", Fault::Unavailable);
    let began = Instant::now();
    let verdict = stage.create(&cpu_on("missing")).await;
    assert_eq!((verdict.allowed, verdict.code), (false, 503), "{verdict:?}");
    assert!(
        verdict.message.starts_with("cannot check the requests of Deployment shop/missing: its containers: ")
            && verdict.message.ends_with("; try again"),
        "{}",
        verdict.message
    );
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    assert_eq!(stage.measured("keda_webhook_lookup_failures_total"), Some(1.0));
    stage.api.faults().clear();
    // What needs no lookup is judged all the same, and a metadata-only update passes.
    assert!(stage.create(&object(json!({}))).await.allowed);
}

#[tokio::test]
async fn a_lookup_that_may_not_be_made_says_so() {
    let stage = Stage::up().await;
    stage.api.deny(Denial { verb: "get".into(), resource: "deployments".into(), ..Denial::default() });
    let verdict = stage.create(&cpu_on("missing")).await;
    assert_eq!((verdict.code, verdict.reason.as_str()), (403, "Forbidden"));
    assert!(verdict.message.contains("deployments") && verdict.message.contains("forbidden"), "{verdict:?}");
}

#[tokio::test]
async fn the_answer_comes_before_the_api_server_stops_waiting() {
    let stage = Stage::up().await;
    stage
        .api
        .faults()
        .every(|request| request.resource == "deployments", Fault::Timeout(Duration::from_secs(60)));
    let body = serde_json::to_vec(&review("CREATE", &cpu_on("missing"), &Value::Null)).unwrap();
    let request = http::Request::post(format!("{SCALED_OBJECT}?timeout=2s"))
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(http_body_util::Full::new(body.into()))
        .unwrap();
    let began = Instant::now();
    let verdict = stage.client().keep().await.send(request).await.verdict();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((verdict.allowed, verdict.code), (false, 504));
    assert_eq!(
        verdict.message,
        "cannot check ScaledObject shop/web: the API server did not answer in time; try again"
    );
}

#[tokio::test]
async fn before_the_watches_are_in_sync_the_api_server_is_asked() {
    let api = server();
    api.seed(&object(json!({"metadata": {"name": "first", "uid": null}}))).unwrap();
    // Watches list over and over; direct reads of one namespace work.
    api.faults().every(
        |request| request.namespace.is_empty() && request.verb == keda_testkit::Verb::List,
        Fault::Unavailable,
    );
    let stage = Stage::with(api, |_| {}).await;
    assert!(stage.ready.ready().is_err());
    let connected = async || stage.client().connect().await.is_ok();
    while !connected().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let verdict = stage.create(&object(json!({}))).await;
    assert_eq!(
        verdict.message,
        "the workload 'app' of type 'apps/v1.Deployment' is already managed by the ScaledObject 'first'"
    );
    assert!(stage.create(&with(cpu_on("app"), json!({"metadata": {"name": "first"}}))).await.allowed);
    let why = stage.ready.ready().unwrap_err();
    assert!(why.contains("watches: not listed yet: scaledobjects"), "{why}");
}

#[tokio::test]
async fn a_refusal_from_memory_stands_when_it_cannot_be_read_again() {
    let stage = Stage::up().await;
    stage.api.seed(&object(json!({"metadata": {"name": "first", "uid": null}}))).unwrap();
    while stage.create(&object(json!({}))).await.allowed {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stage.api.deny(Denial { verb: "get".into(), resource: "scaledobjects".into(), ..Denial::default() });
    let verdict = stage.create(&object(json!({}))).await;
    assert_eq!(
        verdict.message,
        "the workload 'app' of type 'apps/v1.Deployment' is already managed by the ScaledObject 'first'"
    );
}
