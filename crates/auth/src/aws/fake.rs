//! AWS in memory, as one transport: STS, the node's metadata service, the agent of EKS Pod Identity, Secrets Manager, and a workspace of
//! Amazon Managed Service for Prometheus. Tests scale on it.
//!
//! Every signature is verified, with the secret that belongs to the access key's id and for the service's own name and region; who signs with
//! credentials that nobody issued, or that have expired, hears what AWS says. Roles have trust policies. Everything else is denied.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keda_scaler::Clock;
use keda_scaler::aws::{Credentials, Keys, Signing, verify};
use keda_scaler::http::{self, ErrorKind, Method, Request, Response, StatusCode, Transport, header};
use serde_json::{Value, json};

use crate::claims::Claims;

mod services;

/// The account of everything here.
pub const ACCOUNT: &str = "111122223333";
/// The region of everything here.
pub const REGION: &str = "eu-west-1";
/// The operator's own role.
pub const OPERATOR: &str = "arn:aws:iam::111122223333:role/keda-operator";
/// A role for tenants.
pub const SHOP: &str = "arn:aws:iam::111122223333:role/shop";
/// The issuer of ServiceAccount tokens, which the account knows.
pub const ISSUER: &str = "https://oidc.eks.eu-west-1.amazonaws.com/id/ABCDEF";
/// The subject of the operator's tokens.
pub const SUBJECT: &str = "system:serviceaccount:keda:keda-operator";
/// The workspace's address.
pub const WORKSPACE: &str = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1234";
/// The agent of EKS Pod Identity.
pub const AGENT: &str = "http://169.254.170.23/v1/credentials";
/// The token that the agent wants.
pub const AGENT_TOKEN: &str = "s3cret-agent-token";

/// An unsigned ServiceAccount token as a cluster makes it, valid until `expires` (seconds since 1970) or for ever.
pub fn service_account_token(issuer: &str, subject: &str, expires: Option<i64>) -> String {
    let mut claims = json!({ "iss": issuer, "sub": subject, "aud": ["sts.amazonaws.com"] });
    if let Some(second) = expires {
        claims["exp"] = second.into();
    }
    let part = |value: &str| BASE64_URL_SAFE_NO_PAD.encode(value);
    format!("{}.{}.{}", part(r#"{"alg":"none"}"#), part(&claims.to_string()), part("s3cret-signature"))
}

/// What AWS answers instead of judging.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Answer {
    /// A status with a code of STS.
    Refuses(u16, &'static str),
    /// No connection, with this cause.
    Unreachable(&'static str),
    /// Nothing at all.
    Silent,
}

/// Whom a role trusts.
#[derive(Debug, Clone, Default)]
struct Trust {
    /// Subjects of web identity tokens.
    subjects: BTreeSet<String>,
    /// ARNs of roles, each with the external id that it has to give.
    roles: BTreeMap<String, Option<String>>,
}

/// All of it. Clones are the same.
#[derive(Clone)]
pub struct Aws {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    clock: Clock,
    trusts: BTreeMap<String, Trust>,
    /// Who is behind an access key's id: the credentials, the ARN, and the second at which they end.
    issued: BTreeMap<String, (Credentials, String, i64)>,
    permissions: BTreeSet<(String, String)>,
    secrets: BTreeMap<String, Value>,
    instance_profile: Option<String>,
    agent: Option<String>,
    scripted: VecDeque<Answer>,
    always: Option<Answer>,
    lifetime: Duration,
    value: f64,
    sts: Vec<BTreeMap<String, String>>,
    hosts: BTreeSet<String>,
    signed: u64,
    made: u64,
}

impl Aws {
    /// An account in which nobody trusts anybody, on a node without an instance profile.
    pub fn new(clock: Clock) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                clock,
                trusts: BTreeMap::new(),
                issued: BTreeMap::new(),
                permissions: BTreeSet::new(),
                secrets: BTreeMap::new(),
                instance_profile: None,
                agent: None,
                scripted: VecDeque::new(),
                always: None,
                lifetime: Duration::from_secs(3600),
                value: 0.0,
                sts: Vec::new(),
                hosts: BTreeSet::new(),
                signed: 0,
                made: 0,
            })),
        }
    }

    /// Lets the ServiceAccount of a subject assume a role.
    pub fn trust_subject(&self, role: &str, subject: &str) {
        self.lock().trusts.entry(role.to_owned()).or_default().subjects.insert(subject.to_owned());
    }

    /// Lets a role assume a role, with an external id.
    pub fn trust_role(&self, role: &str, by: &str, external_id: Option<&str>) {
        let external_id = external_id.map(str::to_owned);
        self.lock().trusts.entry(role.to_owned()).or_default().roles.insert(by.to_owned(), external_id);
    }

    /// A user's access key, which does not expire.
    pub fn key(&self, arn: &str, keys: &Keys) {
        self.lock().issued.insert(keys.id.clone(), (Credentials::of(keys), arn.to_owned(), i64::MAX));
    }

    /// Allows a role or user an action.
    pub fn allow(&self, arn: &str, action: &str) {
        self.lock().permissions.insert((arn.to_owned(), action.to_owned()));
    }

    /// The node's instance profile.
    pub fn instance_profile(&self, role: Option<&str>) {
        self.lock().instance_profile = role.map(str::to_owned);
    }

    /// The role that EKS Pod Identity gives to the operator's pod.
    pub fn pod_identity(&self, role: Option<&str>) {
        self.lock().agent = role.map(str::to_owned);
    }

    /// A secret, as `GetSecretValue` answers it.
    pub fn secret(&self, name: &str, answer: Value) {
        self.lock().secrets.insert(name.to_owned(), answer);
    }

    /// The next answers of STS, metadata service and agent.
    pub fn then(&self, answers: impl IntoIterator<Item = Answer>) {
        self.lock().scripted.extend(answers);
    }

    /// Every answer of STS, metadata service and agent from now on, or their own judgement again.
    pub fn always(&self, answer: Option<Answer>) {
        self.lock().always = answer;
    }

    /// How long credentials live from now on; an hour by default.
    pub fn lifetime(&self, lifetime: Duration) {
        self.lock().lifetime = lifetime;
    }

    /// Nothing that was issued so far is known any more.
    pub fn revoke(&self) {
        self.lock().issued.clear();
    }

    /// The value of every query.
    pub fn value(&self, value: f64) {
        self.lock().value = value;
    }

    /// The forms of all requests to STS so far.
    pub fn sts_requests(&self) -> Vec<BTreeMap<String, String>> {
        self.lock().sts.clone()
    }

    /// Every host that was asked anything.
    pub fn hosts(&self) -> Vec<String> {
        self.lock().hosts.iter().cloned().collect()
    }

    /// How many requests to services were signed well.
    pub fn signed(&self) -> u64 {
        self.lock().signed
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Aws {
    async fn send(&self, request: Request) -> Result<Response, http::Error> {
        let host = request.url.split('/').nth(2).unwrap_or_default().to_owned();
        self.lock().hosts.insert(host.clone());
        let issuer = host.starts_with("sts.") || host.starts_with("169.254.");
        if host.starts_with("sts.") {
            let form = form(&request);
            self.lock().sts.push(form);
        }
        let scripted = {
            let mut inner = self.lock();
            if issuer { inner.scripted.pop_front().or_else(|| inner.always.clone()) } else { None }
        };
        match scripted {
            Some(Answer::Refuses(status, code)) => Ok(refusal(status, code, "Something is wrong.")),
            Some(Answer::Unreachable(why)) => {
                let text = format!("{}: cannot connect: {why}", request.describe());
                Err(http::Error::new(ErrorKind::Connect, text))
            }
            Some(Answer::Silent) => std::future::pending().await,
            None => self.lock().judge(&host, &request),
        }
    }
}

impl Inner {
    fn judge(&mut self, host: &str, request: &Request) -> Result<Response, http::Error> {
        let service = host.split('.').next().unwrap_or_default();
        match service {
            "sts" => Ok(self.sts(request)),
            "secretsmanager" => Ok(self.secrets_manager(request)),
            "aps-workspaces" => Ok(self.workspace(request)),
            "169" if host == "169.254.169.254" => self.metadata(request),
            "169" if host == "169.254.170.23" => Ok(self.agent(request)),
            _ => {
                let text = format!("{}: cannot connect: no such host", request.describe());
                Err(http::Error::new(ErrorKind::Connect, text))
            }
        }
    }

    fn sts(&mut self, request: &Request) -> Response {
        let form = form(request);
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let role = field("RoleArn");
        let trust = self.trusts.get(role).cloned().unwrap_or_default();
        match field("Action") {
            "AssumeRoleWithWebIdentity" => {
                let token = field("WebIdentityToken");
                let Some(claims) = Claims::of(token) else {
                    return refusal(400, "InvalidIdentityToken", "The ID Token provided is not a valid JWT.");
                };
                if claims.issuer != ISSUER {
                    let words =
                        format!("No OpenIDConnect provider found in your account for {}", claims.issuer);
                    return refusal(400, "InvalidIdentityToken", &words);
                }
                if claims.expires.is_some_and(|expires| expires <= self.clock.now()) {
                    // A careless server repeats what it was sent.
                    let words =
                        format!("Token expired: current date/time must be before the expiration: {token}");
                    return refusal(400, "ExpiredTokenException", &words);
                }
                if !trust.subjects.contains(&claims.subject) || claims.audience != "sts.amazonaws.com" {
                    let words = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
                    return refusal(403, "AccessDenied", words);
                }
            }
            "AssumeRole" => {
                let caller = match self.caller(request, "sts") {
                    Ok(caller) => caller,
                    Err(response) => return *response,
                };
                let external_id = form.get("ExternalId");
                let trusted = trust.roles.get(&caller);
                if !trusted.is_some_and(|wanted| wanted.is_none() || wanted.as_ref() == external_id) {
                    let name = caller.rsplit('/').next().unwrap_or_default();
                    let words = format!(
                        "User: arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{} is not authorized to perform: sts:AssumeRole on \
                         resource: {role}",
                        field("RoleSessionName")
                    );
                    return refusal(403, "AccessDenied", &words);
                }
            }
            action => return refusal(400, "InvalidAction", &format!("Could not find operation {action}")),
        }
        let (credentials, expires) = self.issue(role);
        let token =
            credentials.session_token.as_ref().map(|token| token.expose().to_owned()).unwrap_or_default();
        let action = field("Action");
        Response::new(
            StatusCode::OK,
            format!(
                "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <{action}Result>\n    <Credentials>\n      \
                 <AccessKeyId>{}</AccessKeyId>\n      <SecretAccessKey>{}</SecretAccessKey>\n      \
                 <SessionToken>{token}</SessionToken>\n      <Expiration>{expires}</Expiration>\n    </Credentials>\n  \
                 </{action}Result>\n</{action}Response>",
                credentials.access_key_id,
                credentials.secret_access_key.expose()
            ),
        )
    }

    /// New credentials of a role.
    fn issue(&mut self, role: &str) -> (Credentials, String) {
        self.made += 1;
        let number = self.made;
        let ends = self.clock.now() + self.lifetime;
        let credentials = Credentials {
            access_key_id: format!("ASIA{number:012}"),
            secret_access_key: format!("s3cret/access+key/{number}").into(),
            session_token: Some(format!("s3cret/session+token/{number}==").into()),
            expires: None,
            principal: role.to_owned(),
        };
        let entry = (credentials.clone(), role.to_owned(), ends.as_second());
        self.issued.insert(credentials.access_key_id.clone(), entry);
        let ends = ends.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        (credentials, ends)
    }

    /// Who signed a request to a service.
    fn caller(&mut self, request: &Request, service: &str) -> Result<String, Box<Response>> {
        let authorization = request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let id = authorization.and_then(|text| text.split_once("Credential=")?.1.split('/').next());
        let Some(id) = id else {
            return Err(Box::new(self.refuse(
                request,
                403,
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            )));
        };
        let Some((credentials, arn, ends)) = self.issued.get(id).cloned() else {
            let words = "The security token included in the request is invalid.";
            return Err(Box::new(self.refuse(request, 403, "UnrecognizedClientException", words)));
        };
        if ends <= self.clock.now().as_second() {
            let words = "The security token included in the request is expired";
            return Err(Box::new(self.refuse(request, 403, "ExpiredTokenException", words)));
        }
        match verify(request, &credentials, Signing { service, region: REGION }) {
            Ok(()) => {
                self.signed += 1;
                Ok(arn)
            }
            Err(code) => {
                let words = "The request signature we calculated does not match the signature you provided.";
                Err(Box::new(self.refuse(request, 403, code, words)))
            }
        }
    }

    /// An error in the protocol that was spoken.
    fn refuse(&self, request: &Request, status: u16, code: &str, words: &str) -> Response {
        match request.url.contains("://sts.") {
            true => refusal(status, code.trim_end_matches("Exception"), words),
            false => {
                let body = json!({ "__type": code, "message": words });
                Response::new(StatusCode::from_u16(status).unwrap_or_default(), body.to_string())
            }
        }
    }
}

/// An error document of STS.
fn refusal(status: u16, code: &str, words: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    if status.is_server_error() {
        return Response::new(status, "<html>Service Unavailable</html>");
    }
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{words}</Message></Error><RequestId>0000-1111</RequestId></ErrorResponse>"
    );
    Response::new(status, body)
}

/// A form's fields.
fn form(request: &Request) -> BTreeMap<String, String> {
    form_urlencoded::parse(&request.body).map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}
