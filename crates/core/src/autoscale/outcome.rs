//! What comes out of a sync, as plain data that prints as one line.

use std::fmt;

use jiff::Timestamp;
use keda_api::{Condition, ConditionStatus};
use serde::Serialize;

use super::{Failure, History, Measured, Situation, readable};

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The target is at zero, and not by the autoscaler: it is left alone.
    Disabled,
    /// The target has more replicas than the maximum.
    AboveMaximum,
    /// The target has fewer replicas than the minimum.
    BelowMinimum,
    /// The metrics decided.
    Followed,
    /// A metric failed, and the others did not ask for more: nothing moves.
    Failed,
}

/// What one sync does and says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The time of the sync.
    pub at: Timestamp,
    /// The target's replicas before.
    pub current: i32,
    /// The replicas that the target should have; `None` if that is not known, and `status.desiredReplicas` stays.
    pub desired: Option<i32>,
    /// What decided.
    pub verdict: Verdict,
    /// Why the target changes, in the words of the event `SuccessfulRescale`; empty if it does not, and where a window
    /// or the minimum moves it while the metrics ask for what there is.
    pub cause: String,
    /// What the metrics ask for, before any limit.
    pub proposed: Option<i32>,
    /// What stabilization left of that.
    pub stabilized: Option<i32>,
    /// Every metric, in the order of `spec.metrics`; empty if none was looked at.
    pub metrics: Vec<Result<Measured, Failure>>,
    /// The conditions to set, at most one a type. Types that are not here keep what they say.
    pub conditions: Vec<Condition>,
    /// What to remember.
    pub history: History,
    /// Whether the autoscaler may put its target to zero: what ScaledToZero says after a change.
    #[serde(skip)]
    to_zero: Option<bool>,
}

impl Outcome {
    pub(super) fn new(situation: &Situation<'_>) -> Self {
        let may_rest = situation.min == Some(0) && situation.has_external();
        Self {
            at: situation.now,
            current: situation.replicas.asked,
            desired: None,
            verdict: Verdict::Disabled,
            cause: String::new(),
            proposed: None,
            stabilized: None,
            metrics: Vec::new(),
            conditions: vec![readable()],
            history: situation.history.clone(),
            to_zero: situation.settings.scale_to_zero.then_some(may_rest && situation.replicas.asked > 0),
        }
    }

    /// Replicas before and after, if they are to change.
    pub fn change(&self) -> Option<(i32, i32)> {
        let desired = self.desired.filter(|desired| *desired != self.current)?;
        Some((self.current, desired))
    }

    /// The condition of a type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.r#type == kind)
    }

    /// The conditions to set once the change was made.
    pub fn rescaled(&self) -> Vec<Condition> {
        let Some((_, to)) = self.change() else { return Vec::new() };
        let able = Condition::new(
            "AbleToScale",
            ConditionStatus::True,
            "SucceededRescale",
            format!("the HPA controller was able to update the target scale to {to}"),
        );
        let rests = self.to_zero.map(|may| {
            let (reason, did) = if may && to == 0 {
                ("ScaledToZero", "scaled")
            } else {
                ("NotScaledToZero", "did not scale")
            };
            let message = format!("the HPA controller {did} the workload to zero");
            Condition::new("ScaledToZero", (may && to == 0).into(), reason, message)
        });
        std::iter::once(able).chain(rests).collect()
    }

    pub(super) fn settle(&mut self, verdict: Verdict, desired: i32, cause: &str) {
        self.verdict = verdict;
        self.desired = Some(desired);
        if desired != self.current {
            cause.clone_into(&mut self.cause);
        }
    }

    pub(super) fn set(&mut self, kind: &str, status: ConditionStatus, reason: &str, message: &str) {
        let wanted = Condition::new(kind, status, reason, message);
        match self.conditions.iter_mut().find(|condition| condition.r#type == kind) {
            Some(condition) => *condition = wanted,
            None => self.conditions.push(wanted),
        }
    }
}

impl fmt::Display for Outcome {
    /// One line: the change, what was proposed and what became of it, or what failed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.change() {
            Some((from, to)) => write!(f, "{from} -> {to}")?,
            None => write!(f, "stay at {}", self.current)?,
        }
        if let Some(proposed) = self.proposed {
            write!(f, ", metrics ask for {proposed}")?;
        }
        if !self.cause.is_empty() {
            write!(f, ", {}", self.cause)?;
        }
        for condition in &self.conditions {
            let says = |kind, status| condition.r#type == kind && condition.status == status;
            let held = condition.reason.as_deref().is_some_and(|reason| reason.ends_with("Stabilized"));
            let shown = says("ScalingActive", ConditionStatus::False)
                || says("ScalingLimited", ConditionStatus::True)
                || (condition.r#type == "AbleToScale" && held);
            if let (true, Some(reason), Some(message)) = (shown, &condition.reason, &condition.message) {
                write!(f, ", {reason}: {message}")?;
            }
        }
        Ok(())
    }
}

/// What AbleToScale says when the target's scale cannot be read.
pub fn scale_unreadable(error: &str) -> Condition {
    let message = format!("the HPA controller was unable to get the target's current scale: {error}");
    Condition::new("AbleToScale", ConditionStatus::False, "FailedGetScale", message)
}

/// What AbleToScale says when the target's scale cannot be written.
pub fn update_failed(error: &str) -> Condition {
    let message = format!("the HPA controller was unable to update the target scale: {error}");
    Condition::new("AbleToScale", ConditionStatus::False, "FailedUpdateScale", message)
}
