//! A Prometheus that answers at once: every query has the value 10. It counts what it is asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{Router, extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use tokio::net::TcpListener;

const ANSWER: &str =
    r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[0,"10"]}]}}"#;

/// The running source.
pub(crate) struct Source {
    /// What a trigger's `serverAddress` says.
    pub(crate) url: String,
    requests: Arc<AtomicU64>,
}

impl Source {
    /// Listens on a free port.
    pub(crate) async fn start() -> Result<Self> {
        let requests = Arc::new(AtomicU64::new(0));
        let router = Router::new().route("/api/v1/query", get(answer)).with_state(Arc::clone(&requests));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, requests })
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Waits until it has been asked this often.
    pub(crate) async fn until(&self, requests: u64, patience: Duration) -> Result<()> {
        let reached = async {
            while self.requests() < requests {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let seen = || format!("the source was asked {} times only", self.requests());
        tokio::time::timeout(patience, reached).await.with_context(seen)
    }
}

async fn answer(State(requests): State<Arc<AtomicU64>>) -> impl IntoResponse {
    requests.fetch_add(1, Ordering::Relaxed);
    ([(CONTENT_TYPE, "application/json")], ANSWER)
}
