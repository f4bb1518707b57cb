//! The decision of one poll: core of the product, one pure function.
//!
//! [`decide`] takes a [`Situation`] (what is known, and the time) and gives a [`Decision`] (what to do, and why). It is
//! upstream's executor (`pkg/scaling/executor/scale_scaledobjects.go`, table in the order of its rows) with the rules
//! of ours that a failing or unread source never moves an object towards fewer replicas, and never moves an object with
//! a fallback at all before the fallback's threshold.
//!
//! The table. `cur` are the target's replicas, `min` is `minReplicaCount` or 0; rows are tried in order.
//!
//! | Row | When | Then | [`Why`] |
//! |---|---|---|---|
//! | 0 | `cur` cannot be read | nothing, Ready=False | `ReplicasUnreadable` |
//! | 1 | paused in full | nothing, Paused=True | `Paused` |
//! | | **active, or activation forced** | Active=True | |
//! | 2 | (idle set and `cur` < `min`) or `cur` = 0 | scale to max(`min`, 1) | `Activation` |
//! | | the same, scale-out paused | nothing | `ScaleOutPaused` |
//! | 3 | some trigger failed | Ready=Unknown | `PartialError` |
//! | 4 | else | last active = now | `Active` |
//! | | **not active** | | |
//! | – | some trigger was never read (ours) | nothing, conditions stay | `NoReading` |
//! | 5 | some trigger failed, fallback set | nothing, Ready=False | `FailingWithFallback` |
//! | 6 | some trigger failed | nothing, Ready=False | `Failing` |
//! | 7 | (idle set and `cur` > idle) or (`cur` > 0 and `min` = 0) | towards idle or 0, see below | |
//! | 8 | idle not set and `cur` < `min` | scale to `min` | `BelowMinimum` |
//! | 9 | else | nothing | `Inactive` |
//!
//! Row 7: scale-in paused: nothing (`ScaleInPaused`). Never active so far: wait until creation + initial cooldown
//! (`InitialCooldown`). Else wait until last active + cooldown (`Cooldown`). Then scale (`Deactivation`).
//!
//! Ours, against upstream: row 5 does not ask whether the fallback's replicas are zero (upstream scales to zero on a
//! failing source then, before the threshold is passed).

mod decision;

use jiff::{SignedDuration, Timestamp};
use keda_api::ScaledObjectSpec;
use serde::Serialize;

pub use decision::{Action, Cooldown, Decision, HpaRange, Why, shown};

use crate::activity::Activity;
use crate::bounds::Bounds;
use crate::conditions;

use crate::fallback::Plan;
use crate::pause::Annotations;

/// Everything a decision depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Situation<'a> {
    /// The time of the poll.
    pub now: Timestamp,
    /// When the object was created.
    pub created: Timestamp,
    /// When a trigger was last active, if ever.
    pub last_active: Option<Timestamp>,
    /// The target's replicas, or why they cannot be read.
    pub current: Result<i32, String>,
    /// Replica counts of the spec, checked.
    pub bounds: Bounds,
    /// How long nothing must have been active.
    pub cooldown: SignedDuration,
    /// The same for an object that was never active, counted from its creation.
    pub initial_cooldown: SignedDuration,
    /// Pauses and forced activation.
    pub annotations: Annotations,
    /// What the poll found.
    pub activity: Activity,
    /// The fallback of the spec, where it can be used.
    pub fallback: Option<&'a Plan>,
}

/// The times of a spec, upstream's defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Periods {
    /// Between polls; default 30 s.
    pub polling: SignedDuration,
    /// `cooldownPeriod`; default 300 s.
    pub cooldown: SignedDuration,
    /// `initialCooldownPeriod`; default 0.
    pub initial_cooldown: SignedDuration,
}

/// Reads the times of a spec.
pub fn periods(spec: &ScaledObjectSpec) -> Periods {
    let seconds =
        |value: Option<i32>, default: i32| SignedDuration::from_secs(value.unwrap_or(default).into());
    Periods {
        polling: seconds(spec.polling_interval, 30),
        cooldown: seconds(spec.cooldown_period, 300),
        initial_cooldown: seconds(spec.initial_cooldown_period, 0),
    }
}

/// Decides. Same situation, same decision.
pub fn decide(situation: &Situation<'_>) -> Decision {
    let current = match &situation.current {
        Ok(current) => *current,
        Err(reason) => {
            let mut decision = Decision::new(situation, Why::ReplicasUnreadable);
            decision.errors.insert(0, reason.clone());
            decision.ready = Some(conditions::replicas_unreadable(reason));
            return decision;
        }
    };
    if situation.annotations.full {
        let mut decision = Decision::new(situation, Why::Paused);
        decision.ready = Some(conditions::ready_paused());
        decision.paused = Some(conditions::paused());
        return decision;
    }
    if situation.activity.active || situation.annotations.force_activation {
        while_active(situation, current)
    } else {
        while_inactive(situation, current)
    }
}

/// Rows 2 to 4.
fn while_active(situation: &Situation<'_>, current: i32) -> Decision {
    let Situation { bounds, activity, annotations, now, .. } = situation;
    let wakes = current == 0 || (bounds.idle.is_some() && current < bounds.min);
    let why = match (wakes, annotations.scale_out, activity.error) {
        (true, false, _) => Why::Activation,
        (true, true, _) => Why::ScaleOutPaused,
        (false, _, true) => Why::PartialError,
        (false, _, false) => Why::Active,
    };

    let mut decision = Decision::new(situation, why);
    decision.forced = !activity.active;
    decision.triggered_by = activity.active_metrics.clone();
    decision.active = Some(if decision.forced { conditions::active_forced() } else { conditions::active() });
    decision.ready = Some(match why {
        Why::PartialError => conditions::partial_trigger_error(&activity.errors),
        _ => conditions::ready(),
    });
    decision.hpa = HpaRange::Follow;
    match why {
        Why::Activation => {
            decision.action = Action::Activate { from: current, to: bounds.hpa_min() };
            decision.last_active = Some(*now);
        }
        // The HPA lifts an object to its minimum even where its behaviour forbids to scale out.
        Why::ScaleOutPaused if current > 0 => decision.hpa = HpaRange::Hold(current),
        Why::Active => decision.last_active = Some(*now),
        _ => {}
    }
    decision
}

/// Rows 5 to 9, and ours for what was never read.
fn while_inactive(situation: &Situation<'_>, current: i32) -> Decision {
    let Situation { bounds, activity, fallback, .. } = situation;
    if activity.error {
        let why = if fallback.is_some() { Why::FailingWithFallback } else { Why::Failing };
        let mut decision = Decision::new(situation, why);
        decision.active = Some(conditions::not_active());
        // With a fallback too: before its threshold nothing scales, and upstream's Ready=True hides that (issue 7649).
        decision.ready = Some(conditions::trigger_error(&activity.errors));
        return decision;
    }
    if !activity.complete {
        return Decision::new(situation, Why::NoReading);
    }

    let above_rest = match bounds.idle {
        // Where the minimum is 0 the idle count is 0 too, so upstream's two clauses are one here.
        Some(idle) => current > idle,
        None => current > 0 && bounds.min == 0,
    };
    if above_rest {
        return to_rest(situation, current);
    }
    let mut decision = Decision::new(situation, Why::Inactive);
    decision.active = Some(conditions::not_active());
    decision.ready = Some(conditions::ready());
    decision.hpa = rest_range(bounds, current);
    if bounds.idle.is_none() && current < bounds.min {
        decision.why = Why::BelowMinimum;
        decision.action = Action::ToMinimum { from: current, to: bounds.min };
    }
    decision
}

/// Row 7: to the idle count or to zero, when nothing forbids it and the cooldown has passed.
fn to_rest(situation: &Situation<'_>, current: i32) -> Decision {
    let Situation { bounds, annotations, now, .. } = situation;
    let cooldown = match situation.last_active {
        Some(last_active) => Cooldown { since: last_active, period: situation.cooldown, initial: false },
        None => Cooldown { since: situation.created, period: situation.initial_cooldown, initial: true },
    };
    let why = match (annotations.scale_in, cooldown.passed(*now), cooldown.initial) {
        (true, _, _) => Why::ScaleInPaused,
        (false, true, _) => Why::Deactivation,
        (false, false, true) => Why::InitialCooldown,
        (false, false, false) => Why::Cooldown,
    };

    let mut decision = Decision::new(situation, why);
    decision.cooldown = Some(cooldown);
    decision.ready = Some(conditions::ready());
    decision.active = Some(match why {
        Why::Cooldown | Why::InitialCooldown => conditions::cooling_down(),
        _ => conditions::not_active(),
    });
    decision.hpa = HpaRange::Follow;
    if why == Why::Deactivation {
        let to = bounds.at_rest();
        decision.action = Action::Deactivate { from: current, to };
        decision.hpa = rest_range(bounds, to);
    }
    decision
}

/// Where the HPA has to stay for an object that rests at `replicas`: held at an idle count of one or more, else free
/// (at zero it stands still by itself).
fn rest_range(bounds: &Bounds, replicas: i32) -> HpaRange {
    match bounds.idle {
        Some(idle) if idle > 0 && replicas <= idle => HpaRange::Hold(idle),
        _ => HpaRange::Follow,
    }
}

#[cfg(test)]
mod tests;
