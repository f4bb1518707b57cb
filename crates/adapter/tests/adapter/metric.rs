use http::Method;
use tonic::Code;

use crate::{
    operator::Say,
    stage::{Stage, path_of, prefix},
};

#[tokio::test]
async fn a_value_byte_for_byte() {
    let (stage, _operator) = Stage::up().await;
    stage.script.say("s0-prometheus", Say::Value("2500m"));
    let expected = "{\"kind\":\"ExternalMetricValueList\",\"apiVersion\":\"external.metrics.k8s.io/v1beta1\",\"metadata\":{},\"items\":[{\"metricName\":\"s0-prometheus\",\"metricLabels\":null,\"timestamp\":\"2026-11-24T11:27:55Z\",\"value\":\"2500m\"}]}\n";
    let reply = stage.hpa().get(&path_of("s0-prometheus")).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, expected));

    // On one HTTP/2 connection.
    let kept = stage.hpa().with("Accept", "application/json, */*").keep().await;
    for _ in 0..3 {
        assert_eq!(kept.get(&path_of("s0-prometheus")).await.text, expected);
    }
    let asked = stage.script.asked();
    assert_eq!(asked.len(), 4);
    let reference = &asked[0];
    assert_eq!(
        [&reference.namespace, &reference.name, &reference.metric_name],
        ["ns", "so", "s0-prometheus"]
    );
    assert_eq!(stage.measured("keda_adapter_requests_total{code=\"200\"}"), Some(4.0));
    let handled = "keda_internal_metricsservice_grpc_client_handled_total{grpc_type=\"unary\",grpc_service=\"api.MetricsService\",grpc_method=\"GetMetrics\",grpc_code=\"OK\"}";
    assert_eq!(stage.measured(handled), Some(4.0));
}

#[tokio::test]
async fn names_are_taken_from_the_path_as_they_are() {
    let (stage, _operator) = Stage::up().await;
    stage.script.say("S0-Größe%", Say::Value("1"));
    assert_eq!(stage.hpa().get(&path_of("S0-Gr%C3%B6%C3%9Fe%25")).await.value(), "1");
    assert_eq!(stage.hpa().get(&format!("{}m/sub", prefix())).await.error().0, 404);
    assert_eq!(stage.hpa().get(prefix()).await.error().0, 404);
}

#[tokio::test]
async fn errors_of_the_operator_are_passed_on() {
    let (stage, _operator) = Stage::up().await;
    let caller = stage.hpa();
    // An unknown metric or object is 404 here, where upstream answers 500 to everything.
    let text = "rpc error: code = Unknown desc = error when getting metric values no matching metrics found for s0-none";
    assert_eq!(caller.get(&path_of("s0-none")).await.error(), (404, text.to_owned()));
    stage
        .script
        .say("gone", Say::Error(Code::NotFound, "error when getting metric values error getting scalers x"));
    assert_eq!(caller.get(&path_of("gone")).await.error().0, 404);

    stage.script.say(
        "bad",
        Say::Error(Code::Unknown, "error when getting metric values metric:bad encountered error"),
    );
    let reply = caller.get(&path_of("bad")).await;
    let text =
        "rpc error: code = Unknown desc = error when getting metric values metric:bad encountered error";
    assert_eq!(reply.error(), (500, text.to_owned()));
    assert_eq!(reply.json()["reason"], serde_json::Value::Null);

    stage.script.say("nonsense", Say::Value("many"));
    assert_eq!(caller.get(&path_of("nonsense")).await.error().0, 500);
    assert_eq!(stage.measured("keda_adapter_requests_total{code=\"404\"}"), Some(2.0));
}

#[tokio::test]
async fn an_error_is_never_masked_by_an_older_value() {
    let (stage, operator) = Stage::up().await;
    let caller = stage.hpa();
    stage.script.say("m", Say::Value("7"));
    assert_eq!(caller.get(&path_of("m")).await.value(), "7");
    stage
        .script
        .say("m", Say::Error(Code::Unknown, "error when getting metric values metric:m encountered error"));
    assert_eq!(caller.get(&path_of("m")).await.error().0, 500);
    // Nor later, when the operator is away: its last word was an error.
    drop(operator);
    assert_eq!(caller.get(&path_of("m")).await.error().0, 500);
}

#[tokio::test]
async fn selectors() {
    let (stage, _operator) = Stage::up().await;
    stage.script.say("m", Say::Value("1"));
    let caller = stage.hpa();
    let get = |selector: &'static str| {
        let caller = caller.clone();
        async move { caller.get(&format!("{}m?{selector}", prefix())).await }
    };
    assert_eq!(
        get("labelSelector=a%3Db%2Cscaledobject.keda.sh%2Fname%3Dso&fieldSelector=x").await.value(),
        "1"
    );
    let missing = "scaledObject name is not specified".to_owned();
    assert_eq!(get("").await.error(), (500, missing.clone()));
    assert_eq!(get("labelSelector=a%3Db").await.error(), (500, missing));
    let (status, text) = get("labelSelector=scaledobject.keda.sh%2Fname+in+%28so%29").await.error();
    assert_eq!((status, text.as_str()), (500, "invalid selector: [scaledobject.keda.sh/name in (so)]"));
    let reply = get("labelSelector=%3D").await;
    assert_eq!((reply.error().0, &reply.json()["reason"]), (400, &serde_json::json!("BadRequest")));
}

#[tokio::test]
async fn methods_and_types() {
    let (stage, _operator) = Stage::up().await;
    stage.script.say("m", Say::Value("1"));
    let caller = stage.hpa();
    assert_eq!(caller.send(Method::POST, &path_of("m")).await.error().0, 405);
    assert_eq!(caller.get(&format!("{}&watch=true", path_of("m"))).await.error().0, 405);
    let html = caller.clone().with("Accept", "text/html").get(&path_of("m")).await;
    let text = "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf";
    assert_eq!(html.error(), (406, text.to_owned()));
    assert!(stage.script.asked().is_empty());
}

#[tokio::test]
async fn too_many_at_once_are_told_to_come_again() {
    let (stage, _operator) = Stage::up_with(|options| options.max_in_flight = 1).await;
    stage.script.say("m", Say::Nothing);
    let kept = stage.hpa().keep().await;
    let hangs = tokio::spawn({
        let kept = kept.clone();
        async move { kept.get(&path_of("m")).await }
    });
    crate::stage::until("asked", || async { !stage.script.asked().is_empty() }).await;
    let reply = kept.get(&path_of("m")).await;
    assert_eq!((reply.error().0, &reply.headers["retry-after"]), (429, &"1".parse().unwrap()));
    hangs.abort();
}
