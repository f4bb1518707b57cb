//! The rules of a TriggerAuthentication or ClusterTriggerAuthentication.

use keda_api::{
    TriggerAuthenticationSpec,
    trigger_authentication::{OAuth2, PodIdentity},
};

use super::{Violation, Warning};

/// Checks a spec.
pub fn check(spec: &TriggerAuthenticationSpec) -> Vec<Violation> {
    let mut violations = Vec::new();
    if let Some(identity) = &spec.pod_identity {
        violations.extend(pod_identity(identity));
    }
    // Beside the other identities upstream does not look at it: there it is a warning.
    if looks_at_oauth2(spec) {
        violations.extend(spec.oauth2.as_ref().and_then(oauth2));
    }
    violations
}

/// What upstream does not look at.
pub fn warnings(spec: &TriggerAuthenticationSpec) -> Vec<Warning> {
    let unseen = spec.oauth2.as_ref().filter(|_| !looks_at_oauth2(spec)).and_then(oauth2);
    let unseen = unseen.map(|violation| Warning::new(violation.path, violation.text));
    unseen.into_iter().chain(readable_token(spec)).collect()
}

/// A secret that stands in the object itself (upstream issue 6026). Others are referred to.
fn readable_token(spec: &TriggerAuthenticationSpec) -> Option<Warning> {
    let vault = spec.hashi_corp_vault.as_ref()?;
    vault.credential.as_ref()?.token.as_deref().filter(|token| !token.trim().is_empty())?;
    let text = "hashiCorpVault.credential.token can be read by everybody who may read this object: use authentication \
                kubernetes, which needs no secret, or give the operator the token as VAULT_TOKEN";
    Some(Warning::new("spec.hashiCorpVault.credential.token", text))
}

fn looks_at_oauth2(spec: &TriggerAuthenticationSpec) -> bool {
    let identity = spec.pod_identity.as_ref();
    identity.is_none_or(|identity| matches!(identity.provider.as_str(), "azure-workload" | "aws"))
}

fn pod_identity(identity: &PodIdentity) -> Option<Violation> {
    let set = |field: &Option<String>| field.as_deref().is_some_and(|text| !text.is_empty());
    let blank = |field: &Option<String>| field.as_deref() == Some("");
    let violation =
        |field: &str, text: &str| Some(Violation::new("", format!("spec.podIdentity.{field}"), text));
    match identity.provider.as_str() {
        "azure-workload" => {
            if blank(&identity.identity_id) {
                let text = "identityId of PodIdentity should not be empty. If it's set, identityId has to be different than \"\"";
                violation("identityId", text)
            } else if set(&identity.identity_authority_host) && !set(&identity.identity_tenant_id) {
                let text = "identityTenantID of PodIdentity should not be nil or empty when identityAuthorityHost of \
                            PodIdentity is set";
                violation("identityAuthorityHost", text)
            } else if blank(&identity.identity_tenant_id) {
                let text = "identityTenantId of PodIdentity should not be empty. If it's set, identityTenantId has to be \
                            different than \"\"";
                violation("identityTenantId", text)
            } else {
                None
            }
        }
        "aws" => {
            let owner = identity.identity_owner.as_ref().map(|owner| owner.as_str());
            if set(&identity.role_arn) && owner == Some("workload") {
                violation("roleArn", "roleArn of PodIdentity can't be set if KEDA isn't identityOwner")
            } else if set(&identity.external_id) && !set(&identity.role_arn) {
                violation("externalID", "externalID of PodIdentity requires roleArn to be set")
            } else {
                None
            }
        }
        _ => None,
    }
}

fn oauth2(oauth2: &OAuth2) -> Option<Violation> {
    let violation =
        |field: &str, text: String| Some(Violation::new("", format!("spec.oauth2.{field}"), text));
    let grant = oauth2.r#type.as_str();
    if grant != "clientCredentials" {
        return violation("type", format!("oauth2.type must be 'clientCredentials', got '{grant}'"));
    }
    if oauth2.client_id.is_empty() {
        return violation("clientId", "oauth2.clientId is required when oauth2 is configured".to_owned());
    }
    if oauth2.token_url.is_empty() {
        return violation("tokenUrl", "oauth2.tokenUrl is required when oauth2 is configured".to_owned());
    }
    if !is_url(&oauth2.token_url) {
        return violation("tokenUrl", "oauth2.tokenUrl must be a valid http or https URL".to_owned());
    }
    None
}

/// An absolute http or https URL with a host. A scheme's case does not matter.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) && !host.is_empty() && plain
}
