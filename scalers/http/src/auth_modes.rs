//! The `authModes` that many HTTP triggers share (upstream's `pkg/scalers/authentication`): how a request proves who
//! sends it.

use std::sync::Arc;

use keda_scaler::config::UrlValues;
use keda_scaler::http::{ClientCertificate, HeaderMap, HeaderName, TlsIdentity, basic, header, sensitive};
use keda_scaler::identity::oauth2;
use keda_scaler::{Error, Kind, Notice, Secret, TriggerConfig, Words};

/// A way to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Words)]
pub enum Mode {
    /// A key in a header or in the query.
    ApiKey,
    /// HTTP basic authentication.
    Basic,
    /// A client certificate.
    Tls,
    /// A bearer token.
    Bearer,
    /// A header of any name.
    Custom,
    /// OAuth2 client credentials.
    Oauth,
}

/// Where an API key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Words)]
pub enum KeyPlace {
    /// Into a header.
    Header,
    /// Into the query.
    Query,
}

/// The parameters of all modes. Those of a mode that is not listed in `authModes` are not used.
#[derive(Debug, TriggerConfig)]
#[config(check = Self::check)]
pub struct AuthModes {
    /// How requests authenticate: a list of `apiKey`, `basic`, `tls`, `bearer`, `custom`, `oauth`; at most one of `bearer`,
    /// `basic` and `oauth`.
    #[param(alias = "authMode", from(metadata, auth), optional, exclusive("bearer", "basic", "oauth"))]
    auth_modes: Vec<Mode>,

    /// Token for the mode `bearer`.
    #[param(alias = "token", from(auth))]
    bearer_token: Option<Secret>,

    /// User name for the mode `basic`.
    #[param(from(auth))]
    username: Option<String>,
    /// Password for the mode `basic`; may be empty.
    #[param(from(auth))]
    password: Option<Secret>,

    /// Certificate for the mode `tls`, PEM.
    #[param(from(auth))]
    cert: Option<String>,
    /// Private key for the mode `tls`, PEM.
    #[param(from(auth))]
    key: Option<Secret>,
    /// Root certificates to trust besides the system's, PEM.
    #[param(from(auth))]
    ca: Option<String>,

    /// Name of the header for the mode `custom`.
    #[param(from(auth))]
    custom_auth_header: Option<String>,
    /// Value of the header for the mode `custom`.
    #[param(from(auth))]
    custom_auth_value: Option<Secret>,

    /// Key for the mode `apiKey`.
    #[param(from(auth, metadata))]
    api_key: Option<Secret>,
    /// Where the key of the mode `apiKey` goes: `header` or `query`.
    #[param(from(auth, metadata), default = "header")]
    method: KeyPlace,
    /// Name of the header or of the query parameter for the mode `apiKey`.
    #[param(from(auth, metadata))]
    key_param_name: Option<String>,

    /// Token endpoint for the mode `oauth`.
    #[param(name = "oauthTokenURI", from(auth, metadata))]
    oauth_token_uri: Option<String>,
    /// Scopes for the mode `oauth`, separated by commas.
    #[param(alias = "scope", from(auth, metadata), optional)]
    scopes: Vec<String>,
    /// Client for the mode `oauth`.
    #[param(name = "clientID", from(auth, metadata))]
    client_id: Option<String>,
    /// Secret of the client for the mode `oauth`.
    #[param(from(auth))]
    client_secret: Option<Secret>,
    /// Further parameters for the token endpoint of the mode `oauth`, written as a query string.
    #[param(from(auth), optional)]
    endpoint_params: UrlValues,
}

impl AuthModes {
    /// Whether any mode is listed.
    pub fn any(&self) -> bool {
        !self.auth_modes.is_empty()
    }

    /// Whether this mode is listed.
    pub fn has(&self, mode: Mode) -> bool {
        self.auth_modes.contains(&mode)
    }

    /// The further root certificates, PEM.
    pub fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// Upstream's rules, in upstream's words.
    fn check(&self) -> Result<(), String> {
        if self.has(Mode::ApiKey) && self.api_key.is_none() {
            return Err("apiKey is required when apiKey auth is enabled".to_owned());
        }
        if self.has(Mode::Basic) && self.username.is_none() {
            return Err("username=<empty> is required when basic auth is enabled".to_owned());
        }
        if self.has(Mode::Tls) {
            both("cert", self.cert.is_some(), "key", self.key.is_some(), "tls auth")?;
        }
        if self.has(Mode::Bearer) && self.bearer_token.is_none() {
            return Err("bearer token=<empty> is required when bearer auth is enabled".to_owned());
        }
        if self.has(Mode::Custom) {
            let (header, value) = (self.custom_auth_header.is_some(), self.custom_auth_value.is_some());
            both("customAuthHeader", header, "customAuthValue", value, "custom auth")?;
        }
        if self.has(Mode::Oauth) {
            both(
                "oauthTokenURI",
                self.oauth_token_uri.is_some(),
                "clientID",
                self.client_id.is_some(),
                "oauth",
            )?;
        }
        Ok(())
    }

    /// Adds at most one credential to the headers: bearer, else basic, else custom. Returns its text as sent, to keep it
    /// out of errors.
    ///
    /// # Errors
    /// A credential that cannot be a header.
    pub fn authorize(&self, headers: &mut HeaderMap) -> Result<Option<Secret>, Error> {
        let unusable = |what: &str| Error::new(Kind::Auth, format!("{what} cannot be sent as a header"));
        let (name, value, sent) = if let (true, Some(token)) = (self.has(Mode::Bearer), &self.bearer_token) {
            (header::AUTHORIZATION, sensitive(&format!("Bearer {}", token.expose())), "bearerToken")
        } else if let (true, Some(username)) = (self.has(Mode::Basic), &self.username) {
            let password = self.password.as_ref().map(Secret::expose).unwrap_or_default();
            (header::AUTHORIZATION, basic(username, password), "username")
        } else if let (true, Some(name), Some(secret)) =
            (self.has(Mode::Custom), &self.custom_auth_header, &self.custom_auth_value)
        {
            let name = HeaderName::try_from(name.as_str()).map_err(|_| unusable("customAuthHeader"))?;
            (name, sensitive(secret.expose()), "customAuthValue")
        } else {
            return Ok(None);
        };
        let value = value.ok_or_else(|| unusable(sent))?;
        let text = String::from_utf8_lossy(value.as_bytes());
        let credential = text.rsplit(' ').next().map(Secret::from);
        headers.insert(name, value);
        Ok(credential)
    }

    /// Trust and identity under these modes: with a `ca` or the mode `tls` the server is always verified, whatever
    /// `unsafeSsl` says.
    pub fn tls(&self, unsafe_ssl: bool) -> TlsIdentity {
        let mut tls = TlsIdentity::default();
        if self.any() && (self.ca.is_some() || self.has(Mode::Tls)) {
            tls.ca = self.ca.as_deref().map(Arc::from);
            tls.certificate = self
                .cert
                .as_deref()
                .zip(self.key.clone())
                .map(|(chain, key)| Arc::new(ClientCertificate { chain: Arc::from(chain), key }));
        } else {
            tls.unsafe_ssl = unsafe_ssl;
        }
        tls
    }

    /// The token that requests are sent with in the mode `oauth`: for client credentials, asked from the token endpoint under
    /// the trust and identity of the requests themselves.
    ///
    /// # Errors
    /// A parameter of the token request is given twice, or its endpoint is no address.
    pub fn oauth(&self, unsafe_ssl: bool) -> Result<Option<oauth2::Request>, Error> {
        let (true, Some(token_url), Some(client_id)) =
            (self.has(Mode::Oauth), &self.oauth_token_uri, &self.client_id)
        else {
            return Ok(None);
        };
        if !["https://", "http://"].iter().any(|scheme| token_url.starts_with(scheme)) {
            let text = "oauthTokenURI must be an http or https address, like https://login.example/token";
            return Err(Error::config(text));
        }
        let scopes: Vec<String> = self.scopes.iter().filter(|scope| !scope.is_empty()).cloned().collect();
        let given = self.endpoint_params.0.iter();
        if let Some((name, _)) = given.clone().find(|(name, _)| *name == "scope" && !scopes.is_empty()) {
            return Err(Error::config(format!("endpointParams cannot replace {name}, which scopes gives")));
        }
        let endpoint_params = given.flat_map(|(name, values)| {
            values.iter().map(|value| (name.clone(), Secret::from(value.as_str())))
        });
        Ok(Some(oauth2::Request {
            token_url: token_url.clone(),
            client_id: client_id.clone(),
            client_secret: self.client_secret.clone().unwrap_or_default(),
            scopes,
            endpoint_params: endpoint_params.collect(),
            tls: self.tls(unsafe_ssl),
        }))
    }

    /// What is given and sends nothing: the listed ones of the modes that a trigger does not implement.
    pub fn without_effect(&self, trigger_type: &str, unused: &[Mode]) -> Vec<Notice> {
        unused
            .iter()
            .filter(|mode| self.has(**mode))
            .map(|mode| {
                let mode = mode.as_str();
                Notice::no_effect(format!(
                    "authModes {mode} has no effect in scaler {trigger_type}: nothing is sent"
                ))
            })
            .collect()
    }
}

fn both(one: &str, has_one: bool, other: &str, has_other: bool, mode: &str) -> Result<(), String> {
    let word = |present: bool| if present { "<present>" } else { "<empty>" };
    if has_one && has_other {
        return Ok(());
    }
    let (one_is, other_is) = (word(has_one), word(has_other));
    Err(format!("{one}={one_is} and {other}={other_is} are required when {mode} is enabled"))
}
