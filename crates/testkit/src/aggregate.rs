//! Aggregated API groups: requests to them are handed to a backend, as kube-aggregator does it.
//!
//! The backend learns who asks from `X-Remote-User` and `X-Remote-Group`; over TLS it can trust these because the
//! front proxy shows a client certificate, signed by the CA that the server publishes in the ConfigMap
//! `kube-system/extension-apiserver-authentication`.

use std::{
    fmt,
    future::Future,
    sync::{Arc, LazyLock, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use keda_tls::{
    Connector, Folder, Policy,
    make::{Authority, KeyKind, Subject},
};
use serde_json::{Value, json};
use tower::{BoxError, Service, ServiceExt, util::BoxCloneSyncService};

use crate::{
    refusal::Refusal,
    server::{Body, Identity},
    sync::lock,
};

type Handler = BoxCloneSyncService<Request<Full<Bytes>>, Response<Body>, BoxError>;

/// How long a backend may take, as in kube-apiserver.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Who answers for an aggregated API group.
#[derive(Clone)]
pub struct Backend(Kind);

#[derive(Clone)]
enum Kind {
    Service(Handler),
    Https(Arc<Remote>),
}

/// A backend behind TLS.
struct Remote {
    host: String,
    port: u16,
    connector: Connector,
    connection: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Backend {
    /// A service in this process: anything like an axum router. It sees the headers that the front proxy adds
    /// (`X-Remote-User`, `X-Remote-Group`); there is no TLS to authenticate by.
    pub fn service<S, F, B>(service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>, Future = F> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        F: Future<Output = Result<Response<B>, S::Error>> + Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let service = service
            .map_response(|response: Response<B>| {
                response.map(|body| body.map_err(Into::into).boxed_unsync())
            })
            .map_err(Into::into);
        Self(Kind::Service(BoxCloneSyncService::new(service)))
    }

    /// `host` and `port`, reached over HTTP/2 and TLS with the front proxy's client certificate. The backend's
    /// certificate must be signed by `ca` (PEM) and be valid for `server_name` (a service's DNS name, usually).
    ///
    /// # Errors
    /// When `ca` holds no certificate.
    pub fn https(host: &str, port: u16, ca: &str, server_name: &str) -> Result<Self, keda_tls::Error> {
        let proxy = &*FRONT_PROXY;
        let identity = keda_tls::Identity::from_pem(
            "front proxy",
            proxy.certificate.as_bytes(),
            proxy.key.as_bytes(),
            Some(ca.as_bytes()),
        )?;
        let connector =
            Connector::new(Folder::fixed(identity), &Policy::service(|_| None), Some(server_name));
        Ok(Self(Kind::Https(Arc::new(Remote {
            host: host.to_owned(),
            port,
            connector,
            connection: Mutex::default(),
        }))))
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Service(_) => f.write_str("Backend(service)"),
            Kind::Https(remote) => write!(f, "Backend({}:{})", remote.host, remote.port),
        }
    }
}

/// The front proxy's certificates. One pair a process: making keys takes time, and nobody minds sharing.
struct FrontProxy {
    ca: String,
    certificate: String,
    key: String,
}

static FRONT_PROXY: LazyLock<FrontProxy> = LazyLock::new(|| {
    let now = SystemTime::now();
    let made = Authority::new("front-proxy-ca", "", KeyKind::EcdsaP256, now).and_then(|authority| {
        let subject = Subject { common_name: "front-proxy-client", organization: "", names: &[] };
        let (certificate, key) = authority.issue(&subject, now, Duration::from_secs(365 * 24 * 3600))?;
        Ok(FrontProxy { ca: authority.certificate().to_owned(), certificate, key })
    });
    #[expect(
        clippy::expect_used,
        reason = "the names are constant, and without keys there is nothing to test with"
    )]
    made.expect("make the front proxy's certificates")
});

/// PEM of the CA that signed the front proxy's client certificate.
pub(crate) fn front_proxy_ca() -> &'static str {
    &FRONT_PROXY.ca
}

/// The ConfigMap from which aggregated API servers learn whom to trust.
pub(crate) fn authentication_config_map() -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": {
            "client-ca-file": front_proxy_ca(),
            "requestheader-client-ca-file": front_proxy_ca(),
            "requestheader-allowed-names": "[\"front-proxy-client\"]",
            "requestheader-username-headers": "[\"X-Remote-User\"]",
            "requestheader-uid-headers": "[\"X-Remote-Uid\"]",
            "requestheader-group-headers": "[\"X-Remote-Group\"]",
            "requestheader-extra-headers-prefix": "[\"X-Remote-Extra-\"]",
        },
    })
}

/// The APIService object of a backend.
pub(crate) fn api_service(group: &str, version: &str, now: &str) -> Value {
    json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": format!("{version}.{group}")},
        "spec": {"group": group, "version": version, "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": true, "service": {"name": "backend", "namespace": "kube-system", "port": 443}},
        "status": {"conditions": [{"type": "Available", "status": "True", "reason": "Passed",
            "message": "all checks passed", "lastTransitionTime": now}]},
    })
}

/// A request on its way to a backend.
pub(crate) struct Proxied<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path_and_query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) identity: &'a Identity,
}

/// Hands a request to a backend; an unreachable one is 503.
pub(crate) async fn proxy(backend: &Backend, proxied: Proxied<'_>) -> Result<Response<Body>, Refusal> {
    let unreachable = |error: BoxError| {
        Refusal::new(503, "ServiceUnavailable", format!("error trying to reach service: {error}"))
    };
    let request = proxied.request(matches!(backend.0, Kind::Https(_))).map_err(unreachable)?;
    let answer = async {
        match &backend.0 {
            Kind::Service(handler) => handler.clone().oneshot(request).await,
            Kind::Https(remote) => remote.send(request).await,
        }
    };
    match tokio::time::timeout(TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(unreachable),
        Err(_) => Err(Refusal::new(504, "Timeout", "the aggregated API server did not answer in time")),
    }
}

/// A backend's discovery document of a group version.
pub(crate) async fn discover(
    backend: &Backend,
    identity: &Identity,
    group: &str,
    version: &str,
) -> Option<Value> {
    let path = format!("/apis/{group}/{version}");
    let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))]);
    let proxied = Proxied {
        method: &Method::GET,
        path_and_query: &path,
        headers: &headers,
        body: Bytes::new(),
        identity,
    };
    let response =
        proxy(backend, proxied).await.ok().filter(|response| response.status() == StatusCode::OK)?;
    let body = response.into_body().collect().await.ok()?.to_bytes();
    serde_json::from_slice(&body).ok()
}

impl Proxied<'_> {
    fn request(self, absolute: bool) -> Result<Request<Full<Bytes>>, BoxError> {
        let uri = if absolute {
            format!("https://backend{}", self.path_and_query)
        } else {
            self.path_and_query.to_owned()
        };
        let mut request = Request::builder().method(self.method).uri(uri).body(Full::new(self.body))?;
        for (name, value) in self.headers {
            let replaced = name.as_str().starts_with("x-remote-");
            let hop = matches!(
                *name,
                header::CONNECTION | header::HOST | header::TRANSFER_ENCODING | header::UPGRADE
            );
            if !replaced && !hop && name != header::AUTHORIZATION {
                request.headers_mut().append(name, value.clone());
            }
        }
        request.headers_mut().insert("x-remote-user", HeaderValue::try_from(&self.identity.user)?);
        for group in &self.identity.groups {
            request.headers_mut().append("x-remote-group", HeaderValue::try_from(group)?);
        }
        Ok(request)
    }
}

impl Remote {
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, BoxError> {
        let mut connection = self.connected().await?;
        let response = match connection.send_request(request.clone()).await {
            Ok(response) => response,
            // The backend may have closed the connection meanwhile: once more, on a new one.
            Err(_) => {
                lock(&self.connection).take();
                self.connected().await?.send_request(request).await?
            }
        };
        Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
    }

    async fn connected(&self) -> Result<SendRequest<Full<Bytes>>, BoxError> {
        let open = lock(&self.connection).clone().filter(|connection| !connection.is_closed());
        if let Some(connection) = open {
            return Ok(connection);
        }
        let stream = self.connector.connect(&self.host, self.port).await?;
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // Whoever sends next finds out that it broke.
            let _ = connection.await;
        });
        *lock(&self.connection) = Some(sender.clone());
        Ok(sender)
    }
}
