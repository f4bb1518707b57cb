//! Every rule of a ScaledObject, asked over the wire.

use keda_testkit::builders::{self, with};
use serde_json::{Value, json};

use crate::{
    client::review,
    stage::{SCALED_OBJECT, Stage, object, requests, until},
};

fn cpu() -> Value {
    json!({"type": "cpu", "metadata": {"value": "50"}})
}

#[tokio::test]
async fn what_is_right_is_allowed_without_a_word() {
    let stage = Stage::up().await;
    let verdict = stage.create(&object(json!({}))).await;
    assert_eq!((verdict.allowed, verdict.code, verdict.message.as_str()), (true, 200, ""));
    assert!(verdict.warnings.is_empty(), "{verdict:?}");
    let counted = "keda_webhook_scaled_object_validations_total{namespace=\"shop\",action=\"create\"}";
    assert_eq!(stage.measured(counted), Some(1.0));
    let requests =
        format!("controller_runtime_webhook_requests_total{{webhook=\"{SCALED_OBJECT}\",code=\"200\"}}");
    assert_eq!(stage.measured(&requests), Some(1.0));
    let under_way = format!("controller_runtime_webhook_requests_in_flight{{webhook=\"{SCALED_OBJECT}\"}}");
    assert_eq!(stage.measured(&under_way), Some(0.0));
}

#[tokio::test]
async fn rules_refuse_in_upstreams_words_and_are_counted_by_upstreams_reasons() {
    let stage = Stage::up().await;
    let api = &stage.api;
    let other = |name: &str, change: Value| {
        let object = builders::scaled_object(
            "shop",
            name,
            "taken",
            [builders::cron("UTC", "0 8 * * *", "0 9 * * *", 1)],
        );
        api.seed(&with(object, change)).unwrap();
    };
    other("first", json!({}));
    other(
        "second",
        json!({"spec": {"scaleTargetRef": {"name": "elsewhere"},
        "advanced": {"horizontalPodAutoscalerConfig": {"name": "mine"}}}}),
    );
    let hpa = |name: &str, target: &str, annotations: Value| {
        api.seed(&json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"namespace": "shop", "name": name, "annotations": annotations},
            "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}},
        }))
        .unwrap();
    };
    hpa("by-hand", "manual", json!({}));
    hpa("ignored", "free", json!({"validations.keda.sh/hpa-ownership": "false"}));
    // The watches bring them within moments.
    let taken = object(json!({"spec": {"scaleTargetRef": {"name": "taken"}}}));
    let manual = object(json!({"spec": {"scaleTargetRef": {"name": "manual"}}}));
    for object in [&taken, &manual] {
        while stage.create(object).await.allowed {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    let transfer =
        json!({"metadata": {"annotations": {"scaledobject.keda.sh/transfer-hpa-ownership": "true"}}});
    let named = json!({"spec": {"advanced": {"horizontalPodAutoscalerConfig": {"name": "by-hand"}}}});
    let stateful = json!({"scaleTargetRef": {"kind": "StatefulSet", "name": "db"}});
    let cases = [
        (
            object(json!({"spec": {"minReplicaCount": 3, "idleReplicaCount": 3}})),
            "incorrect-replicas",
            "IdleReplicaCount=3 must be less than MinReplicaCount=3",
        ),
        (
            object(json!({"spec": {"triggers": [cpu()], "minReplicaCount": 1,
                "fallback": {"failureThreshold": 3, "replicas": 2}}})),
            "incorrect-fallback",
            "at least one trigger (that is not cpu or memory) has to have the `AverageValue` type for the fallback to be enabled",
        ),
        (
            object(json!({"metadata": {"name": "x".repeat(55)}})),
            "hpa-name-too-long",
            "HPA name \"keda-hpa-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" derived from scaledobject is 64 characters long; must be no more than 63 characters; set spec.advanced.horizontalPodAutoscalerConfig.name to a shorter name or shorten the scaledobject name",
        ),
        (
            object(json!({"spec": {"advanced": {"scalingModifiers": {"target": "5"}}}})),
            "scaling-modifiers",
            "error ScalingModifiers.Formula is mandatory",
        ),
        (
            object(
                json!({"spec": {"fallback": {"failureThreshold": 3, "replicas": 2, "behavior": "scalingModifiers"}}}),
            ),
            "scaling-modifiers-fallback",
            "scalingModifiers fallback behavior requires scalingModifiers.formula to be defined",
        ),
        (
            taken,
            "other-scaled-object",
            "the workload 'taken' of type 'apps/v1.Deployment' is already managed by the ScaledObject 'first'",
        ),
        (
            object(json!({"spec": {"advanced": {"horizontalPodAutoscalerConfig": {"name": "mine"}}}})),
            "other-scaled-object-hpa",
            "the HPA 'mine' is already managed by the ScaledObject 'second'",
        ),
        (
            manual.clone(),
            "other-hpa",
            "the workload 'manual' of type 'apps/v1.Deployment' is already managed by the hpa 'by-hand'",
        ),
        (
            with(manual.clone(), transfer.clone()),
            "transfer-ownership-missing-hpa-name",
            "the existing hpa 'by-hand' for workload 'manual' of type 'apps/v1.Deployment' must be specified by name in advanced settings to enable ownership transfer",
        ),
        (with(with(manual, transfer), named), "", ""),
        (object(json!({"spec": {"scaleTargetRef": {"name": "free"}}})), "", ""),
        (
            object(
                json!({"spec": with(json!({"triggers": [cpu()], "minReplicaCount": 1}), stateful.clone())}),
            ),
            "missing-requests",
            "the scaledobject has a cpu trigger but the container main doesn't have the cpu request defined",
        ),
        (
            object(json!({"spec": {"triggers": [cpu()]}})),
            "scale-to-zero-requirements-not-met",
            "scaledobject has only cpu/memory triggers AND minReplica is 0 (scale to zero doesn't work in this case)",
        ),
        (object(json!({"spec": {"triggers": [cpu()], "minReplicaCount": 1}})), "", ""),
        (
            object(
                json!({"spec": {"triggers": [{"type": "cpu", "useCachedMetrics": true, "metadata": {"value": "5"}}]}}),
            ),
            "incorrect-triggers",
            "property \"useCachedMetrics\" is not supported for \"cpu\" scaler",
        ),
    ];
    for (object, reason, text) in cases {
        let counted = format!(
            "keda_webhook_scaled_object_validation_errors_total{{namespace=\"shop\",action=\"create\",reason=\"{reason}\"}}"
        );
        let before = stage.measured(&counted).unwrap_or(0.0);
        let verdict = stage.create(&object).await;
        assert_eq!((verdict.allowed, verdict.message.as_str()), (text.is_empty(), text), "{object}");
        if !text.is_empty() {
            assert_eq!((verdict.code, verdict.reason.as_str()), (403, "Forbidden"));
            assert_eq!(stage.measured(&counted), Some(before + 1.0), "{reason}");
        }
    }
}

#[tokio::test]
async fn requests_come_from_limit_ranges_too() {
    let stage = Stage::up().await;
    let object = object(json!({"spec": {"triggers": [cpu()], "minReplicaCount": 1,
        "scaleTargetRef": {"kind": "StatefulSet", "name": "db"}}}));
    assert!(!stage.create(&object).await.allowed);
    stage
        .api
        .seed(&json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"namespace": "shop", "name": "usual"},
            "spec": {"limits": [{"type": "Container", "default": {"cpu": "500m"}}]}}))
        .unwrap();
    assert!(stage.create(&object).await.allowed, "a LimitRange of a moment ago counts");
}

#[tokio::test]
async fn a_target_that_is_missing_matters_to_cpu_and_memory_only() {
    let stage = Stage::up().await;
    let missing = json!({"scaleTargetRef": {"name": "missing"}});
    assert!(stage.create(&object(json!({ "spec": missing }))).await.allowed);
    let spec = with(json!({"triggers": [cpu()], "minReplicaCount": 1}), missing);
    let verdict = stage.create(&object(json!({ "spec": spec }))).await;
    assert_eq!(
        (verdict.code, verdict.reason.as_str(), verdict.message.as_str()),
        (404, "NotFound", "Deployment.apps \"missing\" not found")
    );
    // Dry runs and other kinds are not held against their containers.
    let mut question = review("CREATE", &object(json!({ "spec": spec })), &Value::Null);
    question["request"]["dryRun"] = json!(true);
    assert!(stage.client().ask(SCALED_OBJECT, &question).await.verdict().allowed);
}

#[tokio::test]
async fn a_kind_that_the_cluster_lacks_is_refused() {
    let stage = Stage::up().await;
    let target = |api_version: &str, kind: &str| {
        object(json!({"spec": {"scaleTargetRef": {"apiVersion": api_version, "kind": kind}}}))
    };
    let verdict = stage.create(&target("example.com/v1", "Widget")).await;
    assert_eq!(
        (verdict.code, verdict.message.as_str()),
        (403, "no matches for kind \"Widget\" in version \"example.com/v1\"")
    );
    let verdict = stage.create(&target("apps/v1", "Widget")).await;
    assert_eq!(verdict.message, "no matches for kind \"Widget\" in version \"apps/v1\"");
    assert!(stage.create(&target("apps/v1", "ReplicaSet")).await.allowed);
}

#[tokio::test]
async fn a_workload_of_a_moment_ago_is_read_directly() {
    let stage = Stage::up().await;
    let spec = json!({"triggers": [cpu()], "minReplicaCount": 1, "scaleTargetRef": {"name": "new"}});
    let object = object(json!({ "spec": spec }));
    for round in 0..20 {
        let deployment = builders::deployment("shop", "new", 1);
        let asks = requests(&json!({"requests": {"cpu": "1"}}));
        stage.api.seed(&with(deployment.clone(), asks)).unwrap();
        let verdict = stage.create(&object).await;
        assert!(verdict.allowed, "round {round}: {verdict:?}");
        stage.api.remove::<k8s_openapi::api::apps::v1::Deployment>("shop", "new").unwrap();
    }
}

#[tokio::test]
async fn what_has_no_effect_is_warned_of_and_written_as_events() {
    let stage = Stage::up().await;
    let object = object(json!({"spec": {"minReplicaCount": 1, "pollingInterval": 5, "cooldownPeriod": 10}}));
    let texts = [
        "PollingInterval is configured but is not relevant. PollingInterval is only relevant when minReplicaCount = 0, idleReplicaCount is set, or useCachedMetrics is enabled",
        "CooldownPeriod is configured but is not relevant. CooldownPeriod is only relevant when minReplicaCount = 0 or idleReplicaCount is set",
    ];
    // Nothing is written on a dry run: the configuration says that there are no side effects.
    let mut question = review("CREATE", &object, &Value::Null);
    question["request"]["dryRun"] = json!(true);
    let mark = stage.api.mark();
    assert_eq!(stage.client().ask(SCALED_OBJECT, &question).await.verdict().warnings, texts);
    assert_eq!(stage.create(&object).await.warnings, texts);
    let events = || stage.api.all::<k8s_openapi::api::events::v1::Event>("shop");
    until("two events", || events().len() == 2).await;
    for event in events() {
        assert_eq!(event.reporting_controller.as_deref(), Some("keda-admission"));
        assert_eq!(
            (event.type_.as_deref(), event.reason.as_deref()),
            (Some("Normal"), Some("KEDAScalerInfo"))
        );
        let regarding = event.regarding.unwrap();
        assert_eq!(
            (regarding.kind.as_deref(), regarding.name.as_deref()),
            (Some("ScaledObject"), Some("web"))
        );
        assert!(texts.contains(&event.note.unwrap().as_str()));
    }
    assert_eq!(stage.api.writes_since(mark).len(), 2);
}
