//! What must hold for every decision, as functions.
//!
//! They know the promises, not the table: each looks at a situation and the decision made in it, and says which promise
//! is broken. Property tests run them over random situations; the simulator and debug builds of the operator can run them
//! over real ones.

use crate::decide::{Action, Decision, Situation};
use crate::fallback::Cause;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{promise}: {found}")]
pub struct Violation {
    /// What should hold.
    pub promise: &'static str,
    /// What was decided instead.
    pub found: String,
}

/// Checks that `holds`, else names the promise and the decision.
fn promise(promise: &'static str, holds: bool, decision: &Decision) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { promise, found: decision.to_string() }) }
}

/// Every promise of this module.
///
/// # Errors
/// The first one that is broken.
pub fn all(situation: &Situation<'_>, decision: &Decision) -> Result<(), Violation> {
    replicas_within_bounds(situation, decision)?;
    paused_never_scales(situation, decision)?;
    no_scale_in_on_missing_data(situation, decision)?;
    deactivation_only_past_cooldown(situation, decision)?;
    activation_has_a_cause(situation, decision)?;
    activity_is_remembered_only_while_active(situation, decision)?;
    fallback_only_past_its_threshold(situation, decision)
}

/// Replicas end up within the bounds: awake between one (or the minimum) and the maximum, at rest at the idle count or
/// the minimum; and every change is one, in the direction it says.
///
/// # Errors
/// [`Violation`].
pub fn replicas_within_bounds(situation: &Situation<'_>, decision: &Decision) -> Result<(), Violation> {
    let bounds = &situation.bounds;
    let holds = match decision.action {
        Action::Stay => true,
        Action::Activate { from, to } => to > from && to >= bounds.min.max(1) && to <= bounds.max,
        Action::Deactivate { from, to } => to < from && to == bounds.idle.unwrap_or(bounds.min) && to >= 0,
        Action::ToMinimum { from, to } => to > from && to == bounds.min && to <= bounds.max,
    };
    let starts_where_it_is = decision.action.change().is_none_or(|(from, _)| situation.current == Ok(from));
    promise("replicas stay within the bounds", holds && starts_where_it_is, decision)
}

/// Nothing moves during a full pause, nothing shrinks while scale-in is paused, nothing wakes while scale-out is. (A
/// raised minimum is followed even then, as upstream does.)
///
/// # Errors
/// [`Violation`].
pub fn paused_never_scales(situation: &Situation<'_>, decision: &Decision) -> Result<(), Violation> {
    let pauses = &situation.annotations;
    let shrinks = decision.action.change().is_some_and(|(from, to)| to < from);
    let holds = (!pauses.full || decision.action == Action::Stay)
        && (!pauses.scale_in || !shrinks)
        && (!pauses.scale_out || !matches!(decision.action, Action::Activate { .. }));
    promise("what is paused does not scale", holds, decision)
}

/// With a trigger that failed or was not read, nothing shrinks, and the HPA's bounds are not lowered either. Without a
/// trigger that is active nothing moves at all.
///
/// # Errors
/// [`Violation`].
pub fn no_scale_in_on_missing_data(situation: &Situation<'_>, decision: &Decision) -> Result<(), Violation> {
    use crate::decide::HpaRange;
    let activity = &situation.activity;
    let missing = activity.error || !activity.complete;
    let shrinks = decision.action.change().is_some_and(|(from, to)| to < from);
    let awake = activity.active || situation.annotations.force_activation;
    let lowers = matches!(decision.hpa, HpaRange::Hold(replicas) if situation.current != Ok(replicas));
    let holds = !missing || (!shrinks && !lowers && (awake || decision.action == Action::Stay));
    promise("missing data scales nothing in", holds, decision)
}

/// Replicas stand in for a metric only after more failures than the threshold bears; and an object is put to rest by them only
/// where there are none to fall back to.
///
/// # Errors
/// [`Violation`].
pub fn fallback_only_past_its_threshold(
    situation: &Situation<'_>,
    decision: &Decision,
) -> Result<(), Violation> {
    let mut fallen = situation.activity.readings.iter().filter_map(|reading| reading.fallback.as_ref());
    let shrinks = decision.action.change().is_some_and(|(from, to)| to < from);
    let holds = fallen.all(|fallen| {
        let past = match fallen.cause {
            Cause::Failures { failures, threshold } => failures > threshold,
            Cause::NilFormula => true,
        };
        past && (fallen.replicas == 0 || !shrinks)
    });
    promise(
        "a fallback is used past its threshold only, and scales to nothing else than it says",
        holds,
        decision,
    )
}

/// An object is put to rest only when nothing is active and more than the cooldown (or, if it was never active, the
/// initial cooldown) has passed.
///
/// # Errors
/// [`Violation`].
pub fn deactivation_only_past_cooldown(
    situation: &Situation<'_>,
    decision: &Decision,
) -> Result<(), Violation> {
    if !matches!(decision.action, Action::Deactivate { .. }) {
        return Ok(());
    }
    let now = situation.now;
    let passed = match situation.last_active {
        Some(last_active) => now.duration_since(last_active) > situation.cooldown,
        None => now.duration_since(situation.created) > situation.initial_cooldown,
    };
    let awake = situation.activity.active || situation.annotations.force_activation;
    promise("an object rests only past its cooldown", passed && !awake, decision)
}

/// Nothing wakes without an active trigger or the annotation, and what wakes it is named.
///
/// # Errors
/// [`Violation`].
pub fn activation_has_a_cause(situation: &Situation<'_>, decision: &Decision) -> Result<(), Violation> {
    let woken = matches!(decision.action, Action::Activate { .. });
    let by_trigger = situation.activity.active && decision.triggered_by == situation.activity.active_metrics;
    let by_force = situation.annotations.force_activation && decision.forced;
    promise("what wakes has a cause", !woken || by_trigger || by_force, decision)
}

/// The time of last activity is now or left alone, and moves only while something is active and nothing failed, or with
/// a successful activation.
///
/// # Errors
/// [`Violation`].
pub fn activity_is_remembered_only_while_active(
    situation: &Situation<'_>,
    decision: &Decision,
) -> Result<(), Violation> {
    let awake = situation.activity.active || situation.annotations.force_activation;
    let woken = matches!(decision.action, Action::Activate { .. });
    let holds = match decision.last_active {
        None => true,
        Some(time) => time == situation.now && awake && (woken || !situation.activity.error),
    };
    promise("only activity is remembered as activity", holds, decision)
}

#[cfg(test)]
mod tests;
