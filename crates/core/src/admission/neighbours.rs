//! Rules between objects of one namespace: one workload has one ScaledObject, and no HPA of somebody else's.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use keda_api::{ScaledObject, keys};

use super::{Violation, scaled_object::target_type};
use crate::names;

/// A workload as others refer to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Workload {
    /// `group/version`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl Workload {
    /// `group/version.Kind`, as messages write a type.
    fn gvk(&self) -> String {
        format!("{}.{}", self.api_version, self.kind)
    }
}

/// What a ScaledObject takes for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The ScaledObject's name.
    pub by: String,
    /// The workload that it scales.
    pub workload: Workload,
    /// The name of its HPA.
    pub autoscaler: String,
    /// When the ScaledObject was created; nothing before the API server stored it.
    pub created: Option<jiff::Timestamp>,
}

impl Claim {
    /// The claim of an object.
    pub fn of(object: &ScaledObject) -> Self {
        let (api_version, kind) = target_type(&object.spec.scale_target_ref);
        Self {
            by: object.metadata.name.clone().unwrap_or_default(),
            workload: Workload { api_version, kind, name: object.spec.scale_target_ref.name.clone() },
            autoscaler: names::hpa_name(object),
            created: object.metadata.creation_timestamp.as_ref().map(|time| time.0),
        }
    }

    /// Older claims come first; of one second, by name.
    pub fn age(&self) -> impl Ord + use<'_> {
        (self.created, self.by.as_str())
    }

    /// Of these, the eldest one that is in the way of this claim's workload, and the eldest in the way of its HPA's name.
    pub fn eldest<'a>(&self, others: &'a [Self]) -> Vec<&'a Self> {
        let rivals = || others.iter().filter(|other| other.by != self.by);
        let workload =
            rivals().filter(|other| other.workload == self.workload).min_by_key(|other| other.age());
        let autoscaler =
            rivals().filter(|other| other.autoscaler == self.autoscaler).min_by_key(|other| other.age());
        let twice = workload.zip(autoscaler).is_some_and(|(one, other)| one.by == other.by);
        workload.into_iter().chain(autoscaler.filter(|_| !twice)).collect()
    }

    /// Whether another claim is in the way of this one. One's own is not.
    pub fn conflicts(&self, other: &Claim) -> bool {
        self.by != other.by && (self.workload == other.workload || self.autoscaler == other.autoscaler)
    }
}

/// An HPA, as far as ownership goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Autoscaler {
    /// Its name.
    pub name: String,
    /// The workload that it scales.
    pub workload: Workload,
    /// The ScaledObjects that own it.
    pub owners: Vec<String>,
    /// Its annotation says not to look at it.
    pub unchecked: bool,
}

impl Autoscaler {
    /// What matters of an HPA.
    pub fn of(autoscaler: &HorizontalPodAutoscaler) -> Self {
        let metadata = &autoscaler.metadata;
        let target = autoscaler.spec.as_ref().map(|spec| spec.scale_target_ref.clone()).unwrap_or_default();
        let owners = metadata.owner_references.iter().flatten();
        let annotations = metadata.annotations.as_ref();
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            workload: Workload {
                api_version: target.api_version.unwrap_or_default(),
                kind: target.kind,
                name: target.name,
            },
            owners: owners
                .filter(|owner| owner.kind == "ScaledObject")
                .map(|owner| owner.name.clone())
                .collect(),
            unchecked: annotations
                .and_then(|all| all.get(keys::HPA_OWNERSHIP))
                .is_some_and(|word| word == "false"),
        }
    }
}

/// Other ScaledObjects of the namespace that scale the same workload, or want an HPA of the same name.
pub fn other_objects<'a>(own: &Claim, others: impl IntoIterator<Item = &'a Claim>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for other in others.into_iter().filter(|other| own.conflicts(other)) {
        if other.workload == own.workload {
            let text = format!(
                "the workload '{}' of type '{}' is already managed by the ScaledObject '{}'",
                own.workload.name,
                own.workload.gvk(),
                other.by
            );
            violations.push(Violation::new("other-scaled-object", "spec.scaleTargetRef.name", text));
        }
        if other.autoscaler == own.autoscaler {
            let text =
                format!("the HPA '{}' is already managed by the ScaledObject '{}'", own.autoscaler, other.by);
            let path = "spec.advanced.horizontalPodAutoscalerConfig.name";
            violations.push(Violation::new("other-scaled-object-hpa", path, text));
        }
    }
    violations
}

/// HPAs of the namespace that scale the same workload and belong to somebody else.
///
/// Left out are those that say so by their annotation, as upstream has it, and all of them where the ScaledObject says so,
/// as upstream's documentation has it.
pub fn other_autoscalers<'a>(
    object: &ScaledObject,
    own: &Claim,
    autoscalers: impl IntoIterator<Item = &'a Autoscaler>,
) -> Vec<Violation> {
    const PATH: &str = "spec.scaleTargetRef.name";
    let annotation =
        |key| object.metadata.annotations.as_ref().and_then(|all| all.get(key)).map(String::as_str);
    if annotation(keys::HPA_OWNERSHIP) == Some("false") {
        return Vec::new();
    }
    let foreign = autoscalers.into_iter().filter(|autoscaler| {
        !autoscaler.unchecked && autoscaler.workload == own.workload && !autoscaler.owners.contains(&own.by)
    });
    let (name, kind) = (&own.workload.name, own.workload.gvk());
    let transfers = annotation(keys::TRANSFER_HPA_OWNERSHIP) == Some("true");
    foreign
        .filter_map(|autoscaler| {
            let hpa = &autoscaler.name;
            if !transfers {
                let text = format!("the workload '{name}' of type '{kind}' is already managed by the hpa '{hpa}'");
                return Some(Violation::new("other-hpa", PATH, text));
            }
            (chosen_name(object) != Some(hpa)).then(|| {
                let text = format!(
                    "the existing hpa '{hpa}' for workload '{name}' of type '{kind}' must be specified by name in advanced \
                     settings to enable ownership transfer"
                );
                Violation::new("transfer-ownership-missing-hpa-name", PATH, text)
            })
        })
        .collect()
}

/// The name that the user gave the HPA.
fn chosen_name(object: &ScaledObject) -> Option<&String> {
    object.spec.advanced.as_ref()?.horizontal_pod_autoscaler_config.as_ref()?.name.as_ref()
}
