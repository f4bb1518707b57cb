//! The Prometheus of a scenario, as a transport without sockets.
//!
//! Login hosts and Azure Monitor workspaces are there too: [`Source::azure`] judges who may ask.
//! Answers come from the testkit's source; how long they take passes in virtual time, within the request's deadline.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use keda_auth::azure::fake::Azure;
use keda_scaler::http::{self, ErrorKind, Transport};
use keda_testkit::source::{Answer, Prometheus};
use serde_json::Value;
use tokio::time::Instant;

use super::sink::Sinks;

/// What a query yields from some moment on.
#[derive(Clone, Debug)]
pub(crate) enum Yield {
    Answer(Answer),
    /// Nobody listens: the connection is refused.
    Down,
}

impl Yield {
    /// Reads an entry of a scenario's `source`.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        if value.as_str() == Some("down") {
            return Ok(Self::Down);
        }
        answer(value).map(Self::Answer)
    }
}

impl From<f64> for Yield {
    fn from(value: f64) -> Self {
        Self::Answer(value.into())
    }
}

impl From<Answer> for Yield {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

fn answer(value: &Value) -> Result<Answer, String> {
    let unknown = || {
        format!(
            "{value} is no answer: a number, empty, nan, inf, down, {{scalar: n}}, {{vector: [..]}}, \
             {{status: n, body: text}}, {{slow: 10s, then: ..}} or {{raw: json}}"
        )
    };
    match value {
        Value::Number(number) => number.as_f64().map(Answer::Value).ok_or_else(unknown),
        Value::String(word) => match word.as_str() {
            "empty" => Ok(Answer::Empty),
            "nan" => Ok(Answer::NAN),
            "inf" => Ok(Answer::Value(f64::INFINITY)),
            _ => Err(unknown()),
        },
        Value::Object(map) => {
            if let Some(scalar) = map.get("scalar").and_then(Value::as_f64) {
                Ok(Answer::Scalar(scalar))
            } else if let Some(vector) = map.get("vector").and_then(Value::as_array) {
                Ok(Answer::Vector(vector.iter().filter_map(Value::as_f64).collect()))
            } else if let Some(status) = map.get("status").and_then(Value::as_u64) {
                let body = map.get("body").and_then(Value::as_str).unwrap_or_default();
                Ok(Answer::Status(u16::try_from(status).map_err(|_| unknown())?, body.to_owned()))
            } else if let Some(delay) = map.get("slow") {
                let delay: super::Span = serde_json::from_value(delay.clone()).map_err(|_| unknown())?;
                let then = map.get("then").map_or(Ok(Answer::Value(0.0)), answer)?;
                Ok(Answer::slow(delay.0, then))
            } else if let Some(raw) = map.get("raw") {
                Ok(Answer::Raw(raw.clone()))
            } else {
                Err(unknown())
            }
        }
        _ => Err(unknown()),
    }
}

/// One request that reached the source.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Offset from the start.
    pub at: Duration,
    pub query: String,
    pub headers: http::HeaderMap,
}

/// The source. Clones are the same source.
#[derive(Clone)]
pub(crate) struct Source {
    inner: Arc<Inner>,
}

struct Inner {
    began: Instant,
    prometheus: Prometheus,
    azure: Azure,
    sinks: Sinks,
    down: Mutex<HashSet<String>>,
    asked: Mutex<Vec<Asked>>,
}

impl Source {
    /// A source that knows no series, seen from now.
    pub(crate) fn new() -> Self {
        let inner = Inner {
            began: Instant::now(),
            prometheus: Prometheus::new(),
            azure: Azure::new(),
            sinks: Sinks::new(),
            down: Mutex::default(),
            asked: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Who may ask the workspaces, and what the login host says.
    pub(crate) fn azure(&self) -> &Azure {
        &self.inner.azure
    }

    /// Who takes CloudEvents.
    pub(crate) fn sinks(&self) -> &Sinks {
        &self.inner.sinks
    }

    /// What a query yields from now on.
    pub(crate) fn set(&self, query: &str, yields: impl Into<Yield>) {
        let mut down = self.inner.down.lock().unwrap_or_else(PoisonError::into_inner);
        match yields.into() {
            Yield::Down => {
                down.insert(query.to_owned());
            }
            Yield::Answer(answer) => {
                down.remove(query);
                self.inner.prometheus.set(query, answer);
            }
        }
    }

    /// Every request so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, query: &str, headers: &http::HeaderMap) {
        let asked =
            Asked { at: self.inner.began.elapsed(), query: query.to_owned(), headers: headers.clone() };
        self.inner.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    }

    fn is_down(&self, query: &str) -> bool {
        self.inner.down.lock().unwrap_or_else(PoisonError::into_inner).contains(query)
    }
}

#[async_trait]
impl Transport for Source {
    async fn send(&self, request: http::Request) -> Result<http::Response, http::Error> {
        let host = request.url.split('/').nth(2).unwrap_or_default();
        if host.starts_with("login.") {
            return self.inner.azure.send(request).await;
        }
        if let Some(answer) = self.inner.sinks.answer(&request).await {
            return answer;
        }
        let workspace = host.contains(".prometheus.monitor.azure.");
        if let Some(refusal) = workspace.then(|| self.inner.azure.refusal(&request)).flatten() {
            return Ok(refusal);
        }
        let path = request.url.find("://").and_then(|scheme| {
            let slash = request.url[scheme + 3..].find('/')?;
            Some(&request.url[scheme + 3 + slash..])
        });
        let path = path.unwrap_or("/");
        let parameters = path.split_once('?').map_or("", |(_, query)| query);
        let query = form_urlencoded::parse(parameters.as_bytes())
            .find_map(|(name, value)| (name == "query").then(|| value.into_owned()))
            .unwrap_or_default();
        self.note(&query, &request.headers);
        let what = request.describe();
        if self.is_down(&query) {
            return Err(http::Error::new(ErrorKind::Connect, format!("{what}: connection refused")));
        }
        let reply = self.inner.prometheus.answer(path, &request.headers);
        let deadline = request.timeout.unwrap_or(http::DEFAULT_TIMEOUT);
        if reply.delay > deadline {
            tokio::time::sleep(deadline).await;
            let text = format!("{what}: no answer within {deadline:?}");
            return Err(http::Error::new(ErrorKind::Timeout, text));
        }
        tokio::time::sleep(reply.delay).await;
        Ok(http::Response::new(reply.status, reply.body))
    }
}
