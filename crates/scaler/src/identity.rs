//! Who a trigger is towards its cloud, and how it gets the tokens that say so.
//!
//! [`PodIdentity`] is what a TriggerAuthentication asks for (auth.md §2). [`Tokens`] is the one token broker of the
//! process, which lives in `keda-auth`: triggers reach it through their [`Link`](crate::Link) and know nothing of how a
//! token is come by.

pub mod azure;
pub mod google;
pub mod oauth2;

use std::fmt;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::http::{HeaderValue, sensitive};
use crate::{Code, Error, Kind, Secret, aws};

/// The `podIdentity` of a trigger's authentication. Empty texts are absent ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PodIdentity {
    /// The platform.
    pub provider: Provider,
    /// `identityId`: the client id of an Azure identity, instead of the operator's default.
    pub identity_id: Option<String>,
    /// `identityTenantId`: the Azure tenant, instead of the default.
    pub identity_tenant_id: Option<String>,
    /// `identityAuthorityHost`: the Azure login host, instead of the default.
    pub identity_authority_host: Option<String>,
    /// `identityOwner`: whose identity it is.
    pub identity_owner: Owner,
    /// `roleArn`: the AWS role to assume.
    pub role_arn: Option<String>,
    /// `externalID`: for assuming the AWS role.
    pub external_id: Option<String>,
    /// Whether the role was chosen by the cluster's administrators: it stands in a ClusterTriggerAuthentication.
    pub by_cluster: bool,
    /// The ServiceAccount of the scaled workload's pods, where the owner is the workload.
    pub workload: Option<ServiceAccount>,
}

/// The platform of a pod identity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// No identity, or the provider `none`.
    #[default]
    None,
    /// `azure-workload`: Microsoft Entra workload identity.
    AzureWorkload,
    /// `aws`: a role of AWS, or the operator's own identity there.
    Aws,
    /// `aws-eks`: the role that the workload's ServiceAccount names, assumed by the operator. Deprecated.
    AwsEks,
    /// `gcp`: Google's application default credentials.
    Gcp,
    /// Another provider, by its word; no trigger can use one yet, each says so by its name.
    Other(String),
}

/// Whose identity a trigger uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The operator's (`keda`).
    #[default]
    Keda,
    /// The scaled workload's (`workload`).
    Workload,
}

/// A ServiceAccount by name. Displays as the subject of its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

impl PodIdentity {
    /// The identity that a provider gives by default. Empty and `none` mean no identity.
    pub fn from_provider(provider: &str) -> Self {
        let provider = match provider {
            "" | "none" => Provider::None,
            "azure-workload" => Provider::AzureWorkload,
            "aws" => Provider::Aws,
            "aws-eks" => Provider::AwsEks,
            "gcp" => Provider::Gcp,
            other => Provider::Other(other.to_owned()),
        };
        Self { provider, ..Self::default() }
    }

    /// The provider's word, unless there is none.
    pub fn provider(&self) -> Option<&str> {
        match &self.provider {
            Provider::None => None,
            Provider::AzureWorkload => Some("azure-workload"),
            Provider::Aws => Some("aws"),
            Provider::AwsEks => Some("aws-eks"),
            Provider::Gcp => Some("gcp"),
            Provider::Other(name) => Some(name),
        }
    }

    /// Whether it is an identity of AWS in the way of today (`aws`).
    pub fn is_aws(&self) -> bool {
        self.provider == Provider::Aws
    }

    /// Whether it is an identity of AWS in the deprecated way (`aws-eks`).
    pub fn is_aws_eks(&self) -> bool {
        self.provider == Provider::AwsEks
    }

    /// Whether it is an Azure workload identity.
    pub fn is_azure(&self) -> bool {
        self.provider == Provider::AzureWorkload
    }
}

/// What a trigger wants a token for, by who issues it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenRequest {
    /// Microsoft Entra, for a workload identity.
    Azure(azure::Request),
    /// Google.
    Google(google::Request),
    /// Any OAuth 2.0 server, for client credentials.
    OAuth2(oauth2::Request),
}

impl TokenRequest {
    /// What the token is for, in the issuer's words.
    pub fn scope(&self) -> String {
        match self {
            Self::Azure(request) => request.scope.clone(),
            Self::Google(request) => request.scope.clone(),
            Self::OAuth2(request) => request.scopes.join(" "),
        }
    }

    /// The name of a token that does not come in time.
    pub(crate) fn slow(&self) -> Code {
        match self {
            Self::Azure(_) => Code::AzureLoginSlow,
            Self::Google(_) => Code::GoogleTokenSlow,
            Self::OAuth2(_) => Code::OAuth2TokenSlow,
        }
    }
}

impl From<azure::Request> for TokenRequest {
    fn from(request: azure::Request) -> Self {
        Self::Azure(request)
    }
}

impl From<google::Request> for TokenRequest {
    fn from(request: google::Request) -> Self {
        Self::Google(request)
    }
}

impl From<oauth2::Request> for TokenRequest {
    fn from(request: oauth2::Request) -> Self {
        Self::OAuth2(request)
    }
}

/// An access token. Prints whose it is, never itself.
#[derive(Clone)]
pub struct Token {
    secret: Secret,
    principal: Principal,
    expires: Instant,
}

/// Whom a token speaks for, for errors that say whom to give a role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Principal {
    /// Client id of the identity; at Google its email, or the name of its pool.
    pub client_id: String,
    /// Its tenant, at Microsoft.
    pub tenant_id: String,
    /// Object id of its service principal, where the token says so.
    pub object_id: Option<String>,
}

impl Token {
    /// A token that is valid until `expires`.
    pub fn new(secret: Secret, principal: Principal, expires: Instant) -> Self {
        Self { secret, principal, expires }
    }

    /// The token's own text. The caller must not log it or put it into an error.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Whom it speaks for.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// When it stops being valid.
    pub fn expires(&self) -> Instant {
        self.expires
    }

    /// The value of an `Authorization` header, marked sensitive. `None` if the text cannot be one.
    pub fn authorization(&self) -> Option<HeaderValue> {
        sensitive(&format!("Bearer {}", self.secret.expose()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("principal", &self.principal).finish_non_exhaustive()
    }
}

/// The token broker as triggers see it. One for the process: triggers of one identity share its tokens.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// A valid token, from memory or asked for now. Callers bound how long they wait; what was begun goes on without them.
    ///
    /// # Errors
    /// There is none: what is wrong and how to mend it, with a [code](crate::Code).
    async fn token(&self, request: &TokenRequest) -> Result<Token, Error>;

    /// A newer token in place of one that the source refused with 401. `None` when there is no point in trying: the
    /// token was already renewed for such a refusal a short while ago.
    ///
    /// # Errors
    /// As [`Tokens::token`].
    async fn renew(&self, request: &TokenRequest, refused: &Token) -> Result<Option<Token>, Error>;

    /// The project that credentials of Google belong to.
    ///
    /// # Errors
    /// Nothing says it, or there are no identities of Google here.
    async fn google_project(&self, _: &google::Credential) -> Result<String, Error> {
        Err(Error::new(Kind::Auth, "google application credentials: no identity is available here"))
    }

    /// Where credentials of AWS come from, which are no tokens: they sign.
    fn aws(&self) -> Option<&dyn aws::Provider> {
        None
    }
}

/// A process without identities, for triggers that never use one.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTokens;

#[async_trait]
impl Tokens for NoTokens {
    async fn token(&self, request: &TokenRequest) -> Result<Token, Error> {
        let text = match request {
            TokenRequest::Azure(request) => {
                let provider = request.identity.provider().unwrap_or("none");
                format!("pod identity provider {provider}: no identity is available here")
            }
            TokenRequest::Google(_) => {
                "google application credentials: no identity is available here".to_owned()
            }
            TokenRequest::OAuth2(_) => "oauth: no token can be asked for here".to_owned(),
        };
        Err(Error::new(Kind::Auth, text))
    }

    async fn renew(&self, request: &TokenRequest, _: &Token) -> Result<Option<Token>, Error> {
        self.token(request).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_printed() {
        let principal = Principal { client_id: "client".into(), ..Principal::default() };
        let token = Token::new(Secret::new("s3cret-token"), principal, Instant::now());
        let printed = format!("{token:?} {:?}", token.authorization());
        assert!(printed.contains("client") && !printed.contains("s3cret"), "{printed}");
    }

    #[test]
    fn a_providers_word_survives() {
        for (word, provider) in [
            ("", None),
            ("none", None),
            ("azure-workload", Some("azure-workload")),
            ("aws", Some("aws")),
            ("gcp", Some("gcp")),
        ] {
            assert_eq!(PodIdentity::from_provider(word).provider(), provider);
        }
    }
}
