//! From the spec's triggers to parsed ones: checks, credentials, environment, parse and plan (core.md §§3.2, 3.3, 7).

use std::collections::BTreeMap;

use keda_api::{ScaleTrigger, ScaledObject};
use keda_core::{fallback, formula, refusal, triggers};
use keda_scaler::{Context, NoticeKind, Parameters, Parsed};

use super::{Failure, authentication::Credentials};
use crate::{
    cluster::Target,
    events::Notice,
    kind::Scaled,
    object::Object,
    samples::{TriggerSet, TriggerSlot},
};

/// Why one trigger cannot be built.
pub(super) struct Fault {
    pub(super) text: String,
    /// The API server could not be asked now.
    pub(super) temporary: bool,
}

impl From<keda_auth::Error> for Fault {
    fn from(error: keda_auth::Error) -> Self {
        Fault { temporary: error.temporary(), text: error.to_string() }
    }
}

impl Object {
    /// The triggers, with the formula and the fallback over them.
    pub(super) async fn build_triggers(&mut self, target: &Target) -> Result<TriggerSet, Failure> {
        let object = std::sync::Arc::clone(&self.object);
        let modifiers =
            formula::modifiers(&object.spec).map_err(|error| Failure::new(refusal::HPA, error))?;
        let slots = self.parse_triggers(target, formula::is_used(&object.spec)).await?;
        let fallback = self.fallback_of(&object);
        Ok(TriggerSet { slots, fallback, modifiers, target: target.clone() })
    }

    /// The fallback, where it can be used. One that cannot be is said, and the object is scaled without it: admission refuses
    /// such objects, and one that got past it worked with upstream as long as its sources did.
    fn fallback_of(&mut self, object: &ScaledObject) -> Option<fallback::Plan> {
        fallback::plan(&object.spec).unwrap_or_else(|error| {
            self.announce(Notice::warning("KEDAScalerInfo", format!("spec.fallback has no effect: {error}")));
            None
        })
    }
}

impl<K: Scaled> Object<K> {
    /// What holds for triggers of any type (core.md §1.8, row triggers; upstream's texts).
    pub(crate) fn check_triggers(&mut self) -> Result<(), Failure> {
        let triggers = self.object.triggers();
        triggers::check(triggers).map_err(|error| Failure::new(K::WORDS.triggers, error))?;
        let status = K::common(&mut self.status.wanted);
        *status.triggers_types = Some(triggers::types(triggers));
        *status.authentications_types = Some(triggers::authentications(triggers));
        Ok(())
    }

    /// Parses and plans every trigger. All faults are reported together, each with the trigger it belongs to.
    pub(crate) async fn parse_triggers(
        &mut self,
        target: &Target,
        as_metric_source: bool,
    ) -> Result<Vec<TriggerSlot>, Failure> {
        let object = std::sync::Arc::clone(&self.object);
        let credentials = Credentials::of(self, target);
        self.forget_renewal();
        let mut slots = Vec::with_capacity(object.triggers().len());
        let mut faults = Vec::new();
        let mut temporary = false;
        for (index, trigger) in object.triggers().iter().enumerate() {
            match self.build_trigger(index, trigger, &credentials, as_metric_source).await {
                Ok(parsed) => {
                    slots.push(TriggerSlot::new(parsed, trigger.use_cached_metrics.unwrap_or(false)));
                }
                Err(fault) => {
                    tracing::error!(
                        logger = "scale_handler",
                        kind = K::WORDS.name,
                        object = %self.handle.key,
                        trigger = index,
                        r#type = trigger.r#type,
                        error = fault.text,
                        "error building a trigger"
                    );
                    faults.push(refusal::trigger(index, &trigger.r#type, &fault.text));
                    temporary |= fault.temporary;
                }
            }
        }
        // Also when something is missing: its appearance, too, is a change.
        self.controller.credentials().used_by(&(K::WORDS.kind, self.handle.key.clone()), credentials.read());
        if faults.is_empty() {
            return Ok(slots);
        }
        let text = faults.join("\n");
        self.announce(Notice::warning("KEDAScalerFailed", text.clone()));
        Err(Failure { what: K::WORDS.build, error: text, temporary })
    }

    async fn build_trigger(
        &mut self,
        index: usize,
        trigger: &ScaleTrigger,
        credentials: &Credentials,
        as_metric_source: bool,
    ) -> Result<Parsed, Fault> {
        let resolved = credentials.resolve(trigger.authentication_ref.as_ref()).await?;
        if let Some(expires) = resolved.expires {
            self.renew_before(expires);
        }
        let registry = self.controller.registry();
        let env = if registry.needs_env(&trigger.r#type, &trigger.metadata) {
            credentials.container_env().await.map_err(|mut fault| {
                fault.text.insert_str(0, refusal::ENVIRONMENT);
                fault
            })?
        } else {
            BTreeMap::new()
        };
        let context = Context {
            index,
            trigger_name: trigger.name.clone().filter(|name| !name.is_empty()),
            metric_type: trigger.metric_type.clone().filter(|kind| !kind.is_empty()),
            use_cached_metrics: trigger.use_cached_metrics.unwrap_or(false),
            object_kind: K::WORDS.name.to_owned(),
            namespace: self.handle.key.namespace.clone(),
            object_name: self.handle.key.name.clone(),
            http_timeout: self.controller.options().http_timeout,
            as_metric_source,
            pod_identity: resolved.pod_identity,
            destinations: resolved.destinations,
        };
        let parameters = Parameters { metadata: trigger.metadata.clone(), auth: resolved.params, env };
        let parsed = registry
            .parse(&trigger.r#type, &parameters, &context)
            .map_err(|error| Fault { text: error.to_string(), temporary: false })?;
        for text in resolved.warnings {
            self.announce(Notice::warning("KEDAScalerInfo", text));
        }
        for notice in parsed.notices() {
            let asked = self.controller.options().announce_unexpected_parameters;
            if notice.kind == NoticeKind::Unread && !asked {
                continue;
            }
            let text = notice.text.clone();
            self.announce(Notice { warning: notice.warning, reason: "KEDAScalerInfo", note: text });
        }
        Ok(parsed)
    }

    /// Says that the loop starts, once for a new object or a new spec; not after a restart of the operator.
    pub(crate) fn announce_start(&mut self, triggers: &TriggerSet) {
        if self.ready.is_some() || std::mem::take(&mut self.was_running) {
            return;
        }
        self.announce(Notice::normal("KEDAScalersStarted", "Started scalers watch"));
        for slot in &triggers.slots {
            self.announce(Notice::normal(
                "KEDAScalersStarted",
                format!("Scaler {} is built", slot.parsed.trigger_type()),
            ));
        }
    }
}
