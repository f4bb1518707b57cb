use keda_api::{Advanced, HorizontalPodAutoscalerConfig};

use super::*;

fn object(name: &str, hpa: Option<&str>) -> ScaledObject {
    let mut object = ScaledObject::default();
    object.metadata.name = Some(name.to_owned());
    if let Some(hpa) = hpa {
        object.spec.advanced = Some(Advanced {
            horizontal_pod_autoscaler_config: Some(HorizontalPodAutoscalerConfig {
                name: Some(hpa.to_owned()),
                behavior: None,
            }),
            ..Advanced::default()
        });
    }
    object
}

#[test]
fn six_characters_become_hyphens_and_nothing_else_changes() {
    let cases = [
        ("prometheus", "prometheus"),
        ("a/b.c:d%e(f)g", "a-b-c-d-e-f-g"),
        ("cron-Etc/UTC-0xSl2xxx-01-23Sl2xxx", "cron-Etc-UTC-0xSl2xxx-01-23Sl2xxx"),
        ("Queue_Name@x", "Queue_Name@x"),
        ("", ""),
    ];
    for (given, wanted) in cases {
        assert_eq!(normalize(given), wanted);
    }
}

#[test]
fn the_index_comes_first() {
    assert_eq!(with_index(0, "prometheus"), "s0-prometheus");
    assert_eq!(with_index(12, "cron-Etc-UTC"), "s12-cron-Etc-UTC");
}

#[test]
fn the_hpa_is_called_after_the_object_unless_the_user_chose_a_name() {
    assert_eq!(hpa_name(&object("web", None)), "keda-hpa-web");
    assert_eq!(hpa_name(&object("web", Some("mine"))), "mine");
    assert_eq!(hpa_name(&object("web", Some(""))), "keda-hpa-web");
}

#[test]
fn label_values_fit_and_end_in_a_letter_or_digit() {
    assert_eq!(label_value("keda-hpa-web"), "keda-hpa-web");
    let long = format!("{}--{}", "a".repeat(61), "b".repeat(20));
    assert_eq!(label_value(&long), "a".repeat(61));
    assert_eq!(label_value(&"c".repeat(80)).len(), 63);
    assert_eq!(label_value("web-._"), "web");
    assert_eq!(label_value(&"ü".repeat(40)), "");
}

#[test]
fn types_are_written_with_a_slash_even_in_the_core_group() {
    let mut target = GroupVersionKindResource {
        group: "apps".to_owned(),
        version: "v1".to_owned(),
        kind: "Deployment".to_owned(),
        resource: "deployments".to_owned(),
    };
    assert_eq!(gvk(&target), "apps/v1.Deployment");
    target.group.clear();
    assert_eq!(gvk(&target), "/v1.Deployment");
}
