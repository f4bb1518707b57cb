//! A cluster for the tests of triggers that read it: Secrets, ConfigMaps and pods of the namespace `shop`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use keda_api::{ClusterTriggerAuthentication, GroupVersionKindResource, TriggerAuthentication};
use keda_scaler::contract::{Scripted, environment};
use keda_scaler::kube::{Pod, ReadError, Reader};
use keda_scaler::{Context, Environment, Factory, Parameters, Reading};

pub(crate) const NAMESPACE: &str = "shop";

/// What is there. Clones are the same cluster.
#[derive(Clone, Default)]
pub(crate) struct Cluster {
    pub(crate) secrets: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    pub(crate) config_maps: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) pods: Vec<Pod>,
    /// Whether every namespace is this one.
    pub(crate) is_anywhere: bool,
    /// Every read fails with this.
    pub(crate) fails: Option<ReadError>,
    /// Selectors that pods were asked by.
    pub(crate) selectors: Arc<Mutex<Vec<String>>>,
}

impl Cluster {
    pub(crate) fn config_map(name: &str, key: &str, value: &str) -> Self {
        let data = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        Self { config_maps: BTreeMap::from([(name.to_owned(), data)]), ..Self::default() }
    }

    pub(crate) fn secret(name: &str, key: &str, value: &[u8]) -> Self {
        let data = BTreeMap::from([(key.to_owned(), value.to_vec())]);
        Self { secrets: BTreeMap::from([(name.to_owned(), data)]), ..Self::default() }
    }

    /// The one reading of a trigger in this cluster.
    pub(crate) async fn read(
        &self,
        factory: Factory,
        given: &Parameters,
    ) -> Result<Reading, keda_scaler::Error> {
        let parsed = factory.parse(given, &context())?;
        let world = Environment { kube: Arc::new(self.clone()), ..environment(Scripted::silent()) };
        let live = parsed.connect(&world).await?;
        live.sample().await.remove(0).result
    }

    fn get<T: Clone>(
        &self,
        map: &BTreeMap<String, T>,
        namespace: &str,
        name: &str,
    ) -> Result<Option<T>, ReadError> {
        match &self.fails {
            Some(error) => Err(error.clone()),
            None => Ok(map.get(name).filter(|_| self.is_anywhere || namespace == NAMESPACE).cloned()),
        }
    }
}

pub(crate) fn context() -> Context {
    Context { namespace: NAMESPACE.to_owned(), object_name: "web".to_owned(), ..Context::default() }
}

#[async_trait]
impl Reader for Cluster {
    async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, Vec<u8>>>, ReadError> {
        self.get(&self.secrets, namespace, name)
    }

    async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        self.get(&self.config_maps, namespace, name)
    }

    async fn trigger_authentication(
        &self,
        _: &str,
        _: &str,
    ) -> Result<Option<TriggerAuthentication>, ReadError> {
        Ok(None)
    }

    async fn cluster_trigger_authentication(
        &self,
        _: &str,
    ) -> Result<Option<ClusterTriggerAuthentication>, ReadError> {
        Ok(None)
    }

    async fn pod_template(
        &self,
        _: &GroupVersionKindResource,
        _: &str,
        _: &str,
    ) -> Result<Option<PodTemplateSpec>, ReadError> {
        Ok(None)
    }

    async fn pods(&self, namespace: &str, selector: &str) -> Result<Vec<Pod>, ReadError> {
        self.selectors.lock().unwrap().push(selector.to_owned());
        match &self.fails {
            Some(error) => Err(error.clone()),
            None if self.is_anywhere || namespace == NAMESPACE => Ok(self.pods.clone()),
            None => Ok(Vec::new()),
        }
    }
}
