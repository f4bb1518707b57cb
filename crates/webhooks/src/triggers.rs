//! The triggers themselves: parsed and planned as the operator will do it, which upstream's webhooks never do.
//!
//! Nothing is read for it: what an authentication or an environment may give is taken as given ([`keda_scaler::judge`]).

use std::{str::FromStr, sync::Arc};

use keda_api::{GroupVersionKindResource, ScaleTrigger, ScaledJob, ScaledObject};
use keda_core::{formula, hpa, metric::MetricSpec, refusal};
use keda_scaler::{
    Registry,
    judge::{self, Given, Outcome},
};

/// How many warnings are given; the API server shows 4096 characters in all.
const MOST: usize = 16;

/// What becomes of triggers that the operator could not use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TriggerMetadata {
    /// They are not looked at, as upstream does.
    Ignore,
    /// The object is stored, with a warning.
    #[default]
    Warn,
    /// The object is refused.
    Refuse,
}

impl FromStr for TriggerMetadata {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "ignore" => Ok(Self::Ignore),
            "warn" => Ok(Self::Warn),
            "refuse" => Ok(Self::Refuse),
            other => Err(format!("{other:?} is not one of ignore, warn, refuse")),
        }
    }
}

/// What was found out about an object's triggers.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Why the operator cannot use them.
    pub(crate) faults: Vec<String>,
    /// What their author should know.
    pub(crate) notices: Vec<String>,
}

impl Findings {
    /// As warnings, the faults first.
    pub(crate) fn warnings(self) -> Vec<String> {
        let mut warnings = self.faults;
        warnings.extend(self.notices);
        let more = warnings.len().saturating_sub(MOST);
        if more > 0 {
            warnings.truncate(MOST - 1);
            warnings.push(format!("and {} more", more + 1));
        }
        warnings
    }
}

/// Who looks at triggers.
pub(crate) struct Judge {
    pub(crate) registry: Arc<Registry>,
    pub(crate) mode: TriggerMetadata,
}

impl Judge {
    /// The triggers of a ScaledObject, and the HPA that they make on a target of this type.
    pub(crate) fn scaled_object(&self, object: &ScaledObject, target: &GroupVersionKindResource) -> Findings {
        let metadata = &object.metadata;
        let named = |text: &Option<String>| text.clone().unwrap_or_default();
        let owner = ("ScaledObject", named(&metadata.namespace), named(&metadata.name));
        let (mut findings, metrics) =
            self.triggers(owner, &object.spec.triggers, formula::is_used(&object.spec));
        // A formula that is wrong is refused by its own rule.
        let modifiers = formula::modifiers(&object.spec);
        if let (Some(metrics), Ok(modifiers)) = (metrics.filter(|_| findings.faults.is_empty()), modifiers) {
            let metrics = formula::hpa_specs(&metrics, modifiers.as_ref());
            let mut object = object.clone();
            // There is one when it is stored.
            object.metadata.uid.get_or_insert_with(|| "0".to_owned());
            if let Err(cause) = hpa::desired(&object, target, &metrics, env!("CARGO_PKG_VERSION")) {
                findings.faults.push(refusal::message(refusal::HPA, cause));
            }
        }
        findings
    }

    /// The triggers of a ScaledJob.
    pub(crate) fn scaled_job(&self, object: &ScaledJob) -> Findings {
        let named = |text: &Option<String>| text.clone().unwrap_or_default();
        let owner = ("ScaledJob", named(&object.metadata.namespace), named(&object.metadata.name));
        self.triggers(owner, &object.spec.triggers, false).0
    }

    /// Findings, and the metrics if all of them are known.
    fn triggers(
        &self,
        (kind, namespace, name): (&str, String, String),
        triggers: &[ScaleTrigger],
        as_metric_source: bool,
    ) -> (Findings, Option<Vec<MetricSpec>>) {
        let mut findings = Findings::default();
        if self.mode == TriggerMetadata::Ignore {
            return (findings, None);
        }
        let mut metrics = Some(Vec::new());
        for (index, trigger) in triggers.iter().enumerate() {
            let context = judge::context((kind, &namespace, &name), (index, trigger), as_metric_source);
            let unknown = trigger.authentication_ref.is_some()
                || self.registry.needs_env(&trigger.r#type, &trigger.metadata);
            let given = Given { partial: unknown, ..Given::default() };
            let told = |text: String| refusal::trigger(index, &trigger.r#type, text);
            match judge::judge(&self.registry, trigger, given, &context, unknown) {
                Outcome::Parsed(parsed) => {
                    let notices = parsed.notices().iter();
                    let texts = notices.map(|notice| judge::notice_text(&self.registry, trigger, notice));
                    findings.notices.extend(texts.map(told));
                    if !parsed.is_planned() {
                        // Its source knows, and is not asked here.
                        metrics = None;
                    }
                    if let Some(metrics) = &mut metrics {
                        metrics.extend(parsed.specs().iter().cloned());
                    }
                }
                Outcome::Faults(faults) => {
                    findings.faults.extend(faults.into_iter().map(told));
                    metrics = None;
                }
                Outcome::Unknown => metrics = None,
            }
        }
        (findings, metrics)
    }
}
