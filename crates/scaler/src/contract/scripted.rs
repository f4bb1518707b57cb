//! Stand-ins: a transport that does as told, telemetry that remembers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::http::{Error, Request, Response, Transport};
use crate::telemetry::{Subject, Telemetry};
use crate::{Error as TriggerError, Reading};

type Script = dyn Fn(&Request) -> Option<Result<Response, Error>> + Send + Sync;

/// A transport that answers from a function and remembers what was asked. Clones share the memory.
#[derive(Clone)]
pub struct Scripted {
    script: Arc<Script>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Scripted {
    /// Answers with what the function gives.
    pub fn answering(answer: impl Fn(&Request) -> Result<Response, Error> + Send + Sync + 'static) -> Self {
        Self { script: Arc::new(move |request| Some(answer(request))), requests: Arc::default() }
    }

    /// Never answers and keeps to no deadline.
    pub fn silent() -> Self {
        Self { script: Arc::new(|_| None), requests: Arc::default() }
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.requests).clone()
    }
}

#[async_trait]
impl Transport for Scripted {
    async fn send(&self, request: Request) -> Result<Response, Error> {
        lock(&self.requests).push(request.clone());
        match (self.script)(&request) {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }
}

/// Telemetry that remembers, as one line a report.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    /// What was reported, in order.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.lines).clone()
    }
}

impl Telemetry for Recorder {
    fn sampled(&self, subject: &Subject, _: Duration, result: Result<&Reading, &TriggerError>) {
        let outcome = match result {
            Ok(reading) => format!("{} active={}", reading.value, reading.active),
            Err(error) => format!("error {}", error.kind.as_str()),
        };
        lock(&self.lines).push(format!("sampled {} {} {outcome}", subject.label, subject.metric));
    }

    fn empty_response(&self, subject: &Subject, ignored: bool) {
        lock(&self.lines).push(format!("empty {} ignored={ignored}", subject.metric));
    }

    fn http_request(&self, subject: &Subject, status: Option<u16>, _: Duration) {
        let status = status.map_or_else(|| "error".to_owned(), |status| status.to_string());
        lock(&self.lines).push(format!("http {} {status}", subject.trigger_type));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
