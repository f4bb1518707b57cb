//! Pausing by annotation (core.md §2.4).

use keda_api::{Condition, ConditionStatus};
use keda_core::{pause::Annotations, refusal};

use super::Failure;
use crate::{cluster::is_not_found, events::Notice, kind::Scaled, object::Object};

impl Object {
    /// Full pause: no polling, no HPA, and the target at the replicas that the annotation asks for, if it does.
    pub(super) async fn pause_whole(&mut self, annotations: &Annotations) -> Result<(), Failure> {
        self.note_paused(true);
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
        self.note_paused(partial);
        self.status.wanted.paused_replica_count = None;
        self.controller.metrics().paused(&self.handle.key.namespace, &self.handle.key.name, partial);
    }
}

impl<K: Scaled> Object<K> {
    /// Keeps the Paused condition in line; a change of it is an event.
    pub(crate) fn note_paused(&mut self, paused: bool) {
        let was = self.status.condition(Condition::PAUSED) == ConditionStatus::True;
        let (condition, (reason, note), over) = match (was, paused) {
            (false, true) => (K::paused(), K::WORDS.paused, K::WORDS.unpaused.0),
            (true, false) => (K::unpaused(), K::WORDS.unpaused, K::WORDS.paused.0),
            _ => return,
        };
        self.status.set(condition);
        self.said.forget(over);
        self.announce(Notice::normal(reason, note));
    }
}
