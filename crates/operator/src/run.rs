//! The wiring of one operator process, on one page: certificates, leader election, loop, metrics service.

use std::{io, sync::Arc, time::Duration};

use keda_metrics_service::api::{
    metrics_service_server::MetricsServiceServer, raw_metrics_service_server::RawMetricsServiceServer,
};
use keda_scaler::Clock;
use keda_tls::{Acceptor, ClientAuth, Files, Folder, Incoming, Policy, make::KeyKind};
use kube::Client;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    certificates::{Keeper, Serving},
    controller::{Controller, Dependencies, Scope},
    health::Health,
    lease::{Candidate, Lost},
    options::Options,
    serve_metrics::Metrics,
};

/// How long open calls may take to end after a shutdown: less than it takes to hand the lease over in time.
const CALLS: Duration = Duration::from_secs(1);
/// How long tasks may take to end after a shutdown.
const DRAIN: Duration = Duration::from_secs(10);
/// How long events that wait may take after that, and CloudEvents beside them.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why an operator stopped although nobody asked it to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Leadership was lost. Restart the process: it begins again as a standby.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The metrics service cannot listen.
    #[error("the metrics service cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: std::net::SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The metrics service ended.
    #[error("the metrics service failed: {0}")]
    Serve(#[from] tonic::transport::Error),
    /// The certificates can neither be read nor made.
    #[error("certificates in {folder}: {source}")]
    Certificates {
        /// The folder of `--cert-dir`.
        folder: String,
        /// What is wrong with it.
        source: keda_tls::Error,
    },
}

/// Where the metrics service's certificates come from.
enum Certificates {
    /// From files that somebody else keeps.
    Given(Folder),
    /// From the Secret that the leader keeps.
    Kept(Serving),
}

/// Runs one operator until `shutdown` is cancelled.
///
/// # Errors
/// When it cannot go on: leadership lost, no certificates, no socket.
pub async fn run(
    options: Options,
    dependencies: Dependencies,
    health: Arc<Health>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let certificates = match &options.rotation {
        Some(rotation) => {
            let serving = Serving::new(&options.cert_dir);
            let (client, namespace) = (dependencies.client.clone(), options.pod_namespace.clone());
            tokio::spawn(serving.clone().follow(
                client,
                namespace,
                rotation.secret.clone(),
                shutdown.clone(),
            ));
            Certificates::Kept(serving)
        }
        None => {
            let folder = in_folder(&options)?;
            tokio::spawn(folder.clone().watch(Folder::INTERVAL, shutdown.clone().cancelled_owned()));
            Certificates::Given(folder)
        }
    };
    let clock = dependencies.environment.clock;
    let (client, metrics) = (dependencies.client.clone(), Arc::clone(&dependencies.metrics));
    let Some(election) = options.leader_election.clone() else {
        let controller = controller(&options, dependencies);
        let led = lead(&options, &controller, client, clock, certificates, &health, &shutdown).await;
        controller.flush(LAST_WORDS).await;
        return led;
    };
    let mut candidate = Candidate::new(client.clone(), &options.pod_namespace, clock, election);
    health.standing_by();
    if shutdown.run_until_cancelled(candidate.acquire()).await.is_none() {
        return Ok(());
    }
    let controller = controller(&options, dependencies);
    let lease = options.leader_election.as_ref().map(|election| election.lease.clone()).unwrap_or_default();
    metrics.leader(&lease, true);
    let leading = shutdown.child_token();
    let (led, held) = tokio::join!(
        async {
            let led = lead(&options, &controller, client, clock, certificates, &health, &leading).await;
            leading.cancel();
            led
        },
        async {
            let held = candidate.hold(&leading).await;
            leading.cancel();
            held
        }
    );
    metrics.leader(&lease, false);
    if held.is_ok() {
        // Every task has ended by now: whoever takes over works alone.
        candidate.release().await;
    }
    // What was said is true whoever leads: this needs no lease, and the next leader need not wait for it.
    controller.flush(LAST_WORDS).await;
    held.map_err(Error::from).and(led)
}

/// The loop, not started yet.
fn controller(options: &Options, dependencies: Dependencies) -> Arc<Controller> {
    let scope = Scope {
        namespaces: options.watch_namespaces.clone(),
        label_selector: options.label_selector.clone(),
        trigger_authentication_selector: options.trigger_authentication_selector.clone(),
        cluster_object_namespace: options.cluster_object_namespace.clone(),
    };
    Controller::new(options.controller.clone(), scope, dependencies)
}

/// The work of a leader: the loop and the metrics service.
async fn lead(
    options: &Options,
    controller: &Arc<Controller>,
    client: Client,
    clock: Clock,
    certificates: Certificates,
    health: &Health,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    let folder = match (certificates, options.rotation.clone()) {
        (Certificates::Kept(serving), Some(rotation)) => {
            let keeper = Keeper::new(&client, &options.pod_namespace, rotation, clock, serving.clone());
            let shutdown = shutdown.clone();
            tokio::spawn(async move { keeper.keep(&shutdown).await });
            serving.folder()
        }
        (Certificates::Kept(serving), None) => serving.folder(),
        (Certificates::Given(folder), _) => folder,
    };
    options.inspector.look_into(controller);
    if shutdown.run_until_cancelled(controller.start(shutdown)).await.is_some() {
        // Only now: an operator that knows no object yet would deny them all, and adapters would forget their values.
        tracing::info!(logger = "setup", "watches are in sync, scaling");
        let served = serve(options, folder, Metrics::new(Arc::clone(controller)), health, shutdown).await;
        // A failure must not leave half an operator running.
        shutdown.cancel();
        served?;
    }
    let _late = tokio::time::timeout(DRAIN, controller.stopped()).await;
    Ok(())
}

/// Serves the metrics service until the shutdown, and open calls for a little longer.
async fn serve(
    options: &Options,
    certificates: Folder,
    metrics: Metrics,
    health: &Health,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    let address = options.metrics_service_address;
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    health.working();
    let policy = Policy::service(|name| std::env::var(name).ok());
    let acceptor = Acceptor::new(certificates, &policy, ClientAuth::Required, keda_tls::Protocols::Http2);
    let served = tonic::transport::Server::builder()
        .add_service(MetricsServiceServer::new(metrics.clone()))
        .add_service(RawMetricsServiceServer::new(metrics))
        .serve_with_incoming_shutdown(Incoming::new(listener, acceptor), shutdown.clone().cancelled_owned());
    tokio::select! {
        served = served => served.map_err(Error::from),
        () = async { shutdown.cancelled().await; tokio::time::sleep(CALLS).await } => Ok(()),
    }
}

/// The certificates of the folder; where it holds none, new ones, written there for the adapter to use too.
fn in_folder(options: &Options) -> Result<Folder, Error> {
    let fail = |source| Error::Certificates { folder: options.cert_dir.display().to_string(), source };
    if Files::in_folder(&options.cert_dir).cert.exists() {
        return Folder::open(&options.cert_dir).map_err(fail);
    }
    let bundle =
        keda_tls::generate(&options.certificate_names, KeyKind::Rsa2048, std::time::SystemTime::now())
            .map_err(fail)?;
    match bundle.write_to(&options.cert_dir) {
        Ok(()) => {
            tracing::info!(logger = "cert-rotation", folder = %options.cert_dir.display(), "no certificates found, made new ones");
            Folder::open(&options.cert_dir).map_err(fail)
        }
        Err(error) => {
            tracing::warn!(
                logger = "cert-rotation",
                folder = %options.cert_dir.display(),
                error = %error,
                "no certificates found and the folder cannot be written: serving with a certificate that only this process knows"
            );
            Ok(Folder::fixed(bundle.identity().map_err(fail)?))
        }
    }
}
