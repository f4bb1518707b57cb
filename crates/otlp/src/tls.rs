//! Whom a push trusts, and as whom it comes.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::settings::Tls;

impl Tls {
    /// A configuration from what the files hold now.
    ///
    /// # Errors
    /// The file that cannot be used, never what is in it.
    pub(crate) fn config(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(file) => {
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|error| format!("{}: {error}", file.display()))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                for folder in &self.ca_dirs {
                    // Whatever is no certificate there was said when triggers' CAs were read.
                    let files = fs::read_dir(folder).into_iter().flatten().flatten();
                    let found = files.filter_map(|file| certificates(&file.path()).ok()).flatten();
                    roots.add_parsable_certificates(found);
                }
            }
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        let Some((certificate, key)) = &self.client else { return Ok(builder.with_no_client_auth()) };
        let chain = certificates(certificate)?;
        let unusable = || format!("{}: no PEM private key", key.display());
        let text = fs::read(key).map_err(|error| format!("{}: {error}", key.display()))?;
        let private = PrivateKeyDer::from_pem_slice(&text).map_err(|_| unusable())?;
        builder.with_client_auth_cert(chain, private).map_err(|error| format!("{}: {error}", key.display()))
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(format!("{}: no PEM certificate", file.display())),
    }
}
