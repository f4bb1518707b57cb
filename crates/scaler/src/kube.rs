//! What triggers and their authentication may read from the cluster.
//!
//! Reads are on demand: single objects by name, pods by label, tokens of ServiceAccounts; nothing here watches. The operator implements [`Reader`] on its
//! client, tests implement it on a map.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use keda_api::{ClusterTriggerAuthentication, GroupVersionKindResource, TriggerAuthentication};

use crate::Secret;

/// Reads objects. `Ok(None)` means that the object does not exist; every other failure is a [`ReadError`].
#[async_trait]
pub trait Reader: Send + Sync {
    /// The data of a Secret, decoded from base64.
    async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, Vec<u8>>>, ReadError>;

    /// Whether Secrets of a namespace may be read at all. The environment of containers leaves those out that may not;
    /// whoever names one outright is told.
    fn may_read_secrets(&self, namespace: &str) -> bool {
        let _ = namespace;
        true
    }

    /// The `data` of a ConfigMap.
    async fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ReadError>;

    /// A TriggerAuthentication.
    async fn trigger_authentication(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<TriggerAuthentication>, ReadError>;

    /// A ClusterTriggerAuthentication.
    async fn cluster_trigger_authentication(
        &self,
        name: &str,
    ) -> Result<Option<ClusterTriggerAuthentication>, ReadError>;

    /// `spec.template` of a scale target of any kind. `Ok(None)` if the object does not exist or has no pod template.
    async fn pod_template(
        &self,
        target: &GroupVersionKindResource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<PodTemplateSpec>, ReadError>;

    /// The pods of a namespace that a label selector (in the syntax of `kubectl --selector`) picks, in any phase.
    ///
    /// # Errors
    /// Readers of single objects only, which is what they are unless they say otherwise, know no pods.
    async fn pods(&self, namespace: &str, selector: &str) -> Result<Vec<Pod>, ReadError> {
        let _ = selector;
        Err(ReadError::permanent(format!("pods of namespace {namespace:?} cannot be listed here")))
    }

    /// The annotations of a ServiceAccount.
    ///
    /// # Errors
    /// Readers know no ServiceAccounts unless they say otherwise.
    async fn service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        Err(ReadError::permanent(format!("ServiceAccount {namespace}/{name} cannot be read here")))
    }

    /// A new token of a ServiceAccount (TokenRequest), for an audience (without one: the API server's own) and a time,
    /// which the API server may shorten. `Ok(None)` means that the ServiceAccount does not exist.
    ///
    /// # Errors
    /// As [`Reader::service_account`].
    async fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
        audience: Option<&str>,
        lifetime: Duration,
    ) -> Result<Option<Secret>, ReadError> {
        let (_, _) = (audience, lifetime);
        Err(ReadError::permanent(format!("no token of ServiceAccount {namespace}/{name} can be had here")))
    }
}

/// What is read of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// `status.phase`: `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`; empty before its first status.
    pub phase: String,
    /// `spec.nodeName`; empty before it is scheduled.
    pub node: String,
    /// Whether its condition `Ready` is True.
    pub ready: bool,
}

/// A read that failed for another reason than absence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadError {
    /// What was read and why it failed, e.g. `secrets "db" is forbidden: ...`.
    pub message: String,
    /// Whether trying again later can succeed (the API server was away), as opposed to a missing permission.
    pub temporary: bool,
}

impl ReadError {
    /// A failure that may pass by itself.
    pub fn temporary(message: impl Into<String>) -> Self {
        Self { message: message.into(), temporary: true }
    }

    /// A failure that needs somebody to act.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), temporary: false }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

/// A cluster without any object, for triggers that never read one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

#[async_trait]
impl Reader for Nothing {
    async fn secret(&self, _: &str, _: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, ReadError> {
        Ok(None)
    }

    async fn config_map(&self, _: &str, _: &str) -> Result<Option<BTreeMap<String, String>>, ReadError> {
        Ok(None)
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

    async fn pods(&self, _: &str, _: &str) -> Result<Vec<Pod>, ReadError> {
        Ok(Vec::new())
    }
}
