//! How many Jobs a ScaledJob starts, which ones it deletes, and what they look like (core.md §5;
//! `pkg/scaling/scaledjob/metrics.go`, `pkg/scaling/executor/scale_jobs.go`).
//!
//! One poll, in the order to read: each trigger's answer is a queue ([`demand::Queue`]), several become one
//! [`demand::Demand`], the Jobs that are there are counted in one snapshot ([`census`]), and a [`strategy`] says how many
//! are started. What is too many or out of date is [`upkeep`]; the Job itself is [`job`].
//!
//! The promise of this module: never more unfinished Jobs than `maxReplicaCount`, and nothing is started twice for the same
//! demand however long its pods take, as long as the census counts what was started.

pub mod census;
pub mod demand;
pub mod job;
pub mod strategy;
pub mod upkeep;

use keda_api::ScaledJobSpec;
use serde::Serialize;

/// Upstream's default for `maxReplicaCount`.
const DEFAULT_MAX: i32 = 100;

/// How many Jobs there may be, and how many there always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// Jobs that are always there; not more than `max`.
    pub min: i64,
    /// Most unfinished Jobs at a time.
    pub max: i64,
}

impl Bounds {
    /// The bounds of a spec. A minimum above the maximum counts as the maximum, as upstream has it.
    ///
    /// Upstream takes the minimum off an explicit maximum only, so that 100 + minimum Jobs are possible, and twice the maximum
    /// where the minimum is above it. Here the maximum is the most there are (docs/differences.md).
    pub fn of(spec: &ScaledJobSpec) -> Self {
        let max = i64::from(spec.max_replica_count.unwrap_or(DEFAULT_MAX));
        Self { min: i64::from(spec.min_replica_count.unwrap_or(0)).clamp(0, max), max }
    }

    /// Most Jobs that demand can ask for, beside those that are always there.
    pub fn above(&self) -> i64 {
        self.max - self.min
    }
}

#[cfg(test)]
mod tests;
