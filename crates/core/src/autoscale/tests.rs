mod metrics;
mod properties;
mod steps;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerBehavior;
use keda_api::Quantity;
use serde_json::{Value, json};

use super::*;

const START: Timestamp = Timestamp::constant(1_767_225_600, 0);

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap()
}

fn external(target: Target, values: Result<Vec<Quantity>, String>) -> Metric {
    Metric::External {
        namespace: "default".to_owned(),
        name: "s0-a".to_owned(),
        selector: "nil".to_owned(),
        target: Some(target),
        values,
    }
}

/// A metric of 1 a replica, so that its value is what it asks for.
fn asks(value: i64) -> Metric {
    external(Target::AverageValue(quantity("1")), Ok(vec![Quantity::from(value)]))
}

fn fails() -> Metric {
    external(Target::AverageValue(quantity("1")), Err("source is down".to_owned()))
}

fn behavior(value: Value) -> HorizontalPodAutoscalerBehavior {
    serde_json::from_value(value).unwrap()
}

/// An autoscaler that is synced again and again, as its controller does it.
#[derive(Debug)]
struct Autoscaler {
    min: Option<i32>,
    max: i32,
    behavior: Option<HorizontalPodAutoscalerBehavior>,
    history: History,
    scaled_to_zero: bool,
    replicas: i32,
}

impl Autoscaler {
    fn at(replicas: i32) -> Self {
        let history = History::default();
        Self { min: Some(1), max: 100, behavior: None, history, scaled_to_zero: false, replicas }
    }

    fn with(behavior: Value) -> Self {
        Self { behavior: Some(self::behavior(behavior)), ..Self::at(1) }
    }

    /// A sync, without acting on it.
    fn look(&self, seconds: i64, metrics: &[Metric]) -> Outcome {
        evaluate(&Situation {
            now: START + SignedDuration::from_secs(seconds),
            replicas: Replicas { asked: self.replicas, reported: self.replicas, ready: Some(self.replicas) },
            min: self.min,
            max: self.max,
            behavior: self.behavior.as_ref(),
            scaled_to_zero: self.scaled_to_zero,
            metrics,
            history: &self.history,
            settings: Settings::default(),
        })
    }

    /// A sync, and the target follows.
    fn sync(&mut self, seconds: i64, metrics: &[Metric]) -> Outcome {
        let outcome = self.look(seconds, metrics);
        self.history = outcome.history.clone();
        if let Some((from, to)) = outcome.change() {
            self.history.scaled(from, to, outcome.at, self.behavior.as_ref());
            self.replicas = to;
        }
        outcome
    }

    /// A sync with one metric that asks for so many; what the target has then.
    fn follow(&mut self, seconds: i64, asked: i64) -> i32 {
        self.sync(seconds, &[asks(asked)]);
        self.replicas
    }
}

/// Status, reason and message of a condition.
fn words<'a>(outcome: &'a Outcome, kind: &str) -> (&'a str, &'a str, &'a str) {
    let condition = outcome.condition(kind).unwrap_or_else(|| panic!("no {kind} in {outcome:?}"));
    (
        condition.status.as_str(),
        condition.reason.as_deref().unwrap_or_default(),
        condition.message.as_deref().unwrap_or_default(),
    )
}
