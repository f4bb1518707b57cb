//! The one owner of an object's status.
//!
//! Upstream's controller and poll loop each patch from a copy of their own, and final states go wrong (core.md §12
//! row 6). Here the object's task alone writes: it edits [`Ledger::wanted`], and [`Ledger::flush`] sends the
//! difference to what the server is known to hold, or nothing. A poll that changes nothing costs no request.

use std::sync::Arc;

use keda_api::{Condition, ConditionStatus, ScaledObject};
use keda_core::status;
use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
};

use serde_json::json;

use crate::{
    cluster::{Cluster, is_conflict, is_not_found, retry},
    index::ObjectKey,
    kind::Scaled,
};

/// A status as the server holds it: its text, which takes a third of the structure's memory and is compared as it is.
pub(crate) struct Stored {
    text: Box<[u8]>,
    /// The version at which it was read or written: older news from the watch is ignored.
    version: Option<u64>,
}

impl Stored {
    /// Takes the status out of an object: everybody else is interested in the rest only.
    pub(crate) fn take<K: Scaled>(object: &mut K) -> Arc<Self> {
        let status = object.take_status().unwrap_or_default();
        Arc::new(Stored { text: status::text(&status), version: version(object) })
    }

    pub(crate) fn status<K: Scaled>(&self) -> K::Status {
        serde_json::from_slice(&self.text).unwrap_or_default()
    }
}

/// What the server holds, and what it should.
pub(crate) struct Ledger<K: Scaled = ScaledObject> {
    stored: Arc<Stored>,
    pub(crate) wanted: K::Status,
}

impl<K: Scaled> Ledger<K> {
    /// Begins with the status that an earlier process left: nothing is lost by a restart.
    pub(crate) fn new(stored: Arc<Stored>) -> Self {
        Ledger { wanted: stored.status::<K>(), stored }
    }

    /// Takes note of what the watch shows, unless our own last write is newer.
    pub(crate) fn observe(&mut self, seen: &Arc<Stored>) {
        if seen.version.is_none() || self.stored.version.is_none() || seen.version > self.stored.version {
            self.stored = Arc::clone(seen);
        }
    }

    /// `lastActiveTime` as stored.
    pub(crate) fn stored_last_active(&self) -> Option<jiff::Timestamp> {
        K::last_active(&self.stored.status::<K>())
    }

    /// Sets a condition; says whether it differs from before.
    pub(crate) fn set(&mut self, condition: Condition) -> bool {
        K::common(&mut self.wanted).conditions.get_or_insert_default().set(condition)
    }

    /// The status of a condition as wanted; `Unknown` where it is not set.
    pub(crate) fn condition(&self, kind: &str) -> ConditionStatus {
        K::conditions(&self.wanted)
            .and_then(|conditions| conditions.get(kind))
            .map_or(ConditionStatus::Unknown, |condition| condition.status)
    }

    /// Sends the difference, if there is one. An object that is gone needs no status.
    ///
    /// The UID goes along as a precondition: a task that is still ending must not write on a new object of its name.
    pub(crate) async fn flush(
        &mut self,
        cluster: &Cluster,
        key: &ObjectKey,
        uid: &str,
    ) -> Result<(), kube::Error> {
        let wanted = status::text(&self.wanted);
        let Some(mut patch) = status::difference(&self.stored.text, &wanted) else {
            return Ok(());
        };
        let api: Api<K> = Api::namespaced(cluster.client(), &key.namespace);
        let name = key.name.as_str();
        patch["metadata"] = json!({ "uid": uid });
        let patch = Patch::Merge(patch);
        let written = retry(async || api.patch_status(name, &PatchParams::default(), &patch).await).await;
        match written {
            Ok(object) => {
                // What was wanted, and not what came back: a definition that lacks a member drops it, again and again.
                self.stored = Arc::new(Stored { text: wanted, version: version(&object) });
                Ok(())
            }
            // Gone, or another of its name is there.
            Err(error) if is_not_found(&error) || is_conflict(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Resource versions of one resource can be compared as numbers (Kubernetes enhancement 5504).
pub(crate) fn version(object: &impl Resource) -> Option<u64> {
    object.meta().resource_version.as_ref().and_then(|version| version.parse().ok())
}
