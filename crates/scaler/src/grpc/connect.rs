//! How a connection is made: a name resolved afresh, every address of it tried, TLS on top.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tower::ServiceExt;

use super::Endpoint;
use crate::http::{self, Roots, Settings};

/// How long one connection may take to be made, names and handshakes included.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the addresses of a name may take to answer, together.
const ANSWERING: Duration = Duration::from_secs(5);
/// When a silent connection is probed, how often and how many times: what is gone without a word is noticed in a minute. The kernel does it, as
/// servers of grpc-go hang up on clients that ping more than every five minutes.
const SILENCE: Duration = Duration::from_secs(30);
const PROBE: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// Bytes in both directions.
pub trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

/// Makes connections. Tests bring pipes in memory.
#[async_trait]
pub trait Dial: Send + Sync {
    /// A connection to the endpoint; with TLS, after the handshake.
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<Box<dyn Pipe>>;
}

/// The network.
pub(super) struct Network {
    settings: Settings,
    /// Read at the first handshake: most clusters have no gRPC source with TLS.
    roots: OnceLock<Roots>,
}

impl Network {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, roots: OnceLock::new() }
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Box<dyn Pipe>> {
        let Endpoint { address, tls } = endpoint;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(ANSWERING));
        connector.set_keepalive(Some(SILENCE));
        connector.set_keepalive_interval(Some(PROBE));
        connector.set_keepalive_retries(Some(PROBES));
        let uri = format!("http://{address}/").parse().map_err(io::Error::other)?;
        let stream = connector.oneshot(uri).await.map_err(|error| io::Error::other(causes(&error)))?;
        let stream = stream.into_inner();
        // Nothing was sent yet: whatever the name was for somebody else, this is who answers.
        self.settings.egress.check(&stream.peer_addr()?.ip().to_string()).map_err(io::Error::other)?;
        let Some(identity) = tls else { return Ok(Box::new(stream)) };
        let roots = self.roots.get_or_init(|| Roots::load(&self.settings.ca_dirs));
        let mut config = http::client_config(roots, &self.settings, identity).map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from(address.host().to_owned()).map_err(io::Error::other)?;
        let handshake = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream);
        let stream = handshake
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("TLS handshake: {error}")))?;
        Ok(Box::new(stream))
    }
}

#[async_trait]
impl Dial for Network {
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<Box<dyn Pipe>> {
        let connecting = tokio::time::timeout(PATIENCE, self.connect(endpoint)).await;
        let told = |error: io::Error| {
            io::Error::new(error.kind(), format!("connect to {}: {error}", endpoint.address))
        };
        match connecting {
            Ok(connected) => connected.map_err(told),
            Err(_) => {
                let text = format!("no connection within {PATIENCE:?}");
                Err(told(io::Error::new(io::ErrorKind::TimedOut, text)))
            }
        }
    }
}

/// An error with everything behind it, each said once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
