//! `keda operator`: upstream's flags (`cmd/operator/main.go`), mapped to one process's options.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, Result};
use keda_auth::Brokers;
use keda_operator::{
    ControllerOptions, Dependencies, Health, Inspector, Instrument, LeaderElection, Options, RawMetricsMode,
    Reader, Rotation,
};
use keda_scaler::{Clock, Environment, destinations, grpc, http};
use keda_telemetry::metrics::{self, table};
use keda_tls::make::KeyKind;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    debug, environment,
    kubernetes::{self, ApiFlags},
    logging::LogFlags,
    probes, shutdown,
};

/// Flags of the operator. A flag that has no meaning here is accepted and said so once.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Serve metrics for Prometheus.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    enable_prometheus_metrics: bool,
    /// Label the duration histogram of triggers' HTTP requests by namespace, object, trigger and metric too.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    enable_high_cardinality_metrics_labels: bool,
    /// Push metrics to an OpenTelemetry collector, which the standard OTEL_* variables name.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    enable_opentelemetry_metrics: bool,
    /// Where /metrics is served; 0 turns it off.
    #[arg(long, default_value = ":8080")]
    metrics_bind_address: String,
    /// Where /healthz and /readyz are served; 0 turns them off.
    #[arg(long, default_value = ":8081")]
    health_probe_bind_address: String,
    /// Where /debug is served: memory, threads, tasks, objects; nowhere when empty.
    #[arg(long, default_value = "")]
    profiling_bind_address: String,
    /// Where the metrics service for the adapter is served, over mutual TLS.
    #[arg(long, default_value = ":9666")]
    metrics_service_bind_address: String,
    /// Let one of several replicas act.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    leader_elect: bool,
    /// Name of the Lease.
    #[arg(long, default_value = "operator.keda.sh")]
    leader_election_id: String,
    /// Folder of ca.crt, tls.crt and tls.key; without --enable-cert-rotation certificates are made there when it holds none.
    #[arg(long, default_value = "/certs")]
    cert_dir: PathBuf,
    /// Name of the operator's Service, for certificates.
    #[arg(long, default_value = "keda-operator")]
    operator_service_name: String,
    /// Name of the metrics API server's Service, for certificates.
    #[arg(long, default_value = "keda-metrics-apiserver")]
    metrics_server_service_name: String,
    /// Name of the webhooks' Service, for certificates.
    #[arg(long, default_value = "keda-admission-webhooks")]
    webhooks_service_name: String,
    /// The cluster's DNS domain, for certificates.
    #[arg(long, default_value = "cluster.local")]
    k8s_cluster_domain: String,
    /// Name of the cluster in CloudEvents, where a source gives none.
    #[arg(long, default_value = keda_core::cloud_events::DEFAULT_CLUSTER)]
    k8s_cluster_name: String,
    #[command(flatten)]
    rotation: RotationFlags,
    /// Folder below which ClusterTriggerAuthentications may read files (filePath); empty refuses them.
    #[arg(long, default_value = "", value_parser = environment::path)]
    filepath_auth_root_path: PathBuf,
    /// Folders whose files hashiCorpVault's credential.serviceAccount may name, besides that of the operator's own token; may be repeated.
    #[arg(long)]
    vault_service_account_dir: Vec<PathBuf>,
    /// What is done about credentials of the cluster (of a ClusterTriggerAuthentication, or the operator's own) that go to a host which a namespace's user chose: ignore, warn (by an event) or enforce (they are not sent).
    #[arg(long, default_value = "warn", value_parser = destinations::Mode::parse)]
    credential_destinations: destinations::Mode,
    /// Hosts that credentials of the cluster may be sent to, besides the clouds' own: names, *.names, each with or without a port; may be repeated.
    #[arg(long, value_parser = destinations::Hosts::parse)]
    credential_hosts: Vec<destinations::Hosts>,
    /// What triggers and secret stores connect to: open, or no-link-local (neither link-local addresses nor metadata services of clouds, by what names resolve to).
    #[arg(long, default_value = "open", value_parser = http::Egress::parse)]
    egress_policy: http::Egress,
    /// Largest answer that is read, in MiB.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    http_max_answer_mib: u16,
    /// The external id of AWS roles that a namespace names, with {namespace} in it, e.g. prod/{namespace}: a role can then tell for which namespace it is assumed. Without it, externalID of the TriggerAuthentication is sent as it stands there.
    #[arg(long, value_parser = keda_auth::aws::external_id)]
    aws_external_id: Option<String>,
    /// Folders of additional CA certificates for triggers and login hosts; may be repeated.
    #[arg(long, default_value = "/custom/ca")]
    ca_dir: Vec<PathBuf>,
    /// Idle connections kept a host for triggers.
    #[arg(long, default_value_t = 1000, value_parser = environment::positive)]
    http_max_idle_conns_per_host: usize,
    /// How long an idle connection of a trigger is kept.
    #[arg(long, default_value = "90s")]
    http_idle_conn_timeout: keda_api::GoDuration,
    #[command(flatten)]
    api: ApiFlags,
    #[command(flatten)]
    logs: LogFlags,
    #[command(flatten)]
    inert: Inert,
}

/// Certificates that the operator keeps itself.
#[derive(Debug, clap::Args)]
struct RotationFlags {
    /// Keep the certificates in a Secret, renew them, and announce their CA.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    enable_cert_rotation: bool,
    /// Name of the Secret.
    #[arg(long, default_value = "kedaorg-certs")]
    cert_secret_name: String,
    /// The ValidatingWebhookConfiguration that gets the CA.
    #[arg(long, default_value = "keda-admission")]
    validating_webhook_name: String,
    /// Put the CA into the webhook configuration, and the webhooks' names into the certificate.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    enable_webhook_patching: bool,
    /// Put the CA into the APIService.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    enable_apiservice_patching: bool,
}

/// Upstream's flags whose feature is not built yet, or has no counterpart here.
#[derive(Debug, clap::Args)]
struct Inert {
    /// Without effect: connections are bounded a host, see --http-max-idle-conns-per-host.
    #[arg(long, default_value_t = 0)]
    http_max_idle_conns: usize,
}

/// Runs the operator until a signal or a failure.
pub(crate) fn run(flags: Flags) -> Result<ExitCode> {
    flags.logs.init()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(serve(flags))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(flags: Flags) -> Result<()> {
    let options = flags.options()?;
    let shutdown = shutdown::on_signal()?;
    let series = metrics::Registry::new().with_process();
    if environment::given("KEDA_SCALEDJOB_CTRL_MAX_RECONCILES").is_some() {
        let variable = "KEDA_SCALEDJOB_CTRL_MAX_RECONCILES";
        tracing::info!(logger = "setup", variable, "this variable is accepted and has no effect here");
    }
    let client = flags.api.counted_client(&series).await?;
    kubernetes::greet(&client, "manager").await?;
    let metrics = Arc::new(metrics::Operator::new(&series, flags.enable_high_cardinality_metrics_labels));
    metrics.build_info(env!("CARGO_PKG_VERSION"), "", env!("CARGO_PKG_RUST_VERSION"));
    let health = Arc::new(Health::default());
    if flags.enable_prometheus_metrics {
        probes::serve_metrics(&flags.metrics_bind_address, series.clone(), &shutdown).await?;
    }
    probes::serve_health(&flags.health_probe_bind_address, Arc::clone(&health), &shutdown).await?;
    debug::serve(&flags.profiling_bind_address, Some(options.inspector.clone()), &shutdown).await?;
    let pushing = flags.push(&series, &shutdown);
    let settings = flags.http_settings()?;
    let timeout = settings.timeout;
    let mut identities = environment::identities(timeout);
    identities.aws.external_id = flags.aws_external_id.clone();
    let grpc = grpc::Channels::new(settings.clone());
    let client_of_triggers = http::Client::new(settings);
    // Metadata services are where the process's own identity comes from: what no user chooses is not kept back.
    let login = (flags.egress_policy != http::Egress::Open)
        .then(|| Arc::new(http::Coalescing::new(client_of_triggers.under(http::Egress::Open))));
    let http = Arc::new(http::Coalescing::new(client_of_triggers));
    let login = login.unwrap_or_else(|| http.clone());
    // Of brokers and triggers; what TriggerAuthentications name is read under the same limit by the controller.
    let secrets_of = environment::restricted_secrets().then(environment::cluster_object_namespace);
    let kube = Arc::new(Reader::new(client.clone()).secrets_of(secrets_of));
    let tokens = Brokers::new(identities, login, kube.clone(), Clock::system())
        .token_endpoints_over(http.clone(), timeout);
    let tokens = Arc::new(tokens);
    show_tokens(&series, Arc::clone(&tokens));
    let environment = Environment {
        tokens,
        http,
        grpc,
        clock: Clock::system(),
        kube,
        telemetry: Arc::new(Instrument::new(Arc::clone(&metrics))),
    };
    let dependencies = Dependencies {
        client,
        registry: Arc::new(keda_scalers::registry()),
        environment,
        metrics,
        decisions: None,
    };
    let ran = keda_operator::run(options, dependencies, health, shutdown.clone()).await;
    if let Some(pushing) = pushing {
        // The last values leave before the process does, whoever ended it.
        shutdown.cancel();
        let _pushed = pushing.await;
    }
    ran.map_err(anyhow::Error::from)
}

/// `RAW_METRICS_GRPC_PROTOCOL`, which is on with one word only, and `RAW_METRICS_MODE`.
fn raw_metrics(env: impl Fn(&str) -> Option<String>) -> RawMetricsMode {
    if env("RAW_METRICS_GRPC_PROTOCOL").as_deref() != Some("enabled") {
        return RawMetricsMode::Off;
    }
    let Ok(mode) = env("RAW_METRICS_MODE").unwrap_or_default().parse();
    mode
}

/// The token broker's counts, read at each scrape.
#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^52")]
fn show_tokens(series: &metrics::Registry, tokens: Arc<Brokers>) {
    series.on_scrape(move |scrape| {
        let counts = tokens.counts();
        scrape.values(&table::TOKENS, counts.map(|it| (it.provider, it.given as f64)));
        scrape.values(&table::TOKEN_REQUESTS, counts.map(|it| (it.provider, it.asked as f64)));
    });
}

impl Flags {
    /// Pushes by OpenTelemetry, if that is wanted. What is wrong with its variables is said and keeps nobody from scaling.
    fn push(&self, series: &metrics::Registry, shutdown: &CancellationToken) -> Option<JoinHandle<()>> {
        if !self.enable_opentelemetry_metrics {
            return None;
        }
        match keda_otlp::Settings::read(environment::text, self.ca_dir.clone()) {
            Ok((settings, notices)) => {
                for notice in notices {
                    tracing::warn!(logger = "otel_collector", "{notice}");
                }
                let push = keda_otlp::push(settings, series.clone(), shutdown.clone());
                Some(tokio::spawn(push))
            }
            Err(problem) => {
                tracing::error!(logger = "otel_collector", error = %problem, "no metrics are pushed");
                None
            }
        }
    }

    fn options(&self) -> Result<Options> {
        let namespace = environment::pod_namespace();
        Ok(Options {
            watch_namespaces: environment::watch_namespaces()?,
            label_selector: environment::given("WATCH_LABEL_SELECTOR"),
            trigger_authentication_selector: environment::given("WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH"),
            cluster_object_namespace: Some(environment::cluster_object_namespace()),
            leader_election: self.leader_election()?,
            metrics_service_address: kubernetes::address(&self.metrics_service_bind_address)?
                .context("--metrics-service-bind-address must not be 0")?,
            cert_dir: self.cert_dir.clone(),
            certificate_names: self.certificate_names(&namespace),
            rotation: self.rotation(&namespace),
            inspector: Inspector::default(),
            controller: ControllerOptions {
                http_timeout: environment::http_settings()?.timeout,
                announce_unexpected_parameters: environment::text("KEDA_CHECK_UNEXPECTED_SCALERS_PARAMS")
                    .as_deref()
                    == Some("enabled"),
                max_job_reconciles: environment::number("KEDA_SCALEDJOB_CTRL_MAX_RECONCILES")?
                    .unwrap_or(ControllerOptions::default().max_job_reconciles),
                max_reconciles: environment::number("KEDA_SCALEDOBJECT_CTRL_MAX_RECONCILES")?
                    .unwrap_or(ControllerOptions::default().max_reconciles),
                file_root: Some(self.filepath_auth_root_path.clone())
                    .filter(|path| !path.as_os_str().is_empty()),
                bound_token_lifetime: environment::bound_token_lifetime()?,
                destinations: self.destinations(),
                restrict_secret_access: environment::restricted_secrets(),
                raw_metrics: raw_metrics(environment::text),
                vault: environment::vault(&self.vault_service_account_dir)?,
                cluster_name: self.k8s_cluster_name.clone(),
                ..ControllerOptions::default()
            },
            pod_namespace: namespace,
        })
    }

    fn destinations(&self) -> destinations::Policy {
        let mut policy = destinations::Policy { mode: self.credential_destinations, ..Default::default() };
        for hosts in &self.credential_hosts {
            policy.hosts.extend(hosts.clone());
        }
        policy
    }

    fn leader_election(&self) -> Result<Option<LeaderElection>> {
        if !self.leader_elect {
            return Ok(None);
        }
        let seconds = std::time::Duration::from_secs;
        let variable = |name: &str| format!("KEDA_OPERATOR_LEADER_ELECTION_{name}");
        Ok(Some(LeaderElection {
            lease: self.leader_election_id.clone(),
            identity: kubernetes::identity(),
            lease_duration: environment::duration(&variable("LEASE_DURATION"), seconds(15))?,
            renew_deadline: environment::duration(&variable("RENEW_DEADLINE"), seconds(10))?,
            retry_period: environment::duration(&variable("RETRY_PERIOD"), seconds(2))?,
        }))
    }

    fn rotation(&self, namespace: &str) -> Option<Rotation> {
        let flags = &self.rotation;
        flags.enable_cert_rotation.then(|| Rotation {
            secret: flags.cert_secret_name.clone(),
            names: self.service_names(namespace, flags.enable_webhook_patching),
            api_service: flags.enable_apiservice_patching,
            webhooks: flags.enable_webhook_patching.then(|| flags.validating_webhook_name.clone()),
            key: KeyKind::Rsa2048,
        })
    }

    /// Upstream's DNS names, and those of a process that runs beside its adapter.
    fn certificate_names(&self, namespace: &str) -> Vec<String> {
        let mut names = self.service_names(namespace, true);
        names.extend(["localhost".to_owned(), "127.0.0.1".to_owned()]);
        names
    }

    /// Every name of the Services, the operator's first.
    fn service_names(&self, namespace: &str, webhooks: bool) -> Vec<String> {
        let webhooks = webhooks.then_some(&self.webhooks_service_name);
        let services = [&self.operator_service_name, &self.metrics_server_service_name];
        let mut names = Vec::new();
        for service in services.into_iter().chain(webhooks) {
            names.push(service.clone());
            names.push(format!("{service}.{namespace}"));
            names.push(format!("{service}.{namespace}.svc"));
            names.push(format!("{service}.{namespace}.svc.{}", self.k8s_cluster_domain));
        }
        names
    }

    fn http_settings(&self) -> Result<http::Settings> {
        let mut settings = environment::http_settings()?;
        settings.ca_dirs = self.ca_dir.clone();
        settings.egress = self.egress_policy;
        settings.largest_answer = usize::from(self.http_max_answer_mib) << 20;
        settings.idle_per_endpoint = self.http_max_idle_conns_per_host;
        settings.idle_timeout = self
            .http_idle_conn_timeout
            .to_std()
            .filter(|timeout| !timeout.is_zero())
            .context("--http-idle-conn-timeout must be above 0, for instance 90s")?;
        Ok(settings)
    }
}
