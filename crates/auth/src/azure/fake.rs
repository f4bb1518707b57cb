//! A login host and an Azure Monitor workspace in memory, as one transport: what tests scale on.
//!
//! The login host knows tenants, identities and their federated credentials, and says what Entra says where they do not
//! fit. The workspace takes its tokens only, wants a role, and answers a number. Nothing is signed here: that real
//! tokens verify is shown against a real API server elsewhere.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keda_scaler::http::{self, ErrorKind, Method, Request, Response, StatusCode, Transport, header};
use serde_json::{Value, json};

use crate::claims::Claims;

/// The issuer of every federated token here.
pub const ISSUER: &str = "https://oidc.example/cluster/";
/// The tenant that exists.
pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";
/// An identity in it.
pub const CLIENT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
/// The object id of every identity.
pub const OBJECT: &str = "99999999-8888-7777-6666-555555555555";
/// The workspace's query endpoint.
pub const WORKSPACE: &str = "https://shop.westeurope.prometheus.monitor.azure.com";
/// Its resource.
pub const RESOURCE: &str =
    "/subscriptions/0000/resourceGroups/shop/providers/microsoft.monitor/accounts/shop";

/// An unsigned token as a cluster makes it, valid until `expires` (seconds since 1970) or for ever.
pub fn federated_token(subject: &str, audience: &str, expires: Option<i64>) -> String {
    let mut claims = json!({ "iss": ISSUER, "sub": subject, "aud": [audience] });
    if let Some(second) = expires {
        claims["exp"] = second.into();
    }
    unsigned(&claims)
}

fn unsigned(claims: &Value) -> String {
    let part = |value: &str| BASE64_URL_SAFE_NO_PAD.encode(value);
    format!("{}.{}.{}", part(r#"{"alg":"none"}"#), part(&claims.to_string()), part("s3cret-signature"))
}

/// What the login host answers instead of judging.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Answer {
    /// A status with a number of AADSTS, or without.
    Refuses(u16, Option<u64>),
    /// 429 with Retry-After in seconds.
    Throttles(u64),
    /// No connection, with this cause.
    Unreachable(String),
    /// Nothing at all.
    Silent,
}

/// The two of them. Clones are the same.
#[derive(Clone, Default)]
pub struct Azure {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// Client ids, each with issuer, subject and audience of its credentials.
    identities: BTreeMap<String, BTreeSet<(String, String, String)>>,
    scripted: VecDeque<Answer>,
    every_other: bool,
    always: Option<Answer>,
    lifetime: Option<Duration>,
    revoked: BTreeSet<String>,
    roles: BTreeSet<String>,
    workspace: Option<(u16, String)>,
    value: f64,
    issued: u64,
    token_requests: Vec<BTreeMap<String, String>>,
    hosts: BTreeSet<String>,
    queries: u64,
}

impl Azure {
    /// A tenant with one identity, which has no credential and no role yet.
    pub fn new() -> Self {
        let azure = Self::default();
        azure.lock().identities.insert(CLIENT.to_owned(), BTreeSet::new());
        azure
    }

    /// Adds a federated credential to an identity, which is made where it does not exist.
    pub fn federate(&self, client: &str, subject: &str) {
        self.federate_as(client, ISSUER, subject, "api://AzureADTokenExchange");
    }

    /// The same with issuer and audience.
    pub fn federate_as(&self, client: &str, issuer: &str, subject: &str, audience: &str) {
        let credential = (issuer.to_owned(), subject.to_owned(), audience.to_owned());
        self.lock().identities.entry(client.to_owned()).or_default().insert(credential);
    }

    /// Gives an identity the role on the workspace.
    pub fn grant(&self, client: &str) {
        self.lock().roles.insert(client.to_owned());
    }

    /// The next answers of the login host.
    pub fn then(&self, answers: impl IntoIterator<Item = Answer>) {
        self.lock().scripted.extend(answers);
    }

    /// Every answer of the login host from now on, or its own judgement again.
    pub fn always(&self, answer: Option<Answer>) {
        self.lock().always = answer;
    }

    /// Whether every other token request fails with 503 from now on.
    pub fn every_other_fails(&self, fails: bool) {
        self.lock().every_other = fails;
    }

    /// How long tokens live from now on; an hour by default.
    pub fn lifetime(&self, lifetime: Duration) {
        self.lock().lifetime = Some(lifetime);
    }

    /// The workspace refuses every token issued so far with 401.
    pub fn revoke(&self) {
        let mut inner = self.lock();
        let issued = inner.issued;
        inner.revoked.extend((1..=issued).map(|number| number.to_string()));
    }

    /// What the workspace answers to good tokens: a status with a body instead of the value.
    pub fn workspace(&self, answer: Option<(u16, &str)>) {
        self.lock().workspace = answer.map(|(status, body)| (status, body.to_owned()));
    }

    /// The value of every query.
    pub fn value(&self, value: f64) {
        self.lock().value = value;
    }

    /// The forms of all token requests so far.
    pub fn token_requests(&self) -> Vec<BTreeMap<String, String>> {
        self.lock().token_requests.clone()
    }

    /// Every host that was asked anything.
    pub fn hosts(&self) -> Vec<String> {
        self.lock().hosts.iter().cloned().collect()
    }

    /// Queries that reached the workspace.
    pub fn queries(&self) -> u64 {
        self.lock().queries
    }

    /// The workspace's refusal of a query; `None` if it would answer.
    pub fn refusal(&self, query: &Request) -> Option<Response> {
        let response = self.lock().query(query);
        (!response.status.is_success()).then_some(response)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Azure {
    async fn send(&self, request: Request) -> Result<Response, http::Error> {
        let rest = request.url.trim_start_matches("https://");
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        self.lock().hosts.insert(host.to_owned());
        if request.method != Method::POST {
            return Ok(self.lock().query(&request));
        }
        let form: BTreeMap<String, String> = pairs(&String::from_utf8_lossy(&request.body));
        let scripted = {
            let mut inner = self.lock();
            inner.token_requests.push(form.clone());
            let odd = inner.token_requests.len() % 2 == 1;
            let failing = (inner.every_other && odd).then_some(Answer::Refuses(503, None));
            inner.scripted.pop_front().or_else(|| inner.always.clone()).or(failing)
        };
        match scripted {
            None => Ok(self.lock().login(path, &form)),
            Some(Answer::Refuses(status, number)) => Ok(refusal(status, number, "", &form)),
            Some(Answer::Throttles(seconds)) => {
                let mut response = refusal(429, Some(90_055), "TenantThrottlingError", &form);
                response.headers.insert(header::RETRY_AFTER, seconds.into());
                Ok(response)
            }
            Some(Answer::Unreachable(why)) => {
                let text = format!("{}: cannot connect: {why}", request.describe());
                Err(http::Error::new(ErrorKind::Connect, text))
            }
            Some(Answer::Silent) => std::future::pending().await,
        }
    }
}

impl Inner {
    /// Judges a token request as Entra does.
    fn login(&mut self, path: &str, form: &BTreeMap<String, String>) -> Response {
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let tenant = path.split('/').next().unwrap_or_default();
        if !path.ends_with("/oauth2/v2.0/token") {
            return Response::new(StatusCode::NOT_FOUND, "");
        }
        if tenant != TENANT {
            let words =
                format!("Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.");
            return refusal(400, Some(90_002), &words, form);
        }
        let client = field("client_id");
        let Some(credentials) = self.identities.get(client) else {
            let words =
                format!("Application with identifier '{client}' was not found in the directory 'Contoso'.");
            return refusal(400, Some(700_016), &words, form);
        };
        let Some(claims) = Claims::of(field("client_assertion")) else {
            return refusal(401, Some(50_027), "JWT token is invalid or malformed.", form);
        };
        let matches = |(issuer, subject, audience): &(String, String, String)| {
            [*issuer == claims.issuer, *subject == claims.subject, *audience == claims.audience]
        };
        if !credentials.iter().any(|credential| matches(credential) == [true; 3]) {
            let any = |at: usize| credentials.iter().any(|credential| matches(credential)[at]);
            let (number, what) = match () {
                () if credentials.is_empty() => (70_021, String::new()),
                () if !any(0) => (700_211, format!(" issuer '{}'", claims.issuer)),
                () if !any(1) => (700_213, format!(" subject '{}'", claims.subject)),
                () => (700_212, format!(" audience '{}'", claims.audience)),
            };
            let words = format!("No matching federated identity record found for presented assertion{what}.");
            return refusal(401, Some(number), &words, form);
        }
        self.issued += 1;
        let lifetime = self.lifetime.unwrap_or(Duration::from_secs(3599)).as_secs();
        let access = unsigned(&json!({
            "oid": OBJECT, "appid": client, "jti": self.issued.to_string(),
            "aud": field("scope").trim_end_matches("/.default"),
        }));
        let body = json!({ "token_type": "Bearer", "expires_in": lifetime, "access_token": access });
        Response::new(StatusCode::OK, body.to_string())
    }

    /// Judges a query as a workspace does.
    fn query(&mut self, request: &Request) -> Response {
        self.queries += 1;
        let token = request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let payload = token.and_then(|token| {
            let payload = token.strip_prefix("Bearer ")?.split('.').nth(1)?;
            serde_json::from_slice::<Value>(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
        });
        let payload = payload.unwrap_or_default();
        let text = |name: &str| payload[name].as_str().unwrap_or_default().to_owned();
        if !text("aud").contains("prometheus.monitor") || self.revoked.contains(&text("jti")) {
            return Response::new(StatusCode::UNAUTHORIZED, "Unauthorized");
        }
        let client = text("appid");
        if !self.roles.contains(&client) {
            let words = format!(
                "The client '{client}' with object id '{OBJECT}' does not have authorization to perform action \
                 'microsoft.monitor/accounts/data/metrics/read' over scope '{RESOURCE}'"
            );
            let body = json!({ "error": { "code": "AuthorizationFailed", "message": words } });
            return Response::new(StatusCode::FORBIDDEN, body.to_string());
        }
        if let Some((status, body)) = &self.workspace {
            return Response::new(StatusCode::from_u16(*status).unwrap_or_default(), body.clone());
        }
        let value = self.value.to_string();
        let result = json!([{ "metric": {}, "value": [1, value] }]);
        let body = json!({ "status": "success", "data": { "resultType": "vector", "result": result } });
        Response::new(StatusCode::OK, body.to_string())
    }
}

/// An error document. It repeats the assertion, as a careless server would.
fn refusal(status: u16, number: Option<u64>, words: &str, form: &BTreeMap<String, String>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    let Some(number) = number else { return Response::new(status, "<html>Service Unavailable</html>") };
    let words = if words.is_empty() { "Something is wrong." } else { words };
    let assertion = form.get("client_assertion").map(String::as_str).unwrap_or_default();
    let body = json!({
        "error": "invalid_client",
        "error_description": format!(
            "AADSTS{number}: {words} Trace ID: 0000-1111 Correlation ID: 2222-3333 Timestamp: 2026-11-24 10:00:00Z {assertion}"
        ),
        "error_codes": [number],
    });
    Response::new(status, body.to_string())
}

/// A form's fields.
pub(crate) fn pairs(form: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let bytes = text.replace('+', " ").into_bytes();
        let mut decoded = Vec::with_capacity(bytes.len());
        let mut rest = bytes.as_slice();
        while let [first, tail @ ..] = rest {
            let escaped = match (first, tail) {
                (b'%', [high, low, ..]) => {
                    u8::from_str_radix(&String::from_utf8_lossy(&[*high, *low]), 16).ok()
                }
                _ => None,
            };
            decoded.push(escaped.unwrap_or(*first));
            rest = if escaped.is_some() { &tail[2..] } else { tail };
        }
        String::from_utf8_lossy(&decoded).into_owned()
    };
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}
