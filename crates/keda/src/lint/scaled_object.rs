//! The rules of a ScaledObject beyond its schema: what the operator checks, in its words and by its functions, and what
//! admission checks besides (core.md 1.8).

use keda_api::{GroupVersionKindResource, ScaledObject};
use keda_core::{bounds::Bounds, hpa, metric::MetricSpec, names, pause::Annotations, refusal, triggers};

use super::{document::Object, report::Finding, requests};

/// Longest name of a ScaledObject and of its HPA: both become values of labels.
const NAME_MAX: usize = 63;

/// The target with upstream's defaults. The resource is a guess where the kind is not one of the two that everybody has.
pub(super) fn target(typed: &ScaledObject) -> GroupVersionKindResource {
    let reference = &typed.spec.scale_target_ref;
    let given = |field: &Option<String>, default: &str| {
        field.clone().filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned())
    };
    let api_version = given(&reference.api_version, "apps/v1");
    let kind = given(&reference.kind, "Deployment");
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    GroupVersionKindResource {
        group: group.to_owned(),
        version: version.to_owned(),
        resource: format!("{}s", kind.to_lowercase()),
        kind,
    }
}

/// What holds before any trigger is looked at.
pub(super) fn check(object: &Object, typed: &ScaledObject) -> Vec<Finding> {
    let spec = &typed.spec;
    let mut findings = Vec::new();
    let mut error = |path: &str, text: String| findings.push(Finding::error(object.line_of(path), text));
    if let Err(cause) = Annotations::parse(typed.metadata.annotations.as_ref()) {
        let path = format!("metadata.annotations.{}", keda_api::keys::PAUSED_REPLICAS);
        error(&path, refusal::message(refusal::PAUSE, cause));
    }
    if let Err(cause) = Bounds::of(spec) {
        let path = match cause {
            keda_core::bounds::Error::MinAboveMax { .. } => "spec.minReplicaCount",
            keda_core::bounds::Error::IdleNotBelowMin { .. } => "spec.idleReplicaCount",
        };
        error(path, refusal::message(refusal::BOUNDS, cause));
    }
    if let Err(cause) = triggers::check(&spec.triggers) {
        error(&triggers_path(typed, &cause), refusal::message(refusal::TRIGGERS, cause));
    }
    if let Err(text) = refusal::unsupported(spec) {
        error("spec.advanced.scalingModifiers", refusal::message(refusal::TRIGGERS, text));
    }
    let modifiers = spec.advanced.as_ref().is_some_and(|advanced| advanced.scaling_modifiers.is_some());
    if spec.fallback.is_some() && !modifiers && spec.triggers.iter().all(requests::of_pods) {
        let text = "at least one trigger (that is not cpu or memory) has to have the AverageValue type for the fallback to \
                    be enabled";
        error("spec.fallback", text.to_owned());
    }
    let name = typed.metadata.name.as_deref().unwrap_or_default();
    if name.len() > NAME_MAX {
        let text = format!(
            "the name of a ScaledObject may have {NAME_MAX} characters at most, this one has {}",
            name.len()
        );
        error("metadata.name", text);
    }
    let autoscaler = names::hpa_name(typed);
    if autoscaler.len() > NAME_MAX {
        let text = format!(
            "the name of the HPA, {autoscaler}, has {} characters, {NAME_MAX} are allowed: give it another in \
             spec.advanced.horizontalPodAutoscalerConfig.name",
            autoscaler.len()
        );
        error("spec.advanced.horizontalPodAutoscalerConfig.name", text);
    }
    findings.extend(warnings(object, typed));
    findings
}

/// What is accepted and does nothing.
fn warnings(object: &Object, typed: &ScaledObject) -> Vec<Finding> {
    let spec = &typed.spec;
    let mut findings = Vec::new();
    if let Some(text) = refusal::without_effect(spec) {
        findings.push(Finding::warning(object.line_of("spec.fallback"), text));
    }
    let never_rests = spec.min_replica_count.unwrap_or(0) > 0 && spec.idle_replica_count.is_none();
    let cached = spec.triggers.iter().any(|trigger| trigger.use_cached_metrics == Some(true));
    if spec.polling_interval.is_some() && never_rests && !cached {
        let text = "pollingInterval has no effect on scaling with minReplicaCount above 0, no idleReplicaCount and no trigger \
                    with useCachedMetrics: the HPA asks by itself";
        findings.push(Finding::warning(object.line_of("spec.pollingInterval"), text));
    }
    if spec.cooldown_period.is_some() && never_rests {
        let text = "cooldownPeriod has no effect with minReplicaCount above 0 and no idleReplicaCount: it is the time before \
                    zero or idle";
        findings.push(Finding::warning(object.line_of("spec.cooldownPeriod"), text));
    }
    findings
}

fn triggers_path(typed: &ScaledObject, cause: &triggers::Error) -> String {
    let triggers = &typed.spec.triggers;
    let (found, field) = match cause {
        triggers::Error::None => (None, ""),
        triggers::Error::Duplicate(name) => {
            (triggers.iter().rposition(|trigger| trigger.name.as_ref() == Some(name)), ".name")
        }
        triggers::Error::NotCached(kind) => {
            let uses = |trigger: &keda_api::ScaleTrigger| {
                trigger.r#type == *kind && trigger.use_cached_metrics == Some(true)
            };
            (triggers.iter().position(uses), ".useCachedMetrics")
        }
    };
    found.map_or_else(|| "spec.triggers".to_owned(), |index| format!("spec.triggers[{index}]{field}"))
}

/// Whether the HPA can be as the triggers want it.
pub(super) fn check_autoscaler(
    object: &Object,
    typed: &ScaledObject,
    specs: &[MetricSpec],
) -> Option<Finding> {
    let mut typed = typed.clone();
    // The API server gives one to every object.
    typed.metadata.uid.get_or_insert_with(|| "0".to_owned());
    let cause = hpa::desired(&typed, &target(&typed), specs, env!("CARGO_PKG_VERSION")).err()?;
    Some(Finding::error(object.line_of("spec.triggers"), refusal::message(refusal::HPA, cause)))
}
