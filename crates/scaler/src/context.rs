//! What a trigger is told about the object it belongs to, and the raw parameters it was given.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::destinations::Destinations;
use crate::{PodIdentity, Secret};

/// Where a trigger stands: its object, its place in it, and the settings that apply to it (core.md 7.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Zero-based position in `spec.triggers`; becomes the `s<index>-` prefix of metric names.
    pub index: usize,
    /// The trigger's `name`, if it has one.
    pub trigger_name: Option<String>,
    /// The trigger's `metricType` as written: `AverageValue`, `Value` or `Utilization`; none means `AverageValue`.
    pub metric_type: Option<String>,
    /// The trigger's `useCachedMetrics`.
    pub use_cached_metrics: bool,
    /// `ScaledObject` or `ScaledJob`.
    pub object_kind: String,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub object_name: String,
    /// Deadline of one HTTP call where the trigger names none (`KEDA_HTTP_DEFAULT_TIMEOUT`).
    pub http_timeout: Duration,
    /// The trigger feeds a scaling-modifiers formula: its own target is not shown to the HPA and may be anything.
    pub as_metric_source: bool,
    /// The identity that the trigger's authentication asks for.
    pub pod_identity: PodIdentity,
    /// Where its credentials may be sent.
    pub destinations: Destinations,
}

impl Default for Context {
    /// A nameless ScaledObject's first trigger under upstream's defaults.
    fn default() -> Self {
        Self {
            index: 0,
            trigger_name: None,
            metric_type: None,
            use_cached_metrics: false,
            object_kind: "ScaledObject".to_owned(),
            namespace: String::new(),
            object_name: String::new(),
            http_timeout: crate::http::DEFAULT_TIMEOUT,
            as_metric_source: false,
            pod_identity: PodIdentity::default(),
            destinations: Destinations::default(),
        }
    }
}

/// The raw texts a trigger is configured from, by source (core.md 7.2). Values are untrimmed, as found.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    /// `spec.triggers[].metadata`.
    pub metadata: BTreeMap<String, String>,
    /// What the trigger's authentication resolved to.
    pub auth: BTreeMap<String, Secret>,
    /// The resolved environment of the target's container, which `<name>FromEnv` entries point into.
    pub env: BTreeMap<String, String>,
}

/// Shows the metadata, and of authentication and environment only the names: their values may be secrets.
impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters")
            .field("metadata", &self.metadata)
            .field("auth", &self.auth.keys())
            .field("env", &self.env.keys())
            .finish()
    }
}
