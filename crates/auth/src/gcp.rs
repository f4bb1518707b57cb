//! Google identities: tokens by application default credentials or by a service account's key (auth.md §5, docs/adr/0014).
//!
//! ```text
//! broker.rs      what tells tokens apart, on the broker that all clouds share (../broker.rs)
//! credentials.rs which credentials there are: the file, gcloud's file, or none, which means the metadata server
//! metadata.rs    the metadata server of GCE and GKE: token, email, project
//! assertion.rs   a service account's key signs a statement about itself (RFC 7523)
//! external.rs    workload identity federation: a subject token is exchanged at STS, and may impersonate
//! exchange.rs    one call that ends in a token, and what can go wrong with it
//! ```

mod assertion;
mod broker;
pub(crate) mod checksum;
mod credentials;
mod exchange;
mod external;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod metadata;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use keda_scaler::identity::ServiceAccount;
use keda_scaler::variables::given;

pub use broker::Broker;

/// What the process knows about its own Google identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// `GOOGLE_APPLICATION_CREDENTIALS`: a file with credentials of any kind. Read again for every token.
    pub credentials_file: Option<PathBuf>,
    /// The file that `gcloud auth application-default login` writes, below `HOME`. Asked only where it exists.
    pub gcloud_file: Option<PathBuf>,
    /// `GCE_METADATA_HOST`: the metadata server, else Google's address.
    pub metadata_host: Option<String>,
    /// `CLOUDSDK_CORE_PROJECT`: the project, where the credentials do not say.
    pub project: Option<String>,
    /// The process's own ServiceAccount, where it runs as one; for what errors advise.
    pub service_account: Option<ServiceAccount>,
    /// Deadline of one call (`KEDA_HTTP_DEFAULT_TIMEOUT`); without one the transport's own.
    pub timeout: Option<Duration>,
}

impl Settings {
    /// From the environment's texts, as `variable` gives them by name; empty ones count as not given.
    pub fn read(variable: impl Fn(&str) -> Option<String>, service_account: Option<ServiceAccount>) -> Self {
        let given = given(variable);
        let gcloud =
            |home: String| PathBuf::from(home).join(".config/gcloud/application_default_credentials.json");
        Self {
            credentials_file: given("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from),
            gcloud_file: given("HOME").map(gcloud),
            metadata_host: given("GCE_METADATA_HOST"),
            project: given("CLOUDSDK_CORE_PROJECT"),
            service_account,
            timeout: None,
        }
    }
}
