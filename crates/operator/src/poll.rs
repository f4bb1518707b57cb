//! Third file of the loop: ask every trigger, all at the same time, and keep the answers in trigger order.
//!
//! A poll never outlives its triggers' deadlines. It is given up at once when the object changed meanwhile, and it
//! never moves anything by itself: what the answers mean is decided in [`crate::decide`].

use std::time::Duration;

use futures::future::join_all;
use keda_core::activity::{self, MetricReading, TriggerOutcome, TriggerResult};
use keda_scaler::Outcome;
use tokio::sync::watch;

use crate::{
    events::Notice,
    object::Object,
    samples::{Input, TriggerSet, TriggerSlot},
};

/// How long a status that a reconcile prepared waits for the poll's findings, to be written once with them.
const STATUS_GRACE: Duration = Duration::from_millis(300);

impl Object {
    /// One poll: sample, decide, apply.
    pub(crate) async fn poll(&mut self, inbox: &mut watch::Receiver<Input>) {
        let Some(prepared) = &self.ready else { return };
        let triggers = std::sync::Arc::clone(&prepared.triggers);
        let Some(answers) = self.sample(&triggers, inbox).await else { return };
        let outcomes: Vec<TriggerOutcome> = triggers
            .slots
            .iter()
            .zip(&answers)
            .enumerate()
            .map(|(index, (slot, answers))| self.judge(index, slot, answers))
            .collect();
        let failed = answers.iter().flatten().any(|answer| answer.result.is_err());
        if failed {
            self.reread_credentials();
        } else {
            self.said.forget("KEDAScalerFailed");
        }
        self.decide_and_apply(activity::of(&outcomes)).await;
    }

    /// Asks all triggers; `None` when the object changed before they answered.
    async fn sample(
        &mut self,
        triggers: &TriggerSet,
        inbox: &mut watch::Receiver<Input>,
    ) -> Option<Vec<Vec<Outcome>>> {
        let controller = std::sync::Arc::clone(&self.controller);
        let environment = controller.environment();
        let sampling = join_all(triggers.slots.iter().map(|slot| slot.sample(environment)));
        tokio::pin!(sampling);
        let grace = tokio::time::sleep(STATUS_GRACE);
        tokio::pin!(grace);
        let mut waited = false;
        loop {
            tokio::select! {
                biased;
                answers = &mut sampling => {
                    for answers in &answers {
                        self.handle.record(answers);
                    }
                    return Some(answers);
                }
                _ = inbox.changed() => {
                    let input = inbox.borrow().clone();
                    if self.is_outdated(&input) {
                        return None;
                    }
                }
                () = &mut grace, if !waited => {
                    waited = true;
                    self.flush_status().await;
                }
            }
        }
    }

    /// What one trigger's answers say, and the event and log line of each failure.
    fn judge(&mut self, index: usize, slot: &TriggerSlot, answers: &[Outcome]) -> TriggerOutcome {
        let trigger = slot.parsed.label().to_owned();
        if !slot.parsed.is_sampled() {
            let resources = slot.parsed.specs().iter().map(|spec| spec.name().to_owned()).collect();
            return TriggerOutcome { index, trigger, result: TriggerResult::ReadByHpa(resources) };
        }
        let mut readings = Vec::with_capacity(answers.len());
        let mut errors = Vec::new();
        for (answer, spec) in answers.iter().zip(slot.parsed.specs()) {
            match &answer.result {
                Ok(reading) => readings.push(MetricReading {
                    name: answer.name.clone(),
                    value: reading.value,
                    active: reading.active,
                    target: Some(*spec.target()),
                }),
                Err(error) => {
                    let text = error.to_string();
                    tracing::error!(
                        logger = "scale_handler",
                        scaledObject.Namespace = self.handle.key.namespace,
                        scaledObject.Name = self.handle.key.name,
                        scaler = slot.parsed.label(),
                        error = text,
                        "error getting metric for scaler"
                    );
                    self.announce(Notice::warning("KEDAScalerFailed", text.clone()));
                    errors.push(text);
                }
            }
        }
        if !errors.is_empty() {
            self.controller.metrics().object_failed(&self.handle.key.namespace, &self.handle.key.name);
        }
        let result = match (readings.is_empty(), errors.is_empty()) {
            (_, true) => TriggerResult::Sampled(readings),
            (true, false) => TriggerResult::Failed(errors.join("; ")),
            (false, false) => TriggerResult::Partial { readings, errors },
        };
        TriggerOutcome { index, trigger, result }
    }
}
