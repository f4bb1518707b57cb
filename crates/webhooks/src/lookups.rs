//! What the rules have to know of other objects.
//!
//! The watches' memory answers almost always. Where it would refuse an object, or was not filled yet, the API server is asked: a
//! memory that is a moment behind refuses nobody.

use std::{collections::BTreeMap, sync::Arc};

use http::StatusCode;
use k8s_openapi::api::{autoscaling::v2::HorizontalPodAutoscaler, core::v1::LimitRange};
use keda_api::{GroupVersionKindResource, ScaledObject};
use keda_cluster::{Cluster, ObjectKey, ResolveError, retry, words};
use keda_core::admission::{
    neighbours::{Autoscaler, Claim},
    requests::{Amounts, Containers},
};
use kube::{Api, Client, ResourceExt, api::ListParams};

use crate::{
    cache::{Cache, Workload, WorkloadKind, containers, read},
    review::Verdict,
};

/// A lookup without an answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The cluster has no such kind.
    NoSuchKind(String),
    /// The workload does not exist. The text is the API server's.
    NoSuchWorkload(String),
    /// The API server could not be asked, or did not say.
    Unknown {
        /// What was to be found out.
        what: String,
        /// What came instead.
        error: kube::Error,
    },
}

impl Failure {
    /// What the API server is told: never that all is well.
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::NoSuchKind(text) => Verdict::denied(text),
            Self::NoSuchWorkload(text) => Verdict::refused(StatusCode::NOT_FOUND, "NotFound", text),
            Self::Unknown { error, .. } => {
                let (code, reason) = match error {
                    kube::Error::Api(status) => {
                        (StatusCode::from_u16(status.code).ok(), status.reason.as_str())
                    }
                    _ => (None, ""),
                };
                let code = code.filter(|code| code.is_client_error() || code.is_server_error());
                let reason = if reason.is_empty() { "ServiceUnavailable" } else { reason };
                Verdict::refused(code.unwrap_or(StatusCode::SERVICE_UNAVAILABLE), reason, self.to_string())
            }
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSuchKind(text) | Self::NoSuchWorkload(text) => f.write_str(text),
            Self::Unknown { what, error } => {
                write!(f, "cannot check {what}: {}; try again", words(error))
            }
        }
    }
}

/// Memory and API server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Lookups {
    pub(crate) cache: Arc<Cache>,
    cluster: Arc<Cluster>,
}

impl Lookups {
    pub(crate) fn new(client: Client, cache: Arc<Cache>) -> Self {
        Self { cache, cluster: Arc::new(Cluster::new(client)) }
    }

    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.cluster.client(), namespace)
    }

    /// A kind of the cluster.
    pub(crate) async fn kind(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<GroupVersionKindResource, Failure> {
        match self.cluster.resolve(api_version, kind).await {
            Ok(kind) => Ok(kind),
            Err(error @ ResolveError::NoMatch { .. }) => Err(Failure::NoSuchKind(error.to_string())),
            Err(ResolveError::Api(error)) => Err(Failure::Unknown {
                what: format!("whether there is a kind {kind} in {api_version}"),
                error,
            }),
        }
    }

    /// The claims of the namespace that may be in the way of this one, by name.
    pub(crate) async fn claims(&self, namespace: &str, own: &Claim) -> Result<Vec<Claim>, Failure> {
        if !self.cache.is_synced("scaledobjects") {
            let (api, all) = (self.api::<ScaledObject>(namespace), ListParams::default());
            let listed = retry(|| api.list(&all)).await.map_err(|error| Failure::Unknown {
                what: "whether another ScaledObject manages the workload".to_owned(),
                error,
            })?;
            return Ok(by_name(listed.items.iter().map(|object| (object.name_any(), Claim::of(object)))));
        }
        let mut claims = read(&self.cache.claims).find(namespace, &[&own.workload.name, &own.autoscaler]);
        claims.retain(|claim| own.conflicts(claim));
        // What stands in the way may be gone by now.
        let api = self.api::<ScaledObject>(namespace);
        for claim in &mut claims {
            match retry(|| api.get_opt(&claim.by)).await {
                Ok(Some(object)) => *claim = Claim::of(&object),
                // In nobody's way.
                Ok(None) => *claim = own.clone(),
                Err(error) => tell("scaledobjects", namespace, &claim.by, &error),
            }
        }
        Ok(claims)
    }

    /// The HPAs of the namespace that scale the same workload, by name.
    pub(crate) async fn autoscalers(&self, namespace: &str, own: &Claim) -> Result<Vec<Autoscaler>, Failure> {
        let (api, all) = (self.api::<HorizontalPodAutoscaler>(namespace), ListParams::default());
        if !self.cache.is_synced("horizontalpodautoscalers") {
            let listed = retry(|| api.list(&all)).await.map_err(|error| Failure::Unknown {
                what: "whether an HPA manages the workload".to_owned(),
                error,
            })?;
            return Ok(by_name(listed.items.iter().map(|it| (it.name_any(), Autoscaler::of(it)))));
        }
        let mut found = read(&self.cache.autoscalers).find(namespace, &[&own.workload.name]);
        found.retain(|it| !it.unchecked && it.workload == own.workload && !it.owners.contains(&own.by));
        let mut confirmed = Vec::with_capacity(found.len());
        for autoscaler in found {
            match retry(|| api.get_opt(&autoscaler.name)).await {
                Ok(Some(it)) => confirmed.push(Autoscaler::of(&it)),
                Ok(None) => {}
                Err(error) => {
                    tell("horizontalpodautoscalers", namespace, &autoscaler.name, &error);
                    confirmed.push(autoscaler);
                }
            }
        }
        Ok(confirmed)
    }

    /// The containers of the workload and what its namespace gives containers, as remembered. None: not remembered.
    pub(crate) fn remembered_requests(
        &self,
        kind: WorkloadKind,
        namespace: &str,
        name: &str,
    ) -> Option<(Containers, Amounts)> {
        if !self.cache.is_synced("limitranges") {
            return None;
        }
        let containers = self.cache.containers(kind, &ObjectKey::new(namespace, name))?;
        Some((containers, self.cache.defaults(namespace)))
    }

    /// The same, as they are now.
    pub(crate) async fn requests(
        &self,
        kind: WorkloadKind,
        namespace: &str,
        name: &str,
    ) -> Result<(Containers, Amounts), Failure> {
        let what = |of: &str| format!("the requests of {} {namespace}/{name}: {of}", kind.kind());
        let api = Api::<Workload>::namespaced_with(self.cluster.client(), namespace, &kind.api_resource());
        let workload = retry(|| api.get(name)).await.map_err(|error| match error {
            kube::Error::Api(status) if status.code == 404 => {
                Failure::NoSuchWorkload(format!("{}.apps {name:?} not found", kind.kind()))
            }
            error => Failure::Unknown { what: what("its containers"), error },
        })?;
        let (ranges, all) = (self.api::<LimitRange>(namespace), ListParams::default());
        let ranges = retry(|| ranges.list(&all))
            .await
            .map_err(|error| Failure::Unknown { what: what("the LimitRanges of the namespace"), error })?;
        let defaults =
            ranges.items.iter().fold(Amounts::default(), |sum, range| sum.or(Amounts::of_limit_range(range)));
        Ok((containers(&workload), defaults))
    }
}

fn by_name<V>(values: impl Iterator<Item = (String, V)>) -> Vec<V> {
    values.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// Memory stands where the API server does not answer: it refused, so the refusal stands.
fn tell(resource: &str, namespace: &str, name: &str, error: &kube::Error) {
    tracing::warn!(logger = "scaledobject-validation-webhook", resource, namespace, name, error = %words(error),
        "cannot read the object again, what the watch said decides");
}
