//! What the controller reports in an autoscaler's status, written only where it differs.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, MetricSpec};
use serde_json::{Value, json};

use super::{limits::Limited, replicas::Measured};

/// The status in the making: the old one, with what this round found.
pub(super) struct Report {
    status: Value,
    metrics: Vec<Value>,
    rescaled: bool,
    conditions: Vec<(&'static str, bool, String, String)>,
}

impl Report {
    pub(super) fn on(autoscaler: &HorizontalPodAutoscaler) -> Self {
        let status = serde_json::to_value(&autoscaler.status).unwrap_or_default();
        let status = if status.is_object() { status } else { json!({}) };
        Self { status, metrics: Vec::new(), rescaled: false, conditions: Vec::new() }
    }

    /// Notes a condition; the last word counts.
    pub(super) fn condition(&mut self, kind: &'static str, holds: bool, reason: &str, message: &str) {
        self.conditions.retain(|(known, ..)| *known != kind);
        self.conditions.push((kind, holds, reason.to_owned(), message.to_owned()));
    }

    pub(super) fn current_replicas(&mut self, replicas: i32) {
        self.status["currentReplicas"] = json!(replicas);
    }

    pub(super) fn desired_replicas(&mut self, replicas: i32) {
        self.status["desiredReplicas"] = json!(replicas);
    }

    pub(super) fn rescaled(&mut self) {
        self.rescaled = true;
    }

    /// Notes what a metric was measured at; `None` for one that failed.
    pub(super) fn measured(&mut self, metric: &MetricSpec, measured: Option<&Measured>) {
        let current = match (measured, &metric.external) {
            (Some(measured), Some(external)) => json!({"type": "External", "external": {
                "metric": external.metric, "current": {measured.member: measured.value}}}),
            // The API server's own controller leaves an empty entry in the place of a metric that failed.
            _ => json!({"type": ""}),
        };
        self.metrics.push(current);
    }

    pub(super) fn limited(&mut self, limited: &Limited) {
        let (reason, message) =
            limited.stabilized.unwrap_or(("ReadyForNewScale", "recommended size matches current size"));
        self.condition("AbleToScale", true, reason, message);
        match limited.why {
            Some((reason, message)) => self.condition("ScalingLimited", true, reason, message),
            None => self.condition(
                "ScalingLimited",
                false,
                "DesiredWithinRange",
                "the desired count is within the acceptable range",
            ),
        }
    }

    /// The merge patch that brings the status up to date; `None` if it is.
    pub(super) fn difference(
        mut self,
        autoscaler: &HorizontalPodAutoscaler,
        now: Timestamp,
    ) -> Option<Value> {
        let now = format!("{now:.0}");
        let mut conditions = self.status["conditions"].as_array().cloned().unwrap_or_default();
        for (kind, holds, reason, message) in self.conditions {
            let status = if holds { "True" } else { "False" };
            let wanted = json!({"type": kind, "status": status, "reason": reason, "message": message});
            match conditions.iter_mut().find(|condition| condition["type"] == kind) {
                Some(found) => {
                    let since = if found["status"] == status {
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
        if !self.metrics.is_empty() {
            self.status["currentMetrics"] = json!(self.metrics);
        }
        if self.rescaled {
            self.status["lastScaleTime"] = json!(now);
        }
        let old = serde_json::to_value(&autoscaler.status).unwrap_or_default();
        (old != self.status).then(|| json!({"status": self.status}))
    }
}
