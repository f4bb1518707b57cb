//! Rules between objects: two that scale one workload, two that want one HPA (core.md 1.8).

use keda_api::ScaledObject;
use keda_core::admission::neighbours::{self, Autoscaler, Claim};

use super::{document::Object, report::Finding};

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
        let own = Claim::of(typed);
        let others = self.scaled_objects.iter();
        let others: Vec<Claim> = others
            .filter(|other| other.metadata.namespace == typed.metadata.namespace)
            .map(Claim::of)
            .collect();
        let mut violations = neighbours::other_objects(&own, &others);
        let autoscalers = self.objects.iter().filter(|other| {
            other.group() == "autoscaling"
                && other.kind() == "HorizontalPodAutoscaler"
                && Some(other.namespace()) == typed.metadata.namespace.as_deref()
        });
        let autoscalers: Vec<Autoscaler> = autoscalers
            .filter_map(|other| serde_json::from_value(other.value.clone()).ok())
            .map(|autoscaler| Autoscaler::of(&autoscaler))
            .collect();
        violations.extend(neighbours::other_autoscalers(typed, &own, &autoscalers));
        violations
            .into_iter()
            .map(|violation| Finding::error(object.line_of(&violation.path), violation.text))
            .collect()
    }
}
