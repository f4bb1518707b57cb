//! HTTP as triggers see it: one request, one answer, a deadline.
//!
//! A trigger talks to a [`Transport`] and knows nothing of connections. In production that is a [`Coalescing`] around a
//! [`Client`]; tests under virtual time bring their own.

mod client;
mod coalescing;
mod egress;
mod settings;
mod tls;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use async_trait::async_trait;
use bytes::Bytes;

pub use self::client::Client;
pub use self::coalescing::{Coalescing, Counters};
pub use self::egress::Egress;
pub use self::settings::{Settings, SettingsError, Variables};
pub(crate) use self::tls::client_config;
pub use self::tls::{ClientCertificate, Roots, TlsIdentity, TlsVersion};

/// Upstream's `KEDA_HTTP_DEFAULT_TIMEOUT`.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// The largest answer that is read by default. A source that sends more is reported, not buffered.
pub const MAX_BODY: usize = 16 * 1024 * 1024;

/// Sends requests. Implementations share connections between callers and must keep to the request's timeout.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends one request and reads the whole answer. Every HTTP status is a [`Response`]; an [`Error`] means that there
    /// was none.
    async fn send(&self, request: Request) -> Result<Response, Error>;
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for std::sync::Arc<T> {
    async fn send(&self, request: Request) -> Result<Response, Error> {
        (**self).send(request).await
    }
}

/// One request.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The absolute URL, already escaped. May hold credentials as `user:password@`.
    pub url: String,
    /// Headers. Values that carry credentials are marked sensitive.
    pub headers: HeaderMap,
    /// The body, often empty.
    pub body: Bytes,
    /// Whom to trust and whom to be.
    pub tls: TlsIdentity,
    /// Deadline of the whole exchange, body included. Without one the transport's default applies.
    pub timeout: Option<Duration>,
}

impl Request {
    /// A GET without headers.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            tls: TlsIdentity::default(),
            timeout: None,
        }
    }

    /// A POST of an HTML form. The body is not shown anywhere: it may hold credentials.
    pub fn post_form(url: impl Into<String>, fields: &[(&str, &str)]) -> Self {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let mut request = Self::get(url);
        request.method = Method::POST;
        request
            .headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        request.body = Bytes::from(form.finish());
        request
    }

    /// The same with these headers.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// The same under this TLS identity.
    pub fn tls(mut self, tls: TlsIdentity) -> Self {
        self.tls = tls;
        self
    }

    /// The same with this deadline.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Method and URL without credentials and query, for errors and logs.
    pub fn describe(&self) -> String {
        format!("{} {}", self.method, shown_url(&self.url))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &shown_url(&self.url))
            .field("headers", &self.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .field("tls", &self.tls)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// One answer, read to its end.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most [`Settings::largest_answer`] bytes.
    pub body: Bytes,
}

impl Response {
    /// An answer without headers.
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, headers: HeaderMap::new(), body: body.into() }
    }
}

/// Why there is no answer. Its text names the request without credentials and ends with the cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// Kinds of transport failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request's deadline passed.
    Timeout,
    /// No connection: name resolution, refused, unreachable, TLS.
    Connect,
    /// The connection broke before the answer was complete.
    Interrupted,
    /// The answer is larger than [`Settings::largest_answer`].
    TooLarge,
    /// A redirect that is not followed.
    Redirect,
    /// The egress policy makes no connection there.
    Blocked,
    /// The request cannot be sent at all, e.g. its URL is none.
    Request,
    /// The TLS identity is unusable, e.g. its certificate is no PEM text.
    Identity,
}

impl Error {
    /// An error of the kind with the whole text, which must not hold credentials.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// `text` escaped for use in a query string, as Go's `url.QueryEscape` does: blanks become `+`.
pub fn query_escape(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The `Authorization` value of HTTP basic authentication, marked sensitive. `None` if it cannot be a header.
pub fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    sensitive(&format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}"))))
}

/// A header value that is never printed. `None` if the text cannot be a header value.
pub fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The URL without user information, query and fragment: those may hold credentials.
pub fn shown_url(url: &str) -> Cow<'_, str> {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return Cow::Borrowed(url) };
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    match authority.rsplit_once('@') {
        Some((_, host)) => Cow::Owned(format!("{scheme}://{host}{path}")),
        None => Cow::Borrowed(url),
    }
}

/// Scheme, host and port of a URL, without user information: the unit of connection sharing.
pub(crate) fn endpoint(url: &str) -> String {
    let shown = shown_url(url);
    let start = shown.find("://").map_or(0, |at| at + 3);
    let end = shown[start..].find('/').map_or(shown.len(), |slash| start + slash);
    shown[..end].to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_query_are_not_shown() {
        for (url, shown, endpoint_of) in [
            (
                "http://u:p%40w@Prom:9090/api/v1/query?query=x&key=s",
                "http://Prom:9090/api/v1/query",
                "http://prom:9090",
            ),
            ("https://prom", "https://prom", "https://prom"),
            ("http://u:p@ss@prom/#f", "http://prom/", "http://prom"),
            ("abc/api", "abc/api", "abc"),
            ("http://[::1]:9090/a@b", "http://[::1]:9090/a@b", "http://[::1]:9090"),
        ] {
            assert_eq!(shown_url(url), shown);
            assert_eq!(endpoint(url), endpoint_of);
        }
    }

    #[test]
    fn escaping_follows_go() {
        assert_eq!(
            query_escape("sum(rate(x{a=\"b\"}[5m])) + 1"),
            "sum%28rate%28x%7Ba%3D%22b%22%7D%5B5m%5D%29%29+%2B+1"
        );
    }

    #[test]
    fn a_request_is_printed_without_its_credentials() {
        let mut headers = HeaderMap::new();
        headers.insert("x-key", HeaderValue::from_static("topsecret"));
        let request = Request::get("http://bob:topsecret@prom/api?token=topsecret").headers(headers);
        assert!(!format!("{request:?}").contains("topsecret"), "{request:?}");
        assert_eq!(request.describe(), "GET http://prom/api");
    }
}
