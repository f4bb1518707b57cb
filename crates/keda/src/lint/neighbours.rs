//! Rules between objects: two that scale one workload, two that want one HPA (core.md 1.8).

use keda_api::{ScaledObject, keys};
use keda_core::names;
use serde_json::Value;

use super::{document::Object, report::Finding, scaled_object::target};

/// What an object is compared with.
pub(super) struct Neighbours<'a> {
    /// The valid ScaledObjects.
    pub(super) scaled_objects: Vec<ScaledObject>,
    /// Every object of the files.
    pub(super) objects: &'a [Object],
}

impl Neighbours<'_> {
    /// What admission would say, in upstream's words.
    pub(super) fn check(&self, object: &Object, typed: &ScaledObject) -> Vec<Finding> {
        let mut findings = self.other_objects(object, typed);
        findings.extend(self.other_autoscalers(object, typed));
        findings
    }

    fn other_objects(&self, object: &Object, typed: &ScaledObject) -> Vec<Finding> {
        let mut findings = Vec::new();
        let others = self.scaled_objects.iter().filter(|other| {
            other.metadata.namespace == typed.metadata.namespace && other.metadata.name != typed.metadata.name
        });
        let (gvkr, name) = (target(typed), &typed.spec.scale_target_ref.name);
        let hpa = names::hpa_name(typed);
        for other in others {
            let by = other.metadata.name.as_deref().unwrap_or_default();
            if target(other) == gvkr && other.spec.scale_target_ref.name == *name {
                let kind = names::gvk(&gvkr);
                findings.push(Finding::error(
                    object.line_of("spec.scaleTargetRef.name"),
                    format!(
                        "the workload '{name}' of type '{kind}' is already managed by the ScaledObject '{by}'"
                    ),
                ));
            }
            if names::hpa_name(other) == hpa {
                findings.push(Finding::error(
                    object.line_of("spec.advanced.horizontalPodAutoscalerConfig.name"),
                    format!("the HPA '{hpa}' is already managed by the ScaledObject '{by}'"),
                ));
            }
        }
        findings
    }

    /// HorizontalPodAutoscalers that scale the same workload and belong to somebody else.
    fn other_autoscalers(&self, object: &Object, typed: &ScaledObject) -> Vec<Finding> {
        let (gvkr, name) = (target(typed), typed.spec.scale_target_ref.name.as_str());
        let kind = names::gvk(&gvkr);
        let text =
            |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let autoscalers = self.objects.iter().filter(|other| {
            other.group() == "autoscaling"
                && other.kind() == "HorizontalPodAutoscaler"
                && Some(other.namespace()) == typed.metadata.namespace.as_deref()
                && text(&other.value, "/spec/scaleTargetRef/name").as_deref() == Some(name)
                && text(&other.value, "/spec/scaleTargetRef/kind").as_deref() == Some(gvkr.kind.as_str())
                && text(&other.value, "/spec/scaleTargetRef/apiVersion").as_deref()
                    == Some(gvkr.api_version().as_str())
        });
        let mut findings = Vec::new();
        for other in autoscalers {
            let owners = other.value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
            let owned = owners.into_iter().flatten().any(|owner| {
                owner["kind"] == "ScaledObject" && owner["name"].as_str() == typed.metadata.name.as_deref()
            });
            let annotations = &other.value["metadata"]["annotations"];
            if owned || annotations[keys::HPA_OWNERSHIP] == "false" {
                continue;
            }
            let hpa = other.name();
            let transfers =
                typed.metadata.annotations.as_ref().and_then(|all| all.get(keys::TRANSFER_HPA_OWNERSHIP));
            let line = object.line_of("spec.scaleTargetRef.name");
            if transfers.map(String::as_str) != Some("true") {
                let text =
                    format!("the workload '{name}' of type '{kind}' is already managed by the hpa '{hpa}'");
                findings.push(Finding::error(line, text));
            } else if names::hpa_name(typed) != hpa {
                let text = format!(
                    "the existing hpa '{hpa}' for workload '{name}' of type '{kind}' must be specified by name in \
                     advanced settings to enable ownership transfer"
                );
                findings.push(Finding::error(line, text));
            }
        }
        findings
    }
}
