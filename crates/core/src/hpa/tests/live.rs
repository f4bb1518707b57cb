use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::{HPAScalingRules, HorizontalPodAutoscaler};
use keda_api::{Condition, ConditionStatus, Quantity};
use proptest::prelude::*;

use super::super::{difference, health, held, settle};
use super::*;
use crate::activity::Activity;
use crate::bounds::Bounds;
use crate::decide::{HpaRange, Situation, decide};
use crate::pause::Annotations;

/// What an API server makes of a new HPA: identity, defaults of the behaviour, its own spelling of quantities, a status.
fn stored(hpa: &HorizontalPodAutoscaler) -> HorizontalPodAutoscaler {
    let mut hpa = hpa.clone();
    hpa.metadata.uid = Some("9f2c".to_owned());
    hpa.metadata.resource_version = Some("4711".to_owned());
    hpa.metadata.generation = Some(1);
    hpa.metadata.managed_fields = Some(vec![Default::default()]);
    let spec = hpa.spec.as_mut().unwrap();
    if let Some(behavior) = spec.behavior.as_mut() {
        let policies = |list: Value| Some(serde_json::from_value(list).unwrap());
        let fill = |rules: &mut Option<HPAScalingRules>, window, list| {
            let rules = rules.get_or_insert_default();
            rules.select_policy.get_or_insert_with(|| "Max".to_owned());
            rules.stabilization_window_seconds = rules.stabilization_window_seconds.or(window);
            rules.policies = rules.policies.take().or(list);
            if let Some(tolerance) = &mut rules.tolerance {
                tolerance.0 = Quantity::kept_text(&tolerance.0).unwrap();
            }
        };
        let pods = json!({ "type": "Pods", "value": 4, "periodSeconds": 15 });
        let percent = json!({ "type": "Percent", "value": 100, "periodSeconds": 15 });
        fill(&mut behavior.scale_up, Some(0), policies(json!([pods, percent])));
        fill(&mut behavior.scale_down, None, policies(json!([percent])));
    }
    for metric in spec.metrics.iter_mut().flatten() {
        let target = &mut metric.external.as_mut().unwrap().target;
        for quantity in [&mut target.average_value, &mut target.value].into_iter().flatten() {
            quantity.0 = Quantity::kept_text(&quantity.0).unwrap();
        }
    }
    hpa
}

fn with_behavior(behavior: &Value) -> HorizontalPodAutoscaler {
    let spec = json!({ "advanced": { "horizontalPodAutoscalerConfig": { "behavior": behavior } } });
    built(&object(json!({}), spec))
}

#[test]
fn an_object_that_was_just_written_does_not_differ() {
    let plain = built(&object(json!({}), json!({})));
    assert_eq!(difference(&stored(&plain), &plain), Vec::<String>::new());

    for behavior in [
        json!({}),
        json!({ "scaleDown": { "stabilizationWindowSeconds": 0 } }),
        json!({ "scaleUp": { "selectPolicy": "Disabled" } }),
        json!({ "scaleUp": { "policies": [{ "type": "Pods", "value": 1, "periodSeconds": 60 }] } }),
        json!({ "scaleUp": { "policies": [] } }),
        json!({ "scaleUp": { "tolerance": "0.050" }, "scaleDown": { "tolerance": "0" } }),
    ] {
        let wanted = with_behavior(&behavior);
        assert_eq!(difference(&stored(&wanted), &wanted), Vec::<String>::new());
    }
}

#[test]
fn a_live_object_with_everything_filled_in_does_not_differ() {
    // In the shape of `kubectl get hpa -o json`, for a threshold of 2.5 and a 10 s window downwards.
    let live: HorizontalPodAutoscaler = serde_json::from_value(json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "creationTimestamp": "2026-11-24T10:00:00Z", "generation": 1, "name": "keda-hpa-web",
            "namespace": "prod", "resourceVersion": "812", "uid": "5d0c",
            "labels": {
                "app.kubernetes.io/managed-by": "keda-operator", "app.kubernetes.io/name": "keda-hpa-web",
                "app.kubernetes.io/part-of": "web", "app.kubernetes.io/version": "0.1.0",
                "scaledobject.keda.sh/name": "web", "added-by": "somebody-else"
            },
            "ownerReferences": [{
                "apiVersion": "keda.sh/v1alpha1", "blockOwnerDeletion": true, "controller": true,
                "kind": "ScaledObject", "name": "web", "uid": "1b4e28ba"
            }]
        },
        "spec": {
            "behavior": {
                "scaleDown": {
                    "policies": [{ "periodSeconds": 15, "type": "Percent", "value": 100 }],
                    "selectPolicy": "Max", "stabilizationWindowSeconds": 10
                },
                "scaleUp": {
                    "policies": [
                        { "periodSeconds": 15, "type": "Pods", "value": 4 },
                        { "periodSeconds": 15, "type": "Percent", "value": 100 }
                    ],
                    "selectPolicy": "Max", "stabilizationWindowSeconds": 0
                }
            },
            "maxReplicas": 100,
            "metrics": [{
                "external": {
                    "metric": {
                        "name": "s0-prometheus",
                        "selector": { "matchLabels": { "scaledobject.keda.sh/name": "web" } }
                    },
                    "target": { "averageValue": "2500m", "type": "AverageValue" }
                },
                "type": "External"
            }],
            "minReplicas": 1,
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web-server" }
        },
        "status": { "currentMetrics": null, "desiredReplicas": 0 }
    }))
    .unwrap();
    let spec_json = json!({ "advanced": { "horizontalPodAutoscalerConfig": {
        "behavior": { "scaleDown": { "stabilizationWindowSeconds": 10 } } } } });
    let wanted = build(&object(json!({}), spec_json), &[spec("s0-prometheus", 2.5)]);
    assert_eq!(difference(&live, &wanted), Vec::<String>::new());
}

#[test]
fn every_part_is_noticed_by_its_name() {
    let base = object(json!({ "annotations": { "a": "1", "b": "2" } }), json!({ "minReplicaCount": 2 }));
    let live = stored(&built(&base));
    let differs = |metadata: Value, spec: Value| difference(&live, &built(&object(metadata, spec)));
    let annotations = json!({ "annotations": { "a": "1", "b": "2" } });
    let min = json!({ "minReplicaCount": 2 });

    assert_eq!(differs(annotations.clone(), min.clone()), Vec::<String>::new());
    assert_eq!(differs(annotations.clone(), json!({})), ["minReplicas"]);
    assert_eq!(
        differs(annotations.clone(), json!({ "minReplicaCount": 2, "maxReplicaCount": 9 })),
        ["maxReplicas"]
    );
    assert_eq!(
        differs(annotations, json!({ "minReplicaCount": 2, "scaleTargetRef": { "name": "other" } })),
        ["scaleTargetRef"]
    );
    assert_eq!(
        differs(json!({ "annotations": { "a": "1", "b": "2" }, "labels": { "x": "y" } }), min.clone()),
        ["labels"]
    );
    assert_eq!(differs(json!({ "annotations": { "a": "changed" } }), min.clone()), ["annotations"]);
    assert_eq!(differs(json!({ "annotations": { "a": "1" } }), min.clone()), Vec::<String>::new());
    assert_eq!(differs(json!({}), min.clone()), ["annotations"], "the last annotation is gone");
    let recreated = json!({ "annotations": { "a": "1" }, "uid": "another" });
    assert_eq!(differs(recreated, min), ["ownerReferences"]);
    let paused = json!({ "annotations": { "a": "1", "autoscaling.keda.sh/paused-scale-in": "true" } });
    assert_eq!(differs(paused, json!({ "minReplicaCount": 2 })), ["behavior", "annotations"]);
}

#[test]
fn metrics_are_compared_by_value_and_in_full() {
    let web = object(json!({}), json!({}));
    let live = stored(&build(&web, &[spec("s0-a", 2.5), spec("s1-b", 1000.0)]));
    let differs = |specs: &[MetricSpec]| difference(&live, &build(&web, specs));
    assert_eq!(differs(&[spec("s0-a", 2.5), spec("s1-b", 1000.0)]), Vec::<String>::new());
    assert_eq!(differs(&[spec("s0-a", 2.5)]), ["metric count"]);
    assert_eq!(differs(&[spec("s0-a", 2.501), spec("s1-b", 1000.0)]), ["metrics"]);
    assert_eq!(differs(&[spec("s0-a", 2.5), spec("s1-c", 1000.0)]), ["metrics"]);
    let value = MetricSpec::External {
        name: "s1-b".to_owned(),
        target_type: TargetType::Value,
        target: metric::integer(1000),
    };
    assert_eq!(differs(&[spec("s0-a", 2.5), value]), ["metrics"]);
}

#[test]
fn a_behavior_that_is_taken_back_is_a_difference() {
    let live = stored(&with_behavior(&json!({ "scaleDown": { "stabilizationWindowSeconds": 10 } })));
    assert_eq!(difference(&live, &with_behavior(&json!({}))), ["behavior"]);
    assert_eq!(difference(&live, &built(&object(json!({}), json!({})))), ["behavior"]);
    let plain = stored(&built(&object(json!({}), json!({}))));
    assert_eq!(
        difference(&plain, &with_behavior(&json!({ "scaleUp": { "selectPolicy": "Min" } }))),
        ["behavior"]
    );
}

#[test]
fn an_object_at_idle_is_held_there_until_it_is_active() {
    let spec = json!({ "idleReplicaCount": 1, "minReplicaCount": 3, "maxReplicaCount": 8 });
    let wanted = built(&object(json!({}), spec));
    let bounds = Bounds { min: 3, max: 8, idle: Some(1) };
    let settled = |live: Option<&HorizontalPodAutoscaler>, range| {
        let mut hpa = wanted.clone();
        settle(&mut hpa, live, range, &bounds);
        hpa
    };
    let range = |hpa: &HorizontalPodAutoscaler| {
        let spec = hpa.spec.as_ref().unwrap();
        (spec.min_replicas, spec.max_replicas)
    };

    let free = settled(None, HpaRange::Follow);
    assert_eq!((range(&free), held(&free, &bounds)), ((Some(3), 8), None));
    let resting = settled(Some(&free), HpaRange::Hold(1));
    assert_eq!((range(&resting), held(&resting, &bounds)), ((Some(1), 1), Some(1)));
    assert_eq!(difference(&free, &resting), ["minReplicas", "maxReplicas"]);

    assert_eq!(
        settled(Some(&resting), HpaRange::Keep),
        resting,
        "a failing source, a restart: it goes on resting"
    );
    assert_eq!(settled(Some(&free), HpaRange::Keep), free);
    assert_eq!(settled(None, HpaRange::Keep), free);
    assert_eq!(settled(Some(&resting), HpaRange::Follow), free);

    let no_idle = Bounds { idle: None, ..bounds };
    let mut hpa = wanted.clone();
    settle(&mut hpa, Some(&resting), HpaRange::Keep, &no_idle);
    assert_eq!(hpa, free, "the idle count was removed from the spec");
}

/// Polls and an HPA that enforces its bounds, in turn. Upstream's pair alternates between one and three here.
#[test]
fn idle_and_the_hpa_do_not_fight() {
    let bounds = Bounds { min: 3, max: 8, idle: Some(1) };
    let spec = json!({ "idleReplicaCount": 1, "minReplicaCount": 3, "maxReplicaCount": 8 });
    let free = built(&object(json!({}), spec));
    let mut live = stored(&free);
    let mut replicas = 5;
    let mut poll = |active: bool| {
        let decision = decide(&Situation {
            now: Timestamp::from_second(1000).unwrap(),
            created: Timestamp::UNIX_EPOCH,
            last_active: None,
            current: Ok(replicas),
            bounds,
            cooldown: SignedDuration::ZERO,
            initial_cooldown: SignedDuration::ZERO,
            annotations: Annotations::default(),
            activity: Activity { active, complete: true, ..Activity::default() },
            fallback: None,
        });
        let mut wanted = free.clone();
        settle(&mut wanted, Some(&live), decision.hpa, &bounds);
        let writes = usize::from(!difference(&live, &wanted).is_empty());
        live = stored(&wanted);
        replicas = decision.action.change().map_or(replicas, |(_, to)| to);
        let range = live.spec.as_ref().unwrap();
        replicas = replicas.clamp(range.min_replicas.unwrap(), range.max_replicas);
        (replicas, writes)
    };

    assert_eq!(poll(false), (1, 1));
    for _ in 0..5 {
        assert_eq!(poll(false), (1, 0), "at rest, and nothing is written");
    }
    assert_eq!(poll(true), (3, 1));
    assert_eq!(poll(true), (3, 0));
    assert_eq!(poll(false), (1, 1));
}

fn said(status: &str, reason: Option<&str>, message: Option<&str>) -> Option<Condition> {
    let condition =
        json!({ "type": "ScalingActive", "status": status, "reason": reason, "message": message });
    let able = json!({ "type": "AbleToScale", "status": "False", "reason": "FailedGetScale" });
    let hpa = json!({
        "metadata": {},
        "status": { "desiredReplicas": 1, "conditions": [able, condition] },
    });
    health(&serde_json::from_value(hpa).unwrap())
}

#[test]
fn the_hpas_health_becomes_a_condition() {
    let condition = |status, reason: &str, message: &str| {
        Some(Condition::new(Condition::HPA_ACTIVE, status, reason, message))
    };
    assert_eq!(
        said("True", Some("ValidMetricFound"), Some("the HPA was able")),
        condition(ConditionStatus::True, "HPAActive", "HPA is actively scaling")
    );
    assert_eq!(
        said(
            "False",
            Some("ScalingDisabled"),
            Some("scaling is disabled since the replica count of the target is zero")
        ),
        condition(
            ConditionStatus::True,
            "ScalingDisabled",
            "scaling is disabled since the replica count of the target is zero"
        )
    );
    assert_eq!(
        said("False", Some("FailedGetExternalMetric"), Some("unable")),
        condition(ConditionStatus::False, "FailedGetExternalMetric", "HPA is not actively scaling: unable")
    );
    assert_eq!(
        said("False", None, None),
        condition(ConditionStatus::False, "HPAMetricsUnavailable", "HPA is not actively scaling: ")
    );
    assert_eq!(health(&built(&object(json!({}), json!({})))), None);
}

proptest! {
    #[test]
    fn nothing_the_server_does_to_a_target_is_a_difference(target in 0.001f64..1e12, value: bool) {
        let web = object(json!({}), json!({}));
        let target_type = if value { TargetType::Value } else { TargetType::AverageValue };
        let specs = [MetricSpec::External { name: "s0-x".to_owned(), target_type, target: metric::clamped(target) }];
        let wanted = build(&web, &specs);
        prop_assert_eq!(difference(&stored(&wanted), &wanted), Vec::<String>::new());
    }
}
