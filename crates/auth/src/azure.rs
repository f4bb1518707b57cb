//! Microsoft Entra workload identity: one token broker for the process (auth.md §3, docs/adr/0011).
//!
//! A federated token (the operator's mounted one, or one that the API server makes for a ServiceAccount) is exchanged at the
//! login host for an access token. [`Broker`] keeps one of those for each authority, tenant, client, scope and subject, and
//! is asked by every trigger: thousands of them cost about one exchange an hour for each identity.
//!
//! ```text
//! broker.rs   what tells tokens apart, on the broker that all clouds share (../broker.rs)
//! acquire.rs  one way to a token: who is asked, as whom, with what
//! subject.rs  the federated token: from the file or from the API server, and what it says about itself
//! exchange.rs the one call to the login host, and its answer
//! problem.rs  the login host's refusals, each with a code, a text and what to do
//! walk.rs     the same way step by step, for `keda doctor`
//! ```

mod acquire;
mod broker;
mod exchange;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod problem;
mod subject;
#[cfg(test)]
mod tests;
mod walk;

use std::path::PathBuf;
use std::time::Duration;

use keda_scaler::identity::ServiceAccount;
use keda_scaler::variables::given;

pub use broker::{Broker, Counters};
pub use walk::{Step, Walk};

/// What the process knows about its own Azure identity. Every part may be missing: a TriggerAuthentication, or the
/// annotations of the ServiceAccount, can say the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// `AZURE_CLIENT_ID`.
    pub client_id: Option<String>,
    /// `AZURE_TENANT_ID`.
    pub tenant_id: Option<String>,
    /// `AZURE_FEDERATED_TOKEN_FILE`: the token that the kubelet keeps fresh. Read again for every exchange.
    pub token_file: Option<PathBuf>,
    /// `AZURE_AUTHORITY_HOST`: the login host.
    pub authority_host: Option<String>,
    /// The process's own ServiceAccount, where it runs as one.
    pub service_account: Option<ServiceAccount>,
    /// Deadline of one call to a login host (`KEDA_HTTP_DEFAULT_TIMEOUT`); without one the transport's own.
    pub timeout: Option<Duration>,
}

impl Settings {
    /// From the environment's texts, as `variable` gives them by name; empty ones count as not given. Azure's webhook
    /// injects them.
    pub fn read(variable: impl Fn(&str) -> Option<String>, service_account: Option<ServiceAccount>) -> Self {
        let given = given(variable);
        Self {
            client_id: given("AZURE_CLIENT_ID"),
            tenant_id: given("AZURE_TENANT_ID"),
            token_file: given("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
            authority_host: given("AZURE_AUTHORITY_HOST"),
            service_account,
            timeout: None,
        }
    }
}

/// The ServiceAccount that a mounted token speaks for; `None` for anything else.
pub fn service_account_of(token: &str) -> Option<ServiceAccount> {
    let subject = crate::claims::Claims::of(token)?.subject;
    let (namespace, name) = subject.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    Some(ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() })
}
