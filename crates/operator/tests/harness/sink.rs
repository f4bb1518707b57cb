//! Receivers of CloudEvents, as a transport without sockets: hosts of which a test says what they do.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use keda_scaler::http::{self, ErrorKind, HeaderMap, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

/// What a receiver does.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    /// Takes events.
    Takes,
    /// Takes events, each in this time.
    TakesTime(Duration),
    /// Nobody listens.
    Refuses,
    /// Answers nothing, until the deadline.
    Hangs,
    /// Answers with a status, headers and a body.
    Answers(u16, Vec<(&'static str, &'static str)>, &'static str),
    /// Does not take events whose body has this text in it.
    Dislikes(&'static str),
}

/// A request that reached a receiver.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Offset from the start.
    pub at: Duration,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Value,
    /// It was answered with a 2xx.
    pub taken: bool,
}

impl Received {
    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// What it says of which object: `<reason> <subject>`.
    pub(crate) fn said(&self) -> String {
        format!("{} {}", self.body["reason"].as_str().unwrap_or_default(), self.header("ce-subject"))
    }
}

/// All receivers.
pub(crate) struct Sinks {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    does: HashMap<String, Does>,
    received: Vec<(String, Received)>,
}

impl Sinks {
    /// None.
    pub(crate) fn new() -> Self {
        Sinks { began: Instant::now(), state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the receiver at a host does from now on.
    pub(crate) fn set(&self, host: &str, does: Does) {
        self.state().does.insert(host.to_owned(), does);
    }

    /// The requests that reached a host.
    pub(crate) fn asked(&self, host: &str) -> Vec<Received> {
        let of_host = |(at, _): &&(String, Received)| at == host;
        self.state().received.iter().filter(of_host).map(|(_, received)| received.clone()).collect()
    }

    /// The events that a host took.
    pub(crate) fn taken(&self, host: &str) -> Vec<Received> {
        self.asked(host).into_iter().filter(|received| received.taken).collect()
    }

    /// Answers a request, if there is a receiver at its host.
    pub(crate) async fn answer(
        &self,
        request: &http::Request,
    ) -> Option<Result<http::Response, http::Error>> {
        let shown = request.describe();
        let host = shown.split('/').nth(2).unwrap_or_default().to_owned();
        let does = self.state().does.get(&host).cloned()?;
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let (taken, answer) = match does {
            Does::Takes => (true, Ok(http::Response::new(StatusCode::ACCEPTED, ""))),
            Does::TakesTime(time) => {
                tokio::time::sleep(time).await;
                (true, Ok(http::Response::new(StatusCode::ACCEPTED, "")))
            }
            Does::Dislikes(text) if !body.contains(text) => {
                (true, Ok(http::Response::new(StatusCode::OK, "")))
            }
            Does::Dislikes(_) => (false, Ok(http::Response::new(StatusCode::BAD_REQUEST, "no"))),
            Does::Refuses => {
                (false, Err(http::Error::new(ErrorKind::Connect, format!("{shown}: connection refused"))))
            }
            Does::Hangs => {
                let deadline = request.timeout.unwrap_or(http::DEFAULT_TIMEOUT);
                tokio::time::sleep(deadline).await;
                let text = format!("{shown}: no answer within {deadline:?}");
                (false, Err(http::Error::new(ErrorKind::Timeout, text)))
            }
            Does::Answers(status, headers, text) => {
                let mut response = http::Response::new(StatusCode::from_u16(status).unwrap(), text);
                for (name, value) in headers {
                    response.headers.insert(name, value.parse().unwrap());
                }
                (response.status.is_success(), Ok(response))
            }
        };
        let received = Received {
            at: self.began.elapsed(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: serde_json::from_str(&body).unwrap_or(Value::Null),
            taken,
        };
        self.state().received.push((host, received));
        Some(answer)
    }
}
