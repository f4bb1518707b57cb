//! Second file of the loop: what happens when an object is new or different.
//!
//! The frame here is that of both kinds (core.md §§2.2, 5.1): metadata, then what the kind prepares ([`scaled_object`],
//! [`crate::scaled_job`]), then conditions, events and retries. Nothing here dials a source: triggers are parsed and planned only, so a dead broker cannot
//! keep an HPA from being created or changed. Every write is a difference; a reconcile that changes nothing is local.

mod admission;
mod authentication;
mod autoscaler;
mod finalize;
mod pause;
mod recall;
mod scaled_object;
mod target;
mod triggers;

use std::{fmt, sync::Arc};

use keda_api::{Condition, ConditionStatus, keys};
use keda_core::refusal;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    cluster::{self, is_conflict, retry},
    events::Notice,
    kind::{Ready, Scaled},
    object::Object,
};

/// What went wrong, in upstream's words: `<what>: <error>`.
pub(crate) struct Failure {
    what: &'static str,
    error: String,
    /// The API server could not do it now; nobody has to change anything.
    temporary: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&refusal::message(self.what, &self.error))
    }
}

impl Failure {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "called with the error itself, as map_err hands it over"
    )]
    pub(crate) fn new(what: &'static str, error: impl ToString) -> Self {
        Failure { what, error: error.to_string(), temporary: false }
    }

    pub(crate) fn api(what: &'static str, error: &kube::Error) -> Self {
        Failure { what, error: cluster::words(error), temporary: cluster::is_temporary(error) }
    }
}

/// How a reconcile ended, for the task that decides on the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Good,
    /// Something is wrong that somebody has to change, as far as can be seen.
    Bad,
    /// The API server could not do it now.
    Unlucky,
}

/// A good end of a reconcile.
pub(crate) enum Outcome<R> {
    Scaling(R),
    Paused,
}

impl<K: Scaled> Object<K> {
    /// Brings the cluster in line with the object.
    pub(crate) async fn reconcile(&mut self) -> End {
        K::common(&mut self.status.wanted).conditions.get_or_insert_default().initialise();
        let outcome = self.prepare().await;
        K::settle(self);
        let end = match outcome {
            Ok(Outcome::Scaling(prepared)) => {
                self.becomes_ready();
                self.controller.use_triggers(&self.handle, Some(Arc::clone(prepared.triggers())));
                self.ready = Some(prepared);
                // The poll that follows at once writes the status together with its own findings.
                return End::Good;
            }
            Ok(Outcome::Paused) => {
                self.stop_polling();
                self.set_ready(K::ready_paused());
                End::Good
            }
            Err(failure) if failure.temporary && self.is_prepared() => {
                // The API server is in the way, not the object: what works goes on working.
                tracing::warn!(logger = K::WORDS.logger, object = %self.handle.key, error = %failure, "reconcile put off");
                return End::Unlucky;
            }
            Err(failure) => {
                self.stop_polling();
                self.becomes_failed(&failure);
                if failure.temporary { End::Unlucky } else { End::Bad }
            }
        };
        self.flush_status().await;
        end
    }

    /// Whether an earlier reconcile prepared this very spec.
    fn is_prepared(&self) -> bool {
        self.ready.as_ref().is_some_and(|prepared| prepared.generation() == self.object.meta().generation)
    }

    async fn prepare(&mut self) -> Result<Outcome<K::Ready>, Failure> {
        self.ensure_metadata().await?;
        K::prepare(self).await
    }

    /// Finalizer and label in one patch, which carries only them (core.md §12 row 3: generation stays 1).
    async fn ensure_metadata(&mut self) -> Result<(), Failure> {
        const WHAT: &str = "failed to update the object's finalizer and label";
        const ATTEMPTS: usize = 3;
        let api: Api<K> = Api::namespaced(self.controller.client(), &self.handle.key.namespace);
        let name = self.name();
        for attempt in 1..=ATTEMPTS {
            let Some(change) = self.metadata_change(&name) else { break };
            let patch = Patch::Merge(json!({ "metadata": change }));
            let written = retry(async || api.patch(&name, &PatchParams::default(), &patch).await).await;
            let object = match written {
                // A user wrote at the same moment: go on with the object as it is now.
                Err(error) if is_conflict(&error) && attempt < ATTEMPTS => retry(|| api.get(&name)).await,
                written => written,
            };
            let object = object.map_err(|error| Failure::api(WHAT, &error))?;
            if object.meta().uid.as_deref() != Some(self.handle.uid.as_str()) {
                // Deleted and created again under our hands: the watch reports it, and this task ends.
                return Err(Failure::new(WHAT, "the object was replaced by another of its name"));
            }
            self.adopt(object);
        }
        Ok(())
    }

    /// What finalizers and labels lack.
    fn metadata_change(&self, name: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
        let metadata = self.object.meta();
        let mut change = serde_json::Map::new();
        let finalizers = metadata.finalizers.clone().unwrap_or_default();
        if !finalizers.iter().any(|finalizer| finalizer == keys::FINALIZER) {
            let wanted: Vec<_> = finalizers.iter().map(String::as_str).chain([keys::FINALIZER]).collect();
            change.insert("finalizers".into(), json!(wanted));
            // The list is replaced as a whole, so nobody else may have changed it meanwhile.
            change.insert("resourceVersion".into(), json!(metadata.resource_version));
        }
        if let Some(label) = K::name_label()
            && self.object.labels().get(label).map(String::as_str) != Some(name)
        {
            change.insert("labels".into(), json!({ label: name }));
        }
        (!change.is_empty()).then_some(change)
    }

    /// Ready, unless the last poll found triggers failing: then the next poll, which follows at once, decides. Ready
    /// does not flap between the two (upstream issues 7649, 7669).
    fn becomes_ready(&mut self) {
        let before = K::conditions(&self.status.wanted).and_then(|list| list.get(Condition::READY)).cloned();
        let held_by_poll = before
            .as_ref()
            .and_then(|condition| condition.reason.as_deref())
            .is_some_and(|reason| matches!(reason, "TriggerError" | "PartialTriggerError"));
        if !held_by_poll {
            self.set_ready(K::ready());
        }
    }

    /// Sets Ready; becoming True is an event.
    pub(crate) fn set_ready(&mut self, condition: Condition) {
        let was = self.status.condition(Condition::READY);
        let is = condition.status;
        self.status.set(condition);
        if is == ConditionStatus::True && was != ConditionStatus::True {
            self.said.forget(K::WORDS.check_failed);
            let (reason, note) = K::WORDS.ready;
            self.announce(Notice::normal(reason, note));
        }
    }

    fn becomes_failed(&mut self, failure: &Failure) {
        let message = failure.to_string();
        tracing::error!(
            logger = K::WORDS.logger,
            object = %self.handle.key,
            error = message,
            "reconcile failed"
        );
        K::failed(self.controller.metrics(), &self.handle.key);
        self.status.set(K::check_failed(&message));
        self.status.set(K::activity_unknown());
        self.said.forget(K::WORDS.ready.0);
        self.announce(Notice::warning(K::WORDS.check_failed, message));
    }

    fn stop_polling(&mut self) {
        if self.ready.take().is_some() {
            self.announce(Notice::normal("KEDAScalersStopped", "Stopped scalers watch"));
            self.said.forget("KEDAScalersStarted");
        }
        self.controller.use_triggers(&self.handle, None);
        self.last_decision = None;
    }
}
