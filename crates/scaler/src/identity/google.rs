//! What a token of Google is asked for with (auth.md §5).

use std::path::PathBuf;

use serde_json::Value;

use crate::Secret;

/// The scope that reads metrics of Cloud Monitoring, Managed Prometheus included.
pub const MONITORING_READ: &str = "https://www.googleapis.com/auth/monitoring.read";

/// The scope that reaches everything the identity may.
pub const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A token of Google.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    /// As whom.
    pub credential: Credential,
    /// For what: one scope, e.g. [`MONITORING_READ`].
    pub scope: String,
}

/// Whom Google is shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Credential {
    /// Application default credentials of the process (`podIdentity.provider: gcp`).
    Default,
    /// A service account's key, JSON.
    Key(Secret),
    /// A file in the operator's container that holds a service account's key. It is read for every token.
    KeyFile(PathBuf),
}

/// A service account's key as Google's console gives it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// The service account.
    pub client_email: String,
    /// Its private key, PEM.
    pub private_key: Secret,
    /// The id of that key, which goes into the header of what is signed with it.
    pub private_key_id: String,
    /// Where a signed assertion becomes a token.
    pub token_uri: String,
    /// The project that the service account is in.
    pub project_id: Option<String>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("client_email", &self.client_email).finish_non_exhaustive()
    }
}

/// Google's token endpoint, where a key names none.
pub const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

impl Key {
    /// Reads a key.
    ///
    /// # Errors
    /// What the text lacks, without any of it.
    pub fn parse(json: &str) -> Result<Self, String> {
        // serde_json's own text could quote the key.
        let document: Value = serde_json::from_str(json.trim()).unwrap_or_default();
        if !document.is_object() {
            return Err("it is no JSON document of a service account's key".to_owned());
        }
        let text = |name: &str| document[name].as_str().unwrap_or_default().trim().to_owned();
        match text("type").as_str() {
            "service_account" => {}
            "" => return Err("it has no type, and must be of type service_account".to_owned()),
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(format!("it is of type {other:?}, and must be of type service_account"));
            }
        }
        if let Some(missing) = ["client_email", "private_key"].into_iter().find(|name| text(name).is_empty())
        {
            return Err(format!("it has no {missing}"));
        }
        let token_uri = Some(text("token_uri")).filter(|uri| !uri.is_empty());
        let token_uri = token_uri.unwrap_or_else(|| TOKEN_URI.to_owned());
        if !token_uri.starts_with("https://") {
            return Err("its token_uri is no https address".to_owned());
        }
        Ok(Self {
            client_email: text("client_email"),
            private_key: Secret::new(text("private_key")),
            private_key_id: text("private_key_id"),
            token_uri,
            project_id: Some(text("project_id")).filter(|id| !id.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_what_it_lacks_and_never_itself() {
        let whole =
            r#"{"type":"service_account","client_email":"a@p","private_key":"s3cret-key","project_id":"p"}"#;
        let key = Key::parse(whole).unwrap();
        assert_eq!((key.token_uri.as_str(), key.project_id.as_deref()), (TOKEN_URI, Some("p")));
        assert!(!format!("{key:?}").contains("s3cret"));
        for (json, why) in [
            ("s3cret", "it is no JSON document of a service account's key"),
            (r#"{"client_email":"s3cret"}"#, "it has no type, and must be of type service_account"),
            (
                r#"{"type":"external_account","private_key":"s3cret"}"#,
                "it is of type \"external_account\", and must be of type service_account",
            ),
            (r#"{"type":"service_account","private_key":"s3cret"}"#, "it has no client_email"),
            (r#"{"type":"service_account","client_email":"s3cret"}"#, "it has no private_key"),
            (
                r#"{"type":"service_account","client_email":"a","private_key":"s3cret","token_uri":"http://h/"}"#,
                "its token_uri is no https address",
            ),
        ] {
            assert_eq!(Key::parse(json).unwrap_err(), why, "{json}");
        }
    }
}
