//! The server as its users see it: one cloneable value, clients, sockets, log, faults.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::client::Client;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, service_fn};

use crate::{
    access::Access,
    aggregate::{self, Backend},
    api::State,
    clock::Clock,
    faults::Faults,
    front::{Disconnected, respond},
    record::{Log, Mark, Recorded},
    refusal::Refusal,
    sync::lock,
};

/// Body of every response; watches stream through it.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Who a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User name, such as `system:serviceaccount:keda:keda-operator`.
    pub user: String,
    /// Groups.
    pub groups: Vec<String>,
}

/// Requests that are refused; an empty field matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denial {
    /// User name.
    pub user: String,
    /// Verb, such as `list`.
    pub verb: String,
    /// API group.
    pub group: String,
    /// Plural, with the subresource: `deployments/scale`.
    pub resource: String,
    /// Namespace.
    pub namespace: String,
}

/// A Kubernetes API server in memory.
#[derive(Clone)]
pub struct ApiServer {
    inner: Arc<Inner>,
}

/// What the layers below share.
pub(crate) struct Inner {
    pub(crate) state: Mutex<State>,
    pub(crate) access: Mutex<Access>,
    pub(crate) clock: Mutex<Clock>,
    pub(crate) log: Mutex<Log>,
    pub(crate) faults: Faults,
    /// Changes when every watch must end.
    pub(crate) watch_epoch: watch::Sender<u64>,
    /// By group and version.
    backends: Mutex<BTreeMap<(String, String), Backend>>,
}

impl Default for ApiServer {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer").field("now", &self.clock().now().to_string()).finish_non_exhaustive()
    }
}

impl ApiServer {
    /// A server whose clock starts at [`Clock::START`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Clock::default())
    }

    /// A server whose clock reads `start` now.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self::with_clock(Clock::starting_at(start))
    }

    /// A server with a clock. It has the namespaces that every cluster has.
    #[must_use]
    pub fn with_clock(clock: Clock) -> Self {
        let inner = Inner {
            state: Mutex::default(),
            access: Mutex::default(),
            clock: Mutex::new(clock),
            log: Mutex::default(),
            faults: Faults::default(),
            watch_epoch: watch::Sender::new(0),
            backends: Mutex::default(),
        };
        let server = Self { inner: Arc::new(inner) };
        let mut state = lock(&server.inner.state);
        let made: Result<(), Refusal> = ["default", "kube-node-lease", "kube-public", "kube-system"]
            .into_iter()
            .try_for_each(|namespace| state.ensure_namespace(namespace, clock.now()))
            .and_then(|()| state.seed(aggregate::authentication_config_map(), clock.now()).map(|_| ()));
        drop(state);
        #[expect(clippy::expect_used, reason = "the objects are constant and the server is empty")]
        made.expect("a new server takes its own objects");
        server
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The clock that stamps objects.
    #[must_use]
    pub fn clock(&self) -> Clock {
        *lock(&self.inner.clock)
    }

    /// Replaces the clock.
    pub fn set_clock(&self, clock: Clock) {
        *lock(&self.inner.clock) = clock;
    }

    /// Installs CRDs; their APIs are there at once.
    ///
    /// # Errors
    /// A CRD that the server would refuse, or whose schema has rules that it cannot enforce.
    pub fn install_crds(
        &self,
        crds: impl IntoIterator<Item = CustomResourceDefinition>,
    ) -> Result<(), Refusal> {
        crds.into_iter().try_for_each(|crd| self.seed(&crd).map(|_| ()))
    }

    /// A client of an administrator, in process.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_for("system:admin")
    }

    /// A client of a user, in process; its requests carry the user's name, which also stands in for a user agent.
    #[must_use]
    pub fn client_for(&self, user: &str) -> Client {
        let inner = Arc::clone(&self.inner);
        let identity = Identity { user: user.to_owned(), groups: Vec::new() };
        let service = service_fn(move |mut request: Request<kube::client::Body>| {
            request.extensions_mut().insert(identity.clone());
            let inner = Arc::clone(&inner);
            async move { respond(&inner, request).await }
        });
        Client::new(service, "default")
    }

    /// Answers one request. The identity of the client may stand in the request's extensions.
    ///
    /// # Errors
    /// When a fault breaks the connection before there is an answer.
    pub async fn handle<B>(&self, request: Request<B>) -> Result<Response<Body>, Disconnected>
    where
        B: http_body::Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        respond(&self.inner, request).await
    }

    /// Serves plain HTTP/1.1 and HTTP/2 on a socket until `shutdown`, which ends open connections too.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
        loop {
            let (stream, _) = tokio::select! {
                accepted = listener.accept() => accepted?,
                () = shutdown.cancelled() => return Ok(()),
            };
            stream.set_nodelay(true)?;
            let inner = Arc::clone(&self.inner);
            let service =
                TowerToHyperService::new(service_fn(move |request: Request<hyper::body::Incoming>| {
                    let inner = Arc::clone(&inner);
                    async move { respond(&inner, request).await }
                }));
            let shutdown = shutdown.clone();
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    // A client that goes away is no error of the server.
                    _ = connection => {}
                    () = shutdown.cancelled() => {}
                }
            });
        }
    }

    /// Every request so far (at most the last [`LOG_CAPACITY`](crate::LOG_CAPACITY)).
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.requests_since(Mark::START)
    }

    /// Where the request log ends now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        lock(&self.inner.log).mark()
    }

    /// Requests since a mark.
    #[must_use]
    pub fn requests_since(&self, mark: Mark) -> Vec<Recorded> {
        lock(&self.inner.log).since(mark).cloned().collect()
    }

    /// Every write so far.
    #[must_use]
    pub fn writes(&self) -> Vec<Recorded> {
        self.writes_since(Mark::START)
    }

    /// Writes since a mark.
    #[must_use]
    pub fn writes_since(&self, mark: Mark) -> Vec<Recorded> {
        lock(&self.inner.log).since(mark).filter(|request| request.is_write()).cloned().collect()
    }

    /// Faults on demand.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// Ends every open watch; clients reconnect from where they were.
    pub fn drop_watches(&self) {
        self.inner.watch_epoch.send_modify(|epoch| *epoch += 1);
    }

    /// Forgets the watch history: a client that reconnects gets 410 and must list again. Open watches live on (see
    /// [`drop_watches`](Self::drop_watches)).
    pub fn expire_history(&self) {
        lock(&self.inner.state).store.compact();
    }

    /// Refuses matching requests with 403, and answers access reviews about them with "denied".
    pub fn deny(&self, denial: Denial) {
        lock(&self.inner.access).deny(denial);
    }

    /// Forgets every denial.
    pub fn allow_all(&self) {
        lock(&self.inner.access).allow_all();
    }

    /// A bearer token that authenticates as `identity` (TokenReview, and requests over sockets).
    pub fn add_token(&self, token: &str, identity: Identity) {
        lock(&self.inner.access).add_token(token, identity);
    }

    /// Registers an APIService, named `<version>.<group>`, whose requests go to `backend`; again, to replace it.
    ///
    /// # Errors
    /// When the name has no group.
    pub fn aggregate(&self, name: &str, backend: Backend) -> Result<(), Refusal> {
        let (version, group) = name
            .split_once('.')
            .ok_or_else(|| Refusal::bad_request(format!("{name:?} is no <version>.<group>")))?;
        let now = format!("{:.0}", self.clock().now());
        self.seed(&aggregate::api_service(group, version, &now))?;
        lock(&self.inner.backends).insert((group.to_owned(), version.to_owned()), backend);
        Ok(())
    }

    /// PEM of the CA that signs the front proxy's client certificate (also published in the ConfigMap
    /// `kube-system/extension-apiserver-authentication`).
    #[must_use]
    pub fn front_proxy_ca(&self) -> String {
        aggregate::front_proxy_ca().to_owned()
    }
}

impl Inner {
    /// Who answers for a group version, if it is an aggregated one.
    pub(crate) fn backend(&self, group: &str, version: &str) -> Option<Backend> {
        lock(&self.backends).get(&(group.to_owned(), version.to_owned())).cloned()
    }

    /// Whether there is an APIService for a group version.
    pub(crate) fn is_aggregated(&self, group: &str, version: &str) -> bool {
        self.aggregated_groups().contains(&(group.to_owned(), version.to_owned()))
    }

    /// Groups and versions of all APIServices, with a backend or without.
    pub(crate) fn aggregated_groups(&self) -> Vec<(String, String)> {
        let state = lock(&self.state);
        let Some(kind) = state.catalog.find("apiregistration.k8s.io", "v1", "apiservices") else {
            return Vec::new();
        };
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let services = state.store.list(&kind.stored_in, "");
        services
            .map(|(_, service)| (text(&service["spec"]["group"]), text(&service["spec"]["version"])))
            .collect()
    }
}
