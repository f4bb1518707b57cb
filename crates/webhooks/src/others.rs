//! The other five kinds: their rules need nothing but the object.

use keda_api::{ScaledJob, TriggerAuthenticationSpec, cloud_event_source::CloudEventSourceSpec};
use keda_core::admission::{
    Violation, authentication, cloud_events, scaled_job as rules, scaled_object, told,
};
use serde_json::Value;

use crate::{
    review::{Request, Verdict},
    scaled_object::{Checker, UNUSABLE},
    triggers::TriggerMetadata,
};

/// A ScaledJob. A fault is counted among those of ScaledObjects, as upstream does.
pub(crate) fn scaled_job(request: &Request, object: &ScaledJob, checker: &Checker) -> Verdict {
    let mut violations: Vec<Violation> = scaled_object::triggers(&object.spec.triggers).into_iter().collect();
    violations.extend(rules::job(object));
    violations.extend(rules::triggers(&object.spec));
    let mut warnings: Vec<String> =
        rules::warnings(&object.spec).into_iter().map(|warning| warning.text).collect();
    if violations.is_empty() {
        let mut findings = checker.triggers.scaled_job(object);
        if checker.triggers.mode == TriggerMetadata::Refuse {
            let faults = std::mem::take(&mut findings.faults).into_iter();
            violations.extend(faults.map(|text| Violation::new(UNUSABLE, "spec.triggers", text)));
        }
        warnings.extend(findings.warnings());
    }
    if !loses_nothing(request) {
        let action = if request.operation == "UPDATE" { "update" } else { "create" };
        for violation in violations.iter().filter(|violation| !violation.reason.is_empty()) {
            checker.metrics.validation_error(&request.namespace, action, violation.reason);
        }
    }
    verdict(request, &violations, warnings)
}

/// A TriggerAuthentication or ClusterTriggerAuthentication.
pub(crate) fn trigger_authentication(request: &Request, spec: &TriggerAuthenticationSpec) -> Verdict {
    let warnings = authentication::warnings(spec).into_iter().map(|warning| warning.text).collect();
    verdict(request, &authentication::check(spec), warnings)
}

/// A CloudEventSource or ClusterCloudEventSource.
pub(crate) fn cloud_event_source(request: &Request, spec: &CloudEventSourceSpec, clustered: bool) -> Verdict {
    let warnings = cloud_events::warnings(spec, clustered).into_iter().map(|warning| warning.text).collect();
    verdict(request, &cloud_events::check(spec.event_subscription.as_ref()), warnings)
}

fn verdict(request: &Request, violations: &[Violation], warnings: Vec<String>) -> Verdict {
    match told(violations) {
        none if none.is_empty() => Verdict::allowed(warnings),
        text if loses_nothing(request) => Verdict::allowed(vec![format!(
            "not refused because this update leaves the spec as it is, but: {text}"
        )]),
        text => Verdict::denied(text),
    }
}

/// Whether an update leaves the spec as it is: then nothing new can be wrong.
fn loses_nothing(request: &Request) -> bool {
    let deleted = request.object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
    let spec = |object: &Value| object.get("spec").cloned();
    request.operation == "UPDATE" && (deleted || spec(&request.object) == spec(&request.old_object))
}
