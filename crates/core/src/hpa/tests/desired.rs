use super::super::{Error, desired, difference};
use super::*;

#[test]
fn the_whole_object() {
    let object = object(
        json!({
            "labels": { "team": "a", "scaledobject.keda.sh/name": "web" },
            "annotations": { "note": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}" },
        }),
        json!({ "minReplicaCount": 2, "maxReplicaCount": 8 }),
    );
    let hpa = build(&object, &[spec("s0-prometheus", 2.5)]);
    assert_eq!(
        serde_json::to_value(hpa).unwrap(),
        json!({
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {
                "name": "keda-hpa-web",
                "namespace": "prod",
                "labels": {
                    "app.kubernetes.io/name": "keda-hpa-web",
                    "app.kubernetes.io/version": "0.1.0",
                    "app.kubernetes.io/part-of": "web",
                    "app.kubernetes.io/managed-by": "keda-operator",
                    "scaledobject.keda.sh/name": "web",
                    "team": "a",
                },
                "annotations": { "note": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}" },
                "ownerReferences": [{
                    "apiVersion": "keda.sh/v1alpha1",
                    "kind": "ScaledObject",
                    "name": "web",
                    "uid": "1b4e28ba",
                    "controller": true,
                    "blockOwnerDeletion": true,
                }],
            },
            "spec": {
                "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web-server" },
                "minReplicas": 2,
                "maxReplicas": 8,
                "metrics": [{
                    "type": "External",
                    "external": {
                        "metric": {
                            "name": "s0-prometheus",
                            "selector": { "matchLabels": { "scaledobject.keda.sh/name": "web" } },
                        },
                        "target": { "type": "AverageValue", "averageValue": "2.500" },
                    },
                }],
            },
        })
    );
}

#[test]
fn bounds_have_defaults_and_the_minimum_is_at_least_one() {
    for (given, min, max) in [
        (json!({}), 1, 100),
        (json!({ "minReplicaCount": 0 }), 1, 100),
        (json!({ "minReplicaCount": 4, "maxReplicaCount": 4, "idleReplicaCount": 0 }), 4, 4),
    ] {
        let spec = built(&object(json!({}), given)).spec.unwrap();
        assert_eq!((spec.min_replicas, spec.max_replicas), (Some(min), max));
    }
}

#[test]
fn the_objects_labels_win_over_ours_and_excluded_ones_stay_behind() {
    let object = object(
        json!({
            "labels": { "app.kubernetes.io/managed-by": "me", "team": "a", "cost": "1", "spaced": "kept" },
            "annotations": { "scaledobject.keda.sh/hpa-excluded-labels": "team, spaced,cost" },
        }),
        json!({}),
    );
    let labels = built(&object).metadata.labels.unwrap();
    assert_eq!(labels["app.kubernetes.io/managed-by"], "me");
    assert_eq!(labels["scaledobject.keda.sh/name"], "web", "there even before the object has it");
    assert!(!labels.contains_key("team") && !labels.contains_key("cost"));
    assert_eq!(labels["spaced"], "kept", "the list is not trimmed: it names ' spaced'");
}

#[test]
fn a_long_name_is_a_valid_label() {
    let name = format!("{}-{}", "a".repeat(62), "b");
    let advanced = json!({ "advanced": { "horizontalPodAutoscalerConfig": { "name": name } } });
    let hpa = built(&object(json!({}), advanced));
    assert_eq!(hpa.metadata.name.as_deref(), Some(name.as_str()));
    assert_eq!(hpa.metadata.labels.unwrap()["app.kubernetes.io/name"], "a".repeat(62));
}

#[test]
fn no_annotations_stay_no_annotations() {
    assert_eq!(built(&object(json!({}), json!({}))).metadata.annotations, None);
    assert_eq!(built(&object(json!({ "annotations": {} }), json!({}))).metadata.annotations, None);
}

fn behavior(annotations: &Value, behavior: &Value) -> Value {
    let mut spec = json!({});
    if !behavior.is_null() {
        spec = json!({ "advanced": { "horizontalPodAutoscalerConfig": { "behavior": behavior } } });
    }
    let hpa = built(&object(json!({ "annotations": annotations }), spec));
    serde_json::to_value(hpa.spec.unwrap().behavior).unwrap()
}

#[test]
fn the_users_behavior_is_taken_over() {
    assert_eq!(behavior(&json!({}), &Value::Null), Value::Null);
    let wanted = json!({ "scaleDown": { "stabilizationWindowSeconds": 15, "tolerance": "50m" } });
    assert_eq!(behavior(&json!({}), &wanted), wanted);
}

#[test]
fn a_paused_direction_is_disabled_and_the_rest_stays() {
    let scale_in = json!({ "autoscaling.keda.sh/paused-scale-in": "true" });
    assert_eq!(behavior(&scale_in, &Value::Null), json!({ "scaleDown": { "selectPolicy": "Disabled" } }));
    assert_eq!(
        behavior(
            &scale_in,
            &json!({ "scaleDown": { "stabilizationWindowSeconds": 15, "selectPolicy": "Min" } })
        ),
        json!({ "scaleDown": { "stabilizationWindowSeconds": 15, "selectPolicy": "Disabled" } })
    );
    let both =
        json!({ "autoscaling.keda.sh/paused-scale-in": "", "autoscaling.keda.sh/paused-scale-out": "1" });
    assert_eq!(
        behavior(&both, &Value::Null),
        json!({ "scaleDown": { "selectPolicy": "Disabled" }, "scaleUp": { "selectPolicy": "Disabled" } })
    );
    let off = json!({ "autoscaling.keda.sh/paused-scale-in": "false" });
    assert_eq!(behavior(&off, &Value::Null), Value::Null);
    let unreadable =
        json!({ "autoscaling.keda.sh/paused-replicas": "x", "autoscaling.keda.sh/paused-scale-in": "true" });
    assert_eq!(behavior(&unreadable, &Value::Null), json!({ "scaleDown": { "selectPolicy": "Disabled" } }));
}

#[test]
fn value_targets_stand_under_value() {
    let spec = MetricSpec::External {
        name: "s1-x".to_owned(),
        target_type: TargetType::Value,
        target: metric::integer(1000),
    };
    let target = build(&object(json!({}), json!({})), &[spec]).spec.unwrap().metrics.unwrap()[0].clone();
    assert_eq!(
        serde_json::to_value(target.external.unwrap().target).unwrap(),
        json!({ "type": "Value", "value": "1k" })
    );
}

#[test]
fn metrics_keep_the_order_of_their_triggers() {
    let specs: Vec<_> = (0..12).map(|index| spec(&format!("s{index}-x"), 1.0)).collect();
    let metrics = build(&object(json!({}), json!({})), &specs).spec.unwrap().metrics.unwrap();
    let names: Vec<_> = metrics.into_iter().map(|metric| metric.external.unwrap().metric.name).collect();
    assert_eq!(names, specs.iter().map(|spec| spec.name().to_owned()).collect::<Vec<_>>());
}

#[test]
fn a_core_group_target_has_no_group() {
    let mut target = deployment();
    target.group.clear();
    target.kind = "ReplicationController".to_owned();
    let hpa = desired(&object(json!({}), json!({})), &target, &[spec("s0-x", 1.0)], "0.1.0").unwrap();
    assert_eq!(hpa.spec.unwrap().scale_target_ref.api_version.as_deref(), Some("v1"));
}

#[test]
fn refusals_name_their_reason() {
    let web = object(json!({}), json!({}));
    let refuse = |specs: &[MetricSpec]| desired(&web, &deployment(), specs, "0.1.0").unwrap_err().to_string();
    assert_eq!(refuse(&[]), "no metric specs returned from scalers for ScaledObject prod/web");
    assert_eq!(
        refuse(&[spec("s0-a", 1.0), spec("s1-b", 1.0), spec("s0-a", 2.0)]),
        "metricName s0-a defined multiple times in ScaledObject web"
    );
    assert!(refuse(&[spec("s0-a", 0.0)]).contains("an HPA target must be positive"));
    assert!(refuse(&[spec("s0-a/b", 1.0)]).contains("may not contain '/'"));

    let mut nameless = web.clone();
    nameless.metadata.uid = None;
    assert_eq!(
        desired(&nameless, &deployment(), &[spec("s0-a", 1.0)], "0.1.0").unwrap_err(),
        Error::Incomplete("uid")
    );
}

#[test]
fn resources_stand_around_the_external_metrics() {
    let resource = |resource, container: Option<&str>, target_type, target: &str| MetricSpec::Resource {
        resource,
        container: container.map(str::to_owned),
        target_type,
        target: target.parse().unwrap(),
    };
    let specs = [
        resource(Resource::Memory, None, TargetType::AverageValue, "100Mi"),
        spec("s1-prometheus", 5.0),
        resource(Resource::Cpu, Some("app"), TargetType::Utilization, "60"),
        resource(Resource::Cpu, None, TargetType::Utilization, "50"),
        resource(Resource::Cpu, Some("proxy"), TargetType::AverageValue, "0.25"),
    ];
    let hpa = build(&object(json!({}), json!({})), &specs);
    let metrics = serde_json::to_value(hpa.spec.clone().unwrap().metrics).unwrap();
    assert_eq!(metrics[2]["type"], "External");
    let container = |name: &str, target: serde_json::Value| {
        json!({
            "type": "ContainerResource",
            "containerResource": { "name": "cpu", "container": name, "target": target },
        })
    };
    assert_eq!(metrics[0], container("app", json!({ "type": "Utilization", "averageUtilization": 60 })));
    assert_eq!(metrics[1], container("proxy", json!({ "type": "AverageValue", "averageValue": "250m" })));
    assert_eq!(
        metrics[3],
        json!({
            "type": "Resource",
            "resource": { "name": "memory", "target": { "type": "AverageValue", "averageValue": "100Mi" } },
        })
    );
    assert_eq!(
        metrics[4],
        json!({
            "type": "Resource",
            "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 50 } },
        })
    );

    let mut live = hpa.clone();
    let metrics = live.spec.as_mut().unwrap().metrics.as_mut().unwrap();
    let target = &mut metrics[1].container_resource.as_mut().unwrap().target;
    target.average_value = Some(k8s_openapi::apimachinery::pkg::api::resource::Quantity("0.25".to_owned()));
    assert!(difference(&live, &hpa).is_empty(), "another spelling of the same number");
    let metrics = live.spec.as_mut().unwrap().metrics.as_mut().unwrap();
    metrics[4].resource.as_mut().unwrap().target.average_utilization = Some(51);
    assert_eq!(difference(&live, &hpa), ["metrics"]);
}
