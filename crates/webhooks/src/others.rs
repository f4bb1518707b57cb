//! The other five kinds: their rules need nothing but the object.

use keda_api::{ScaledJob, TriggerAuthenticationSpec, cloud_event_source::EventSubscription};
use keda_core::admission::{Violation, authentication, cloud_events, scaled_object, told};
use keda_telemetry::metrics;
use serde_json::Value;

use crate::review::{Request, Verdict};

/// A ScaledJob. A fault is counted among those of ScaledObjects, as upstream does.
pub(crate) fn scaled_job(request: &Request, object: &ScaledJob, metrics: &metrics::Webhooks) -> Verdict {
    let violations: Vec<Violation> = scaled_object::triggers(&object.spec.triggers).into_iter().collect();
    if !violations.is_empty() && !loses_nothing(request) {
        let action = if request.operation == "UPDATE" { "update" } else { "create" };
        for violation in &violations {
            metrics.validation_error(&request.namespace, action, violation.reason);
        }
    }
    verdict(request, &violations, Vec::new())
}

/// A TriggerAuthentication or ClusterTriggerAuthentication.
pub(crate) fn trigger_authentication(request: &Request, spec: &TriggerAuthenticationSpec) -> Verdict {
    let warnings = authentication::warnings(spec).into_iter().map(|warning| warning.text).collect();
    verdict(request, &authentication::check(spec), warnings)
}

/// A CloudEventSource or ClusterCloudEventSource.
pub(crate) fn cloud_event_source(request: &Request, subscription: Option<&EventSubscription>) -> Verdict {
    verdict(request, &cloud_events::check(subscription), Vec::new())
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
