//! What the HPA says about its own metrics, as a condition of the ScaledObject.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use keda_api::{Condition, ConditionStatus};

/// The HPAActive condition. None while the HPA has not said anything yet: then the condition is left as it is.
///
/// An HPA whose target is at zero has switched itself off; that is as it should be, so it counts as active.
pub fn health(hpa: &HorizontalPodAutoscaler) -> Option<Condition> {
    let conditions = hpa.status.as_ref()?.conditions.as_ref()?;
    let scaling = conditions.iter().find(|condition| condition.type_ == "ScalingActive")?;
    let reason = scaling.reason.as_deref().unwrap_or_default();
    let message = scaling.message.as_deref().unwrap_or_default();

    let (status, reason, message) = match (scaling.status.as_str(), reason) {
        ("True", _) => (ConditionStatus::True, "HPAActive", "HPA is actively scaling".to_owned()),
        (_, "ScalingDisabled") => (ConditionStatus::True, reason, message.to_owned()),
        (_, "") => (ConditionStatus::False, "HPAMetricsUnavailable", inactive(message)),
        (_, reason) => (ConditionStatus::False, reason, inactive(message)),
    };
    Some(Condition::new(Condition::HPA_ACTIVE, status, reason, message))
}

fn inactive(message: &str) -> String {
    format!("HPA is not actively scaling: {message}")
}
