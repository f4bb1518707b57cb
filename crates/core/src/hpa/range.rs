//! The bounds of an HPA while its object rests at an idle count of one or more.
//!
//! Why this is needed at all: see [`HpaRange`].

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use crate::bounds::Bounds;
use crate::decide::HpaRange;

/// Gives the desired HPA the bounds a decision asks for. `live` is the HPA as it is, which [`HpaRange::Keep`] looks at:
/// before the first decision after a start, and while a source fails, an object that rests goes on resting.
pub fn settle(
    desired: &mut HorizontalPodAutoscaler,
    live: Option<&HorizontalPodAutoscaler>,
    range: HpaRange,
    bounds: &Bounds,
) {
    let hold = match range {
        HpaRange::Follow => None,
        HpaRange::Hold(replicas) => Some(replicas),
        HpaRange::Keep => live.and_then(|live| held(live, bounds)),
    };
    if let (Some(replicas), Some(spec)) = (hold, desired.spec.as_mut()) {
        spec.min_replicas = Some(replicas);
        spec.max_replicas = replicas;
    }
}

/// The count at which a live HPA is held, if it is. A free HPA never looks like that: its minimum is the spec's, and what
/// is held is below.
pub fn held(live: &HorizontalPodAutoscaler, bounds: &Bounds) -> Option<i32> {
    bounds.idle?;
    let spec = live.spec.as_ref()?;
    let replicas = spec.min_replicas?;
    (replicas == spec.max_replicas && replicas < bounds.hpa_min()).then_some(replicas)
}
