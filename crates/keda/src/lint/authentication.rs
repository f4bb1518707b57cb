//! Rules of the kinds that triggers and events refer to, beyond their schemas (core.md 1.8, platform.md 4.5).

use keda_api::{TriggerAuthenticationSpec, trigger_authentication::OAuth2};
use serde_json::Value;

use super::{document::Object, report::Finding};

/// What admission would say about a TriggerAuthentication or a ClusterTriggerAuthentication.
pub(super) fn check(object: &Object, spec: &TriggerAuthenticationSpec) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(source) = keda_auth::unsupported(spec) {
        let line = object.line_of(&format!("spec.{}", source.split(' ').next().unwrap_or_default()));
        let text = format!("{source} is not supported yet: triggers that refer to this object are refused");
        findings.push(Finding::warning(line, text));
    }
    let mut error = |path: &str, text: &str| findings.push(Finding::error(object.line_of(path), text));
    if let Some(identity) = &spec.pod_identity {
        let set = |field: &Option<String>| field.as_deref().is_some_and(|text| !text.is_empty());
        let blank = |field: &Option<String>| field.as_deref() == Some("");
        match identity.provider.as_str() {
            "azure-workload" => {
                if blank(&identity.identity_id) {
                    error(
                        "spec.podIdentity.identityId",
                        "identityId of podIdentity must not be empty if it is given",
                    );
                }
                if set(&identity.identity_authority_host) {
                    if !set(&identity.identity_tenant_id) {
                        let text = "identityTenantId of podIdentity is needed with identityAuthorityHost";
                        error("spec.podIdentity.identityAuthorityHost", text);
                    }
                } else if blank(&identity.identity_tenant_id) {
                    let text = "identityTenantId of podIdentity must not be empty if it is given";
                    error("spec.podIdentity.identityTenantId", text);
                }
            }
            "aws" => {
                let owner = identity.identity_owner.as_ref().map(|owner| owner.as_str());
                if set(&identity.role_arn) && owner == Some("workload") {
                    let text = "roleArn of podIdentity cannot be used with the identityOwner workload";
                    error("spec.podIdentity.roleArn", text);
                }
                if set(&identity.external_id) && !set(&identity.role_arn) {
                    error("spec.podIdentity.externalID", "externalID of podIdentity needs roleArn");
                }
            }
            // Upstream looks no further than here.
            _ => return findings,
        }
    }
    if let Some(oauth2) = &spec.oauth2 {
        for (path, text) in oauth2_faults(oauth2) {
            error(path, text);
        }
    }
    findings
}

fn oauth2_faults(oauth2: &OAuth2) -> Vec<(&'static str, &'static str)> {
    let mut faults = Vec::new();
    if oauth2.client_id.is_empty() {
        faults.push(("spec.oauth2.clientId", "clientId of oauth2 is needed"));
    }
    let host = ["http://", "https://"].iter().find_map(|scheme| oauth2.token_url.strip_prefix(scheme));
    if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
        faults.push(("spec.oauth2.tokenUrl", "tokenUrl of oauth2 must be an http or https URL with a host"));
    }
    faults
}

/// What admission would say about a CloudEventSource or a ClusterCloudEventSource.
pub(super) fn check_event_source(object: &Object) -> Vec<Finding> {
    let subscription = &object.value["spec"]["eventSubscription"];
    let given = |name: &str| subscription.get(name).is_some_and(Value::is_array);
    let mut findings = Vec::new();
    if given("includedEventTypes") && given("excludedEventTypes") {
        findings.push(Finding::error(
            object.line_of("spec.eventSubscription"),
            "includedEventTypes and excludedEventTypes cannot both be given",
        ));
    }
    findings.push(Finding::warning(
        object.line,
        format!("{} is not supported yet by this version of keda-rs: no event is sent", object.kind()),
    ));
    findings
}
