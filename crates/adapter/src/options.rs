//! What the adapter can be told. Upstream's flags (`cmd/adapter/main.go` and the API server libraries) map to these one to one; the
//! executable does the mapping.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use keda_tls::Policy;

/// Options of [`crate::run`]. [`Options::default`] is upstream's default where upstream has the option.
#[derive(Clone, Debug)]
pub struct Options {
    /// `--bind-address` and `--secure-port`.
    pub secure_address: SocketAddr,
    /// `--cert-dir`: where `ca.crt`, `tls.crt` and `tls.key` for the connection to the operator are, and where the self-signed serving
    /// certificate (`apiserver.crt`, `apiserver.key`) is kept when [`Options::tls_cert_file`] is not given.
    pub cert_dir: PathBuf,
    /// `--tls-cert-file`. Followed: a changed file serves the next connection. May appear after the start.
    pub tls_cert_file: Option<PathBuf>,
    /// `--tls-private-key-file`.
    pub tls_private_key_file: Option<PathBuf>,
    /// `--tls-min-version` and `--tls-cipher-suites`.
    pub tls: Policy,
    /// False for `--disable-http2-serving`.
    pub http2: bool,
    /// `--http2-max-streams-per-connection`.
    pub http2_max_streams: u32,
    /// `--client-ca-file`: who signs the certificates of clients that are users. Replaces the cluster's. Followed.
    pub client_ca_file: Option<PathBuf>,
    /// `--requestheader-*`: replaces what the cluster says about its front proxy.
    pub request_header: Option<RequestHeaderOptions>,
    /// `--authentication-skip-lookup`: the cluster is not asked about its front proxy and client CA.
    pub authentication_skip_lookup: bool,
    /// `--authentication-tolerate-lookup-failure`: ready even if the cluster could not be asked.
    pub authentication_tolerate_lookup_failure: bool,
    /// `--authentication-token-webhook-cache-ttl`.
    pub token_cache_ttl: Duration,
    /// `--authorization-webhook-cache-authorized-ttl`.
    pub authorized_cache_ttl: Duration,
    /// `--authorization-webhook-cache-unauthorized-ttl`.
    pub unauthorized_cache_ttl: Duration,
    /// `--authorization-always-allow-paths`: paths, or beginnings of paths that end in `*`.
    pub always_allow_paths: Vec<String>,
    /// `--max-requests-inflight`: requests for metrics that are answered at the same time; more are told to come again.
    pub max_in_flight: usize,
    /// How many connections may be open at the same time; one more is closed at once. Ours: API servers keep a handful, and nobody else
    /// has business here, but anybody in the cluster can connect.
    pub max_connections: usize,
    /// How long a request may take in all: who asks, may they, the answer. Ours.
    pub request_deadline: Duration,
    /// `--metrics-service-address`: `host:port` of the operator's metrics service, `dns:///` before it is accepted.
    pub metrics_service_address: String,
    /// `--metrics-service-grpc-authority`: the name that the operator's certificate must carry, when it is not the host's.
    pub metrics_service_authority: Option<String>,
    /// `KEDA_SERVICE_MIN_TLS_VERSION` and `KEDA_SERVICE_TLS_CIPHER_LIST`, for the connection to the operator.
    pub metrics_service_tls: Policy,
    /// How long a request may wait for the operator, retry included. Ours: upstream waits for the HTTP deadline, a minute.
    pub operator_deadline: Duration,
    /// How old a sample may be that is answered while the operator is away. Ours. Zero: never.
    ///
    /// The default is the HPA's default downscale stabilization (5 minutes): within it a repeated sample recommends nothing that the HPA
    /// would not hold from the fresh one.
    pub last_good_age: Duration,
    /// How many samples are kept for that, at most. Ours.
    pub last_good_capacity: usize,
    /// How long after the operator was lost this process still calls itself ready. Ours. The default is that of
    /// [`Options::last_good_age`]: while it has answers, it is better asked than not. A process that never had a connection is not ready.
    pub operator_grace: Duration,
    /// What `/version` says.
    pub version: String,
}

/// The front proxy by flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeaderOptions {
    /// `--requestheader-client-ca-file`. Followed.
    pub client_ca_file: PathBuf,
    /// `--requestheader-allowed-names`; empty: any.
    pub allowed_names: Vec<String>,
    /// `--requestheader-username-headers`.
    pub username_headers: Vec<String>,
    /// `--requestheader-uid-headers`.
    pub uid_headers: Vec<String>,
    /// `--requestheader-group-headers`.
    pub group_headers: Vec<String>,
    /// `--requestheader-extra-headers-prefix`.
    pub extra_headers_prefix: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            secure_address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 443)),
            cert_dir: PathBuf::from("apiserver.local.config/certificates"),
            tls_cert_file: None,
            tls_private_key_file: None,
            tls: Policy::default(),
            http2: true,
            http2_max_streams: 1000,
            client_ca_file: None,
            request_header: None,
            authentication_skip_lookup: false,
            authentication_tolerate_lookup_failure: false,
            token_cache_ttl: Duration::from_secs(10),
            authorized_cache_ttl: Duration::from_secs(10),
            unauthorized_cache_ttl: Duration::from_secs(10),
            always_allow_paths: ["/healthz", "/readyz", "/livez"].map(str::to_owned).to_vec(),
            max_in_flight: 400,
            max_connections: 1000,
            request_deadline: Duration::from_secs(10),
            metrics_service_address: "keda-operator.keda.svc.cluster.local:9666".to_owned(),
            metrics_service_authority: None,
            metrics_service_tls: Policy::default(),
            operator_deadline: Duration::from_secs(3),
            last_good_age: Duration::from_secs(300),
            last_good_capacity: 50_000,
            operator_grace: Duration::from_secs(300),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
