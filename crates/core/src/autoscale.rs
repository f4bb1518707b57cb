//! What Kubernetes' HorizontalPodAutoscaler controller does with one autoscaler, as a function.
//!
//! [`evaluate`] takes everything that the controller looks at in one sync ([`Situation`]) and gives everything that it
//! would do and say ([`Outcome`]): the replicas, the conditions to the letter, and the history to hand in next time. The
//! embedded controller of the tests and the demo runs on it; a simulation can too, and a condition can be explained by it.
//!
//! The order of the steps, and where they are:
//!
//! 1. at zero nothing moves, unless the autoscaler itself put the target there; above the maximum or below the minimum
//!    the bound is applied at once, and no metric is asked (this file);
//! 2. each metric proposes a count, within tolerance the current one (`metric`); the highest counts. Where one fails, a
//!    lower count than the current one is never taken;
//! 3. stabilization takes the gentlest of the recent proposals (`limit`, [`History`]);
//! 4. policies and bounds limit the step (`limit`).
//!
//! Source: `pkg/controller/podautoscaler/{horizontal,replica_calculator}.go` of Kubernetes 1.37, with its defaults
//! (`HPAScaleToZero` on, as it is from 1.37; `HPAConfigurableTolerance` on). External metrics are computed here;
//! metrics of other kinds come in as [`Metric::Unavailable`]. That it is the same, `tests/autoscale_as_kubernetes.rs` says:
//! thousands of syncs of the real controller, replayed. Left out are values that do not fit the controller's 64 bits, which
//! it reads as anything, and several autoscalers for the same pods, which it refuses.

mod history;
mod limit;
mod metric;
mod outcome;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerBehavior;
use keda_api::{Condition, ConditionStatus};
use serde::Serialize;

pub use history::{Change, History, Recommendation};
pub use metric::{Failure, Measured, Metric, Target, Usage};
pub use outcome::{Outcome, Verdict, scale_unreadable, update_failed};

use limit::Rules;

/// Flags of kube-controller-manager, with its defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// `--horizontal-pod-autoscaler-tolerance`: a ratio that a behavior can replace in each direction.
    pub tolerance: f64,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`: the window where a behavior sets none.
    pub downscale_stabilization: SignedDuration,
    /// The feature gate `HPAScaleToZero`.
    pub scale_to_zero: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { tolerance: 0.1, downscale_stabilization: SignedDuration::from_mins(5), scale_to_zero: true }
    }
}

/// What the target has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Replicas {
    /// `spec.replicas` of its scale.
    pub asked: i32,
    /// `status.replicas` of its scale.
    pub reported: i32,
    /// Pods that are ready; `None` if its selector finds no pod at all, which fails a target value.
    pub ready: Option<i32>,
}

/// Everything that one sync looks at.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// The time.
    pub now: Timestamp,
    /// What the target has.
    pub replicas: Replicas,
    /// `spec.minReplicas`; unset is 1.
    pub min: Option<i32>,
    /// `spec.maxReplicas`.
    pub max: i32,
    /// `spec.behavior`. What it leaves out is filled in as the API server fills it in; without any, the older rules
    /// apply (double or four, and the controller's window).
    pub behavior: Option<&'a HorizontalPodAutoscalerBehavior>,
    /// Whether the autoscaler's condition `ScaledToZero` is true.
    pub scaled_to_zero: bool,
    /// The metrics, in the order of `spec.metrics`, as they were read.
    pub metrics: &'a [Metric],
    /// What the last outcome left.
    pub history: &'a History,
    /// The controller's flags.
    pub settings: Settings,
}

impl Situation<'_> {
    fn min(&self) -> i32 {
        self.min.unwrap_or(1)
    }

    /// Whether metrics decide. If not, none has to be asked, and [`evaluate`] does not look at their values.
    pub fn asks_metrics(&self) -> bool {
        let current = self.replicas.asked;
        if current == 0 { !self.is_disabled() } else { (self.min()..=self.max).contains(&current) }
    }

    /// At zero, only an autoscaler that put its target there takes it up again; one that could not go back by a metric
    /// does so only because its minimum was raised.
    fn is_disabled(&self) -> bool {
        let rests = self.settings.scale_to_zero && self.scaled_to_zero;
        self.replicas.asked == 0 && !(rests && (self.min() != 0 || self.has_external()))
    }

    fn has_external(&self) -> bool {
        self.metrics.iter().any(|metric| matches!(metric, Metric::External { .. }))
    }
}

/// One sync of one autoscaler.
pub fn evaluate(situation: &Situation<'_>) -> Outcome {
    let (min, max, current) = (situation.min(), situation.max, situation.replicas.asked);
    let mut outcome = Outcome::new(situation);
    outcome.history.begin(current, situation.now);
    if situation.asks_metrics() {
        follow_metrics(situation, &mut outcome);
    } else if current == 0 {
        outcome.desired = Some(0);
        outcome.set(
            "ScalingActive",
            ConditionStatus::False,
            "ScalingDisabled",
            "scaling is disabled since the replica count of the target is zero",
        );
    } else if current > max {
        outcome.settle(Verdict::AboveMaximum, max, "Current number of replicas above Spec.MaxReplicas");
    } else {
        outcome.settle(Verdict::BelowMinimum, min, "Current number of replicas below Spec.MinReplicas");
    }
    outcome
}

fn follow_metrics(situation: &Situation<'_>, outcome: &mut Outcome) {
    let (min, current) = (situation.min(), situation.replicas.asked);
    let rules = Rules::of(situation.behavior, &situation.settings);
    outcome.metrics = situation
        .metrics
        .iter()
        .map(|metric| metric.measure(&situation.replicas, rules.tolerance()))
        .collect();
    let (proposed, by) = match agree(&outcome.metrics, current) {
        Ok(agreed) => agreed,
        Err(failure) => {
            outcome.verdict = Verdict::Failed;
            outcome.set("ScalingActive", ConditionStatus::False, &failure.reason, &failure.message);
            return;
        }
    };
    outcome.proposed = Some(proposed);
    outcome.set(
        "ScalingActive",
        ConditionStatus::True,
        "ValidMetricFound",
        &format!("the HPA was able to successfully calculate a replica count from {by}"),
    );

    let stable = rules.stabilize(&outcome.history, current, proposed, situation.now);
    outcome.history.recommend(proposed, situation.now, rules.memory());
    outcome.stabilized = Some(stable);
    let (reason, message) = match stable {
        stable if stable > proposed => limit::HELD_UP,
        stable if stable < proposed => limit::HELD_DOWN,
        _ => ("ReadyForNewScale", "recommended size matches current size"),
    };
    outcome.set("AbleToScale", ConditionStatus::True, reason, message);

    let (mut desired, (reason, message)) = rules.limit(
        &outcome.history,
        limit::Range { min, max: situation.max, current },
        stable,
        situation.now,
    );
    outcome.set("ScalingLimited", (desired != stable).into(), reason, message);

    let mut cause = match proposed {
        proposed if proposed > current => format!("{by} above target"),
        proposed if proposed < current => "All metrics below target".to_owned(),
        _ => String::new(),
    };
    if current == 0 && desired < min {
        desired = min;
        if cause.is_empty() {
            "Current number of replicas below Spec.MinReplicas".clone_into(&mut cause);
        }
    }
    outcome.settle(Verdict::Followed, desired, &cause);
}

/// The highest count that any metric proposes, and that metric's name; the first failure, where nothing is known or the
/// known would mean fewer replicas.
fn agree(metrics: &[Result<Measured, Failure>], current: i32) -> Result<(i32, String), Failure> {
    let mut most: Option<(i32, &str)> = None;
    for measured in metrics.iter().flatten() {
        // A count of zero gives way to any later one, as in the controller: its name is then the last one's.
        if most.is_none_or(|(replicas, _)| replicas == 0 || measured.replicas > replicas) {
            most = Some((measured.replicas, &measured.metric));
        }
    }
    let failure = metrics.iter().find_map(|metric| metric.clone().err());
    match (most, failure) {
        (Some((replicas, _)), Some(failure)) if replicas < current => Err(failure),
        (None, Some(failure)) => Err(failure),
        (Some((replicas, name)), _) => Ok((replicas.max(0), name.to_owned())),
        // Nothing is asked for; the API server does not let such an autoscaler in.
        (None, None) => Ok((current, String::new())),
    }
}

/// What AbleToScale says while the target's scale can be read.
fn readable() -> Condition {
    Condition::new(
        "AbleToScale",
        ConditionStatus::True,
        "SucceededGetScale",
        "the HPA controller was able to get the target's current scale",
    )
}

#[cfg(test)]
mod tests;
