//! A source that answers Prometheus' query API.
//!
//! Tests set what each query yields, also over time; the source counts and keeps requests. It answers as a function
//! (for virtual time) and on a socket (for the demo). Formats: <https://prometheus.io/docs/prometheus/latest/querying/api/>.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use crate::sync::lock;

/// What a query yields.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A vector of one element with this value. NaN and infinities are written as Prometheus writes them.
    Value(f64),
    /// A vector of one element a value, each with its own `instance` label.
    Vector(Vec<f64>),
    /// A scalar result.
    Scalar(f64),
    /// An empty vector.
    Empty,
    /// Prometheus' error document with this status, error type and message.
    Error {
        /// HTTP status.
        status: u16,
        /// Such as `bad_data` or `execution`.
        kind: String,
        /// What Prometheus says.
        message: String,
    },
    /// Any status and body.
    Status(u16, String),
    /// 200 and this body.
    Raw(Value),
    /// Another answer, late.
    Slow(Duration, Box<Answer>),
    /// Values over time since they were set: each entry holds from its offset on; before the first, empty.
    Steps(Vec<(Duration, Answer)>),
}

impl Answer {
    /// A vector of one NaN.
    pub const NAN: Self = Self::Value(f64::NAN);

    /// A value, late.
    #[must_use]
    pub fn slow(delay: Duration, answer: impl Into<Answer>) -> Self {
        Self::Slow(delay, Box::new(answer.into()))
    }

    /// Values over time since they were set.
    #[must_use]
    pub fn steps<A: Into<Answer>>(steps: impl IntoIterator<Item = (Duration, A)>) -> Self {
        Self::Steps(steps.into_iter().map(|(from, answer)| (from, answer.into())).collect())
    }
}

impl From<f64> for Answer {
    fn from(value: f64) -> Self {
        Self::Value(value)
    }
}

/// Requests that are kept; a source that runs for days forgets the older ones.
const KEPT: usize = 20_000;

/// One request that the source saw.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Path without the query string.
    pub path: String,
    /// Query parameters, decoded, in order.
    pub parameters: Vec<(String, String)>,
    /// Headers as received.
    pub headers: HeaderMap,
}

impl Asked {
    /// The first parameter of a name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// An answer, to be given after `delay`.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// How long the source takes.
    pub delay: Duration,
}

struct Series {
    answer: Answer,
    since: Instant,
}

#[derive(Default)]
struct State {
    series: BTreeMap<String, Series>,
    required: Vec<(HeaderName, HeaderValue)>,
    outage: Option<Answer>,
    asked: Vec<Asked>,
    /// How many requests are no longer in `asked`.
    forgotten: usize,
}

/// A Prometheus-compatible source.
#[derive(Clone, Default)]
pub struct Prometheus {
    state: Arc<Mutex<State>>,
}

impl Prometheus {
    /// A source that knows no series: every query is answered with an empty vector.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what a query yields from now on.
    pub fn set(&self, query: &str, answer: impl Into<Answer>) {
        let series = Series { answer: answer.into(), since: Instant::now() };
        lock(&self.state).series.insert(query.to_owned(), series);
    }

    /// Forgets a query: it yields an empty vector again.
    pub fn forget(&self, query: &str) {
        lock(&self.state).series.remove(query);
    }

    /// Every query yields this until [`recover`](Self::recover).
    pub fn fail(&self, answer: Answer) {
        lock(&self.state).outage = Some(answer);
    }

    /// Ends what [`fail`](Self::fail) began.
    pub fn recover(&self) {
        lock(&self.state).outage = None;
    }

    /// Requests without this header are answered with 401.
    pub fn require_header(&self, name: HeaderName, value: HeaderValue) {
        lock(&self.state).required.push((name, value));
    }

    /// How many requests the source has seen.
    #[must_use]
    pub fn count(&self) -> usize {
        let state = lock(&self.state);
        state.forgotten + state.asked.len()
    }

    /// The requests the source has seen, the last ten thousand at least.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state).asked.clone()
    }

    /// Answers one request; the caller waits for [`Reply::delay`].
    #[must_use]
    pub fn answer(&self, path_and_query: &str, headers: &HeaderMap) -> Reply {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let parameters: Vec<(String, String)> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let asked = Asked { path: path.to_owned(), parameters, headers: headers.clone() };
        let text = asked.parameter("query").unwrap_or_default().to_owned();
        let time = evaluation_time(asked.parameter("time"));
        let mut state = lock(&self.state);
        if state.asked.len() == KEPT {
            state.asked.drain(..KEPT / 2);
            state.forgotten += KEPT / 2;
        }
        state.asked.push(asked);
        if state.required.iter().any(|(name, value)| headers.get(name) != Some(value)) {
            return reply(401, "Unauthorized\n".to_owned(), Duration::ZERO);
        }
        if path.ends_with("/-/ready") || path.ends_with("/-/healthy") {
            return reply(200, "Prometheus Server is Ready.\n".to_owned(), Duration::ZERO);
        }
        if !path.ends_with("/api/v1/query") {
            return reply(404, "404 page not found\n".to_owned(), Duration::ZERO);
        }
        let answer = match (&state.outage, state.series.get(&text)) {
            (Some(outage), _) => outage.clone(),
            (None, Some(series)) => at(&series.answer, series.since.elapsed()),
            (None, None) if text.is_empty() => Answer::Error {
                status: 400,
                kind: "bad_data".to_owned(),
                message:
                    "invalid parameter \"query\": unknown position: parse error: no expression found in input"
                        .to_owned(),
            },
            (None, None) => Answer::Empty,
        };
        render(&answer, time, Duration::ZERO)
    }

    /// Serves HTTP on a socket until `shutdown`.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
        loop {
            let (stream, _) = tokio::select! {
                accepted = listener.accept() => accepted?,
                () = shutdown.cancelled() => return Ok(()),
            };
            let source = self.clone();
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let source = source.clone();
                async move { Ok::<_, std::convert::Infallible>(source.respond(&request).await) }
            });
            let shutdown = shutdown.clone();
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let service = hyper_util::service::TowerToHyperService::new(service);
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    // A client that goes away is no error of the source.
                    _ = connection => {}
                    () = shutdown.cancelled() => {}
                }
            });
        }
    }

    async fn respond<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let reply = self.answer(path, request.headers());
        tokio::time::sleep(reply.delay).await;
        let mut response = Response::new(Full::new(reply.body));
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response
    }
}

fn at(answer: &Answer, elapsed: Duration) -> Answer {
    match answer {
        Answer::Steps(steps) => steps
            .iter()
            .rev()
            .find(|(from, _)| *from <= elapsed)
            .map_or(Answer::Empty, |(from, answer)| at(answer, elapsed.saturating_sub(*from))),
        other => other.clone(),
    }
}

fn render(answer: &Answer, time: f64, delay: Duration) -> Reply {
    let vector = |values: &[f64]| {
        let elements: Vec<Value> = values
            .iter()
            .enumerate()
            .map(|(index, value)| {
                json!({"metric": {"instance": format!("app-{index}:8080")}, "value": [time, text(*value)]})
            })
            .collect();
        success(&json!({"resultType": "vector", "result": elements}), delay)
    };
    match answer {
        Answer::Value(value) => vector(&[*value]),
        Answer::Vector(values) => vector(values),
        Answer::Empty | Answer::Steps(_) => vector(&[]),
        Answer::Scalar(value) => {
            success(&json!({"resultType": "scalar", "result": [time, text(*value)]}), delay)
        }
        Answer::Error { status, kind, message } => {
            let body = json!({"status": "error", "errorType": kind, "error": message});
            reply(*status, body.to_string(), delay)
        }
        Answer::Status(status, body) => reply(*status, body.clone(), delay),
        Answer::Raw(body) => reply(200, body.to_string(), delay),
        Answer::Slow(more, answer) => render(answer, time, delay + *more),
    }
}

fn success(data: &Value, delay: Duration) -> Reply {
    reply(200, json!({"status": "success", "data": data}).to_string(), delay)
}

fn reply(status: u16, body: String, delay: Duration) -> Reply {
    let kind = if body.starts_with(['{', '[']) { "application/json" } else { "text/plain; charset=utf-8" };
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Reply { status, headers, body: Bytes::from(body), delay }
}

/// A sample value in Prometheus' words.
fn text(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

/// The time that samples carry, in seconds: the one asked for, else the machine's.
fn evaluation_time(asked: Option<&str>) -> f64 {
    let parse = |text: &str| {
        let instant = text.parse::<jiff::Timestamp>().map(|time| time.as_millisecond() as f64 / 1000.0);
        instant.ok().or_else(|| text.parse().ok())
    };
    asked.and_then(parse).unwrap_or_else(|| jiff::Timestamp::now().as_millisecond() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(source: &Prometheus, query: &str) -> Value {
        let encoded: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let reply = source.answer(&format!("/api/v1/query?query={encoded}&time=1"), &HeaderMap::new());
        serde_json::from_slice(&reply.body).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn values_change_over_time() {
        let source = Prometheus::new();
        source.set("sum(up)", Answer::steps([(Duration::ZERO, 0.0), (Duration::from_secs(60), 120.5)]));
        assert_eq!(ask(&source, "sum(up)")["data"]["result"][0]["value"][1], "0");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(ask(&source, "sum(up)")["data"]["result"][0]["value"][1], "120.5");
        assert_eq!(ask(&source, "other")["data"]["result"], json!([]));
        assert_eq!(source.count(), 3);
        assert_eq!(source.asked()[0].parameter("query"), Some("sum(up)"));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_and_odd_answers() {
        let source = Prometheus::new();
        source.set("nan", Answer::NAN);
        source.set("one", Answer::Scalar(1.0));
        source.set("late", Answer::slow(Duration::from_secs(9), 1.0));
        assert_eq!(ask(&source, "nan")["data"]["result"][0]["value"][1], "NaN");
        assert_eq!(ask(&source, "one")["data"]["resultType"], "scalar");
        let reply = source.answer("/api/v1/query?query=late", &HeaderMap::new());
        assert_eq!(reply.delay, Duration::from_secs(9));
        source.fail(Answer::Status(503, "down".to_owned()));
        assert_eq!(source.answer("/api/v1/query?query=nan", &HeaderMap::new()).status, 503);
        source.recover();
        source.require_header(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        assert_eq!(source.answer("/api/v1/query?query=nan", &HeaderMap::new()).status, 401);
    }
}
