//! The wiring.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use keda_telemetry::{
    http::Checks,
    metrics::{self, table},
};
use keda_tls::{
    Acceptor, ClientAuth, Connector, Files, Folder, Incoming, Protocols,
    make::{KeyKind, generate},
};
use kube::Client;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    authn::Authenticator,
    authz::Authorizer,
    discovery::Documents,
    link::{AddressError, Link},
    options::Options,
    request::Source,
    samples::Samples,
    serve::{self, App, Limits},
    token::Tokens,
    trust::Trust,
};

/// What the adapter is given.
#[derive(Clone)]
pub struct Dependencies {
    /// For TokenReviews, SubjectAccessReviews and the ConfigMap about authentication.
    pub client: Client,
    /// Where it counts.
    pub metrics: Arc<metrics::Adapter>,
}

impl std::fmt::Debug for Dependencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dependencies").finish_non_exhaustive()
    }
}

/// Why the adapter cannot run, or not any longer.
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
    /// The operator's address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// `--tls-cert-file` without `--tls-private-key-file`, or the other way round.
    #[error("--tls-cert-file and --tls-private-key-file must be given together")]
    HalfAPair,
    /// The self-signed certificate could be neither read nor made.
    #[error("cannot make a serving certificate: {0}")]
    Certificate(#[from] keda_tls::Error),
    /// A part of it ended, which only a defect can cause.
    #[error("a part of the adapter stopped: {0}")]
    Stopped(String),
}

/// Serves the external metrics API until `shutdown`.
///
/// # Errors
/// When it cannot start. Missing certificates, an operator or API server that is away are no errors: it is not ready until they are there.
pub async fn run(
    options: Options,
    dependencies: Dependencies,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let address = options.secure_address;
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    run_on(listener, options, dependencies, shutdown).await
}

/// As [`run`], on a listener that is bound already ([`Options::secure_address`] is not looked at).
///
/// # Errors
/// As [`run`].
pub async fn run_on(
    listener: TcpListener,
    options: Options,
    dependencies: Dependencies,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let Dependencies { client, metrics } = dependencies;
    let serving = serving_certificate(&options)?;
    let to_operator = Folder::awaiting(Files::in_folder(&options.cert_dir));
    let connector = Connector::new(
        to_operator.clone(),
        &options.metrics_service_tls,
        options.metrics_service_authority.as_deref(),
    );
    let link = Arc::new(Link::new(
        &options.metrics_service_address,
        options.metrics_service_authority.as_deref(),
        connector,
        metrics.clone(),
    )?);
    let trust = Arc::new(Trust::new(&options));
    let samples = Arc::new(Samples::new(options.last_good_capacity, options.last_good_age, metrics.clone()));
    show_certificates(&metrics, &serving, &to_operator);

    let app = Arc::new(App {
        authenticator: Authenticator {
            trust: trust.clone(),
            tokens: Tokens::new(client.clone(), options.token_cache_ttl, metrics.clone()),
        },
        authorizer: Authorizer::new(client.clone(), &options, metrics.clone()),
        source: Source::new(link.clone(), samples.clone(), &metrics, options.operator_deadline),
        documents: Documents::new(&options.version),
        probes: probes(&options, &serving, &to_operator, &trust, &link, &shutdown),
        metrics,
        places: Semaphore::new(options.max_in_flight),
    });
    let protocols = if options.http2 { Protocols::Http } else { Protocols::Http1 };
    let acceptor = Acceptor::new(serving.clone(), &options.tls, ClientAuth::Optional, protocols);
    let incoming = Incoming::new(listener, acceptor);
    let limits = Limits {
        http2_max_streams: options.http2_max_streams,
        connections: options.max_connections,
        request: options.request_deadline,
    };

    let stop = shutdown.child_token();
    let mut parts = JoinSet::new();
    // The operator's certificates first: the link needs them.
    for folder in [to_operator, serving] {
        parts.spawn(folder.watch(Folder::INTERVAL, stop.clone().cancelled_owned()));
    }
    parts.spawn(running(stop.clone(), move |stop| async move { link.keep(&stop).await }));
    parts.spawn(running(stop.clone(), move |stop| async move { samples.sweep(&stop).await }));
    let followed = trust.clone();
    parts.spawn(running(
        stop.clone(),
        move |stop| async move { followed.follow_cluster(client, &stop).await },
    ));
    parts.spawn(running(stop.clone(), move |stop| async move { trust.follow_files(&stop).await }));
    parts.spawn(running(stop.clone(), move |stop| async move {
        serve::accept(app, incoming, limits, &stop).await;
    }));
    let ended = loop {
        tokio::select! {
            () = shutdown.cancelled() => break Ok(()),
            ended = parts.join_next() => match ended {
                Some(Err(error)) => break Err(Error::Stopped(error.to_string())),
                // A part without work ends at once.
                Some(Ok(())) => {}
                None => break Ok(()),
            },
        }
    };
    stop.cancel();
    while parts.join_next().await.is_some() {}
    ended
}

async fn running<F: Future<Output = ()>>(stop: CancellationToken, part: impl FnOnce(CancellationToken) -> F) {
    part(stop).await;
}

/// The files of the command line; without them a self-signed pair in the certificate folder, as the API server libraries keep one.
fn serving_certificate(options: &Options) -> Result<Folder, Error> {
    match (&options.tls_cert_file, &options.tls_private_key_file) {
        (Some(cert), Some(key)) => {
            Ok(Folder::awaiting(Files { ca: None, cert: cert.clone(), key: key.clone() }))
        }
        (None, None) => {
            let cert = options.cert_dir.join("apiserver.crt");
            let key = options.cert_dir.join("apiserver.key");
            let files = Files { ca: None, cert, key };
            if files.exist() {
                return Ok(Folder::open_files(files)?);
            }
            let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
            let made = generate(&names, KeyKind::EcdsaP256, SystemTime::now())?;
            match made.write_pair(&files.cert, &files.key) {
                Ok(()) => {
                    tracing::info!(file = %files.cert.display(), "made a self-signed serving certificate");
                    Ok(Folder::open_files(files)?)
                }
                Err(error) => {
                    tracing::info!(%error, "made a self-signed serving certificate that only this process knows");
                    Ok(Folder::fixed(made.identity()?))
                }
            }
        }
        _ => Err(Error::HalfAPair),
    }
}

fn probes(
    options: &Options,
    serving: &Folder,
    to_operator: &Folder,
    trust: &Arc<Trust>,
    link: &Arc<Link>,
    shutdown: &CancellationToken,
) -> Vec<(&'static str, Checks)> {
    let loaded = |folder: &Folder| {
        let folder = folder.clone();
        move || match folder.current() {
            Some(_) => Ok(()),
            None => Err(folder.status().error.unwrap_or_else(|| "not read so far".to_owned())),
        }
    };
    let (trust, link, grace) = (trust.clone(), link.clone(), options.operator_grace);
    let shutdown = shutdown.clone();
    let ready = Checks::new()
        .with("serving-certificate", loaded(serving))
        .with("operator-certificate", loaded(to_operator))
        .with("authentication", move || trust.ready())
        .with("operator", move || link.ready(grace))
        .with(
            "shutdown",
            move || {
                if shutdown.is_cancelled() { Err("shutting down".to_owned()) } else { Ok(()) }
            },
        );
    vec![("healthz", Checks::new()), ("livez", Checks::new()), ("readyz", ready)]
}

fn show_certificates(metrics: &metrics::Adapter, serving: &Folder, to_operator: &Folder) {
    let folders = [("operator", to_operator.clone()), ("serving", serving.clone())];
    metrics.registry().on_scrape(move |scrape| {
        let statuses: Vec<_> = folders.iter().map(|(name, folder)| (*name, folder.status())).collect();
        scrape.values(
            &table::ADAPTER_CERTIFICATE_END,
            statuses.iter().filter_map(|(name, status)| {
                let end = status.not_after?.duration_since(UNIX_EPOCH).ok()?;
                Some((*name, end.as_secs_f64()))
            }),
        );
        scrape.values(
            &table::ADAPTER_CERTIFICATE_STUCK,
            statuses.iter().map(|(name, status)| (*name, f64::from(status.error.is_some()))),
        );
    });
}
