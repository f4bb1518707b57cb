//! From what the triggers of one poll answered to one statement: active, not active, or not known.
//!
//! The poll loop collects a [`TriggerOutcome`] for each trigger and [`of`] folds them, after
//! `pkg/scaling/scale_handler.go` (`getScaledObjectState`). The promise of this module: a trigger that failed, or was
//! not read yet, never makes an object inactive. Upstream once lost that on a race (a poll that met a closed cache read
//! "inactive, no error"); here the difference is in the type.

use std::collections::BTreeMap;

use keda_api::{Quantity, TriggerActivity};
use serde::Serialize;

use crate::fallback::{Answer, FallenBack};
use crate::formula::{COMPOSITE, Composite};

/// One metric, read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricReading {
    /// The metric's name in the HPA, `s<index>-<part>`.
    pub name: String,
    /// The number the source gave, before any clamping.
    pub value: f64,
    /// Whether it is above the trigger's activation threshold.
    pub active: bool,
    /// The target it is held against in the HPA, for people who read decisions. None where it is not known.
    pub target: Option<Quantity>,
    /// The replicas that stand in for it, and why: then `value` is the value by which the HPA arrives at them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<FallenBack>,
}

impl MetricReading {
    /// A metric by what it counts as.
    ///
    /// # Errors
    /// There is no value: what went wrong. A metric that is nil for the formula has gone wrong too.
    pub fn of(name: &str, target: Option<Quantity>, answer: &Answer) -> Result<Self, String> {
        let (value, active, fallback) = match answer {
            Answer::Read { value, active } => (*value, *active, None),
            // Awake as long as there are replicas to fall back to: upstream stays awake for none too (docs/differences.md).
            Answer::FallsBack { value, fallen } => {
                (value.as_f64(), fallen.replicas > 0, Some(fallen.clone()))
            }
            Answer::Nil => return Err(format!("metric {name} could not be read")),
            Answer::Failed(error) => return Err(error.clone()),
        };
        Ok(Self { name: name.to_owned(), value, active, target, fallback })
    }

    /// The formula's metric.
    pub fn composite(target: Quantity, composite: &Composite) -> Self {
        Self {
            name: COMPOSITE.to_owned(),
            value: composite.value,
            active: composite.active,
            target: Some(target),
            fallback: composite.fallen.clone(),
        }
    }
}

/// What one trigger answered in one poll.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerOutcome {
    /// Position in `spec.triggers`.
    pub index: usize,
    /// The trigger's name, else its type.
    pub trigger: String,
    /// The answer.
    pub result: TriggerResult,
}

/// The answer of one trigger.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TriggerResult {
    /// Every metric was read. In the order of the trigger's plan; the last one decides whether the trigger is active.
    Sampled(Vec<MetricReading>),
    /// Some metrics were read, others failed.
    Partial {
        /// Those that were read.
        readings: Vec<MetricReading>,
        /// What went wrong with the others.
        errors: Vec<String>,
    },
    /// Nothing could be read; the reason.
    Failed(String),
    /// Not read yet, for instance right after a start. Neither a value nor an error.
    Pending,
    /// Nothing to read: the HPA looks at these resources (`cpu`, `memory`) by itself. Alone they keep an object awake,
    /// next to other triggers they say nothing.
    ReadByHpa(Vec<String>),
}

/// What a poll says about an object. The default is "nothing was read yet", from which nothing follows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Activity {
    /// At least one trigger is active.
    pub active: bool,
    /// At least one trigger failed, in part or whole.
    pub error: bool,
    /// Every trigger has been read or has failed: none is pending. Only then does "not active" mean anything.
    pub complete: bool,
    /// The names of all metrics of the active triggers, in trigger order: who woke the object.
    pub active_metrics: Vec<String>,
    /// What went wrong, each text with its trigger in front.
    pub errors: Vec<String>,
    /// Everything that was read, in trigger order.
    pub readings: Vec<MetricReading>,
}

/// Folds the answers of one poll.
///
/// An answer that is not a number, and a trigger that answers with no metric at all, count as failures: no source means
/// "no load" by them.
pub fn of(outcomes: &[TriggerOutcome]) -> Activity {
    let mut activity = Activity { complete: !outcomes.is_empty(), ..Activity::default() };
    for outcome in outcomes {
        let (readings, errors) = match &outcome.result {
            TriggerResult::Sampled(readings) => (readings.as_slice(), &[][..]),
            TriggerResult::Partial { readings, errors } => (readings.as_slice(), errors.as_slice()),
            TriggerResult::Failed(error) => (&[][..], std::slice::from_ref(error)),
            TriggerResult::Pending => {
                activity.complete = false;
                continue;
            }
            TriggerResult::ReadByHpa(_) => continue,
        };
        let mut faults: Vec<String> = errors.to_vec();
        if readings.is_empty() && faults.is_empty() {
            faults.push("no metric was read".to_owned());
        }
        let (numbers, others): (Vec<_>, Vec<_>) =
            readings.iter().partition(|reading| !reading.value.is_nan());
        faults.extend(others.iter().map(|reading| format!("metric {} is not a number", reading.name)));

        activity.error |= !faults.is_empty();
        activity.errors.extend(faults.iter().map(|fault| format!("{}: {fault}", outcome.trigger)));
        if numbers.last().is_some_and(|reading| reading.active) {
            activity.active = true;
            activity.active_metrics.extend(readings.iter().map(|reading| reading.name.clone()));
        }
        activity.readings.extend(numbers.into_iter().cloned());
    }
    // Nobody could ever wake an object that has nothing but resources: without replicas they have no values.
    if let Some(resources) = only_resources(outcomes) {
        activity.active = true;
        activity.active_metrics = resources;
    }
    activity
}

/// What a poll says about an object with a formula: its metric decides alone. `readings` and `errors` are those of the
/// triggers, the errors each with its trigger in front.
pub fn composed(
    readings: Vec<MetricReading>,
    errors: Vec<String>,
    composite: Result<MetricReading, String>,
) -> Activity {
    let mut activity =
        Activity { complete: true, error: !errors.is_empty(), errors, readings, ..Activity::default() };
    match composite {
        Ok(reading) => {
            activity.active = reading.active;
            if reading.active {
                activity.active_metrics.push(reading.name.clone());
            }
            activity.readings.push(reading);
        }
        Err(error) => {
            // Mostly the error of a trigger, which is there already.
            if !activity.errors.iter().any(|known| known.ends_with(&error)) {
                activity.errors.push(format!("{COMPOSITE}: {error}"));
            }
            activity.error = true;
        }
    }
    activity
}

/// The resources of an object that has no other trigger.
fn only_resources(outcomes: &[TriggerOutcome]) -> Option<Vec<String>> {
    let mut resources = Vec::new();
    for outcome in outcomes {
        let TriggerResult::ReadByHpa(names) = &outcome.result else { return None };
        resources.extend(names.iter().cloned());
    }
    (!outcomes.is_empty()).then_some(resources)
}

/// `status.triggersActivity`: for each external metric of the object, whether it is among the active ones.
pub fn by_metric(external_metric_names: &[String], activity: &Activity) -> BTreeMap<String, TriggerActivity> {
    external_metric_names
        .iter()
        .map(|name| (name.clone(), TriggerActivity { is_active: activity.active_metrics.contains(name) }))
        .collect()
}

#[cfg(test)]
mod tests;
