//! The federated token: where it comes from, and what it says about itself.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use keda_scaler::identity::ServiceAccount;
use keda_scaler::kube::Reader;
use keda_scaler::{Code, Kind, Secret};

use crate::claims::{self, Claims};
use crate::problem::{Class, Problem};

/// How long a token lives that is asked for only to be exchanged.
const LIFETIME: Duration = Duration::from_secs(3600);

/// A token of a ServiceAccount, and what it says.
pub(super) struct Assertion {
    pub(super) token: Secret,
    pub(super) claims: Claims,
}

/// The mounted token. A projected volume is memory of the node, so reading it holds nothing up.
pub(super) fn from_file(path: &Path, now: Timestamp) -> Result<Assertion, Problem> {
    let unusable = |why: String| {
        Problem::new(
            Kind::Auth,
            Code::AzureTokenFile,
            Class::Local,
            format!(
                "cannot read the federated token in AZURE_FEDERATED_TOKEN_FILE {}: {why}",
                path.display()
            ),
            "Azure's webhook mounts it when the pod is created with the label azure.workload.identity/use: \"true\"",
        )
    };
    let (token, claims) = claims::from_file(path).map_err(unusable)?;
    let assertion = Assertion { token, claims };
    match assertion.claims.expires {
        Some(expired) if expired <= now => Err(Problem::new(
            Kind::Auth,
            Code::AzureTokenStale,
            Class::Local,
            format!(
                "the federated token expired at {expired}, it is {} now, and {} was not renewed",
                Timestamp::from_second(now.as_second()).unwrap_or(now),
                path.display()
            ),
            "look at the kubelet of this node, and at this node's clock",
        )),
        _ => Ok(assertion),
    }
}

/// A token that the API server makes.
pub(super) async fn from_api_server(
    account: &ServiceAccount,
    audience: &str,
    reader: &dyn Reader,
) -> Result<Assertion, Problem> {
    let ServiceAccount { namespace, name } = account;
    let refused = |why: String, kind, class| {
        Problem::new(
            kind,
            Code::AzureServiceAccountToken,
            class,
            format!("no token of ServiceAccount {namespace}/{name} for audience {audience}: {why}"),
            "the operator needs create on serviceaccounts/token, and get on serviceaccounts, for it",
        )
    };
    let token = reader
        .service_account_token(namespace, name, Some(audience), LIFETIME)
        .await
        .map_err(|error| match error.temporary {
            true => refused(error.message, Kind::Unreachable, Class::Temporary { wait: None }),
            false => refused(error.message, Kind::Auth, Class::Local),
        })?
        .ok_or_else(|| refused("it does not exist".to_owned(), Kind::Auth, Class::Local))?;
    let claims = Claims::of(token.expose())
        .ok_or_else(|| refused("the answer holds no JSON web token".to_owned(), Kind::Auth, Class::Local))?;
    Ok(Assertion { token, claims })
}
