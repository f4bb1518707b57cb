//! The plain HTTP server for metrics and probes, and the checks behind probes.
//!
//! A page is a function; nothing here knows what it says. Probes answer as controller-runtime and the API server libraries do: `ok`, or
//! with `?verbose` one line a check; a single check at `/<probe>/<check>`. Reasons of failures are printed, which those libraries
//! withhold: ours name no secret, and a probe that says why saves a search through logs.

use std::{convert::Infallible, fmt, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::net::{TcpListener, TcpStream};

use crate::metrics::{CONTENT_TYPE, Registry};

/// How long open requests may take after shutdown began.
const DRAIN: Duration = Duration::from_secs(2);
/// How long a client may take to send its headers.
const HEADERS: Duration = Duration::from_secs(10);
/// How long accepting rests after a failure of the listener.
const REST: Duration = Duration::from_millis(200);

/// Writes the text of a page.
type Write = Arc<dyn Fn() -> String + Send + Sync>;
type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Named checks; all of them must pass. Without any, it passes.
#[derive(Clone, Default)]
pub struct Checks {
    checks: Vec<(&'static str, Check)>,
}

impl Checks {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more. `check` says why it fails; it is asked at each probe and must be quick.
    #[must_use]
    pub fn with(
        mut self,
        name: &'static str,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push((name, Arc::new(check)));
        self
    }

    /// The first failure, as `check: reason`.
    ///
    /// # Errors
    /// That failure.
    pub fn pass(&self) -> Result<(), String> {
        self.checks.iter().try_for_each(|(name, check)| check().map_err(|why| format!("{name}: {why}")))
    }

    /// Answers a probe. `probe`: its name, such as `readyz`; `one`: the check asked for, when it is a single one. `None`: there is no such check.
    pub fn answer(
        &self,
        probe: &str,
        one: Option<&str>,
        query: Option<&str>,
    ) -> Option<(StatusCode, String)> {
        if let Some(one) = one {
            // `ping` always exists, as in the libraries.
            let outcome = match self.checks.iter().find(|(name, _)| *name == one) {
                Some((_, check)) => check(),
                None if one == "ping" => Ok(()),
                None => return None,
            };
            return Some(match outcome {
                Ok(()) => (StatusCode::OK, "ok".to_owned()),
                Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {why}\n")),
            });
        }
        let pairs = || query.unwrap_or_default().split('&').map(|p| p.split_once('=').unwrap_or((p, "")));
        let excluded = |name: &str| pairs().any(|(key, value)| key == "exclude" && value == name);
        let mut lines = String::from("[+]ping ok\n");
        let mut failed = false;
        for (name, check) in &self.checks {
            if excluded(name) {
                lines.push_str(&format!("[+]{name} excluded: ok\n"));
                continue;
            }
            match check() {
                Ok(()) => lines.push_str(&format!("[+]{name} ok\n")),
                Err(why) => {
                    failed = true;
                    lines.push_str(&format!("[-]{name} failed: {why}\n"));
                }
            }
        }
        Some(if failed {
            lines.push_str(&format!("{probe} check failed\n"));
            (StatusCode::INTERNAL_SERVER_ERROR, lines)
        } else if pairs().any(|(key, _)| key == "verbose") {
            lines.push_str(&format!("{probe} check passed\n"));
            (StatusCode::OK, lines)
        } else {
            (StatusCode::OK, "ok".to_owned())
        })
    }
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.checks.iter().map(|(name, _)| name)).finish()
    }
}

/// What a server answers.
#[derive(Clone, Default)]
pub struct Pages {
    metrics: Option<Registry>,
    probes: Vec<(&'static str, Checks)>,
    others: Vec<(&'static str, &'static str, Write)>,
    missing: Vec<(&'static str, &'static str)>,
}

const TEXT: &str = "text/plain; charset=utf-8";

impl Pages {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `/metrics`.
    #[must_use]
    pub fn metrics(mut self, registry: Registry) -> Self {
        self.metrics = Some(registry);
        self
    }

    /// Adds a probe: `healthz`, `readyz` or `livez`.
    #[must_use]
    pub fn probe(mut self, name: &'static str, checks: Checks) -> Self {
        self.probes.push((name, checks));
        self
    }

    /// Adds a page of JSON. `path` without the slash at its beginning; `write` is asked at each request and must be quick.
    #[must_use]
    pub fn json(mut self, path: &'static str, write: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.others.push((path, "application/json", Arc::new(write)));
        self
    }

    /// Adds a page of text, likewise.
    #[must_use]
    pub fn text(mut self, path: &'static str, write: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.others.push((path, TEXT, Arc::new(write)));
        self
    }

    /// Says of a path, and of everything below it, why it is not there.
    #[must_use]
    pub fn missing(mut self, path: &'static str, why: &'static str) -> Self {
        self.missing.push((path, why));
        self
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "method not allowed\n");
        }
        let path = request.uri().path().trim_start_matches('/');
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        if let Some(registry) = self.metrics.as_ref().filter(|_| path == "metrics") {
            return page(StatusCode::OK, CONTENT_TYPE, registry.render());
        }
        let whole = path.trim_end_matches('/');
        if let Some((_, content_type, write)) = self.others.iter().find(|(known, ..)| *known == whole) {
            return page(StatusCode::OK, content_type, write());
        }
        let below =
            |known: &str| path.strip_prefix(known).is_some_and(|it| it.is_empty() || it.starts_with('/'));
        if let Some((_, why)) = self.missing.iter().find(|(known, _)| below(known)) {
            return page(StatusCode::NOT_FOUND, TEXT, *why);
        }
        let one = (!rest.is_empty()).then_some(rest);
        let answer = self
            .probes
            .iter()
            .find(|(name, _)| *name == first)
            .and_then(|(name, checks)| checks.answer(name, one, request.uri().query()));
        let (status, text) = answer.unwrap_or((StatusCode::NOT_FOUND, "404 page not found\n".to_owned()));
        page(status, TEXT, text)
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others: Vec<&str> = self.others.iter().map(|(path, ..)| *path).collect();
        f.debug_struct("Pages").field("probes", &self.probes).field("others", &others).finish_non_exhaustive()
    }
}

fn page(status: StatusCode, content_type: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Binds an address in Go's spelling: `:8080` is every interface, IPv6 where there is one.
///
/// # Errors
/// When the text is no address, or the system's error with the address.
pub async fn bind(address: &str) -> std::io::Result<TcpListener> {
    let telling = |e: std::io::Error| std::io::Error::new(e.kind(), format!("listen on {address}: {e}"));
    match address.strip_prefix(':') {
        Some(port) => match TcpListener::bind(format!("[::]:{port}")).await {
            Ok(listener) => Ok(listener),
            // Nodes without IPv6 have no such address.
            Err(error) if error.kind() != std::io::ErrorKind::AddrInUse => {
                TcpListener::bind(format!("0.0.0.0:{port}")).await.map_err(telling)
            }
            Err(error) => Err(telling(error)),
        },
        None => TcpListener::bind(address).await.map_err(telling),
    }
}

/// Serves `pages` on `listener` until `shutdown`; requests that are open then have two seconds more.
pub async fn serve(listener: TcpListener, pages: Pages, shutdown: impl Future<Output = ()>) {
    let pages = Arc::new(pages);
    let open = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Small pages leave at once; a socket that refuses is gone already.
                let _ = stream.set_nodelay(true);
                serve_one(stream, peer, pages.clone(), &open);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(REST).await;
            }
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, open.shutdown()).await;
}

fn serve_one(stream: TcpStream, peer: SocketAddr, pages: Arc<Pages>, open: &GracefulShutdown) {
    let service = service_fn(move |request| {
        let response = pages.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let connection = open.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%peer, %error, "connection ended");
        }
    });
}

#[cfg(test)]
mod tests;
