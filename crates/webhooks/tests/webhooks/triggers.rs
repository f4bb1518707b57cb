//! What upstream never looks at: the parameters of each trigger.

use keda_testkit::builders::{cron, prometheus};
use keda_webhooks::TriggerMetadata;
use serde_json::{Value, json};

use crate::{
    client::{Verdict, review},
    stage::{Stage, object, server},
};

async fn with(mode: TriggerMetadata) -> Stage {
    let stage = Stage::with(server(), |options| options.trigger_metadata = mode).await;
    stage.becomes_ready().await;
    stage
}

fn of(triggers: Value) -> Value {
    object(json!({"spec": {"triggers": triggers}}))
}

/// Triggers, with what is said of them: faults, then notices.
fn cases() -> Vec<(Value, Vec<&'static str>, Vec<&'static str>)> {
    let lacking = "trigger 0 (prometheus): error parsing prometheus metadata: missing required parameter \"query\" in [triggerMetadata]";
    vec![
        (
            json!([prometheus("http://p", "up", "5"), cron("UTC", "0 8 * * *", "0 18 * * *", 3)]),
            vec![],
            vec![],
        ),
        (
            json!([{"type": "prometheus", "metadata": {"serverAddress": "http://p", "threshold": "5"}}]),
            vec![lacking],
            vec![],
        ),
        // Credentials are somebody else's to give: what hangs on them is not judged, the rest is.
        (
            json!([{"type": "prometheus", "authenticationRef": {"name": "token"},
                "metadata": {"serverAddress": "http://p", "threshold": "5", "authModes": "bearer"}}]),
            vec![lacking],
            vec![],
        ),
        (
            json!([{"type": "prometheus", "authenticationRef": {"name": "token"}, "metadata": {
                "serverAddress": "http://p", "query": "up", "threshold": "5", "authModes": "bearer"}}]),
            vec![],
            vec![],
        ),
        (
            json!([{"type": "prometheus", "metadata": {
                "serverAddress": "http://p", "query": "up", "threshold": "5", "treshold": "6"}}]),
            vec![],
            vec![
                "trigger 0 (prometheus): Unmatched input property treshold in scaler prometheus, did you mean \"threshold\"?",
            ],
        ),
        (
            json!([prometheus("http://p", "up", "0")]),
            vec![
                "trigger 0 (prometheus): parameter \"threshold\" value \"0\": metric s0-prometheus: an HPA target must be positive, got 0 (targets have three decimals)",
            ],
            vec![],
        ),
    ]
}

fn check(verdict: &Verdict, triggers: &Value, faults: &[&str], notices: &[&str], refuses: bool) {
    let refused = refuses && !faults.is_empty();
    assert_eq!(verdict.allowed, !refused, "{triggers}: {verdict:?}");
    if refused {
        assert_eq!(verdict.message, faults.join("; "));
    } else {
        assert_eq!(verdict.warnings, [faults, notices].concat(), "{triggers}");
    }
}

#[tokio::test]
async fn triggers_that_the_operator_could_not_use_are_warned_of() {
    let stage = with(TriggerMetadata::Warn).await;
    for (triggers, faults, notices) in cases() {
        check(&stage.create(&of(triggers.clone())).await, &triggers, &faults, &notices, false);
    }
    let verdict = stage.create(&of(json!([{"type": "carrier-pigeon", "metadata": {}}]))).await;
    assert!(verdict.allowed);
    let text = "trigger 0 (carrier-pigeon): no scaler found for type: carrier-pigeon, available are: ";
    assert!(verdict.warnings[0].starts_with(text), "{verdict:?}");
}

#[tokio::test]
async fn or_refused_where_that_was_asked_for() {
    let stage = with(TriggerMetadata::Refuse).await;
    for (triggers, faults, notices) in cases() {
        check(&stage.create(&of(triggers.clone())).await, &triggers, &faults, &notices, true);
    }
    let counted = "keda_webhook_scaled_object_validation_errors_total{namespace=\"shop\",action=\"create\",reason=\"incorrect-trigger-metadata\"}";
    assert_eq!(stage.measured(counted), Some(3.0));
    let broken = of(json!([{"type": "prometheus", "metadata": {}}]));
    let mut labelled = broken.clone();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    assert!(stage.update(&labelled, &broken).await.allowed, "it is stored already");
}

#[tokio::test]
async fn or_not_looked_at_as_upstream_does() {
    let stage = with(TriggerMetadata::Ignore).await;
    for (triggers, ..) in cases() {
        check(&stage.create(&of(triggers.clone())).await, &triggers, &[], &[], true);
    }
}

#[tokio::test]
async fn a_scaled_jobs_triggers_are_judged_too() {
    let job = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob",
        "metadata": {"namespace": "shop", "name": "job"},
        "spec": {
            "jobTargetRef": {"template": {"spec": {"containers": [{"name": "main", "image": "job:1"}]}}},
            "triggers": [{"type": "prometheus", "metadata": {"serverAddress": "http://p", "threshold": "5"}}]}});
    let fault = "trigger 0 (prometheus): error parsing prometheus metadata: missing required parameter \"query\" in [triggerMetadata]";
    let path = "/validate-keda-sh-v1alpha1-scaledjob";
    let question = review("CREATE", &job, &Value::Null);
    let verdict = with(TriggerMetadata::Warn).await.client().ask(path, &question).await.verdict();
    assert_eq!(verdict.warnings, [fault]);
    let verdict = with(TriggerMetadata::Refuse).await.client().ask(path, &question).await.verdict();
    assert_eq!((verdict.allowed, verdict.message.as_str()), (false, fault));
}
