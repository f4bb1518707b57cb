//! The controllers against the server, under virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, sync::Mutex, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition},
    core::v1::Pod,
};
use keda_testkit::{
    ApiServer, Backend, builders,
    controllers::{self, HpaOptions, Rollout},
};
use kube::ResourceExt;
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

/// A cluster with the controllers and a metrics API whose values the test sets.
struct Stage {
    server: ApiServer,
    /// Value by metric; none: an error.
    values: Arc<Mutex<BTreeMap<String, &'static str>>>,
    shutdown: CancellationToken,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Stage {
    fn new(rollout: Rollout) -> Self {
        let server = ApiServer::new();
        let values: Arc<Mutex<BTreeMap<String, &'static str>>> = Arc::default();
        let known = Arc::clone(&values);
        let backend = Backend::service(service_fn(move |request: Request<Full<Bytes>>| {
            assert_eq!(request.uri().query(), Some("labelSelector=scaledobject.keda.sh%2Fname%3Dso"));
            let metric = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            let (status, body) = match known.lock().unwrap().get(&metric) {
                Some(value) => (
                    200,
                    json!({"kind": "ExternalMetricValueList",
                    "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": {}, "items": [{"metricName": metric,
                    "metricLabels": null, "timestamp": "2026-01-01T00:00:00Z", "value": value}]}),
                ),
                None => (
                    500,
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "",
                    "message": "source is down", "code": 500}),
                ),
            };
            let response = Response::builder().status(status).header("content-type", "application/json");
            let response = response.body(Full::new(Bytes::from(body.to_string()))).unwrap();
            async move { Ok::<_, Infallible>(response) }
        }));
        server.aggregate("v1beta1.external.metrics.k8s.io", backend).unwrap();
        let shutdown = CancellationToken::new();
        let client = |user: &str| server.client_for(user);
        tokio::spawn(controllers::deployments(client("deployments"), rollout.clone(), shutdown.clone()));
        tokio::spawn(controllers::stateful_sets(client("statefulsets"), rollout, shutdown.clone()));
        let options = HpaOptions { clock: server.clock(), ..HpaOptions::default() };
        tokio::spawn(controllers::horizontal_pod_autoscalers(client("hpa"), options, shutdown.clone()));
        Self { server, values, shutdown }
    }

    fn set(&self, metric: &str, value: Option<&'static str>) {
        let mut values = self.values.lock().unwrap();
        match value {
            Some(value) => values.insert(metric.to_owned(), value),
            None => values.remove(metric),
        };
    }

    fn deploy(&self, replicas: i32) {
        self.server.seed(&builders::deployment("default", "web", replicas)).unwrap();
    }

    fn autoscale(&self, change: &Value) {
        let mut spec = json!({"minReplicas": 1, "maxReplicas": 10,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "metrics": [metric("s0-a", "AverageValue", "10")]});
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        self.server
            .seed(&json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "keda-hpa-so"}, "spec": spec}))
            .unwrap();
    }

    fn replicas(&self) -> i32 {
        let web: Deployment = self.server.read("default", "web").unwrap();
        web.spec.unwrap().replicas.unwrap()
    }

    fn condition(&self, kind: &str) -> HorizontalPodAutoscalerCondition {
        let autoscaler: HorizontalPodAutoscaler = self.server.read("default", "keda-hpa-so").unwrap();
        let conditions = autoscaler.status.unwrap().conditions.unwrap();
        conditions.into_iter().find(|condition| condition.type_ == kind).unwrap()
    }
}

fn metric(name: &str, kind: &str, target: &str) -> Value {
    let member = if kind == "Value" { "value" } else { "averageValue" };
    json!({"type": "External", "external": {"target": {"type": kind, member: target}, "metric": {"name": name,
        "selector": {"matchLabels": {"scaledobject.keda.sh/name": "so"}}}}})
}

async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn workloads_roll_out_after_a_while() {
    let stage = Stage::new(Rollout { delay: Duration::from_secs(5), pods: true });
    stage.deploy(3);
    stage.server.seed(&builders::stateful_set("default", "db", 2)).unwrap();
    pass(4).await;
    let ready =
        || stage.server.read::<Deployment>("default", "web").unwrap().status.and_then(|s| s.ready_replicas);
    assert_eq!(ready(), None);
    pass(2).await;
    assert_eq!(ready(), Some(3));
    let db: StatefulSet = stage.server.read("default", "db").unwrap();
    assert_eq!(
        (db.status.as_ref().unwrap().ready_replicas, db.status.unwrap().observed_generation),
        (Some(2), Some(1))
    );
    let pods = |app: &str| {
        stage.server.all::<Pod>("default").iter().filter(|pod| pod.labels()["app"] == app).count()
    };
    assert_eq!((pods("web"), pods("db")), (3, 2));
    let victim = stage
        .server
        .all::<Pod>("default")
        .iter()
        .find(|pod| pod.labels()["app"] == "web")
        .unwrap()
        .name_any();
    stage.server.remove::<Pod>("default", &victim).unwrap();
    assert_eq!(pods("web"), 2);
    pass(6).await;
    assert_eq!(pods("web"), 3, "a pod that somebody deletes is replaced");
    stage.server.merge::<Deployment>("default", "web", &json!({"spec": {"replicas": 0}})).unwrap();
    pass(6).await;
    assert_eq!((ready(), pods("web")), (None, 0));
    stage.server.remove::<StatefulSet>("default", "db").unwrap();
    assert_eq!(pods("db"), 0, "pods go with their owner");

    let mark = stage.server.mark();
    pass(3600).await;
    assert_eq!(stage.server.writes_since(mark), [], "nothing changes, nothing is written");
}

#[tokio::test(start_paused = true)]
async fn an_autoscaler_follows_its_metric_and_rests_at_zero() {
    let stage = Stage::new(Rollout::default());
    stage.set("s0-a", Some("0"));
    stage.deploy(0);
    stage.autoscale(&json!({}));
    pass(61).await;
    assert_eq!(stage.replicas(), 0);
    let condition = stage.condition("ScalingActive");
    assert_eq!((condition.status.as_str(), condition.reason.as_deref()), ("False", Some("ScalingDisabled")));

    // Somebody wakes it: up by the limits of the default rules, then as many as the metric asks for.
    stage.set("s0-a", Some("95"));
    stage.deploy(1);
    pass(15).await;
    assert_eq!(stage.replicas(), 4);
    pass(15).await;
    assert_eq!(stage.replicas(), 8);
    pass(15).await;
    assert_eq!(stage.replicas(), 10);
    assert_eq!(stage.condition("ScalingActive").reason.as_deref(), Some("ValidMetricFound"));

    // Within tolerance nothing moves; then it shrinks, but not before the window is over.
    stage.set("s0-a", Some("91"));
    pass(600).await;
    assert_eq!(stage.replicas(), 10);
    stage.set("s0-a", Some("15"));
    pass(280).await;
    assert_eq!(stage.replicas(), 10);
    assert_eq!(stage.condition("AbleToScale").reason.as_deref(), Some("ScaleDownStabilized"));
    pass(40).await;
    assert_eq!(stage.replicas(), 2);
    stage.set("s0-a", Some("0"));
    pass(600).await;
    assert_eq!(stage.replicas(), 1, "never below its minimum");
    let mark = stage.server.mark();
    pass(3600).await;
    assert_eq!(stage.server.writes_since(mark), []);
    let shown = || {
        let autoscaler: HorizontalPodAutoscaler = stage.server.read("default", "keda-hpa-so").unwrap();
        autoscaler.status.and_then(|status| status.current_metrics)
    };
    assert!(shown().is_some());
    stage.deploy(0);
    pass(16).await;
    assert_eq!(shown(), None, "at rest no metric is looked at");
    let mark = stage.server.mark();
    pass(3600).await;
    assert_eq!(stage.server.writes_since(mark), []);
}

#[tokio::test(start_paused = true)]
async fn a_failing_metric_never_lets_it_shrink() {
    let stage = Stage::new(Rollout::default());
    stage.set("s0-a", Some("80"));
    stage.deploy(8);
    stage.autoscale(
        &json!({"metrics": [metric("s0-a", "AverageValue", "10"), metric("s1-b", "Value", "100")],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}),
    );
    pass(60).await;
    // One metric fails, the other wants no less: nothing moves and the failure does not matter.
    assert_eq!(stage.replicas(), 8);
    assert_eq!(stage.condition("ScalingActive").status, "True");
    stage.set("s0-a", Some("10"));
    pass(600).await;
    assert_eq!(stage.replicas(), 8);
    let condition = stage.condition("ScalingActive");
    assert_eq!(
        (condition.status.as_str(), condition.reason.as_deref()),
        ("False", Some("FailedGetExternalMetric"))
    );
    assert_eq!(
        condition.message.unwrap(),
        "the HPA was unable to compute the replica count: unable to get external metric default/s1-b/&LabelSelector{MatchLabels:map[string]string{scaledobject.keda.sh/name: so,},MatchExpressions:[]LabelSelectorRequirement{},}: unable to fetch metrics from external metrics API: source is down"
    );
    stage.set("s1-b", Some("50"));
    pass(30).await;
    assert_eq!(stage.replicas(), 2, "the most that any metric wants: half of 8, then half of 4");
    assert_eq!(stage.condition("ScalingActive").status, "True");
}

#[tokio::test(start_paused = true)]
async fn disabled_directions_and_bounds() {
    let stage = Stage::new(Rollout::default());
    stage.set("s0-a", Some("10"));
    stage.deploy(5);
    stage.autoscale(
        &json!({"behavior": {"scaleDown": {"selectPolicy": "Disabled", "stabilizationWindowSeconds": 0}}}),
    );
    pass(600).await;
    assert_eq!(stage.replicas(), 5);
    stage.set("s0-a", Some("30"));
    stage.autoscale(&json!({"maxReplicas": 3, "behavior": {"scaleUp": {"selectPolicy": "Disabled"}}}));
    pass(16).await;
    assert_eq!(stage.replicas(), 3, "above the maximum nothing is asked");
    stage.set("s0-a", Some("500"));
    pass(600).await;
    assert_eq!(stage.replicas(), 3);
    stage.server.remove::<Deployment>("default", "web").unwrap();
    pass(16).await;
    let condition = stage.condition("AbleToScale");
    assert_eq!(condition.reason.as_deref(), Some("FailedGetScale"));
    assert_eq!(
        condition.message.as_deref(),
        Some(
            "the HPA controller was unable to get the target's current scale: deployments.apps \"web\" not found"
        )
    );
}
