//! From demand and census to the number of Jobs that are started (core.md §5.4).

use keda_api::{ScalingStrategy, ScalingStrategyName as Name};
use serde::Serialize;

use super::{
    Bounds,
    census::Census,
    demand::{Demand, as_f64},
};

/// How the number of new Jobs follows from the demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub enum Strategy {
    /// Less the running Jobs: for queues that count what is worked on.
    #[default]
    Default,
    /// Less a number and a share of the running Jobs.
    Custom {
        /// `customScalingQueueLengthDeduction`.
        deduction: i64,
        /// `customScalingRunningJobPercentage`, such as 0.5.
        share: f64,
    },
    /// Less the pending Jobs: for queues that do not count what is worked on.
    Accurate,
    /// As many as there is room for, as soon as there is demand.
    Eager,
}

impl Strategy {
    /// The strategy of a spec.
    ///
    /// # Errors
    /// Beside the strategy that is used instead: why `custom` cannot be. Upstream says nothing and uses `default`, too.
    pub fn of(spec: Option<&ScalingStrategy>) -> Result<Self, String> {
        let Some(spec) = spec else { return Ok(Self::Default) };
        match spec.strategy {
            Some(Name::Accurate) => Ok(Self::Accurate),
            Some(Name::Eager) => Ok(Self::Eager),
            Some(Name::Custom) => {
                let text = spec.custom_scaling_running_job_percentage.as_deref().unwrap_or_default();
                let share = text.parse().ok().filter(|share: &f64| share.is_finite()).ok_or_else(|| {
                    format!(
                        "strategy custom needs a number in customScalingRunningJobPercentage, such as \"0.5\", and has {text:?}: \
                         strategy default is used"
                    )
                })?;
                let deduction = i64::from(spec.custom_scaling_queue_length_deduction.unwrap_or(0));
                Ok(Self::Custom { deduction, share })
            }
            Some(Name::Default | Name::Unrecognised(_)) | None => Ok(Self::Default),
        }
    }

    /// How many Jobs demand asks for beside those that are there, and the most that may be started for it.
    fn wants(self, demand: &Demand, census: &Census, bounds: Bounds) -> (i64, i64) {
        let running = census.running - bounds.min;
        let (jobs, pending, above) = (demand.jobs, census.pending, bounds.above());
        match self {
            Self::Default => (jobs - running, demand.length),
            Self::Custom { deduction, share } => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "a cast from f64 saturates; it is finite"
                )]
                let part = (as_f64(running) * share).trunc() as i64;
                (jobs.saturating_sub(deduction).saturating_sub(part).min(above), demand.length)
            }
            Self::Accurate if jobs + running - pending > above => (above - running, demand.length),
            Self::Accurate => (jobs - pending, demand.length),
            Self::Eager => ((above - running - pending).min(jobs), above),
        }
    }
}

/// What one poll comes to. Plain data: it can be printed and repeated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Jobs to start now, never negative.
    pub start: i64,
    /// What is asked for.
    pub demand: Demand,
    /// What is there.
    pub census: Census,
    /// The limits.
    pub bounds: Bounds,
}

/// Decides. Below the minimum only the minimum is filled; whatever a strategy wants, there are never more unfinished Jobs
/// than the maximum (upstream's `custom` goes past it).
pub fn plan(strategy: Strategy, demand: Demand, census: Census, bounds: Bounds) -> Plan {
    let wanted = if census.running < bounds.min {
        bounds.min - census.running
    } else if demand.active {
        let (effective, most) = strategy.wants(&demand, &census, bounds);
        effective.min(most)
    } else {
        0
    };
    let start = wanted.min(bounds.max - census.running).max(0);
    Plan { start, demand, census, bounds }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { start, demand, census, bounds } = self;
        write!(
            f,
            "start {start}: queue {} ({} jobs), {} running of which {} pending, {} to {} allowed",
            demand.length, demand.jobs, census.running, census.pending, bounds.min, bounds.max
        )
    }
}
