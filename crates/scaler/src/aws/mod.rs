//! Amazon's services as triggers and secret stores see them: as whom requests are signed, the signature, and the call.
//!
//! ```text
//! parameters.rs  what manifests say: keys, roles, identityOwner, awsRegion
//! endpoint.rs    hosts by service and region
//! sigv4.rs       the signature (docs/adr/0013)
//! service.rs     one service: signs, sends, renews credentials once where they were refused
//! refusal.rs     what a service's refusal means, with the line that mends it
//! ```
//!
//! Where credentials come from is `keda-auth`'s business: it is asked through [`Tokens`](crate::identity::Tokens).

mod endpoint;
mod parameters;
mod refusal;
mod service;
mod sigv4;

use std::fmt;

use tokio::time::Instant;

pub use self::endpoint::Endpoints;
pub use self::parameters::Aws;
pub use self::refusal::{Asked, Refusal, refusal, tag};
pub use self::service::unavailable;
pub use self::service::{Access, Answered, Defaults, Provider, Service};
#[cfg(feature = "contract")]
pub use self::sigv4::verify;
pub use self::sigv4::{Signing, sha256_hex};

use crate::Secret;

/// The annotation of a ServiceAccount that names its role.
pub const ROLE_ANNOTATION: &str = "eks.amazonaws.com/role-arn";

/// As whom requests are signed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Who it is.
    pub who: Who,
    /// The region whose STS is asked for temporary credentials; without one the process's own.
    pub region: Option<String>,
}

/// The kinds of identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    /// Keys from a Secret or from the workload's environment.
    Keys(Keys),
    /// The operator itself: whatever its pod, its environment or its node gives it.
    Operator,
    /// A role that the operator assumes.
    Role(Role),
}

/// Access keys, as a user wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Keys {
    /// The access key's id. Not a secret, and shown in errors.
    pub id: String,
    /// The secret access key.
    pub secret: Secret,
    /// The session token of temporary keys.
    pub session_token: Option<Secret>,
}

/// A role to assume.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Role {
    /// `arn:aws:iam::111122223333:role/name`.
    pub arn: String,
    /// What the role's trust policy may want to hear (`sts:ExternalId`).
    pub external_id: Option<String>,
    /// Whether the operator's web identity token is presented to the role first, before its own credentials are. Upstream's deprecated
    /// ways (`aws-eks`, the parameter `awsRoleArn` without an identity) never do.
    pub web_identity: bool,
    /// The namespace whose people chose the role; `None` where the cluster's administrators did.
    pub tenant: Option<String>,
}

impl Role {
    /// Whether a text has the form of a role's ARN.
    pub fn is_arn(text: &str) -> bool {
        let mut parts = text.splitn(6, ':');
        let (arn, partition, service) = (parts.next(), parts.next(), parts.next());
        let (region, account, resource) = (parts.next(), parts.next(), parts.next());
        arn == Some("arn")
            && partition.is_some_and(|partition| partition.starts_with("aws"))
            && service == Some("iam")
            && region == Some("")
            && account.is_some_and(|account| {
                account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())
            })
            && resource
                .and_then(|resource| resource.strip_prefix("role/"))
                .is_some_and(|name| !name.is_empty())
    }
}

/// What a request is signed with. Prints whose it is, never itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key's id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: Secret,
    /// The session token, of temporary credentials.
    pub session_token: Option<Secret>,
    /// When they stop being valid; keys do not.
    pub expires: Option<Instant>,
    /// Whom they speak for, for errors: the role's ARN, or where the keys come from.
    pub principal: String,
}

impl Credentials {
    /// Keys as they are.
    pub fn of(keys: &Keys) -> Self {
        Self {
            access_key_id: keys.id.clone(),
            secret_access_key: keys.secret.clone(),
            session_token: keys.session_token.clone(),
            expires: None,
            principal: format!("access key {}", keys.id),
        }
    }

    /// `text` without what it may repeat of these.
    pub fn hide_in(&self, text: &str) -> String {
        let hidden = self.secret_access_key.hide_in(text).unwrap_or_else(|| text.to_owned());
        self.session_token.as_ref().and_then(|token| token.hide_in(&hidden)).unwrap_or(hidden)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("principal", &self.principal).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_of_roles_are_told_from_others() {
        for (text, is) in [
            ("arn:aws:iam::111122223333:role/keda", true),
            ("arn:aws-cn:iam::111122223333:role/path/keda", true),
            ("arn:aws:iam::111122223333:user/keda", false),
            ("arn:aws:iam::11112222333:role/keda", false),
            ("arn:aws:iam::111122223333:role/", false),
            ("keda", false),
            ("", false),
        ] {
            assert_eq!(Role::is_arn(text), is, "{text}");
        }
    }

    #[test]
    fn credentials_are_never_printed() {
        let keys = Keys {
            id: "AKIDEXAMPLE".into(),
            secret: "s3cret-access-key".into(),
            session_token: Some("s3cret-session".into()),
        };
        let credentials = Credentials::of(&keys);
        let printed = format!("{keys:?} {credentials:?} {:?}", Who::Keys(keys.clone()));
        assert!(printed.contains("AKIDEXAMPLE") && !printed.contains("s3cret"), "{printed}");
        assert_eq!(credentials.hide_in("a s3cret-session b s3cret-access-key"), "a <hidden> b <hidden>");
    }
}
