//! What is asked besides CREATE: updates that change little, deletions, subresources, questions that make no sense.

use keda_testkit::builders::with;
use serde_json::{Value, json};

use crate::{
    client::review,
    stage::{SCALED_OBJECT, Stage, object, until},
};

/// Wrong, as it may be stored from a time without webhooks.
fn wrong() -> Value {
    object(json!({"metadata": {"finalizers": ["finalizer.keda.sh", "example.com/other"]},
        "spec": {"idleReplicaCount": 3, "minReplicaCount": 3}}))
}

#[tokio::test]
async fn an_update_is_held_against_the_rules() {
    let stage = Stage::up().await;
    let verdict = stage.update(&wrong(), &object(json!({}))).await;
    assert_eq!(verdict.message, "IdleReplicaCount=3 must be less than MinReplicaCount=3");
    let counted = "keda_webhook_scaled_object_validation_errors_total{namespace=\"shop\",action=\"update\",reason=\"incorrect-replicas\"}";
    assert_eq!(stage.measured(counted), Some(1.0));
    assert!(stage.update(&object(json!({})), &wrong()).await.allowed, "a correction");
    let other = with(wrong(), json!({"spec": {"pollingInterval": 7}}));
    assert!(!stage.update(&other, &wrong()).await.allowed, "the spec changes and stays wrong");
}

#[tokio::test]
async fn letting_go_is_never_refused() {
    let stage = Stage::up().await;
    let validations = "keda_webhook_scaled_object_validations_total{namespace=\"shop\",action=\"update\"}";
    let fewer = with(wrong(), json!({"metadata": {"finalizers": ["example.com/other"]}}));
    let verdict = stage.update(&fewer, &wrong()).await;
    assert!(verdict.allowed && verdict.warnings.is_empty(), "{verdict:?}");
    let dying = with(wrong(), json!({"metadata": {"deletionTimestamp": "2026-11-24T11:00:00Z"}}));
    assert!(
        stage.update(&with(dying.clone(), json!({"metadata": {"labels": {"a": "b"}}})), &dying).await.allowed
    );
    assert_eq!(stage.measured(validations), None, "nothing was checked");
    let gone = review("DELETE", &Value::Null, &wrong());
    assert!(stage.client().ask(SCALED_OBJECT, &gone).await.verdict().allowed);
}

#[tokio::test]
async fn what_an_update_does_not_bring_in_is_said_and_not_refused() {
    let stage = Stage::up().await;
    let paused = with(wrong(), json!({"metadata": {"annotations": {"autoscaling.keda.sh/paused": "true"}}}));
    let verdict = stage.update(&paused, &wrong()).await;
    assert!(verdict.allowed);
    assert_eq!(
        verdict.warnings,
        [
            "not refused because this update changes neither the spec nor who owns the HPA, but: IdleReplicaCount=3 must be \
          less than MinReplicaCount=3"
        ]
    );
    // An annotation that a rule looks at is a change.
    let owned = with(
        wrong(),
        json!({"metadata": {"annotations": {"scaledobject.keda.sh/transfer-hpa-ownership": "true"}}}),
    );
    assert!(!stage.update(&owned, &wrong()).await.allowed);
}

#[tokio::test]
async fn an_object_is_not_in_its_own_way() {
    let stage = Stage::up().await;
    stage.api.seed(&object(json!({"metadata": {"uid": null}}))).unwrap();
    // Its HPA, too, is its own.
    stage
        .api
        .seed(&json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"namespace": "shop", "name": "keda-hpa-web", "ownerReferences": [{
                "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "web", "uid": "1", "controller": true}]},
            "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}},
        }))
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let changed = object(json!({"spec": {"pollingInterval": 7}}));
    assert!(stage.update(&changed, &object(json!({}))).await.allowed);
}

#[tokio::test]
async fn subresources_are_the_operators_business() {
    let stage = Stage::up().await;
    let mut question = review("UPDATE", &wrong(), &object(json!({})));
    question["request"]["subResource"] = json!("status");
    assert!(stage.client().ask(SCALED_OBJECT, &question).await.verdict().allowed);
}

#[tokio::test]
async fn questions_without_sense_get_an_answer_that_says_so() {
    let stage = Stage::up().await;
    let ask = async |question: Value| stage.client().ask(SCALED_OBJECT, &question).await.verdict();
    let mut question = review("CREATE", &object(json!({})), &Value::Null);
    question["request"]["object"]["spec"]["triggers"] = json!("none");
    let verdict = ask(question).await;
    assert_eq!((verdict.allowed, verdict.code), (false, 400));
    assert!(
        verdict.message.starts_with("cannot read the ScaledObject: invalid type: string \"none\""),
        "{verdict:?}"
    );

    let verdict = ask(review("CONNECT", &object(json!({})), &Value::Null)).await;
    assert_eq!((verdict.code, verdict.message.as_str()), (400, "unknown operation \"CONNECT\""));

    let mut question = review("CREATE", &object(json!({})), &Value::Null);
    question["request"]["kind"]["kind"] = json!("ScaledJob");
    let verdict = ask(question).await;
    assert_eq!(verdict.code, 400);
    assert!(verdict.message.contains("correct the webhook configuration"), "{verdict:?}");

    // A dry run is one of many fields that need not be there.
    let mut question = review("CREATE", &object(json!({})), &Value::Null);
    question["request"].as_object_mut().unwrap().remove("dryRun");
    assert!(ask(question).await.allowed);
}

#[tokio::test]
async fn a_deleted_neighbour_is_in_nobodys_way() {
    let stage = Stage::up().await;
    let first = object(json!({"metadata": {"name": "first", "uid": null}}));
    stage.api.seed(&first).unwrap();
    until("seen", || stage.api.read::<keda_api::ScaledObject>("shop", "first").is_some()).await;
    while stage.create(&object(json!({}))).await.allowed {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // At once, whatever the watch knows by then.
    stage.api.remove::<keda_api::ScaledObject>("shop", "first").unwrap();
    assert!(stage.create(&object(json!({}))).await.allowed);
}
