//! The Kubernetes API of keda-rs: custom resources, external metrics, quantities, durations, conditions. No I/O.
//!
//! The six kinds carry upstream's field names, defaults and checks, so every stored object and every manifest means the
//! same here. A type keeps what it reads: an unset member stays unset, and a word that this version does not know (see
//! `open_enum`) is carried along instead of making the whole list unreadable.

#![expect(
    clippy::duplicated_attributes,
    reason = "the lint takes the keys of kube's printer columns for attributes"
)]

#[macro_use]
mod open_enum;

pub mod cloud_event_source;
mod condition;
pub mod crds;
mod duration;
pub mod external_metrics;
pub mod keys;
mod quantity;
mod scaled_job;
mod scaled_object;
mod schema;
mod target;
mod trigger;
pub mod trigger_authentication;

pub use cloud_event_source::{CloudEventSource, ClusterCloudEventSource};
pub use condition::{Condition, ConditionStatus, Conditions};
pub use duration::{GoDuration, ParseDurationError};
pub use quantity::{ParseQuantityError, Quantity};
pub use scaled_job::{
    JobTargetRef, MultipleScalersCalculation, PodTemplate, PropagationPolicy, Rollout, RolloutStrategy,
    ScaledJob, ScaledJobSpec, ScaledJobStatus, ScalingStrategy, ScalingStrategyName,
};
pub use scaled_object::{
    Advanced, Fallback, FallbackBehavior, HealthState, HealthStatus, HorizontalPodAutoscalerConfig,
    ModifierMetricType, ScaledObject, ScaledObjectSpec, ScaledObjectStatus, ScalingModifiers,
};
pub use target::{GroupVersionKindResource, ScaleTarget};
pub use trigger::{AuthenticationRef, ScaleTrigger, TriggerActivity};
pub use trigger_authentication::{
    ClusterTriggerAuthentication, TriggerAuthentication, TriggerAuthenticationSpec,
    TriggerAuthenticationStatus,
};
