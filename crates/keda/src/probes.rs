//! The plain HTTP endpoints beside a process: metrics and probes.

use std::sync::Arc;

use anyhow::Result;
use keda_operator::Health;
use keda_telemetry::{
    http::{self, Checks, Pages},
    metrics::Registry,
};
use tokio_util::sync::CancellationToken;

/// Serves `/metrics` until the shutdown; `0` as address turns it off.
pub(crate) async fn serve_metrics(
    address: &str,
    registry: Registry,
    shutdown: &CancellationToken,
) -> Result<()> {
    serve(address, Pages::new().metrics(registry), shutdown).await
}

/// Serves `/healthz` and `/readyz` until the shutdown, the latter with a check of one's own.
pub(crate) async fn serve_ready(
    address: &str,
    name: &'static str,
    ready: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    shutdown: &CancellationToken,
) -> Result<()> {
    let pages = Pages::new()
        .probe("healthz", Checks::new().with("ping", || Ok(())))
        .probe("readyz", Checks::new().with(name, ready));
    serve(address, pages, shutdown).await
}

/// Serves `/healthz` and `/readyz` until the shutdown; `0` as address turns it off.
pub(crate) async fn serve_health(
    address: &str,
    health: Arc<Health>,
    shutdown: &CancellationToken,
) -> Result<()> {
    serve_ready(address, "sync", move || health.ready(), shutdown).await
}

async fn serve(address: &str, pages: Pages, shutdown: &CancellationToken) -> Result<()> {
    if !matches!(address, "" | "0") {
        let listener = http::bind(address).await?;
        tokio::spawn(http::serve(listener, pages, shutdown.clone().cancelled_owned()));
    }
    Ok(())
}
