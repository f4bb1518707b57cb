//! Which workload an object scales, and whether it can be scaled (core.md §2.5).

use keda_api::GroupVersionKindResource;
use keda_core::{names, refusal};

use super::Failure;
use crate::{
    cluster::{self, Target, is_not_found},
    events::Notice,
    index::{ObjectKey, WorkloadKind},
    object::Object,
};

const NO_TARGET: &str = "Target resource doesn't exist";
const NO_SCALE: &str = "Target resource doesn't expose /scale subresource";

impl Object {
    /// Resolves the target's kind and sees that it can be scaled; keeps both in the status.
    ///
    /// Deployments and StatefulSets that the watches know need no request. Anything else is asked for its `/scale`.
    pub(super) async fn resolve_target(&mut self) -> Result<Target, Failure> {
        let target = self.target().await?;
        let replicas = self.target_replicas(&target).await?;
        let gvk = names::gvk(&target.gvkr);
        let status = &mut self.status.wanted;
        if status.scale_target_kind.as_deref() != Some(gvk.as_str()) {
            status.scale_target_kind = Some(gvk);
        }
        if status.scale_target_gvkr.as_ref() != Some(&target.gvkr) {
            status.scale_target_gvkr = Some(target.gvkr.clone());
        }
        // What a user had before KEDA came: never refreshed, or a restore would restore our own doing.
        status.original_replica_count.get_or_insert(replicas);
        Ok(target)
    }

    /// The target with its kind resolved; its existence is not looked at.
    pub(super) async fn target(&mut self) -> Result<Target, Failure> {
        let reference = &self.object.spec.scale_target_ref;
        if reference.name.is_empty() {
            return Err(Failure::new(
                refusal::TARGET,
                "scaleTargetRef.name is empty, give the name of the workload to scale",
            ));
        }
        let given = |field: &Option<String>, default: &str| {
            field.clone().filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned())
        };
        let api_version = given(&reference.api_version, "apps/v1");
        let kind = given(&reference.kind, "Deployment");
        let name = reference.name.clone();
        let gvkr: GroupVersionKindResource =
            match self.controller.cluster().resolve(&api_version, &kind).await {
                Ok(gvkr) => gvkr,
                Err(error) => {
                    self.announce(Notice::warning("ScaledObjectUpdateFailed", error.to_string()));
                    return Err(Failure::new(refusal::TARGET, error));
                }
            };
        Ok(Target { gvkr, namespace: self.handle.key.namespace.clone(), name })
    }

    async fn target_replicas(&mut self, target: &Target) -> Result<i32, Failure> {
        let controller = std::sync::Arc::clone(&self.controller);
        let workload = WorkloadKind::of(&target.gvkr)
            .map(|kind| (kind, ObjectKey::new(&target.namespace, &target.name)));
        if let Some(replicas) = workload.as_ref().and_then(|key| controller.index().replicas(key)) {
            return Ok(replicas);
        }
        let error = match controller.cluster().scale(target).await {
            Ok(scale) => return Ok(scale.spec.and_then(|spec| spec.replicas).unwrap_or(0)),
            Err(error) => error,
        };
        if !is_not_found(&error) {
            return Err(Failure::api(refusal::TARGET, &error));
        }
        let exists = matches!(controller.cluster().object(target).await, Ok(Some(_)));
        if !exists && let Some(workload) = workload {
            // Its creation wakes this object at once, instead of the next retry.
            controller.index().await_workload(workload, self.handle.key.clone());
        }
        let what = if exists { NO_SCALE } else { NO_TARGET };
        // One sentence for condition and event: what is wrong, with which object, and what the server said.
        let named = format!("{} {}/{}", names::gvk(&target.gvkr), target.namespace, target.name);
        let hint = if exists {
            "scaleTargetRef must name a kind with a /scale subresource, such as Deployment or StatefulSet"
        } else {
            "create it, or correct scaleTargetRef"
        };
        Err(Failure::new(refusal::TARGET, format!("{what}: {named}: {}; {hint}", cluster::words(&error))))
    }
}
