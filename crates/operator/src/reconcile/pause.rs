//! Pausing by annotation (core.md §2.4).

use keda_api::{Condition, ConditionStatus};
use keda_core::{conditions, pause::Annotations, refusal};

use super::Failure;
use crate::{cluster::is_not_found, events::Notice, object::Object};

const PAUSED: &str = "ScaledObjectPaused";
const UNPAUSED: &str = "ScaledObjectUnpaused";
const PAUSED_TEXT: &str = "ScaledObject is paused";
const UNPAUSED_TEXT: &str = "pause annotation removed for ScaledObject";

impl Object {
    /// Full pause: no polling, no HPA, and the target at the replicas that the annotation asks for, if it does.
    pub(super) async fn pause_whole(&mut self, annotations: &Annotations) -> Result<(), Failure> {
        self.set_paused();
        // Say so before anything is touched: a user who asked for a pause sees at once that it was heard.
        self.flush_status().await;
        self.stop_polling();
        self.delete_autoscaler().await?;
        if self.status.wanted.original_replica_count.is_none() {
            // An object that was paused before its first reconcile still knows what to restore (core.md §12 row 15).
            // Where the target is missing that is no fault of a paused object.
            let _unknown_yet = self.resolve_target().await;
        }
        if let Some(replicas) = annotations.paused_replicas {
            let target = self.target().await?;
            match self.set_replicas(&target, replicas).await {
                Ok(()) => {}
                Err(error) if is_not_found(&error) => {
                    return Err(Failure::new(
                        refusal::PAUSE,
                        format!("{}/{} not found", target.namespace, target.name),
                    ));
                }
                Err(error) => return Err(Failure::api(refusal::PAUSE, &error)),
            }
        }
        self.status.wanted.paused_replica_count = annotations.paused_replicas;
        self.controller.metrics().paused(&self.handle.key.namespace, &self.handle.key.name, true);
        Ok(())
    }

    /// Keeps the Paused condition in line when the object is not fully paused.
    pub(super) fn note_pause(&mut self, annotations: &Annotations) {
        let partial = annotations.scale_in || annotations.scale_out;
        if partial {
            self.set_paused();
        } else if self.status.condition(Condition::PAUSED) == ConditionStatus::True {
            self.status.set(conditions::unpaused());
            self.said.forget(PAUSED);
            self.announce(Notice::normal(UNPAUSED, UNPAUSED_TEXT));
        }
        self.status.wanted.paused_replica_count = None;
        self.controller.metrics().paused(&self.handle.key.namespace, &self.handle.key.name, partial);
    }

    fn set_paused(&mut self) {
        if self.status.condition(Condition::PAUSED) != ConditionStatus::True {
            self.status.set(conditions::paused());
            self.said.forget(UNPAUSED);
            self.announce(Notice::normal(PAUSED, PAUSED_TEXT));
        }
    }
}
