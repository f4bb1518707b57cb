//! What a token of an OAuth 2.0 server is asked for with: client credentials (RFC 6749, 4.4; auth.md §7).

use std::fmt;

use crate::Secret;
use crate::http::{TlsIdentity, shown_url};

/// A token for client credentials. What of it differs is another token.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Request {
    /// The token endpoint.
    pub token_url: String,
    /// The client.
    pub client_id: String,
    /// Its secret; may be empty.
    pub client_secret: Secret,
    /// For what, joined by blanks on the way.
    pub scopes: Vec<String>,
    /// Further fields of the token request, e.g. `audience`. They may hold credentials, and may replace `grant_type`, nothing
    /// else.
    pub endpoint_params: Vec<(String, Secret)>,
    /// Whom to trust and whom to be towards the token endpoint.
    pub tls: TlsIdentity,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("token_url", &shown_url(&self.token_url))
            .field("client_id", &self.client_id)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}
