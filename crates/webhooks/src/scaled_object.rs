//! A ScaledObject: the rules in a fixed order, first those that need nothing but the object, then those that need lookups.

use http::StatusCode;
use keda_api::{GroupVersionKindResource, ScaledObject, keys};
use keda_cluster::events::{self, Notice, Recorder};
use keda_core::admission::{
    Violation, Warning,
    neighbours::{self, Claim, Workload},
    requests, scaled_object, told,
};
use keda_telemetry::metrics;
use serde_json::Value;

use crate::{
    cache::WorkloadKind,
    lookups::{Failure, Lookups},
    review::{Request, Verdict},
    triggers::{Judge, TriggerMetadata},
};

/// The reason of events, and their action.
const INFO: &str = "KEDAScalerInfo";
/// Our word, among upstream's reasons, for triggers that the operator could not use.
pub(crate) const UNUSABLE: &str = "incorrect-trigger-metadata";
/// Before a violation that an update does not bring in.
const STANDS: &str = "not refused because this update changes neither the spec nor who owns the HPA, but: ";

/// Who checks ScaledObjects.
pub(crate) struct Checker {
    pub(crate) lookups: Lookups,
    pub(crate) triggers: Judge,
    pub(crate) metrics: metrics::Webhooks,
    pub(crate) recorder: Recorder,
}

/// What an object is refused for.
enum Refusal {
    Violations(Vec<Violation>),
    Lookup(Failure),
}

impl Checker {
    /// Judges a CREATE or an UPDATE.
    pub(crate) async fn judge(&self, request: &Request, object: &ScaledObject) -> Verdict {
        let update = request.operation == "UPDATE";
        if update && lets_go(&request.object, &request.old_object) {
            return Verdict::allowed(Vec::new());
        }
        let action = if update { "update" } else { "create" };
        self.metrics.validation(&request.namespace, action);
        let stands = update && is_unchanged(&request.object, &request.old_object);
        let dry_run = request.dry_run.unwrap_or(false);
        let refusal = match self.check(object, &request.namespace, dry_run).await {
            Ok(target) => {
                let warnings = scaled_object::warnings(&object.spec);
                if !dry_run && !stands {
                    self.announce(object, &warnings);
                }
                let mut texts: Vec<String> = warnings.into_iter().map(|warning| warning.text).collect();
                let findings = self.triggers.scaled_object(object, &target);
                if self.triggers.mode != TriggerMetadata::Refuse || findings.faults.is_empty() || stands {
                    texts.extend(findings.warnings());
                    return Verdict::allowed(texts);
                }
                let violation = |text| Violation::new(UNUSABLE, "spec.triggers", text);
                Refusal::Violations(findings.faults.into_iter().map(violation).collect())
            }
            Err(refusal) => refusal,
        };
        match refusal {
            // What is stored already is not made better by keeping its owner from pausing, labelling or letting go of it.
            Refusal::Violations(violations) if stands => {
                Verdict::allowed(vec![format!("{STANDS}{}", told(&violations))])
            }
            Refusal::Lookup(failure) if stands => Verdict::allowed(vec![format!("{STANDS}{failure}")]),
            Refusal::Violations(violations) => {
                for violation in &violations {
                    self.metrics.validation_error(&request.namespace, action, violation.reason);
                }
                Verdict::denied(told(&violations))
            }
            Refusal::Lookup(failure) => {
                if matches!(failure, Failure::Unknown { .. }) {
                    self.metrics.lookup_failed();
                    tracing::error!(
                        logger = "scaledobject-validation-webhook",
                        namespace = request.namespace,
                        name = request.name,
                        error = %failure,
                        "refused what could not be checked"
                    );
                }
                failure.verdict()
            }
        }
    }

    /// The target's type, if nothing is wrong.
    async fn check(
        &self,
        object: &ScaledObject,
        namespace: &str,
        dry_run: bool,
    ) -> Result<GroupVersionKindResource, Refusal> {
        let violations = scaled_object::check(object);
        if !violations.is_empty() {
            return Err(Refusal::Violations(violations));
        }
        let own = Claim::of(object);
        let lookups = &self.lookups;
        let Workload { api_version, kind, .. } = &own.workload;
        let target = lookups.kind(api_version, kind).await.map_err(Refusal::Lookup)?;
        let claims = lookups.claims(namespace, &own).await.map_err(Refusal::Lookup)?;
        let mut violations = neighbours::other_objects(&own, &claims);
        let autoscalers = lookups.autoscalers(namespace, &own).await.map_err(Refusal::Lookup)?;
        violations.extend(neighbours::other_autoscalers(object, &own, &autoscalers));
        if !dry_run {
            violations.extend(self.check_requests(object, namespace, &own).await.map_err(Refusal::Lookup)?);
        }
        if violations.is_empty() { Ok(target) } else { Err(Refusal::Violations(violations)) }
    }

    async fn check_requests(
        &self,
        object: &ScaledObject,
        namespace: &str,
        own: &Claim,
    ) -> Result<Vec<Violation>, Failure> {
        let kind = WorkloadKind::of(&own.workload.kind).filter(|_| requests::matter(object));
        let Some(kind) = kind else { return Ok(Vec::new()) };
        let name = &own.workload.name;
        if let Some((containers, defaults)) = self.lookups.remembered_requests(kind, namespace, name) {
            let violations = requests::check(object, &containers, defaults);
            if violations.is_empty() {
                return Ok(violations);
            }
        }
        // It may have been made or changed a moment ago: `kubectl apply` sends the workload just before.
        let (containers, defaults) = self.lookups.requests(kind, namespace, name).await?;
        Ok(requests::check(object, &containers, defaults))
    }

    /// Upstream says its warnings as events, too.
    fn announce(&self, object: &ScaledObject, warnings: &[Warning]) {
        for warning in warnings {
            self.recorder.publish(events::reference(object), Notice::normal(INFO, &warning.text));
        }
    }
}

/// Nothing can be wrong with an object that is being deleted, or only loses a finalizer.
pub(crate) fn lets_go(object: &Value, old: &Value) -> bool {
    let deleted = object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
    deleted || (finalizers(object) < finalizers(old) && object.get("spec") == old.get("spec"))
}

fn finalizers(object: &Value) -> usize {
    object.pointer("/metadata/finalizers").and_then(Value::as_array).map_or(0, Vec::len)
}

/// Whether an update changes nothing that a rule looks at.
fn is_unchanged(object: &Value, old: &Value) -> bool {
    let annotation = |object: &Value, key| object["metadata"]["annotations"].get(key).cloned();
    let same = |key| annotation(object, key) == annotation(old, key);
    object.get("spec") == old.get("spec") && same(keys::TRANSFER_HPA_OWNERSHIP) && same(keys::HPA_OWNERSHIP)
}

/// The object could not be read at all.
pub(crate) fn undecodable(kind: &str, error: &serde_json::Error) -> Verdict {
    Verdict::refused(StatusCode::BAD_REQUEST, "BadRequest", format!("cannot read the {kind}: {error}"))
}
