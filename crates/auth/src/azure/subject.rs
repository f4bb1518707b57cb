//! The federated token: where it comes from, and what it says about itself.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use keda_scaler::identity::ServiceAccount;
use keda_scaler::kube::Reader;
use keda_scaler::{Code, Kind, Secret};
use serde::Deserialize;

use crate::problem::{Class, Problem};

/// A file larger than this holds no token.
const LARGEST: u64 = 64 * 1024;

/// How long a token lives that is asked for only to be exchanged.
const LIFETIME: Duration = Duration::from_secs(3600);

/// A token of a ServiceAccount, and what it says.
pub(super) struct Assertion {
    pub(super) token: Secret,
    pub(super) claims: Claims,
}

/// What a JSON web token says about itself. Not verified: it is our own, or was handed to us over a verified connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) audience: String,
    pub(crate) expires: Option<Timestamp>,
    /// `oid`: the object id of the principal, in access tokens of Entra.
    pub(crate) object_id: Option<String>,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    iss: String,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    aud: Audience,
    exp: Option<i64>,
    oid: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Claims {
    /// Reads a token's payload; `None` if the text is no JSON web token.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let mut parts = token.trim().split('.');
        let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        let payload: Payload = serde_json::from_slice(&bytes).ok()?;
        Some(Self {
            issuer: payload.iss,
            subject: payload.sub,
            audience: match payload.aud {
                Audience::One(one) => one,
                Audience::Many(many) => many.join(", "),
            },
            expires: payload.exp.and_then(|second| Timestamp::from_second(second).ok()),
            object_id: payload.oid,
        })
    }
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
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| unusable(error.to_string()))?;
    file.take(LARGEST).read_to_string(&mut text).map_err(|error| unusable(error.to_string()))?;
    if text.trim().is_empty() {
        return Err(unusable("it is empty".to_owned()));
    }
    let claims = Claims::of(&text).ok_or_else(|| unusable("it holds no JSON web token".to_owned()))?;
    let assertion = Assertion { token: Secret::new(text.trim()), claims };
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
