//! What the operator's flags and environment decide, as plain data.
//!
//! Names and defaults are upstream's (`cmd/operator/main.go`); the executable maps flags and variables to this.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::{certificates::Rotation, inspect::Inspector, raw_metrics::RawMetricsMode};

/// Everything about one operator process that its user can choose.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespaces to watch; empty means all (`WATCH_NAMESPACE`).
    pub watch_namespaces: Vec<String>,
    /// Label selector for ScaledObjects and HPAs (`WATCH_LABEL_SELECTOR`).
    pub label_selector: Option<String>,
    /// Label selector for TriggerAuthentications (`WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH`).
    pub trigger_authentication_selector: Option<String>,
    /// The namespace of the operator's own pod: leases live here (`POD_NAMESPACE`).
    pub pod_namespace: String,
    /// Where a ClusterTriggerAuthentication's Secrets and ConfigMaps live (`KEDA_CLUSTER_OBJECT_NAMESPACE`).
    pub cluster_object_namespace: Option<String>,
    /// Leader election; `None` acts at once (`--leader-elect`).
    pub leader_election: Option<LeaderElection>,
    /// Where the metrics service listens (`--metrics-service-bind-address`).
    pub metrics_service_address: SocketAddr,
    /// Folder of `ca.crt`, `tls.crt` and `tls.key` (`--cert-dir`).
    pub cert_dir: PathBuf,
    /// DNS names for certificates that are generated at start because the folder holds none.
    pub certificate_names: Vec<String>,
    /// Keep the certificates in a Secret and renew them (`--enable-cert-rotation`); `None` leaves that to whoever fills the folder.
    pub rotation: Option<Rotation>,
    /// Looks into the controller, once there is one.
    pub inspector: Inspector,
    /// The controller's own settings.
    pub controller: ControllerOptions,
}

/// How the lease is held (`--leader-election-id`, `KEDA_OPERATOR_LEADER_ELECTION_*`).
#[derive(Clone, Debug)]
pub struct LeaderElection {
    /// Name of the Lease.
    pub lease: String,
    /// Who we are in the Lease: host name and a random part.
    pub identity: String,
    /// How long a lease is valid without renewal; default 15 s.
    pub lease_duration: Duration,
    /// How long the leader tries to renew before it gives up; default 10 s.
    pub renew_deadline: Duration,
    /// How often it is renewed, and how often a standby looks; default 2 s.
    pub retry_period: Duration,
}

/// Settings of the watch, reconcile, poll loop.
#[derive(Clone, Debug)]
pub struct ControllerOptions {
    /// `app.kubernetes.io/version` on what the operator creates.
    pub version: String,
    /// The default deadline of one HTTP request of a trigger (`KEDA_HTTP_DEFAULT_TIMEOUT`), 3 s.
    pub http_timeout: Duration,
    /// ScaledObjects being reconciled at the same time (`KEDA_SCALEDOBJECT_CTRL_MAX_RECONCILES`).
    ///
    /// Upstream's default of 5 throttles a cold start; a reconcile here holds no worker, so the default is 64.
    pub max_reconciles: usize,
    /// ScaledJobs being reconciled at the same time (`KEDA_SCALEDJOB_CTRL_MAX_RECONCILES`); upstream's default is 1.
    pub max_job_reconciles: usize,
    /// Where `filePath` finds its files (`--filepath-auth-root-path`); `None` refuses it.
    pub file_root: Option<PathBuf>,
    /// How long a `boundServiceAccountToken` lives (`KEDA_BOUND_SERVICE_ACCOUNT_TOKEN_EXPIRY`), 1 h.
    pub bound_token_lifetime: Duration,
    /// What the environment says about HashiCorp Vault (`VAULT_*`).
    pub vault: keda_auth::VaultSettings,
    /// Where credentials of the cluster may be sent (`--credential-destinations`, `--credential-hosts`).
    pub destinations: keda_scaler::destinations::Policy,
    /// Read Secrets of the cluster object namespace only (`KEDA_RESTRICT_SECRET_ACCESS`).
    pub restrict_secret_access: bool,
    /// Name of the cluster in CloudEvents, where a source gives none (`--k8s-cluster-name`).
    pub cluster_name: String,
    /// Announce metadata keys that no parameter claims (`KEDA_CHECK_UNEXPECTED_SCALERS_PARAMS=enabled`).
    pub announce_unexpected_parameters: bool,
    /// Which values subscribers are sent (`RAW_METRICS_GRPC_PROTOCOL=enabled`, `RAW_METRICS_MODE`).
    pub raw_metrics: RawMetricsMode,
}

impl Default for ControllerOptions {
    fn default() -> Self {
        ControllerOptions {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            http_timeout: Duration::from_secs(3),
            max_reconciles: 64,
            max_job_reconciles: 64,
            file_root: None,
            bound_token_lifetime: keda_auth::BOUND_TOKEN_LIFETIME,
            vault: keda_auth::VaultSettings::default(),
            destinations: keda_scaler::destinations::Policy::default(),
            restrict_secret_access: false,
            cluster_name: keda_core::cloud_events::DEFAULT_CLUSTER.to_owned(),
            announce_unexpected_parameters: false,
            raw_metrics: RawMetricsMode::Off,
        }
    }
}
