//! Rules of the kinds that triggers and events refer to, beyond their schemas (core.md 1.8, platform.md 4.5).

use keda_api::{TriggerAuthenticationSpec, cloud_event_source::CloudEventSourceSpec};
use keda_core::admission::{authentication, cloud_events};
use serde::Deserialize;

use super::{document::Object, report::Finding};

/// What is said of the retired pod identity, which no schema admits.
pub(super) fn retired(object: &Object) -> Option<Finding> {
    let text = || format!("{} [{}]", keda_auth::RETIRED, keda_scaler::Code::AzurePodIdentityRetired);
    let provider = object.value.pointer("/spec/podIdentity/provider")?;
    (provider == "azure").then(|| Finding::error(object.line_of("spec.podIdentity.provider"), text()))
}

/// What admission would say about a TriggerAuthentication or a ClusterTriggerAuthentication.
pub(super) fn check(object: &Object, spec: &TriggerAuthenticationSpec) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(source) = keda_auth::unsupported(spec) {
        let line = object.line_of(&format!("spec.{}", source.split(' ').next().unwrap_or_default()));
        let text = format!("{source} is not supported yet: triggers that refer to this object are refused");
        findings.push(Finding::warning(line, text));
    }
    let violations = authentication::check(spec).into_iter();
    findings.extend(violations.map(|it| Finding::error(object.line_of(&it.path), it.text)));
    let warnings = authentication::warnings(spec).into_iter();
    findings.extend(warnings.map(|it| Finding::warning(object.line_of(&it.path), it.text)));
    findings
}

/// What admission would say about a CloudEventSource or a ClusterCloudEventSource.
pub(super) fn check_event_source(object: &Object) -> Vec<Finding> {
    let spec = object.value.get("spec").and_then(|it| CloudEventSourceSpec::deserialize(it).ok());
    let Some(spec) = spec else { return Vec::new() };
    let violations = cloud_events::check(spec.event_subscription.as_ref()).into_iter();
    let mut findings: Vec<_> =
        violations.map(|violation| Finding::error(object.line_of(&violation.path), violation.text)).collect();
    let warnings = cloud_events::warnings(&spec, object.kind() == "ClusterCloudEventSource").into_iter();
    findings.extend(warnings.map(|it| Finding::warning(object.line_of(&it.path), it.text)));
    findings
}
