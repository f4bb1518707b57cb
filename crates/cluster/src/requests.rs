//! Requests to the API server that are not plain typed calls: `/scale` of any kind, discovery, retries.
//!
//! There is no client-side rate limiter (design §5): work here is proportional to change. A request that the server
//! turned away (429, 5xx, a broken connection) is tried again a few times, no sooner than the server asked for.

use std::{collections::HashMap, future::Future, sync::Mutex, time::Duration};

use k8s_openapi::{api::autoscaling::v1::Scale, apimachinery::pkg::apis::meta::v1::APIResourceList};
use keda_api::GroupVersionKindResource;
use kube::{Client, core::DynamicObject};
use tokio::time::Instant;

/// How often a request is tried in all.
const ATTEMPTS: u32 = 4;
/// The wait before the second try; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// How long the server has to answer one try: an object's task must not hang on a connection that died silently.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long a resolved kind is remembered.
const DISCOVERY_AGE: Duration = Duration::from_secs(600);

/// The workload that a ScaledObject scales.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its type.
    pub gvkr: GroupVersionKindResource,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Target {
    /// The path of the object itself.
    fn path(&self) -> String {
        let GroupVersionKindResource { group, version, resource, .. } = &self.gvkr;
        let root =
            if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        format!("{root}/namespaces/{}/{resource}/{}", self.namespace, self.name)
    }
}

/// Why a kind could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The cluster has no such kind. The text is client-go's.
    #[error("no matches for kind {kind:?} in version {version:?}")]
    NoMatch {
        /// The kind.
        kind: String,
        /// The `group/version`.
        version: String,
    },
    /// The cluster could not be asked.
    #[error(transparent)]
    Api(#[from] kube::Error),
}

/// The API server as the tasks use it.
pub struct Cluster {
    client: Client,
    kinds: Mutex<HashMap<(String, String), (GroupVersionKindResource, Instant)>>,
}

impl Cluster {
    /// On a client.
    pub fn new(client: Client) -> Self {
        Cluster { client, kinds: Mutex::default() }
    }

    /// The client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Reads `/scale` of the target.
    ///
    /// # Errors
    /// The server's, or none within the deadline.
    pub async fn scale(&self, target: &Target) -> Result<Scale, kube::Error> {
        let path = format!("{}/scale", target.path());
        retry(|| self.get(&path)).await
    }

    /// Replaces `/scale`; the resourceVersion in it makes a concurrent change a conflict. Not retried.
    ///
    /// # Errors
    /// The server's, or none within the deadline.
    pub async fn replace_scale(&self, target: &Target, scale: &Scale) -> Result<Scale, kube::Error> {
        let body = serde_json::to_vec(scale).map_err(kube::Error::SerdeError)?;
        let request = http::Request::put(format!("{}/scale", target.path()))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(kube::Error::HttpError)?;
        bounded(self.client.request(request)).await
    }

    /// The target itself, as it is; `None` when there is none.
    ///
    /// # Errors
    /// The server's, or none within the deadline.
    pub async fn object(&self, target: &Target) -> Result<Option<DynamicObject>, kube::Error> {
        let path = target.path();
        match retry(|| self.get(&path)).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Resolves a kind to its plural. Deployments and StatefulSets are known; others are looked up and remembered.
    ///
    /// # Errors
    /// There is no such kind, or the server could not be asked.
    pub async fn resolve(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<GroupVersionKindResource, ResolveError> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resolved = |resource: &str| GroupVersionKindResource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            resource: resource.to_owned(),
        };
        match kind {
            "Deployment" => return Ok(resolved("deployments")),
            "StatefulSet" => return Ok(resolved("statefulsets")),
            _ => {}
        }
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some((gvkr, since)) = self.remembered().get(&key)
            && since.elapsed() < DISCOVERY_AGE
        {
            return Ok(gvkr.clone());
        }
        let no_match = || ResolveError::NoMatch { kind: kind.to_owned(), version: api_version.to_owned() };
        let root =
            if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let list: APIResourceList = match retry(|| self.get(&root)).await {
            Ok(list) => list,
            Err(error) if is_not_found(&error) => return Err(no_match()),
            Err(error) => return Err(error.into()),
        };
        let resource = list
            .resources
            .iter()
            .find(|resource| resource.kind == kind && !resource.name.contains('/'))
            .ok_or_else(no_match)?;
        let gvkr = resolved(&resource.name);
        self.remembered().insert(key, (gvkr.clone(), Instant::now()));
        Ok(gvkr)
    }

    fn remembered(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<(String, String), (GroupVersionKindResource, Instant)>> {
        self.kinds.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, kube::Error> {
        let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
        self.client.request(request).await
    }
}

/// Whether the server says that the object, or its kind, does not exist.
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Whether somebody else wrote the object first, or it exists already.
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// What the server said, without this client's wrapping: the words a user can search for.
pub fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

/// Tries a request again when the server could not take it, waiting as long as it asked or twice as long each time.
///
/// # Errors
/// The last answer.
pub async fn retry<T, F>(mut request: impl FnMut() -> F) -> Result<T, kube::Error>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    let mut wait = FIRST_WAIT;
    for _ in 1..ATTEMPTS {
        match bounded(request()).await {
            Err(error) if let Some(asked) = worth_another_try(&error) => {
                tokio::time::sleep(wait.max(asked)).await;
                wait *= 2;
            }
            answer => return answer,
        }
    }
    bounded(request()).await
}

/// One try, under a deadline of fifteen seconds.
///
/// # Errors
/// The request's, or that there was no answer in time.
pub async fn bounded<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    let answer = tokio::time::timeout(DEADLINE, request).await;
    answer.unwrap_or_else(|_| Err(kube::Error::Service("the API server did not answer in time".into())))
}

/// Whether the server may well take the same request later.
pub fn is_temporary(error: &kube::Error) -> bool {
    worth_another_try(error).is_some()
}

/// `Some` with the server's own Retry-After when another try can help.
fn worth_another_try(error: &kube::Error) -> Option<Duration> {
    match error {
        kube::Error::Api(status) if status.code == 429 || status.code >= 500 => {
            let asked = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
            Some(Duration::from_secs(u64::from(asked)))
        }
        kube::Error::Service(_) | kube::Error::HyperError(_) => Some(Duration::ZERO),
        _ => None,
    }
}
