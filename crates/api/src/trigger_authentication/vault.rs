//! HashiCorp Vault as a source of parameters.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Secrets of HashiCorp Vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HashiCorpVault {
    /// Address of the server.
    pub address: String,
    /// How to log in.
    pub authentication: VaultAuthentication,
    /// Namespace of the server (enterprise edition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Kubernetes login: role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Kubernetes login: mount path of the method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// What to log in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<VaultCredential>,
    /// Secrets to read. At least one.
    #[schemars(length(min = 1))]
    pub secrets: Vec<VaultSecret>,
}

open_enum! {
    /// How to log in to Vault.
    pub enum VaultAuthentication {
        /// With a token.
        Token = "token",
        /// With a service account's token.
        Kubernetes = "kubernetes",
    }
}

/// What to log in to Vault with.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultCredential {
    /// The token. It stands in the object in clear text; never log it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// File with a service account's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Service account to request a token for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
}

impl fmt::Debug for VaultCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultCredential")
            .field("token", &self.token.as_ref().map(|_| "<redacted>"))
            .field("service_account", &self.service_account)
            .field("service_account_name", &self.service_account_name)
            .finish()
    }
}

/// One value of a Vault secret as a parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultSecret {
    /// Parameter to fill.
    pub parameter: String,
    /// Path of the secret.
    pub path: String,
    /// Key in the secret.
    pub key: String,
    /// Engine that serves the secret. Default: found out by the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<VaultSecretType>,
    /// What to ask the PKI engine for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pki_data: Option<VaultPkiData>,
}

open_enum! {
    /// Engine that serves a Vault secret.
    pub enum VaultSecretType {
        /// As the path says.
        Generic = "",
        /// Key-value engine, version 2.
        SecretV2 = "secretV2",
        /// Key-value engine, version 1.
        Secret = "secret",
        /// Certificates.
        Pki = "pki",
    }
}

/// What to ask Vault's PKI engine for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VaultPkiData {
    /// Common name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// Other names, comma-separated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alt_names: Option<String>,
    /// IP addresses, comma-separated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_sans: Option<String>,
    /// URIs, comma-separated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri_sans: Option<String>,
    /// Custom names, comma-separated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_sans: Option<String>,
    /// Life time of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// Format of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_token() {
        let credential = VaultCredential { token: Some("s.secret".into()), ..VaultCredential::default() };
        let shown = format!("{credential:?}");
        assert!(!shown.contains("secret\""), "{shown}");
        assert!(shown.contains("redacted"), "{shown}");
    }
}
