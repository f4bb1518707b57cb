//! Every condition a ScaledObject can show, with upstream's reasons and texts; those of a ScaledJob are in [`scaled_job`].
//!
//! People alert on these and search for them, so they are in one place and to the letter
//! (`apis/keda/v1alpha1/condition_types.go`, `pkg/scaling/executor/scale_scaledobjects.go`,
//! `controllers/keda/scaledobject_controller.go`).

pub mod scaled_job;

use keda_api::{Condition, ConditionStatus};

use ConditionStatus::{False, True, Unknown};

/// Ready: valid, and its triggers work.
pub fn ready() -> Condition {
    Condition::new(
        Condition::READY,
        True,
        "ScaledObjectReady",
        "ScaledObject is defined correctly and is ready for scaling",
    )
}

/// Ready while fully paused.
pub fn ready_paused() -> Condition {
    Condition::new(Condition::READY, True, "ScaledObjectReady", "ScaledObject is paused")
}

/// Not ready: the reconcile found something wrong. `message` is `<which check>: <what>`.
pub fn check_failed(message: &str) -> Condition {
    Condition::new(Condition::READY, False, "ScaledObjectCheckFailed", message)
}

/// Not ready: the target's replicas cannot be read; `message` says why.
pub fn replicas_unreadable(message: &str) -> Condition {
    Condition::new(Condition::READY, False, "ErrorGettingCurrentReplicas", message)
}

/// How long a message may get that quotes what triggers said, in bytes: room for two or three that say what to do.
const CAUSES_LIMIT: usize = 4096;

/// Upstream's sentence, and what went wrong: upstream leaves the reader to look for that in events, which expire.
fn with_causes(sentence: &str, causes: &[String]) -> String {
    let mut message = sentence.to_owned();
    if !causes.is_empty() {
        message.push_str(": ");
        message.push_str(&causes.join("; "));
    }
    if message.len() > CAUSES_LIMIT {
        message.truncate(message.floor_char_boundary(CAUSES_LIMIT));
        message.push_str("...");
    }
    message
}

/// Active, of a CloudEventSource: events go out, or would (`apis/eventing/v1alpha1/cloudeventsource_types.go`).
pub fn cloud_events_delivered() -> Condition {
    Condition::new(
        Condition::ACTIVE,
        True,
        "CloudEventSourceActive",
        "Is configured to send events to the configured destination",
    )
}

/// Not active, of a CloudEventSource: its events cannot be sent. The message ends with what is in the way.
pub fn cloud_events_undelivered(cause: &str) -> Condition {
    Condition::new(
        Condition::ACTIVE,
        False,
        "CloudEventSourceFailed",
        with_causes("Failed to send events to the configured destination", &[cause.to_owned()]),
    )
}

/// Not ready: nothing is active and a trigger fails. The message ends with what went wrong.
pub fn trigger_error(causes: &[String]) -> Condition {
    Condition::new(
        Condition::READY,
        False,
        "TriggerError",
        with_causes("Triggers defined in ScaledObject are not working correctly", causes),
    )
}

/// Readiness unknown: something is active, and a trigger fails. The message ends with what went wrong.
pub fn partial_trigger_error(causes: &[String]) -> Condition {
    Condition::new(
        Condition::READY,
        Unknown,
        "PartialTriggerError",
        with_causes("Some triggers defined in ScaledObject are not working correctly", causes),
    )
}

/// Active by a trigger.
pub fn active() -> Condition {
    Condition::new(
        Condition::ACTIVE,
        True,
        "ScalerActive",
        "Scaling is performed because triggers are active",
    )
}

/// Active by annotation.
pub fn active_forced() -> Condition {
    Condition::new(
        Condition::ACTIVE,
        True,
        "ScalerActive",
        "Scaling is performed because activation is being forced by annotation",
    )
}

/// Nothing is active.
pub fn not_active() -> Condition {
    Condition::new(
        Condition::ACTIVE,
        False,
        "ScalerNotActive",
        "Scaling is not performed because triggers are not active",
    )
}

/// Nothing is active, but the cooldown has not passed.
pub fn cooling_down() -> Condition {
    Condition::new(
        Condition::ACTIVE,
        False,
        "ScalerCooldown",
        "Scaler cooling down because triggers are not active",
    )
}

/// Activity unknown: the reconcile found something wrong.
pub fn activity_unknown() -> Condition {
    Condition::new(Condition::ACTIVE, Unknown, "UnknownState", "ScaledObject check failed")
}

/// Paused, in full or in one direction.
pub fn paused() -> Condition {
    Condition::new(Condition::PAUSED, True, "ScaledObjectPaused", "ScaledObject is paused")
}

/// No longer paused.
pub fn unpaused() -> Condition {
    Condition::new(
        Condition::PAUSED,
        False,
        "ScaledObjectUnpaused",
        "pause annotation removed for ScaledObject",
    )
}

/// A trigger is falling back.
pub fn fallback() -> Condition {
    Condition::new(
        Condition::FALLBACK,
        True,
        "FallbackExists",
        "At least one trigger is falling back on this scaled object",
    )
}

/// No trigger is falling back.
pub fn no_fallback() -> Condition {
    Condition::new(
        Condition::FALLBACK,
        False,
        "NoFallbackFound",
        "No fallbacks are active on this scaled object",
    )
}
