//! cpu and memory triggers need something to be a percentage of, and something that runs (core.md 1.8, platform.md 4.3).

use k8s_openapi::api::core::v1::{LimitRange, PodTemplateSpec, ResourceRequirements};
use keda_api::{Quantity, ScaleTrigger, ScaledObject};

use super::{Violation, scaled_object::target_type};

/// Whether the HPA reads this trigger's metric by itself.
pub fn of_pods(trigger: &ScaleTrigger) -> bool {
    matches!(trigger.r#type.as_str(), "cpu" | "memory")
}

/// Whether the target's containers matter: a cpu or memory trigger on one of the two kinds that everybody has.
pub fn matter(object: &ScaledObject) -> bool {
    let (api_version, kind) = target_type(&object.spec.scale_target_ref);
    api_version == "apps/v1"
        && matches!(kind.as_str(), "Deployment" | "StatefulSet")
        && object.spec.triggers.iter().any(of_pods)
}

/// Of which of the two resources there is a positive amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Of cpu.
    pub cpu: bool,
    /// Of memory.
    pub memory: bool,
}

impl Amounts {
    fn of(&self, resource: &str) -> bool {
        if resource == "cpu" { self.cpu } else { self.memory }
    }

    fn read(positive: impl Fn(&str) -> bool) -> Self {
        Self { cpu: positive("cpu"), memory: positive("memory") }
    }

    /// What a container asks for, or may have at most.
    pub fn of_container(resources: Option<&ResourceRequirements>) -> Self {
        let lists = || resources.into_iter().flat_map(|it| [&it.requests, &it.limits]).flatten();
        Self::read(|resource| {
            lists().any(|amounts| amounts.get(resource).is_some_and(|amount| positive(&amount.0)))
        })
    }

    /// What a LimitRange gives containers that ask for nothing.
    pub fn of_limit_range(range: &LimitRange) -> Self {
        let limits =
            || range.spec.iter().flat_map(|spec| &spec.limits).filter(|limit| limit.type_ == "Container");
        Self::read(|resource| {
            let lists = limits().flat_map(|limit| [&limit.default, &limit.default_request]).flatten();
            lists.into_iter().any(|amounts| amounts.get(resource).is_some_and(|amount| positive(&amount.0)))
        })
    }

    /// Of which there is an amount in any of them.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { cpu: self.cpu || other.cpu, memory: self.memory || other.memory }
    }
}

/// The containers of a workload, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Containers(pub Vec<(String, Amounts)>);

impl Containers {
    /// Those of a pod template.
    pub fn of(template: &PodTemplateSpec) -> Self {
        let containers = template.spec.iter().flat_map(|spec| &spec.containers);
        Self(
            containers
                .map(|container| {
                    (container.name.clone(), Amounts::of_container(container.resources.as_ref()))
                })
                .collect(),
        )
    }
}

/// Whether every container has what the triggers measure by, where [`matter`] says that it matters. `defaults`: what the
/// namespace's LimitRanges give.
pub fn check(object: &ScaledObject, containers: &Containers, defaults: Amounts) -> Vec<Violation> {
    let mut violations = Vec::new();
    let triggers = object.spec.triggers.iter().enumerate();
    for (index, trigger) in triggers.filter(|(_, trigger)| of_pods(trigger)) {
        let resource = trigger.r#type.as_str();
        let only = trigger.metadata.get("containerName").filter(|name| !name.is_empty());
        for (container, amounts) in &containers.0 {
            let concerned = only.is_none_or(|only| container == only);
            if concerned && !amounts.of(resource) && !defaults.of(resource) {
                let text = format!(
                    "the scaledobject has a {resource} trigger but the container {container} doesn't have the {resource} \
                     request defined"
                );
                violations.push(Violation::new("missing-requests", format!("spec.triggers[{index}]"), text));
            }
        }
    }
    if object.spec.triggers.iter().all(of_pods) && object.spec.min_replica_count.unwrap_or(0) == 0 {
        let text = "scaledobject has only cpu/memory triggers AND minReplica is 0 (scale to zero doesn't work in this case)";
        violations.push(Violation::new("scale-to-zero-requirements-not-met", "spec.minReplicaCount", text));
    }
    violations
}

fn positive(amount: &str) -> bool {
    amount.parse::<Quantity>().is_ok_and(|amount| !amount.is_zero() && !amount.is_negative())
}
