//! What comes out of a decision, as plain data that prints as one line.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use keda_api::Condition;
use serde::{Serialize, Serializer};

use super::Situation;
use crate::activity::MetricReading;
use crate::fallback::Cause;

/// What to do with the target's replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    Stay,
    /// Wake: from zero or idle to the minimum, at least one. The HPA takes over from there.
    Activate {
        /// Replicas before.
        from: i32,
        /// Replicas after.
        to: i32,
    },
    /// Put to rest: to the idle count, else to zero.
    Deactivate {
        /// Replicas before.
        from: i32,
        /// Replicas after.
        to: i32,
    },
    /// Lift to a minimum that was raised, without being active. No event is sent for it.
    ToMinimum {
        /// Replicas before.
        from: i32,
        /// Replicas after.
        to: i32,
    },
}

impl Action {
    /// Replicas before and after, if they are to change.
    pub fn change(&self) -> Option<(i32, i32)> {
        match *self {
            Self::Stay => None,
            Self::Activate { from, to } | Self::Deactivate { from, to } | Self::ToMinimum { from, to } => {
                Some((from, to))
            }
        }
    }

    /// One word: `stay`, `activate`, `deactivate`, `to minimum`.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Stay => "stay",
            Self::Activate { .. } => "activate",
            Self::Deactivate { .. } => "deactivate",
            Self::ToMinimum { .. } => "to minimum",
        }
    }
}

/// The row of the table in [`crate::decide`] that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Why {
    /// Row 0: the target's replicas cannot be read.
    ReplicasUnreadable,
    /// Row 1: paused in full.
    Paused,
    /// Row 2: active while at zero or idle.
    Activation,
    /// Row 2, held: active while at zero or idle, but scale-out is paused.
    ScaleOutPaused,
    /// Row 3: active, some trigger failed.
    PartialError,
    /// Row 4: active; the HPA scales.
    Active,
    /// Not active so far, but some trigger was never read: nothing follows.
    NoReading,
    /// Row 5: some trigger failed, and a fallback is set.
    FailingWithFallback,
    /// Row 6: some trigger failed.
    Failing,
    /// Row 7: not active for long enough.
    Deactivation,
    /// Row 7, held: not active, but scale-in is paused.
    ScaleInPaused,
    /// Row 7, held: the cooldown has not passed.
    Cooldown,
    /// Row 7, held: never active, and the initial cooldown has not passed.
    InitialCooldown,
    /// Row 8: not active, below the minimum, no idle count.
    BelowMinimum,
    /// Row 9: not active, and where it belongs.
    Inactive,
}

/// The wait before an object is put to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cooldown {
    /// When a trigger was last active, or the object's creation where none ever was.
    pub since: Timestamp,
    /// How long to wait from then on.
    #[serde(serialize_with = "as_seconds", rename = "period_seconds")]
    pub period: SignedDuration,
    /// Counted from the creation.
    pub initial: bool,
}

fn as_seconds<S: Serializer>(duration: &SignedDuration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(duration.as_secs())
}

impl Cooldown {
    /// Whether the wait is over: strictly more time than the period has passed.
    pub fn passed(&self, now: Timestamp) -> bool {
        self.elapsed(now) > self.period
    }

    /// Time since [`Cooldown::since`]; negative where that lies ahead (clocks differ).
    pub fn elapsed(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.since)
    }
}

/// What the HPA's bounds have to be after this decision.
///
/// At zero replicas an HPA stands still by itself. At an idle count of one or more it does not: it would lift the object
/// to its minimum, and the next poll would put it back, for ever (upstream does exactly that). So while an object rests
/// at idle, the HPA is held there: minimum and maximum are the idle count. The HPA keeps existing, its name stays in the
/// status, and nothing but two numbers change. [`crate::hpa::settle`] applies this to an HPA.
///
/// Left to the operator: write the HPA before the scale, in both directions. Held too late, the HPA lifts the object
/// once more; freed too late, it pushes the object back to idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HpaRange {
    /// The bounds of the spec.
    Follow,
    /// Exactly this many replicas.
    Hold(i32),
    /// As the live HPA has it: nothing is known that would change it.
    Keep,
}

/// One decision: what was seen, what to do, what to say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// The time of the poll.
    pub at: Timestamp,
    /// The target's replicas; None if they cannot be read.
    pub replicas: Option<i32>,
    /// What to do.
    pub action: Action,
    /// Which row decided.
    pub why: Why,
    /// Active by annotation, by no trigger.
    pub forced: bool,
    /// The Ready condition to set. None: leave it. It speaks for the triggers only, so it must not cover up a reconcile
    /// that failed.
    pub ready: Option<Condition>,
    /// The Active condition to set. None: leave it.
    pub active: Option<Condition>,
    /// The Paused condition to set. None: leave it.
    pub paused: Option<Condition>,
    /// The new time of last activity. None: leave it. With [`Action::Activate`] it counts only once the target was
    /// scaled.
    pub last_active: Option<Timestamp>,
    /// Metrics of the active triggers, in trigger order; empty when nothing is active or activation is forced.
    pub triggered_by: Vec<String>,
    /// Everything that was read.
    pub readings: Vec<MetricReading>,
    /// Everything that went wrong.
    pub errors: Vec<String>,
    /// The wait that row 7 looked at.
    pub cooldown: Option<Cooldown>,
    /// What the HPA's bounds have to be.
    pub hpa: HpaRange,
}

impl Decision {
    /// A decision to do nothing and to say nothing, for this reason.
    pub(super) fn new(situation: &Situation<'_>, why: Why) -> Self {
        Self {
            at: situation.now,
            replicas: situation.current.as_ref().ok().copied(),
            action: Action::Stay,
            why,
            forced: false,
            ready: None,
            active: None,
            paused: None,
            last_active: None,
            triggered_by: Vec::new(),
            readings: situation.activity.readings.clone(),
            errors: situation.activity.errors.clone(),
            cooldown: None,
            hpa: HpaRange::Keep,
        }
    }

    /// Why, as a phrase: `s0-prometheus is active (value 12, target 5)`. On one line.
    pub fn reason(&self) -> String {
        let phrase = match self.why {
            Why::ReplicasUnreadable => {
                format!(
                    "the target's replicas cannot be read: {}",
                    self.errors.first().map_or("", String::as_str)
                )
            }
            Why::Paused => "paused".to_owned(),
            Why::Activation | Why::Active => self.cause(),
            Why::ScaleOutPaused => format!("scale-out is paused, {}", self.cause()),
            Why::PartialError => format!("{}, but a trigger fails: {}", self.cause(), self.errors.join("; ")),
            Why::NoReading => "not every trigger has been read yet".to_owned(),
            Why::FailingWithFallback => {
                format!("a trigger fails, before its fallback: {}", self.errors.join("; "))
            }
            Why::Failing => format!("a trigger fails: {}", self.errors.join("; ")),
            Why::Deactivation => format!("{}, {}", self.quiet(), self.waited()),
            Why::ScaleInPaused => format!("scale-in is paused, {}", self.quiet()),
            Why::Cooldown | Why::InitialCooldown => {
                format!("cooling down, {}, {}", self.quiet(), self.waited())
            }
            Why::BelowMinimum => format!("below the minimum, {}", self.quiet()),
            Why::Inactive => self.quiet(),
        };
        phrase.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Who keeps the object awake.
    fn cause(&self) -> String {
        if self.forced {
            return "activation is forced by annotation".to_owned();
        }
        let woken_by = |reading: &&MetricReading| self.triggered_by.contains(&reading.name);
        let readings: Vec<_> = self.readings.iter().filter(woken_by).map(with_numbers("is active")).collect();
        if readings.is_empty() { "a trigger is active".to_owned() } else { readings.join("; ") }
    }

    /// Who would have to be active.
    fn quiet(&self) -> String {
        let readings: Vec<_> = self.readings.iter().map(with_numbers("is not active")).collect();
        if readings.is_empty() { "no trigger is active".to_owned() } else { readings.join("; ") }
    }

    /// How long nothing has been active, against how long it has to be.
    fn waited(&self) -> String {
        let Some(cooldown) = &self.cooldown else { return String::new() };
        let elapsed = cooldown.elapsed(self.at).as_secs();
        let period = cooldown.period.as_secs();
        match cooldown.initial {
            true => format!("never active, created {elapsed} s ago (initial cooldown {period} s)"),
            false => format!("last active {elapsed} s ago (cooldown {period} s)"),
        }
    }
}

/// Phrases one reading: `s0-prometheus is active (value 12, target 5)`.
fn with_numbers(state: &'static str) -> impl Fn(&MetricReading) -> String {
    move |reading| {
        let value = shown(reading.value);
        if let Some(fallen) = &reading.fallback {
            let replicas = fallen.replicas;
            let plural = if replicas == 1 { "" } else { "s" };
            let why = match fallen.cause {
                Cause::Failures { threshold, .. } => format!("failed more than {threshold} times in a row"),
                Cause::NilFormula => "the formula came to nil".to_owned(),
            };
            return format!("{} falls back to {replicas} replica{plural} ({why})", reading.name);
        }
        match &reading.target {
            Some(target) => format!("{} {state} (value {value}, target {target})", reading.name),
            None => format!("{} {state} (value {value})", reading.name),
        }
    }
}

/// A value for people: with at most three decimals, as many as the HPA sees.
pub fn shown(value: f64) -> f64 {
    let rounded = (value * 1000.0).round() / 1000.0;
    // A value that is too large to be rounded like that is shown as it is, and so is one that is not finite.
    if rounded.is_finite() { rounded } else { value }
}

impl fmt::Display for Decision {
    /// `0 -> 1 activate: s0-prometheus is active (value 12, target 5)`. The time is left to the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.action.change(), self.replicas) {
            (Some((from, to)), _) => write!(f, "{from} -> {to}")?,
            (None, Some(replicas)) => write!(f, "{replicas}")?,
            (None, None) => f.write_str("?")?,
        }
        write!(f, " {}: {}", self.action.verb(), self.reason())
    }
}
