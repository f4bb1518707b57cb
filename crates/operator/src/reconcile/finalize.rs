//! The end of an object (core.md §2.9).

use keda_api::keys;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    cluster::{Target, is_conflict, is_not_found, is_temporary, retry, words},
    events::Notice,
    kind::Scaled,
    object::Object,
};

/// How often a restore that the API server keeps from succeeding is tried again (half a minute in all) before the object
/// is let go without it: a deletion must not hang on a workload that nobody can write.
const RESTORES: u32 = 5;

impl<K: Scaled> Object<K> {
    /// Stops polling, does what the kind does at the end, and lets the object go. What it owns follows by its owner
    /// references.
    pub(crate) async fn finalize(&mut self) -> Result<(), kube::Error> {
        self.ready = None;
        self.controller.use_triggers(&self.handle, None);
        let finalizers = self.object.meta().finalizers.clone().unwrap_or_default();
        if !finalizers.iter().any(|finalizer| finalizer == keys::FINALIZER) {
            return Ok(());
        }
        K::before_end(self).await?;
        let rest: Vec<_> = finalizers.into_iter().filter(|finalizer| finalizer != keys::FINALIZER).collect();
        let patch = Patch::Merge(json!({
            "metadata": { "finalizers": rest, "resourceVersion": self.object.meta().resource_version }
        }));
        let api: Api<K> = Api::namespaced(self.controller.client(), &self.handle.key.namespace);
        let name = self.name();
        match retry(async || api.patch_metadata(&name, &PatchParams::default(), &patch).await).await {
            Ok(_) => {}
            Err(error) if is_not_found(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
        // A warning, as upstream has it.
        let (reason, note) = K::WORDS.deleted;
        self.announce(Notice::warning(reason, note));
        Ok(())
    }
}

impl Object {
    /// A failure is logged and does not keep the object for long: a target may be gone already.
    pub(super) async fn restore_replicas(&mut self) -> Result<(), kube::Error> {
        let asked = self
            .object
            .spec
            .advanced
            .as_ref()
            .and_then(|advanced| advanced.restore_to_original_replica_count)
            .unwrap_or(false);
        let status = &self.status.wanted;
        let (true, Some(gvkr), Some(original)) =
            (asked, status.scale_target_gvkr.clone(), status.original_replica_count)
        else {
            return Ok(());
        };
        let target = Target {
            gvkr,
            namespace: self.handle.key.namespace.clone(),
            name: self.object.spec.scale_target_ref.name.clone(),
        };
        match self.set_replicas(&target, original).await {
            Ok(()) => {}
            Err(error) if is_not_found(&error) => {}
            Err(error) if self.failures < RESTORES && (is_temporary(&error) || is_conflict(&error)) => {
                return Err(error);
            }
            Err(error) => tracing::error!(
                logger = "finalizer",
                object = %self.handle.key,
                error = words(&error),
                "failed to restore the original replica count"
            ),
        }
        Ok(())
    }
}
