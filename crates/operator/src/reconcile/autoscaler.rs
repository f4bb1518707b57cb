//! The HPA: created, changed and deleted by difference (core.md §2.6).

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use keda_core::{
    bounds::Bounds, decide::HpaRange, formula::COMPOSITE, hpa, metric::MetricSpec, names, refusal,
};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};

use super::Failure;
use crate::{
    cluster::{Target, is_conflict, is_not_found, retry},
    index::ObjectKey,
    object::Object,
    samples::TriggerSet,
};

impl Object {
    /// Sees that the HPA is as the object and its triggers want it.
    ///
    /// An HPA with some of its metrics would scale in on what it does not see, so nothing is done as long as a source has not said which
    /// metrics it has.
    ///
    /// `range` says whether the HPA is to be held at an idle count while the object rests there.
    pub(crate) async fn ensure_autoscaler(
        &mut self,
        target: &Target,
        triggers: &TriggerSet,
        range: HpaRange,
    ) -> Result<(), Failure> {
        if triggers.modifiers.is_none() && !triggers.is_planned() {
            return Ok(());
        }
        let specs = triggers.hpa_specs();
        let bounds = Bounds::of(&self.object.spec).map_err(|error| Failure::new(refusal::HPA, error))?;
        let mut desired =
            hpa::desired(&self.object, &target.gvkr, &specs, &self.controller.options().version)
                .map_err(|error| Failure::new(refusal::HPA, error))?;
        let name = names::hpa_name(&self.object);
        if let Some(old) = self.status.wanted.hpa_name.clone().filter(|old| !old.is_empty() && *old != name) {
            self.delete_autoscaler_named(&old).await?;
        }
        let key = ObjectKey::new(&self.handle.key.namespace, &name);
        let known = self.controller.index().autoscaler(&key);
        hpa::settle(&mut desired, known.as_deref(), range, &bounds);
        let live = match known {
            Some(live) => Some(live.as_ref().clone()),
            None => self.create_autoscaler(&desired).await?,
        };
        if let Some(live) = live {
            self.update_autoscaler(live, desired).await?;
        }
        self.status.wanted.hpa_name = Some(name);
        // With a formula too the names of the triggers' own metrics are listed, and the formula's stands by itself.
        let (external, resources) = metric_names(&triggers.specs());
        self.status.wanted.composite_scaler_name = triggers.modifiers.is_some().then(|| COMPOSITE.to_owned());
        self.status.wanted.external_metric_names = external;
        self.status.wanted.resource_metric_names = resources;
        Ok(())
    }

    /// Creates the HPA; returns the one that is in the way, if there is one that the watch has not shown.
    async fn create_autoscaler(
        &self,
        desired: &HorizontalPodAutoscaler,
    ) -> Result<Option<HorizontalPodAutoscaler>, Failure> {
        let api = self.autoscalers();
        match retry(async || api.create(&PostParams::default(), desired).await).await {
            Ok(created) => {
                tracing::info!(logger = "controllers.ScaledObject", object = %self.handle.key, "created the HPA");
                self.controller.autoscaler_written(created);
                Ok(None)
            }
            Err(error) if is_conflict(&error) => {
                let name = desired.metadata.name.clone().unwrap_or_default();
                api.get(&name).await.map(Some).map_err(|error| Failure::api(refusal::HPA, &error))
            }
            Err(error) => Err(Failure::api(refusal::HPA, &error)),
        }
    }

    /// Replaces the HPA if it differs. Labels and annotations that others put on it stay; an HPA of the wanted name
    /// that belongs to nobody, or to another, becomes ours, as upstream has it.
    async fn update_autoscaler(
        &self,
        mut live: HorizontalPodAutoscaler,
        desired: HorizontalPodAutoscaler,
    ) -> Result<(), Failure> {
        let differences = hpa::difference(&live, &desired);
        if differences.is_empty() {
            return Ok(());
        }
        tracing::info!(
            logger = "controllers.ScaledObject",
            object = %self.handle.key,
            differences = differences.join(", "),
            "updating the HPA"
        );
        live.spec = desired.spec;
        live.metadata.owner_references = desired.metadata.owner_references;
        live.metadata.labels.get_or_insert_default().extend(desired.metadata.labels.unwrap_or_default());
        live.metadata.annotations = match (live.metadata.annotations, desired.metadata.annotations) {
            (Some(mut others), Some(ours)) => {
                others.extend(ours);
                Some(others)
            }
            // An object without annotations wants none on its HPA either: else they would differ for ever.
            (_, ours) => ours,
        };
        // Unconditional: what a third party changed meanwhile is not ours to keep.
        live.metadata.resource_version = None;
        live.status = None;
        let api = self.autoscalers();
        let name = live.metadata.name.clone().unwrap_or_default();
        match retry(async || api.replace(&name, &PostParams::default(), &live).await).await {
            Ok(written) => {
                self.controller.autoscaler_written(written);
                Ok(())
            }
            Err(error) if is_not_found(&error) => {
                // Deleted under our hands: the watch reports it and this object is reconciled again.
                self.controller.autoscaler_removed(&ObjectKey::new(&self.handle.key.namespace, &name));
                Ok(())
            }
            Err(error) => Err(Failure::api(refusal::HPA, &error)),
        }
    }

    /// Deletes the HPA of a paused object; `status.hpaName` keeps its name.
    pub(super) async fn delete_autoscaler(&mut self) -> Result<(), Failure> {
        let name = self.status.wanted.hpa_name.clone().filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| names::hpa_name(&self.object));
        if self.controller.index().autoscaler(&ObjectKey::new(&self.handle.key.namespace, &name)).is_none() {
            return Ok(());
        }
        self.delete_autoscaler_named(&name).await
    }

    async fn delete_autoscaler_named(&self, name: &str) -> Result<(), Failure> {
        let api = self.autoscalers();
        self.controller.index().remove_autoscaler(&ObjectKey::new(&self.handle.key.namespace, name));
        match retry(async || api.delete(name, &DeleteParams::default()).await).await {
            Ok(_) => Ok(()),
            Err(error) if is_not_found(&error) => Ok(()),
            Err(error) => Err(Failure::api(refusal::HPA, &error)),
        }
    }

    fn autoscalers(&self) -> Api<HorizontalPodAutoscaler> {
        Api::namespaced(self.controller.client(), &self.handle.key.namespace)
    }
}

/// What the status lists: names of external metrics, and resources of whole pods (those of single containers are in
/// neither list). A list without entries is not there.
fn metric_names(specs: &[MetricSpec]) -> (Option<Vec<String>>, Option<Vec<String>>) {
    let of_kind = |kind: &str| {
        let names = specs.iter().filter(|spec| spec.kind() == kind).map(|spec| spec.name().to_owned());
        Some(names.collect::<Vec<_>>()).filter(|names| !names.is_empty())
    };
    (of_kind("External"), of_kind("Resource"))
}
