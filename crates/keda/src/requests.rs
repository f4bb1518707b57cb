//! Requests to the API server, counted as client-go counts them (`rest_client_requests_total`).

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response, Uri};
use keda_telemetry::metrics::{Counter, Registry, table};
use tower::Service;

/// Counts by status, method and host. A request without an answer has the status `<error>`, as with client-go.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    counter: Counter,
    host: String,
}

impl Requests {
    /// Towards one API server.
    pub(crate) fn new(registry: &Registry, server: &Uri) -> Self {
        let host = server.authority().map(ToString::to_string).unwrap_or_default();
        Self { counter: registry.counter(&table::CLIENT_REQUESTS), host }
    }

    /// Counts what goes through `inner`.
    pub(crate) fn around<S>(&self, inner: S) -> Counted<S> {
        Counted { inner, requests: self.clone() }
    }
}

/// A service whose requests are counted.
#[derive(Clone, Debug)]
pub(crate) struct Counted<S> {
    inner: S,
    requests: Requests,
}

impl<S, B, A> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<A>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let method = request.method().clone();
        let Requests { counter, host } = self.requests.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            match &answer {
                Ok(response) => counter.inc(&[response.status().as_str(), method.as_str(), &host]),
                Err(_) => counter.inc(&["<error>", method.as_str(), &host]),
            }
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_counted_by_status_method_and_host() {
        let registry = Registry::new();
        let requests = Requests::new(&registry, &"https://10.0.0.1:443/".parse().unwrap());
        let mut service = requests.around(tower::service_fn(|request: Request<()>| async move {
            let status = if request.uri().path() == "/gone" { 410 } else { 200 };
            if request.uri().path() == "/lost" {
                return Err(std::io::Error::other("connection reset"));
            }
            Ok(Response::builder().status(status).body(()).unwrap())
        }));
        for (method, path) in [("GET", "/a"), ("GET", "/b"), ("GET", "/gone"), ("PATCH", "/lost")] {
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            let _ = service.call(request).await;
        }
        let page = registry.render();
        for line in [
            r#"rest_client_requests_total{code="200",method="GET",host="10.0.0.1:443"} 2"#,
            r#"rest_client_requests_total{code="410",method="GET",host="10.0.0.1:443"} 1"#,
            r#"rest_client_requests_total{code="<error>",method="PATCH",host="10.0.0.1:443"} 1"#,
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
    }
}
