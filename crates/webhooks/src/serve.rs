//! From a connection to an answer: limits, routes, the body.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use keda_api::GoDuration;
use keda_tls::{Incoming, Limits};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    judge::{self, Kind},
    options::Options,
    review::Review,
    scaled_object::Checker,
};

/// How long a connection may rest between requests. API servers close theirs after 90 seconds of rest: whoever closes first must not
/// be the one that is about to be asked, or a request is lost.
const REST: Duration = Duration::from_secs(180);
/// What is left of the API server's patience for the way back.
const WAY_BACK: Duration = Duration::from_millis(500);

type Answer = Response<Full<Bytes>>;

/// Everything a request can need.
pub(crate) struct App {
    pub(crate) checker: Checker,
    pub(crate) max_body: usize,
    pub(crate) deadline: Duration,
    /// Free places for requests that are judged.
    pub(crate) places: Semaphore,
}

/// Accepts until `shutdown`; what is open then has a few seconds more.
pub(crate) async fn accept(
    app: Arc<App>,
    incoming: Incoming,
    options: &Options,
    shutdown: &CancellationToken,
) {
    let limits = Limits { connections: options.max_connections, headers: REST, http2_max_streams: 250 };
    keda_tls::serve(incoming, limits, shutdown.cancelled(), |_| {
        let app = app.clone();
        move |request| {
            let app = app.clone();
            async move { app.answer(request).await }
        }
    })
    .await;
}

impl App {
    async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Some((webhook, kind)) = Kind::at(request.uri().path()) else {
            return text(StatusCode::NOT_FOUND, "404 page not found\n");
        };
        let metrics = &self.checker.metrics;
        let began = Instant::now();
        let _under_way = metrics.begin(webhook);
        let answer = self.judge(kind, request).await.unwrap_or_else(|(status, why)| {
            tracing::warn!(logger = "admission", webhook, status = status.as_u16(), "{why}");
            text(status, &format!("{why}\n"))
        });
        metrics.end(webhook, answer.status().as_u16(), began.elapsed().as_secs_f64());
        answer
    }

    async fn judge<B>(&self, kind: Kind, request: Request<B>) -> Result<Answer, (StatusCode, String)>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if request.method() != Method::POST {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "an AdmissionReview is sent by POST".to_owned()));
        }
        let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::to_str);
        let content_type = content_type.and_then(Result::ok).unwrap_or_default();
        if content_type.split(';').next().map(str::trim) != Some("application/json") {
            let why = format!("contentType={content_type}, expected application/json");
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
        let until = Instant::now() + self.within(request.uri().query());
        let left = || until.saturating_duration_since(Instant::now());
        let body =
            tokio::time::timeout(left(), Limited::new(request.into_body(), self.max_body).collect()).await;
        let body = match body {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                let why = format!("request entity is too large; limit is {} bytes", self.max_body);
                return Err((StatusCode::PAYLOAD_TOO_LARGE, why));
            }
            Ok(Err(error)) => return Err((StatusCode::BAD_REQUEST, format!("the body broke off: {error}"))),
            Err(_) => return Err((StatusCode::REQUEST_TIMEOUT, "the body did not come in time".to_owned())),
        };
        let review: Review = serde_json::from_slice(&body)
            .map_err(|error| (StatusCode::BAD_REQUEST, format!("not an AdmissionReview: {error}")))?;
        drop(body);
        if (review.api_version.as_str(), review.kind.as_str()) != ("admission.k8s.io/v1", "AdmissionReview") {
            let why = format!(
                "got {} {}, expected admission.k8s.io/v1 AdmissionReview",
                review.api_version, review.kind
            );
            return Err((StatusCode::BAD_REQUEST, why));
        }
        let question = review
            .request
            .ok_or_else(|| (StatusCode::BAD_REQUEST, "the AdmissionReview has no request".to_owned()))?;
        // The API server waits as long as we say nothing, no longer than it told us.
        let Ok(Ok(_place)) = tokio::time::timeout(left(), self.places.acquire()).await else {
            return Err((StatusCode::SERVICE_UNAVAILABLE, "too many requests are being judged".to_owned()));
        };
        let verdict = judge::judge(&self.checker, kind, &question, left()).await;
        tracing::debug!(
            logger = "admission",
            kind = question.kind.kind,
            version = question.kind.version,
            namespace = question.namespace,
            name = question.name,
            operation = question.operation,
            allowed = verdict.allowed,
            message = verdict.message,
            "judged"
        );
        if !verdict.allowed {
            tracing::info!(
                logger = "admission",
                kind = question.kind.kind,
                namespace = question.namespace,
                name = question.name,
                code = verdict.code.as_u16(),
                message = verdict.message,
                "refused"
            );
        }
        let mut answer = Response::new(Full::new(Bytes::from(verdict.answer(&question.uid))));
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(answer)
    }

    /// How long the answer may take: as long as the API server says that it waits (`?timeout=10s`), and no longer than we want to.
    fn within(&self, query: Option<&str>) -> Duration {
        let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let asked =
            pairs.find(|(key, _)| key == "timeout").and_then(|(_, text)| text.parse::<GoDuration>().ok());
        let asked = asked.and_then(|asked| asked.to_std()).filter(|asked| !asked.is_zero());
        let all = asked.map_or(self.deadline, |asked| asked.min(self.deadline));
        all - WAY_BACK.min(all / 2)
    }
}

fn text(status: StatusCode, body: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_owned())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}
