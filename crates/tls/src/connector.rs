//! The client's side: a name, resolved afresh at each connect, and a handshake with the certificates of this moment.
//!
//! For `tonic::transport::Endpoint::connect_with_connector`. Give the endpoint an `http://` address (tonic refuses `https://` when it is
//! not the one that does TLS) and `origin("https://…")`.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig,
    client::{ResolvesClientCert, WebPkiServerVerifier},
    crypto::CryptoProvider,
    pki_types::ServerName,
    sign::CertifiedKey,
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use crate::{Error, Folder, Identity, Policy, followed::Followed};

/// How long one address may take to answer, and how long the handshake after it.
const STEP: Duration = Duration::from_secs(3);

/// Connects by mutual TLS: presents the folder's certificate, trusts the folder's CAs only. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connector {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Followed<ClientConfig>,
    provider: Arc<CryptoProvider>,
    policy: Policy,
    server_name: Option<String>,
    turn: AtomicUsize,
    connected: AtomicU64,
}

impl Connector {
    /// With the certificates of `folder`. `server_name` is the name that the server's certificate must carry (a port after it is ignored);
    /// `None` or empty: the host that is connected to.
    pub fn new(folder: Folder, policy: &Policy, server_name: Option<&str>) -> Self {
        let server_name = server_name.map(without_port).filter(|name| !name.is_empty()).map(str::to_owned);
        let inner = Inner {
            config: Followed::new(folder),
            provider: policy.provider(),
            policy: policy.clone(),
            server_name,
            turn: AtomicUsize::new(0),
            connected: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// How many connections have been made.
    pub fn connected(&self) -> u64 {
        self.inner.connected.load(Ordering::Relaxed)
    }

    /// A connection to `host` and `port`.
    ///
    /// # Errors
    /// When there is no certificate, the name does not resolve, no address answers, or the handshake fails; the text says which.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<TlsStream<TcpStream>> {
        let config =
            self.inner.config.get(|identity| self.inner.build(identity)).map_err(io::Error::other)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = self.inner.server_name.as_deref().unwrap_or(host).to_owned();
        let server_name = ServerName::try_from(name).map_err(io::Error::other)?;
        let stream = self.tcp(host, port).await?;
        let handshake = tokio_rustls::TlsConnector::from(config).connect(server_name, stream);
        let stream = within(handshake).await.map_err(|e| telling(&e, "TLS handshake with", host, port))?;
        self.inner.connected.fetch_add(1, Ordering::Relaxed);
        Ok(stream)
    }

    /// Tries every address of the name, each time beginning with another one: a dead address costs one attempt, not all of them.
    async fn tcp(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut addresses: Vec<_> = within(lookup_host((host, port)))
            .await
            .map_err(|e| telling(&e, "resolve", host, port))?
            .collect();
        if !addresses.is_empty() {
            let turn = self.inner.turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
            addresses.rotate_left(turn);
        }
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
        for address in addresses {
            match within(TcpStream::connect(address)).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(telling(&last, "connect to", host, port))
    }
}

impl Inner {
    fn build(&self, identity: &Identity) -> Result<ClientConfig, Error> {
        let no_ca = |reason: String| Error::Content { what: "server ca".to_owned(), reason };
        let roots = identity.roots().ok_or_else(|| no_ca("none is configured".to_owned()))?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots.store().clone(), self.provider.clone())
                .build()
                .map_err(|error| no_ca(error.to_string()))?;
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(self.policy.versions())?
            .with_webpki_verifier(verifier)
            .with_client_cert_resolver(Arc::new(Always(identity.key().clone())));
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let host = uri.host().ok_or_else(|| io::Error::other("the address has no host"))?;
            let port = uri.port_u16().unwrap_or(443);
            this.connect(host, port).await.map(TokioIo::new)
        })
    }
}

async fn within<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(STEP, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn telling(error: &io::Error, what: &str, host: &str, port: u16) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {host}:{port}: {error}"))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// One certificate, whatever the server asks for.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
