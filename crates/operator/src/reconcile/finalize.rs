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
    object::Object,
};

/// How often a restore that the API server keeps from succeeding is tried again (half a minute in all) before the object
/// is let go without it: a deletion must not hang on a workload that nobody can write.
const RESTORES: u32 = 5;

impl Object {
    /// Stops polling, restores the replicas where that was asked for, and lets the object go. The HPA follows by its
    /// owner reference.
    pub(crate) async fn finalize(&mut self) -> Result<(), kube::Error> {
        self.ready = None;
        self.controller.use_triggers(&self.handle, None);
        let finalizers = self.object.metadata.finalizers.clone().unwrap_or_default();
        if !finalizers.iter().any(|finalizer| finalizer == keys::FINALIZER) {
            return Ok(());
        }
        self.restore_replicas().await?;
        let rest: Vec<_> = finalizers.into_iter().filter(|finalizer| finalizer != keys::FINALIZER).collect();
        let patch = Patch::Merge(json!({
            "metadata": { "finalizers": rest, "resourceVersion": self.object.metadata.resource_version }
        }));
        let api: Api<keda_api::ScaledObject> =
            Api::namespaced(self.controller.client(), &self.handle.key.namespace);
        let name = self.name();
        match retry(async || api.patch_metadata(&name, &PatchParams::default(), &patch).await).await {
            Ok(_) => {}
            Err(error) if is_not_found(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
        // A warning, as upstream has it.
        self.announce(Notice::warning("ScaledObjectDeleted", "ScaledObject was deleted"));
        Ok(())
    }

    /// A failure is logged and does not keep the object for long: a target may be gone already.
    async fn restore_replicas(&mut self) -> Result<(), kube::Error> {
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
