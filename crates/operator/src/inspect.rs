//! What the operator knows of its objects, for people who look (`--profiling-bind-address`).

use std::sync::{Arc, PoisonError, RwLock, Weak};

use serde::Serialize;

use crate::{controller::Controller, kind::Scaled, samples::ObjectHandle};

/// A view into a running operator; empty until it leads. Cheap to clone, and keeps nothing alive.
#[derive(Clone, Debug, Default)]
pub struct Inspector(Arc<RwLock<Weak<Controller>>>);

/// One ScaledObject or ScaledJob.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObjectView {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Of the newest version that a watch brought.
    pub generation: Option<i64>,
    /// `polled`; `not polled` while it is paused or not valid; `new` before its first reconcile.
    pub state: &'static str,
    /// Its triggers, in the order of its spec.
    pub triggers: Vec<TriggerView>,
}

/// One trigger.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TriggerView {
    /// Its name, or upstream's name of its type.
    pub name: String,
    /// Its type.
    pub trigger_type: String,
    /// Its metrics.
    pub metrics: Vec<MetricView>,
}

/// One metric, as it was last read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricView {
    /// Its name.
    pub name: String,
    /// Seconds since it was read; nothing before it was.
    pub age_seconds: Option<f64>,
    /// What was read.
    pub value: Option<f64>,
    /// Whether that makes the trigger active.
    pub active: Option<bool>,
    /// Why nothing could be read.
    pub error: Option<String>,
    /// Polls in a row that could not read it; counted where there is a fallback.
    pub failures: u32,
}

impl Inspector {
    /// A view into this one.
    #[must_use]
    pub fn of(controller: &Arc<Controller>) -> Self {
        let inspector = Inspector::default();
        inspector.look_into(controller);
        inspector
    }

    pub(crate) fn look_into(&self, controller: &Arc<Controller>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(controller);
    }

    /// Every object by namespace and name; nothing while this process does not lead.
    pub fn objects(&self) -> Option<Vec<ObjectView>> {
        let controller = self.0.read().unwrap_or_else(PoisonError::into_inner).upgrade()?;
        let index = controller.index();
        let mut objects: Vec<ObjectView> =
            index.scaled_objects.all().iter().map(|handle| object(handle)).collect();
        objects.extend(index.scaled_jobs.all().iter().map(|handle| object(handle)));
        objects.sort_by(|a, b| (&a.namespace, &a.name, a.kind).cmp(&(&b.namespace, &b.name, b.kind)));
        Some(objects)
    }
}

fn object<K: Scaled>(handle: &ObjectHandle<K>) -> ObjectView {
    let triggers = handle.triggers();
    let health = handle.health();
    let metric = |name: &str| {
        let sample = handle.latest(name);
        let reading = sample.as_ref().and_then(|sample| sample.result.as_ref().ok());
        MetricView {
            name: name.to_owned(),
            age_seconds: sample.as_ref().map(|sample| sample.taken.elapsed().as_secs_f64()),
            value: reading.map(|reading| reading.value),
            active: reading.map(|reading| reading.active),
            error: sample.as_ref().and_then(|sample| sample.result.as_ref().err().cloned()),
            failures: health.failures(name),
        }
    };
    let slots = triggers.iter().flat_map(|set| &set.slots);
    ObjectView {
        kind: K::WORDS.name,
        namespace: handle.key.namespace.clone(),
        name: handle.key.name.clone(),
        generation: handle.inbox.borrow().object.meta().generation,
        state: match (&triggers, handle.is_settled()) {
            (Some(_), _) => "polled",
            (None, true) => "not polled",
            (None, false) => "new",
        },
        triggers: slots
            .map(|slot| TriggerView {
                name: slot.parsed.label().to_owned(),
                trigger_type: slot.parsed.trigger_type().to_owned(),
                metrics: slot.parsed.specs().iter().map(|spec| metric(spec.name())).collect(),
            })
            .collect(),
    }
}
