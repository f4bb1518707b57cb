//! The two kinds whose objects have a task: what is the same for both is written once, for any [`Scaled`].
//!
//! Watch, task, reconcile frame, trigger building, sampling, status, finalizer, credentials, events, backoff and panic
//! isolation are shared. A kind says what is its own: what a reconcile makes ready, what a poll's answers mean, which words
//! its conditions and events use.

use std::{fmt, future::Future, sync::Arc};

use jiff::Timestamp;
use keda_api::{Condition, Conditions, ScaleTrigger};
use keda_core::fallback::Health;
use keda_telemetry::metrics;
use kube::{Resource, core::NamespaceResourceScope};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use crate::{
    controller::Controller,
    index::{Index, ObjectKey, Objects},
    listen::News,
    object::Object,
    reconcile::{Failure, Outcome},
    samples::{Input, TriggerSet, TriggerSlot},
};

/// Which of the two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ObjectKind {
    ScaledObject,
    ScaledJob,
}

/// An object with a task: names are unique within a kind only.
pub(crate) type Owner = (ObjectKind, ObjectKey);

/// The words of a kind.
pub(crate) struct Words {
    pub(crate) kind: ObjectKind,
    /// The kind's name in the API.
    pub(crate) name: &'static str,
    /// The kind in `keda_resource_registered_total`.
    pub(crate) resource: &'static str,
    /// The kind in the metrics of triggers and loops.
    pub(crate) metric: &'static str,
    /// The logger of its reconciles.
    pub(crate) logger: &'static str,
    /// Reason and note of the event when it becomes ready.
    pub(crate) ready: (&'static str, &'static str),
    /// Reason of the event and the condition when a check fails.
    pub(crate) check_failed: &'static str,
    /// Reason of the event when the status cannot be written.
    pub(crate) update_failed: &'static str,
    /// Reason and note of the event when it is let go.
    pub(crate) deleted: (&'static str, &'static str),
    /// Reason and note of the events when it is paused, and when it no longer is.
    pub(crate) paused: (&'static str, &'static str),
    pub(crate) unpaused: (&'static str, &'static str),
    /// Which check refuses wrong triggers, and which one triggers that cannot be built.
    pub(crate) triggers: &'static str,
    pub(crate) build: &'static str,
}

/// The members that both statuses have.
pub(crate) struct Common<'a> {
    pub(crate) conditions: &'a mut Option<Conditions>,
    pub(crate) triggers_types: &'a mut Option<String>,
    pub(crate) authentications_types: &'a mut Option<String>,
}

/// What a good reconcile leaves behind for the polls.
pub(crate) trait Ready: Send + Sync + 'static {
    /// Of the spec that it was made from.
    fn generation(&self) -> Option<i64>;
    fn triggers(&self) -> &Arc<TriggerSet>;
}

/// A kind whose objects have a task each.
pub(crate) trait Scaled:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + fmt::Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    type Status: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static;
    type Ready: Ready;

    const WORDS: Words;

    fn handles(index: &Index) -> &Objects<Self>;

    // The object.
    fn take_status(&mut self) -> Option<Self::Status>;
    fn triggers(&self) -> &[ScaleTrigger];
    fn polling_interval(&self) -> Option<i32>;
    fn env_source_container(&self) -> Option<&str>;
    /// The label that carries the object's own name, if the kind has one.
    fn name_label() -> Option<&'static str>;

    // Its status.
    fn common(status: &mut Self::Status) -> Common<'_>;
    fn conditions(status: &Self::Status) -> Option<&Conditions>;
    fn last_active(status: &Self::Status) -> Option<Timestamp>;
    /// Failures in a row, as an earlier process counted them.
    fn health(_: &Self::Status) -> Health {
        Health::default()
    }

    // Its conditions.
    fn ready() -> Condition;
    fn ready_paused() -> Condition;
    fn check_failed(message: &str) -> Condition;
    fn activity_unknown() -> Condition;
    fn paused() -> Condition;
    fn unpaused() -> Condition;

    // Its series.
    fn failed(metrics: &metrics::Operator, key: &ObjectKey);
    fn succeeded(metrics: &metrics::Operator, key: &ObjectKey);
    fn forget_triggers(metrics: &metrics::Operator, key: &ObjectKey);
    fn forget(metrics: &metrics::Operator, key: &ObjectKey);

    // What the watch reports, before the task hears of it.
    fn seen(_: &Controller, _: &ObjectKey, _: Option<&Self>) {}

    /// Its task has ended.
    fn ended(_: &Controller, _uid: &str) {}

    // Its life.
    /// Brings the cluster in line with the object; the frame (finalizer, conditions, retries) is [`Object::reconcile`]'s.
    fn prepare(
        object: &mut Object<Self>,
    ) -> impl Future<Output = Result<Outcome<Self::Ready>, Failure>> + Send;
    /// What a reconcile leaves in the status whichever way it ended.
    fn settle(_: &mut Object<Self>) {}
    /// One poll: sample, decide, apply.
    fn poll(
        object: &mut Object<Self>,
        inbox: &mut watch::Receiver<Input<Self>>,
    ) -> impl Future<Output = ()> + Send;
    /// Opens and closes the streams on which sources speak up by themselves; without them they are polled only.
    fn listen(_: &mut Object<Self>) {}
    /// A source spoke up.
    fn hear(_: &mut Object<Self>, _: News) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
    /// Goes on with other metrics of some triggers; nothing changes where that cannot be.
    ///
    /// # Errors
    /// Why it cannot.
    fn renew(
        object: &mut Object<Self>,
        triggers: &Arc<TriggerSet>,
        renewed: Vec<(usize, TriggerSlot)>,
    ) -> impl Future<Output = Result<Arc<TriggerSet>, String>> + Send;
    /// What is to be done before the object is let go.
    ///
    /// # Errors
    /// The API server's, when it has to be tried again.
    fn before_end(_: &mut Object<Self>) -> impl Future<Output = Result<(), kube::Error>> + Send {
        std::future::ready(Ok(()))
    }
}
