//! The login host's refusals, each with a code, a text and what to do.

use std::time::Duration;

use keda_scaler::{Code, Kind};

use super::exchange::Presented;
use crate::claims::Claims;
use crate::problem::{Class, Problem};

/// The login host's refusal by its AADSTS numbers, else by its status.
pub(super) fn of_refusal(
    status: u16,
    numbers: &[u64],
    words: &str,
    wait: Option<Duration>,
    presented: &Presented<'_>,
) -> Problem {
    let has = |known: &[u64]| numbers.iter().any(|number| known.contains(number));
    let missing = |number: &u64| {
        let text = number.to_string();
        text.starts_with("70021") || (text.len() == 5 && text.starts_with("7002"))
    };
    let Presented { client, tenant, host, claims } = presented;
    let whom = format!("client {client} in tenant {tenant} at {host}");
    let temporary = Class::Temporary { wait };
    if status == 429 || has(&[90055, 50196]) {
        let text = format!("{words}: the login host asks to wait, for {whom}");
        return Problem::new(Kind::Unreachable, Code::AzureThrottled, temporary, text, "");
    }
    if status >= 500 || has(&[90033, 90006, 90012]) {
        let text = format!("{words}: the login host has trouble, for {whom}");
        return Problem::new(Kind::Unreachable, Code::AzureLoginFailing, temporary, text, "");
    }
    if numbers.iter().any(missing) {
        return federation(words, numbers, presented);
    }
    let presented_text = shown(claims);
    let (code, class, text, advice) = if has(&[700_016, 7_000_229]) {
        let advice = format!(
            "check identityId, or AZURE_CLIENT_ID, with: az identity list --query \"[?clientId=='{client}']\""
        );
        (Code::AzureWrongClient, Class::Wrong, format!("asked {whom}"), advice)
    } else if has(&[90_002, 900_023, 50_034, 50_059, 90_013]) {
        let advice = "check identityTenantId, or AZURE_TENANT_ID, with: az account show --query tenantId; and whether this \
                      login host serves the tenant's cloud"
            .to_owned();
        (Code::AzureWrongTenant, Class::Wrong, format!("asked {whom}"), advice)
    } else if has(&[500_011, 70_011, 1_002_012, 650_057]) {
        let advice = "check cloud and azureManagedPrometheusResourceURL in the trigger's metadata".to_owned();
        (Code::AzureWrongScope, Class::Wrong, format!("asked {whom}"), advice)
    } else if has(&[700_024]) {
        let valid = claims.expires.map_or_else(String::new, |expires| format!(", valid until {expires}"));
        let advice = "check the clocks of the nodes and of the API server".to_owned();
        (Code::AzureClockSkew, Class::Local, format!("presented {presented_text}{valid} to {whom}"), advice)
    } else if has(&[501_661, 50_166]) {
        let advice = format!(
            "{}/.well-known/openid-configuration has to be reachable from the internet",
            claims.issuer
        );
        (Code::AzureAssertionRefused, temporary, format!("presented {presented_text} to {whom}"), advice)
    } else if has(&[700_027, 50_027, 50_013, 5_002_738]) {
        let advice = format!(
            "the keys that {}/.well-known/openid-configuration leads to have to be this cluster's",
            claims.issuer.trim_end_matches('/')
        );
        (
            Code::AzureAssertionRefused,
            Class::Propagation,
            format!("presented {presented_text} to {whom}"),
            advice,
        )
    } else if status == 404 && numbers.is_empty() {
        let advice = "check identityAuthorityHost, or AZURE_AUTHORITY_HOST".to_owned();
        (Code::AzureAuthority, Class::Wrong, format!("{host} is no login host: status 404"), advice)
    } else {
        (Code::AzureLoginRefused, Class::Wrong, format!("asked {whom}"), String::new())
    };
    Problem::new(Kind::Auth, code, class, format!("{words}: {text}"), advice)
}

/// What was presented and cannot match, and the line that mends it.
fn federation(words: &str, numbers: &[u64], presented: &Presented<'_>) -> Problem {
    let Presented { client, tenant, host, claims } = presented;
    let which = |number: &u64| match number {
        700_211 => Some("no credential of the identity has this issuer"),
        700_212 => Some("no credential of the identity has this audience"),
        700_213 => Some("no credential of the identity has this subject"),
        70_025 => Some("the identity has no federated identity credential"),
        _ => None,
    };
    let which = numbers.iter().find_map(which).unwrap_or("no credential of the identity has all three");
    let wanted = keda_scaler::identity::azure::exchange_audience(host);
    let audience = if claims.audience == wanted {
        String::new()
    } else {
        format!(", and {host} takes the audience {wanted:?} only")
    };
    let text = format!(
        "{words}: presented {} to client {client} in tenant {tenant} at {host}: {which} (compared byte by byte){audience}",
        shown(claims)
    );
    let name = claims.subject.trim_start_matches("system:serviceaccount:").replace(':', "-");
    // The inner command prints the options of the identity with this client id, unquoted for the shell to split.
    let advice = format!(
        "az identity federated-credential create --name {name} $(az identity list --query \"[?clientId=='{client}'].['-g',\
         resourceGroup,'--identity-name',name][]\" -o tsv) --issuer \"{}\" --subject \"{}\" --audiences \"{wanted}\"",
        claims.issuer, claims.subject
    );
    Problem::new(Kind::Auth, Code::AzureFederationMissing, Class::Propagation, text, advice)
}

/// What a token says of itself.
pub(super) fn shown(claims: &Claims) -> String {
    let Claims { issuer, subject, audience, .. } = claims;
    format!("issuer {issuer:?}, subject {subject:?}, audience {audience:?}")
}
