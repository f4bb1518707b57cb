//! How fast a target may move: stabilization windows, policies, bounds. Pure but for the history that it keeps.
//!
//! Source: `pkg/controller/podautoscaler/horizontal.go` of Kubernetes: with a behavior, its windows and policies; without,
//! the controller's window for scaling down and the old rule for scaling up (double, or four).

use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::{HPAScalingRules, HorizontalPodAutoscalerBehavior};
use tokio::time::Instant;

/// What happened to one target.
#[derive(Debug, Default)]
pub(super) struct History {
    recommendations: Vec<(Instant, i32)>,
    /// When, and by how many replicas.
    ups: Vec<(Instant, i32)>,
    downs: Vec<(Instant, i32)>,
}

/// The longest period that a policy may look at, and the longest window.
const MEMORY: Duration = Duration::from_secs(3600);

impl History {
    /// Notes what the target has when it is first seen, so that it does not shrink at once.
    pub(super) fn begin(&mut self, replicas: i32, now: Instant) {
        if self.recommendations.is_empty() {
            self.recommendations.push((now, replicas));
        }
    }

    /// Notes a change of the target.
    pub(super) fn scaled(&mut self, from: i32, to: i32, now: Instant) {
        let events = if to > from { &mut self.ups } else { &mut self.downs };
        events.retain(|(at, _)| now.duration_since(*at) <= MEMORY);
        events.push((now, (to - from).abs()));
    }

    fn recommend(&mut self, replicas: i32, now: Instant) {
        self.recommendations.retain(|(at, _)| now.duration_since(*at) <= MEMORY);
        self.recommendations.push((now, replicas));
    }

    fn within(&self, window: Duration, now: Instant) -> impl Iterator<Item = i32> {
        let recent = self.recommendations.iter().filter(move |(at, _)| now.duration_since(*at) < window);
        recent.map(|(_, replicas)| *replicas)
    }
}

/// Where the target is and may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) min: i32,
    pub(super) max: i32,
    pub(super) current: i32,
}

/// What is left of a proposal, and why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Limited {
    pub(super) replicas: i32,
    /// Reason and message of ScalingLimited=True; `None` if the proposal was within its limits.
    pub(super) why: Option<(&'static str, &'static str)>,
    /// Reason and message of AbleToScale, if the recommendation was held back.
    pub(super) stabilized: Option<(&'static str, &'static str)>,
}

/// Limits a proposal.
pub(super) fn limit(
    history: &mut History,
    behavior: Option<&HorizontalPodAutoscalerBehavior>,
    bounds: &Bounds,
    proposed: i32,
    downscale_window: Duration,
    now: Instant,
) -> Limited {
    let stable = stabilize(history, behavior, bounds.current, proposed, downscale_window, now);
    history.recommend(proposed, now);
    let stabilized = match stable {
        stable if stable > proposed => Some((
            "ScaleDownStabilized",
            "recent recommendations were higher than current one, applying the highest recent recommendation",
        )),
        stable if stable < proposed => Some((
            "ScaleUpStabilized",
            "recent recommendations were lower than current one, applying the lowest recent recommendation",
        )),
        _ => None,
    };
    let (replicas, why) = match behavior {
        None => by_default(bounds, stable),
        Some(behavior) => by_rules(history, behavior, bounds, stable, now),
    };
    Limited { replicas, why, stabilized }
}

fn stabilize(
    history: &History,
    behavior: Option<&HorizontalPodAutoscalerBehavior>,
    current: i32,
    proposed: i32,
    downscale_window: Duration,
    now: Instant,
) -> i32 {
    let window = |rules: Option<&HPAScalingRules>, default: Duration| {
        let seconds = rules.and_then(|rules| rules.stabilization_window_seconds);
        seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(default, Duration::from_secs)
    };
    let Some(behavior) = behavior else {
        return history.within(downscale_window, now).fold(proposed, i32::max);
    };
    let up = window(behavior.scale_up.as_ref(), Duration::ZERO);
    let down = window(behavior.scale_down.as_ref(), downscale_window);
    let lowest = history.within(up, now).fold(proposed, i32::min);
    let highest = history.within(down, now).fold(proposed, i32::max);
    current.max(lowest).min(highest)
}

type Reason = Option<(&'static str, &'static str)>;

const TOO_FEW: Reason =
    Some(("TooFewReplicas", "the desired replica count is less than the minimum replica count"));
const TOO_MANY: Reason =
    Some(("TooManyReplicas", "the desired replica count is more than the maximum replica count"));
const UP_LIMIT: Reason =
    Some(("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"));
const DOWN_LIMIT: Reason =
    Some(("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"));

fn by_default(bounds: &Bounds, wanted: i32) -> (i32, Reason) {
    let fastest = bounds.current.saturating_mul(2).max(4);
    if wanted < bounds.min {
        (bounds.min, TOO_FEW)
    } else if wanted > bounds.max.min(fastest) {
        if bounds.max > fastest { (fastest, UP_LIMIT) } else { (bounds.max, TOO_MANY) }
    } else {
        (wanted, None)
    }
}

fn by_rules(
    history: &History,
    behavior: &HorizontalPodAutoscalerBehavior,
    bounds: &Bounds,
    wanted: i32,
    now: Instant,
) -> (i32, Reason) {
    if wanted > bounds.current {
        let fastest =
            fastest_up(history, behavior.scale_up.as_ref(), bounds.current, now).max(bounds.current);
        if wanted > bounds.max.min(fastest) {
            return if bounds.max > fastest { (fastest, UP_LIMIT) } else { (bounds.max, TOO_MANY) };
        }
    } else if wanted < bounds.current {
        let lowest =
            lowest_down(history, behavior.scale_down.as_ref(), bounds.current, now).min(bounds.current);
        if wanted < bounds.min.max(lowest) {
            return if bounds.min < lowest { (lowest, DOWN_LIMIT) } else { (bounds.min, TOO_FEW) };
        }
    }
    (wanted, None)
}

/// What policies do with their proposals.
fn choose(rules: Option<&HPAScalingRules>) -> &str {
    rules.and_then(|rules| rules.select_policy.as_deref()).unwrap_or("Max")
}

/// Replicas at the start of a policy's period.
fn at_start(history: &History, current: i32, period: i32, now: Instant) -> i32 {
    let period = Duration::from_secs(u64::try_from(period).unwrap_or(0));
    let sum = |events: &[(Instant, i32)]| -> i32 {
        events.iter().filter(|(at, _)| now.duration_since(*at) < period).map(|(_, change)| change).sum()
    };
    current - sum(&history.ups) + sum(&history.downs)
}

fn fastest_up(history: &History, rules: Option<&HPAScalingRules>, current: i32, now: Instant) -> i32 {
    let propose = |policy: &k8s_openapi::api::autoscaling::v2::HPAScalingPolicy| {
        let start = at_start(history, current, policy.period_seconds, now);
        if policy.type_ == "Pods" {
            start.saturating_add(policy.value)
        } else {
            (f64::from(start) * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i32
        }
    };
    let proposals = rules.and_then(|rules| rules.policies.as_ref()).into_iter().flatten().map(propose);
    match choose(rules) {
        "Disabled" => current,
        "Min" => proposals.min().unwrap_or(current),
        _ => proposals.max().unwrap_or(i32::MAX),
    }
}

fn lowest_down(history: &History, rules: Option<&HPAScalingRules>, current: i32, now: Instant) -> i32 {
    let propose = |policy: &k8s_openapi::api::autoscaling::v2::HPAScalingPolicy| {
        let start = at_start(history, current, policy.period_seconds, now);
        if policy.type_ == "Pods" {
            start.saturating_sub(policy.value)
        } else {
            (f64::from(start) * (1.0 - f64::from(policy.value) / 100.0)) as i32
        }
    };
    let proposals = rules.and_then(|rules| rules.policies.as_ref()).into_iter().flatten().map(propose);
    match choose(rules) {
        "Disabled" => current,
        "Min" => proposals.max().unwrap_or(current),
        _ => proposals.min().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(300);

    fn at(current: i32) -> Bounds {
        Bounds { min: 1, max: 100, current }
    }

    fn behavior(value: serde_json::Value) -> HorizontalPodAutoscalerBehavior {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn without_behavior_up_at_once_by_double_and_down_after_the_window() {
        let start = Instant::now();
        let mut history = History::default();
        let mut ask = |current, proposed, seconds| {
            let now = start + Duration::from_secs(seconds);
            history.begin(current, now);
            limit(&mut history, None, &at(current), proposed, WINDOW, now).replicas
        };
        assert_eq!(ask(1, 50, 0), 4);
        assert_eq!(ask(4, 50, 15), 8);
        assert_eq!(ask(50, 1, 30), 50, "the window remembers");
        assert_eq!(ask(50, 1, 314), 50);
        assert_eq!(ask(50, 1, 316), 1);
    }

    #[test]
    fn disabled_directions_hold() {
        let now = Instant::now();
        let down =
            behavior(json!({"scaleDown": {"selectPolicy": "Disabled", "stabilizationWindowSeconds": 0}}));
        assert_eq!(limit(&mut History::default(), Some(&down), &at(5), 1, WINDOW, now).replicas, 5);
        let up = behavior(json!({"scaleUp": {"selectPolicy": "Disabled"}}));
        assert_eq!(limit(&mut History::default(), Some(&up), &at(5), 9, WINDOW, now).replicas, 5);
    }

    #[test]
    fn policies_count_what_happened_in_their_period() {
        let start = Instant::now();
        let rules = behavior(json!({"scaleUp": {"selectPolicy": "Max", "stabilizationWindowSeconds": 0,
                "policies": [{"type": "Pods", "value": 4, "periodSeconds": 60}]},
            "scaleDown": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max",
                "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}]}}));
        let mut history = History::default();
        let mut ask = |current, proposed, seconds| {
            let now = start + Duration::from_secs(seconds);
            let limited = limit(&mut history, Some(&rules), &at(current), proposed, WINDOW, now);
            if limited.replicas != current {
                history.scaled(current, limited.replicas, now);
            }
            limited.replicas
        };
        assert_eq!(ask(2, 20, 0), 6);
        assert_eq!(ask(6, 20, 30), 6, "four were added within the minute");
        assert_eq!(ask(6, 20, 60), 10);
        assert_eq!(ask(10, 1, 180), 5);
        assert_eq!(ask(5, 1, 200), 5);
        assert_eq!(ask(5, 1, 240), 2);
    }

    #[test]
    fn bounds_and_their_reasons() {
        let now = Instant::now();
        let bounds = Bounds { min: 2, max: 3, current: 3 };
        let ask = |proposed| limit(&mut History::default(), None, &bounds, proposed, WINDOW, now);
        assert_eq!(ask(0).why, TOO_FEW);
        assert_eq!(ask(9).why, TOO_MANY);
        assert_eq!(ask(3).why, None);
    }
}
