//! Why a ScaledObject or ScaledJob is refused, in one wording: the Ready condition, the event and `keda lint` say the same.
//!
//! The first part of a message says which check refused the object (`controllers/keda/scaledobject_controller.go`), the
//! second what is wrong.

use crate::admission::Violation;

/// The target does not exist, or cannot be scaled.
pub const TARGET: &str = "ScaledObject doesn't have correct scaleTargetRef specification";
/// The replica counts contradict each other.
pub const BOUNDS: &str = "ScaledObject doesn't have correct Idle/Min/Max Replica Counts specification";
/// The list of triggers is wrong, whatever their types.
pub const TRIGGERS: &str = "ScaledObject doesn't have correct triggers specification";
/// A trigger cannot be built, or the HPA cannot be as the triggers want it.
pub const HPA: &str = "failed to ensure HPA is correctly created for ScaledObject";
/// The pause annotation cannot be read, or followed.
pub const PAUSE: &str = "failed to scale target to paused replica count";
/// A rule of admission that upstream checks nowhere else: here it holds where no webhook asked, too.
pub const ADMISSION: &str = "ScaledObject would be refused at admission";
/// The triggers of a ScaledJob are wrong, whatever their types.
pub const JOB_TRIGGERS: &str = "ScaledJob doesn't have correct triggers specification";
/// The Job that a ScaledJob describes cannot be made.
pub const JOB: &str = "ScaledJob doesn't have correct jobTargetRef specification";
/// A trigger of a ScaledJob cannot be built.
pub const JOB_BUILD: &str = "Failed to ensure ScaledJob is correctly created";
/// Jobs of older generations could not be deleted.
pub const JOB_ROLLOUT: &str = "Failed to delete Jobs owned by the previous version of the ScaledJob";
/// What is said before the reason why `…FromEnv` cannot be resolved.
pub const ENVIRONMENT: &str = "error resolving secrets for ScaleTarget: ";

/// `<which check>: <what>`.
pub fn message(check: &str, what: impl std::fmt::Display) -> String {
    format!("{check}: {what}")
}

/// Which check refuses an object for a violation of an admission rule.
pub fn check_of(violation: &Violation) -> &'static str {
    match violation.reason {
        "incorrect-replicas" => BOUNDS,
        "incorrect-triggers" => TRIGGERS,
        _ => ADMISSION,
    }
}

/// One trigger's fault among those of its object.
pub fn trigger(index: usize, trigger_type: &str, fault: impl std::fmt::Display) -> String {
    format!("trigger {index} ({trigger_type}): {fault}")
}
