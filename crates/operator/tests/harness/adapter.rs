//! The external metrics API without sockets: the HPA controller's question goes straight to the operator's `Metrics`.
//!
//! The real adapter is tested in its own crate and end to end; here it would only be in the way of virtual time. Like it,
//! this one answers from the last good value while the operator is away.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use keda_operator::{Metrics, Missing};
use serde_json::{Value, json};
use tower::{Service, service_fn};

/// Whose metrics are served; nobody's while the operator is away.
#[derive(Clone, Default)]
pub(crate) struct Serving(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    metrics: Option<Metrics>,
    /// By path: namespace and metric, and the selector, which holds the object's name.
    last_good: HashMap<String, String>,
}

impl Serving {
    pub(crate) fn set(&self, metrics: Option<Metrics>) {
        self.lock().metrics = metrics;
    }

    pub(crate) fn get(&self) -> Option<Metrics> {
        self.lock().metrics.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers `/apis/external.metrics.k8s.io/v1beta1/namespaces/<namespace>/<metric>?labelSelector=...`.
pub(crate) fn service(
    serving: Serving,
) -> impl Service<
    Request<Full<Bytes>>,
    Response = Response<Full<Bytes>>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ Sync
+ 'static {
    service_fn(move |request: Request<Full<Bytes>>| {
        let serving = serving.clone();
        async move { Ok(answer(&serving, request.uri()).await) }
    })
}

async fn answer(serving: &Serving, uri: &http::Uri) -> Response<Full<Bytes>> {
    let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    let ["apis", "external.metrics.k8s.io", "v1beta1", "namespaces", namespace, metric] = parts[..] else {
        return failure(StatusCode::NOT_FOUND, "not found");
    };
    let selector = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .find_map(|(name, value)| (name == "labelSelector").then(|| value.into_owned()));
    let name = selector.as_deref().and_then(|text| text.strip_prefix("scaledobject.keda.sh/name="));
    let Some(name) = name else {
        return failure(StatusCode::INTERNAL_SERVER_ERROR, "scaledObject name is not specified");
    };
    let question = uri.to_string();
    let answer = match serving.get() {
        Some(metrics) => Some(metrics.get(namespace, name, metric).await),
        None => None,
    };
    match answer {
        None | Some(Err(Missing::NotYet(_))) => match serving.lock().last_good.get(&question) {
            Some(value) => good(metric, value),
            None => failure(StatusCode::SERVICE_UNAVAILABLE, "the operator is away"),
        },
        Some(Ok(value)) => {
            let value = value.quantity.to_string();
            serving.lock().last_good.insert(question, value.clone());
            good(metric, &value)
        }
        Some(Err(missing @ Missing::Source(_))) => {
            failure(StatusCode::INTERNAL_SERVER_ERROR, &missing.to_string())
        }
        Some(Err(missing)) => failure(StatusCode::NOT_FOUND, &missing.to_string()),
    }
}

fn good(metric: &str, value: &str) -> Response<Full<Bytes>> {
    let list = json!({
        "kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": {},
        "items": [{
            "metricName": metric, "metricLabels": null, "timestamp": "2026-01-01T00:00:00Z", "value": value,
        }],
    });
    respond(StatusCode::OK, &list)
}

fn failure(code: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "metadata": {},
        "message": message, "code": code.as_u16(),
    });
    respond(code, &status)
}

fn respond(code: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = code;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}
