//! Google Secret Manager (auth.md §6.3; upstream `gcp_secretmanager_handler.go`), by its REST interface
//! (<https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access>).
//!
//! Secrets are those of the credential's own project. A payload counts only with the checksum that came along.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use keda_api::trigger_authentication::GcpSecretManager;
use keda_scaler::http::{Request, Response, StatusCode, header};
use keda_scaler::identity::google::{self, CLOUD_PLATFORM, Credential, Key};
use keda_scaler::identity::{Token, TokenRequest};
use keda_scaler::{Code, Error as StoreError, Kind, Secret};
use serde_json::Value;

use super::{Access, Ask, Values, refused};
use crate::Error;
use crate::answer::Refusal;
use crate::gcp::checksum::crc32c;

/// The field of a TriggerAuthentication.
pub(super) const FIELD: &str = "gcpSecretManager";

const HOST: &str = "https://secretmanager.googleapis.com";

/// Versions of secrets, and as whom they are read.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Query {
    credential: Credential,
    wanted: Vec<Wanted>,
}

/// One version of a secret.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Wanted {
    parameter: String,
    id: String,
    version: String,
}

/// What can be said without asking.
pub(super) async fn prepare(given: &GcpSecretManager, ask: &Ask<'_>) -> Result<Query, Error> {
    let wrong = |text: String| {
        let error = StoreError::coded(Kind::Config, Code::GoogleCredentials, text, "");
        refused(FIELD, ask, error)
    };
    let provider = given.pod_identity.as_ref().map(|identity| identity.provider.as_str()).unwrap_or_default();
    let credential = match (provider, &given.credentials) {
        ("gcp", _) => Credential::Default,
        ("" | "none", Some(credentials)) => {
            let what = "gcpSecretManager.credentials.clientSecret";
            let json = ask.secret(what, &credentials.client_secret).await?;
            Key::parse(json.expose()).map_err(|why| {
                wrong(format!("the service account's key in credentials.clientSecret cannot be used: {why}"))
            })?;
            Credential::Key(json)
        }
        ("" | "none", None) => {
            let text = "neither credentials.clientSecret nor podIdentity with the provider gcp is given";
            return Err(wrong(text.to_owned()));
        }
        (other, _) => {
            return Err(wrong(format!(
                "podIdentity provider {other} is not one of Google's: it must be gcp"
            )));
        }
    };
    let mut wanted = Vec::new();
    for secret in &given.secrets {
        let version = secret.version.as_deref().map(str::trim).filter(|version| !version.is_empty());
        let version = version.unwrap_or("latest").to_owned();
        for (field, text) in [("id", &secret.id), ("version", &version)] {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if text.is_empty() || !text.bytes().all(known) {
                return Err(wrong(format!(
                    "{field} {text:?} of parameter {:?} is none: letters, digits, '-' and '_' are allowed",
                    secret.parameter
                )));
            }
        }
        wanted.push(Wanted { parameter: secret.parameter.clone(), id: secret.id.clone(), version });
    }
    Ok(Query { credential, wanted })
}

/// Asks for every version once.
pub(super) async fn fetch(query: &Query, access: &Access) -> Result<Values, StoreError> {
    let project = access.tokens.google_project(&query.credential).await?;
    let credential = query.credential.clone();
    let identity = TokenRequest::Google(google::Request { credential, scope: CLOUD_PLATFORM.to_owned() });
    let mut token = access.tokens.token(&identity).await?;
    let mut values: Values = Vec::new();
    for (at, wanted) in query.wanted.iter().enumerate() {
        let same = |earlier: &Wanted| (&earlier.id, &earlier.version) == (&wanted.id, &wanted.version);
        if let Some(known) = query.wanted[..at].iter().position(same) {
            values.push((wanted.parameter.clone(), values[known].1.clone()));
            continue;
        }
        let mut response = send(access, &project, wanted, &token).await?;
        if response.status == StatusCode::UNAUTHORIZED
            && let Some(newer) = access.tokens.renew(&identity, &token).await?
        {
            token = newer;
            response = send(access, &project, wanted, &token).await?;
        }
        let asked = Asked { project: &project, wanted, token: &token };
        values.push((wanted.parameter.clone(), asked.value(&response)?));
    }
    Ok(values)
}

async fn send(
    access: &Access,
    project: &str,
    wanted: &Wanted,
    token: &Token,
) -> Result<Response, StoreError> {
    let Wanted { id, version, .. } = wanted;
    let mut request =
        Request::get(format!("{HOST}/v1/projects/{project}/secrets/{id}/versions/{version}:access"));
    let value = token
        .authorization()
        .ok_or_else(|| StoreError::new(Kind::Auth, "google's token cannot be sent as a header"))?;
    request.headers.insert(header::AUTHORIZATION, value);
    access.http.send(request).await.map_err(|error| {
        let error = StoreError::from(error);
        StoreError::coded(error.kind, Code::GoogleUnreachable, error.message, "")
    })
}

/// One request, for texts.
struct Asked<'a> {
    project: &'a str,
    wanted: &'a Wanted,
    token: &'a Token,
}

impl Asked<'_> {
    fn value(&self, response: &Response) -> Result<Secret, StoreError> {
        if !response.status.is_success() {
            return Err(self.refused(response));
        }
        let unusable = |why: &str| {
            let text = format!("{}: {why}", self.what());
            StoreError::coded(Kind::Answer, Code::GoogleSecretAnswer, text, "")
        };
        // serde_json's own text could quote the answer, which holds the secret.
        let document: Value = serde_json::from_slice(&response.body)
            .map_err(|_| unusable("the answer is none of Secret Manager's"))?;
        let payload = &document["payload"];
        // An empty payload is left out.
        let bytes = BASE64_STANDARD
            .decode(payload["data"].as_str().unwrap_or_default())
            .map_err(|_| unusable("the payload is not base64"))?;
        let sum = &payload["dataCrc32c"];
        let sum = sum.as_u64().or_else(|| sum.as_str()?.parse().ok());
        let sum = sum.ok_or_else(|| unusable("the answer has no checksum"))?;
        if sum != u64::from(crc32c(&bytes)) {
            return Err(unusable("the payload was damaged on its way, its checksum does not fit"));
        }
        String::from_utf8(bytes).map(Secret::from).map_err(|_| unusable("the secret is no text"))
    }

    fn what(&self) -> String {
        let Wanted { parameter, id, version } = self.wanted;
        let project = self.project;
        format!("parameter {parameter:?} is version {version} of secret {id} in project {project}")
    }

    fn refused(&self, response: &Response) -> StoreError {
        let status = response.status.as_u16();
        let words = Refusal::of(response).shown(&[self.token.secret()]);
        let text = format!("{}: Secret Manager answered with status {status}: {words}", self.what());
        let (who, id, project) = (&self.token.principal().client_id, &self.wanted.id, self.project);
        let kind = Kind::Source(status);
        match status {
            403 => {
                let advice = format!(
                    "gcloud secrets add-iam-policy-binding {id} --project {project} --role roles/secretmanager.secretAccessor --member \
                     \"serviceAccount:{who}\""
                );
                StoreError::coded(kind, Code::GoogleSecretForbidden, text, &advice)
            }
            // A version that is disabled or destroyed is a failed precondition.
            400 | 404 => {
                let advice = format!("gcloud secrets versions list {id} --project {project}");
                StoreError::coded(kind, Code::GoogleSecretMissing, text, &advice)
            }
            401 => {
                let advice = format!("the token of {who} is not accepted, also after it was renewed");
                StoreError::coded(kind, Code::GoogleCredentialsRefused, text, &advice)
            }
            429 | 500.. => StoreError::coded(kind, Code::GoogleFailing, text, ""),
            _ => StoreError::coded(kind, Code::GoogleSecretAnswer, text, ""),
        }
    }
}

#[cfg(test)]
mod tests;
