//! What a trigger counts as while its source cannot be read: `spec.fallback`.
//!
//! One pure function, [`Plan::answer`], from what a source answered and how often it failed in a row to what the HPA is told and
//! what the poll decides on. Both paths use it, so they cannot differ. Failures are counted by polls alone
//! ([`Health::count`]), once each: upstream counts every request of the HPA too, so that a threshold of 3 passes in seconds
//! (`pkg/fallback/fallback.go`). `docs/fallback.md` is this module's truth table, printed by its tests.

use std::collections::BTreeMap;

use keda_api::{FallbackBehavior, HealthState, HealthStatus, Quantity, ScaledObjectSpec};
use serde::Serialize;

use crate::formula;
use crate::metric::TargetType;

/// Triggers that have no value of their own: the HPA reads them, so nothing can stand in for them.
const WITHOUT_VALUE: [&str; 2] = ["cpu", "memory"];

/// Why a fallback cannot be used as it is written. The texts are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Numbers below zero.
    #[error("FailureThreshold={threshold} & Replicas={replicas} must both be greater than or equal to 0")]
    Negative {
        /// `failureThreshold`.
        threshold: i32,
        /// `replicas`.
        replicas: i32,
    },
    /// No trigger has a value that could be replaced.
    #[error(
        "at least one trigger (that is not cpu or memory) has to have the `AverageValue` type for the fallback to be enabled"
    )]
    OnlyResources,
    /// The formula is to decide, and there is none.
    #[error("scalingModifiers fallback behavior requires scalingModifiers.formula to be defined")]
    NoFormula,
}

/// `spec.fallback`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many failures in a row are borne; one more and the fallback is used.
    pub threshold: u32,
    /// Replicas to fall back to.
    pub replicas: i32,
    /// How they are used. A word that this version does not know counts as `static`, as upstream has it.
    pub behavior: FallbackBehavior,
}

/// The fallback of a spec.
///
/// # Errors
/// [`Error`]. Admission refuses such an object; one that is there all the same is scaled without a fallback.
pub fn plan(spec: &ScaledObjectSpec) -> Result<Option<Plan>, Error> {
    let Some(fallback) = &spec.fallback else { return Ok(None) };
    let negative = Error::Negative { threshold: fallback.failure_threshold, replicas: fallback.replicas };
    let threshold = u32::try_from(fallback.failure_threshold).map_err(|_| negative.clone())?;
    if fallback.replicas < 0 {
        return Err(negative);
    }
    let with_formula = formula::is_used(spec);
    if !with_formula && spec.triggers.iter().all(|trigger| WITHOUT_VALUE.contains(&trigger.r#type.as_str())) {
        return Err(Error::OnlyResources);
    }
    let behavior = fallback.behavior.clone().unwrap_or(FallbackBehavior::Static);
    if behavior == FallbackBehavior::ScalingModifiers && !with_formula {
        return Err(Error::NoFormula);
    }
    Ok(Some(Plan { threshold, replicas: fallback.replicas, behavior }))
}

/// Failures in a row, by external metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    failures: BTreeMap<String, u32>,
}

impl Health {
    /// As an earlier process left it in the status: a restart begins no count anew.
    pub fn of(status: Option<&BTreeMap<String, HealthStatus>>) -> Self {
        let count =
            |health: &HealthStatus| u32::try_from(health.number_of_failures.unwrap_or(0)).unwrap_or(0);
        let entries = status.into_iter().flatten();
        Self { failures: entries.map(|(metric, health)| (metric.clone(), count(health))).collect() }
    }

    /// Takes one poll's answers: whether each metric could be read. Metrics that were not asked for are forgotten.
    ///
    /// The count ends one above the threshold: from there on nothing depends on it, and the status need not be written on
    /// every poll of a source that stays away.
    pub fn count<'a>(&mut self, plan: &Plan, answers: impl IntoIterator<Item = (&'a str, bool)>) {
        let before = std::mem::take(&mut self.failures);
        for (metric, good) in answers {
            let failures = match good {
                true => 0,
                false => before
                    .get(metric)
                    .map_or(1, |count| count.saturating_add(1))
                    .min(plan.threshold.saturating_add(1)),
            };
            self.failures.insert(metric.to_owned(), failures);
        }
    }

    /// Failures in a row of a metric.
    pub fn failures(&self, metric: &str) -> u32 {
        self.failures.get(metric).copied().unwrap_or(0)
    }

    /// Whether any metric has failed more often than is borne: the Fallback condition.
    pub fn is_past(&self, plan: &Plan) -> bool {
        self.failures.values().any(|failures| *failures > plan.threshold)
    }

    /// `status.health`.
    pub fn status(&self) -> BTreeMap<String, HealthStatus> {
        let shown = |failures: u32| HealthStatus {
            number_of_failures: Some(i32::try_from(failures).unwrap_or(i32::MAX)),
            status: Some(if failures == 0 { HealthState::Happy } else { HealthState::Failing }),
        };
        self.failures.iter().map(|(metric, failures)| (metric.clone(), shown(*failures))).collect()
    }
}

/// What the HPA holds a metric against: its own target, or the formula's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aim {
    /// The target.
    pub target: Quantity,
    /// How the HPA compares.
    pub target_type: TargetType,
}

/// What is known of the workload, as far as a fallback asks for it ([`Plan::needs`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its replicas now, or why they cannot be read.
    pub replicas: Result<i32, String>,
    /// Its pods that are ready, or why they cannot be counted.
    pub ready: Result<i32, String>,
}

impl Default for Workload {
    fn default() -> Self {
        Self { replicas: Err("not asked for".to_owned()), ready: Err("not asked for".to_owned()) }
    }
}

/// What has to be known of the workload before [`Plan::answer`] is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Its replicas.
    pub replicas: bool,
    /// Its ready pods.
    pub ready: bool,
}

/// Replicas that stand in for a metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FallenBack {
    /// How many.
    pub replicas: i32,
    /// Why.
    #[serde(flatten)]
    pub cause: Cause,
}

/// Why replicas stand in for a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It failed more often in a row than is borne.
    Failures {
        /// How often; the count ends one above the threshold.
        failures: u32,
        /// How often is borne.
        threshold: u32,
    },
    /// The formula came to nil.
    NilFormula,
}

/// What a metric counts as.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// What the source said.
    Read {
        /// The value.
        value: f64,
        /// Whether it makes the trigger active.
        active: bool,
    },
    /// The fallback's replicas, as the value by which the HPA arrives at them.
    FallsBack {
        /// The value.
        value: Quantity,
        /// Where it comes from.
        fallen: FallenBack,
    },
    /// Nil, for the formula to deal with.
    Nil,
    /// Nothing: what went wrong.
    Failed(String),
}

impl Plan {
    /// What [`Plan::answer`] will need for a metric that could not be read.
    pub fn needs(&self, failures: u32, aim: &Aim) -> Needs {
        if failures <= self.threshold || self.behavior == FallbackBehavior::ScalingModifiers {
            return Needs::default();
        }
        Needs { replicas: self.looks_at_replicas(), ready: aim.target_type == TargetType::Value }
    }

    fn looks_at_replicas(&self) -> bool {
        use FallbackBehavior::{CurrentReplicas, CurrentReplicasIfHigher, CurrentReplicasIfLower};
        matches!(self.behavior, CurrentReplicas | CurrentReplicasIfHigher | CurrentReplicasIfLower)
    }

    /// What a metric that could not be read counts as, after this many failures in a row.
    pub fn answer(&self, failures: u32, error: &str, aim: &Aim, workload: &Workload) -> Answer {
        if failures <= self.threshold {
            return Answer::Failed(error.to_owned());
        }
        if self.behavior == FallbackBehavior::ScalingModifiers {
            return Answer::Nil;
        }
        let replicas = match (&workload.replicas, self.looks_at_replicas()) {
            (_, false) => self.replicas,
            (Ok(current), true) => self.replicas_beside(*current),
            (Err(unread), true) => {
                return Answer::Failed(format!(
                    "{error}; no fallback, the target's replicas cannot be read: {unread}"
                ));
            }
        };
        match value(replicas, aim, workload) {
            Ok(value) => {
                let cause = Cause::Failures { failures, threshold: self.threshold };
                Answer::FallsBack { value, fallen: FallenBack { replicas, cause } }
            }
            Err(unread) => Answer::Failed(format!("{error}; error performing fallback: {unread}")),
        }
    }

    fn replicas_beside(&self, current: i32) -> i32 {
        match self.behavior {
            FallbackBehavior::CurrentReplicas => current,
            FallbackBehavior::CurrentReplicasIfHigher => current.max(self.replicas),
            FallbackBehavior::CurrentReplicasIfLower => current.min(self.replicas),
            _ => self.replicas,
        }
    }
}

/// The value by which an HPA arrives at these replicas.
///
/// Of an average value it makes value / target. Of a value it makes value / target times the ready pods, so they are divided
/// out; where none is ready (a workload that is only being woken) the HPA goes by one.
///
/// # Errors
/// The ready pods are needed and could not be counted.
pub fn value(replicas: i32, aim: &Aim, workload: &Workload) -> Result<Quantity, String> {
    let whole = aim.target.milli().saturating_mul(i128::from(replicas));
    let share = match aim.target_type {
        TargetType::Value => {
            let ready = workload
                .ready
                .clone()
                .map_err(|error| format!("the ready pods cannot be counted: {error}"))?;
            i128::from(ready.max(1))
        }
        TargetType::AverageValue | TargetType::Utilization => 1,
    };
    Ok(Quantity::from_milli(whole / share))
}

#[cfg(test)]
mod tests;
