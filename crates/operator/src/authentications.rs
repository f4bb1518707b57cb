//! TriggerAuthentications as objects of their own: who refers to them (their status), their events, their end.
//!
//! What they resolve to is `keda-auth`'s matter. Here one worker keeps `status.scaledobjects` and `status.scaledjobs` in line with the objects
//! that refer to each of them (core.md §1.5). Watches only mark what may have changed; the worker waits a moment, so that
//! a thousand objects that appear together cost a write and not a thousand, and writes differences only.
//!
//! Upstream puts its finalizer on them and does nothing with it; we put none, and take upstream's away where an
//! authentication that it looked after is deleted, which would hang otherwise.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::ObjectReference;
use keda_api::{
    AuthenticationRef, ClusterTriggerAuthentication, TriggerAuthentication, TriggerAuthenticationStatus, keys,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{ApiResource, Object, Patch, PatchParams},
    core::NotUsed,
};
use serde_json::json;
use tokio::sync::Notify;

use crate::{
    cluster::{is_conflict, is_not_found, retry, words},
    controller::Controller,
    events::Notice,
    index::ObjectKey,
    kind::Scaled,
};

/// How long the worker lets changes gather before it looks.
const GATHER: Duration = Duration::from_secs(1);
/// How long it waits after a write that failed.
const AGAIN: Duration = Duration::from_secs(5);

/// One of the two kinds of TriggerAuthentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum AuthenticationKind {
    Namespaced,
    Cluster,
}

impl AuthenticationKind {
    /// The kind's name, as `authenticationRef.kind` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            AuthenticationKind::Namespaced => "TriggerAuthentication",
            AuthenticationKind::Cluster => "ClusterTriggerAuthentication",
        }
    }

    pub(crate) fn resource(self) -> ApiResource {
        match self {
            AuthenticationKind::Namespaced => ApiResource::erase::<TriggerAuthentication>(&()),
            AuthenticationKind::Cluster => ApiResource::erase::<ClusterTriggerAuthentication>(&()),
        }
    }

    fn metric(self) -> &'static str {
        match self {
            AuthenticationKind::Namespaced => "trigger_authentication",
            AuthenticationKind::Cluster => "cluster_trigger_authentication",
        }
    }

    /// Reasons of the events at creation and deletion (core.md §6.6).
    fn reasons(self) -> (&'static str, &'static str) {
        match self {
            AuthenticationKind::Namespaced => ("TriggerAuthenticationAdded", "TriggerAuthenticationDeleted"),
            AuthenticationKind::Cluster => {
                ("ClusterTriggerAuthenticationAdded", "ClusterTriggerAuthenticationDeleted")
            }
        }
    }
}

/// One authentication. The namespace of a ClusterTriggerAuthentication is empty.
pub(crate) type AuthenticationKey = (AuthenticationKind, ObjectKey);

/// What an object's `authenticationRef` points at; `None` for no reference, and for a kind that does not exist.
pub(crate) fn target(reference: &AuthenticationRef, namespace: &str) -> Option<AuthenticationKey> {
    if reference.name.is_empty() {
        return None;
    }
    match reference.kind.as_deref().unwrap_or_default() {
        "" | "TriggerAuthentication" => {
            Some((AuthenticationKind::Namespaced, ObjectKey::new(namespace, &reference.name)))
        }
        "ClusterTriggerAuthentication" => {
            Some((AuthenticationKind::Cluster, ObjectKey::new("", &reference.name)))
        }
        _ => None,
    }
}

/// The authentications that an object refers to.
pub(crate) fn referred<K: Scaled>(object: &K) -> BTreeSet<AuthenticationKey> {
    let namespace = object.namespace().unwrap_or_default();
    let references = object.triggers().iter().filter_map(|trigger| trigger.authentication_ref.as_ref());
    references.filter_map(|reference| target(reference, &namespace)).collect()
}

/// An authentication as the watch shows it: the spec is dropped while decoding.
pub(crate) type Watched = Object<NotUsed, TriggerAuthenticationStatus>;

/// What is known of one authentication.
struct Known {
    reference: ObjectReference,
    generation: Option<i64>,
    scaled_objects: Listed,
    scaled_jobs: Listed,
    /// Deleted, and kept by upstream's finalizer: the list of finalizers without it, and the version it was read at.
    held: Option<(Vec<String>, Option<String>)>,
}

/// The names of one kind's objects in the status.
#[derive(Clone, Default)]
struct Listed {
    stored: Option<String>,
    /// Those that this operator put there, to know them again where it shares the status with others.
    ours: BTreeSet<String>,
}

impl Listed {
    fn of(stored: Option<&String>) -> Self {
        Listed { stored: stored.cloned(), ours: BTreeSet::new() }
    }

    /// The text that should be there, if another one is.
    fn difference(&self, users: &BTreeSet<String>, whole: bool) -> Option<String> {
        let stored = self.stored.as_deref();
        let wanted = listing(stored, &self.ours, users, whole);
        (wanted != stored.unwrap_or_default()).then_some(wanted)
    }

    /// Takes note of what was written, if anything was.
    fn written(&mut self, text: Option<String>, users: BTreeSet<String>) {
        self.stored = text.or(self.stored.take());
        self.ours = users;
    }
}

/// The authentications of the cluster and what is to be done about them.
#[derive(Default)]
pub(crate) struct Authentications {
    known: Mutex<HashMap<AuthenticationKey, Known>>,
    dirty: Mutex<BTreeSet<AuthenticationKey>>,
    wake: Notify,
}

impl Authentications {
    /// Looks at these again soon.
    pub(crate) fn mark(&self, keys: impl IntoIterator<Item = AuthenticationKey>) {
        let mut dirty = lock(&self.dirty);
        let before = dirty.len();
        dirty.extend(keys);
        if dirty.len() > before {
            self.wake.notify_one();
        }
    }

    /// Takes note of an authentication; says whether what it resolves to may be different now.
    pub(crate) fn applied(
        &self,
        controller: &Controller,
        kind: AuthenticationKind,
        object: &Watched,
        listed: bool,
    ) -> bool {
        let key = (kind, ObjectKey::of(object));
        let generation = object.metadata.generation;
        let finalizers = object.metadata.finalizers.clone().unwrap_or_default();
        let deleting = object.metadata.deletion_timestamp.is_some();
        let held = (deleting && finalizers.iter().any(|finalizer| finalizer == keys::FINALIZER)).then(|| {
            let rest = finalizers.into_iter().filter(|finalizer| finalizer != keys::FINALIZER).collect();
            (rest, object.metadata.resource_version.clone())
        });
        let known = Known {
            reference: object.object_ref(&kind.resource()),
            generation,
            scaled_objects: Listed::of(
                object.status.as_ref().and_then(|status| status.scaledobjects.as_ref()),
            ),
            scaled_jobs: Listed::of(object.status.as_ref().and_then(|status| status.scaledjobs.as_ref())),
            held,
        };
        let look = known.held.is_some();
        let mut map = lock(&self.known);
        let Some(before) = map.get_mut(&key) else {
            let reference = known.reference.clone();
            map.insert(key.clone(), known);
            drop(map);
            controller.metrics().resources(kind.metric(), &key.1.namespace, 1);
            // Those of the first list are no news; upstream announces every one of them at each restart.
            if !listed {
                let notice = Notice::normal(kind.reasons().0, format!("New {} configured", kind.name()));
                controller.recorder().publish(reference, notice);
            }
            self.mark([key]);
            return true;
        };
        let changed = before.generation != generation;
        let ours =
            [&mut before.scaled_objects, &mut before.scaled_jobs].map(|it| std::mem::take(&mut it.ours));
        *before = known;
        [before.scaled_objects.ours, before.scaled_jobs.ours] = ours;
        let reference = before.reference.clone();
        drop(map);
        if changed && !deleting {
            // Upstream's reason and words, for both kinds.
            let text = format!("ClusterTriggerAuthentication {} is updated", key.1.name);
            controller
                .recorder()
                .publish(reference, Notice::normal("ClusterTriggerAuthenticationUpdated", text));
        }
        if look {
            self.mark([key]);
        }
        changed
    }

    /// An authentication is gone.
    pub(crate) fn removed(&self, controller: &Controller, key: &AuthenticationKey) {
        let Some(known) = lock(&self.known).remove(key) else { return };
        controller.metrics().resources(key.0.metric(), &key.1.namespace, -1);
        let text = format!("{} was deleted", key.0.name());
        controller.recorder().publish(known.reference, Notice::normal(key.0.reasons().1, text));
    }

    /// Writes what differs, until it is dropped.
    pub(crate) async fn work(&self, controller: &Arc<Controller>) {
        loop {
            self.wake.notified().await;
            tokio::time::sleep(GATHER).await;
            let dirty = std::mem::take(&mut *lock(&self.dirty));
            let index = controller.index();
            let (mut objects, mut jobs) =
                (index.scaled_objects.users(&dirty), index.scaled_jobs.users(&dirty));
            let mut failed = BTreeSet::new();
            for key in dirty {
                let users = [&mut objects, &mut jobs].map(|users| users.remove(&key).unwrap_or_default());
                if let Err(error) = self.write(controller, &key, users).await {
                    tracing::warn!(
                        logger = "controllers.TriggerAuthentication",
                        kind = key.0.name(),
                        object = %key.1,
                        error = words(&error),
                        "the status could not be written, trying again"
                    );
                    failed.insert(key);
                }
            }
            if !failed.is_empty() {
                tokio::time::sleep(AGAIN).await;
                self.mark(failed);
            }
        }
    }

    async fn write(
        &self,
        controller: &Controller,
        key: &AuthenticationKey,
        [objects, jobs]: [BTreeSet<String>; 2],
    ) -> Result<(), kube::Error> {
        let whole = !controller.scope().is_partial(key.0);
        let (held, changes, uid) = {
            let map = lock(&self.known);
            let Some(known) = map.get(key) else { return Ok(()) };
            let changes = (
                known.scaled_objects.difference(&objects, whole),
                known.scaled_jobs.difference(&jobs, whole),
            );
            (known.held.clone(), changes, known.reference.uid.clone())
        };
        if let Some((finalizers, version)) = held {
            let patch = json!({ "metadata": { "finalizers": finalizers, "resourceVersion": version } });
            return self.patch(controller, key, patch, false).await.map(|_| ());
        }
        let members = [("scaledobjects", &changes.0), ("scaledjobs", &changes.1)];
        let status: serde_json::Map<_, _> = members
            .into_iter()
            .filter_map(|(member, text)| Some((member.to_owned(), json!(text.as_ref()?))))
            .collect();
        if !status.is_empty() {
            let patch = json!({ "metadata": { "uid": uid }, "status": status });
            if self.patch(controller, key, patch, true).await?.is_none() {
                return Ok(());
            }
        }
        if let Some(known) = lock(&self.known).get_mut(key) {
            known.scaled_objects.written(changes.0, objects);
            known.scaled_jobs.written(changes.1, jobs);
        }
        Ok(())
    }

    /// `None` when there is nothing left to patch: it is gone, or was replaced.
    async fn patch(
        &self,
        controller: &Controller,
        (kind, key): &AuthenticationKey,
        patch: serde_json::Value,
        status: bool,
    ) -> Result<Option<()>, kube::Error> {
        let api: Api<Watched> = match kind {
            AuthenticationKind::Namespaced => {
                Api::namespaced_with(controller.client(), &key.namespace, &kind.resource())
            }
            AuthenticationKind::Cluster => Api::all_with(controller.client(), &kind.resource()),
        };
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
        let written = if status {
            retry(|| api.patch_status(&key.name, &parameters, &patch)).await
        } else {
            retry(|| api.patch(&key.name, &parameters, &patch)).await
        };
        match written {
            Ok(_) => Ok(Some(())),
            // The watch reports what it is now, if it still is.
            Err(error) if is_not_found(&error) || is_conflict(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The text of the status: names, sorted, with commas. Where this operator sees a part of the cluster only, names
/// that others put there stay.
fn listing(stored: Option<&str>, ours: &BTreeSet<String>, users: &BTreeSet<String>, whole: bool) -> String {
    let others = stored.filter(|_| !whole).unwrap_or_default().split(',');
    let others = others.filter(|name| !name.is_empty() && !ours.contains(*name));
    let names: BTreeSet<&str> = users.iter().map(String::as_str).chain(others).collect();
    names.into_iter().collect::<Vec<_>>().join(",")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_status_lists_who_refers_to_it() {
        let (none, users) = (names(&[]), names(&["web", "api"]));
        assert_eq!(listing(None, &none, &users, true), "api,web");
        assert_eq!(listing(Some("gone,web"), &none, &users, true), "api,web");
        assert_eq!(listing(Some("gone"), &none, &none, true), "");
    }

    #[test]
    fn names_of_other_operators_stay_where_this_one_sees_a_part() {
        let (before, users) = (names(&["web", "old"]), names(&["web", "api"]));
        assert_eq!(listing(Some("old,theirs,web"), &before, &users, false), "api,theirs,web");
    }
}
