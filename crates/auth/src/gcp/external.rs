//! Workload identity federation: a token of somebody else's is exchanged at Google's STS (RFC 8693), and what comes of it may
//! impersonate a service account (`external_account` credentials, <https://google.aip.dev/auth/4117>).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use keda_scaler::http::{self, HeaderName, HeaderValue, Request, header};
use keda_scaler::identity::{Token, google};
use keda_scaler::{Code, Kind, Secret};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::broker::Google;
use super::credentials::read;
use super::exchange::{Asked, Refused, UNSAID, host, issued, without_token};
use crate::broker::Issued;
use crate::claims::Claims;
use crate::problem::{Class, Problem};

/// Credentials of the type `external_account`.
#[derive(Debug)]
pub(super) struct External {
    document: Document,
    source: Source,
}

#[derive(Debug, Deserialize)]
struct Document {
    audience: String,
    subject_token_type: String,
    token_url: String,
    service_account_impersonation_url: Option<String>,
    #[serde(default)]
    service_account_impersonation: Impersonation,
    credential_source: Value,
    client_id: Option<String>,
    client_secret: Option<Secrecy>,
    workforce_pool_user_project: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Impersonation {
    token_lifetime_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(from = "String")]
struct Secrecy(Secret);

impl From<String> for Secrecy {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

/// Where the subject token is.
#[derive(Debug)]
struct Source {
    place: Place,
    /// The field of a JSON document that is the token; without one the whole text is.
    field: Option<String>,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    /// Headers may hold credentials.
    Url(String, BTreeMap<String, Secret>),
}

impl External {
    pub(super) fn parse(json: &str) -> Result<Self, String> {
        let document: Document = serde_json::from_str(json).map_err(|_| {
            "it lacks audience, subject_token_type, token_url or credential_source".to_owned()
        })?;
        let addresses = [Some(&document.token_url), document.service_account_impersonation_url.as_ref()];
        if addresses.into_iter().flatten().any(|url| !url.starts_with("https://")) {
            return Err("token_url and service_account_impersonation_url must be https addresses".to_owned());
        }
        let source = Source::parse(&document.credential_source)?;
        Ok(Self { document, source })
    }
}

impl Source {
    fn parse(source: &Value) -> Result<Self, String> {
        for (field, what) in [
            ("environment_id", "of AWS"),
            ("executable", "from an executable"),
            ("certificate", "by certificate"),
        ] {
            if !source[field].is_null() {
                return Err(format!("a subject token {what} is not supported: file and url are"));
            }
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let place = match (text(&source["file"]), text(&source["url"])) {
            (Some(file), _) => Place::File(file.into()),
            (None, Some(url)) => {
                let headers = source["headers"].as_object().into_iter().flatten();
                let headers =
                    headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.into())));
                Place::Url(url, headers.collect())
            }
            (None, None) => return Err("its credential_source has neither file nor url".to_owned()),
        };
        let format = &source["format"];
        let field = match format["type"].as_str() {
            None | Some("" | "text") => None,
            Some("json") => {
                Some(text(&format["subject_token_field_name"]).ok_or_else(|| {
                    "its credential_source.format has no subject_token_field_name".to_owned()
                })?)
            }
            Some(other) => {
                return Err(format!("its credential_source.format.type {other:?} is neither text nor json"));
            }
        };
        Ok(Self { place, field })
    }
}

impl Google {
    /// Subject token, STS, and impersonation where the credentials name an account.
    pub(super) async fn by_federation(
        &self,
        external: &External,
        scope: &str,
    ) -> Result<Issued<Token>, Problem> {
        let subject = self.subject_token(&external.source).await?;
        let document = &external.document;
        let whose = Claims::of(subject.expose())
            .map(|claims| {
                format!(
                    "issuer {:?}, subject {:?}, audience {:?}",
                    claims.issuer, claims.subject, claims.audience
                )
            })
            .unwrap_or_else(|| "a token that says nothing about itself".to_owned());
        let impersonated = document.service_account_impersonation_url.as_deref();
        let sts_scope = if impersonated.is_some() { google::CLOUD_PLATFORM } else { scope };
        let mut fields = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", document.audience.as_str()),
            ("scope", sts_scope),
            ("subject_token_type", document.subject_token_type.as_str()),
            ("subject_token", subject.expose()),
        ];
        let options = document.workforce_pool_user_project.as_ref();
        let options = options.map(|project| json!({ "userProject": project }).to_string());
        if let (Some(options), None) = (&options, &document.client_id) {
            fields.push(("options", options));
        }
        let mut request = Request::post_form(document.token_url.as_str(), &fields);
        if let Some(client) = &document.client_id {
            let secret = document.client_secret.as_ref().map(|secret| secret.0.expose()).unwrap_or_default();
            if let Some(value) = http::basic(client, secret) {
                request.headers.insert(header::AUTHORIZATION, value);
            }
        }
        let asked = Asked {
            host: host(&document.token_url),
            who: format!("for audience {} with {whose}", document.audience),
            secrets: vec![&subject],
            refused: Refused {
                code: Code::GoogleFederationRefused,
                class: Class::Propagation,
                advice: "gcloud iam workload-identity-pools providers describe shows the provider's issuer, audiences and \
                         attribute condition"
                    .to_owned(),
            },
        };
        let federated = self.token_from(request, &asked, document.audience.clone()).await?;
        match impersonated {
            Some(url) => self.impersonate(url, document, scope, &federated.grant).await,
            None => Ok(federated),
        }
    }

    async fn impersonate(
        &self,
        url: &str,
        document: &Document,
        scope: &str,
        federated: &Token,
    ) -> Result<Issued<Token>, Problem> {
        let started = Instant::now();
        let account = url.rsplit_once("/serviceAccounts/").map_or(url, |(_, rest)| rest);
        let account = account.split(':').next().unwrap_or_default();
        let lifetime = document.service_account_impersonation.token_lifetime_seconds.unwrap_or(3600);
        let mut request = Request::get(url);
        request.method = http::Method::POST;
        request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(value) = federated.authorization() {
            request.headers.insert(header::AUTHORIZATION, value);
        }
        request.body = json!({ "scope": [scope], "lifetime": format!("{lifetime}s") }).to_string().into();
        let asked = Asked {
            host: host(url),
            who: format!("to impersonate {account} as {}", document.audience),
            secrets: vec![federated.secret()],
            refused: Refused {
                code: Code::GoogleImpersonationDenied,
                class: Class::Propagation,
                advice: format!(
                    "gcloud iam service-accounts add-iam-policy-binding {account} --role roles/iam.workloadIdentityUser --member \
                     the principal of the pool that stands for the subject"
                ),
            },
        };
        let response = self.send(request, &asked).await?;
        let answer: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let token = answer["accessToken"].as_str().filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| without_token(asked.host, "accessToken is empty"))?;
        let expires = answer["expireTime"].as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok());
        let left = expires.and_then(|expires| {
            let seconds = expires.as_second() - self.clock.now().as_second();
            u64::try_from(seconds).ok().map(Duration::from_secs)
        });
        Ok(issued(Secret::new(token), left.unwrap_or(UNSAID), started, account.to_owned()))
    }

    async fn subject_token(&self, source: &Source) -> Result<Secret, Problem> {
        let unusable = |place: &str, why: &str| {
            let text = format!("cannot read the subject token at {place}: {why}");
            let advice = "credential_source of the file in GOOGLE_APPLICATION_CREDENTIALS says where it is";
            Problem::new(Kind::Auth, Code::GoogleSubjectToken, Class::Local, text, advice)
        };
        let (place, text) = match &source.place {
            Place::File(path) => {
                let place = path.display().to_string();
                let text = read(path).map_err(|why| unusable(&place, &why))?;
                (place, text)
            }
            Place::Url(url, headers) => {
                let place = http::shown_url(url).into_owned();
                let mut request = Request::get(url.as_str());
                for (name, value) in headers {
                    let header =
                        HeaderName::try_from(name.as_str()).ok().zip(http::sensitive(value.expose()));
                    let (name, value) =
                        header.ok_or_else(|| unusable(&place, "a header of it cannot be sent"))?;
                    request.headers.insert(name, value);
                }
                let asked = Asked {
                    host: host(url),
                    who: "for a subject token".to_owned(),
                    secrets: headers.values().collect(),
                    refused: Refused {
                        code: Code::GoogleSubjectToken,
                        class: Class::Local,
                        advice: String::new(),
                    },
                };
                let response = self.send(request, &asked).await?;
                (place, String::from_utf8_lossy(&response.body).into_owned())
            }
        };
        let token = match &source.field {
            None => text.trim().to_owned(),
            Some(field) => {
                let document: Value = serde_json::from_str(&text).unwrap_or_default();
                let token = document[field].as_str().map(str::to_owned);
                token.ok_or_else(|| unusable(&place, &format!("it has no field {field:?}")))?
            }
        };
        if token.is_empty() { Err(unusable(&place, "it is empty")) } else { Ok(Secret::new(token)) }
    }
}
