//! The transport of production: reqwest underneath, one client for each endpoint and TLS identity.
//!
//! Triggers that ask the same endpoint as the same identity share its connections, and a failing source costs no more
//! connections than a healthy one (upstream's 5341, 5807).

use std::collections::HashMap;
use std::error::Error as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, USER_AGENT};
use ::http::{HeaderMap, HeaderValue, Method, StatusCode};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::Url;
use rustls::ClientConfig;
use tokio::time::Instant;

use super::egress::{Blocked, Judging, Lookup, System};
use super::{
    Egress, Error, ErrorKind, Request, Response, Roots, Settings, TlsIdentity, Transport, shown_url, tls,
};

/// As many as Go's client follows.
const MAX_REDIRECTS: usize = 10;

/// A client that nobody used for this long is dropped with its connections, e.g. after a credential was rotated.
const FORGET_AFTER: Duration = Duration::from_secs(300);

/// Sends requests over the network. Proxies come from the environment, as with Go: never for
/// loopback and link-local addresses.
pub struct Client {
    settings: Settings,
    roots: Roots,
    lookup: Arc<dyn Lookup>,
    clients: Mutex<HashMap<(String, TlsIdentity), Entry>>,
}

struct Entry {
    client: reqwest::Client,
    tls: ClientConfig,
    last_used: Instant,
}

impl Client {
    /// Reads the root certificates (once, here) and is ready; connections are made on demand.
    pub fn new(settings: Settings) -> Self {
        let roots = Roots::load(&settings.ca_dirs);
        Self { settings, roots, lookup: Arc::new(System), clients: Mutex::default() }
    }

    /// The same settings and roots under another policy: for those whose addresses no user chooses.
    pub fn under(&self, egress: Egress) -> Self {
        let settings = Settings { egress, ..self.settings.clone() };
        Self { settings, roots: self.roots.clone(), lookup: self.lookup.clone(), clients: Mutex::default() }
    }

    /// Root certificates that could not be read, for the log.
    pub fn problems(&self) -> &[String] {
        self.roots.problems()
    }

    /// Number of clients kept: one for each endpoint and identity in use.
    pub fn len(&self) -> usize {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether no endpoint was asked yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    async fn exchange(&self, request: &Request) -> Result<Response, Error> {
        let mut url = parse_url(&request.url)?;
        let mut headers = request.headers.clone();
        take_user_info(&mut url, &mut headers)?;
        let with_credentials = carries_credentials(&headers, &request.tls);
        for _ in 0..=MAX_REDIRECTS {
            self.settings
                .egress
                .check(url.host_str().unwrap_or_default())
                .map_err(|it| blocked(request, &it))?;
            let client = self.client(&url, &request.tls)?;
            let sent = client
                .request(request.method.clone(), url.clone())
                .headers(headers.clone())
                .body(request.body.clone())
                .send()
                .await;
            let response = sent.map_err(|error| transport_error(request, error))?;
            let Some(next) = redirect(request, response.status(), response.headers(), &url)? else {
                return read(request, response, self.settings.largest_answer).await;
            };
            if with_credentials && !same_origin(&url, &next) {
                let target = shown_url(next.as_str()).into_owned();
                return Err(Error::new(
                    ErrorKind::Redirect,
                    format!("{}: redirected to {target}, not followed with credentials", request.describe()),
                ));
            }
            url = next;
        }
        let text = format!("{}: stopped after {MAX_REDIRECTS} redirects", request.describe());
        Err(Error::new(ErrorKind::Redirect, text))
    }

    fn client(&self, url: &Url, identity: &TlsIdentity) -> Result<reqwest::Client, Error> {
        let key = (url.origin().ascii_serialization(), identity.clone());
        let now = Instant::now();
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = clients.get_mut(&key) {
            entry.last_used = now;
            return Ok(entry.client.clone());
        }
        clients.retain(|_, entry| now.duration_since(entry.last_used) < FORGET_AFTER);
        let known =
            clients.iter().find(|((_, other), _)| other == identity).map(|(_, entry)| entry.tls.clone());
        let tls = match known {
            Some(tls) => tls,
            None => tls::client_config(&self.roots, &self.settings, identity)?,
        };
        let client = self.build(url, tls.clone())?;
        clients.insert(key, Entry { client: client.clone(), tls, last_used: now });
        Ok(client)
    }

    fn build(&self, url: &Url, tls: ClientConfig) -> Result<reqwest::Client, Error> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            // Upstream speaks HTTP/1.1 only; one wedged HTTP/2 connection would hold up every trigger of an endpoint.
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("keda/", env!("CARGO_PKG_VERSION")))
            .pool_idle_timeout(self.settings.idle_timeout)
            .pool_max_idle_per_host(if self.settings.keep_alive {
                self.settings.idle_per_endpoint
            } else {
                0
            });
        if self.settings.egress != Egress::Open {
            let judging = Judging { egress: self.settings.egress, lookup: self.lookup.clone() };
            builder = builder.dns_resolver(judging);
        }
        if is_near(url) {
            builder = builder.no_proxy();
        }
        builder
            .build()
            .map_err(|error| Error::new(ErrorKind::Request, format!("HTTP client: {}", causes(&error))))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).field("clients", &self.len()).finish()
    }
}

#[async_trait]
impl Transport for Client {
    async fn send(&self, request: Request) -> Result<Response, Error> {
        let timeout = request.timeout.unwrap_or(self.settings.timeout);
        match tokio::time::timeout(timeout, self.exchange(&request)).await {
            Ok(result) => result,
            Err(_) => Err(timed_out(&request.describe(), timeout)),
        }
    }
}

pub(super) fn timed_out(what: &str, timeout: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("{what}: no answer within {timeout:?}"))
}

fn parse_url(text: &str) -> Result<Url, Error> {
    let unusable = |why: &str| Error::new(ErrorKind::Request, format!("{}: {why}", shown_url(text)));
    let url = Url::parse(text).map_err(|error| unusable(&format!("not a URL: {error}")))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        scheme => Err(unusable(&format!("not an http or https URL but {scheme}"))),
    }
}

/// `user:password@` in a URL means basic authentication, unless the request has its own.
fn take_user_info(url: &mut Url, headers: &mut HeaderMap) -> Result<(), Error> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    let decode = |text: &str| -> String {
        // Percent-decoding as in a query, without its `+`.
        form_urlencoded::parse(text.replace('+', "%2B").as_bytes())
            .next()
            .map_or_else(String::new, |(k, _)| k.into())
    };
    let value = super::basic(&decode(url.username()), &decode(url.password().unwrap_or_default()));
    let unusable = || Error::new(ErrorKind::Request, "user information in the URL cannot be sent");
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| unusable())?;
    if !headers.contains_key(AUTHORIZATION) {
        headers.insert(AUTHORIZATION, value.ok_or_else(unusable)?);
    }
    Ok(())
}

fn carries_credentials(headers: &HeaderMap, tls: &TlsIdentity) -> bool {
    let harmless = [ACCEPT, CONTENT_TYPE, USER_AGENT];
    tls.certificate.is_some() || headers.keys().any(|name| !harmless.contains(name))
}

/// Where the answer sends a GET, if it does.
fn redirect(
    request: &Request,
    status: StatusCode,
    headers: &HeaderMap<HeaderValue>,
    from: &Url,
) -> Result<Option<Url>, Error> {
    let followed = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = headers.get(LOCATION).filter(|_| followed && request.method == Method::GET) else {
        return Ok(None);
    };
    let next = location.to_str().ok().and_then(|text| from.join(text).ok());
    match next {
        Some(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Some(url)),
        _ => Err(Error::new(
            ErrorKind::Redirect,
            format!("{}: redirected to no usable URL", request.describe()),
        )),
    }
}

/// The same server, or the same host over TLS.
fn same_origin(from: &Url, to: &Url) -> bool {
    from.origin() == to.origin()
        || (from.scheme() == "http" && to.scheme() == "https" && from.host() == to.host())
}

async fn read(request: &Request, mut response: reqwest::Response, largest: usize) -> Result<Response, Error> {
    let too_large = || {
        let text = format!("{}: the answer is larger than {} MiB", request.describe(), largest >> 20);
        Error::new(ErrorKind::TooLarge, text)
    };
    if response.content_length().is_some_and(|length| length > largest as u64) {
        return Err(too_large());
    }
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let mut body = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transport_error(request, error))? {
        if whole.len() + body.len() + chunk.len() > largest {
            return Err(too_large());
        }
        // Most answers are one chunk, which is then used as it is.
        if body.is_empty() && whole.is_empty() {
            body = chunk;
        } else {
            whole.extend_from_slice(&std::mem::take(&mut body));
            whole.extend_from_slice(&chunk);
        }
    }
    if !whole.is_empty() {
        body = whole.freeze();
    }
    Ok(Response { status, headers, body })
}

/// Loopback, and link-local addresses, where nodes have their metadata and credentials: no proxy knows those.
fn is_near(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| match address {
            IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
            // fd00:ec2::/32 is where Amazon's nodes have theirs.
            IpAddr::V6(address) => address.is_loopback() || address.segments()[..2] == [0xfd00, 0xec2],
        })
}

fn blocked(request: &Request, blocked: &Blocked) -> Error {
    Error::new(ErrorKind::Blocked, format!("{}: {blocked}", request.describe()))
}

fn transport_error(request: &Request, error: reqwest::Error) -> Error {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(it) = error.downcast_ref::<Blocked>() {
            return blocked(request, it);
        }
        cause = error.source();
    }
    let (kind, words) = if error.is_connect() {
        (ErrorKind::Connect, "cannot connect")
    } else if error.is_builder() {
        (ErrorKind::Request, "cannot send")
    } else {
        (ErrorKind::Interrupted, "connection lost")
    };
    Error::new(kind, format!("{}: {words}: {}", request.describe(), causes(&error.without_url())))
}

/// The chain of causes below reqwest's and hyper's own wrappers, the root cause last.
fn causes(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        let wrapper = text.starts_with("client error (") || text == "error sending request";
        if !wrapper && !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}

#[cfg(test)]
mod tests;
