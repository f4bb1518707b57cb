//! From what triggers answered to one demand (core.md §5.3).

use keda_api::MultipleScalersCalculation as Calculation;
use serde::Serialize;

use super::Bounds;
use crate::metric;

/// One metric of a trigger, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric<'a> {
    /// Its name.
    pub name: &'a str,
    /// What one Job stands for.
    pub target: f64,
    /// What the source said.
    pub value: f64,
    /// Whether that is above the trigger's activation threshold.
    pub active: bool,
}

/// The work that one trigger sees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Queue {
    /// Its length, never negative, with three decimals.
    pub length: f64,
    /// What one Job stands for; zero where there is no target.
    pub target: f64,
    /// Whether it counts.
    pub active: bool,
}

impl Queue {
    /// The queue of a trigger by its metrics, in the order of its plan: the values under the name of the first one, the mean
    /// of the targets. `None` for a trigger without metrics.
    pub fn of(metrics: &[Metric<'_>]) -> Option<Self> {
        let first = metrics.first()?;
        let values = metrics.iter().filter(|metric| metric.name == first.name).map(|metric| metric.value);
        let count = u32::try_from(metrics.len()).map_or(f64::INFINITY, f64::from);
        Some(Self {
            length: metric::clamped(values.sum()).as_f64(),
            target: metrics.iter().map(|metric| metric.target).sum::<f64>() / count,
            active: metrics.iter().any(|metric| metric.active),
        })
    }

    /// The Jobs that it stands for, not rounded.
    fn jobs(&self, bounds: Bounds) -> f64 {
        if self.target > 0.0 { (self.length / self.target).min(as_f64(bounds.above())) } else { 0.0 }
    }
}

/// What all triggers ask for together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Demand {
    /// Whether anything is asked for. A minimum always is.
    pub active: bool,
    /// The length of the queue: no more Jobs than this are started in one poll.
    pub length: i64,
    /// The Jobs that it stands for.
    pub jobs: i64,
}

/// Several queues as one demand. Only active ones count; `complete` says whether every trigger answered.
///
/// Of `min`, a queue that could not be read may have been the shortest: nothing is asked for then (docs/differences.md).
/// With `max` an active queue of length zero asks for nothing and does not make the object active, as upstream has it.
pub fn combine(queues: &[Queue], calculation: &Calculation, bounds: Bounds, complete: bool) -> Demand {
    let active: Vec<(f64, f64)> =
        queues.iter().filter(|queue| queue.active).map(|queue| (queue.length, queue.jobs(bounds))).collect();
    let sum = || active.iter().fold((0.0, 0.0), |sum, queue| (sum.0 + queue.0, sum.1 + queue.1));
    let chosen = match calculation {
        Calculation::Min if !complete => None,
        Calculation::Min => active.iter().copied().reduce(|shortest, queue| {
            // A zero is always replaced, as upstream has it.
            if shortest.0 == 0.0 || queue.0 < shortest.0 { queue } else { shortest }
        }),
        Calculation::Sum => (!active.is_empty()).then(sum),
        Calculation::Avg => u32::try_from(active.len()).ok().filter(|count| *count > 0).map(|count| {
            let (length, jobs) = sum();
            (length / f64::from(count), jobs / f64::from(count))
        }),
        Calculation::Max | Calculation::Unrecognised(_) => {
            let positive = active.iter().copied().filter(|queue| queue.0 > 0.0);
            positive.reduce(|longest, queue| if queue.0 > longest.0 { queue } else { longest })
        }
    };
    let (length, jobs) = chosen.unwrap_or_default();
    Demand {
        active: chosen.is_some() || bounds.min > 0,
        length: ceiling(length),
        jobs: ceiling(jobs.min(as_f64(bounds.above()))),
    }
}

/// Counts are far below what an `f64` holds exactly.
#[expect(clippy::cast_precision_loss, reason = "bounds are 32-bit numbers")]
pub(super) fn as_f64(count: i64) -> f64 {
    count as f64
}

/// The next whole number, within what an `i64` holds.
#[expect(clippy::cast_possible_truncation, reason = "a cast from f64 saturates, and none of these is NaN")]
fn ceiling(number: f64) -> i64 {
    number.ceil() as i64
}
