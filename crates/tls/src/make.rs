//! Making certificates, in upstream's shape (`pkg/certificates/certificate_manager.go`): a CA `KEDA` of `KEDAORG` and one leaf that is
//! server and client at once, RSA 2048, valid from an hour ago.
//!
//! RSA keys are PKCS#1 PEM, as upstream writes them: upstream reads its CA's key in no other form, and a secret must survive the way
//! back. Keys are read in every form.

use std::{
    fs,
    io::Write,
    path::Path,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize,
};

use crate::{Error, Identity};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The kind of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with 2048 bits, as upstream.
    Rsa2048,
    /// ECDSA on P-256: made in no time, for certificates that live in memory.
    EcdsaP256,
}

impl KeyKind {
    fn generate(self) -> Result<KeyPair, Error> {
        Ok(match self {
            Self::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?,
            Self::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
        })
    }
}

/// Who a leaf is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject<'a> {
    /// CN.
    pub common_name: &'a str,
    /// O: a group, when Kubernetes reads it. Empty: none.
    pub organization: &'a str,
    /// DNS names and IP addresses.
    pub names: &'a [String],
}

/// A CA that can sign.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    kind: KeyKind,
}

impl Authority {
    /// A new CA, valid for ten years from an hour before `now`.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(common_name: &str, organization: &str, kind: KeyKind, now: SystemTime) -> Result<Self, Error> {
        let key = kind.generate()?;
        let mut params = CertificateParams::new([common_name.to_owned()])?;
        params.distinguished_name = name(common_name, organization);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyCertSign,
        ];
        params.not_before = (now - HOUR).into();
        params.not_after = (now + 3650 * DAY).into();
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate, kind })
    }

    /// A CA that exists: its certificate, and its key in PKCS#1, PKCS#8 or SEC1. Its leaves get keys of the same kind.
    ///
    /// # Errors
    /// When a text is not what it should be, or the key belongs to another certificate.
    pub fn load(certificate: &str, key: &[u8]) -> Result<Self, Error> {
        let content = |reason: &str| Error::Content { what: "ca".to_owned(), reason: reason.to_owned() };
        Identity::from_pem("ca", certificate.as_bytes(), key, None)?;
        let key = std::str::from_utf8(key).map_err(|_| content("key: not text"))?;
        // The parser's own error may quote what it met, which is a key here.
        let key = KeyPair::from_pem(key).map_err(|_| content("key: of a kind that cannot sign here"))?;
        let kind = if key.algorithm() == &PKCS_RSA_SHA256 { KeyKind::Rsa2048 } else { KeyKind::EcdsaP256 };
        let issuer = Issuer::from_ca_cert_pem(certificate, key)?;
        Ok(Self { issuer, certificate: certificate.to_owned(), kind })
    }

    /// The CA's key, PEM.
    pub fn key(&self) -> String {
        key_pem(self.issuer.key())
    }

    /// The CA's certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A leaf for both ends of a connection, valid until `validity` after `now`. Returns certificate and key, PEM.
    ///
    /// # Errors
    /// When a name is not one, or no key can be made.
    pub fn issue(
        &self,
        subject: &Subject<'_>,
        now: SystemTime,
        validity: Duration,
    ) -> Result<(String, String), Error> {
        let key = self.kind.generate()?;
        let mut params = CertificateParams::new(subject.names)?;
        params.distinguished_name = name(subject.common_name, subject.organization);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = (now - HOUR).into();
        params.not_after = (now + validity).into();
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), key_pem(&key)))
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A CA and one leaf, PEM. Debug never shows keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The CA's certificate.
    pub ca: String,
    /// The CA's key.
    pub ca_key: String,
    /// The leaf.
    pub cert: String,
    /// The leaf's key.
    pub key: String,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle").field("ca", &self.ca).field("cert", &self.cert).finish_non_exhaustive()
    }
}

/// A new CA and a leaf for `names` (DNS names or IP addresses; the first one is also the common name), valid for a year.
///
/// # Errors
/// When a name is not one, or no key can be made.
pub fn generate(names: &[String], kind: KeyKind, now: SystemTime) -> Result<Bundle, Error> {
    let authority = Authority::new("KEDA", "KEDAORG", kind, now)?;
    let common_name = names.first().map_or("keda", String::as_str);
    let subject = Subject { common_name, organization: "", names };
    let (cert, key) = authority.issue(&subject, now, 365 * DAY)?;
    Ok(Bundle { ca: authority.certificate.clone(), ca_key: authority.key(), cert, key })
}

impl Bundle {
    /// Writes `ca.crt`, `tls.crt` and `tls.key` (mode 0600) into `folder`, which is made when missing. The CA's key is not written. Each
    /// file is replaced whole; a [`crate::Folder`] that looks in between keeps the old pair until the new one is complete.
    ///
    /// # Errors
    /// The first file that cannot be written.
    pub fn write_to(&self, folder: impl AsRef<Path>) -> Result<(), Error> {
        let folder = folder.as_ref();
        let file = |path: &Path, source| Error::File { path: path.to_owned(), source };
        fs::create_dir_all(folder).map_err(|source| file(folder, source))?;
        for (name, text, mode) in
            [("ca.crt", &self.ca, 0o644), ("tls.crt", &self.cert, 0o644), ("tls.key", &self.key, 0o600)]
        {
            let path = folder.join(name);
            replace(&path, text.as_bytes(), mode).map_err(|source| file(&path, source))?;
        }
        Ok(())
    }

    /// Writes the certificate and its key (mode 0600) to these files; their folders are made when missing.
    ///
    /// # Errors
    /// The first file that cannot be written.
    pub fn write_pair(&self, cert: &Path, key: &Path) -> Result<(), Error> {
        for (path, text, mode) in [(cert, &self.cert, 0o644), (key, &self.key, 0o600)] {
            let file = |source| Error::File { path: path.to_owned(), source };
            path.parent().map_or(Ok(()), fs::create_dir_all).map_err(file)?;
            replace(path, text.as_bytes(), mode).map_err(file)?;
        }
        Ok(())
    }

    /// As what a process serves.
    ///
    /// # Errors
    /// When the texts are not a pair.
    pub fn identity(&self) -> Result<Identity, Error> {
        Identity::from_pem("bundle", self.cert.as_bytes(), self.key.as_bytes(), Some(self.ca.as_bytes()))
    }
}

/// RSA keys in PKCS#1, others in PKCS#8.
fn key_pem(key: &KeyPair) -> String {
    match pkcs1(key.serialized_der()) {
        Some(inner) if key.algorithm() == &PKCS_RSA_SHA256 => pem("RSA PRIVATE KEY", &STANDARD.encode(inner)),
        _ => key.serialize_pem(),
    }
}

/// The PKCS#1 key inside a PKCS#8 one (RFC 5208): version, algorithm, and the key as an octet string. A key that was loaded as PKCS#1
/// (version, modulus, …) still is.
fn pkcs1(der: &[u8]) -> Option<&[u8]> {
    let (0x30, whole, _) = element(der)? else { return None };
    let (0x02, _, rest) = element(whole)? else { return None };
    let (tag, _, rest) = element(rest)?;
    match tag {
        0x02 => return Some(der),
        0x30 => {}
        _ => return None,
    }
    let (0x04, key, _) = element(rest)? else { return None };
    Some(key)
}

/// Tag and content of the first DER element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let fits = bytes.len() <= 4;
        (fits.then(|| bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))?, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// A PEM block (RFC 7468) around base64.
pub(crate) fn pem(label: &str, base64: &str) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = base64;
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

fn replace(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let next = path.with_extension("next");
    // A file left by a crash could have another mode.
    match fs::remove_file(&next) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&next)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&next, path)
}

fn name(common_name: &str, organization: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if !organization.is_empty() {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}
