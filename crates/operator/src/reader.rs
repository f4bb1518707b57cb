//! The cluster as triggers and their authentication may read it: single objects by name, on demand.

use std::collections::BTreeMap;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{ConfigMap, PodTemplateSpec, Secret};
use keda_api::{ClusterTriggerAuthentication, GroupVersionKindResource, TriggerAuthentication};
use keda_scaler::kube::{ReadError, Reader as ReadsCluster};
use kube::{Api, Client, api::DynamicObject};
use serde::Deserialize;

use crate::cluster::{Cluster, Target, retry, words};

/// Reads through the operator's own client; nothing is listed, watched or kept.
pub struct Reader {
    cluster: Cluster,
}

impl Reader {
    /// A reader on a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Reader { cluster: Cluster::new(client) }
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
        let secret: Option<Secret> =
            self.get(Api::namespaced(self.cluster.client(), namespace), name).await?;
        Ok(secret.map(|secret| {
            secret.data.unwrap_or_default().into_iter().map(|(key, data)| (key, data.0)).collect()
        }))
    }

    async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        let map: Option<ConfigMap> =
            self.get(Api::namespaced(self.cluster.client(), namespace), name).await?;
        Ok(map.map(|map| map.data.unwrap_or_default()))
    }

    async fn trigger_authentication(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<TriggerAuthentication>, ReadError> {
        self.get(Api::namespaced(self.cluster.client(), namespace), name).await
    }

    async fn cluster_trigger_authentication(
        &self,
        name: &str,
    ) -> Result<Option<ClusterTriggerAuthentication>, ReadError> {
        self.get(Api::all(self.cluster.client()), name).await
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
        let template = object.as_ref().and_then(|object| object.data.pointer("/spec/template"));
        // A kind whose `spec.template` is something else than a pod template simply has no environment.
        Ok(template.and_then(|template| PodTemplateSpec::deserialize(template).ok()))
    }
}

fn read_error(error: &kube::Error) -> ReadError {
    match error {
        kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 429 => {
            ReadError::permanent(words(error))
        }
        _ => ReadError::temporary(words(error)),
    }
}
