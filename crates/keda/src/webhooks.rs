//! `keda webhooks`: upstream's flags (`cmd/webhooks/main.go`), mapped to one process's options.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, Result};
use keda_telemetry::metrics;
use keda_tls::Policy;
use keda_webhooks::{Dependencies, Options, Readiness, TriggerMetadata};

use crate::{
    debug, environment,
    kubernetes::{self, ApiFlags},
    logging::LogFlags,
    probes, shutdown,
};

/// Flags of the admission webhooks.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Port of the webhooks, on HTTPS.
    #[arg(long, default_value_t = 9443)]
    port: u16,
    /// Folder of tls.crt and tls.key; changed files are served without a restart.
    #[arg(long, default_value = "/certs")]
    cert_dir: PathBuf,
    /// Address of /metrics on plain HTTP; 0 turns it off.
    #[arg(long, default_value = ":8080")]
    metrics_bind_address: String,
    /// Address of /healthz and /readyz; 0 turns them off.
    #[arg(long, default_value = ":8081")]
    health_probe_bind_address: String,
    /// Triggers that the operator could not use (unknown types, wrong parameters): ignore, as upstream does, warn, or refuse.
    #[arg(long, default_value = "warn", value_name = "ignore|warn|refuse")]
    trigger_metadata: TriggerMetadata,
    /// Without effect: a workload that the watches do not know is always read from the API server.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    cache_miss_to_direct_client: bool,
    /// Where /debug is served: memory, threads, tasks; nowhere when empty.
    #[arg(long, default_value = "")]
    profiling_bind_address: String,
    #[command(flatten)]
    api: ApiFlags,
    #[command(flatten)]
    logs: LogFlags,
}

/// Runs the webhooks until a signal or a failure.
pub(crate) fn run(flags: Flags) -> Result<ExitCode> {
    flags.logs.init()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(serve(flags))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(flags: Flags) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    debug::serve(&flags.profiling_bind_address, None, &shutdown).await?;
    let registry = metrics::Registry::new().with_process();
    let client = flags.api.counted_client(&registry).await?;
    kubernetes::greet(&client, "admission webhooks").await?;
    let metrics = metrics::Webhooks::new(&registry);
    metrics.build_info(env!("CARGO_PKG_VERSION"), "", env!("CARGO_PKG_RUST_VERSION"));
    probes::serve_metrics(&flags.metrics_bind_address, registry, &shutdown).await?;
    let ready = Readiness::default();
    let asked = ready.clone();
    probes::serve_ready(&flags.health_probe_bind_address, "webhooks", move || asked.ready(), &shutdown)
        .await?;
    let registry = Arc::new(keda_scalers::registry());
    let dependencies = Dependencies { client, registry, metrics, ready };
    keda_webhooks::run(flags.options()?, dependencies, shutdown).await?;
    Ok(())
}

impl Flags {
    fn options(&self) -> Result<Options> {
        let mut options = Options::default();
        options.address = kubernetes::address(&format!(":{}", self.port))?.context("--port must not be 0")?;
        options.cert_dir.clone_from(&self.cert_dir);
        options.trigger_metadata = self.trigger_metadata;
        options.tls = Policy::service(environment::text);
        Ok(options)
    }
}
