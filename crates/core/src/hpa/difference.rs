//! Whether the live HPA is what it should be, part by part.
//!
//! The rules are upstream's (`controllers/keda/hpa.go`): what is unset in the desired spec is ignored in the live one,
//! behaviour has to be equal, labels and annotations of ours have to be there and others may be. Quantities are equal
//! when the numbers are. One part is ours: an HPA that is not owned by this very object (same name, another UID, as
//! after a delete and create) differs, else the garbage collector would take it away later.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec, MetricTarget,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as WireQuantity;
use keda_api::Quantity;

use super::behavior;

/// Names of the parts in which `live` is not as `desired`, in a fixed order; empty when nothing has to be written.
///
/// Parts: `metric count`, `metrics`, `behavior`, `scaleTargetRef`, `minReplicas`, `maxReplicas`, `labels`,
/// `annotations`, `ownerReferences`. Whatever differs, the whole of `desired` has to replace the live object: a merge
/// would leave annotations behind that differ again next time.
pub fn difference(live: &HorizontalPodAutoscaler, desired: &HorizontalPodAutoscaler) -> Vec<String> {
    let nothing = HorizontalPodAutoscalerSpec::default();
    let live_spec = live.spec.as_ref().unwrap_or(&nothing);
    let spec = desired.spec.as_ref().unwrap_or(&nothing);
    let live_metrics = live_spec.metrics.as_deref().unwrap_or_default();
    let metrics = spec.metrics.as_deref().unwrap_or_default();
    let same_count = live_metrics.len() == metrics.len();

    let checks = [
        ("metric count", same_count),
        (
            "metrics",
            !same_count || metrics.iter().zip(live_metrics).all(|(want, have)| same_metric(want, have)),
        ),
        ("behavior", behavior::same(spec.behavior.as_ref(), live_spec.behavior.as_ref())),
        ("scaleTargetRef", {
            let (want, have) = (&spec.scale_target_ref, &live_spec.scale_target_ref);
            want.kind == have.kind
                && want.name == have.name
                && unset_or_equal(want.api_version.as_ref(), have.api_version.as_ref())
        }),
        ("minReplicas", unset_or_equal(spec.min_replicas.as_ref(), live_spec.min_replicas.as_ref())),
        ("maxReplicas", spec.max_replicas == live_spec.max_replicas),
        ("labels", is_subset(desired.metadata.labels.as_ref(), live.metadata.labels.as_ref())),
        ("annotations", same_annotations(desired, live)),
        ("ownerReferences", is_owned(desired, live)),
    ];
    checks.into_iter().filter(|(_, same)| !same).map(|(part, _)| part.to_owned()).collect()
}

fn unset_or_equal<T: PartialEq>(want: Option<&T>, have: Option<&T>) -> bool {
    want.is_none() || want == have
}

/// By value where both are numbers, else by text.
fn same_quantity(want: Option<&WireQuantity>, have: Option<&WireQuantity>) -> bool {
    match (want, have) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(want), Some(have)) => match (Quantity::try_from(want), Quantity::try_from(have)) {
            (Ok(want), Ok(have)) => want == have,
            _ => want == have,
        },
    }
}

fn same_metric(want: &MetricSpec, have: &MetricSpec) -> bool {
    let external = match (&want.external, &have.external) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(want), Some(have)) => {
            same_identifier(&want.metric, &have.metric) && same_target(&want.target, &have.target)
        }
    };
    external
        && want.type_ == have.type_
        && match (&want.resource, &have.resource) {
            (None, _) => true,
            (Some(want), have) => have
                .as_ref()
                .is_some_and(|have| want.name == have.name && same_target(&want.target, &have.target)),
        }
        && match (&want.container_resource, &have.container_resource) {
            (None, _) => true,
            (Some(want), have) => have.as_ref().is_some_and(|have| {
                (&want.name, &want.container) == (&have.name, &have.container)
                    && same_target(&want.target, &have.target)
            }),
        }
        && unset_or_equal(want.object.as_ref(), have.object.as_ref())
        && unset_or_equal(want.pods.as_ref(), have.pods.as_ref())
}

fn same_identifier(want: &MetricIdentifier, have: &MetricIdentifier) -> bool {
    want.name == have.name && unset_or_equal(want.selector.as_ref(), have.selector.as_ref())
}

fn same_target(want: &MetricTarget, have: &MetricTarget) -> bool {
    want.type_ == have.type_
        && same_quantity(want.value.as_ref(), have.value.as_ref())
        && same_quantity(want.average_value.as_ref(), have.average_value.as_ref())
        && unset_or_equal(want.average_utilization.as_ref(), have.average_utilization.as_ref())
}

fn is_subset(want: Option<&BTreeMap<String, String>>, have: Option<&BTreeMap<String, String>>) -> bool {
    want.into_iter().flatten().all(|(key, value)| have.and_then(|have| have.get(key)) == Some(value))
}

/// A subset; but no annotations at all means none there either, so that the last one to go does go.
fn same_annotations(desired: &HorizontalPodAutoscaler, live: &HorizontalPodAutoscaler) -> bool {
    let (want, have) = (desired.metadata.annotations.as_ref(), live.metadata.annotations.as_ref());
    match want {
        None => have.is_none_or(BTreeMap::is_empty),
        Some(_) => is_subset(want, have),
    }
}

fn is_owned(desired: &HorizontalPodAutoscaler, live: &HorizontalPodAutoscaler) -> bool {
    let owners = |hpa: &HorizontalPodAutoscaler| hpa.metadata.owner_references.clone().unwrap_or_default();
    let have = owners(live);
    owners(desired)
        .iter()
        .all(|want| have.iter().any(|have| have.uid == want.uid && have.controller == want.controller))
}
