//! What is scaled: the reference in a spec and the resolved form in a status.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The object to scale, in the ScaledObject's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleTarget {
    /// Name of the object.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Group and version of the object. Default `apps/v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the object, which must have a scale subresource. Default `Deployment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Container whose environment triggers read. Default: the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_source_container_name: Option<String>,
}

/// A resolved type: group, version and kind, and the resource (the plural in URLs) that serves it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct GroupVersionKindResource {
    /// API group, empty for the core group.
    pub group: String,
    /// Version in the group.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Resource, lower case and plural.
    pub resource: String,
}

impl GroupVersionKindResource {
    /// `group/version`, or `version` alone in the core group: what `apiVersion` says in an object.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `group/version.Kind`, as `status.scaleTargetKind` and events write it. The slash stays in the core group.
    pub fn gvk_string(&self) -> String {
        format!("{}/{}.{}", self.group, self.version, self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_grouped_and_core_types() {
        let deployment = GroupVersionKindResource {
            group: "apps".into(),
            version: "v1".into(),
            kind: "Deployment".into(),
            resource: "deployments".into(),
        };
        assert_eq!(deployment.api_version(), "apps/v1");
        assert_eq!(deployment.gvk_string(), "apps/v1.Deployment");
        let pod = GroupVersionKindResource { group: String::new(), kind: "Pod".into(), ..deployment };
        assert_eq!(pod.api_version(), "v1");
        assert_eq!(pod.gvk_string(), "/v1.Pod");
    }
}
