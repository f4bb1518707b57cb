//! Google in memory, as one transport: metadata server, token endpoint, STS, IAM credentials, Secret Manager and Managed
//! Prometheus. Assertions are verified by their signatures.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use keda_scaler::http::{self, ErrorKind, HeaderValue, Request, Response, StatusCode, Transport, header};
use rustls::SignatureScheme;
use serde_json::{Value, json};

use crate::azure::fake::pairs;

/// The project of everything here.
pub const PROJECT: &str = "shop-1";
/// The identity of the metadata server.
pub const EMAIL: &str = "keda@shop-1.iam.gserviceaccount.com";
/// The query endpoint of Managed Prometheus.
pub const PROMETHEUS: &str =
    "https://monitoring.googleapis.com/v1/projects/shop-1/location/global/prometheus";
/// The audience of the pool.
pub const POOL: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster";

/// All of them. Clones are the same.
#[derive(Clone, Default)]
pub struct Google {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    now: Option<Timestamp>,
    metadata: bool,
    /// What the metadata server answers to a wish for a token, instead of one.
    metadata_refuses: Option<(u16, String)>,
    /// Another cloud answers at the address of the metadata server.
    foreign: bool,
    /// Key ids with the account's email and its public key (SubjectPublicKeyInfo, DER).
    keys: BTreeMap<String, (String, Vec<u8>)>,
    /// Refresh tokens of users.
    users: BTreeSet<String>,
    /// Subjects that the pool accepts.
    subjects: BTreeSet<String>,
    /// Who may act as whom.
    impersonators: BTreeSet<(String, String)>,
    /// What every endpoint that issues tokens answers.
    failing: Option<u16>,
    issued: BTreeMap<String, (String, String)>,
    revoked: BTreeSet<String>,
    /// Who may read metrics and secrets.
    granted: BTreeSet<String>,
    secrets: BTreeMap<(String, String), Vec<u8>>,
    damaged: bool,
    value: f64,
    asked: Vec<String>,
}

impl Google {
    /// Nobody knows anybody, and it is `now`.
    pub fn new(now: Timestamp) -> Self {
        let google = Self::default();
        google.lock().now = Some(now);
        google
    }

    /// Whether there is a metadata server.
    pub fn metadata(&self, there: bool) {
        self.lock().metadata = there;
    }

    /// What the metadata server answers instead of a token.
    pub fn metadata_refuses(&self, answer: Option<(u16, &str)>) {
        self.lock().metadata_refuses = answer.map(|(status, text)| (status, text.to_owned()));
    }

    /// Whether another cloud's server answers at the address of the metadata server.
    pub fn foreign(&self, foreign: bool) {
        self.lock().foreign = foreign;
    }

    /// Adds a key of a service account, by its public half (SubjectPublicKeyInfo, DER).
    pub fn key(&self, id: &str, email: &str, public: &[u8]) {
        self.lock().keys.insert(id.to_owned(), (email.to_owned(), public.to_owned()));
    }

    /// Adds a user by its refresh token.
    pub fn user(&self, refresh_token: &str) {
        self.lock().users.insert(refresh_token.to_owned());
    }

    /// Adds a subject that the pool accepts.
    pub fn subject(&self, subject: &str) {
        self.lock().subjects.insert(subject.to_owned());
    }

    /// Lets the principal of a subject act as a service account.
    pub fn impersonate(&self, subject: &str, email: &str) {
        self.lock().impersonators.insert((subject.to_owned(), email.to_owned()));
    }

    /// A status that every endpoint of tokens answers with, or none.
    pub fn failing(&self, status: Option<u16>) {
        self.lock().failing = status;
    }

    /// Lets somebody read metrics and secrets.
    pub fn grant(&self, who: &str) {
        self.lock().granted.insert(who.to_owned());
    }

    /// Takes that away again.
    pub fn forget(&self, who: &str) {
        self.lock().granted.remove(who);
    }

    /// No token that was issued so far is taken any more.
    pub fn revoke(&self) {
        let mut inner = self.lock();
        let all: Vec<_> = inner.issued.keys().cloned().collect();
        inner.revoked.extend(all);
    }

    /// Adds a version of a secret.
    pub fn secret(&self, id: &str, version: &str, payload: &[u8]) {
        self.lock().secrets.insert((id.to_owned(), version.to_owned()), payload.to_owned());
    }

    /// Whether payloads of secrets are damaged on their way.
    pub fn damaged(&self, damaged: bool) {
        self.lock().damaged = damaged;
    }

    /// The value of every query.
    pub fn value(&self, value: f64) {
        self.lock().value = value;
    }

    /// Method, host and path of every request so far.
    pub fn asked(&self) -> Vec<String> {
        self.lock().asked.clone()
    }

    /// Whom a token speaks for, and its scope.
    pub fn whose(&self, token: &str) -> Option<(String, String)> {
        self.lock().issued.get(token).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Google {
    async fn send(&self, request: Request) -> Result<Response, http::Error> {
        let mut inner = self.lock();
        inner.asked.push(request.describe());
        let (_, rest) = request.url.split_once("://").unwrap_or_default();
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let issuer =
            matches!(host, "sts.googleapis.com" | "iamcredentials.googleapis.com") || path == "token";
        if let (true, Some(status)) = (issuer, inner.failing) {
            return Ok(error(status, "UNAVAILABLE", "The service is currently unavailable."));
        }
        let form = pairs(&String::from_utf8_lossy(&request.body));
        Ok(match host {
            "169.254.169.254" if inner.metadata => inner.metadata(path, query, &request),
            "169.254.169.254" if inner.foreign => Response::new(StatusCode::NOT_FOUND, "no such path"),
            "169.254.169.254" => {
                let text = format!("{}: cannot connect: no route to host", request.describe());
                return Err(http::Error::new(ErrorKind::Connect, text));
            }
            "sts.googleapis.com" => inner.sts(&form),
            "iamcredentials.googleapis.com" => inner.iam(path, &request),
            "secretmanager.googleapis.com" => inner.secret(path, &request),
            "monitoring.googleapis.com" => inner.query(path, &request),
            _ if path == "token" => inner.token(&form, &request.url),
            _ => Response::new(StatusCode::NOT_FOUND, "<html>Not Found</html>"),
        })
    }
}

impl Inner {
    fn issue(&mut self, who: &str, scope: &str) -> String {
        let token = format!("ya29.s3cret-{}", self.issued.len() + 1);
        self.issued.insert(token.clone(), (who.to_owned(), scope.to_owned()));
        token
    }

    fn granted(&mut self, who: &str, scope: &str) -> Response {
        let token = self.issue(who, scope);
        ok(&json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }))
    }

    fn metadata(&mut self, path: &str, query: &str, request: &Request) -> Response {
        if request.headers.get("metadata-flavor").is_none_or(|value| value != "Google") {
            return Response::new(StatusCode::FORBIDDEN, "Missing required header: Metadata-Flavor");
        }
        let mut response = match path.strip_prefix("computeMetadata/v1/") {
            Some("instance/service-accounts/default/token") => match self.metadata_refuses.clone() {
                Some((status, text)) => Response::new(StatusCode::from_u16(status).unwrap_or_default(), text),
                None => {
                    let scope = pairs(query).get("scopes").cloned().unwrap_or_default();
                    self.granted(EMAIL, &scope)
                }
            },
            Some("instance/service-accounts/default/email") => Response::new(StatusCode::OK, EMAIL),
            Some("project/project-id") => Response::new(StatusCode::OK, PROJECT),
            _ => Response::new(StatusCode::NOT_FOUND, "not found"),
        };
        response.headers.insert("metadata-flavor", HeaderValue::from_static("Google"));
        response
    }

    /// The token endpoint: assertions of keys, refresh tokens of users.
    fn token(&mut self, form: &BTreeMap<String, String>, url: &str) -> Response {
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        match field("grant_type") {
            "refresh_token" if self.users.contains(field("refresh_token")) => self.granted("user", ""),
            "refresh_token" => refusal("invalid_grant", "Token has been expired or revoked."),
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => match self.judge(field("assertion"), url) {
                Ok((who, scope)) => self.granted(&who, &scope),
                Err(why) => refusal("invalid_grant", &format!("{why} ({})", field("assertion"))),
            },
            _ => refusal("unsupported_grant_type", "Invalid grant_type"),
        }
    }

    fn judge(&self, assertion: &str, url: &str) -> Result<(String, String), &'static str> {
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| "Invalid JWT");
        let (statement, signature) = assertion.rsplit_once('.').ok_or("Invalid JWT")?;
        let (head, claims) = statement.split_once('.').ok_or("Invalid JWT")?;
        let parse = |part: &str| serde_json::from_slice::<Value>(&decode(part)?).map_err(|_| "Invalid JWT");
        let (head, claims) = (parse(head)?, parse(claims)?);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (email, public) = self.keys.get(&text(&head["kid"])).ok_or("Invalid JWT Signature.")?;
        if text(&head["alg"]) != "RS256" || !verifies(public, statement.as_bytes(), &decode(signature)?) {
            return Err("Invalid JWT Signature.");
        }
        if text(&claims["iss"]) != *email {
            return Err("Invalid grant: account not found");
        }
        if text(&claims["aud"]) != url {
            return Err("Invalid JWT: Failed audience check.");
        }
        let (issued, expires) = (claims["iat"].as_i64().unwrap_or(0), claims["exp"].as_i64().unwrap_or(0));
        let now = self.now.unwrap_or_default().as_second();
        if expires - issued > 3600 || issued > now + 300 || expires < now {
            return Err(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp \
                 values in the JWT claim.",
            );
        }
        Ok((email.clone(), text(&claims["scope"])))
    }

    fn sts(&mut self, form: &BTreeMap<String, String>) -> Response {
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if field("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange"
            || field("requested_token_type") != "urn:ietf:params:oauth:token-type:access_token"
        {
            return refusal("invalid_request", "Invalid value for grant_type.");
        }
        if field("audience") != POOL {
            return refusal(
                "invalid_target",
                "The target service indicated by the \"audience\" parameters is invalid.",
            );
        }
        let claims = field("subject_token").split('.').nth(1).and_then(|part| {
            serde_json::from_slice::<Value>(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
        });
        let subject = claims.unwrap_or_default()["sub"].as_str().unwrap_or_default().to_owned();
        if !self.subjects.contains(&subject) {
            let words = format!(
                "The given credential is rejected by the attribute condition. {}",
                field("subject_token")
            );
            return refusal("unauthorized_client", &words);
        }
        self.granted(&subject, field("scope"))
    }

    fn iam(&mut self, path: &str, request: &Request) -> Response {
        let email = path
            .strip_prefix("v1/projects/-/serviceAccounts/")
            .and_then(|rest| rest.strip_suffix(":generateAccessToken"));
        let (Some(email), Some((who, _))) = (email.map(str::to_owned), self.bearer(request)) else {
            return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
        };
        if !self.impersonators.contains(&(who, email.clone())) {
            let words =
                "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
            return error(403, "PERMISSION_DENIED", words);
        }
        let wish: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let seconds: i64 =
            wish["lifetime"].as_str().and_then(|text| text.strip_suffix('s')?.parse().ok()).unwrap_or(3600);
        let token = self.issue(&email, wish["scope"][0].as_str().unwrap_or_default());
        let expires = self.now.unwrap_or_default() + jiff::SignedDuration::from_secs(seconds);
        ok(&json!({ "accessToken": token, "expireTime": expires.to_string() }))
    }

    /// The token of a request, if it was issued here and still counts.
    fn bearer(&self, request: &Request) -> Option<(String, String)> {
        let value = request.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let token = value.strip_prefix("Bearer ")?;
        self.issued.get(token).filter(|_| !self.revoked.contains(token)).cloned()
    }

    fn secret(&mut self, path: &str, request: &Request) -> Response {
        let Some((who, _)) = self.bearer(request) else {
            return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
        };
        let parts: Vec<&str> = path.split('/').collect();
        let ["v1", "projects", project, "secrets", id, "versions", version] = parts.as_slice() else {
            return error(404, "NOT_FOUND", "no such path");
        };
        let Some(version) = version.strip_suffix(":access") else {
            return error(404, "NOT_FOUND", "no such method");
        };
        if !self.granted.contains(&who) {
            let words = format!(
                "Permission 'secretmanager.versions.access' denied for resource 'projects/{project}/secrets/{id}/versions/{version}' \
                 (or it may not exist)."
            );
            return error(403, "PERMISSION_DENIED", &words);
        }
        let found = self.secrets.get(&((*id).to_owned(), version.to_owned()));
        let Some(payload) = found.filter(|_| *project == PROJECT) else {
            let words = format!("Secret [projects/1/secrets/{id}] not found or has no versions.");
            return error(404, "NOT_FOUND", &words);
        };
        let checksum = super::checksum::crc32c(payload);
        let mut payload = payload.clone();
        if self.damaged {
            payload.push(b'x');
        }
        ok(&json!({
            "name": format!("projects/1/secrets/{id}/versions/1"),
            "payload": { "data": BASE64_STANDARD.encode(payload), "dataCrc32c": checksum.to_string() },
        }))
    }

    fn query(&mut self, path: &str, request: &Request) -> Response {
        let Some((who, scope)) = self.bearer(request) else {
            return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
        };
        if path != format!("v1/projects/{PROJECT}/location/global/prometheus/api/v1/query") {
            return Response::new(StatusCode::NOT_FOUND, "<html>Not Found</html>");
        }
        if !self.granted.contains(&who) || !scope.contains("monitoring.read") {
            let words = "Permission monitoring.timeSeries.list denied (or the resource may not exist).";
            return error(403, "PERMISSION_DENIED", words);
        }
        let result = json!([{ "metric": {}, "value": [1, self.value.to_string()] }]);
        ok(&json!({ "status": "success", "data": { "resultType": "vector", "result": result } }))
    }
}

/// Whether an RS256 signature is of the key.
fn verifies(public: &[u8], statement: &[u8], signature: &[u8]) -> bool {
    // The key itself stands behind the header that says it is one of RSA with 2048 bits.
    const HEADER: usize = 24;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let algorithms = provider.signature_verification_algorithms;
    let found = algorithms.mapping.iter().find(|(scheme, _)| *scheme == SignatureScheme::RSA_PKCS1_SHA256);
    let key = public.get(HEADER..).unwrap_or_default();
    found.is_some_and(|(_, all)| {
        all.iter().any(|algorithm| algorithm.verify_signature(key, statement, signature).is_ok())
    })
}

fn ok(body: &Value) -> Response {
    Response::new(StatusCode::OK, body.to_string())
}

/// OAuth's form.
fn refusal(name: &str, words: &str) -> Response {
    let body = json!({ "error": name, "error_description": words });
    Response::new(StatusCode::BAD_REQUEST, body.to_string())
}

/// The form of Google's APIs.
fn error(status: u16, name: &str, words: &str) -> Response {
    let body = json!({ "error": { "code": status, "message": words, "status": name } });
    Response::new(StatusCode::from_u16(status).unwrap_or_default(), body.to_string())
}
