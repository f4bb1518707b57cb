//! Identities of AWS: one broker of temporary credentials for the process (auth.md §4, docs/adr/0013).
//!
//! The operator's own identity is found where its pod has it: keys in the environment, a web identity token (IRSA), a container
//! credentials endpoint (EKS Pod Identity), the node's metadata service. Roles are assumed with the web identity token or with the operator's
//! own credentials. Both kinds are kept by the [broker](crate::broker) that all clouds share: a role costs about one call to STS an hour,
//! whatever number of triggers uses it.
//!
//! ```text
//! broker.rs   what tells credentials apart; the policy on external ids; a role from what the operator has
//! own.rs      the operator's own identity, in the order of Amazon's libraries
//! sts.rs      the two calls, and their answers
//! problem.rs  what their refusals mean, each with a code and the line that mends it
//! ```

mod broker;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod own;
mod problem;
mod sts;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use keda_scaler::Secret;
use keda_scaler::aws::{Defaults, Keys};
use keda_scaler::variables::given;

pub use broker::{Broker, Counters};

/// Upstream's name for its sessions, which people look for in CloudTrail.
const SESSION: &str = "KEDA";

/// What stands for the namespace in `--aws-external-id`.
pub const NAMESPACE: &str = "{namespace}";

/// Checks `--aws-external-id`.
///
/// # Errors
/// It does not tell namespaces apart, or holds what STS does not take, in words.
pub fn external_id(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
    if !text.contains(NAMESPACE) {
        return Err(format!("it must hold {NAMESPACE}, or all namespaces would have the same external id"));
    }
    let rest = text.replace(NAMESPACE, "");
    match rest.bytes().all(allowed) {
        true => Ok(text.to_owned()),
        false => Err(format!("besides {NAMESPACE}, letters, digits and _+=,.@:/- are allowed")),
    }
}

/// What the process knows about its own AWS identity. Every part may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
    pub keys: Option<Keys>,
    /// `AWS_ROLE_ARN`: the operator's own role.
    pub role_arn: Option<String>,
    /// `AWS_WEB_IDENTITY_TOKEN_FILE`: the token that the kubelet keeps fresh. Read again for every call.
    pub token_file: Option<PathBuf>,
    /// `AWS_ROLE_SESSION_NAME`: how the operator's own sessions are called.
    pub session_name: Option<String>,
    /// A container credentials endpoint.
    pub container: Option<Container>,
    /// Address of the node's metadata service; `None` where `AWS_EC2_METADATA_DISABLED` is set.
    pub metadata: Option<String>,
    /// Region and addresses.
    pub defaults: Defaults,
    /// `--aws-external-id`: the external id of roles that a namespace names, with `{namespace}` in it.
    pub external_id: Option<String>,
    /// Deadline of one call (`KEDA_HTTP_DEFAULT_TIMEOUT`); without one the transport's own.
    pub timeout: Option<Duration>,
}

/// A container credentials endpoint, such as the agent of EKS Pod Identity.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Container {
    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`, or `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` at 169.254.170.2.
    pub uri: String,
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`: read again for every call.
    pub token_file: Option<PathBuf>,
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN`, without a file.
    pub token: Option<Secret>,
}

impl Settings {
    /// From the environment's texts, as `variable` gives them by name; empty ones count as not given.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let given = given(variable);
        let keys = given("AWS_ACCESS_KEY_ID").zip(given("AWS_SECRET_ACCESS_KEY"));
        let relative =
            given("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("http://169.254.170.2{path}"));
        let container = relative.or_else(|| given("AWS_CONTAINER_CREDENTIALS_FULL_URI"));
        let disabled =
            given("AWS_EC2_METADATA_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let six = given("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")
            .is_some_and(|text| text.eq_ignore_ascii_case("ipv6"));
        let usual = if six { "http://[fd00:ec2::254]" } else { "http://169.254.169.254" };
        let metadata = given("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| usual.to_owned());
        Self {
            keys: keys.map(|(id, secret)| Keys {
                id,
                secret: Secret::new(secret),
                session_token: given("AWS_SESSION_TOKEN").map(Secret::new),
            }),
            role_arn: given("AWS_ROLE_ARN"),
            token_file: given("AWS_WEB_IDENTITY_TOKEN_FILE").map(PathBuf::from),
            session_name: given("AWS_ROLE_SESSION_NAME"),
            container: container.map(|uri| Container {
                uri,
                token_file: given("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(PathBuf::from),
                token: given("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Secret::new),
            }),
            metadata: (!disabled).then(|| metadata.trim_end_matches('/').to_owned()),
            defaults: Defaults::read(given),
            external_id: None,
            timeout: None,
        }
    }
}
