//! Deleting Jobs: those of older generations when the object changed, finished ones beyond the history limits
//! (core.md §§5.2, 5.4).

use std::sync::Arc;

use keda_api::ScaledJob;
use keda_core::{
    refusal,
    scaled_job::upkeep::{History, Rollout},
};
use kube::api::{DeleteParams, Preconditions, PropagationPolicy};

use crate::{
    cluster::{is_conflict, is_not_found, retry, words},
    events::Notice,
    index::ObjectKey,
    object::Object,
    reconcile::Failure,
};

const STARTED: &str = "ScaledJobRolloutCleanupStarted";
const COMPLETED: &str = "ScaledJobRolloutCleanupCompleted";
const FAILED: &str = "ScaledJobRolloutCleanupFailed";

impl Object<ScaledJob> {
    /// Deletes the Jobs of older generations, unless the rollout is gradual. After a restart there are none: nothing is
    /// rolled out without a change of the spec.
    pub(super) async fn roll_out(&mut self) -> Result<(), Failure> {
        let rollout = Rollout::of(&self.object.spec);
        let jobs = self.controller.index().jobs.snapshot(&self.handle.uid);
        let outdated = rollout.outdated(&jobs, self.object.metadata.generation);
        if outdated.is_empty() {
            return Ok(());
        }
        let count = outdated.len();
        for reason in [STARTED, COMPLETED] {
            self.said.forget(reason);
        }
        let text = |verb: &str| format!("{verb} {count} jobs owned by the previous version of the ScaledJob");
        self.announce(Notice::normal(STARTED, text("Deleting")));
        let foreground = rollout == Rollout::Immediate { foreground: true };
        for job in outdated {
            if let Err(error) = self.delete_job(&job.name, foreground).await {
                self.announce(Notice::warning(
                    FAILED,
                    format!("Failed to delete job {}: {}", job.name, words(&error)),
                ));
                return Err(Failure::api(refusal::JOB_ROLLOUT, &error));
            }
        }
        self.said.forget(FAILED);
        self.announce(Notice::normal(COMPLETED, text("Deleted")));
        Ok(())
    }

    /// Deletes finished Jobs beyond the history limits; what cannot be deleted now is there at the next poll.
    pub(super) async fn tidy_up(&mut self) {
        let jobs = self.controller.index().jobs.snapshot(&self.handle.uid);
        for job in History::of(&self.object.spec).surplus(&jobs) {
            if let Err(error) = self.delete_job(&job.name, false).await {
                tracing::error!(
                    logger = "scaleexecutor",
                    object = %self.handle.key,
                    job = job.name,
                    error = words(&error),
                    "failed to delete a finished Job"
                );
                return;
            }
        }
    }

    /// Deletes this very Job; one that is gone, or was replaced by another of its name, needs no deleting.
    async fn delete_job(&self, name: &str, foreground: bool) -> Result<(), kube::Error> {
        let controller = Arc::clone(&self.controller);
        let known = &controller.index().jobs;
        let key = ObjectKey::new(&self.handle.key.namespace, name);
        let policy = if foreground { PropagationPolicy::Foreground } else { PropagationPolicy::Background };
        let parameters = DeleteParams {
            propagation_policy: Some(policy),
            preconditions: known
                .uid(&key)
                .map(|uid| Preconditions { uid: Some(uid), resource_version: None }),
            ..DeleteParams::default()
        };
        let api = self.jobs_api();
        match retry(|| api.delete(name, &parameters)).await {
            Ok(_) => known.leaves(&key),
            Err(error) if is_not_found(&error) || is_conflict(&error) => known.job_removed(&key),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
