//! How many replicas a metric asks for. Pure.
//!
//! Source: `pkg/controller/podautoscaler/replica_calculator.go` of Kubernetes.

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, MetricTarget};
use keda_api::Quantity;

/// What the target has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Current {
    pub(super) spec: i32,
    pub(super) status: i32,
    /// Pods that are ready.
    pub(super) ready: i32,
}

/// What a metric's value is, in the words of the HPA's status.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    /// `averageValue` or `value`.
    pub(super) member: &'static str,
    pub(super) value: Quantity,
}

/// How far usage may be from its target without a change, below and above.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    down: f64,
    up: f64,
}

impl Tolerance {
    /// The controller's tolerance, or what the autoscaler's behavior says.
    pub(super) fn of(autoscaler: &HorizontalPodAutoscaler, default: f64) -> Self {
        let behavior = autoscaler.spec.as_ref().and_then(|spec| spec.behavior.as_ref());
        let own = |rules: Option<&k8s_openapi::api::autoscaling::v2::HPAScalingRules>| {
            let quantity = rules.and_then(|rules| rules.tolerance.as_ref())?;
            Some(Quantity::try_from(quantity).ok()?.as_f64())
        };
        Self {
            down: own(behavior.and_then(|behavior| behavior.scale_down.as_ref())).unwrap_or(default),
            up: own(behavior.and_then(|behavior| behavior.scale_up.as_ref())).unwrap_or(default),
        }
    }

    fn accepts(self, ratio: f64) -> bool {
        (1.0 - self.down) <= ratio && ratio <= (1.0 + self.up)
    }
}

/// What an external metric of `usage` (in thousandths) asks for.
pub(super) fn of_external(
    target: &MetricTarget,
    usage: i128,
    current: &Current,
    tolerance: Tolerance,
) -> Result<(Measured, i32), String> {
    let milli = |quantity: &k8s_openapi::apimachinery::pkg::api::resource::Quantity| {
        let milli = Quantity::try_from(quantity).map_err(|error| error.to_string())?.milli();
        if milli > 0 { Ok(milli as f64) } else { Err("the target is not positive".to_owned()) }
    };
    let used = usage as f64;
    if let Some(per_pod) = &target.average_value {
        let per_pod = milli(per_pod)?;
        let ratio = used / (per_pod * f64::from(current.status));
        let replicas = if tolerance.accepts(ratio) { current.status } else { whole((used / per_pod).ceil()) };
        let average = if current.status > 0 { (used / f64::from(current.status)).ceil() } else { used };
        let value = Quantity::from_milli(average as i128);
        return Ok((Measured { member: "averageValue", value }, replicas));
    }
    let Some(total) = &target.value else { return Err("the metric has no target".to_owned()) };
    let ratio = used / milli(total)?;
    let replicas = if current.spec == 0 {
        whole(ratio.ceil())
    } else if tolerance.accepts(ratio) {
        current.spec
    } else {
        whole((ratio * f64::from(current.ready)).ceil())
    };
    Ok((Measured { member: "value", value: Quantity::from_milli(usage) }, replicas))
}

/// A count of replicas; more than fit are as many as fit.
fn whole(replicas: f64) -> i32 {
    // A cast saturates, and NaN becomes zero.
    replicas as i32
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOLERANCE: Tolerance = Tolerance { down: 0.1, up: 0.1 };

    fn asked(target: serde_json::Value, usage: i128, replicas: i32) -> i32 {
        let target: MetricTarget = serde_json::from_value(target).unwrap();
        let current = Current { spec: replicas, status: replicas, ready: replicas };
        of_external(&target, usage, &current, TOLERANCE).unwrap().1
    }

    #[test]
    fn average_values() {
        let target = json!({"type": "AverageValue", "averageValue": "10"});
        for (usage, replicas, expected) in [
            (0, 3, 0),
            (30_000, 3, 3),
            (32_900, 3, 3),
            (33_100, 3, 4),
            (27_100, 3, 3),
            (26_900, 3, 3),
            (19_000, 3, 2),
            (100_000, 1, 10),
            (5_000, 0, 1),
        ] {
            assert_eq!(asked(target.clone(), usage, replicas), expected, "{usage} at {replicas}");
        }
    }

    #[test]
    fn values() {
        let target = json!({"type": "Value", "value": "100"});
        for (usage, replicas, expected) in
            [(100_000, 3, 3), (109_000, 3, 3), (200_000, 3, 6), (50_000, 4, 2), (0, 4, 0), (250_000, 0, 3)]
        {
            assert_eq!(asked(target.clone(), usage, replicas), expected, "{usage} at {replicas}");
        }
    }

    #[test]
    fn the_status_shows_the_average() {
        let target: MetricTarget =
            serde_json::from_value(json!({"type": "AverageValue", "averageValue": "10"})).unwrap();
        let current = Current { spec: 3, status: 3, ready: 3 };
        let (measured, _) = of_external(&target, 100_000, &current, TOLERANCE).unwrap();
        assert_eq!(measured.value.to_string(), "33334m");
    }
}
