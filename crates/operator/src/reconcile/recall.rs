//! Which metrics a trigger has, where only its source knows: what it said last, or what the HPA was made from.
//!
//! Reconciling never dials. A trigger that stays as it was keeps its plan; after a restart of the operator the HPA is the memory of it, so
//! that a scaler that is away at that moment takes no metric out of the HPA.

use keda_api::Quantity;
use keda_core::names;

use crate::{index::ObjectKey, object::Object, samples::TriggerSet};

impl Object {
    pub(super) fn recall(&self, triggers: &mut TriggerSet) {
        let before = self.ready.as_ref().map(|prepared| &prepared.triggers);
        for slot in triggers.slots.iter_mut().filter(|slot| slot.parsed.is_remote()) {
            let known = before.and_then(|before| {
                before.slots.iter().find(|old| old.parsed.is_planned() && old.parsed.is_same(&slot.parsed))
            });
            if let Some(known) = known {
                *slot = known.clone();
            } else if let Some(parsed) = {
                let specs = self.metrics_of_autoscaler();
                slot.parsed.planned_as(specs.iter().map(|(name, target)| (name.as_str(), *target)))
            } {
                slot.parsed = parsed;
            }
        }
    }

    /// The external metrics of the HPA as it is, with their targets.
    fn metrics_of_autoscaler(&self) -> Vec<(String, f64)> {
        let name = names::hpa_name(&self.object);
        let key = ObjectKey::new(&self.handle.key.namespace, &name);
        let Some(live) = self.controller.index().autoscaler(&key) else { return Vec::new() };
        let metrics = live.spec.as_ref().and_then(|spec| spec.metrics.as_ref());
        let external = metrics.into_iter().flatten().filter_map(|metric| metric.external.as_ref());
        external
            .filter_map(|source| {
                let target = source.target.average_value.as_ref().or(source.target.value.as_ref())?;
                let target = target.0.parse::<Quantity>().ok()?.as_f64();
                Some((source.metric.name.clone(), target))
            })
            .collect()
    }
}
