//! What a ScaledJob's reconcile makes ready, in upstream's order (`controllers/keda/scaledjob_controller.go`, core.md §5.1):
//! the Job, pause, triggers, rollout. Nothing here dials a source.

use std::sync::Arc;

use keda_api::{GroupVersionKindResource, ScaledJob};
use keda_core::{
    admission::{scaled_job, told},
    pause, refusal,
    scaled_job::{Bounds, strategy::Strategy},
};

use super::Prepared;
use crate::{
    cluster::Target,
    events::Notice,
    object::Object,
    reconcile::{Failure, Outcome},
    samples::TriggerSet,
};

impl Object<ScaledJob> {
    pub(super) async fn prepare_jobs(&mut self) -> Result<Outcome<Prepared>, Failure> {
        let violations = scaled_job::job(&self.object);
        if !violations.is_empty() {
            return Err(Failure::new(refusal::JOB, told(&violations)));
        }
        let paused = pause::is_paused(self.object.metadata.annotations.as_ref());
        self.note_paused(paused);
        if paused {
            // Running Jobs go on: a pause is about new ones.
            return Ok(Outcome::Paused);
        }
        self.check_triggers()?;
        let violations = scaled_job::triggers(&self.object.spec);
        if !violations.is_empty() {
            return Err(Failure::new(refusal::JOB_TRIGGERS, told(&violations)));
        }
        self.roll_out().await?;
        let target = self.itself();
        let slots = self.parse_triggers(&target, false).await?;
        let triggers = Arc::new(TriggerSet { slots, fallback: None, modifiers: None, target });
        self.status.wanted.external_metric_names = Some(triggers.external_names());
        for warning in scaled_job::warnings(&self.object.spec) {
            self.announce(Notice::warning("KEDAScalerInfo", warning.text));
        }
        self.announce_start(&triggers);
        Ok(Outcome::Scaling(Prepared {
            triggers,
            bounds: Bounds::of(&self.object.spec),
            // What is wrong with it was said just now.
            strategy: Strategy::of(self.object.spec.scaling_strategy.as_ref()).unwrap_or_default(),
            generation: self.object.metadata.generation,
        }))
    }

    /// Where triggers find the environment and the account of what they scale: the pod template is the object's own.
    fn itself(&self) -> Target {
        let gvkr = GroupVersionKindResource {
            group: "keda.sh".to_owned(),
            version: "v1alpha1".to_owned(),
            kind: "ScaledJob".to_owned(),
            resource: "scaledjobs".to_owned(),
        };
        Target { gvkr, namespace: self.handle.key.namespace.clone(), name: self.handle.key.name.clone() }
    }
}
