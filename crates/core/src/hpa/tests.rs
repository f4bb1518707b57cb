//! The desired object against the tables of upstream's behaviour; the live one as an API server returns it.

mod desired;
mod live;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use keda_api::{GroupVersionKindResource, ScaledObject};
use serde_json::{Value, json};

use crate::metric::{self, MetricSpec, Resource, TargetType};

/// `prod/web`, with whatever the test adds to metadata and spec.
fn object(metadata: Value, spec: Value) -> ScaledObject {
    let mut object = json!({
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": { "name": "web", "namespace": "prod", "uid": "1b4e28ba" },
        "spec": { "scaleTargetRef": { "name": "web-server" }, "triggers": [] },
    });
    for (part, additions) in [("metadata", metadata), ("spec", spec)] {
        for (key, value) in additions.as_object().unwrap() {
            object[part][key] = value.clone();
        }
    }
    serde_json::from_value(object).unwrap()
}

fn deployment() -> GroupVersionKindResource {
    GroupVersionKindResource {
        group: "apps".to_owned(),
        version: "v1".to_owned(),
        kind: "Deployment".to_owned(),
        resource: "deployments".to_owned(),
    }
}

fn spec(name: &str, target: f64) -> MetricSpec {
    MetricSpec::External {
        name: name.to_owned(),
        target_type: TargetType::AverageValue,
        target: metric::clamped(target),
    }
}

fn build(object: &ScaledObject, specs: &[MetricSpec]) -> HorizontalPodAutoscaler {
    super::desired(object, &deployment(), specs, "0.1.0").unwrap()
}

fn built(object: &ScaledObject) -> HorizontalPodAutoscaler {
    build(object, &[spec("s0-prometheus", 5.0)])
}
