//! What a certificate says: its dates, names and purposes, and whether a CA signed it. Facts only; what follows from them is decided
//! by whoever keeps certificates.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, time::ASN1Time};

use crate::{Error, Identity, Roots, identity};

/// One certificate, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    /// Valid from here.
    pub not_before: SystemTime,
    /// Valid until here.
    pub not_after: SystemTime,
    /// DNS names and IP addresses of the subject alternative names, as text.
    pub names: Vec<String>,
    /// May sign other certificates.
    pub is_ca: bool,
    /// May be shown by a server and by a client: what both ends of the metrics service need.
    pub for_both_ends: bool,
}

impl Certificate {
    /// Every certificate of a PEM text, in its order.
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub fn read(pem: &[u8]) -> Result<Vec<Self>, Error> {
        let content = |reason| Error::Content { what: "certificate".to_owned(), reason };
        let found = identity::certificates(pem).map_err(content)?;
        found.into_iter().map(|der| Self::of(der).map_err(content)).collect()
    }

    fn of(der: CertificateDer<'static>) -> Result<Self, String> {
        let (_, x509) = x509_parser::parse_x509_certificate(&der).map_err(|error| error.to_string())?;
        let (not_before, not_after) = (time(x509.validity().not_before), time(x509.validity().not_after));
        let (names, is_ca, for_both_ends) = (names(&x509), is_ca(&x509), for_both_ends(&x509));
        Ok(Self { not_before, not_after, names, is_ca, for_both_ends, der })
    }

    /// As PEM.
    pub fn pem(&self) -> String {
        crate::make::pem("CERTIFICATE", &STANDARD.encode(&self.der))
    }

    /// Whether `ca` signed it, with dates that overlap. Neither needs to be valid now.
    pub fn signed_by(&self, ca: &Self) -> bool {
        let at = self.not_before.max(ca.not_before);
        at < ca.not_after
            && Roots::from_pem("ca", ca.pem().as_bytes())
                .is_ok_and(|roots| roots.verify_client(std::slice::from_ref(&self.der), at).is_ok())
    }

    /// Whether this PEM text is its private key, in PKCS#1, PKCS#8 or SEC1.
    pub fn owns(&self, key: &[u8]) -> bool {
        Identity::from_pem("key", self.pem().as_bytes(), key, None).is_ok()
    }
}

fn time(time: ASN1Time) -> SystemTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn names(x509: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = x509.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(v4) => Some(std::net::IpAddr::from(v4).to_string()),
            Err(_) => <[u8; 16]>::try_from(*bytes).ok().map(|v6| std::net::IpAddr::from(v6).to_string()),
        },
        _ => None,
    };
    names.value.general_names.iter().filter_map(name).collect()
}

fn is_ca(x509: &X509Certificate<'_>) -> bool {
    let may_sign = match x509.key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.value.key_cert_sign()),
        Err(_) => false,
    };
    may_sign && matches!(x509.basic_constraints(), Ok(Some(constraints)) if constraints.value.ca)
}

fn for_both_ends(x509: &X509Certificate<'_>) -> bool {
    match x509.extended_key_usage() {
        Ok(usage) => {
            usage.is_none_or(|usage| usage.value.any || (usage.value.server_auth && usage.value.client_auth))
        }
        Err(_) => false,
    }
}
