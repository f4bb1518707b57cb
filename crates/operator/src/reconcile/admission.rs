//! The rules of admission, for objects that came in while no webhook was asked: names, and who else is there.
//!
//! Upstream checks these in its webhook only; without it two ScaledObjects pull one workload to and fro. Of two that want the
//! same, the older one goes on, so that nothing that works is broken by what is added.

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
        let mut elders = index.rivals(namespace, &own);
        elders.retain(|rival| rival.age() < own.age());
        // The eldest has it; to name all the others would cost each of them a write whenever one of them goes.
        violations.extend(neighbours::other_objects(&own, own.eldest(&elders)));
        let mut foreign = index.foreign_autoscalers(namespace, &own);
        // One of the wanted name becomes ours, as upstream's controller has it.
        foreign.retain(|autoscaler| autoscaler.name != own.autoscaler);
        violations.extend(neighbours::other_autoscalers(&self.object, &own, &foreign));
        if violations.is_empty() { Ok(()) } else { Err(Failure::new(refusal::ADMISSION, told(&violations))) }
    }
}
