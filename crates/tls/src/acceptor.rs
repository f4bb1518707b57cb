//! The server's side of a handshake, with the certificates of this moment.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Error, Folder, Identity, Policy, followed::Followed, identity::Presented};

/// What is asked of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// No certificate.
    None,
    /// A certificate if they have one. They must own its key, but its chain is not judged: [`crate::Roots::verify_client`] is for whoever reads
    /// [`crate::Peer::certificates`].
    Optional,
    /// A certificate that chains to the folder's CAs.
    Required,
}

/// Which protocols are offered on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    /// HTTP/2 alone, as gRPC needs.
    Http2,
    /// HTTP/2 and HTTP/1.1.
    Http,
    /// HTTP/1.1 alone.
    Http1,
}

impl Protocols {
    fn alpn(self) -> Vec<Vec<u8>> {
        let (h2, h1) = (b"h2".to_vec(), b"http/1.1".to_vec());
        match self {
            Self::Http2 => vec![h2],
            Self::Http => vec![h2, h1],
            Self::Http1 => vec![h1],
        }
    }
}

/// Does the server's side of handshakes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Acceptor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Followed<ServerConfig>,
    provider: Arc<CryptoProvider>,
    policy: Policy,
    clients: ClientAuth,
    protocols: Protocols,
}

impl Acceptor {
    /// Serves the folder's certificate.
    pub fn new(folder: Folder, policy: &Policy, clients: ClientAuth, protocols: Protocols) -> Self {
        let inner = Inner {
            config: Followed::new(folder),
            provider: policy.provider(),
            policy: policy.clone(),
            clients,
            protocols,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The configuration of this moment.
    ///
    /// # Errors
    /// While no certificate is loaded, or when clients must be verified and there is no CA.
    pub fn config(&self) -> Result<Arc<ServerConfig>, Error> {
        self.inner.config.get(|identity| self.inner.build(identity))
    }

    /// One handshake, without a deadline.
    ///
    /// # Errors
    /// While there is no configuration, or when the handshake fails.
    pub async fn accept<S>(&self, stream: S) -> std::io::Result<tokio_rustls::server::TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.config().map_err(std::io::Error::other)?;
        tokio_rustls::TlsAcceptor::from(config).accept(stream).await
    }
}

impl Inner {
    fn build(&self, identity: &Identity) -> Result<ServerConfig, Error> {
        let builder = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(self.policy.versions())?;
        let builder = match self.clients {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Optional => {
                builder.with_client_cert_verifier(Arc::new(Presented(self.provider.clone())))
            }
            ClientAuth::Required => {
                let no_ca = |reason: String| Error::Content { what: "client ca".to_owned(), reason };
                let roots = identity.roots().ok_or_else(|| no_ca("none is configured".to_owned()))?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.store().clone(), self.provider.clone())
                        .build()
                        .map_err(|error| no_ca(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(Always(identity.key().clone())));
        config.alpn_protocols = self.protocols.alpn();
        Ok(config)
    }
}

/// One certificate, whatever name the client asks for.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}
