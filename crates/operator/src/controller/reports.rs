//! What the watches report: objects get their tasks, and whoever depends on what changed is woken.

use std::sync::Arc;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use keda_api::ScaledObject;
use keda_core::{
    admission::neighbours::{Autoscaler, Claim},
    hpa,
    pause::Annotations,
};
use kube::ResourceExt;
use tokio_util::sync::CancellationToken;

use super::Controller;
use crate::{
    authentications::{self, AuthenticationKey, AuthenticationKind},
    cloud_events,
    index::{ObjectKey, WorkloadKey},
    kind::Scaled,
    samples::ObjectHandle,
    status::Stored,
};

impl Controller {
    pub(crate) fn object_applied<K: Scaled>(self: &Arc<Self>, mut object: K, shutdown: &CancellationToken) {
        let key = ObjectKey::of(&object);
        let uid = object.uid().unwrap_or_default();
        object.meta_mut().managed_fields = None;
        let stored = Stored::take(&mut object);
        let object = Arc::new(object);
        K::seen(self, &key, Some(&object));
        let mut referred = authentications::referred(object.as_ref());
        let handles = K::handles(&self.index);
        if let Some(handle) = handles.get(&key) {
            let before = Arc::clone(&handle.inbox.borrow().object);
            if handle.uid == uid {
                if before.meta().generation != object.meta().generation {
                    referred.append(&mut authentications::referred(before.as_ref()));
                    self.authentications.mark(referred);
                }
                handle.update(object, stored);
                return;
            }
            referred.append(&mut authentications::referred(before.as_ref()));
            handle.end();
        }
        let handle = Arc::new(ObjectHandle::new(key, uid, object, stored));
        handles.insert(Arc::clone(&handle));
        self.authentications.mark(referred);
        self.metrics.resources(K::WORDS.resource, &handle.key.namespace, 1);
        let supervised = Arc::clone(self).supervise(handle);
        let shutdown = shutdown.clone();
        self.tasks.spawn(async move { shutdown.run_until_cancelled_owned(supervised).await });
    }

    pub(crate) fn object_removed<K: Scaled>(&self, key: &ObjectKey) {
        if let Some(handle) = K::handles(&self.index).remove(key) {
            self.authentications.mark(authentications::referred(handle.inbox.borrow().object.as_ref()));
            handle.end();
        }
        K::seen(self, key, None);
    }

    /// What a ScaledObject takes for itself, or that it is gone, concerns its neighbours.
    pub(crate) fn claimed(&self, key: &ObjectKey, object: Option<&ScaledObject>) {
        self.nudge(&self.index.claim(key, object.and_then(claim).as_ref()));
    }

    /// Has objects look again at what is around them.
    fn nudge(&self, keys: &[ObjectKey]) {
        for handle in keys.iter().filter_map(|key| self.index.object(key)) {
            handle.nudge();
        }
    }

    pub(crate) fn workload_applied(&self, key: WorkloadKey, replicas: i32) {
        if let Some(waiting) = self.index.set_replicas(key, replicas)
            && let Some(handle) = self.index.object(&waiting)
        {
            handle.nudge();
        }
    }

    pub(crate) fn workload_removed(&self, key: &WorkloadKey) {
        self.index.remove_workload(key);
    }

    /// A change of what we wrote wakes the owner. An HPA's status changes often: what it says about its health is kept
    /// for the owner's next poll, and wakes nobody.
    pub(crate) fn autoscaler_applied(&self, mut autoscaler: HorizontalPodAutoscaler) {
        let key = ObjectKey::of(&autoscaler);
        let Some(owner) = owner(&autoscaler) else {
            self.nudge(&self.index.set_foreign(&key, Some(&Autoscaler::of(&autoscaler))));
            return;
        };
        self.nudge(&self.index.set_foreign(&key, None));
        if let Some(health) = hpa::health(&autoscaler) {
            self.index.set_health(key.clone(), health);
        }
        autoscaler.metadata.managed_fields = None;
        autoscaler.status = None;
        let written = |autoscaler: &HorizontalPodAutoscaler| {
            (
                autoscaler.spec.clone(),
                autoscaler.metadata.labels.clone(),
                autoscaler.metadata.annotations.clone(),
                autoscaler.metadata.owner_references.clone(),
            )
        };
        let now = written(&autoscaler);
        let before = self.index.set_autoscaler(key, autoscaler);
        if before.is_none_or(|before| written(&before) != now)
            && let Some(handle) = self.index.object(&owner)
        {
            handle.nudge();
        }
    }

    /// Our own write is known at once; the watch's echo of it is no news then.
    pub(crate) fn autoscaler_written(&self, mut autoscaler: HorizontalPodAutoscaler) {
        autoscaler.metadata.managed_fields = None;
        autoscaler.status = None;
        self.index.set_autoscaler(ObjectKey::of(&autoscaler), autoscaler);
    }

    pub(crate) fn autoscaler_removed(&self, key: &ObjectKey) {
        self.nudge(&self.index.set_foreign(key, None));
        let gone = self.index.autoscaler(key);
        self.index.remove_autoscaler(key);
        if let Some(handle) = gone.and_then(|gone| owner(&gone)).and_then(|owner| self.index.object(&owner)) {
            handle.nudge();
        }
    }

    pub(crate) fn authentication_applied(
        &self,
        kind: AuthenticationKind,
        object: &authentications::Watched,
        found: bool,
    ) {
        if self.authentications.applied(self, kind, object, found) {
            self.authentication_changed(&(kind, ObjectKey::of(object)));
        }
    }

    pub(crate) fn authentication_removed(&self, key: &AuthenticationKey) {
        self.authentications.removed(self, key);
        self.authentication_changed(key);
    }

    pub(crate) fn event_source_applied(
        &self,
        declared: impl Into<cloud_events::Declared>,
        shutdown: &CancellationToken,
    ) {
        self.cloud_events.applied(declared, &self.tasks, shutdown);
    }

    pub(crate) fn event_source_removed(&self, key: &ObjectKey) {
        self.cloud_events.removed(key);
    }

    /// A TriggerAuthentication was created, changed or deleted: whoever refers to it resolves it again.
    fn authentication_changed(&self, key: &AuthenticationKey) {
        self.cloud_events.authentication_changed(key);
        self.index.nudge_users(key);
    }
}

/// What an object takes for itself: nothing while it holds still, so that another can take its place.
fn claim(object: &ScaledObject) -> Option<Claim> {
    let annotations = Annotations::parse(object.metadata.annotations.as_ref());
    let full = annotations.map_or_else(|error| error.annotations().full, |annotations| annotations.full);
    (!full).then(|| Claim::of(object))
}

/// The ScaledObject that controls an HPA.
fn owner(autoscaler: &HorizontalPodAutoscaler) -> Option<ObjectKey> {
    let owner = autoscaler
        .metadata
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.kind == "ScaledObject" && owner.controller == Some(true))?;
    Some(ObjectKey { namespace: autoscaler.namespace()?, name: owner.name.clone() })
}
