//! The rules of a ScaledJob. Upstream's webhook knows those of its triggers only ([`super::scaled_object::triggers`]); the
//! others stand for what the API server, or the controller, would refuse later (docs/differences.md).

use keda_api::{ScaledJob, ScaledJobSpec};

use super::{NAME_MAX, Violation, Warning};
use crate::scaled_job::{job, strategy::Strategy};

/// Upstream's text for a metric type, which Jobs have no HPA for.
const METRIC_TYPE: &str = "Cannot set metricType in ScaledJob triggers";
/// No rule of a ScaledJob has a word of its own among upstream's.
const REASON: &str = "incorrect-triggers";

/// What is wrong with the Job that it describes, and with its own name.
pub fn job(object: &ScaledJob) -> Vec<Violation> {
    let mut violations = Vec::new();
    let name = object.metadata.name.as_deref().unwrap_or_default();
    if name.len() > NAME_MAX {
        let text = format!(
            "the name of a ScaledJob becomes a label of its Jobs and can have {NAME_MAX} characters at most, {name} has {}",
            name.len()
        );
        violations.push(Violation::new("", "metadata.name", text));
    }
    let mut object = object.clone();
    // Given by the API server, or by the request that creates it.
    object.metadata.name.get_or_insert_default();
    object.metadata.namespace.get_or_insert_default();
    object.metadata.uid.get_or_insert_default();
    if let Err(cause) = job::desired(&object, "") {
        let path = cause.split(' ').next().unwrap_or_default().to_owned();
        violations.push(Violation::new("", path, cause));
        return violations;
    }
    let path = "spec.jobTargetRef.template";
    match object.spec.job_target_ref.template.to_spec() {
        Err(cause) => violations.push(Violation::new("", path, format!("{path}: {cause}"))),
        Ok(template) => {
            let containers = template.spec.map(|spec| spec.containers).unwrap_or_default();
            if containers.is_empty() {
                let text = format!("{path}.spec.containers is empty, a Job needs at least one container");
                violations.push(Violation::new("", path, text));
            }
        }
    }
    violations
}

/// What its triggers must not have.
pub fn triggers(spec: &ScaledJobSpec) -> Vec<Violation> {
    let given = spec.triggers.iter().enumerate().filter(|(_, trigger)| {
        trigger.metric_type.as_deref().is_some_and(|metric_type| !metric_type.is_empty())
    });
    given
        .map(|(index, _)| Violation::new(REASON, format!("spec.triggers[{index}].metricType"), METRIC_TYPE))
        .collect()
}

/// What is accepted and does not do what it looks like.
pub fn warnings(spec: &ScaledJobSpec) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if let Err(text) = Strategy::of(spec.scaling_strategy.as_ref()) {
        warnings.push(Warning::new("spec.scalingStrategy.customScalingRunningJobPercentage", text));
    }
    let (min, max) = (spec.min_replica_count.unwrap_or(0), spec.max_replica_count.unwrap_or(100));
    if min > max {
        let text = format!("minReplicaCount={min} is above maxReplicaCount={max} and counts as {max}");
        warnings.push(Warning::new("spec.minReplicaCount", text));
    }
    for (index, trigger) in spec.triggers.iter().enumerate() {
        if trigger.use_cached_metrics == Some(true) {
            let text = "useCachedMetrics has no effect in a ScaledJob: only its polls ask for metrics";
            warnings.push(Warning::new(format!("spec.triggers[{index}].useCachedMetrics"), text));
        }
    }
    warnings
}
