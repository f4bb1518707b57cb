//! How fast a target may move: tolerance, stabilization windows, policies, bounds.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::{HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerBehavior};
use keda_api::Quantity;

use super::{History, Settings, metric::Tolerance};
use crate::hpa;

/// A condition's reason and message.
type Words = (&'static str, &'static str);

pub(super) const HELD_UP: Words = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
);
pub(super) const HELD_DOWN: Words = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
);
const IN_RANGE: Words = ("DesiredWithinRange", "the desired count is within the acceptable range");
const TOO_FEW: Words = ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const TOO_MANY: Words =
    ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const UP_LIMIT: Words =
    ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const DOWN_LIMIT: Words =
    ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");

/// Where the target is and may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) min: i32,
    pub(super) max: i32,
    pub(super) current: i32,
}

/// The rules of one autoscaler.
pub(super) struct Rules {
    tolerance: Tolerance,
    /// The window of the controller, without a behavior.
    window: SignedDuration,
    directions: Option<(Direction, Direction)>,
}

/// What a behavior says about one direction.
struct Direction {
    window: SignedDuration,
    select: Select,
    policies: Vec<HPAScalingPolicy>,
}

/// Which of the policies' proposals counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Select {
    /// The one that changes most.
    Max,
    /// The one that changes least.
    Min,
    /// None: the direction is off.
    Disabled,
}

impl Direction {
    fn of(rules: Option<&HPAScalingRules>, window: SignedDuration) -> Self {
        let given = rules.and_then(|rules| rules.stabilization_window_seconds);
        let select = match rules.and_then(|rules| rules.select_policy.as_deref()) {
            Some("Disabled") => Select::Disabled,
            Some("Min") => Select::Min,
            _ => Select::Max,
        };
        Self {
            window: given.map_or(window, |seconds| SignedDuration::from_secs(seconds.into())),
            select,
            policies: rules.and_then(|rules| rules.policies.clone()).unwrap_or_default(),
        }
    }

    /// What the policies allow, counted from the replicas at the start of each one's period. Thirty-two bits as in the
    /// controller, which overflows: an addition of pods beyond them allows none.
    fn choose(
        &self,
        history: &History,
        range: Range,
        now: Timestamp,
        up: bool,
        propose: impl Fn(&HPAScalingPolicy, i32) -> i32,
    ) -> i32 {
        let proposals = self.policies.iter().map(|policy| {
            let period = SignedDuration::from_secs(policy.period_seconds.into());
            propose(policy, history.replicas_before(range.current, period, now))
        });
        let current = range.current;
        match self.select {
            Select::Disabled => current,
            Select::Max if up => proposals.max().unwrap_or(current).max(current),
            Select::Min if up => proposals.min().unwrap_or(current).max(current),
            Select::Max => proposals.min().unwrap_or(current).min(current),
            Select::Min => proposals.max().unwrap_or(current).min(current),
        }
    }
}

impl Rules {
    pub(super) fn of(behavior: Option<&HorizontalPodAutoscalerBehavior>, settings: &Settings) -> Self {
        let window = settings.downscale_stabilization;
        let stored = behavior.map(hpa::behavior_as_stored);
        let (up, down) = (
            stored.as_ref().and_then(|stored| stored.scale_up.as_ref()),
            stored.as_ref().and_then(|stored| stored.scale_down.as_ref()),
        );
        let tolerance = |rules: Option<&HPAScalingRules>| {
            let own = rules.and_then(|rules| rules.tolerance.as_ref());
            let own = own.and_then(|quantity| Quantity::try_from(quantity).ok());
            own.map_or(settings.tolerance, |quantity| quantity.as_f64())
        };
        Self {
            tolerance: Tolerance { down: tolerance(down), up: tolerance(up) },
            window,
            directions: stored
                .as_ref()
                .map(|_| (Direction::of(up, SignedDuration::ZERO), Direction::of(down, window))),
        }
    }

    pub(super) fn tolerance(&self) -> Tolerance {
        self.tolerance
    }

    /// How long a proposal may matter.
    pub(super) fn memory(&self) -> SignedDuration {
        self.directions.as_ref().map_or(self.window, |(up, down)| up.window.max(down.window))
    }

    /// The gentlest change that the proposals of the windows allow: the lowest of one window on the way up, the highest
    /// of the other on the way down, and no change between them.
    pub(super) fn stabilize(&self, history: &History, current: i32, proposed: i32, now: Timestamp) -> i32 {
        let recent = |covers: &dyn Fn(SignedDuration) -> bool| -> Vec<i32> {
            let covered = history.recommendations.iter().filter(|old| covers(now.duration_since(old.at)));
            covered.map(|old| old.replicas).collect()
        };
        let Some((up, down)) = &self.directions else {
            let window = self.window;
            return recent(&|age| age <= window).into_iter().fold(proposed, i32::max);
        };
        let lowest = recent(&|age| age < up.window).into_iter().fold(proposed, i32::min);
        let highest = recent(&|age| age < down.window).into_iter().fold(proposed, i32::max);
        current.max(lowest).min(highest)
    }

    /// How much of a wanted count may happen now, and why not all of it.
    pub(super) fn limit(&self, history: &History, range: Range, wanted: i32, now: Timestamp) -> (i32, Words) {
        let Some((up, down)) = &self.directions else { return by_default(range, wanted) };
        if wanted > range.current {
            let fastest = up.choose(history, range, now, true, |policy, start| {
                if policy.type_ == "Pods" {
                    start.wrapping_add(policy.value)
                } else {
                    // Rounded up, else a small target would never grow.
                    (f64::from(start) * (1.0 + f64::from(policy.value) / 100.0)).ceil() as i32
                }
            });
            let (most, words) = if range.max > fastest { (fastest, UP_LIMIT) } else { (range.max, TOO_MANY) };
            if wanted > most { (most, words) } else { (wanted, IN_RANGE) }
        } else if wanted < range.current {
            let lowest = down.choose(history, range, now, false, |policy, start| {
                if policy.type_ == "Pods" {
                    start.wrapping_sub(policy.value)
                } else {
                    (f64::from(start) * (1.0 - f64::from(policy.value) / 100.0)) as i32
                }
            });
            let (least, words) = if range.min < lowest { (lowest, DOWN_LIMIT) } else { (range.min, TOO_FEW) };
            if wanted < least { (least, words) } else { (wanted, IN_RANGE) }
        } else {
            (wanted, IN_RANGE)
        }
    }
}

/// The rule from before behaviors: down at once, up by double or to four.
fn by_default(range: Range, wanted: i32) -> (i32, Words) {
    let fastest = range.current.saturating_mul(2).max(4);
    if wanted < range.min {
        (range.min, TOO_FEW)
    } else if wanted > range.max.min(fastest) {
        if range.max > fastest { (fastest, UP_LIMIT) } else { (range.max, TOO_MANY) }
    } else {
        (wanted, IN_RANGE)
    }
}

/// The longest period that a policy of each direction looks back, up and down.
pub(super) fn longest_periods(
    behavior: &HorizontalPodAutoscalerBehavior,
) -> (SignedDuration, SignedDuration) {
    let stored = hpa::behavior_as_stored(behavior);
    let longest = |rules: Option<HPAScalingRules>| {
        let policies = rules.and_then(|rules| rules.policies).unwrap_or_default();
        let seconds = policies.iter().map(|policy| policy.period_seconds).max().unwrap_or(0);
        SignedDuration::from_secs(seconds.into())
    };
    (longest(stored.scale_up), longest(stored.scale_down))
}
