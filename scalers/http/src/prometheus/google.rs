//! Google Cloud Managed Service for Prometheus: queries with a token of Google (core.md 10.5), and errors that say what to do
//! there.

use keda_scaler::http::{Response, shown_url};
use keda_scaler::identity::google::{Credential, Key, MONITORING_READ, Request};
use keda_scaler::identity::{Provider, Token};
use keda_scaler::{Code, Context, Error, Kind, Notice, Secret, TriggerConfig};
use serde_json::Value;

use super::address::{clear_text, host, is_local};
use super::answer;

/// Credentials for Google Cloud Managed Service for Prometheus, which is asked where one of them is given, or where the
/// authentication's podIdentity is `gcp`.
#[derive(Debug, TriggerConfig)]
pub struct Google {
    /// Google: the key of a service account, JSON.
    #[param(name = "GoogleApplicationCredentials", from(auth))]
    pub google_application_credentials: Option<Secret>,
    /// Google: the key of a service account, JSON, in a variable of the workload.
    #[param(from(env))]
    pub credentials: Option<Secret>,
    /// Google: name of a variable of the workload that holds a path, in the operator's container, of a file with the key of a
    /// service account.
    #[param(from(variable))]
    pub credentials_from_env_file: Option<String>,
}

const ADDRESS: &str = "https://monitoring.googleapis.com/v1/projects/PROJECT/location/global/prometheus";

impl Google {
    /// The credentials that are used: the identity, else the first key in upstream's order; `None` where nothing is given.
    pub(super) fn credential(&self, context: &Context) -> Option<Credential> {
        let key = self.google_application_credentials.as_ref().or(self.credentials.as_ref());
        match (key, &self.credentials_from_env_file) {
            _ if context.pod_identity.provider == Provider::Gcp => Some(Credential::Default),
            (Some(key), _) => Some(Credential::Key(key.clone())),
            (None, Some(path)) => Some(Credential::KeyFile(path.into())),
            (None, None) => None,
        }
    }

    /// Which token the trigger needs. A key is looked at here already: it is wrong until somebody replaces it.
    pub(super) fn token_request(credential: Credential) -> Result<Request, Error> {
        if let Credential::Key(json) = &credential {
            Key::parse(json.expose()).map_err(|why| {
                let what = format!("the service account's key cannot be used: {why}");
                Error::coded(Kind::Auth, Code::GoogleCredentials, what, "")
            })?;
        }
        Ok(Request { credential, scope: MONITORING_READ.to_owned() })
    }
}

/// What the author of a manifest should know about the address that gets the token.
pub(super) fn notices(server_address: &str, unsafe_ssl: bool) -> Vec<Notice> {
    let (shown, host, local) = (shown_url(server_address), host(server_address), is_local(server_address));
    let mut notices = Vec::from_iter(clear_text(server_address));
    let google = host.eq_ignore_ascii_case("monitoring.googleapis.com");
    if google && project(server_address).is_none() {
        let text = format!("serverAddress {shown} names no project: it looks like {ADDRESS}");
        notices.push(Notice::advice(text));
    } else if !google && !local {
        let text = format!("the identity's token is sent to {host}, which is not Google's");
        notices.push(Notice::advice(text));
    }
    if unsafe_ssl {
        let text = "unsafeSsl is true: the identity's token is sent to whoever answers";
        notices.push(Notice::advice(text));
    }
    notices
}

/// The project in `https://monitoring.googleapis.com/v1/projects/shop/location/global/prometheus`.
fn project(server_address: &str) -> Option<&str> {
    let rest = server_address.split_once("/projects/")?.1;
    rest.split(['/', '?', '#']).next().filter(|project| !project.is_empty())
}

/// The error for Google's refusal: upstream's words, the server's, what they mean here, and the line that mends it. `None` for
/// answers that are no refusal.
pub(super) fn refusal(response: &Response, server_address: &str, token: &Token) -> Option<Error> {
    let status = response.status.as_u16();
    if response.status.is_success() {
        return None;
    }
    let base = answer::refused(status, &words(&response.body)).message;
    let who = &token.principal().client_id;
    let kind = Kind::Source(status);
    let mut error = match status {
        401 => {
            let advice =
                format!("the token of {who} is not accepted, also after it was renewed; check serverAddress");
            Error::coded(kind, Code::GoogleQueryUnauthorized, base, &advice)
        }
        403 => {
            let project = project(server_address).unwrap_or("PROJECT");
            let advice = format!(
                "{who} may not read the metrics of project {project}: gcloud projects add-iam-policy-binding {project} --role \
                 roles/monitoring.viewer --member \"serviceAccount:{who}\""
            );
            Error::coded(kind, Code::GoogleQueryForbidden, base, &advice)
        }
        404 => {
            let advice =
                format!("{} is no query endpoint, which looks like {ADDRESS}", shown_url(server_address));
            Error::coded(kind, Code::GoogleQueryNotFound, base, &advice)
        }
        _ => Error::new(kind, base),
    };
    if let Some(text) = token.secret().hide_in(&error.message) {
        error.message = text;
    }
    Some(error)
}

/// What Google says: in its APIs' form, else in Prometheus's.
fn words(body: &[u8]) -> String {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &document["error"];
    match (error["status"].as_str(), error["message"].as_str()) {
        (Some(status), Some(message)) => answer::quoted(format!("{status}: {message}").as_bytes()),
        (None, Some(message)) => answer::quoted(message.as_bytes()),
        _ => answer::words(body),
    }
}

#[cfg(test)]
mod tests;
