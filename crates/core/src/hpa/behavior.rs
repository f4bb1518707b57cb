//! The behaviour of an HPA: what the user configured, what a pause makes of it, what the API server makes of that.

use k8s_openapi::api::autoscaling::v2::{HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerBehavior};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as WireQuantity;
use keda_api::Quantity;

/// The `selectPolicy` under which a direction does not scale.
const DISABLED: &str = "Disabled";

/// The user's behaviour, with each paused direction switched off. Everything else the user set stays.
pub(super) fn with_pauses(
    user: Option<&HorizontalPodAutoscalerBehavior>,
    scale_in_paused: bool,
    scale_out_paused: bool,
) -> Option<HorizontalPodAutoscalerBehavior> {
    if user.is_none() && !scale_in_paused && !scale_out_paused {
        return None;
    }
    let mut behavior = user.cloned().unwrap_or_default();
    for rules in [&mut behavior.scale_down, &mut behavior.scale_up].into_iter().flatten() {
        // An empty list would be refused; Go leaves it out.
        rules.policies = rules.policies.take().filter(|policies| !policies.is_empty());
    }
    if scale_in_paused {
        behavior.scale_down.get_or_insert_default().select_policy = Some(DISABLED.to_owned());
    }
    if scale_out_paused {
        behavior.scale_up.get_or_insert_default().select_policy = Some(DISABLED.to_owned());
    }
    Some(behavior)
}

/// Whether both mean the same to the API server.
pub(super) fn same(
    one: Option<&HorizontalPodAutoscalerBehavior>,
    other: Option<&HorizontalPodAutoscalerBehavior>,
) -> bool {
    one.map(as_stored) == other.map(as_stored)
}

/// A behaviour as the API server stores it: once any is given, what is missing in either direction is filled in
/// (kubernetes `pkg/apis/autoscaling/v2/defaults.go`). Quantities in their canonical text.
pub(crate) fn as_stored(behavior: &HorizontalPodAutoscalerBehavior) -> HorizontalPodAutoscalerBehavior {
    let policy = |type_: &str, value| HPAScalingPolicy { type_: type_.to_owned(), value, period_seconds: 15 };
    HorizontalPodAutoscalerBehavior {
        scale_up: Some(filled(
            behavior.scale_up.as_ref(),
            Some(0),
            vec![policy("Pods", 4), policy("Percent", 100)],
        )),
        scale_down: Some(filled(behavior.scale_down.as_ref(), None, vec![policy("Percent", 100)])),
    }
}

/// One direction, with defaults for what is not given.
fn filled(
    given: Option<&HPAScalingRules>,
    window: Option<i32>,
    policies: Vec<HPAScalingPolicy>,
) -> HPAScalingRules {
    let given = given.cloned().unwrap_or_default();
    HPAScalingRules {
        policies: given.policies.filter(|policies| !policies.is_empty()).or(Some(policies)),
        select_policy: given.select_policy.or_else(|| Some("Max".to_owned())),
        stabilization_window_seconds: given.stabilization_window_seconds.or(window),
        tolerance: given.tolerance.map(canonical),
    }
}

/// The same number in its canonical text; text that is no number stays.
fn canonical(quantity: WireQuantity) -> WireQuantity {
    match Quantity::try_from(&quantity) {
        Ok(number) => WireQuantity(number.to_string()),
        Err(_) => quantity,
    }
}
