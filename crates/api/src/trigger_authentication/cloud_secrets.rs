//! The clouds' secret stores as sources of parameters: Azure Key Vault, Google Secret Manager, AWS Secrets Manager.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PodIdentity, SecretValue};

/// Secrets of Azure Key Vault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureKeyVault {
    /// URI of the vault.
    pub vault_uri: String,
    /// Secrets to read. At least one.
    #[schemars(length(min = 1))]
    pub secrets: Vec<AzureSecret>,
    /// Application that reads them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<AzureCredentials>,
    /// Identity that reads them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_identity: Option<PodIdentity>,
    /// Cloud of the vault. Accepted and not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<AzureCloud>,
}

/// One secret of a key vault as a parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AzureSecret {
    /// Parameter to fill.
    pub parameter: String,
    /// Name of the secret.
    pub name: String,
    /// Version of the secret. Default: the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// An application registered at Azure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureCredentials {
    /// Client id.
    pub client_id: String,
    /// Tenant id.
    pub tenant_id: String,
    /// Client secret.
    pub client_secret: SecretValue,
}

/// A cloud of Azure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AzureCloud {
    /// Name of the cloud.
    pub r#type: String,
    /// Private cloud: resource of key vaults.
    #[serde(skip_serializing_if = "Option::is_none", rename = "keyVaultResourceURL")]
    pub key_vault_resource_url: Option<String>,
    /// Private cloud: endpoint of the directory.
    #[serde(skip_serializing_if = "Option::is_none", rename = "activeDirectoryEndpoint")]
    pub active_directory_endpoint: Option<String>,
}

/// Secrets of Google Secret Manager.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcpSecretManager {
    /// Secrets to read. At least one.
    #[schemars(length(min = 1))]
    pub secrets: Vec<GcpSecret>,
    /// Service account that reads them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<GcpCredentials>,
    /// Identity that reads them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_identity: Option<PodIdentity>,
}

/// One secret of Google Secret Manager as a parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GcpSecret {
    /// Parameter to fill.
    pub parameter: String,
    /// Id of the secret.
    pub id: String,
    /// Version of the secret. Default: the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Key file of a Google service account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcpCredentials {
    /// The key file.
    pub client_secret: SecretValue,
}

/// Secrets of AWS Secrets Manager.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsSecretManager {
    /// Secrets to read. At least one.
    #[schemars(length(min = 1))]
    pub secrets: Vec<AwsSecret>,
    /// Keys that read them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<AwsCredentials>,
    /// Identity that reads them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_identity: Option<PodIdentity>,
    /// Region of the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// One secret of AWS Secrets Manager as a parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsSecret {
    /// Parameter to fill.
    pub parameter: String,
    /// Name of the secret.
    pub name: String,
    /// Version, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Version, by stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_stage: Option<String>,
    /// Key in a secret that is a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<String>,
}

/// Keys of an AWS user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsCredentials {
    /// Access key.
    pub access_key: SecretValue,
    /// Secret key.
    pub access_secret_key: SecretValue,
    /// Session token. Accepted and not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<SecretValue>,
}
