//! From a connection to an answer: probes, who, may they, what.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderValue, Method, Request, StatusCode};
use keda_api::GoDuration;
use keda_telemetry::{
    http::Checks,
    metrics::{self, CONTENT_TYPE},
};
use keda_tls::Incoming;
use percent_encoding::percent_decode_str;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    authn::{Authenticator, Client},
    authz::{Authorizer, Decision, Wish},
    discovery::{Document, Documents},
    form::Form,
    request::Source,
    samples::Of,
    selector,
    status::{Answer, Status, answer, text_answer},
};

const METRICS_OF_NAMESPACES: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/";
/// How long a client may take to send its headers.
const HEADERS: Duration = Duration::from_secs(10);

/// Everything a request can need.
pub(crate) struct App {
    pub(crate) authenticator: Authenticator,
    pub(crate) authorizer: Authorizer,
    pub(crate) source: Source,
    pub(crate) documents: Documents,
    /// Probes by name: `healthz`, `livez`, `readyz`.
    pub(crate) probes: Vec<(&'static str, Checks)>,
    pub(crate) metrics: Arc<metrics::Adapter>,
    /// Free places for requests for metrics.
    pub(crate) places: Semaphore,
}

/// What clients may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Streams of one HTTP/2 connection.
    pub(crate) http2_max_streams: u32,
    /// Open connections.
    pub(crate) connections: usize,
    /// Time of one request in all.
    pub(crate) request: Duration,
}

/// Accepts until `shutdown`; what is open then has a few seconds more.
pub(crate) async fn accept(app: Arc<App>, incoming: Incoming, limits: Limits, shutdown: &CancellationToken) {
    let connections = keda_tls::Limits {
        connections: limits.connections,
        headers: HEADERS,
        http2_max_streams: limits.http2_max_streams,
    };
    keda_tls::serve(incoming, connections, shutdown.cancelled(), |peer| {
        let (app, client) = (app.clone(), Arc::new(Client::new(peer.clone())));
        move |request| {
            let (app, client) = (app.clone(), client.clone());
            async move { app.answer_within(limits.request, &client, &request).await }
        }
    })
    .await;
}

/// What a path leads to.
enum Route {
    /// Namespace and metric.
    Metric(String, String),
    Document(Document),
    /// `/metrics`.
    OwnMetrics,
    /// A probe's place in the list, and the single check.
    Probe(usize, Option<String>),
    Nothing,
}

impl App {
    /// An API server that is slow to say who a caller is must not keep callers for ever.
    async fn answer_within<B>(&self, limit: Duration, client: &Client, request: &Request<B>) -> Answer {
        let answer = tokio::time::timeout(limit, self.answer(client, request)).await;
        answer.unwrap_or_else(|_| {
            Status::timeout().answer(Form::wanted(request.headers(), Form::ALL).unwrap_or(Form::Json))
        })
    }

    async fn answer<B>(&self, client: &Client, request: &Request<B>) -> Answer {
        match self.try_answer(client, request).await {
            Ok(answer) => answer,
            Err(status) => status.answer(Form::wanted(request.headers(), Form::ALL).unwrap_or(Form::Json)),
        }
    }

    async fn try_answer<B>(&self, client: &Client, request: &Request<B>) -> Result<Answer, Status> {
        let path = request.uri().path();
        let route = self.route(path);
        if let Route::Probe(..) = route
            && self.authorizer.is_open(path)
        {
            return self.page(&route, request);
        }
        let began = Instant::now();
        if let Route::Metric(namespace, metric) = &route {
            let outcome = self.metric(client, request, namespace, metric).await;
            let code = outcome.as_ref().map_or_else(|status| status.code, |_| StatusCode::OK);
            self.metrics.request(code.as_u16(), began.elapsed().as_secs_f64());
            return outcome;
        }
        let user = self.authenticator.user(client, request.headers()).await;
        let user = user.map_err(|_| Status::unauthorized())?;
        let verb = request.method().as_str().to_ascii_lowercase();
        let wish = Wish::Path { verb: &verb, path };
        match self.authorizer.decide(&user, wish).await {
            Ok(Decision::Allowed) => self.page(&route, request),
            Ok(Decision::Denied(reason)) => Err(Status::forbidden(&wish.refusal(&user, &reason), None)),
            Err(error) => Err(cannot_decide(path, &error)),
        }
    }

    async fn metric<B>(
        &self,
        client: &Client,
        request: &Request<B>,
        namespace: &str,
        metric: &str,
    ) -> Result<Answer, Status> {
        let user = self.authenticator.user(client, request.headers()).await;
        let user = user.map_err(|_| Status::unauthorized())?;
        let _place = self.places.try_acquire().map_err(|_| Status::too_many_requests())?;
        let query = request.uri().query().unwrap_or_default();
        let (mut selector, mut watch, mut timeout) = (None, false, None);
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "labelSelector" => selector = selector.or(Some(value)),
                "timeout" if !value.is_empty() => timeout = timeout.or(Some(value)),
                "watch" => watch = watch || matches!(&*value, "true" | "1"),
                _ => {}
            }
        }
        let verb = match *request.method() {
            Method::GET | Method::HEAD if watch => "watch",
            Method::GET | Method::HEAD => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "deletecollection",
            _ => "",
        };
        let wish = Wish::Metric { verb, namespace, metric };
        match self.authorizer.decide(&user, wish).await {
            Ok(Decision::Allowed) => {}
            Ok(Decision::Denied(reason)) => {
                return Err(Status::forbidden(&wish.refusal(&user, &reason), Some(metric)));
            }
            Err(error) => return Err(cannot_decide(request.uri().path(), &error)),
        }
        if request.method() != Method::GET || watch {
            return Err(Status::method_not_allowed());
        }
        let form =
            Form::wanted(request.headers(), Form::ALL).ok_or_else(|| Status::not_acceptable(Form::ALL))?;
        let limit = timeout.map_or(Ok(None), |timeout| limit(&timeout))?;
        let object = selector::scaled_object(&selector.unwrap_or_default())?;
        let of = Of { namespace, object: &object, metric };
        let json = self.source.values(of, limit).await?;
        Ok(answer(StatusCode::OK, form.content_type(), form.of(&json).map_err(Status::internal)?))
    }

    fn page<B>(&self, route: &Route, request: &Request<B>) -> Result<Answer, Status> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) && !matches!(route, Route::Nothing) {
            return Err(Status::method_not_allowed());
        }
        match route {
            Route::Document(document) => Ok(self.documents.answer(*document, request.headers())),
            Route::OwnMetrics => {
                let page = self.metrics.registry().render();
                Ok(answer(StatusCode::OK, HeaderValue::from_static(CONTENT_TYPE), page))
            }
            Route::Probe(at, one) => {
                let (name, checks) = &self.probes[*at];
                let (status, text) = checks
                    .answer(name, one.as_deref(), request.uri().query())
                    .ok_or_else(Status::no_such_path)?;
                Ok(text_answer(status, text))
            }
            Route::Metric(..) | Route::Nothing => Err(Status::no_such_path()),
        }
    }

    fn route(&self, path: &str) -> Route {
        if let Some(rest) = path.strip_prefix(METRICS_OF_NAMESPACES) {
            let mut parts = rest.split('/').map(|part| percent_decode_str(part).decode_utf8());
            return match (parts.next(), parts.next(), parts.next()) {
                (Some(Ok(namespace)), Some(Ok(metric)), None)
                    if !namespace.is_empty() && !metric.is_empty() =>
                {
                    Route::Metric(namespace.into_owned(), metric.into_owned())
                }
                _ => Route::Nothing,
            };
        }
        if path == "/metrics" {
            return Route::OwnMetrics;
        }
        let (first, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        if let Some(at) = self.probes.iter().position(|(name, _)| *name == first) {
            return Route::Probe(at, (!rest.is_empty()).then(|| rest.to_owned()));
        }
        Document::at(path).map_or(Route::Nothing, Route::Document)
    }
}

/// How long the client wants to wait, `None` for as long as we do (`k8s.io/apiserver/pkg/endpoints/filters/request_deadline.go`).
fn limit(timeout: &str) -> Result<Option<Duration>, Status> {
    let timeout: GoDuration = timeout.parse().map_err(|error| {
        Status::bad_request(format!("invalid timeout specified in the request URL - {error}"))
    })?;
    Ok(timeout.to_std().filter(|timeout| !timeout.is_zero()))
}

fn cannot_decide(path: &str, error: &str) -> Status {
    Status::internal(format!("Internal Server Error: {path:?}: {error}"))
}
