//! Tokens of any OAuth 2.0 server for client credentials (RFC 6749, 4.4; auth.md §7): one for each token endpoint, client,
//! scopes and parameters, on the broker that all clouds share.
//!
//! A client shows itself by HTTP basic authentication, as the RFC prefers; a server that refuses that gets id and secret in the
//! form, and from then on only there. Upstream's library finds out the same way.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keda_scaler::http::{self, ErrorKind, Response, StatusCode, Transport, header, query_escape, shown_url};
use keda_scaler::identity::oauth2::Request;
use keda_scaler::identity::{Principal, Token};
use keda_scaler::{Code, Error, Kind, Secret};
use tokio::time::Instant;

use crate::answer::{Refusal, granted, hidden, quoted, retry_after};
use crate::broker::{self, Flow, Issued};
use crate::problem::{Away, Class, Problem, UNREACHABLE};

/// The life of a token whose server does not say. A destination that refuses it sooner gets a new one.
const UNSAID: Duration = Duration::from_secs(3600);

/// The tokens for client credentials. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Broker {
    tokens: broker::Broker<ClientCredentials>,
}

/// The one call to a token endpoint.
struct ClientCredentials {
    transport: Arc<dyn Transport>,
    timeout: Option<Duration>,
    asked: AtomicU64,
    /// Token endpoints, with the client, that take id and secret in the form only.
    in_form: Mutex<HashSet<(String, String)>>,
}

/// How a client shows itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Basic,
    Form,
}

impl Broker {
    /// A broker that has no token yet. `timeout` is for one call; without one the transport's own applies.
    pub fn new(transport: Arc<dyn Transport>, timeout: Option<Duration>) -> Self {
        let flow =
            ClientCredentials { transport, timeout, asked: AtomicU64::new(0), in_form: Mutex::default() };
        Self { tokens: broker::Broker::new(flow) }
    }

    /// Tokens that were wanted since the start.
    pub fn given(&self) -> u64 {
        self.tokens.given()
    }

    /// Requests to token endpoints since the start.
    pub fn asked(&self) -> u64 {
        self.tokens.flow().asked.load(Ordering::Relaxed)
    }

    /// A valid token, from memory or asked for now.
    ///
    /// # Errors
    /// There is none, and why.
    pub async fn token(&self, request: &Request) -> Result<Token, Error> {
        self.tokens.get(request.clone()).await
    }

    /// A newer token in place of one that was refused; `None` where it was renewed for that a short while ago.
    ///
    /// # Errors
    /// As [`Broker::token`].
    pub async fn renew(&self, request: &Request, refused: &Token) -> Result<Option<Token>, Error> {
        self.tokens.renew(request.clone(), refused).await
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("given", &self.tokens.given()).finish_non_exhaustive()
    }
}

impl Flow for ClientCredentials {
    type Key = Request;
    type Grant = Token;
    const LOGGER: &'static str = "oauth2";

    async fn acquire(&self, key: &Request) -> Result<Issued<Token>, Problem> {
        let place = (key.token_url.clone(), key.client_id.clone());
        let known = self.in_form.lock().unwrap_or_else(PoisonError::into_inner).contains(&place);
        if known {
            return self.ask(key, Style::Form).await.and_then(|asked| asked.token(key));
        }
        let first = self.ask(key, Style::Basic).await?;
        if !matches!(first.response.status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED) {
            return first.token(key);
        }
        let second = self.ask(key, Style::Form).await?;
        if second.response.status.is_success() {
            self.in_form.lock().unwrap_or_else(PoisonError::into_inner).insert(place);
            return second.token(key);
        }
        // Where neither is taken, the answer to what the RFC prefers says more.
        first.token(key)
    }

    fn describe(key: &Request) -> String {
        format!("client {} at {}", key.client_id, shown_url(&key.token_url))
    }

    fn given_up(key: &Request) -> Error {
        let text = format!("no token from {}: the request was given up", shown_url(&key.token_url));
        Error::coded(Kind::Unreachable, Code::OAuth2Unreachable, text, "")
    }
}

/// An answer of a token endpoint.
struct Asked {
    response: Response,
    started: Instant,
}

impl ClientCredentials {
    async fn ask(&self, key: &Request, style: Style) -> Result<Asked, Problem> {
        let scope = key.scopes.join(" ");
        let replaced = key.endpoint_params.iter().any(|(name, _)| name == "grant_type");
        let mut fields = Vec::new();
        if !replaced {
            fields.push(("grant_type", "client_credentials"));
        }
        if !scope.is_empty() {
            fields.push(("scope", scope.as_str()));
        }
        if style == Style::Form {
            fields.push(("client_id", &key.client_id));
            if !key.client_secret.is_empty() {
                fields.push(("client_secret", key.client_secret.expose()));
            }
        }
        fields.extend(key.endpoint_params.iter().map(|(name, value)| (name.as_str(), value.expose())));
        let mut request = http::Request::post_form(key.token_url.as_str(), &fields).tls(key.tls.clone());
        request.timeout = self.timeout;
        if style == Style::Basic {
            let (id, secret) = (query_escape(&key.client_id), query_escape(key.client_secret.expose()));
            if let Some(value) = http::basic(&id, &secret) {
                request.headers.insert(header::AUTHORIZATION, value);
            }
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        let response = self.transport.send(request).await.map_err(|error| unreachable(&error, key))?;
        Ok(Asked { response, started })
    }
}

impl Asked {
    fn token(&self, key: &Request) -> Result<Issued<Token>, Problem> {
        let Self { response, started } = self;
        if !response.status.is_success() {
            return Err(refused(response, key));
        }
        let granted = granted(response).map_err(|why| {
            let text =
                format!("the token endpoint {} answered without a token: {why}", shown_url(&key.token_url));
            Problem::new(Kind::Auth, Code::OAuth2Refused, Class::Temporary { wait: None }, text, "")
        })?;
        let lifetime = granted.lifetime.unwrap_or(UNSAID);
        let principal = Principal { client_id: key.client_id.clone(), ..Principal::default() };
        let grant = Token::new(granted.token, principal, *started + lifetime);
        Ok(Issued { grant, lifetime, refresh_in: None })
    }
}

fn refused(response: &Response, key: &Request) -> Problem {
    let status = response.status.as_u16();
    let mut secrets: Vec<&Secret> = vec![&key.client_secret];
    secrets.extend(key.endpoint_params.iter().map(|(_, value)| value));
    let refusal = Refusal::of(response);
    let words = refusal.shown(&secrets);
    let words = if words.is_empty() { words } else { format!(": {words}") };
    let text = format!(
        "the token endpoint {} answered with status {status}{words}; asked as client {:?} for scopes {:?}",
        shown_url(&key.token_url),
        key.client_id,
        key.scopes.join(" ")
    );
    if status == 429 || status >= 500 {
        let class = Class::Temporary { wait: retry_after(&response.headers) };
        return Problem::new(Kind::Unreachable, Code::OAuth2Failing, class, text, "");
    }
    let advice = match refusal.name.as_str() {
        "invalid_client" | "unauthorized_client" => "check clientID and clientSecret",
        "invalid_scope" => "check scopes",
        "invalid_request" => "check endpointParams: the server may want an audience or a resource",
        _ => "check oauthTokenURI, clientID, clientSecret and scopes",
    };
    Problem::new(Kind::Auth, Code::OAuth2Refused, Class::Wrong, text, advice)
}

fn unreachable(error: &http::Error, key: &Request) -> Problem {
    let text = format!(
        "cannot reach the token endpoint {}: {}",
        shown_url(&key.token_url),
        quoted(&error.to_string())
    );
    let text = hidden(text, &[&key.client_secret]);
    match error.kind() {
        ErrorKind::Request | ErrorKind::Identity => {
            let advice = "check oauthTokenURI, ca, cert and key";
            Problem::new(Kind::Auth, Code::OAuth2Unreachable, Class::Wrong, text, advice)
        }
        _ => AWAY.problem(error, text),
    }
}

const AWAY: Away = Away {
    unknown_ca: (
        Code::OAuth2Unreachable,
        "give the endpoint's CA as ca, or put its certificate into a folder of --ca-dir",
    ),
    slow: Code::OAuth2TokenSlow,
    unreachable: (Code::OAuth2Unreachable, UNREACHABLE),
};
