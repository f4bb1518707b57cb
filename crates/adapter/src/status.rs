//! Errors as Kubernetes Status objects (`k8s.io/apimachinery/pkg/api/errors`), and the other ways to end a request.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use crate::form::Form;

/// What every answer is.
pub(crate) type Answer = Response<Full<Bytes>>;

/// An error that a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) code: StatusCode,
    /// One of Kubernetes' reasons. Empty: unknown, as for plain errors in Go.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// Name of the resource that the request was about: in our group, the metric.
    pub(crate) resource: Option<String>,
    /// Seconds after which to come again.
    pub(crate) retry_after: Option<u32>,
}

impl Status {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), resource: None, retry_after: None }
    }

    /// The request makes no sense.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// Nobody knows who asks.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// It took too long (`k8s.io/apiserver/pkg/endpoints/filters`, `timeout.go`).
    pub(crate) fn timeout() -> Self {
        let message = "Timeout: request did not complete within the allotted timeout";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message)
    }

    /// Who asks may not.
    pub(crate) fn forbidden(message: &str, resource: Option<&str>) -> Self {
        let subject = resource.map(|r| format!("{r}.{} is ", keda_api::external_metrics::GROUP));
        let message = format!("{}forbidden: {message}", subject.unwrap_or_default());
        Self {
            resource: resource.map(str::to_owned),
            ..Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
        }
    }

    /// There is no such path.
    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
    }

    /// There is no such metric.
    pub(crate) fn no_such_metric(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// The path exists, the method does not.
    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// The client takes nothing that we have.
    pub(crate) fn not_acceptable(offered: &[Form]) -> Self {
        let types: Vec<&str> = offered.iter().map(|form| form.media_type()).collect();
        let message = format!("only the following media types are accepted: {}", types.join(", "));
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// Too much at once.
    pub(crate) fn too_many_requests() -> Self {
        let message = "the server has received too many requests and has asked us to try again later";
        Self { retry_after: Some(1), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message) }
    }

    /// Something failed: what a plain Go error becomes, with an empty reason.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
    }

    fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("kind".to_owned(), json!("Status"));
        body.insert("apiVersion".to_owned(), json!("v1"));
        body.insert("metadata".to_owned(), json!({}));
        body.insert("status".to_owned(), json!("Failure"));
        body.insert("message".to_owned(), json!(self.message));
        if !self.reason.is_empty() {
            body.insert("reason".to_owned(), json!(self.reason));
        }
        let mut details = Map::new();
        if let Some(resource) = &self.resource {
            details.insert("group".to_owned(), json!(keda_api::external_metrics::GROUP));
            details.insert("kind".to_owned(), json!(resource));
        }
        if let Some(seconds) = self.retry_after {
            details.insert("retryAfterSeconds".to_owned(), json!(seconds));
        }
        if !details.is_empty() {
            body.insert("details".to_owned(), Value::Object(details));
        }
        body.insert("code".to_owned(), json!(self.code.as_u16()));
        Value::Object(body)
    }
}

impl Status {
    /// As an answer in this form.
    pub(crate) fn answer(&self, form: Form) -> Answer {
        let json = Bytes::from(format!("{}\n", self.body()));
        // Every form has one for this; if not, JSON is what clients fall back to.
        let (form, body) = form.of(&json).map_or((Form::Json, json), |body| (form, body));
        let mut answer = answer(self.code, form.content_type(), body);
        if let Some(seconds) = self.retry_after {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        status.answer(Form::Json)
    }
}

/// Plain text.
pub(crate) fn text_answer(code: StatusCode, body: impl Into<Bytes>) -> Answer {
    answer(code, HeaderValue::from_static("text/plain; charset=utf-8"), body)
}

/// Any body that must not be kept by caches.
pub(crate) fn answer(code: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = code;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let text = Status::internal("boom").body();
        let plain = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "boom", "code": 500});
        assert_eq!(text, plain);
        let forbidden = Status::forbidden("no", Some("s0-x")).body();
        assert_eq!(forbidden["message"], "s0-x.external.metrics.k8s.io is forbidden: no");
        assert_eq!(forbidden["details"], json!({"group": "external.metrics.k8s.io", "kind": "s0-x"}));
        assert_eq!(Status::forbidden("no", None).message, "forbidden: no");
        let busy = Answer::from(Status::too_many_requests());
        assert_eq!(busy.headers()[header::RETRY_AFTER], "1");
    }
}
