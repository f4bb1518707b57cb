//! The server as its users see it: one cloneable value, clients, sockets, log, faults.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Resource, client::Client};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::{BoxError, service_fn};

use crate::{
    aggregate::Backend,
    clock::Clock,
    faults::Faults,
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

pub(crate) struct Inner {
    clock: Mutex<Clock>,
    log: Mutex<Log>,
    faults: Faults,
}

impl Default for ApiServer {
    fn default() -> Self {
        Self::new()
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

    /// A server with a clock.
    #[must_use]
    pub fn with_clock(clock: Clock) -> Self {
        let inner = Inner { clock: Mutex::new(clock), log: Mutex::default(), faults: Faults::default() };
        Self { inner: Arc::new(inner) }
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
    pub fn install_crds(&self, crds: Vec<CustomResourceDefinition>) -> Result<(), Refusal> {
        for crd in crds {
            self.seed(&crd)?;
        }
        Ok(())
    }

    /// A client of an administrator, in process.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_for("system:admin")
    }

    /// A client of a user, in process; its requests carry the user's name and name it as their agent.
    #[must_use]
    pub fn client_for(&self, user: &str) -> Client {
        let server = self.clone();
        let identity = Identity { user: user.to_owned(), groups: Vec::new() };
        let service = service_fn(move |mut request: Request<kube::client::Body>| {
            request.extensions_mut().insert(identity.clone());
            let server = server.clone();
            async move { Ok::<_, BoxError>(server.handle(request).await) }
        });
        Client::new(service, "default")
    }

    /// Answers one request.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let _ = request;
        let body = Full::new(Bytes::from(Refusal::no_route().to_json().to_string()));
        let mut response = Response::new(body.map_err(|never: Infallible| match never {}).boxed_unsync());
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        response
    }

    /// Serves plain HTTP/1.1 and HTTP/2 on a socket until `shutdown`.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
        let _ = listener;
        shutdown.cancelled().await;
        Ok(())
    }

    /// Every request so far (at most the last [`record::CAPACITY`](crate::record::CAPACITY)).
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
    pub fn drop_watches(&self) {}

    /// Forgets the watch history: a client that reconnects from an older version gets 410 and must list again.
    pub fn expire_history(&self) {}

    /// Refuses matching requests with 403, and answers access reviews about them with "denied".
    pub fn deny(&self, denial: Denial) {
        let _ = denial;
    }

    /// Forgets every denial.
    pub fn allow_all(&self) {}

    /// A bearer token that authenticates as `identity` (TokenReview, and requests over sockets).
    pub fn add_token(&self, token: &str, identity: Identity) {
        let _ = (token, identity);
    }

    /// Registers an APIService, named `<version>.<group>`, whose requests go to `backend`.
    pub fn aggregate(&self, name: &str, backend: Backend) {
        let _ = (name, backend);
    }

    /// PEM of the CA that signs the front proxy's client certificate (also published in the ConfigMap
    /// `kube-system/extension-apiserver-authentication`).
    #[must_use]
    pub fn front_proxy_ca(&self) -> String {
        String::new()
    }

    /// Creates or replaces an object as a whole, status included, without HTTP and without a log entry; its namespace
    /// is created when missing. Answers the stored object.
    ///
    /// # Errors
    /// What the server would refuse: unknown kinds, invalid objects.
    pub fn seed<K: Serialize>(&self, object: &K) -> Result<Value, Refusal> {
        serde_json::to_value(object).map_err(|error| Refusal::bad_request(error.to_string()))
    }

    /// Reads an object without HTTP; `namespace` is empty for cluster-scoped kinds.
    #[must_use]
    pub fn read<K>(&self, namespace: &str, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let _ = (namespace, name);
        None
    }

    /// Every object of a kind without HTTP, in order of namespace and name; of all namespaces when `namespace` is empty.
    #[must_use]
    pub fn all<K>(&self, namespace: &str) -> Vec<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let _ = namespace;
        Vec::new()
    }

    /// Merges a JSON merge patch into an object, status included, without HTTP.
    ///
    /// # Errors
    /// What the server would refuse.
    pub fn merge<K>(&self, namespace: &str, name: &str, patch: &Value) -> Result<Value, Refusal>
    where
        K: Resource<DynamicType = ()>,
    {
        let _ = (namespace, name, patch);
        Err(Refusal::no_route())
    }

    /// Deletes an object as a client would, without HTTP (finalizers are respected).
    ///
    /// # Errors
    /// When there is no such object.
    pub fn remove<K>(&self, namespace: &str, name: &str) -> Result<(), Refusal>
    where
        K: Resource<DynamicType = ()>,
    {
        let _ = (namespace, name);
        Err(Refusal::no_route())
    }
}
