//! Fourth file of the loop: from answers to a decision, by `keda_core::decide`.
//!
//! The function is pure and stands in `core`; here its inputs are gathered and its output is handed on.

use jiff::Timestamp;
use keda_core::{
    activity::Activity,
    decide::{self, Decision, Situation},
    invariants,
    pause::Annotations,
};

use crate::{
    cluster::{Target, words},
    controller::Decided,
    index::{ObjectKey, WorkloadKind},
    object::Object,
};

impl Object {
    /// Decides on the replicas that the watch shows; acts on the replicas that `/scale` shows at that moment.
    pub(crate) async fn decide_and_apply(&mut self, activity: Activity) {
        let Some(prepared) = &self.ready else { return };
        let target = prepared.target.clone();
        let triggers = std::sync::Arc::clone(&prepared.triggers);
        let bounds = prepared.bounds;
        let periods = decide::periods(&self.object.spec);
        let object = std::sync::Arc::clone(&self.object);
        let created =
            object.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        // An unparsable annotation is refused by the reconcile, which then leaves nothing to poll.
        let annotations = Annotations::parse(object.metadata.annotations.as_ref()).unwrap_or_default();
        let mut situation = Situation {
            now: self.controller.now(),
            created,
            last_active: self.last_active,
            current: self.current_replicas(&target).await,
            bounds,
            cooldown: periods.cooldown,
            initial_cooldown: periods.initial_cooldown,
            annotations,
            activity,
            fallback: triggers.fallback.as_ref(),
        };
        let decision = self.apply(&target, &mut situation).await;
        self.tell(&situation, &decision);
    }

    /// Replicas from the watch where there is one, else from `/scale`.
    async fn current_replicas(&self, target: &Target) -> Result<i32, String> {
        let key = ObjectKey::new(&target.namespace, &target.name);
        let known =
            WorkloadKind::of(&target.gvkr).and_then(|kind| self.controller.index().replicas(&(kind, key)));
        match known {
            Some(replicas) => Ok(replicas),
            None => match self.controller.cluster().scale(target).await {
                Ok(scale) => Ok(scale.spec.and_then(|spec| spec.replicas).unwrap_or(0)),
                Err(error) => Err(words(&error)),
            },
        }
    }

    /// Tells whoever listens, and the log when the reason differs from the last poll's.
    fn tell(&mut self, situation: &Situation<'_>, decision: &Decision) {
        let why = format!("{:?}", decision.why);
        if self.last_decision.as_ref() != Some(&why) || decision.action.change().is_some() {
            tracing::info!(logger = "scaleexecutor", object = %self.handle.key, why, "{decision}");
            self.last_decision = Some(why);
        } else {
            tracing::debug!(logger = "scaleexecutor", object = %self.handle.key, why, "{decision}");
        }
        let broken = invariants::all(situation, decision).err();
        if let Some(broken) = &broken {
            tracing::error!(logger = "scaleexecutor", object = %self.handle.key, error = %broken, "a decision breaks a promise, this is a defect of keda-rs");
        }
        self.controller.tell(Decided {
            time: decision.at,
            object: self.handle.key.clone(),
            decision: decision.clone(),
            broken,
        });
    }
}
