//! The HorizontalPodAutoscaler of a ScaledObject: what it should be, and whether the live one is that.
//!
//! [`desired`] builds the whole object (`controllers/keda/hpa.go`); the operator creates it, or compares it with the live
//! one by [`difference`] and replaces that when any part differs. What the API server adds of itself (defaults of the
//! behaviour, another spelling of a quantity) is no difference, or every reconcile would write. [`settle`] narrows the
//! bounds while an object rests at an idle count, [`health`] reads the condition back.

mod behavior;
mod difference;
mod health;
mod range;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricSource, CrossVersionObjectReference, ExternalMetricSource,
    HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec as WireMetric,
    MetricTarget, ResourceMetricSource,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as WireQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use keda_api::{GroupVersionKindResource, Quantity, ScaledObject, keys};

pub(crate) use behavior::as_stored as behavior_as_stored;
pub use difference::difference;
pub use health::health;
pub use range::{held, settle};

use crate::metric::{self, MetricSpec, TargetType};
use crate::names;
use crate::pause::Annotations;

/// Upstream's default for `maxReplicaCount`.
const DEFAULT_MAX: i32 = 100;

/// Why an object cannot have an HPA.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No trigger has a metric. Upstream's text.
    #[error("no metric specs returned from scalers for ScaledObject {0}")]
    NoMetrics(String),
    /// Two metrics of one name. Upstream's text.
    #[error("metricName {metric} defined multiple times in ScaledObject {object}")]
    Duplicate {
        /// The name.
        metric: String,
        /// The ScaledObject.
        object: String,
    },
    /// The API server would refuse a metric.
    #[error(transparent)]
    Metric(#[from] metric::Error),
    /// The object does not come from an API server.
    #[error("the ScaledObject has no {0}")]
    Incomplete(&'static str),
}

/// The HPA that `object` should have, for the resolved type of its target and the metrics of its triggers (in trigger
/// order). `version` is ours, for the label.
///
/// # Errors
/// [`Error`]: no metric, two of one name, or one that the API server would refuse.
pub fn desired(
    object: &ScaledObject,
    target: &GroupVersionKindResource,
    specs: &[MetricSpec],
    version: &str,
) -> Result<HorizontalPodAutoscaler, Error> {
    let name = object.metadata.name.as_deref().ok_or(Error::Incomplete("name"))?;
    let namespace = object.metadata.namespace.as_deref().ok_or(Error::Incomplete("namespace"))?;
    let uid = object.metadata.uid.as_deref().ok_or(Error::Incomplete("uid"))?;
    check(specs, namespace, name)?;

    let hpa_name = names::hpa_name(object);
    let annotations = object.metadata.annotations.clone().filter(|all| !all.is_empty());
    // A count that cannot be read says nothing about the directions.
    let pauses = Annotations::parse(annotations.as_ref()).unwrap_or_else(|error| *error.annotations());
    let configured = object
        .spec
        .advanced
        .as_ref()
        .and_then(|advanced| advanced.horizontal_pod_autoscaler_config.as_ref())
        .and_then(|config| config.behavior.as_ref());

    let mut sorted: Vec<&MetricSpec> = specs.iter().collect();
    sorted.sort_by_key(|spec| spec.kind());

    Ok(HorizontalPodAutoscaler {
        metadata: ObjectMeta {
            labels: Some(labels(object, name, &hpa_name, version)),
            annotations,
            name: Some(hpa_name),
            namespace: Some(namespace.to_owned()),
            owner_references: Some(vec![OwnerReference {
                api_version: "keda.sh/v1alpha1".to_owned(),
                kind: "ScaledObject".to_owned(),
                name: name.to_owned(),
                uid: uid.to_owned(),
                controller: Some(true),
                block_owner_deletion: Some(true),
            }]),
            ..ObjectMeta::default()
        },
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some(target.api_version()),
                kind: target.kind.clone(),
                name: object.spec.scale_target_ref.name.clone(),
            },
            min_replicas: Some(object.spec.min_replica_count.unwrap_or(0).max(1)),
            max_replicas: object.spec.max_replica_count.unwrap_or(DEFAULT_MAX),
            behavior: behavior::with_pauses(configured, pauses.scale_in, pauses.scale_out),
            metrics: Some(sorted.into_iter().map(|spec| wire(spec, name)).collect()),
        }),
        status: None,
    })
}

/// What the API server would refuse, or would take and not work with.
fn check(specs: &[MetricSpec], namespace: &str, name: &str) -> Result<(), Error> {
    if specs.is_empty() {
        return Err(Error::NoMetrics(format!("{namespace}/{name}")));
    }
    let mut seen = BTreeSet::new();
    for spec in specs {
        spec.check()?;
        // Resources have no names of their own: cpu may be there twice, for two containers.
        if spec.external_name().is_some_and(|name| !seen.insert(name)) {
            return Err(Error::Duplicate { metric: spec.name().to_owned(), object: name.to_owned() });
        }
    }
    Ok(())
}

/// Four labels of ours, then the object's own, which win, but for those it excludes by annotation (a comma list that is
/// not trimmed).
fn labels(object: &ScaledObject, name: &str, hpa_name: &str, version: &str) -> BTreeMap<String, String> {
    let excluded: Vec<&str> = object
        .metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(keys::HPA_EXCLUDED_LABELS))
        .map(|list| list.split(',').collect())
        .unwrap_or_default();
    // The controller puts this label on the object; the HPA should not depend on which write comes first.
    let own = [(keys::SCALED_OBJECT_NAME.to_owned(), name.to_owned())];
    let inherited = object.metadata.labels.clone().unwrap_or_default().into_iter().chain(own);

    let mut labels = BTreeMap::from([
        ("app.kubernetes.io/name".to_owned(), names::label_value(hpa_name).to_owned()),
        ("app.kubernetes.io/version".to_owned(), version.to_owned()),
        ("app.kubernetes.io/part-of".to_owned(), name.to_owned()),
        ("app.kubernetes.io/managed-by".to_owned(), "keda-operator".to_owned()),
    ]);
    labels.extend(inherited.filter(|(key, _)| !excluded.contains(&key.as_str())));
    labels
}

/// One entry of `spec.metrics`.
fn wire(spec: &MetricSpec, object_name: &str) -> WireMetric {
    match spec {
        MetricSpec::External { name, target_type, target } => {
            let amount = Some(WireQuantity(metric::hpa_text(target)));
            let (average_value, value) = match target_type {
                TargetType::AverageValue => (amount, None),
                TargetType::Value | TargetType::Utilization => (None, amount),
            };
            WireMetric {
                type_: spec.kind().to_owned(),
                external: Some(ExternalMetricSource {
                    metric: MetricIdentifier {
                        name: name.clone(),
                        selector: Some(LabelSelector {
                            match_labels: Some(BTreeMap::from([(
                                keys::SCALED_OBJECT_NAME.to_owned(),
                                object_name.to_owned(),
                            )])),
                            match_expressions: None,
                        }),
                    },
                    target: MetricTarget {
                        type_: target_type.as_str().to_owned(),
                        average_value,
                        value,
                        average_utilization: None,
                    },
                }),
                ..WireMetric::default()
            }
        }
        MetricSpec::Resource { resource, container, target_type, target } => {
            let name = resource.as_str().to_owned();
            let target = resource_target(*target_type, target);
            let metric = WireMetric { type_: spec.kind().to_owned(), ..WireMetric::default() };
            match container.clone() {
                None => WireMetric { resource: Some(ResourceMetricSource { name, target }), ..metric },
                Some(container) => WireMetric {
                    container_resource: Some(ContainerResourceMetricSource { name, container, target }),
                    ..metric
                },
            }
        }
    }
}

/// Percent as a whole number, or an amount as Kubernetes spells it.
fn resource_target(target_type: TargetType, target: &Quantity) -> MetricTarget {
    let percent = target_type == TargetType::Utilization;
    MetricTarget {
        type_: target_type.as_str().to_owned(),
        average_utilization: percent.then(|| i32::try_from(target.whole()).unwrap_or(i32::MAX)),
        average_value: (!percent).then(|| WireQuantity(target.to_string())),
        value: None,
    }
}

#[cfg(test)]
mod tests;
