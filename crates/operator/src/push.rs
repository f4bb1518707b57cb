//! A source spoke up by itself: it has work, or other metrics than before, or it cannot be heard (core.md §8.4).
//!
//! *Work* moves replicas at once, and only upwards: what is decided on is the last poll with that one trigger active. That there is no work
//! is left to the next poll, so a stream that ends, lies or stalls takes nothing away.

use std::sync::Arc;

use keda_core::{
    activity::{self, Activity, MetricReading, TriggerOutcome, TriggerResult},
    decide::HpaRange,
};
use keda_scaler::Error;

use crate::{
    events::Notice,
    listen::News,
    object::Object,
    samples::{TriggerSet, TriggerSlot},
};

impl Object {
    /// Opens and closes streams as the triggers in use want it.
    pub(crate) fn listen(&mut self) {
        let slots = self.ready.as_ref().map_or(&[][..], |prepared| &prepared.triggers.slots);
        let controller = Arc::clone(&self.controller);
        self.listeners.follow(slots, controller.environment());
    }

    /// Takes what was said.
    pub(crate) async fn hear(&mut self, news: News) {
        for (index, error) in news.lost {
            self.complain(index, &error);
        }
        for (index, metrics) in news.metrics {
            let Some(prepared) = &self.ready else { return };
            let triggers = Arc::clone(&prepared.triggers);
            let Some(slot) = triggers.slots.get(index) else { continue };
            match slot.planned(metrics) {
                Ok(None) => {}
                Ok(Some(slot)) => {
                    if let Err(text) = self.renew(&triggers, vec![(index, slot)]).await {
                        self.complain(index, &Error::answer(text));
                    }
                }
                Err(error) => self.complain(index, &error),
            }
        }
        if !news.active.is_empty() {
            self.wake(&news.active.into_iter().collect::<Vec<_>>()).await;
        }
    }

    fn complain(&mut self, index: usize, error: &Error) {
        let Some(prepared) = &self.ready else { return };
        let Some(slot) = prepared.triggers.slots.get(index) else { return };
        let text = format!(
            "trigger {index} {} cannot be heard and is polled meanwhile: {error}",
            slot.parsed.trigger_type()
        );
        tracing::warn!(logger = "scale_handler", object = %self.handle.key, "{text}");
        self.announce(Notice::warning("KEDAScalerInfo", text));
    }

    /// Scales up on the word of these triggers.
    async fn wake(&mut self, indices: &[usize]) {
        let Some(prepared) = &self.ready else { return };
        let triggers = Arc::clone(&prepared.triggers);
        let activity = self.woken(&triggers, indices);
        tracing::debug!(logger = "scale_handler", object = %self.handle.key, ?indices, "a source says that there is work");
        self.decide_and_apply(activity).await;
        // Also where another trigger fails: this one said so just now.
        self.last_active = self.last_active.max(Some(self.controller.now()));
    }

    /// What the last poll said, with these triggers active.
    fn woken(&self, triggers: &TriggerSet, indices: &[usize]) -> Activity {
        let outcomes: Vec<TriggerOutcome> =
            triggers.slots.iter().enumerate().map(|(index, slot)| self.last_outcome(index, slot)).collect();
        let mut activity = activity::of(&outcomes);
        activity.active = true;
        activity.complete = true;
        for slot in indices.iter().filter_map(|index| triggers.slots.get(*index)) {
            // Upstream names the first metric of the trigger. A scaler that has not said yet which there are is believed too.
            let first = slot.parsed.specs().first().map_or_else(|| slot.parsed.label(), |spec| spec.name());
            if activity.active_metrics.iter().all(|name| name != first) {
                activity.active_metrics.push(first.to_owned());
            }
        }
        activity
    }

    fn last_outcome(&self, index: usize, slot: &TriggerSlot) -> TriggerOutcome {
        let specs = slot.parsed.specs();
        let result = if slot.parsed.is_sampled() {
            let (mut readings, mut errors, mut pending) = (Vec::new(), Vec::new(), false);
            for spec in specs {
                match self.handle.latest(spec.name()).map(|sample| sample.result) {
                    Some(Ok(reading)) => readings.push(MetricReading {
                        name: spec.name().to_owned(),
                        value: reading.value,
                        active: reading.active,
                        target: Some(*spec.target()),
                        fallback: None,
                    }),
                    Some(Err(error)) => errors.push(error),
                    None => pending = true,
                }
            }
            match (pending, errors.is_empty()) {
                (true, _) => TriggerResult::Pending,
                (false, true) => TriggerResult::Sampled(readings),
                (false, false) => TriggerResult::Partial { readings, errors },
            }
        } else if slot.parsed.is_planned() {
            TriggerResult::ReadByHpa(specs.iter().map(|spec| spec.name().to_owned()).collect())
        } else {
            TriggerResult::Pending
        };
        TriggerOutcome { index, trigger: slot.parsed.label().to_owned(), result }
    }

    /// Goes on with other metrics of some triggers: the HPA first, then whoever asks for them. Nothing changes where the HPA cannot.
    ///
    /// # Errors
    /// Why the HPA cannot.
    pub(crate) async fn renew(
        &mut self,
        triggers: &Arc<TriggerSet>,
        renewed: Vec<(usize, TriggerSlot)>,
    ) -> Result<Arc<TriggerSet>, String> {
        let Some(prepared) = &self.ready else { return Ok(Arc::clone(triggers)) };
        let target = prepared.target.clone();
        let triggers = Arc::new(triggers.with(renewed));
        self.ensure_autoscaler(&target, &triggers, HpaRange::Keep)
            .await
            .map_err(|failure| failure.to_string())?;
        if let Some(prepared) = &mut self.ready {
            prepared.triggers = Arc::clone(&triggers);
        }
        self.controller.use_triggers(&self.handle, Some(Arc::clone(&triggers)));
        Ok(triggers)
    }
}
