//! CloudEventSource and ClusterCloudEventSource: where the operator's events go as CloudEvents.

use std::ops::{Deref, DerefMut};

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AuthenticationRef, Conditions};

/// Which events go where.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "eventing.keda.sh",
    version = "v1alpha1",
    kind = "CloudEventSource",
    namespaced,
    status = "CloudEventSourceStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Sends the events of its namespace as CloudEvents.",
    printcolumn(
        name = "Active",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Active")].status"#
    )
)]
#[serde(rename_all = "camelCase")]
pub struct CloudEventSourceSpec {
    /// Name of the cluster in the events. Default: the operator's flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    /// Where they go.
    pub destination: Destination,
    /// How to authenticate there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication_ref: Option<AuthenticationRef>,
    /// Which events. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_subscription: Option<EventSubscription>,
}

/// The spec of [`CloudEventSource`], for all namespaces. A type of its own only because a kind needs one: it reads and
/// writes exactly as [`CloudEventSourceSpec`], to which it dereferences.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "eventing.keda.sh",
    version = "v1alpha1",
    kind = "ClusterCloudEventSource",
    status = "CloudEventSourceStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Sends the events of all namespaces as CloudEvents.",
    printcolumn(
        name = "Active",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Active")].status"#
    )
)]
#[serde(transparent)]
#[schemars(description = "Which events go where.")]
pub struct ClusterCloudEventSourceSpec(pub CloudEventSourceSpec);

impl Deref for ClusterCloudEventSourceSpec {
    type Target = CloudEventSourceSpec;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for ClusterCloudEventSourceSpec {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl From<CloudEventSourceSpec> for ClusterCloudEventSourceSpec {
    fn from(spec: CloudEventSourceSpec) -> Self {
        Self(spec)
    }
}

/// What is known about an event source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CloudEventSourceStatus {
    /// Conditions. Only `Active` is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Conditions>,
}

/// Where events go. HTTP wins if both are set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// An HTTP endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpDestination>,
    /// A topic of Azure Event Grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_event_grid_topic: Option<AzureEventGridTopic>,
}

/// An HTTP endpoint that takes CloudEvents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpDestination {
    /// Its URI.
    pub uri: String,
}

/// A topic of Azure Event Grid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AzureEventGridTopic {
    /// Its endpoint.
    pub endpoint: String,
}

/// Which events are sent. What is included wins over what is excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventSubscription {
    /// Only these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub included_event_types: Option<Vec<EventType>>,
    /// All but these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excluded_event_types: Option<Vec<EventType>>,
}

open_enum! {
    /// Type of a CloudEvent.
    pub enum EventType {
        /// A ScaledObject became ready.
        ScaledObjectReady = "keda.scaledobject.ready.v1",
        /// A ScaledObject failed.
        ScaledObjectFailed = "keda.scaledobject.failed.v1",
        /// A ScaledObject was removed.
        ScaledObjectRemoved = "keda.scaledobject.removed.v1",
        /// A ScaledObject was paused.
        ScaledObjectPaused = "keda.scaledobject.paused.v1",
        /// A ScaledObject was resumed.
        ScaledObjectUnpaused = "keda.scaledobject.unpaused.v1",
        /// A ScaledJob became ready.
        ScaledJobReady = "keda.scaledjob.ready.v1",
        /// A ScaledJob failed.
        ScaledJobFailed = "keda.scaledjob.failed.v1",
        /// A ScaledJob was removed.
        ScaledJobRemoved = "keda.scaledjob.removed.v1",
        /// A ScaledJob was paused.
        ScaledJobPaused = "keda.scaledjob.paused.v1",
        /// A ScaledJob was resumed.
        ScaledJobUnpaused = "keda.scaledjob.unpaused.v1",
        /// Deleting a ScaledJob's old Jobs started.
        RolloutCleanupStarted = "keda.scaledjob.rolloutcleanup.started.v1",
        /// Deleting a ScaledJob's old Jobs is done.
        RolloutCleanupCompleted = "keda.scaledjob.rolloutcleanup.completed.v1",
        /// Deleting a ScaledJob's old Jobs failed.
        RolloutCleanupFailed = "keda.scaledjob.rolloutcleanup.failed.v1",
        /// A TriggerAuthentication was made.
        TriggerAuthenticationCreated = "keda.authentication.triggerauthentication.created.v1",
        /// A TriggerAuthentication was changed.
        TriggerAuthenticationUpdated = "keda.authentication.triggerauthentication.updated.v1",
        /// A TriggerAuthentication was removed.
        TriggerAuthenticationRemoved = "keda.authentication.triggerauthentication.removed.v1",
        /// A ClusterTriggerAuthentication was made.
        ClusterTriggerAuthenticationCreated = "keda.authentication.clustertriggerauthentication.created.v1",
        /// A ClusterTriggerAuthentication was changed.
        ClusterTriggerAuthenticationUpdated = "keda.authentication.clustertriggerauthentication.updated.v1",
        /// A ClusterTriggerAuthentication was removed.
        ClusterTriggerAuthenticationRemoved = "keda.authentication.clustertriggerauthentication.removed.v1",
    }
}
