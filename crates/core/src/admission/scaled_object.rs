//! The rules of a ScaledObject that need nothing but the object: replicas, fallback, names, formula, triggers.

use keda_api::{ScaleTarget, ScaleTrigger, ScaledObject, ScaledObjectSpec, keys};

use super::{NAME_MAX, Violation, Warning};
use crate::{
    bounds::{self, Bounds},
    fallback, formula, names, triggers,
};

/// Checks everything that can be seen in the object itself.
pub fn check(object: &ScaledObject) -> Vec<Violation> {
    let spec = &object.spec;
    let mut violations = Vec::new();
    violations.extend(replicas(spec));
    violations.extend(fallback(spec));
    violations.extend(names_fit(object));
    violations.extend(modifiers(spec));
    violations.extend(triggers(&spec.triggers));
    violations
}

/// Fewest, most and idle replicas.
pub fn replicas(spec: &ScaledObjectSpec) -> Option<Violation> {
    let cause = Bounds::of(spec).err()?;
    let path = match cause {
        bounds::Error::MinAboveMax { .. } => "spec.minReplicaCount",
        bounds::Error::IdleNotBelowMin { .. } => "spec.idleReplicaCount",
    };
    Some(Violation::new("incorrect-replicas", path, cause.to_string()))
}

/// Whether the fallback can ever be used.
pub fn fallback(spec: &ScaledObjectSpec) -> Option<Violation> {
    match fallback::plan(spec).err()? {
        // Told with the formula, under a word of its own.
        fallback::Error::NoFormula => None,
        cause => Some(Violation::new("incorrect-fallback", "spec.fallback", cause.to_string())),
    }
}

/// Whether the object's name and its HPA's fit into labels.
pub fn names_fit(object: &ScaledObject) -> Option<Violation> {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    if name.len() > NAME_MAX {
        let text = format!(
            "scaledobject name {name:?} is {} characters long; must be no more than {NAME_MAX} characters because it is used \
             as the {:?} label value",
            name.len(),
            keys::SCALED_OBJECT_NAME
        );
        return Some(Violation::new("name-too-long", "metadata.name", text));
    }
    let autoscaler = names::hpa_name(object);
    if autoscaler.len() > NAME_MAX {
        let text = format!(
            "HPA name {autoscaler:?} derived from scaledobject is {} characters long; must be no more than {NAME_MAX} \
             characters; set spec.advanced.horizontalPodAutoscalerConfig.name to a shorter name or shorten the scaledobject \
             name",
            autoscaler.len()
        );
        return Some(Violation::new(
            "hpa-name-too-long",
            "spec.advanced.horizontalPodAutoscalerConfig.name",
            text,
        ));
    }
    None
}

/// Formula, targets, metric type, and a fallback that leaves it to the formula.
pub fn modifiers(spec: &ScaledObjectSpec) -> Option<Violation> {
    if let Err(cause) = formula::modifiers(spec) {
        return Some(Violation::new("scaling-modifiers", cause.path(), cause.to_string()));
    }
    let cause = fallback::plan(spec).err().filter(|cause| *cause == fallback::Error::NoFormula)?;
    Some(Violation::new("scaling-modifiers-fallback", "spec.fallback.behavior", cause.to_string()))
}

/// What holds for triggers of any type, of a ScaledObject or a ScaledJob.
pub fn triggers(triggers: &[ScaleTrigger]) -> Option<Violation> {
    let cause = triggers::check(triggers).err()?;
    let (found, field) = match &cause {
        triggers::Error::None => (None, ""),
        triggers::Error::Duplicate(name) => {
            (triggers.iter().rposition(|trigger| trigger.name.as_ref() == Some(name)), ".name")
        }
        triggers::Error::NotCached(kind) => {
            let uses =
                |trigger: &ScaleTrigger| trigger.r#type == *kind && trigger.use_cached_metrics == Some(true);
            (triggers.iter().position(uses), ".useCachedMetrics")
        }
    };
    let path =
        found.map_or_else(|| "spec.triggers".to_owned(), |index| format!("spec.triggers[{index}]{field}"));
    Some(Violation::new("incorrect-triggers", path, cause.to_string()))
}

/// What is accepted and has no effect.
pub fn warnings(spec: &ScaledObjectSpec) -> Vec<Warning> {
    let mut warnings = Vec::new();
    // An object that never rests is scaled by its HPA alone.
    let never_rests = spec.min_replica_count.unwrap_or(0) > 0 && spec.idle_replica_count.is_none();
    let cached = spec.triggers.iter().any(|trigger| trigger.use_cached_metrics == Some(true));
    if spec.polling_interval.is_some() && never_rests && !cached {
        let text = "PollingInterval is configured but is not relevant. PollingInterval is only relevant when minReplicaCount \
                    = 0, idleReplicaCount is set, or useCachedMetrics is enabled";
        warnings.push(Warning::new("spec.pollingInterval", text));
    }
    if spec.cooldown_period.is_some() && never_rests {
        let text = "CooldownPeriod is configured but is not relevant. CooldownPeriod is only relevant when minReplicaCount = \
                    0 or idleReplicaCount is set";
        warnings.push(Warning::new("spec.cooldownPeriod", text));
    }
    warnings
}

/// `apiVersion` and `kind` of a target, with the defaults.
pub fn target_type(target: &ScaleTarget) -> (String, String) {
    let given = |field: &Option<String>, default: &str| {
        field.clone().filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned())
    };
    (given(&target.api_version, "apps/v1"), given(&target.kind, "Deployment"))
}
