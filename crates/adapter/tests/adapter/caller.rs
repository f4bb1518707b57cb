//! Whoever calls the adapter: a front proxy, a person, a probe.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) bytes: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The value of the only item.
    pub(crate) fn value(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()["items"][0]["value"].as_str().unwrap().to_owned()
    }

    /// Status and message of an error.
    pub(crate) fn error(&self) -> (u16, String) {
        let status = self.json();
        assert_eq!(status["kind"], "Status", "{}", self.text);
        assert_eq!(status["code"], self.status, "{}", self.text);
        (self.status, status["message"].as_str().unwrap().to_owned())
    }
}

/// A caller with a certificate and headers of its own.
#[derive(Clone)]
pub(crate) struct Caller {
    port: u16,
    config: Arc<ClientConfig>,
    headers: Vec<(String, String)>,
}

impl Caller {
    /// Trusts `ca`; presents a certificate when given one.
    pub(crate) fn new(port: u16, ca: &str, pair: Option<(String, String)>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match pair {
            Some((cert, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        Self { port, config: Arc::new(config), headers: Vec::new() }
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path).await
    }

    /// On a new connection, with HTTP/1.1.
    pub(crate) async fn send(&self, method: Method, path: &str) -> Reply {
        let stream = self.connect(b"http/1.1").await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = self.request(method, path, path);
        read(sender.send_request(request).await.unwrap()).await
    }

    /// One connection for many requests, with HTTP/2.
    pub(crate) async fn keep(&self) -> Kept {
        let stream = self.connect(b"h2").await.unwrap();
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Kept { caller: self.clone(), sender }
    }

    pub(crate) async fn connect(&self, protocol: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let mut config = (*self.config).clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    fn request(&self, method: Method, uri: &str, what: &str) -> Request<Empty<Bytes>> {
        let mut request = Request::builder().method(method).uri(uri).header(header::HOST, "localhost");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Empty::new()).unwrap_or_else(|error| panic!("{what}: {error}"))
    }
}

/// See [`Caller::keep`].
#[derive(Clone)]
pub(crate) struct Kept {
    caller: Caller,
    sender: http2::SendRequest<Empty<Bytes>>,
}

impl Kept {
    pub(crate) async fn get(&self, path: &str) -> Reply {
        let request = self.caller.request(Method::GET, &format!("https://localhost{path}"), path);
        read(self.sender.clone().send_request(request).await.unwrap()).await
    }
}

async fn read(response: http::Response<hyper::body::Incoming>) -> Reply {
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        text: String::from_utf8_lossy(&bytes).into_owned(),
        bytes,
    }
}
