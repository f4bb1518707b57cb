//! What can be set.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use keda_tls::Policy;

use crate::triggers::TriggerMetadata;

/// Settings of the process. The defaults are upstream's (`cmd/webhooks/main.go`, controller-runtime), or ours where it has none.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Where to listen.
    pub address: SocketAddr,
    /// Folder of `tls.crt` and `tls.key`, which may change at any time.
    pub cert_dir: PathBuf,
    /// Oldest TLS version and cipher suites.
    pub tls: Policy,
    /// The largest body of a request, in bytes: an object and its predecessor, each of which etcd limits.
    pub max_body: usize,
    /// How many connections may be open at the same time; one more is closed at once. API servers keep a handful.
    pub max_connections: usize,
    /// How many requests are judged at the same time; others wait for a place.
    pub max_in_flight: usize,
    /// How long a request may take when the API server does not say how long it waits, and at most.
    pub deadline: Duration,
    /// What becomes of triggers that the operator could not use. Upstream does not look at them.
    pub trigger_metadata: TriggerMetadata,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([0, 0, 0, 0], 9443)),
            cert_dir: PathBuf::from("/certs"),
            tls: Policy::default(),
            max_body: 7 * 1024 * 1024,
            max_connections: 1000,
            max_in_flight: 256,
            deadline: Duration::from_secs(10),
            trigger_metadata: TriggerMetadata::default(),
        }
    }
}
