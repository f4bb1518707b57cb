//! `keda adapter`: upstream's flags (`cmd/adapter/main.go` and the API server libraries), mapped to one process's options.

use std::{net::IpAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use keda_adapter::{Dependencies, Options, RequestHeaderOptions};
use keda_api::GoDuration;
use keda_telemetry::metrics;
use keda_tls::Policy;

use crate::{
    debug, environment,
    kubernetes::{self, ApiFlags},
    logging::LogFlags,
    probes, shutdown,
};

/// Flags of the metrics API server.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Port of the HTTPS API.
    #[arg(long, default_value_t = 443)]
    secure_port: u16,
    /// Address of the HTTPS API.
    #[arg(long, default_value = "0.0.0.0")]
    bind_address: IpAddr,
    /// Port of /metrics on plain HTTP; 0 turns it off.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Where the operator serves metrics.
    #[arg(long)]
    metrics_service_address: Option<String>,
    /// The name that the operator's certificate must carry, when it is not the host's.
    #[arg(long, default_value = "")]
    metrics_service_grpc_authority: String,
    /// Folder of ca.crt, tls.crt and tls.key for the connection to the operator.
    #[arg(long, default_value = "apiserver.local.config/certificates")]
    cert_dir: PathBuf,
    /// Certificate to serve; made and kept in --cert-dir when not given.
    #[arg(long, value_parser = environment::path)]
    tls_cert_file: Option<PathBuf>,
    /// Key of the certificate to serve.
    #[arg(long, value_parser = environment::path)]
    tls_private_key_file: Option<PathBuf>,
    /// Oldest TLS version: VersionTLS12 or VersionTLS13.
    #[arg(long, default_value = "")]
    tls_min_version: String,
    /// Cipher suites of TLS 1.2, by Go's names.
    #[arg(long, value_delimiter = ',')]
    tls_cipher_suites: Vec<String>,
    /// Who signs client certificates of users.
    #[arg(long, value_parser = environment::path)]
    client_ca_file: Option<PathBuf>,
    #[command(flatten)]
    request_header: RequestHeaderFlags,
    #[command(flatten)]
    delegation: DelegationFlags,
    /// Where /debug is served: memory, threads, tasks; nowhere when empty.
    #[arg(long, default_value = "")]
    profiling_bind_address: String,
    /// One line in the log at start.
    #[arg(long, default_value = "starting adapter...")]
    msg: String,
    #[command(flatten)]
    api: ApiFlags,
    #[command(flatten)]
    logs: LogFlags,
}

/// How the front proxy is recognised, when not by what the cluster says.
#[derive(Debug, clap::Args)]
struct RequestHeaderFlags {
    /// Who signs the front proxy's certificate.
    #[arg(long, value_parser = environment::path)]
    requestheader_client_ca_file: Option<PathBuf>,
    /// Common names of the front proxy; any when empty.
    #[arg(long, value_delimiter = ',')]
    requestheader_allowed_names: Vec<String>,
    /// Headers that carry the user's name.
    #[arg(long, value_delimiter = ',', default_value = "x-remote-user")]
    requestheader_username_headers: Vec<String>,
    /// Headers that carry the user's UID.
    #[arg(long, value_delimiter = ',')]
    requestheader_uid_headers: Vec<String>,
    /// Headers that carry the user's groups.
    #[arg(long, value_delimiter = ',', default_value = "x-remote-group")]
    requestheader_group_headers: Vec<String>,
    /// Beginnings of headers that carry anything else about the user.
    #[arg(long, value_delimiter = ',', default_value = "x-remote-extra-")]
    requestheader_extra_headers_prefix: Vec<String>,
}

/// How callers are checked against the cluster.
#[derive(Debug, clap::Args)]
struct DelegationFlags {
    /// Do not ask the cluster about its front proxy and client CA.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    authentication_skip_lookup: bool,
    /// Be ready even if the cluster could not be asked.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    authentication_tolerate_lookup_failure: bool,
    /// How long the answer about a token is kept.
    #[arg(long, default_value = "10s")]
    authentication_token_webhook_cache_ttl: GoDuration,
    /// How long a permission is kept.
    #[arg(long, default_value = "10s")]
    authorization_webhook_cache_authorized_ttl: GoDuration,
    /// How long a refusal is kept.
    #[arg(long, default_value = "10s")]
    authorization_webhook_cache_unauthorized_ttl: GoDuration,
    /// Paths that anybody may read.
    #[arg(long, value_delimiter = ',', default_value = "/healthz,/readyz,/livez")]
    authorization_always_allow_paths: Vec<String>,
    /// Offer HTTP/1.1 only.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    disable_http2_serving: bool,
    /// Streams of one HTTP/2 connection; 0 means the default.
    #[arg(long, default_value_t = 0)]
    http2_max_streams_per_connection: u32,
    /// Metrics answered at the same time; more callers are told to come again.
    #[arg(long, default_value_t = 400)]
    max_requests_inflight: usize,
}

/// Runs the adapter until a signal or a failure.
pub(crate) fn run(flags: Flags) -> Result<ExitCode> {
    flags.logs.init()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(serve(flags))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(flags: Flags) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    tracing::info!(logger = "setup", "{}", flags.msg);
    let registry = metrics::Registry::new().with_process();
    let client = flags.api.counted_client(&registry).await?;
    kubernetes::greet(&client, "metrics server").await?;
    let metrics = metrics::Adapter::new(&registry);
    metrics.build_info(env!("CARGO_PKG_VERSION"), "", env!("CARGO_PKG_RUST_VERSION"));
    if flags.port != 0 {
        probes::serve_metrics(&format!(":{}", flags.port), registry, &shutdown).await?;
    }
    debug::serve(&flags.profiling_bind_address, None, &shutdown).await?;
    let options = flags.options()?;
    keda_adapter::run(options, Dependencies { client, metrics: Arc::new(metrics) }, shutdown).await?;
    Ok(())
}

impl Flags {
    fn options(&self) -> Result<Options> {
        let defaults = Options::default();
        let delegation = &self.delegation;
        let operator = format!("keda-operator.{}.svc.cluster.local:9666", environment::pod_namespace());
        Ok(Options {
            secure_address: (self.bind_address, self.secure_port).into(),
            cert_dir: self.cert_dir.clone(),
            tls_cert_file: given(self.tls_cert_file.as_ref()),
            tls_private_key_file: given(self.tls_private_key_file.as_ref()),
            tls: Policy::strict(&self.tls_min_version, &self.tls_cipher_suites)?,
            http2: !delegation.disable_http2_serving,
            http2_max_streams: match delegation.http2_max_streams_per_connection {
                0 => defaults.http2_max_streams,
                streams => streams,
            },
            client_ca_file: given(self.client_ca_file.as_ref()),
            request_header: self.request_header.options(),
            authentication_skip_lookup: delegation.authentication_skip_lookup,
            authentication_tolerate_lookup_failure: delegation.authentication_tolerate_lookup_failure,
            token_cache_ttl: positive(delegation.authentication_token_webhook_cache_ttl)?,
            authorized_cache_ttl: positive(delegation.authorization_webhook_cache_authorized_ttl)?,
            unauthorized_cache_ttl: positive(delegation.authorization_webhook_cache_unauthorized_ttl)?,
            always_allow_paths: delegation.authorization_always_allow_paths.clone(),
            max_in_flight: delegation.max_requests_inflight,
            metrics_service_address: self.metrics_service_address.clone().unwrap_or(operator),
            metrics_service_authority: Some(self.metrics_service_grpc_authority.clone())
                .filter(|authority| !authority.is_empty()),
            metrics_service_tls: Policy::service(environment::text),
            ..defaults
        })
    }
}

impl RequestHeaderFlags {
    fn options(&self) -> Option<RequestHeaderOptions> {
        Some(RequestHeaderOptions {
            client_ca_file: given(self.requestheader_client_ca_file.as_ref())?,
            allowed_names: self.requestheader_allowed_names.clone(),
            username_headers: self.requestheader_username_headers.clone(),
            uid_headers: self.requestheader_uid_headers.clone(),
            group_headers: self.requestheader_group_headers.clone(),
            extra_headers_prefix: self.requestheader_extra_headers_prefix.clone(),
        })
    }
}

/// A path; an empty one is none, as in Go.
fn given(path: Option<&PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty()).cloned()
}

fn positive(duration: GoDuration) -> Result<Duration> {
    duration.to_std().with_context(|| format!("a cache cannot be kept for {duration}"))
}
