//! A reader that remembers what was asked of it, found or not: the list of objects whose change concerns a trigger.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use keda_api::{ClusterTriggerAuthentication, GroupVersionKindResource, TriggerAuthentication};
use keda_scaler::Secret;
use keda_scaler::kube::{Pod, ReadError, Reader};

/// An object that was read by name. Displays as `Kind namespace/name`, or `Kind name` for a cluster's object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadKey {
    /// The object's kind, such as `Secret`.
    pub kind: String,
    /// Its namespace; `None` for an object of the cluster.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl ReadKey {
    pub(crate) fn namespaced(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), namespace: Some(namespace.to_owned()), name: name.to_owned() }
    }

    pub(crate) fn cluster(kind: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), namespace: None, name: name.to_owned() }
    }

    pub(crate) fn secret(namespace: &str, name: &str) -> Self {
        Self::namespaced("Secret", namespace, name)
    }

    pub(crate) fn config_map(namespace: &str, name: &str) -> Self {
        Self::namespaced("ConfigMap", namespace, name)
    }
}

impl fmt::Display for ReadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// Passes every read on and keeps its key.
pub struct Tracked<'a> {
    reader: &'a dyn Reader,
    reads: Mutex<BTreeSet<ReadKey>>,
}

impl<'a> Tracked<'a> {
    /// Nothing read yet.
    pub fn new(reader: &'a dyn Reader) -> Self {
        Self { reader, reads: Mutex::default() }
    }

    /// Everything that was asked for, each once, sorted. An object that was missing is listed too: its creation is
    /// the change to wait for.
    pub fn reads(self) -> Vec<ReadKey> {
        self.reads.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect()
    }

    fn note(&self, key: ReadKey) {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
    }
}

#[async_trait]
impl Reader for Tracked<'_> {
    async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, Vec<u8>>>, ReadError> {
        self.note(ReadKey::secret(namespace, name));
        self.reader.secret(namespace, name).await
    }

    fn may_read_secrets(&self, namespace: &str) -> bool {
        self.reader.may_read_secrets(namespace)
    }

    async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        self.note(ReadKey::config_map(namespace, name));
        self.reader.config_map(namespace, name).await
    }

    async fn trigger_authentication(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<TriggerAuthentication>, ReadError> {
        self.note(ReadKey::namespaced("TriggerAuthentication", namespace, name));
        self.reader.trigger_authentication(namespace, name).await
    }

    async fn cluster_trigger_authentication(
        &self,
        name: &str,
    ) -> Result<Option<ClusterTriggerAuthentication>, ReadError> {
        self.note(ReadKey::cluster("ClusterTriggerAuthentication", name));
        self.reader.cluster_trigger_authentication(name).await
    }

    async fn pod_template(
        &self,
        target: &GroupVersionKindResource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<PodTemplateSpec>, ReadError> {
        self.note(ReadKey::namespaced(&target.kind, namespace, name));
        self.reader.pod_template(target, namespace, name).await
    }

    /// Passed on only: pods come and go without anybody changing a credential.
    async fn pods(&self, namespace: &str, selector: &str) -> Result<Vec<Pod>, ReadError> {
        self.reader.pods(namespace, selector).await
    }

    async fn service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        self.note(ReadKey::namespaced("ServiceAccount", namespace, name));
        self.reader.service_account(namespace, name).await
    }

    async fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
        audience: Option<&str>,
        lifetime: Duration,
    ) -> Result<Option<Secret>, ReadError> {
        self.note(ReadKey::namespaced("ServiceAccount", namespace, name));
        self.reader.service_account_token(namespace, name, audience, lifetime).await
    }
}
