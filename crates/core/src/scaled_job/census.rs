//! How many Jobs are at work, and how many still wait for a pod that is (core.md §5.4).
//!
//! Both numbers come from the same snapshot of Jobs and their pods. Upstream asks twice, of a cache that may not have heard
//! of the Jobs of the last poll, and starts them again (issues 6157, 5537, 7329, 7016, 2488).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

/// What has become of a Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Phase {
    /// Neither complete nor failed, whether its pods run or not.
    Unfinished,
    /// Condition `Complete`.
    Complete,
    /// Condition `Failed`.
    Failed,
}

/// A Job of a ScaledJob, as far as it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// The generation of the ScaledJob that it was made from; `None` where it does not say.
    pub generation: Option<i64>,
    /// What has become of it.
    pub phase: Phase,
    /// When it finished, or was made.
    pub time: Option<Timestamp>,
    /// Somebody has deleted it, and it still waits for its pods to go.
    pub leaving: bool,
    /// Its pods.
    pub pods: Vec<Pod>,
}

/// A pod of a Job, as far as it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// `status.phase`.
    pub phase: String,
    /// Types of the conditions that are true.
    pub conditions: BTreeSet<String>,
}

/// The Jobs that are not finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Census {
    /// All of them, whether their pods run or not.
    pub running: i64,
    /// Those without a pod at work.
    pub pending: i64,
}

/// Counts. A Job is pending until one of its pods runs or has succeeded; with `pendingPodConditions`, until one of its pods
/// has all of them.
pub fn count(jobs: &[Job], pending_pod_conditions: &[String]) -> Census {
    let at_work = |pod: &Pod| match pending_pod_conditions {
        [] => matches!(pod.phase.as_str(), "Running" | "Succeeded"),
        conditions => conditions.iter().all(|condition| pod.conditions.contains(condition)),
    };
    let mut census = Census::default();
    for job in jobs.iter().filter(|job| job.phase == Phase::Unfinished) {
        census.running += 1;
        census.pending += i64::from(!job.pods.iter().any(at_work));
    }
    census
}
