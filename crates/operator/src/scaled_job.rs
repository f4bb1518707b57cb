//! ScaledJobs: what is their own beside the task that they share with ScaledObjects ([`crate::kind`]).
//!
//! [`prepare`] makes an object ready (pause, checks, rollout, triggers), [`poll`] asks the triggers and decides by
//! `keda_core::scaled_job`, [`start`] creates Jobs, [`upkeep`] deletes them. What is counted is [`crate::jobs`].

mod poll;
mod prepare;
mod start;
mod upkeep;

use std::sync::Arc;

use jiff::Timestamp;
use keda_api::{Condition, Conditions, ScaleTrigger, ScaledJob, ScaledJobStatus};
use keda_core::{
    conditions::scaled_job as conditions,
    refusal,
    scaled_job::{Bounds, strategy::Strategy},
};
use keda_telemetry::metrics;
use tokio::sync::watch;

use crate::{
    controller::Controller,
    index::{Index, ObjectKey, Objects},
    kind::{Common, ObjectKind, Ready, Scaled, Words},
    object::Object,
    reconcile::{Failure, Outcome},
    samples::{Input, TriggerSet, TriggerSlot},
};

/// The outcome of a good reconcile of a ScaledJob.
pub(crate) struct Prepared {
    triggers: Arc<TriggerSet>,
    bounds: Bounds,
    strategy: Strategy,
    /// Of the spec that this was made from.
    generation: Option<i64>,
}

impl Ready for Prepared {
    fn generation(&self) -> Option<i64> {
        self.generation
    }

    fn triggers(&self) -> &Arc<TriggerSet> {
        &self.triggers
    }
}

impl Scaled for ScaledJob {
    type Status = ScaledJobStatus;
    type Ready = Prepared;

    const WORDS: Words = Words {
        kind: ObjectKind::ScaledJob,
        name: "ScaledJob",
        resource: "scaled_job",
        metric: "scaledjob",
        logger: "controllers.ScaledJob",
        ready: ("ScaledJobReady", "ScaledJob is ready for scaling"),
        check_failed: "ScaledJobCheckFailed",
        update_failed: "ScaledJobUpdateFailed",
        deleted: ("ScaledJobDeleted", "ScaledJob was deleted"),
        paused: ("ScaledJobPaused", "ScaledJob is paused"),
        unpaused: ("ScaledJobUnpaused", "ScaledJob is unpaused"),
        triggers: refusal::JOB_TRIGGERS,
        build: refusal::JOB_BUILD,
    };

    fn handles(index: &Index) -> &Objects<Self> {
        &index.scaled_jobs
    }

    fn take_status(&mut self) -> Option<ScaledJobStatus> {
        self.status.take()
    }

    fn triggers(&self) -> &[ScaleTrigger] {
        &self.spec.triggers
    }

    fn polling_interval(&self) -> Option<i32> {
        self.spec.polling_interval
    }

    fn env_source_container(&self) -> Option<&str> {
        self.spec.env_source_container_name.as_deref()
    }

    fn name_label() -> Option<&'static str> {
        None
    }

    fn common(status: &mut ScaledJobStatus) -> Common<'_> {
        Common {
            conditions: &mut status.conditions,
            triggers_types: &mut status.triggers_types,
            authentications_types: &mut status.authentications_types,
        }
    }

    fn conditions(status: &ScaledJobStatus) -> Option<&Conditions> {
        status.conditions.as_ref()
    }

    fn last_active(status: &ScaledJobStatus) -> Option<Timestamp> {
        status.last_active_time.as_ref().map(|time| time.0)
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
        metrics.job_failed(&key.namespace, &key.name);
    }

    fn succeeded(metrics: &metrics::Operator, key: &ObjectKey) {
        metrics.job_succeeded(&key.namespace, &key.name);
    }

    fn forget_triggers(metrics: &metrics::Operator, key: &ObjectKey) {
        metrics.forget_job_triggers(&key.namespace, &key.name);
    }

    fn forget(metrics: &metrics::Operator, key: &ObjectKey) {
        metrics.forget_job(&key.namespace, &key.name);
    }

    fn ended(controller: &Controller, uid: &str) {
        controller.index().jobs.forget_unseen(uid);
    }

    async fn prepare(object: &mut Object<Self>) -> Result<Outcome<Prepared>, Failure> {
        object.prepare_jobs().await
    }

    async fn poll(object: &mut Object<Self>, inbox: &mut watch::Receiver<Input<Self>>) {
        object.poll_jobs(inbox).await;
    }

    async fn renew(
        object: &mut Object<Self>,
        triggers: &Arc<TriggerSet>,
        renewed: Vec<(usize, TriggerSlot)>,
    ) -> Result<Arc<TriggerSet>, String> {
        let triggers = Arc::new(triggers.with(renewed));
        if let Some(prepared) = &mut object.ready {
            prepared.triggers = Arc::clone(&triggers);
        }
        object.status.wanted.external_metric_names = Some(triggers.external_names());
        object.controller.use_triggers(&object.handle, Some(Arc::clone(&triggers)));
        Ok(triggers)
    }
}
