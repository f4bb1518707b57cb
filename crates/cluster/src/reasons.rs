//! Every reason of a Kubernetes event: the list that `docs/observability.md` shows, and that tests hold what is written against.
//!
//! Words, types and occasions are upstream's (core.md §3.7, platform.md §5.4; `pkg/eventreason/eventreason.go`).

/// One reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The word.
    pub word: &'static str,
    /// `Normal`, `Warning`, or both.
    pub kind: &'static str,
    /// The kinds of objects that it is said of.
    pub about: &'static str,
    /// The occasion.
    pub when: &'static str,
}

const SCALED: &str = "ScaledObject, ScaledJob";
const OBJECT: &str = "ScaledObject";
const JOB: &str = "ScaledJob";
const AUTHENTICATION: &str = "TriggerAuthentication";
const CLUSTER_AUTHENTICATION: &str = "ClusterTriggerAuthentication";

const fn reason(word: &'static str, kind: &'static str, about: &'static str, when: &'static str) -> Reason {
    Reason { word, kind, about, when }
}

/// All of them.
pub const REASONS: &[Reason] = &[
    reason("ScaledObjectReady", "Normal", OBJECT, "it became ready"),
    reason("ScaledObjectCheckFailed", "Warning", OBJECT, "it cannot be scaled as it is; the note says why"),
    reason("ScaledObjectUpdateFailed", "Warning", OBJECT, "its status could not be written"),
    reason(
        "ScaledObjectDeleted",
        "Warning",
        OBJECT,
        "it was deleted and its workload is as it should be left",
    ),
    reason("ScaledObjectPaused", "Normal", OBJECT, "an annotation paused it"),
    reason("ScaledObjectUnpaused", "Normal", OBJECT, "the annotation is gone"),
    reason(
        "ScaledObjectFallbackActivated",
        "Normal",
        OBJECT,
        "a metric failed often enough for its fallback",
    ),
    reason("ScaledObjectFallbackDeactivated", "Normal", OBJECT, "no metric does any more"),
    reason("KEDAScalersStarted", "Normal", SCALED, "polling began; which triggers were made"),
    reason("KEDAScalersStopped", "Normal", SCALED, "polling ended"),
    reason("KEDAScalerFailed", "Warning", SCALED, "a trigger could not be made, planned or read"),
    reason(
        "KEDAMetricSourceFailed",
        "Warning",
        OBJECT,
        "a metric of a formula could not be read, or the formula not evaluated",
    ),
    reason(
        "KEDAScalerInfo",
        "Normal, Warning",
        SCALED,
        "a parameter is deprecated, without effect or unknown, or a setting is unwise",
    ),
    reason(
        "KEDAScaleTargetActivated",
        "Normal",
        OBJECT,
        "the workload was scaled from zero; from how many to how many, and by which triggers",
    ),
    reason("KEDAScaleTargetActivationFailed", "Warning", OBJECT, "it could not be"),
    reason(
        "KEDAScaleTargetDeactivated",
        "Normal",
        OBJECT,
        "the workload was scaled to zero or to its idle count",
    ),
    reason("KEDAScaleTargetDeactivationFailed", "Warning", OBJECT, "it could not be"),
    reason("ScaledJobReady", "Normal", JOB, "it became ready"),
    reason("ScaledJobCheckFailed", "Warning", JOB, "it cannot be scaled as it is; the note says why"),
    reason("ScaledJobUpdateFailed", "Warning", JOB, "its status could not be written"),
    reason("ScaledJobDeleted", "Warning", JOB, "it was deleted"),
    reason("ScaledJobPaused", "Normal", JOB, "an annotation paused it"),
    reason("ScaledJobUnpaused", "Normal", JOB, "the annotation is gone"),
    reason("ScaledJobActive", "Normal", JOB, "its triggers became active"),
    reason("ScaledJobInactive", "Normal", JOB, "none is active any more"),
    reason("ScaledJobRolloutCleanupStarted", "Normal", JOB, "jobs of an earlier generation are deleted"),
    reason("ScaledJobRolloutCleanupCompleted", "Normal", JOB, "they were"),
    reason("ScaledJobRolloutCleanupFailed", "Warning", JOB, "they could not be"),
    reason("KEDAJobsCreated", "Normal", JOB, "jobs were created; how many"),
    reason("KEDAJobCreateFailed", "Warning", JOB, "a job could not be created"),
    reason("TriggerAuthenticationAdded", "Normal", AUTHENTICATION, "it was seen for the first time"),
    reason("TriggerAuthenticationDeleted", "Normal", AUTHENTICATION, "it was deleted"),
    reason(
        "ClusterTriggerAuthenticationAdded",
        "Normal",
        CLUSTER_AUTHENTICATION,
        "it was seen for the first time",
    ),
    reason(
        "ClusterTriggerAuthenticationUpdated",
        "Normal",
        "TriggerAuthentication, ClusterTriggerAuthentication",
        "its spec changed; upstream has one word for both kinds",
    ),
    reason("ClusterTriggerAuthenticationDeleted", "Normal", CLUSTER_AUTHENTICATION, "it was deleted"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_reason_is_listed_twice_and_each_fits_an_event() {
        let mut words: Vec<&str> = REASONS.iter().map(|reason| reason.word).collect();
        words.sort_unstable();
        let all = words.len();
        words.dedup();
        assert_eq!(words.len(), all);
        // The API's limit on reason and action.
        assert!(words.iter().all(|word| word.len() <= 128));
    }
}
