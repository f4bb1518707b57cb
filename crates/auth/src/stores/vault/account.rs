//! The ServiceAccount's token that a login shows to Vault.
//!
//! A file may only be one of the pod's own: whoever may write a TriggerAuthentication chooses path and address, and would
//! otherwise have any file of the operator sent to a server of their own (GHSA-c4p6-qg4m-9jmr).

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keda_scaler::identity::ServiceAccount;
use keda_scaler::kube::Reader;
use keda_scaler::{Code, Error, Kind, Secret};

use super::Settings;
use crate::claims::Claims;

/// A larger file holds no token.
const LARGEST: u64 = 64 * 1024;

/// How long a token lives that is made for a login only.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Where the token comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Shown {
    /// A file of the operator.
    File(PathBuf),
    /// The API server makes one for this account.
    Account(ServiceAccount),
}

impl Shown {
    /// The token, as it is now.
    pub(super) async fn token(&self, settings: &Settings, kube: &dyn Reader) -> Result<Secret, Error> {
        match self {
            Self::File(path) => from_file(path, &settings.account_folders),
            Self::Account(account) => from_api_server(account, kube).await,
        }
    }
}

fn from_file(path: &Path, folders: &[PathBuf]) -> Result<Secret, Error> {
    let refused = |why: &str| {
        let text = format!("credential.serviceAccount {path:?} {why}");
        Error::coded(Kind::Auth, Code::VaultServiceAccount, text, "")
    };
    // Both as written and as it is: mounted tokens are links within their folder.
    let inside = |place: &Path, folder: &Path| {
        place.starts_with(folder) && !place.components().any(|part| part.as_os_str() == "..")
    };
    if !folders.iter().any(|folder| inside(path, folder)) {
        let allowed: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let text = format!(
            "credential.serviceAccount {path:?} is not allowed: it must be a file in {}",
            allowed.join(" or ")
        );
        let advice = "use serviceAccountName, or let the operator's administrator add the folder with \
                      --vault-service-account-dir";
        return Err(Error::coded(Kind::Auth, Code::VaultServiceAccount, text, advice));
    }
    let real = path.canonicalize().map_err(|error| refused(&format!("cannot be read: {error}")))?;
    let folders = folders.iter().filter_map(|folder| folder.canonicalize().ok());
    if !folders.into_iter().any(|folder| real.starts_with(folder)) {
        return Err(refused("is not allowed: it leads out of its folder"));
    }
    if !real.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(refused("is no regular file"));
    }
    let mut text = String::new();
    let file = std::fs::File::open(&real).map_err(|error| refused(&format!("cannot be read: {error}")))?;
    // What is in it is never said, whatever it is.
    let read = file.take(LARGEST + 1).read_to_string(&mut text);
    if read.is_err() || text.len() as u64 > LARGEST {
        return Err(refused("holds no token: it is larger than 64 KiB, or no text"));
    }
    let subject = Claims::of(&text).map(|claims| claims.subject).unwrap_or_default();
    if !subject.starts_with("system:serviceaccount:") {
        return Err(refused("holds no token of a ServiceAccount"));
    }
    Ok(Secret::new(text.trim()))
}

async fn from_api_server(account: &ServiceAccount, kube: &dyn Reader) -> Result<Secret, Error> {
    let ServiceAccount { namespace, name } = account;
    let refused = |kind, why: &str| {
        let text =
            format!("credential.serviceAccountName: no token of ServiceAccount {namespace}/{name}: {why}");
        let advice = "the operator needs create on serviceaccounts/token for it";
        Error::coded(kind, Code::VaultServiceAccount, text, advice)
    };
    let token = kube.service_account_token(namespace, name, None, LIFETIME).await;
    let token = token.map_err(|error| match error.temporary {
        true => refused(Kind::Unreachable, &error.message),
        false => refused(Kind::Auth, &error.message),
    })?;
    token.ok_or_else(|| refused(Kind::Auth, "it does not exist"))
}
