//! The parameters of `kubernetes-resource` (core.md 9.4).

use keda_scaler::{TriggerConfig, Words};

/// What a manifest says about a `kubernetes-resource` trigger.
#[derive(Debug, TriggerConfig)]
pub struct Config {
    /// Kind of the object that holds the number.
    #[param(from(metadata))]
    pub resource_kind: ResourceKind,

    /// Its name, in the ScaledObject's namespace.
    #[param(from(metadata))]
    pub resource_name: String,

    /// The entry of its `data`.
    #[param(from(metadata))]
    pub key: String,

    /// How the entry is written.
    #[param(from(metadata), default = "number")]
    pub format: Format,

    /// Where in a JSON or YAML entry the number stands, e.g. `queues.0.length`.
    #[param(from(metadata))]
    pub value_location: Option<String>,

    /// How the number is read: any number, a whole one, or a Kubernetes quantity such as `1500m`.
    #[param(from(metadata), default = "float64")]
    pub value_type: ValueType,

    /// What one replica should carry.
    #[param(from(metadata))]
    pub target_value: f64,

    /// The trigger is active while the number is above this.
    #[param(from(metadata), default = 0)]
    pub activation_target_value: f64,
}

/// Kinds that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Words)]
pub enum ResourceKind {
    /// A ConfigMap.
    #[word("ConfigMap")]
    ConfigMap,
    /// A Secret.
    #[word("Secret")]
    Secret,
}

/// How an entry is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Words)]
pub enum Format {
    /// The number alone.
    Number,
    /// A JSON document.
    Json,
    /// A YAML mapping.
    Yaml,
}

/// How a number is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Words)]
pub enum ValueType {
    /// Any number.
    Float64,
    /// Whole numbers, decimals cut off.
    Int64,
    /// A Kubernetes quantity.
    Quantity,
}
