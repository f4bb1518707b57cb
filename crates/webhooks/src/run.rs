//! The wiring.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use keda_cluster::events::Recorder;
use keda_scaler::{Clock, Registry};
use keda_telemetry::{
    http::Checks,
    metrics::{self, table},
};
use keda_tls::{Acceptor, ClientAuth, Files, Folder, Incoming, Protocols};
use kube::Client;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    cache::Cache,
    lookups::Lookups,
    options::Options,
    scaled_object::Checker,
    serve::{self, App},
    triggers::Judge,
};

/// How long events that wait may take after a shutdown.
const EVENTS: Duration = Duration::from_secs(1);

/// What the process is given.
pub struct Dependencies {
    /// For watches, lookups and events.
    pub client: Client,
    /// The triggers that can be checked.
    pub registry: Arc<Registry>,
    /// Where it counts.
    pub metrics: metrics::Webhooks,
    /// What its readiness probe asks; filled in here.
    pub ready: Readiness,
}

/// The checks behind `/readyz`, which begin to say something once the process runs.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<std::sync::OnceLock<Checks>>);

impl Readiness {
    /// Whether everything that requests need is there.
    ///
    /// # Errors
    /// What is missing.
    pub fn ready(&self) -> Result<(), String> {
        self.0.get().map_or_else(|| Err("starting".to_owned()), Checks::pass)
    }
}

impl std::fmt::Debug for Dependencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dependencies").finish_non_exhaustive()
    }
}

/// Why the webhooks cannot run, or not any longer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A part of it ended, which only a defect can cause.
    #[error("a part of the webhooks stopped: {0}")]
    Stopped(String),
}

/// Serves the webhooks until `shutdown`.
///
/// # Errors
/// When it cannot start. Missing certificates and an API server that is away are no errors: it is not ready until they are there.
pub async fn run(
    options: Options,
    dependencies: Dependencies,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let address = options.address;
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    run_on(listener, options, dependencies, shutdown).await
}

/// As [`run`], on a listener that is bound already ([`Options::address`] is not looked at).
///
/// # Errors
/// As [`run`].
pub async fn run_on(
    listener: TcpListener,
    options: Options,
    dependencies: Dependencies,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let Dependencies { client, registry, metrics, ready } = dependencies;
    let serving = Folder::awaiting(Files { ca: None, ..Files::in_folder(&options.cert_dir) });
    show_certificate(&metrics, &serving);
    let stop = shutdown.child_token();
    let mut parts = JoinSet::new();
    parts.spawn(serving.clone().watch(Folder::INTERVAL, stop.clone().cancelled_owned()));

    let cache = Cache::start(&client, &stop);
    let _known = ready.0.set(checks(&serving, &cache, &shutdown));
    let (recorder, mut writer) = Recorder::new(client.clone(), Clock::system(), "keda-admission");
    let stopped = stop.clone();
    let writing = tokio::spawn(async move {
        writer.run(&stopped).await;
        writer
    });
    let app = Arc::new(App {
        checker: Checker {
            lookups: Lookups::new(client, cache.clone()),
            triggers: Judge { registry, mode: options.trigger_metadata },
            metrics,
            recorder,
        },
        max_body: options.max_body,
        deadline: options.deadline,
        places: Semaphore::new(options.max_in_flight),
    });
    // HTTP/1.1 is what API servers speak to webhooks; HTTP/2 is there for whoever asks.
    let acceptor = Acceptor::new(serving, &options.tls, ClientAuth::None, Protocols::Http);
    let incoming = Incoming::new(listener, acceptor);
    let stopped = stop.clone();
    parts.spawn(async move { serve::accept(app, incoming, &options, &stopped).await });
    let told = stop.clone();
    parts.spawn(async move {
        if told.run_until_cancelled_owned(cache.wait()).await.is_some() {
            tracing::info!(logger = "setup", "the watches are in sync with the API server");
        }
    });
    let ended = loop {
        tokio::select! {
            () = shutdown.cancelled() => break Ok(()),
            ended = parts.join_next() => match ended {
                Some(Err(error)) => break Err(Error::Stopped(error.to_string())),
                Some(Ok(())) => {}
                None => break Ok(()),
            },
        }
    };
    stop.cancel();
    while parts.join_next().await.is_some() {}
    if let Ok(writer) = writing.await {
        writer.flush(EVENTS).await;
    }
    ended
}

fn checks(serving: &Folder, cache: &Arc<Cache>, shutdown: &CancellationToken) -> Checks {
    let (serving, cache, shutdown) = (serving.clone(), cache.clone(), shutdown.clone());
    Checks::new()
        .with("serving-certificate", move || match serving.current() {
            Some(_) => Ok(()),
            None => Err(serving.status().error.unwrap_or_else(|| "not read so far".to_owned())),
        })
        .with("watches", move || cache.synced())
        .with(
            "shutdown",
            move || {
                if shutdown.is_cancelled() { Err("shutting down".to_owned()) } else { Ok(()) }
            },
        )
}

fn show_certificate(metrics: &metrics::Webhooks, serving: &Folder) {
    let serving = serving.clone();
    metrics.registry().on_scrape(move |scrape| {
        let status = serving.status();
        #[expect(clippy::cast_precision_loss, reason = "nobody changes certificates that often")]
        let (reads, failures) = ((status.generation + status.failures) as f64, status.failures as f64);
        scrape.value(&table::CERTIFICATE_READS, reads);
        scrape.value(&table::CERTIFICATE_READ_ERRORS, failures);
        if let Some(end) = status.not_after.and_then(|end| end.duration_since(UNIX_EPOCH).ok()) {
            scrape.value(&table::WEBHOOK_CERTIFICATE_END, end.as_secs_f64());
        }
        scrape.value(&table::WEBHOOK_CERTIFICATE_STUCK, f64::from(status.error.is_some()));
    });
}
