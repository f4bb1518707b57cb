//! Which credentials there are.
//!
//! Application default credentials are looked for as Google's own libraries do: the file that
//! `GOOGLE_APPLICATION_CREDENTIALS` names, then gcloud's, then the metadata server. A file is read again for every token: a
//! mounted Secret that changes needs no restart.

use std::io::{ErrorKind, Read as _};
use std::path::Path;

use keda_scaler::identity::google::{Credential, Key, TOKEN_URI};
use keda_scaler::{Code, Kind, Secret};
use serde::Deserialize;

use super::broker::Google;
use super::external::External;
use crate::problem::{Class, Problem};

/// A file larger than this holds no credentials.
const LARGEST: u64 = 64 * 1024;

/// Credentials that stand in a file or a parameter.
#[derive(Debug)]
pub(super) enum Credentials {
    /// `service_account`.
    Key(Key),
    /// `authorized_user`.
    User(User),
    /// `external_account`.
    External(Box<External>),
}

/// The user whom `gcloud auth application-default login` logged in.
#[derive(Debug)]
pub(super) struct User {
    pub(super) token_uri: String,
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    pub(super) refresh_token: Secret,
}

#[derive(Deserialize)]
struct UserDocument {
    client_id: String,
    client_secret: String,
    refresh_token: String,
    token_uri: Option<String>,
}

#[derive(Deserialize)]
struct Kinds {
    #[serde(default)]
    r#type: String,
}

impl Credentials {
    /// The project that they say.
    pub(super) fn project(&self) -> Option<&str> {
        match self {
            Self::Key(key) => key.project_id.as_deref(),
            _ => None,
        }
    }

    fn parse(json: &str) -> Result<Self, String> {
        const NONE: &str = "it holds no JSON document of Google credentials";
        let kind: Kinds = serde_json::from_str(json).map_err(|_| NONE.to_owned())?;
        match kind.r#type.as_str() {
            "service_account" => Key::parse(json).map(Self::Key),
            "authorized_user" => {
                let user: UserDocument = serde_json::from_str(json)
                    .map_err(|_| "it lacks client_id, client_secret or refresh_token".to_owned())?;
                let token_uri = user.token_uri.unwrap_or_else(|| TOKEN_URI.to_owned());
                if !token_uri.starts_with("https://") {
                    return Err("its token_uri is no https address".to_owned());
                }
                Ok(Self::User(User {
                    token_uri,
                    client_id: user.client_id,
                    client_secret: Secret::new(user.client_secret),
                    refresh_token: Secret::new(user.refresh_token),
                }))
            }
            "external_account" => External::parse(json).map(|external| Self::External(Box::new(external))),
            "" => Err(NONE.to_owned()),
            other => {
                let other: String = other.chars().take(40).collect();
                Err(format!(
                    "its type {other:?} is not supported: service_account, authorized_user and external_account are"
                ))
            }
        }
    }
}

impl Google {
    /// The credentials; `None` where the metadata server has to be asked.
    pub(super) fn credentials(&self, credential: &Credential) -> Result<Option<Credentials>, Problem> {
        match credential {
            Credential::Key(json) => {
                let key = Key::parse(json.expose())
                    .map_err(|why| unusable("the service account's key cannot be used", &why))?;
                Ok(Some(Credentials::Key(key)))
            }
            Credential::KeyFile(path) => {
                let what = format!("the service account's key in the operator's file {}", path.display());
                let json = read(path).map_err(|why| unusable(&format!("{what} cannot be used"), &why))?;
                let key =
                    Key::parse(&json).map_err(|why| unusable(&format!("{what} cannot be used"), &why))?;
                Ok(Some(Credentials::Key(key)))
            }
            _ => self.default_credentials(),
        }
    }

    fn default_credentials(&self) -> Result<Option<Credentials>, Problem> {
        let settings = &self.settings;
        let (variable, path) = match (&settings.credentials_file, &settings.gcloud_file) {
            (Some(path), _) => ("GOOGLE_APPLICATION_CREDENTIALS ", path),
            (None, Some(path)) if path.exists() => ("", path),
            _ => return Ok(None),
        };
        let what = format!(
            "the google application default credentials in {variable}{} cannot be used",
            path.display()
        );
        let json = read(path).map_err(|why| unusable(&what, &why))?;
        Credentials::parse(&json).map(Some).map_err(|why| unusable(&what, &why))
    }
}

fn unusable(what: &str, why: &str) -> Problem {
    let advice = "mount a usable file, or take the variable away to use the metadata server; a key is made by \
                  gcloud iam service-accounts keys create";
    Problem::new(Kind::Auth, Code::GoogleCredentials, Class::Local, format!("{what}: {why}"), advice)
}

/// The text of a small regular file. Mounted volumes are memory of the node, so reading one holds nothing up.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let plain = |error: &std::io::Error| match error.kind() {
        ErrorKind::NotFound => "it does not exist".to_owned(),
        ErrorKind::InvalidData => "it is no text".to_owned(),
        _ => error.to_string(),
    };
    // A pipe or a device could hold the reader for ever.
    if !std::fs::metadata(path).map_err(|error| plain(&error))?.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|error| plain(&error))?;
    let mut text = String::new();
    let read = file.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| plain(&error))?;
    match read as u64 > LARGEST {
        true => Err(format!("it is larger than {} KiB", LARGEST >> 10)),
        false => Ok(text),
    }
}
