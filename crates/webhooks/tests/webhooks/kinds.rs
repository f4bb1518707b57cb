//! The five paths beside ScaledObjects.

use serde_json::{Value, json};

use crate::{
    client::{Verdict, review},
    stage::Stage,
};

fn of(kind: &str, spec: &Value) -> Value {
    let group = if kind.contains("CloudEvent") { "eventing.keda.sh" } else { "keda.sh" };
    let mut metadata = json!({"name": "it", "finalizers": ["finalizer.keda.sh"]});
    if !kind.starts_with("Cluster") {
        metadata["namespace"] = json!("shop");
    }
    json!({"apiVersion": format!("{group}/v1alpha1"), "kind": kind, "metadata": metadata, "spec": spec})
}

fn path(kind: &str) -> String {
    let group = if kind.contains("CloudEvent") { "eventing-keda-sh" } else { "keda-sh" };
    format!("/validate-{group}-v1alpha1-{}", kind.to_lowercase())
}

async fn ask(stage: &Stage, operation: &str, object: &Value, old: &Value) -> Verdict {
    let kind = if object.is_null() { old } else { object }["kind"].as_str().unwrap().to_owned();
    stage.client().ask(&path(&kind), &review(operation, object, old)).await.verdict()
}

#[tokio::test]
async fn the_paths_are_upstreams() {
    let kinds = [
        "ScaledObject",
        "ScaledJob",
        "TriggerAuthentication",
        "ClusterTriggerAuthentication",
        "CloudEventSource",
        "ClusterCloudEventSource",
    ];
    assert_eq!(keda_webhooks::PATHS.map(str::to_owned), kinds.map(path));
}

#[tokio::test]
async fn each_kind_is_held_against_its_rules_when_made_and_when_its_spec_changes() {
    let stage = Stage::up().await;
    let job = |triggers: Value| json!({"jobTargetRef": {"template": {"spec": {"containers": [{"name": "main", "image": "job:1"}]}}}, "triggers": triggers});
    let cron = json!({"type": "cron", "name": "a", "metadata": {}});
    let trigger_authentication = (
        json!({"secretTargetRef": [{"parameter": "p", "name": "n", "key": "k"}]}),
        json!({"podIdentity": {"provider": "azure-workload", "identityId": ""}}),
        "identityId of PodIdentity should not be empty. If it's set, identityId has to be different than \"\"",
    );
    let events = (
        json!({"destination": {"http": {"uri": "http://sink"}}}),
        json!({"destination": {}, "eventSubscription": {"includedEventTypes": ["keda.authentication.created.v1"]}}),
        "includedEventType: keda.authentication.created.v1 in cloudeventsource/clustercloudeventsource spec is not supported",
    );
    let duplicate =
        "triggerName \"a\" is defined multiple times in the ScaledObject/ScaledJob, but it must be unique";
    for (kind, (right, wrong, text)) in [
        ("ScaledJob", (job(json!([cron])), job(json!([cron, cron])), duplicate)),
        ("TriggerAuthentication", trigger_authentication.clone()),
        ("ClusterTriggerAuthentication", trigger_authentication),
        ("CloudEventSource", events.clone()),
        ("ClusterCloudEventSource", events),
    ] {
        let (right, wrong) = (of(kind, &right), of(kind, &wrong));
        let none = Value::Null;
        assert!(ask(&stage, "CREATE", &right, &none).await.allowed, "{kind}");
        for (operation, old) in [("CREATE", &none), ("UPDATE", &right)] {
            let verdict = ask(&stage, operation, &wrong, old).await;
            assert_eq!((verdict.code, verdict.message.as_str()), (403, text), "{kind} {operation}");
        }
        let mut freed = wrong.clone();
        freed["metadata"]["finalizers"] = json!([]);
        let verdict = ask(&stage, "UPDATE", &freed, &wrong).await;
        assert!(verdict.allowed, "{kind}: {verdict:?}");
        assert!(ask(&stage, "UPDATE", &right, &wrong).await.allowed, "{kind}");
        assert!(ask(&stage, "DELETE", &none, &wrong).await.allowed, "{kind}");
    }
    // Upstream counts a ScaledJob's faults among those of ScaledObjects, and its validations not at all.
    let errors = |action| {
        let labels = format!("{{namespace=\"shop\",action=\"{action}\",reason=\"incorrect-triggers\"}}");
        stage.measured(&format!("keda_webhook_scaled_object_validation_errors_total{labels}"))
    };
    assert_eq!((errors("create"), errors("update")), (Some(1.0), Some(1.0)));
    let page = stage.registry.render();
    assert!(!page.contains("keda_webhook_scaled_object_validations_total{"), "{page}");
}

/// What the API server or the controller would refuse later (docs/differences.md).
#[tokio::test]
async fn a_scaled_job_that_could_make_no_job_is_refused() {
    let stage = Stage::up().await;
    let cron = json!([{"type": "cron", "metadata": {}}]);
    let job = |template: Value, triggers: &Value| {
        of("ScaledJob", &json!({"jobTargetRef": {"template": template}, "triggers": triggers}))
    };
    let sound = json!({"spec": {"containers": [{"name": "main", "image": "job:1"}]}});
    let typed = json!([{"type": "cron", "metadata": {}, "metricType": "Value"}]);
    for (object, text) in [
        (
            job(json!({"spec": {"containers": []}}), &cron),
            "spec.jobTargetRef.template.spec.containers is empty, a Job needs at least one container",
        ),
        (job(json!({"spec": []}), &cron), "spec.jobTargetRef.template.spec is not an object"),
        (job(sound.clone(), &typed), "Cannot set metricType in ScaledJob triggers"),
    ] {
        let verdict = ask(&stage, "CREATE", &object, &Value::Null).await;
        assert_eq!((verdict.code, verdict.message.as_str()), (403, text));
    }
    let mut long = job(sound.clone(), &cron);
    long["metadata"]["name"] = json!("x".repeat(64));
    assert!(!ask(&stage, "CREATE", &long, &Value::Null).await.allowed);
    let mut custom = job(sound, &cron);
    custom["spec"]["minReplicaCount"] = json!(101);
    custom["spec"]["scalingStrategy"] = json!({"strategy": "custom"});
    let verdict = ask(&stage, "CREATE", &custom, &Value::Null).await;
    assert!(verdict.allowed);
    assert_eq!(verdict.warnings[1], "minReplicaCount=101 is above maxReplicaCount=100 and counts as 100");
    assert!(verdict.warnings[0].contains("strategy default is used"), "{:?}", verdict.warnings);
}

#[tokio::test]
async fn every_path_answers_a_dry_run_and_a_body_it_cannot_read() {
    let stage = Stage::up().await;
    for kind in ["ScaledJob", "TriggerAuthentication", "CloudEventSource", "ClusterCloudEventSource"] {
        let verdict = ask(&stage, "CREATE", &of(kind, &json!("nothing")), &Value::Null).await;
        assert_eq!(verdict.code, 400, "{kind}: {verdict:?}");
        assert!(verdict.message.starts_with(&format!("cannot read the {kind}: ")), "{verdict:?}");
    }
}

#[tokio::test]
async fn what_upstream_does_not_look_at_is_a_warning() {
    let stage = Stage::up().await;
    let spec = json!({"podIdentity": {"provider": "gcp"}, "oauth2": {
        "type": "clientCredentials", "clientId": "", "tokenUrl": "https://login"}});
    let verdict = ask(&stage, "CREATE", &of("TriggerAuthentication", &spec), &Value::Null).await;
    assert!(verdict.allowed);
    assert_eq!(verdict.warnings, ["oauth2.clientId is required when oauth2 is configured"]);

    let sink =
        json!({"destination": {"http": {"uri": "http://sink"}}, "authenticationRef": {"name": "sink"}});
    for kind in ["CloudEventSource", "ClusterCloudEventSource"] {
        let verdict = ask(&stage, "CREATE", &of(kind, &sink), &Value::Null).await;
        assert!(verdict.allowed);
        let text =
            "authenticationRef has no effect on an http destination: events are sent without credentials";
        assert_eq!(verdict.warnings, [text]);
    }
}
