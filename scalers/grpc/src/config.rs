//! The parameters of `external` and `external-push` (core.md 8.2).

use std::sync::Arc;

use keda_scaler::config::Whole;
use keda_scaler::grpc::{Address, Endpoint};
use keda_scaler::http::{ClientCertificate, TlsIdentity};
use keda_scaler::{Context, Error, Notice, Secret, TriggerConfig};

/// What a manifest says about an external scaler.
#[derive(Debug, TriggerConfig)]
pub struct Config {
    /// Where the scaler serves gRPC: `host:port`. Without a port it is 443.
    #[param(from(metadata))]
    pub scaler_address: String,

    /// Speak TLS. Implied by `caCert`, and by `tlsClientCert` with `tlsClientKey`.
    #[param(name = "enableTLS", from(metadata), optional)]
    pub enable_tls: bool,

    /// With TLS: believe any server.
    #[param(from(metadata), optional)]
    pub unsafe_ssl: bool,

    /// Root certificates to believe besides the system's, PEM.
    #[param(from(auth), optional)]
    pub ca_cert: String,

    /// Certificate to show to the server, PEM.
    #[param(from(auth), optional)]
    pub tls_client_cert: String,

    /// Its private key, PEM.
    #[param(from(auth), optional)]
    pub tls_client_key: Secret,

    /// Passed on to the scaler.
    #[param(whole)]
    pub metadata: Whole,
}

impl Config {
    /// Whom to speak to.
    ///
    /// # Errors
    /// The address is none.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, String> {
        let address: Address = self
            .scaler_address
            .parse()
            .map_err(|error| format!("unable to set param \"scalerAddress\": {error}"))?;
        Ok(Endpoint { address, tls: self.identity() })
    }

    /// Whether to speak TLS, and as whom.
    fn identity(&self) -> Option<TlsIdentity> {
        let mut identity = TlsIdentity::default();
        if self.has_certificate() {
            identity.certificate = Some(Arc::new(ClientCertificate {
                chain: self.tls_client_cert.as_str().into(),
                key: self.tls_client_key.clone(),
            }));
        }
        identity.ca = Some(self.ca_cert.as_str()).filter(|pem| !pem.is_empty()).map(Arc::from);
        identity.unsafe_ssl = self.unsafe_ssl;
        let used = self.enable_tls || identity.certificate.is_some() || identity.ca.is_some();
        used.then_some(identity)
    }

    fn has_certificate(&self) -> bool {
        !self.tls_client_cert.is_empty() && !self.tls_client_key.is_empty()
    }

    /// What is wrong before anybody is dialled. Upstream finds it at every call.
    pub(crate) fn check(&self, context: &Context) -> Result<(), String> {
        if self.scaler_address.is_empty() {
            // Missed already.
            return Ok(());
        }
        let endpoint = self.endpoint()?;
        self.review(context).map_err(|error| error.message)?;
        let Some(identity) = endpoint.tls else { return Ok(()) };
        identity.check().map_err(|error| {
            let text = error.to_string();
            let (parameter, what) = text.split_once(": ").unwrap_or(("", text.as_str()));
            let parameter = match parameter {
                "ca" => "caCert",
                "cert" => "tlsClientCert",
                "key" => "tlsClientKey",
                other => other,
            };
            format!("unable to set param {parameter:?}: {what}")
        })
    }

    /// What binds the credentials says of the address, which is no URL: a warning, or that it is refused.
    fn review(&self, context: &Context) -> Result<Option<String>, Error> {
        let url = format!("grpc://{}", self.scaler_address);
        context.destinations.review_one("scalerAddress", &url)
    }

    pub(crate) fn notices(&self, context: &Context) -> Vec<Notice> {
        let mut notices = Vec::new();
        notices.extend(self.review(context).ok().flatten().map(Notice::advice));
        if !self.tls_client_cert.is_empty() && self.tls_client_key.is_empty() {
            notices.push(Notice::no_effect("tlsClientCert has no effect without tlsClientKey"));
        }
        if self.tls_client_cert.is_empty() && !self.tls_client_key.is_empty() {
            notices.push(Notice::no_effect("tlsClientKey has no effect without tlsClientCert"));
        }
        if self.unsafe_ssl && self.identity().is_none() {
            notices.push(Notice::no_effect("unsafeSsl has no effect without TLS: set enableTLS"));
        }
        notices
    }
}
