//! Kinds by name, as scenarios write them.

use kube::{api::ApiResource, core::GroupVersionKind};
use serde_json::Value;

/// The kinds whose objects the history follows.
pub(crate) const WATCHED: [&str; 7] =
    ["Deployment", "StatefulSet", "ScaledObject", "HorizontalPodAutoscaler", "Event", "ScaledJob", "Job"];

const DEFAULT_NAMESPACE: &str = "default";

/// A kind by its name. Kinds that are not listed are custom ones of the group `example.com`.
pub(crate) fn resource(kind: &str) -> ApiResource {
    let (group, version) = match kind {
        "Deployment" | "StatefulSet" => ("apps", "v1"),
        "Job" => ("batch", "v1"),
        "HorizontalPodAutoscaler" => ("autoscaling", "v2"),
        "Event" => ("events.k8s.io", "v1"),
        "ScaledObject" | "ScaledJob" | "TriggerAuthentication" | "ClusterTriggerAuthentication" => {
            ("keda.sh", "v1alpha1")
        }
        "CloudEventSource" | "ClusterCloudEventSource" => ("eventing.keda.sh", "v1alpha1"),
        "Secret" | "ConfigMap" | "Namespace" | "Pod" => ("", "v1"),
        "CustomResourceDefinition" => ("apiextensions.k8s.io", "v1"),
        _ => ("example.com", "v1"),
    };
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// One object: `ScaledObject/web`, or `ScaledObject/shop/web` outside the namespace `default`.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub resource: ApiResource,
    pub namespaced: bool,
    pub namespace: String,
    pub name: String,
}

impl Reference {
    pub(crate) fn parse(text: &str) -> Self {
        let mut parts: Vec<&str> = text.split('/').collect();
        if parts.len() == 2 {
            parts.insert(1, DEFAULT_NAMESPACE);
        }
        let [kind, namespace, name] = parts[..] else {
            panic!("{text:?} names no object, write Kind/name or Kind/namespace/name");
        };
        Self::new(resource(kind), namespace, name)
    }

    pub(crate) fn of(manifest: &Value) -> Self {
        let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("/apiVersion"), text("/kind"));
        assert!(!kind.is_empty(), "a manifest without kind: {manifest}");
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let namespace = manifest.pointer("/metadata/namespace").and_then(Value::as_str);
        Self::new(resource, namespace.unwrap_or(DEFAULT_NAMESPACE), text("/metadata/name"))
    }

    fn new(resource: ApiResource, namespace: &str, name: &str) -> Self {
        let clustered = [
            "ClusterTriggerAuthentication",
            "ClusterCloudEventSource",
            "Namespace",
            "CustomResourceDefinition",
        ];
        Reference {
            namespaced: !clustered.contains(&resource.kind.as_str()),
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Namespace and name, as the history has them.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}
