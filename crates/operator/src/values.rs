//! From what was read to what it counts as: fallback and formula, by `keda_core`.
//!
//! The poll and the metrics service both come here, each with what it has read, and with one count of failures; so an HPA is
//! told what the poll decided on.

use keda_core::{
    fallback::{Aim, Answer, Health, Needs, Workload},
    formula::Composite,
    metric::MetricSpec,
};
use keda_scaler::Reading;

use crate::{
    cluster::words,
    controller::Controller,
    index::{ObjectKey, WorkloadKind},
    samples::{TriggerSet, TriggerSlot},
};

/// One metric as it was read.
pub(crate) struct Read<'a> {
    pub(crate) slot: &'a TriggerSlot,
    pub(crate) spec: &'a MetricSpec,
    pub(crate) result: Result<Reading, String>,
}

/// What metrics count as, in the order in which they were read.
pub(crate) struct Judged {
    pub(crate) answers: Vec<Answer>,
    workload: Workload,
}

impl TriggerSet {
    /// What a metric is held against: with a formula, its target.
    fn aim(&self, spec: &MetricSpec) -> Aim {
        match &self.modifiers {
            Some(modifiers) => *modifiers.aim(),
            None => Aim { target: *spec.target(), target_type: spec.target_type() },
        }
    }

    /// What has to be known of the workload for these.
    fn needs(&self, read: &[Read<'_>], health: &Health) -> Needs {
        let mut needs = Needs::default();
        let mut add = |more: Needs| {
            needs.replicas |= more.replicas;
            needs.ready |= more.ready;
        };
        if let Some(plan) = &self.fallback {
            for metric in read.iter().filter(|metric| metric.result.is_err()) {
                add(plan.needs(health.failures(metric.spec.name()), &self.aim(metric.spec)));
            }
        }
        if let Some(modifiers) = &self.modifiers {
            add(modifiers.needs(self.fallback.as_ref()));
        }
        needs
    }

    /// What each metric counts as.
    pub(crate) async fn judge(&self, controller: &Controller, read: &[Read<'_>], health: &Health) -> Judged {
        let workload = controller.workload(self, self.needs(read, health)).await;
        let answer = |metric: &Read<'_>| match (&metric.result, &self.fallback) {
            (Ok(reading), _) => Answer::Read { value: reading.value, active: reading.active },
            (Err(error), None) => Answer::Failed(error.clone()),
            (Err(error), Some(plan)) => {
                plan.answer(health.failures(metric.spec.name()), error, &self.aim(metric.spec), &workload)
            }
        };
        Judged { answers: read.iter().map(answer).collect(), workload }
    }

    /// The formula's metric out of those of the triggers; `None` where there is no formula.
    ///
    /// # Errors
    /// Inside: what went wrong, for condition, event and log.
    pub(crate) fn compose(&self, read: &[Read<'_>], judged: &Judged) -> Option<Result<Composite, String>> {
        let modifiers = self.modifiers.as_ref()?;
        let named = read.iter().map(|metric| metric.slot.parsed.context().trigger_name.as_deref());
        Some(modifiers.compose(named.zip(&judged.answers), self.fallback.as_ref(), &judged.workload))
    }
}

impl Controller {
    /// Asks the cluster for what a fallback needs to know, and for nothing else.
    async fn workload(&self, triggers: &TriggerSet, needs: Needs) -> Workload {
        let mut workload = Workload::default();
        let target = &triggers.target;
        let known = WorkloadKind::of(&target.gvkr)
            .and_then(|kind| self.index().replicas(&(kind, ObjectKey::new(&target.namespace, &target.name))));
        if let (true, Some(replicas)) = (needs.replicas, known) {
            workload.replicas = Ok(replicas);
        }
        if !(needs.ready || needs.replicas && known.is_none()) {
            return workload;
        }
        let scale = self.cluster().scale(target).await.map_err(|error| words(&error));
        if needs.replicas && known.is_none() {
            let replicas = |spec: k8s_openapi::api::autoscaling::v1::ScaleSpec| spec.replicas;
            workload.replicas = scale
                .as_ref()
                .map(|scale| scale.spec.clone().and_then(replicas).unwrap_or(0))
                .map_err(Clone::clone);
        }
        if needs.ready {
            let selector = scale.and_then(|scale| {
                let selector = scale.status.and_then(|status| status.selector);
                selector
                    .filter(|text| !text.is_empty())
                    .ok_or_else(|| "its /scale names no selector".to_owned())
            });
            workload.ready = match selector {
                Ok(selector) => self.ready_pods(&target.namespace, &selector).await,
                Err(error) => Err(error),
            };
        }
        workload
    }

    /// Pods that an HPA counts as ready (`pkg/controller/podautoscaler/replica_calculator.go`).
    async fn ready_pods(&self, namespace: &str, selector: &str) -> Result<i32, String> {
        let pods =
            self.environment().kube.pods(namespace, selector).await.map_err(|error| error.to_string())?;
        let ready = pods.iter().filter(|pod| pod.phase == "Running" && pod.ready).count();
        Ok(i32::try_from(ready).unwrap_or(i32::MAX))
    }
}
