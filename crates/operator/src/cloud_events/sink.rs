//! Where a source's events go: an HTTP endpoint, or a topic of Azure Event Grid with its credentials.

use std::{sync::Arc, time::Duration};

use keda_api::cloud_event_source::CloudEventSourceSpec;
use keda_auth::{Resolved, Scope};
use keda_core::{
    admission::cloud_events::reference_fault,
    cloud_events::{self, Destination},
};
use keda_scaler::{
    Secret,
    destinations::Mode,
    http::{self, HeaderMap, HeaderName, HeaderValue, Method, Transport, header},
    identity::{
        PodIdentity, Provider, Token, TokenRequest,
        azure::{self, Cloud},
    },
};
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::{
    Context,
    emission::{Emission, Sender},
};

/// How long credentials are used before they are read again: a changed key or authentication reaches the sink by then.
const READ_AGAIN: Duration = Duration::from_secs(60);
/// How long a send waits for a token.
const TOKEN: Duration = Duration::from_secs(10);
/// The longest wait that a receiver may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(300);
/// How much of Event Grid's own words is told.
const WORDS: usize = 256;
/// The field with a topic's address.
const ENDPOINT: &str = "destination.azureEventGridTopic.endpoint";
/// What tokens for Event Grid are asked for.
const SCOPE: &str = "https://eventgrid.azure.net/.default";
/// The version of Event Grid's API that takes CloudEvents.
const API_VERSION: &str = "api-version=2018-01-01";

/// A destination, ready to be sent to.
pub(crate) struct Sink {
    url: String,
    name: &'static str,
    sender: Sender,
    access: Access,
    /// What is said of the place that its credentials are sent to.
    warning: Option<String>,
    made: Instant,
}

enum Access {
    None,
    Key(Secret),
    Token(Box<TokenRequest>),
}

/// Why an event was not delivered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What to tell: no credentials in it.
    pub(crate) text: String,
    /// The receiver does not want this very event.
    pub(crate) refused: bool,
    /// How long the receiver asks to be left alone.
    pub(crate) after: Duration,
}

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Failure { text: text.into(), refused: false, after: Duration::ZERO }
    }
}

impl Sink {
    /// Reads what a spec says, and the credentials that it refers to. `namespace`: `None` for a source of the cluster.
    ///
    /// # Errors
    /// What is wrong with the spec, or with the credentials.
    pub(crate) async fn open(
        context: &Context,
        namespace: Option<&str>,
        spec: &CloudEventSourceSpec,
    ) -> Result<Self, String> {
        let settings = &context.settings;
        let named = spec.cluster_name.as_deref().filter(|name| !name.is_empty());
        let cluster = named.unwrap_or(&settings.cluster_name).to_owned();
        let keda = settings.cluster_object_namespace.as_deref().unwrap_or_default();
        let sender = Sender { source: cloud_events::source(&cluster, keda), cluster };
        let destination = cloud_events::destination(spec)?;
        let (url, access, warning) = match destination {
            Destination::Http(uri) => (uri.to_owned(), Access::None, None),
            Destination::EventGrid(endpoint) => {
                if let Some(fault) = reference_fault(spec, namespace.is_none()) {
                    return Err(fault.to_owned());
                }
                let mut policy = settings.destinations.clone();
                if namespace.is_none() {
                    // Whoever makes a source of the cluster may choose where the cluster's credentials go.
                    policy.mode = Mode::Ignore;
                }
                let scope = Scope {
                    namespace: namespace.unwrap_or_default().to_owned(),
                    cluster_object_namespace: settings.cluster_object_namespace.clone(),
                    files: settings.files.clone(),
                    stores: settings.stores.clone(),
                    bound_token_lifetime: settings.bound_token_lifetime,
                    destinations: policy,
                    ..Scope::default()
                };
                let reference = spec.authentication_ref.as_ref();
                let resolved = keda_auth::resolve(reference, &scope, &context.reader()).await;
                let resolved = resolved.map_err(|error| error.to_string())?;
                let reviewed = resolved.destinations.review_one(ENDPOINT, endpoint);
                let warning = reviewed.map_err(|error| error.to_string())?;
                let access = access(resolved, endpoint)?;
                let mark = if endpoint.contains('?') { '&' } else { '?' };
                (format!("{endpoint}{mark}{API_VERSION}"), access, warning)
            }
        };
        Ok(Sink { url, name: destination.name(), sender, access, warning, made: Instant::now() })
    }

    /// Its name in metrics.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// What its owner should know.
    pub(crate) fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Whether its credentials should be read again before it is used. `failing`: it did not take the last event.
    pub(crate) fn is_stale(&self, failing: bool) -> bool {
        !matches!(self.access, Access::None) && (failing || self.made.elapsed() >= READ_AGAIN)
    }

    /// Sends one event, once.
    ///
    /// # Errors
    /// It was not taken, as far as one can know.
    pub(crate) async fn send(&self, context: &Context, emission: &Emission) -> Result<(), Failure> {
        let mut request = http::Request::get(self.url.clone());
        request.method = Method::POST;
        match &self.access {
            Access::None => {
                let (headers, body) = emission.binary(&self.sender);
                request.headers = headers;
                request.body = body.into();
            }
            Access::Key(_) | Access::Token(_) => {
                let kind = "application/cloudevents-batch+json; charset=utf-8";
                request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
                request.body = emission.batch(&self.sender).into();
            }
        }
        let token = self.authenticate(context, &mut request.headers).await?;
        let response = self.exchange(context, request.clone()).await?;
        if response.status != http::StatusCode::UNAUTHORIZED {
            return self.judge(&request, &response);
        }
        let (Access::Token(wanted), Some(refused)) = (&self.access, token) else {
            return self.judge(&request, &response);
        };
        // The token may have been revoked: a new one is worth one more try.
        let renewed = timeout(TOKEN, context.environment.tokens.renew(wanted, &refused)).await;
        let Ok(Ok(Some(token))) = renewed else { return self.judge(&request, &response) };
        put_token(&mut request.headers, &token)?;
        let response = self.exchange(context, request.clone()).await?;
        self.judge(&request, &response)
    }

    async fn authenticate(
        &self,
        context: &Context,
        headers: &mut HeaderMap,
    ) -> Result<Option<Token>, Failure> {
        match &self.access {
            Access::None => Ok(None),
            Access::Key(key) => {
                let value = http::sensitive(key.expose())
                    .ok_or_else(|| Failure::new("accessKey cannot be sent as a header"))?;
                headers.insert(HeaderName::from_static("aeg-sas-key"), value);
                Ok(None)
            }
            Access::Token(wanted) => {
                let token = timeout(TOKEN, context.environment.tokens.token(wanted)).await;
                let token = token
                    .map_err(|_| Failure::new(format!("no token for Event Grid within {TOKEN:?}")))?
                    .map_err(|error| Failure::new(error.to_string()))?;
                put_token(headers, &token)?;
                Ok(Some(token))
            }
        }
    }

    async fn exchange(&self, context: &Context, request: http::Request) -> Result<http::Response, Failure> {
        let sent = context.environment.http.send(request).await;
        sent.map_err(|error| Failure::new(error.to_string()))
    }

    fn judge(&self, request: &http::Request, response: &http::Response) -> Result<(), Failure> {
        let status = response.status;
        if status.is_success() {
            return Ok(());
        }
        let mut text = format!("{}: answered {status}", request.describe());
        if status.is_redirection() {
            text.push_str(", redirects are not followed");
        }
        if let Some(words) = self.words(&response.body) {
            text.push_str(": ");
            text.push_str(&words);
        }
        Err(Failure {
            text,
            refused: matches!(status.as_u16(), 400 | 413 | 415 | 422),
            after: asked_wait(&response.headers),
        })
    }

    /// What Event Grid says. Of other receivers nothing is told but the status: a condition is no way to read from
    /// places that only the operator reaches.
    fn words(&self, body: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        struct Answer {
            error: Said,
        }
        #[derive(Deserialize)]
        struct Said {
            message: String,
        }
        if matches!(self.access, Access::None) {
            return None;
        }
        let answer: Answer = serde_json::from_slice(body).ok()?;
        let mut words = answer.error.message;
        if let Access::Key(key) = &self.access {
            words = key.hide_in(&words).unwrap_or(words);
        }
        words.truncate(words.floor_char_boundary(WORDS));
        Some(words)
    }
}

/// The access that an authentication gives: upstream's rules (`pkg/eventemitter/azure_event_grid_topic_handler.go`).
fn access(resolved: Resolved, endpoint: &str) -> Result<Access, String> {
    let Resolved { mut params, pod_identity, .. } = resolved;
    match pod_identity.provider {
        Provider::None => match params.remove("accessKey").filter(|key| !key.is_empty()) {
            Some(key) => Ok(Access::Key(key)),
            None => {
                Err("no azure event grid access key provided: the authentication has no accessKey".to_owned())
            }
        },
        Provider::AzureWorkload => Ok(Access::Token(Box::new(token_request(pod_identity, endpoint)))),
        _ => {
            let provider = pod_identity.provider().unwrap_or("none").to_owned();
            Err(format!("incorrect auth provided: podIdentity {provider} is of no use to Event Grid"))
        }
    }
}

/// What token a topic takes; its name says in which cloud it is.
fn token_request(identity: PodIdentity, endpoint: &str) -> TokenRequest {
    let host =
        endpoint.split("://").nth(1).unwrap_or_default().split(['/', ':', '?']).next().unwrap_or_default();
    let cloud = match host.rsplit_once(".azure.").map(|(_, cloud)| cloud) {
        Some("us") => Cloud::UsGovernment,
        Some("cn") => Cloud::China,
        _ => Cloud::Public,
    };
    azure::Request { identity, scope: SCOPE.to_owned(), cloud }.into()
}

fn put_token(headers: &mut HeaderMap, token: &Token) -> Result<(), Failure> {
    let value = token.authorization().ok_or_else(|| Failure::new("the token cannot be sent as a header"))?;
    headers.insert(header::AUTHORIZATION, value);
    Ok(())
}

/// `Retry-After` in seconds, within reason.
fn asked_wait(headers: &HeaderMap) -> Duration {
    let asked = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = asked.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    Duration::from_secs(seconds).min(LONGEST_ASKED)
}

/// A sink that several sends share.
pub(crate) type Shared = Arc<Sink>;
