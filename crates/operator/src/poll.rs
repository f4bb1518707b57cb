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
use keda_telemetry::metrics::Trigger;
use tokio::sync::watch;

use crate::{
    events::Notice,
    index::ObjectKey,
    kind::{ObjectKind, Scaled},
    listen::News,
    object::Object,
    raw_metrics::Occasion,
    samples::{Input, Polled, TriggerSet},
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
        let mut later = News::default();
        let Some(mut polled) = self.sample(&triggers, inbox, &mut later).await else { return };
        let triggers = self.follow_sources(triggers, &mut polled).await;
        self.announce_failures(&triggers, &polled);
        let faults: Vec<Option<String>> = polled.iter_mut().map(|polled| polled.fault.take()).collect();
        let read: Vec<Read<'_>> = triggers
            .slots
            .iter()
            .zip(polled)
            .flat_map(|(slot, polled)| {
                let metrics = polled.outcomes.into_iter().zip(slot.parsed.specs());
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
                let (readings, mut errors) = of_formula(&read, &judged);
                let faulty = triggers.slots.iter().zip(&faults);
                errors.extend(faulty.filter_map(|(slot, fault)| {
                    fault.as_ref().map(|fault| format!("{}: {fault}", slot.parsed.label()))
                }));
                if errors.is_empty()
                    && let Err(text) = &composite
                {
                    self.announce_formula(text);
                }
                let reading = composite.map(|it| MetricReading::composite(modifiers.aim().target, &it));
                activity::composed(readings, errors, reading)
            }
            _ => activity::of(&by_trigger(&triggers, &read, &judged, &faults)),
        };
        self.decide_and_apply(activity).await;
        self.hear(later).await;
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

impl<K: Scaled> Object<K> {
    /// Asks all triggers; `None` when the object changed before they answered. That there is work is heard meanwhile; other metrics
    /// than those that are just sampled are for `later`.
    pub(crate) async fn sample(
        &mut self,
        triggers: &TriggerSet,
        inbox: &mut watch::Receiver<Input<K>>,
        later: &mut News,
    ) -> Option<Vec<Polled>> {
        let controller = std::sync::Arc::clone(&self.controller);
        let environment = controller.environment();
        let sampling = join_all(triggers.slots.iter().map(|slot| slot.poll(environment)));
        tokio::pin!(sampling);
        let grace = tokio::time::sleep(STATUS_GRACE);
        tokio::pin!(grace);
        let mut waited = false;
        loop {
            tokio::select! {
                biased;
                answers = &mut sampling => {
                    for answers in &answers {
                        self.handle.record(&answers.outcomes);
                    }
                    return Some(answers);
                }
                _ = inbox.changed() => {
                    let input = inbox.borrow().clone();
                    if self.is_outdated(&input) {
                        return None;
                    }
                }
                mut news = self.listeners.news() => {
                    later.metrics.append(&mut news.metrics);
                    K::hear(self, news).await;
                }
                () = &mut grace, if !waited => {
                    waited = true;
                    self.flush_status().await;
                }
            }
        }
    }

    /// Goes on with the metrics that sources say they have. A source whose metrics an HPA cannot have is at fault, and stays as it was.
    pub(crate) async fn follow_sources(
        &mut self,
        triggers: Arc<TriggerSet>,
        polled: &mut [Polled],
    ) -> Arc<TriggerSet> {
        let mut renewed = Vec::new();
        for (index, polled) in polled.iter_mut().enumerate() {
            renewed.extend(polled.renewed.take().map(|slot| (index, slot)));
        }
        if renewed.is_empty() {
            return triggers;
        }
        let indices: Vec<usize> = renewed.iter().map(|(index, _)| *index).collect();
        match K::renew(self, &triggers, renewed).await {
            Ok(triggers) => triggers,
            Err(error) => {
                for index in indices {
                    polled[index] = Polled { fault: Some(error.clone()), ..Polled::default() };
                }
                triggers
            }
        }
    }

    /// The log line of a failure, with the fields that people look for in upstream's.
    fn log_failure(&self, scaler: &str, error: &str) {
        let ObjectKey { namespace, name } = &self.handle.key;
        match K::WORDS.kind {
            ObjectKind::ScaledObject => tracing::error!(
                logger = "scale_handler",
                scaledObject.Namespace = namespace,
                scaledObject.Name = name,
                scaler,
                error,
                "error getting metric for scaler"
            ),
            ObjectKind::ScaledJob => tracing::error!(
                logger = "scale_handler",
                scaledJob.Namespace = namespace,
                scaledJob.Name = name,
                scaler,
                error,
                "error getting metric for scaler"
            ),
        }
    }

    /// The event and log line of each failure, whether or not something stands in for it.
    pub(crate) fn announce_failures(&mut self, triggers: &TriggerSet, polled: &[Polled]) {
        // Upstream's word where the value only feeds a formula.
        let reason = if triggers.modifiers.is_some() { SOURCE_FAILED } else { TRIGGER_FAILED };
        let mut failed = false;
        for (slot, polled) in triggers.slots.iter().zip(polled) {
            let errors: Vec<String> = polled
                .outcomes
                .iter()
                .filter_map(|outcome| outcome.result.as_ref().err().map(ToString::to_string))
                .chain(polled.fault.clone())
                .collect();
            if !errors.is_empty() {
                failed = true;
                K::failed(self.controller.metrics(), &self.handle.key);
            }
            for text in errors {
                self.log_failure(slot.parsed.label(), &text);
                self.announce(Notice::warning(reason, text));
            }
        }
        if failed {
            self.reread_credentials();
        } else {
            self.said.forget(TRIGGER_FAILED);
        }
    }
}

/// What each trigger says, without a formula.
fn by_trigger(
    triggers: &TriggerSet,
    read: &[Read<'_>],
    judged: &Judged,
    faults: &[Option<String>],
) -> Vec<TriggerOutcome> {
    let mut answers = read.iter().zip(&judged.answers).peekable();
    let mut outcomes = Vec::with_capacity(triggers.slots.len());
    for (index, slot) in triggers.slots.iter().enumerate() {
        let trigger = slot.parsed.label().to_owned();
        if let Some(Some(fault)) = faults.get(index) {
            outcomes.push(TriggerOutcome { index, trigger, result: TriggerResult::Failed(fault.clone()) });
            continue;
        }
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
