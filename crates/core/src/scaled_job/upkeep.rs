//! Which Jobs are deleted: those of older generations, and finished ones beyond the history limits (core.md §§5.2, 5.4).

use keda_api::{PropagationPolicy, RolloutStrategy, ScaledJobSpec};

use super::census::{Job, Phase};

/// Upstream's default for both history limits.
const DEFAULT_HISTORY: i32 = 100;

/// What happens to the Jobs of older generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// They run to their end.
    Gradual,
    /// They are deleted, finished or not.
    Immediate {
        /// After their pods, instead of before.
        foreground: bool,
    },
}

impl Rollout {
    /// What a spec says; the deprecated `rolloutStrategy` wins.
    pub fn of(spec: &ScaledJobSpec) -> Self {
        let rollout = spec.rollout.as_ref();
        let named = |strategy: &&RolloutStrategy| !strategy.as_str().is_empty();
        let strategy = spec.rollout_strategy.as_ref().filter(named);
        let policy = rollout.and_then(|rollout| rollout.propagation_policy.as_ref());
        match strategy.or_else(|| rollout.and_then(|rollout| rollout.strategy.as_ref())) {
            Some(RolloutStrategy::Gradual) => Self::Gradual,
            _ => Self::Immediate { foreground: policy == Some(&PropagationPolicy::Foreground) },
        }
    }

    /// The Jobs that an immediate rollout deletes: those of another generation, or that do not say theirs.
    pub fn outdated(self, jobs: &[Job], generation: Option<i64>) -> Vec<&Job> {
        match self {
            Self::Gradual => Vec::new(),
            Self::Immediate { .. } => {
                jobs.iter().filter(|job| !job.leaving && job.generation != generation).collect()
            }
        }
    }
}

/// How many finished Jobs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Complete ones.
    pub complete: usize,
    /// Failed ones.
    pub failed: usize,
}

impl History {
    /// What a spec says.
    pub fn of(spec: &ScaledJobSpec) -> Self {
        let limit = |limit: Option<i32>| usize::try_from(limit.unwrap_or(DEFAULT_HISTORY)).unwrap_or(0);
        Self {
            complete: limit(spec.successful_jobs_history_limit),
            failed: limit(spec.failed_jobs_history_limit),
        }
    }

    /// The finished Jobs that are too many, those first that finished first.
    pub fn surplus(self, jobs: &[Job]) -> Vec<&Job> {
        let mut surplus = self.surplus_of(jobs, Phase::Complete, self.complete);
        surplus.extend(self.surplus_of(jobs, Phase::Failed, self.failed));
        surplus
    }

    fn surplus_of(self, jobs: &[Job], phase: Phase, limit: usize) -> Vec<&Job> {
        let mut of_phase: Vec<&Job> = jobs.iter().filter(|job| job.phase == phase && !job.leaving).collect();
        of_phase.sort_by(|one, other| (one.time, &one.name).cmp(&(other.time, &other.name)));
        of_phase.truncate(of_phase.len().saturating_sub(limit));
        of_phase
    }
}
