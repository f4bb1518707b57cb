//! Every condition a ScaledJob can show, with upstream's reasons and texts (`pkg/scaling/executor/scale_jobs.go`,
//! `controllers/keda/scaledjob_controller.go`). Active has those of a ScaledObject.

use keda_api::{Condition, ConditionStatus};

use super::with_causes;
use ConditionStatus::{False, True, Unknown};

/// Ready: valid, and its triggers work.
///
/// Upstream's controller says "is ready to scaling" and its poll loop, which has the last word, this.
pub fn ready() -> Condition {
    Condition::new(
        Condition::READY,
        True,
        "ScaledJobReady",
        "ScaledJob is defined correctly and is ready for scaling",
    )
}

/// Ready while paused.
pub fn ready_paused() -> Condition {
    Condition::new(Condition::READY, True, "ScaledJobReady", "ScaledJob is paused, skipping reconcile loop")
}

/// Not ready: the reconcile found something wrong. `message` is `<which check>: <what>`.
pub fn check_failed(message: &str) -> Condition {
    Condition::new(Condition::READY, False, "ScaledJobCheckFailed", message)
}

/// Not ready: Jobs are wanted, and the API server takes none. The message ends with what it said.
pub fn create_failed(cause: &str) -> Condition {
    Condition::new(
        Condition::READY,
        False,
        "KEDAJobCreateFailed",
        with_causes("Jobs cannot be created", &[cause.to_owned()]),
    )
}

/// Not ready: nothing is active and a trigger fails. The message ends with what went wrong.
pub fn trigger_error(causes: &[String]) -> Condition {
    Condition::new(
        Condition::READY,
        False,
        "TriggerError",
        with_causes("Triggers defined in ScaledJob are not working correctly", causes),
    )
}

/// Readiness unknown: something is active, and a trigger fails. The message ends with what went wrong.
pub fn partial_trigger_error(causes: &[String]) -> Condition {
    Condition::new(
        Condition::READY,
        Unknown,
        "PartialTriggerError",
        with_causes("Some triggers defined in ScaledJob are not working correctly", causes),
    )
}

/// Activity unknown: the reconcile found something wrong.
pub fn activity_unknown() -> Condition {
    Condition::new(Condition::ACTIVE, Unknown, "UnknownState", "ScaledJob check failed")
}

/// Paused.
pub fn paused() -> Condition {
    Condition::new(Condition::PAUSED, True, "ScaledJobPaused", "ScaledJob is paused")
}

/// No longer paused.
pub fn unpaused() -> Condition {
    Condition::new(Condition::PAUSED, False, "ScaledJobUnpaused", "ScaledJob is unpaused")
}
