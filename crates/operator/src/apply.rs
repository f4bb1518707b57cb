//! Last file of the loop: what a decision does to the cluster. Replicas first, then the status, then events.

use k8s_openapi::api::autoscaling::v1::ScaleSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use keda_api::Condition;
use keda_core::{
    activity,
    decide::{Action, Decision, HpaRange, Situation, Why, decide},
    hpa, names,
};

use crate::{
    cluster::{self, Target, is_conflict},
    events::Notice,
    index::{ObjectKey, WorkloadKind},
    object::Object,
};

/// Scaling is a read and a conditional write; a conflict means that somebody else was quicker, and is read again.
const SCALE_ATTEMPTS: usize = 5;

impl Object {
    /// Carries out a decision and writes what it says. Returns the decision that was carried out: the one on the
    /// replicas that `/scale` showed, if they differ from what the watch knew.
    pub(crate) async fn apply(&mut self, target: &Target, situation: &mut Situation<'_>) -> Decision {
        let mut decision = decide(situation);
        if decision.why == Why::NoReading {
            // Nothing is known, so nothing is said either: the status stays as it was.
            return decision;
        }
        self.settle_autoscaler(target, &decision).await;
        let mut failed = None;
        if decision.action.change().is_some() {
            let scaled = self.scale(target, situation, &mut decision).await;
            failed = scaled.err().map(|error| cluster::words(&error));
        }
        self.announce_scaling(target, &decision, failed.as_deref());
        if failed.is_none() {
            if let Some(last_active) = decision.last_active {
                self.last_active = Some(last_active);
            }
        } else {
            // Not done, so not to be remembered as done; the next poll tries again.
            decision.last_active = None;
        }
        self.write_conditions(&decision);
        self.write_activity(&decision, situation);
        self.flush_status().await;
        decision
    }

    /// Holds the HPA at an idle count, or frees it, before the replicas move (docs/adr/0006-idle-at-rest.md).
    async fn settle_autoscaler(&mut self, target: &Target, decision: &Decision) {
        let Some(prepared) = &self.ready else { return };
        let wanted = match decision.hpa {
            _ if prepared.bounds.idle.is_none() => return,
            HpaRange::Keep => return,
            HpaRange::Follow => None,
            HpaRange::Hold(replicas) => Some(replicas),
        };
        let (bounds, triggers) = (prepared.bounds, std::sync::Arc::clone(&prepared.triggers));
        let name = self.status.wanted.hpa_name.clone().unwrap_or_default();
        let live = self.controller.index().autoscaler(&ObjectKey::new(&target.namespace, &name));
        if live.is_none_or(|live| hpa::held(&live, &bounds) == wanted) {
            return;
        }
        if let Err(failure) = self.ensure_autoscaler(target, &triggers, decision.hpa).await {
            tracing::error!(logger = "scaleexecutor", object = %self.handle.key, error = %failure, "failed to settle the HPA");
        }
    }

    /// Decides again on what `/scale` shows, which may differ from what the watch knew, and carries that out.
    /// `decision` is then the one that was tried last.
    async fn scale(
        &self,
        target: &Target,
        situation: &mut Situation<'_>,
        decision: &mut Decision,
    ) -> Result<(), kube::Error> {
        self.rescale(target, |current| {
            situation.current = Ok(current);
            *decision = decide(situation);
            decision.action.change().map(|(_, replicas)| replicas)
        })
        .await
    }

    /// Sets the replicas whatever they are now: for a pause and a restore.
    pub(crate) async fn set_replicas(&self, target: &Target, replicas: i32) -> Result<(), kube::Error> {
        self.rescale(target, |current| (current != replicas).then_some(replicas)).await
    }

    /// Reads `/scale`, asks what the replicas should be, writes them. The write carries the version that was read; on a
    /// conflict everything is asked anew.
    async fn rescale(
        &self,
        target: &Target,
        mut wanted: impl FnMut(i32) -> Option<i32>,
    ) -> Result<(), kube::Error> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut scale = self.controller.cluster().scale(target).await?;
            // Zero is left out of a Scale.
            let current = scale.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
            let Some(replicas) = wanted(current) else { return Ok(()) };
            scale.spec = Some(ScaleSpec { replicas: Some(replicas) });
            match self.controller.cluster().replace_scale(target, &scale).await {
                Ok(_) => {
                    self.note_replicas(target, replicas);
                    return Ok(());
                }
                Err(error) if is_conflict(&error) && attempt < SCALE_ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Our own write is known at once, not only when the watch echoes it.
    fn note_replicas(&self, target: &Target, replicas: i32) {
        if let Some(kind) = WorkloadKind::of(&target.gvkr) {
            let key = ObjectKey::new(&target.namespace, &target.name);
            self.controller.workload_applied((kind, key), replicas);
        }
    }

    fn announce_scaling(&mut self, target: &Target, decision: &Decision, failed: Option<&str>) {
        let what = format!("{} {}/{}", names::gvk(&target.gvkr), target.namespace, target.name);
        let notice = match (&decision.action, failed) {
            (Action::Activate { from, to }, None) => {
                let why = if decision.forced {
                    "caused by forced activation annotation".to_owned()
                } else {
                    format!("triggered by {}", decision.triggered_by.join(";"))
                };
                Notice::normal(
                    "KEDAScaleTargetActivated",
                    format!("Scaled {what} from {from} to {to}, {why}"),
                )
            }
            (Action::Activate { from, to }, Some(error)) => Notice::warning(
                "KEDAScaleTargetActivationFailed",
                format!("Failed to scale {what} from {from} to {to}: {error}"),
            ),
            (Action::Deactivate { from, to }, None) => Notice::normal(
                "KEDAScaleTargetDeactivated",
                format!("Deactivated {what} from {from} to {to}"),
            ),
            (Action::Deactivate { from, to }, Some(error)) => Notice::warning(
                "KEDAScaleTargetDeactivationFailed",
                format!("Failed to deactivate {what} from {from} to {to}: {error}"),
            ),
            (Action::ToMinimum { from, to }, Some(error)) => Notice::warning(
                "KEDAScaleTargetActivationFailed",
                format!("Failed to scale {what} from {from} to {to}: {error}"),
            ),
            _ => return,
        };
        // Each activation is news although the last one said the same: a deactivation lies between them.
        if failed.is_none() {
            for reason in ["KEDAScaleTargetActivated", "KEDAScaleTargetDeactivated"] {
                self.said.forget(reason);
            }
        }
        self.announce(notice);
    }

    fn write_conditions(&mut self, decision: &Decision) {
        if let Some(ready) = decision.ready.clone() {
            self.set_ready(ready);
        }
        let was = self.status.condition(Condition::ACTIVE);
        if let Some(active) = decision.active.clone() {
            let is = active.status;
            self.status.set(active);
            // The time of the last activity is kept in memory and written when it matters to somebody who reads the
            // status, and to a later process: on transitions. Upstream writes it on every poll of an active object
            // (issues 7998, 8090).
            if is != was
                && let Some(last_active) = self.last_active
            {
                self.status.wanted.last_active_time = Some(Time(last_active));
            }
        }
        if let Some(paused) = decision.paused.clone() {
            self.status.set(paused);
        }
        // What the HPA says of itself; nothing is said before it is known, and it never influences Ready.
        let name = self.status.wanted.hpa_name.clone().unwrap_or_default();
        let key = ObjectKey::new(&self.handle.key.namespace, &name);
        if let Some(health) = self.controller.index().health(&key) {
            self.status.set(health);
        }
    }

    fn write_activity(&mut self, decision: &Decision, situation: &Situation<'_>) {
        if matches!(decision.why, Why::ReplicasUnreadable | Why::Paused) {
            return;
        }
        let names = self.status.wanted.external_metric_names.clone().unwrap_or_default();
        self.status.wanted.triggers_activity = Some(activity::by_metric(&names, &situation.activity));
    }
}
