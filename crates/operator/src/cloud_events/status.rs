//! What is written on a CloudEventSource: the condition `Active`, and nothing at its end.
//!
//! Upstream puts its finalizer on both kinds, only to stop sending. Here a source that is gone is not sent to; its finalizer
//! is taken away where an upstream left one, so that nothing waits for it.

use keda_api::{
    CloudEventSource, ClusterCloudEventSource, Condition, Conditions,
    cloud_event_source::{CloudEventSourceSpec, CloudEventSourceStatus},
    keys,
};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    cluster::{is_conflict, is_not_found, retry},
    index::ObjectKey,
};

/// A source as its object declares it, whichever of the two kinds that is.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// Of the cluster's kind.
    pub(crate) clustered: bool,
    pub(crate) key: ObjectKey,
    pub(crate) uid: String,
    pub(crate) generation: Option<i64>,
    pub(crate) spec: CloudEventSourceSpec,
    pub(crate) active: Option<Condition>,
    pub(crate) deleting: bool,
    finalizers: Vec<String>,
    version: Option<String>,
}

impl From<CloudEventSource> for Declared {
    fn from(object: CloudEventSource) -> Self {
        let key = ObjectKey::of(&object);
        Declared::new(false, key, object.metadata, object.spec, object.status)
    }
}

impl From<ClusterCloudEventSource> for Declared {
    fn from(object: ClusterCloudEventSource) -> Self {
        let key = ObjectKey::new("", &object.name_any());
        Declared::new(true, key, object.metadata, object.spec.0, object.status)
    }
}

impl Declared {
    fn new(
        clustered: bool,
        key: ObjectKey,
        metadata: kube::api::ObjectMeta,
        spec: CloudEventSourceSpec,
        status: Option<CloudEventSourceStatus>,
    ) -> Self {
        let conditions = status.and_then(|status| status.conditions);
        Declared {
            clustered,
            key,
            uid: metadata.uid.unwrap_or_default(),
            generation: metadata.generation,
            spec,
            active: conditions.and_then(|conditions| conditions.get(Condition::ACTIVE).cloned()),
            deleting: metadata.deletion_timestamp.is_some(),
            finalizers: metadata.finalizers.unwrap_or_default(),
            version: metadata.resource_version,
        }
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> &'static str {
        if self.clustered { "ClusterCloudEventSource" } else { "CloudEventSource" }
    }

    /// The namespace that its references are looked up in.
    pub(crate) fn namespace(&self) -> Option<&str> {
        (!self.clustered).then_some(self.key.namespace.as_str())
    }

    /// Whether upstream's finalizer holds it.
    pub(crate) fn is_held(&self) -> bool {
        self.deleting && self.finalizers.iter().any(|finalizer| finalizer == keys::FINALIZER)
    }
}

/// Writes the condition.
///
/// # Errors
/// The API server's.
pub(crate) async fn write(
    client: Client,
    declared: &Declared,
    active: &Condition,
) -> Result<(), kube::Error> {
    let status = CloudEventSourceStatus { conditions: Some(Conditions(vec![active.clone()])) };
    // The UID: never onto another of its name.
    let patch = json!({ "metadata": { "uid": declared.uid }, "status": status });
    if declared.clustered {
        let api: Api<ClusterCloudEventSource> = Api::all(client);
        patched(&api, &declared.key.name, patch, true).await
    } else {
        let api: Api<CloudEventSource> = Api::namespaced(client, &declared.key.namespace);
        patched(&api, &declared.key.name, patch, true).await
    }
}

/// Takes upstream's finalizer away.
///
/// # Errors
/// The API server's.
pub(crate) async fn release(client: Client, declared: &Declared) -> Result<(), kube::Error> {
    let rest: Vec<&String> =
        declared.finalizers.iter().filter(|finalizer| *finalizer != keys::FINALIZER).collect();
    let patch = json!({ "metadata": { "finalizers": rest, "resourceVersion": declared.version } });
    if declared.clustered {
        patched(&Api::<ClusterCloudEventSource>::all(client), &declared.key.name, patch, false).await
    } else {
        let api: Api<CloudEventSource> = Api::namespaced(client, &declared.key.namespace);
        patched(&api, &declared.key.name, patch, false).await
    }
}

async fn patched<K>(api: &Api<K>, name: &str, patch: Value, status: bool) -> Result<(), kube::Error>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
    let written = if status {
        retry(|| api.patch_status(name, &parameters, &patch)).await
    } else {
        retry(|| api.patch(name, &parameters, &patch)).await
    };
    match written {
        Ok(_) => Ok(()),
        // Gone, or changed by somebody else: the watch reports what it is now.
        Err(error) if is_not_found(&error) || is_conflict(&error) => Ok(()),
        Err(error) => Err(error),
    }
}
