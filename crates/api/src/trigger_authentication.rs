//! TriggerAuthentication and ClusterTriggerAuthentication: where a trigger's secrets and identity come from.
//!
//! Both kinds have one spec. Users write it; the operator reads it and keeps the list of users in the status. It holds
//! references only, never a secret, except a Vault token given in place (`hashiCorpVault.credential.token`), which
//! `Debug` does not show.

mod cloud_secrets;
mod vault;

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use cloud_secrets::{
    AwsCredentials, AwsSecret, AwsSecretManager, AzureCloud, AzureCredentials, AzureKeyVault, AzureSecret,
    GcpCredentials, GcpSecret, GcpSecretManager,
};
pub use vault::{
    HashiCorpVault, VaultAuthentication, VaultCredential, VaultPkiData, VaultSecret, VaultSecretType,
};

/// Where parameters come from. Every source that is set adds its parameters.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "keda.sh",
    version = "v1alpha1",
    kind = "TriggerAuthentication",
    namespaced,
    shortname = "ta",
    shortname = "triggerauth",
    status = "TriggerAuthenticationStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Says how triggers of its namespace authenticate.",
    printcolumn(name = "PodIdentity", type_ = "string", json_path = ".spec.podIdentity.provider"),
    printcolumn(name = "Secret", type_ = "string", json_path = ".spec.secretTargetRef[*].name"),
    printcolumn(name = "Env", type_ = "string", json_path = ".spec.env[*].name"),
    printcolumn(name = "VaultAddress", type_ = "string", json_path = ".spec.hashiCorpVault.address"),
    printcolumn(name = "ScaledObjects", type_ = "string", json_path = ".status.scaledobjects", priority = 1),
    printcolumn(name = "ScaledJobs", type_ = "string", json_path = ".status.scaledjobs", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct TriggerAuthenticationSpec {
    /// Identity of the pod, by platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_identity: Option<PodIdentity>,
    /// Keys of Secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_target_ref: Option<Vec<TargetRef>>,
    /// Keys of ConfigMaps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_target_ref: Option<Vec<TargetRef>>,
    /// Environment variables of the scale target's containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<AuthEnvironment>>,
    /// File in the operator's container: a JSON object of strings, instead of every other source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_path: Option<String>,
    /// Secrets of HashiCorp Vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hashi_corp_vault: Option<HashiCorpVault>,
    /// Secrets of Azure Key Vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_key_vault: Option<AzureKeyVault>,
    /// Secrets of Google Secret Manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gcp_secret_manager: Option<GcpSecretManager>,
    /// Secrets of AWS Secrets Manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_secret_manager: Option<AwsSecretManager>,
    /// Tokens of service accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_service_account_token: Option<Vec<BoundServiceAccountToken>>,
    /// Tokens by OAuth 2.0 client credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
}

/// The spec of [`TriggerAuthentication`], for all namespaces. A type of its own only because a kind needs one: it reads
/// and writes exactly as [`TriggerAuthenticationSpec`], to which it dereferences.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "keda.sh",
    version = "v1alpha1",
    kind = "ClusterTriggerAuthentication",
    shortname = "cta",
    shortname = "clustertriggerauth",
    status = "TriggerAuthenticationStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Says how triggers of any namespace authenticate.",
    printcolumn(name = "PodIdentity", type_ = "string", json_path = ".spec.podIdentity.provider"),
    printcolumn(name = "Secret", type_ = "string", json_path = ".spec.secretTargetRef[*].name"),
    printcolumn(name = "Env", type_ = "string", json_path = ".spec.env[*].name"),
    printcolumn(name = "FilePath", type_ = "string", json_path = ".spec.filePath"),
    printcolumn(name = "VaultAddress", type_ = "string", json_path = ".spec.hashiCorpVault.address"),
    printcolumn(name = "ScaledObjects", type_ = "string", json_path = ".status.scaledobjects", priority = 1),
    printcolumn(name = "ScaledJobs", type_ = "string", json_path = ".status.scaledjobs", priority = 1)
)]
#[serde(transparent)]
#[schemars(description = "Where parameters come from. Every source that is set adds its parameters.")]
pub struct ClusterTriggerAuthenticationSpec(pub TriggerAuthenticationSpec);

impl Deref for ClusterTriggerAuthenticationSpec {
    type Target = TriggerAuthenticationSpec;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for ClusterTriggerAuthenticationSpec {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl From<TriggerAuthenticationSpec> for ClusterTriggerAuthenticationSpec {
    fn from(spec: TriggerAuthenticationSpec) -> Self {
        Self(spec)
    }
}

/// Who uses an authentication: names without namespaces, comma-separated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TriggerAuthenticationStatus {
    /// ScaledObjects that refer to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaledobjects: Option<String>,
    /// ScaledJobs that refer to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaledjobs: Option<String>,
}

/// Identity of the pod, by platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodIdentity {
    /// The platform.
    pub provider: PodIdentityProvider,
    /// Azure: client id of the identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_id: Option<String>,
    /// Azure: tenant, instead of the default one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_tenant_id: Option<String>,
    /// Azure: authority, instead of the default one. Needs a tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_authority_host: Option<String>,
    /// AWS: role to assume. Not together with an owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// AWS: external id for assuming the role.
    #[serde(skip_serializing_if = "Option::is_none", rename = "externalID")]
    pub external_id: Option<String>,
    /// AWS: whose identity is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_owner: Option<IdentityOwner>,
}

open_enum! {
    /// Platform of a pod identity.
    pub enum PodIdentityProvider {
        /// Azure workload identity.
        AzureWorkload = "azure-workload",
        /// Google.
        Gcp = "gcp",
        /// AWS.
        Aws = "aws",
        /// AWS, by the annotation of the target's service account.
        AwsEks = "aws-eks",
        /// None.
        None = "none",
    }
}

open_enum! {
    /// Whose identity is used.
    pub enum IdentityOwner {
        /// The operator's.
        Keda = "keda",
        /// The scaled workload's.
        Workload = "workload",
    }
}

/// One key of a Secret or ConfigMap as a parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetRef {
    /// Parameter to fill.
    pub parameter: String,
    /// Name of the object.
    pub name: String,
    /// Key in the object.
    pub key: String,
}

/// One environment variable as a parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthEnvironment {
    /// Parameter to fill.
    pub parameter: String,
    /// Name of the variable.
    pub name: String,
    /// Container of the scale target. Default: the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_name: Option<String>,
}

/// A token of a service account as a parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BoundServiceAccountToken {
    /// Parameter to fill.
    pub parameter: String,
    /// Name of the service account.
    pub service_account_name: String,
}

/// A value that comes from a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretValue {
    /// Where it comes from.
    pub value_from: SecretValueSource,
}

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretValueSource {
    /// Key of a Secret.
    pub secret_key_ref: SecretKeyRef,
}

/// Key of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    pub name: String,
    /// Key in the Secret.
    pub key: String,
}

/// OAuth 2.0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2 {
    /// The grant.
    #[schemars(extend("default" = "clientCredentials"))]
    pub r#type: OAuth2GrantType,
    /// Client id.
    pub client_id: String,
    /// Client secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretValue>,
    /// URL of the token endpoint.
    pub token_url: String,
    /// Scopes to ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Further parameters of the token request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_url_params: Option<BTreeMap<String, String>>,
}

open_enum! {
    /// An OAuth 2.0 grant.
    pub enum OAuth2GrantType {
        /// Client credentials (RFC 6749, 4.4).
        ClientCredentials = "clientCredentials",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_have_one_spec() {
        let spec = TriggerAuthenticationSpec { file_path: Some("/auth".into()), ..Default::default() };
        let cluster = ClusterTriggerAuthentication::new("name", spec.clone().into());
        let shared: &TriggerAuthenticationSpec = &cluster.spec;
        assert_eq!(shared, &spec);
        assert_eq!(serde_json::to_value(&cluster.spec).unwrap(), serde_json::to_value(&spec).unwrap());
    }
}
