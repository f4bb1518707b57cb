//! Trust and identity towards sources: who is believed, and as whom we speak.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CipherSuite, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedCipherSuite,
    SupportedProtocolVersion,
};

use super::{Error, ErrorKind, Settings};
use crate::Secret;

/// TLS versions that can be asked for. Older ones do not exist in our TLS library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Whom a request trusts and whom it speaks as. Requests of equal identity share connections and answers.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TlsIdentity {
    /// Further root certificates, PEM, trusted next to the process's roots.
    pub ca: Option<Arc<str>>,
    /// The certificate shown to the server.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// Believe any server.
    pub unsafe_ssl: bool,
}

/// A client certificate with its key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientCertificate {
    /// The chain, PEM.
    pub chain: Arc<str>,
    /// The private key, PEM.
    pub key: Secret,
}

impl TlsIdentity {
    /// Whether the PEM texts can be used, without touching the network.
    ///
    /// # Errors
    /// Names the parameter that is not usable, never its text.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(ca) = &self.ca {
            certificates(ca, "ca")?;
        }
        self.certificate.as_ref().map(|certificate| certificate.parse()).transpose()?;
        Ok(())
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity")
            .field("ca", &self.ca.is_some())
            .field("certificate", &self.certificate.is_some())
            .field("unsafe_ssl", &self.unsafe_ssl)
            .finish()
    }
}

impl ClientCertificate {
    fn parse(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
        let chain = certificates(&self.chain, "cert")?;
        let key = PrivateKeyDer::from_pem_slice(self.key.expose().as_bytes())
            .map_err(|_| Error::new(ErrorKind::Identity, "key: no PEM private key in it"))?;
        Ok((chain, key))
    }
}

/// The certificates in a PEM text; `parameter` is what the user calls it.
fn certificates(pem: &str, parameter: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unusable = |what: &str| Error::new(ErrorKind::Identity, format!("{parameter}: {what}"));
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| unusable("broken PEM text"))?;
    if certificates.is_empty() { Err(unusable("no PEM certificate in it")) } else { Ok(certificates) }
}

/// The root certificates of the process: the system's and those of the `--ca-dir` folders (platform.md 2.4). Read once.
#[derive(Debug, Clone)]
pub struct Roots {
    store: Arc<RootCertStore>,
    problems: Vec<String>,
}

impl Roots {
    /// Reads the system's roots and every regular file of the folders. Nothing here is fatal: see [`Roots::problems`].
    pub fn load(ca_dirs: &[PathBuf]) -> Self {
        let mut store = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(system.certs);
        let mut problems: Vec<String> =
            system.errors.iter().map(|error| format!("system roots: {error}")).collect();
        for folder in ca_dirs {
            add_folder(&mut store, folder, &mut problems);
        }
        Self { store: Arc::new(store), problems }
    }

    /// What could not be read, for the log.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

fn add_folder(store: &mut RootCertStore, folder: &Path, problems: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    for file in files {
        // `..data` and the like are the bookkeeping of mounted Secrets and ConfigMaps.
        let internal = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".."));
        if internal || !file.is_file() {
            continue;
        }
        if let Err(problem) = add_file(store, &file) {
            problems.push(format!("{}: {problem}", file.display()));
        }
    }
}

fn add_file(store: &mut RootCertStore, file: &Path) -> Result<(), String> {
    let bytes = fs::read(file).map_err(|error| error.to_string())?;
    let parsed: Vec<_> = CertificateDer::pem_slice_iter(&bytes).flatten().collect();
    match store.add_parsable_certificates(parsed) {
        (0, _) => Err("no certificate in it".to_owned()),
        (_, 0) => Ok(()),
        (_, ignored) => Err(format!("{ignored} certificates in it are unusable")),
    }
}

/// Go's name of a cipher suite to ours; only suites that exist below TLS 1.3 here.
pub(super) fn cipher_suite(go_name: &str) -> Option<CipherSuite> {
    Some(match go_name {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" => {
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        }
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" => {
            CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        }
        _ => return None,
    })
}

/// Builds the TLS side of a client.
pub(crate) fn client_config(
    roots: &Roots,
    settings: &Settings,
    identity: &TlsIdentity,
) -> Result<ClientConfig, Error> {
    let mut provider = aws_lc_rs::default_provider();
    let allowed: Vec<CipherSuite> =
        settings.cipher_suites.iter().filter_map(|name| cipher_suite(name)).collect();
    if !allowed.is_empty() {
        provider.cipher_suites.retain(|suite| match suite {
            SupportedCipherSuite::Tls12(_) => allowed.contains(&suite.suite()),
            SupportedCipherSuite::Tls13(_) => true,
        });
    }
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let versions: &[&SupportedProtocolVersion] = match settings.min_tls {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let unusable = |error: rustls::Error| Error::new(ErrorKind::Identity, format!("TLS settings: {error}"));
    let builder = ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(versions)
        .map_err(unusable)?;
    let builder = if identity.unsafe_ssl {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(BelieveAnyServer(schemes)))
    } else {
        builder.with_root_certificates(trusted(roots, identity)?)
    };
    match &identity.certificate {
        None => Ok(builder.with_no_client_auth()),
        Some(certificate) => {
            let (chain, key) = certificate.parse()?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| Error::new(ErrorKind::Identity, format!("cert and key do not fit: {error}")))
        }
    }
}

fn trusted(roots: &Roots, identity: &TlsIdentity) -> Result<Arc<RootCertStore>, Error> {
    let Some(ca) = &identity.ca else { return Ok(roots.store.clone()) };
    let mut store = RootCertStore::clone(&roots.store);
    for certificate in certificates(ca, "ca")? {
        store.add(certificate).map_err(|error| Error::new(ErrorKind::Identity, format!("ca: {error}")))?;
    }
    Ok(Arc::new(store))
}

/// `unsafeSsl`: nothing that the server shows is checked.
#[derive(Debug)]
struct BelieveAnyServer(Vec<SignatureScheme>);

impl ServerCertVerifier for BelieveAnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
