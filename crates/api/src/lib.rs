//! The Kubernetes API of keda-rs: custom resources, external metrics, quantities, durations, conditions. No I/O.
//!
//! The six kinds carry upstream's field names, defaults and checks, so every stored object and every manifest means the
//! same here. A type keeps what it reads: an unset member stays unset, and a word that this version does not know (see
//! [`mod@open_enum`]) is carried along instead of making the whole list unreadable.

#[macro_use]
mod open_enum;

mod condition;
pub mod keys;
mod quantity;
mod scaled_object;
mod target;
mod trigger;
pub mod trigger_authentication;

pub use condition::{Condition, ConditionStatus, Conditions};
pub use quantity::{ParseQuantityError, Quantity};
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
