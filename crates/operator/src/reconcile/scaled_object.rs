//! What a ScaledObject's reconcile makes ready, in upstream's order (`controllers/keda/scaledobject_controller.go`, core.md
//! §2.3): pause, target, bounds, triggers, HPA; and the words and series of its kind.

use std::sync::Arc;

use jiff::Timestamp;
use keda_api::{
    Condition, ConditionStatus, Conditions, ScaleTrigger, ScaledObject, ScaledObjectStatus, keys,
};
use keda_core::{
    bounds::Bounds,
    conditions,
    decide::HpaRange,
    fallback::{self, Health},
    pause::Annotations,
    refusal,
};
use keda_telemetry::metrics;
use tokio::sync::watch;

use super::{Failure, Outcome};
use crate::{
    controller::Controller,
    events::Notice,
    index::{Index, ObjectKey, Objects},
    kind::{Common, ObjectKind, Scaled, Words},
    listen::News,
    object::{Object, Prepared},
    samples::{Input, TriggerSet, TriggerSlot},
};

const FALLBACK: &str = "ScaledObjectFallbackActivated";
const NO_FALLBACK: &str = "ScaledObjectFallbackDeactivated";

impl Scaled for ScaledObject {
    type Status = ScaledObjectStatus;
    type Ready = Prepared;

    const WORDS: Words = Words {
        kind: ObjectKind::ScaledObject,
        name: "ScaledObject",
        resource: "scaled_object",
        metric: "scaledobject",
        logger: "controllers.ScaledObject",
        ready: ("ScaledObjectReady", "ScaledObject is ready for scaling"),
        check_failed: "ScaledObjectCheckFailed",
        update_failed: "ScaledObjectUpdateFailed",
        deleted: ("ScaledObjectDeleted", "ScaledObject was deleted"),
        paused: ("ScaledObjectPaused", "ScaledObject is paused"),
        unpaused: ("ScaledObjectUnpaused", "pause annotation removed for ScaledObject"),
        triggers: refusal::TRIGGERS,
        build: refusal::HPA,
    };

    fn handles(index: &Index) -> &Objects<Self> {
        &index.scaled_objects
    }

    fn take_status(&mut self) -> Option<ScaledObjectStatus> {
        self.status.take()
    }

    fn triggers(&self) -> &[ScaleTrigger] {
        &self.spec.triggers
    }

    fn polling_interval(&self) -> Option<i32> {
        self.spec.polling_interval
    }

    fn env_source_container(&self) -> Option<&str> {
        self.spec.scale_target_ref.env_source_container_name.as_deref()
    }

    fn name_label() -> Option<&'static str> {
        Some(keys::SCALED_OBJECT_NAME)
    }

    fn common(status: &mut ScaledObjectStatus) -> Common<'_> {
        Common {
            conditions: &mut status.conditions,
            triggers_types: &mut status.triggers_types,
            authentications_types: &mut status.authentications_types,
        }
    }

    fn conditions(status: &ScaledObjectStatus) -> Option<&Conditions> {
        status.conditions.as_ref()
    }

    fn last_active(status: &ScaledObjectStatus) -> Option<Timestamp> {
        status.last_active_time.as_ref().map(|time| time.0)
    }

    fn health(status: &ScaledObjectStatus) -> Health {
        Health::of(status.health.as_ref())
    }

    fn ready() -> Condition {
        conditions::ready()
    }

    fn ready_paused() -> Condition {
        conditions::ready_paused()
    }

    fn check_failed(message: &str) -> Condition {
        conditions::check_failed(message)
    }

    fn activity_unknown() -> Condition {
        conditions::activity_unknown()
    }

    fn paused() -> Condition {
        conditions::paused()
    }

    fn unpaused() -> Condition {
        conditions::unpaused()
    }

    fn failed(metrics: &metrics::Operator, key: &ObjectKey) {
        metrics.object_failed(&key.namespace, &key.name);
    }

    fn succeeded(metrics: &metrics::Operator, key: &ObjectKey) {
        metrics.object_succeeded(&key.namespace, &key.name);
    }

    fn forget_triggers(metrics: &metrics::Operator, key: &ObjectKey) {
        metrics.forget_triggers(&key.namespace, &key.name);
    }

    fn forget(metrics: &metrics::Operator, key: &ObjectKey) {
        metrics.forget_object(&key.namespace, &key.name);
    }

    fn seen(controller: &Controller, key: &ObjectKey, object: Option<&Self>) {
        controller.claimed(key, object);
    }

    async fn prepare(object: &mut Object) -> Result<Outcome<Prepared>, Failure> {
        object.prepare_scaling().await
    }

    fn settle(object: &mut Object) {
        if !matches!(fallback::plan(&object.object.spec), Ok(Some(_))) {
            object.status.wanted.health = None;
            object.set_fallback(conditions::no_fallback());
        }
    }

    async fn poll(object: &mut Object, inbox: &mut watch::Receiver<Input>) {
        object.poll(inbox).await;
    }

    fn listen(object: &mut Object) {
        object.listen();
    }

    async fn hear(object: &mut Object, news: News) {
        object.hear(news).await;
    }

    async fn renew(
        object: &mut Object,
        triggers: &Arc<TriggerSet>,
        renewed: Vec<(usize, TriggerSlot)>,
    ) -> Result<Arc<TriggerSet>, String> {
        object.renew(triggers, renewed).await
    }

    async fn before_end(object: &mut Object) -> Result<(), kube::Error> {
        object.restore_replicas().await
    }
}

impl Object {
    async fn prepare_scaling(&mut self) -> Result<Outcome<Prepared>, Failure> {
        let annotations = Annotations::parse(self.object.metadata.annotations.as_ref())
            .map_err(|error| Failure::new(refusal::PAUSE, error))?;
        if annotations.full {
            self.pause_whole(&annotations).await?;
            return Ok(Outcome::Paused);
        }
        self.note_pause(&annotations);
        let target = self.resolve_target().await?;
        let bounds = Bounds::of(&self.object.spec).map_err(|error| Failure::new(refusal::BOUNDS, error))?;
        self.check_triggers()?;
        self.check_admission()?;
        let mut triggers = self.build_triggers(&target).await?;
        self.recall(&mut triggers);
        self.ensure_autoscaler(&target, &triggers, HpaRange::Keep).await?;
        self.announce_start(&triggers);
        let generation = self.object.metadata.generation;
        Ok(Outcome::Scaling(Prepared { target, bounds, triggers: Arc::new(triggers), generation }))
    }

    /// Sets Fallback; both ways are events, like the condition itself.
    pub(crate) fn set_fallback(&mut self, condition: Condition) {
        let was = self.status.condition(Condition::FALLBACK);
        let is = condition.status;
        self.status.set(condition);
        let (reason, note, over) = match (was == ConditionStatus::True, is == ConditionStatus::True) {
            (false, true) => (FALLBACK, "ScaledObject fallback is active", NO_FALLBACK),
            (true, false) => (NO_FALLBACK, "ScaledObject fallback is no longer active", FALLBACK),
            _ => return,
        };
        self.said.forget(over);
        self.announce(Notice::normal(reason, note));
    }
}
