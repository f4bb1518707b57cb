//! The cluster as triggers and their authentication may read it, on demand: single objects by name, pods by label.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{ConfigMap, PodTemplateSpec, Secret, ServiceAccount},
};
use keda_api::{ClusterTriggerAuthentication, GroupVersionKindResource, TriggerAuthentication};
use keda_scaler::kube::{Pod, ReadError, Reader as ReadsCluster};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, PostParams, Request},
};
use serde::Deserialize;

use crate::{
    cluster::{Cluster, Target, is_not_found, retry, words},
    credentials::{CredentialKind, Read},
    index::ObjectKey,
};

/// Reads through the operator's own client. Nothing is watched; of Secrets and ConfigMaps the versions that were read
/// are remembered.
pub struct Reader {
    cluster: Cluster,
    read: Mutex<Read>,
    secrets_of: Option<String>,
    authentications: Option<String>,
}

impl Reader {
    /// A reader on a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Reader {
            cluster: Cluster::new(client),
            read: Mutex::default(),
            secrets_of: None,
            authentications: None,
        }
    }

    /// Reads Secrets of this namespace only, where one is given (`KEDA_RESTRICT_SECRET_ACCESS`).
    #[must_use]
    pub fn secrets_of(mut self, namespace: Option<String>) -> Self {
        self.secrets_of = namespace;
        self
    }

    /// Reads only TriggerAuthentications with these labels, where any are given (`WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH`).
    #[must_use]
    pub fn authentications_with(mut self, selector: Option<String>) -> Self {
        self.authentications = selector;
        self
    }

    /// A TriggerAuthentication of either kind. The API server judges the labels.
    async fn authentication<K>(&self, api: Api<K>, name: &str) -> Result<Option<K>, ReadError>
    where
        K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    {
        let Some(selector) = &self.authentications else { return self.get(api, name).await };
        let params = ListParams::default().fields(&format!("metadata.name={name}")).labels(selector);
        let listed = retry(|| api.list(&params)).await.map_err(|error| read_error(&error))?;
        if let Some(found) = listed.items.into_iter().next() {
            return Ok(Some(found));
        }
        match self.get(api, name).await? {
            None => Ok(None),
            Some(_) => Err(ReadError::permanent(format!(
                "it lacks the labels {selector:?} of WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH, which the operator looks at only"
            ))),
        }
    }

    /// The Secrets and ConfigMaps read so far, found or not.
    pub(crate) fn read(&self) -> Read {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note<K: kube::Resource>(&self, kind: CredentialKind, namespace: &str, name: &str, found: Option<&K>) {
        let version = found.map(|found| found.meta().resource_version.clone().unwrap_or_default());
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        // Read twice, with a change in between: the first one is in use somewhere.
        read.entry((kind, ObjectKey::new(namespace, name))).or_insert(version);
    }

    async fn get<K>(&self, api: Api<K>, name: &str) -> Result<Option<K>, ReadError>
    where
        K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
    {
        retry(|| api.get_opt(name)).await.map_err(|error| read_error(&error))
    }
}

#[async_trait]
impl ReadsCluster for Reader {
    async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, Vec<u8>>>, ReadError> {
        if !self.may_read_secrets(namespace) {
            return Err(ReadError::permanent(format!(
                "the operator runs with KEDA_RESTRICT_SECRET_ACCESS and reads Secrets of namespace {} only",
                self.secrets_of.as_deref().unwrap_or_default()
            )));
        }
        let secret: Option<Secret> =
            self.get(Api::namespaced(self.cluster.client(), namespace), name).await?;
        self.note(CredentialKind::Secret, namespace, name, secret.as_ref());
        Ok(secret.map(|secret| {
            secret.data.unwrap_or_default().into_iter().map(|(key, data)| (key, data.0)).collect()
        }))
    }

    fn may_read_secrets(&self, namespace: &str) -> bool {
        self.secrets_of.as_deref().is_none_or(|allowed| allowed == namespace)
    }

    async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        let map: Option<ConfigMap> =
            self.get(Api::namespaced(self.cluster.client(), namespace), name).await?;
        self.note(CredentialKind::ConfigMap, namespace, name, map.as_ref());
        Ok(map.map(|map| map.data.unwrap_or_default()))
    }

    async fn trigger_authentication(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<TriggerAuthentication>, ReadError> {
        self.authentication(Api::namespaced(self.cluster.client(), namespace), name).await
    }

    async fn cluster_trigger_authentication(
        &self,
        name: &str,
    ) -> Result<Option<ClusterTriggerAuthentication>, ReadError> {
        self.authentication(Api::all(self.cluster.client()), name).await
    }

    async fn pod_template(
        &self,
        target: &GroupVersionKindResource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<PodTemplateSpec>, ReadError> {
        let target = Target { gvkr: target.clone(), namespace: namespace.to_owned(), name: name.to_owned() };
        let object: Option<DynamicObject> =
            self.cluster.object(&target).await.map_err(|error| read_error(&error))?;
        let path = match target.gvkr.kind.as_str() {
            // What a ScaledJob scales is its own.
            "ScaledJob" if target.gvkr.group == "keda.sh" => "/spec/jobTargetRef/template",
            _ => "/spec/template",
        };
        let template = object.as_ref().and_then(|object| object.data.pointer(path));
        // A kind whose `spec.template` is something else than a pod template simply has no environment.
        Ok(template.and_then(|template| PodTemplateSpec::deserialize(template).ok()))
    }

    async fn service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        let account: Option<ServiceAccount> =
            self.get(Api::namespaced(self.cluster.client(), namespace), name).await?;
        Ok(account.map(|account| account.metadata.annotations.unwrap_or_default()))
    }

    async fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
        audience: Option<&str>,
        lifetime: Duration,
    ) -> Result<Option<keda_scaler::Secret>, ReadError> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.cluster.client(), namespace);
        let wanted = TokenRequest {
            spec: TokenRequestSpec {
                // Empty means the API server's own.
                audiences: audience.map(str::to_owned).into_iter().collect(),
                expiration_seconds: i64::try_from(lifetime.as_secs()).ok(),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let parameters = PostParams::default();
        let made = retry(|| accounts.create_token_request(name, &parameters, &wanted)).await;
        match made {
            Ok(made) => Ok(made.status.map(|status| keda_scaler::Secret::from(status.token))),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(read_error(&error)),
        }
    }

    /// One list a poll and trigger, instead of a watch that would keep every pod of the cluster in memory. With
    /// `resourceVersion=0` the API server answers from its own cache, which costs etcd nothing but cannot be paged; of
    /// each pod (some kilobytes on the wire) only two words and a flag are kept.
    async fn pods(&self, namespace: &str, selector: &str) -> Result<Vec<Pod>, ReadError> {
        let chosen = ListParams::default().labels(selector).match_any();
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let list = async || -> Result<PodList, kube::Error> {
            let request = Request::new(&path).list(&chosen).map_err(kube::Error::BuildRequest)?;
            self.cluster.client().request(request).await
        };
        let pods = retry(list).await.map_err(|error| read_error(&error))?;
        Ok(pods
            .items
            .into_iter()
            .map(|pod| Pod {
                ready: pod.status.conditions.iter().any(|it| it.r#type == "Ready" && it.status == "True"),
                phase: pod.status.phase,
                node: pod.spec.node_name,
            })
            .collect())
    }
}

#[derive(Deserialize)]
struct PodList {
    items: Vec<ListedPod>,
}

#[derive(Deserialize)]
struct ListedPod {
    #[serde(default)]
    spec: ListedSpec,
    #[serde(default)]
    status: ListedStatus,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ListedSpec {
    node_name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListedStatus {
    phase: String,
    conditions: Vec<ListedCondition>,
}

#[derive(Deserialize)]
struct ListedCondition {
    r#type: String,
    status: String,
}

fn read_error(error: &kube::Error) -> ReadError {
    match error {
        kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 429 => {
            ReadError::permanent(words(error))
        }
        _ => ReadError::temporary(words(error)),
    }
}
