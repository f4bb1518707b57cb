//! A trigger as it stands in a ScaledObject or ScaledJob, and what is known about it in the status.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One trigger: which scaler, with which parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleTrigger {
    /// Type of the scaler, for instance `prometheus`.
    #[schemars(length(min = 1))]
    pub r#type: String,
    /// Name by which formulas and metrics refer to the trigger; unique in the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Parameters of the scaler. Every value is a string.
    pub metadata: BTreeMap<String, String>,
    /// Where secrets and identities come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication_ref: Option<AuthenticationRef>,
    /// How the autoscaler compares: `AverageValue` (default), `Value`, or `Utilization` for cpu and memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_type: Option<String>,
    /// Answer the autoscaler from the last poll instead of asking the source. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_cached_metrics: Option<bool>,
}

/// Points at a TriggerAuthentication in the same namespace, or at a ClusterTriggerAuthentication.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct AuthenticationRef {
    /// Name of the object.
    pub name: String,
    /// `TriggerAuthentication` (default) or `ClusterTriggerAuthentication`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["TriggerAuthentication", "ClusterTriggerAuthentication"]))]
    pub kind: Option<String>,
}

/// Whether one external metric is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = without_defaults)]
pub struct TriggerActivity {
    /// True while the metric is above its activation threshold.
    #[serde(default)]
    pub is_active: bool,
}

/// A default that serde fills in on reading is no default that the API server has to store.
fn without_defaults(schema: &mut Schema) {
    for property in
        schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
    {
        if let Some(property) = property.as_object_mut() {
            property.remove("default");
        }
    }
}
