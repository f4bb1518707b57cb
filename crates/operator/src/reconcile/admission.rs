//! The rules of admission, for objects that came in while no webhook was asked: names, and who else is there.
//!
//! Upstream checks these in its webhook only; without it two ScaledObjects pull one workload to and fro. Of two that want the
//! same, the older one goes on, so that nothing that works is broken by what is added.

use keda_cluster::ObjectKey;
use keda_core::{
    admission::{
        neighbours::{self, Claim},
        scaled_object, told,
    },
    refusal,
};

use super::Failure;
use crate::object::Object;

impl Object {
    /// What admission would refuse and no other check of the reconcile looks at.
    pub(super) fn check_admission(&self) -> Result<(), Failure> {
        // Replica counts, triggers, formula and fallback have checks, and texts, of their own.
        let mut violations = Vec::from_iter(scaled_object::names_fit(&self.object));
        let own = Claim::of(&self.object);
        let namespace = &self.handle.key.namespace;
        let index = self.controller.index();
        let elders = index.rivals(namespace, &own).into_iter().filter(|rival| {
            let handle = index.object(&ObjectKey::new(namespace, &rival.by));
            handle.is_some_and(|handle| age(&handle.inbox.borrow().object) < age(&self.object))
        });
        violations.extend(neighbours::other_objects(&own, &elders.collect::<Vec<_>>()));
        let mut foreign = index.foreign_autoscalers(namespace, &own);
        // One of the wanted name becomes ours, as upstream's controller has it.
        foreign.retain(|autoscaler| autoscaler.name != own.autoscaler);
        violations.extend(neighbours::other_autoscalers(&self.object, &own, &foreign));
        if violations.is_empty() { Ok(()) } else { Err(Failure::new(refusal::ADMISSION, told(&violations))) }
    }
}

/// Older objects come first; of one second, by name.
fn age(object: &keda_api::ScaledObject) -> impl Ord + use<> {
    let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (created, object.metadata.name.clone())
}
