//! Third file of the loop: ask every trigger, all at the same time, and keep the answers in trigger order.
//!
//! A poll never outlives its triggers' deadlines. It is given up at once when the object changed meanwhile, and it
//! never moves anything by itself: what the answers mean is decided in [`crate::decide`].

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use keda_core::{
    activity::{self, MetricReading, TriggerOutcome, TriggerResult},
    conditions,
    fallback::Answer,
    formula::{COMPOSITE, Composite},
};
use keda_scaler::Outcome;
use keda_telemetry::metrics::Trigger;
use tokio::sync::watch;

use crate::{
    events::Notice,
    index::ObjectKey,
    object::Object,
    raw_metrics::Occasion,
    samples::{Input, TriggerSet},
    values::{Judged, Read},
};

const TRIGGER_FAILED: &str = "KEDAScalerFailed";
const SOURCE_FAILED: &str = "KEDAMetricSourceFailed";

/// How long a status that a reconcile prepared waits for the poll's findings, to be written once with them.
const STATUS_GRACE: Duration = Duration::from_millis(300);

impl Object {
    /// One poll: sample, decide, apply.
    pub(crate) async fn poll(&mut self, inbox: &mut watch::Receiver<Input>) {
        let Some(prepared) = &self.ready else { return };
        let triggers = Arc::clone(&prepared.triggers);
        let Some(outcomes) = self.sample(&triggers, inbox).await else { return };
        self.announce_failures(&triggers, &outcomes);
        let read: Vec<Read<'_>> = triggers
            .slots
            .iter()
            .zip(outcomes)
            .flat_map(|(slot, outcomes)| {
                let metrics = outcomes.into_iter().zip(slot.parsed.specs());
                metrics.map(move |(outcome, spec)| Read {
                    slot,
                    spec,
                    result: outcome.result.map_err(|error| error.to_string()),
                })
            })
            .collect();
        let counted = read.iter().map(|metric| (metric.spec.name(), metric.result.is_ok()));
        let health = self.handle.count(triggers.fallback.as_ref(), counted);
        let controller = Arc::clone(&self.controller);
        let judged = triggers.judge(&controller, &read, &health).await;
        controller.raw_metrics().tell(Occasion::Poll, &self.handle.key, &read, &judged, controller.now());
        if let Some(plan) = &triggers.fallback {
            let past = health.is_past(plan);
            self.set_fallback(if past { conditions::fallback() } else { conditions::no_fallback() });
            self.status.wanted.health = Some(health.status()).filter(|health| !health.is_empty());
        }
        let composite = triggers.compose(&read, &judged);
        self.show(&read, &judged, composite.as_ref());
        let activity = match (composite, &triggers.modifiers) {
            (Some(composite), Some(modifiers)) => {
                let (readings, errors) = of_formula(&read, &judged);
                if errors.is_empty()
                    && let Err(text) = &composite
                {
                    self.announce_formula(text);
                }
                let reading = composite.map(|it| MetricReading::composite(modifiers.aim().target, &it));
                activity::composed(readings, errors, reading)
            }
            _ => activity::of(&by_trigger(&triggers, &read, &judged)),
        };
        self.decide_and_apply(activity).await;
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

    /// The event and log line of each failure, whether or not something stands in for it.
    fn announce_failures(&mut self, triggers: &TriggerSet, outcomes: &[Vec<Outcome>]) {
        // Upstream's word where the value only feeds a formula.
        let reason = if triggers.modifiers.is_some() { SOURCE_FAILED } else { TRIGGER_FAILED };
        let mut failed = false;
        for (slot, outcomes) in triggers.slots.iter().zip(outcomes) {
            let errors: Vec<String> = outcomes
                .iter()
                .filter_map(|outcome| outcome.result.as_ref().err().map(ToString::to_string))
                .collect();
            if !errors.is_empty() {
                failed = true;
                self.controller.metrics().object_failed(&self.handle.key.namespace, &self.handle.key.name);
            }
            for text in errors {
                tracing::error!(
                    logger = "scale_handler",
                    scaledObject.Namespace = self.handle.key.namespace,
                    scaledObject.Name = self.handle.key.name,
                    scaler = slot.parsed.label(),
                    error = text,
                    "error getting metric for scaler"
                );
                self.announce(Notice::warning(reason, text));
            }
        }
        if failed {
            self.reread_credentials();
        } else {
            self.said.forget(TRIGGER_FAILED);
        }
    }

    /// The event and log line of a formula that has no value although every trigger has one.
    fn announce_formula(&mut self, text: &str) {
        let ObjectKey { namespace, name } = &self.handle.key;
        tracing::error!(
            logger = "scale_handler",
            scaledObject.Namespace = namespace,
            scaledObject.Name = name,
            error = text,
            "error applying custom scalingModifiers.Formula"
        );
        self.controller.metrics().object_failed(namespace, name);
        self.announce(Notice::warning(SOURCE_FAILED, text));
    }

    /// What the HPA is told in the place of what was read, in the metrics.
    fn show(&self, read: &[Read<'_>], judged: &Judged, composite: Option<&Result<Composite, String>>) {
        let metrics = self.controller.metrics();
        let ObjectKey { namespace, name } = &self.handle.key;
        let label =
            |metric, scaler, index| Trigger { namespace, metric, object: name, scaler, index, job: false };
        for (metric, answer) in read.iter().zip(&judged.answers) {
            if let (Answer::FallsBack { value, fallen }, None) = (answer, composite) {
                let parsed = &metric.slot.parsed;
                let trigger = label(metric.spec.name(), parsed.label(), parsed.context().index);
                metrics.value(&trigger, value.as_f64());
                metrics.active(&trigger, fallen.replicas > 0);
            }
        }
        if let Some(Ok(composite)) = composite {
            let trigger = label(COMPOSITE, COMPOSITE, 0);
            metrics.value(&trigger, composite.quantity.as_f64());
            metrics.active(&trigger, composite.active);
        }
    }
}

/// What each trigger says, without a formula.
fn by_trigger(triggers: &TriggerSet, read: &[Read<'_>], judged: &Judged) -> Vec<TriggerOutcome> {
    let mut answers = read.iter().zip(&judged.answers).peekable();
    let mut outcomes = Vec::with_capacity(triggers.slots.len());
    for (index, slot) in triggers.slots.iter().enumerate() {
        let trigger = slot.parsed.label().to_owned();
        if !slot.parsed.is_sampled() {
            let resources = slot.parsed.specs().iter().map(|spec| spec.name().to_owned()).collect();
            outcomes.push(TriggerOutcome { index, trigger, result: TriggerResult::ReadByHpa(resources) });
            continue;
        }
        let (mut readings, mut errors) = (Vec::new(), Vec::new());
        while let Some((metric, answer)) = answers.next_if(|(metric, _)| std::ptr::eq(metric.slot, slot)) {
            match MetricReading::of(metric.spec.name(), Some(*metric.spec.target()), answer) {
                Ok(reading) => readings.push(reading),
                Err(error) => errors.push(error),
            }
        }
        let result = match (readings.is_empty(), errors.is_empty()) {
            (_, true) => TriggerResult::Sampled(readings),
            (true, false) => TriggerResult::Failed(errors.join("; ")),
            (false, false) => TriggerResult::Partial { readings, errors },
        };
        outcomes.push(TriggerOutcome { index, trigger, result });
    }
    outcomes
}

/// What went into the formula, and what went wrong, each with its trigger in front. What is nil for the formula did not go
/// wrong: the formula deals with it, or fails.
fn of_formula(read: &[Read<'_>], judged: &Judged) -> (Vec<MetricReading>, Vec<String>) {
    let (mut readings, mut errors) = (Vec::new(), Vec::new());
    for (metric, answer) in read.iter().zip(&judged.answers) {
        if *answer == Answer::Nil {
            continue;
        }
        match MetricReading::of(metric.spec.name(), None, answer) {
            Ok(reading) => readings.push(reading),
            Err(error) => errors.push(format!("{}: {error}", metric.slot.parsed.label())),
        }
    }
    (readings, errors)
}
