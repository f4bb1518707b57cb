//! What the controller reports in an autoscaler's status, written only where it differs.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, MetricSpec};
use serde_json::{Value, json};

use keda_api::Condition;
use keda_core::autoscale::{Measured, Outcome};

/// The status in the making: the old one, with what this round found.
pub(super) struct Report {
    status: Value,
    /// `None`: as they were.
    metrics: Option<Vec<Value>>,
    rescaled: bool,
    conditions: Vec<Condition>,
}

impl Report {
    pub(super) fn on(autoscaler: &HorizontalPodAutoscaler) -> Self {
        let status = serde_json::to_value(&autoscaler.status).unwrap_or_default();
        let status = if status.is_object() { status } else { json!({}) };
        Self { status, metrics: None, rescaled: false, conditions: Vec::new() }
    }

    /// Whether the autoscaler put its target to zero.
    pub(super) fn scaled_to_zero(&self) -> bool {
        let conditions = self.status["conditions"].as_array().into_iter().flatten();
        conditions
            .into_iter()
            .any(|condition| condition["type"] == "ScaledToZero" && condition["status"] == "True")
    }

    /// Notes a condition; the last word counts.
    pub(super) fn condition(&mut self, condition: &Condition) {
        self.conditions.retain(|known| known.r#type != condition.r#type);
        self.conditions.push(condition.clone());
    }

    /// Notes what was decided.
    pub(super) fn outcome(&mut self, metrics: &[MetricSpec], outcome: &Outcome) {
        outcome.conditions.iter().for_each(|condition| self.condition(condition));
        self.status["currentReplicas"] = json!(outcome.current);
        if let Some(desired) = outcome.desired {
            self.status["desiredReplicas"] = json!(desired);
        }
        let measured = metrics.iter().zip(&outcome.metrics);
        self.metrics =
            Some(measured.map(|(metric, measured)| current(metric, measured.as_ref().ok())).collect());
    }

    /// Notes that the change was made.
    pub(super) fn rescaled(&mut self, outcome: &Outcome) {
        self.rescaled = true;
        outcome.rescaled().iter().for_each(|condition| self.condition(condition));
    }

    /// Notes that the change could not be made: what is desired stays what it was.
    pub(super) fn not_rescaled(&mut self, autoscaler: &HorizontalPodAutoscaler, condition: &Condition) {
        let before = autoscaler.status.as_ref().map_or(0, |status| status.desired_replicas);
        self.status["desiredReplicas"] = json!(before);
        self.condition(condition);
    }

    /// The merge patch that brings the status up to date; `None` if it is.
    pub(super) fn difference(
        mut self,
        autoscaler: &HorizontalPodAutoscaler,
        now: Timestamp,
    ) -> Option<Value> {
        let now = format!("{now:.0}");
        let mut conditions = self.status["conditions"].as_array().cloned().unwrap_or_default();
        for condition in &self.conditions {
            let wanted = json!(condition);
            match conditions.iter_mut().find(|known| known["type"] == wanted["type"]) {
                Some(found) => {
                    let since = if found["status"] == wanted["status"] {
                        found["lastTransitionTime"].clone()
                    } else {
                        json!(now)
                    };
                    *found = wanted;
                    found["lastTransitionTime"] = since;
                }
                None => {
                    let mut wanted = wanted;
                    wanted["lastTransitionTime"] = json!(now);
                    conditions.push(wanted);
                }
            }
        }
        self.status["conditions"] = json!(conditions);
        let old = serde_json::to_value(&autoscaler.status).unwrap_or_default();
        if let Some(metrics) = &self.metrics {
            // Where none was looked at, none is shown. Null removes what was there.
            let gone = if old["currentMetrics"].is_null() { None } else { Some(Value::Null) };
            let shown = if metrics.is_empty() { gone } else { Some(json!(metrics)) };
            if let Some(shown) = shown {
                self.status["currentMetrics"] = shown;
            }
        }
        if self.rescaled {
            self.status["lastScaleTime"] = json!(now);
        }
        (old != self.status).then(|| json!({"status": self.status}))
    }
}

/// What a metric is at; an empty entry, as Kubernetes' controller leaves it, for one that failed.
fn current(metric: &MetricSpec, measured: Option<&Measured>) -> Value {
    match (measured, &metric.external) {
        (Some(measured), Some(external)) => json!({"type": "External", "external": {
            "metric": external.metric, "current": measured.usage}}),
        _ => json!({"type": ""}),
    }
}
