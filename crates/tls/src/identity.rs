//! What certificate files hold, checked: a chain with its key, and the CAs to trust. Immutable; a reload makes a new one.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    RootCertStore,
    client::danger::HandshakeSignatureValid,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};

use crate::Error;

/// A certificate chain and its private key, and the CAs that came with them. Debug never shows the key.
#[derive(Debug)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    roots: Option<Roots>,
    not_after: SystemTime,
}

impl Identity {
    /// From PEM texts: `cert` is the chain, leaf first; `key` in PKCS#1, PKCS#8 or SEC1; `ca` the certificates to trust.
    ///
    /// # Errors
    /// When a text holds no such thing, the key does not belong to the leaf, or the leaf cannot be read. `name` stands in the texts.
    pub fn from_pem(name: &str, cert: &[u8], key: &[u8], ca: Option<&[u8]>) -> Result<Self, Error> {
        let content = |reason: String| Error::Content { what: name.to_owned(), reason };
        let chain = certificates(cert).map_err(|reason| content(format!("certificate: {reason}")))?;
        // The parser's own error may quote what it met, which is a key here.
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| content("key: no private key in PEM form".to_owned()))?;
        let leaf = chain.first().ok_or_else(|| content("certificate: none".to_owned()))?;
        let not_after = not_after(leaf).map_err(&content)?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| {
            content(match error {
                rustls::Error::InconsistentKeys(_) => "the key does not belong to the certificate".to_owned(),
                other => format!("key: {other}"),
            })
        })?;
        let roots = ca.map(|ca| Roots::from_pem(name, ca)).transpose()?;
        Ok(Self { key: Arc::new(key), roots, not_after })
    }

    /// The certificate chain, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }

    /// The CAs to trust, when there are any.
    pub fn roots(&self) -> Option<&Roots> {
        self.roots.as_ref()
    }

    /// End of the leaf's validity.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    pub(crate) fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }
}

/// CA certificates to trust. Cheap to clone.
#[derive(Clone)]
pub struct Roots {
    store: Arc<RootCertStore>,
    clients: Arc<dyn ClientCertVerifier>,
}

impl Roots {
    /// From PEM text with at least one certificate.
    ///
    /// # Errors
    /// When there is none, or one cannot be read. `name` stands in the text.
    pub fn from_pem(name: &str, pem: &[u8]) -> Result<Self, Error> {
        let content = |reason: String| Error::Content { what: name.to_owned(), reason };
        let mut store = RootCertStore::empty();
        for certificate in certificates(pem).map_err(|reason| content(format!("ca: {reason}")))? {
            store.add(certificate).map_err(|error| content(format!("ca: {error}")))?;
        }
        let store = Arc::new(store);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(store.clone(), provider)
            .build()
            .map_err(|error| content(format!("ca: {error}")))?;
        Ok(Self { store, clients })
    }

    /// Whether `chain` (leaf first) is a client's chain that ends at one of these CAs and is valid at `now`.
    ///
    /// # Errors
    /// What is wrong with the chain.
    pub fn verify_client(&self, chain: &[CertificateDer<'_>], now: SystemTime) -> Result<(), rustls::Error> {
        let (leaf, intermediates) = chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        self.clients.verify_client_cert(leaf, intermediates, UnixTime::since_unix_epoch(since)).map(|_| ())
    }

    pub(crate) fn store(&self) -> &Arc<RootCertStore> {
        &self.store
    }
}

impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Roots({})", self.store.len())
    }
}

/// Asks clients for a certificate and has them prove that they own its key, but judges no chain: whoever reads the peer's
/// certificates does that, against CAs that may change while the connection lives.
#[derive(Debug)]
pub(crate) struct Presented(pub(crate) Arc<rustls::crypto::CryptoProvider>);

impl ClientCertVerifier for Presented {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<rustls::server::danger::ClientCertVerified, rustls::Error> {
        Ok(rustls::server::danger::ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if found.is_empty() { Err("no certificate in PEM form".to_owned()) } else { Ok(found) }
}

fn not_after(leaf: &CertificateDer<'_>) -> Result<SystemTime, String> {
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf).map_err(|e| format!("certificate: {e}"))?;
    let seconds = u64::try_from(leaf.validity().not_after.timestamp()).unwrap_or(0);
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}
