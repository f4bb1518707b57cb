//! Label, annotation and finalizer keys that users write and other tools read. They are upstream's, letter by letter
//! (`apis/keda/v1alpha1/*_types.go`).

/// The finalizer on every kind of ours.
pub const FINALIZER: &str = "finalizer.keda.sh";

/// ScaledObject annotation: its presence pauses, its value is the replica count to hold.
pub const PAUSED_REPLICAS: &str = "autoscaling.keda.sh/paused-replicas";
/// ScaledObject and ScaledJob annotation: pause. A boolean; text that is none counts as true.
pub const PAUSED: &str = "autoscaling.keda.sh/paused";
/// ScaledObject annotation: never scale in. Boolean as [`PAUSED`].
pub const PAUSED_SCALE_IN: &str = "autoscaling.keda.sh/paused-scale-in";
/// ScaledObject annotation: never scale out. Boolean as [`PAUSED`].
pub const PAUSED_SCALE_OUT: &str = "autoscaling.keda.sh/paused-scale-out";
/// ScaledObject annotation: treat as active whatever the triggers say. Boolean as [`PAUSED`].
pub const FORCE_ACTIVATION: &str = "autoscaling.keda.sh/force-activation";

/// Label on the ScaledObject, on its HPA and in the HPA's metric selectors: the ScaledObject's name.
pub const SCALED_OBJECT_NAME: &str = "scaledobject.keda.sh/name";
/// ScaledObject annotation, exactly `true`: take over an existing HPA.
pub const TRANSFER_HPA_OWNERSHIP: &str = "scaledobject.keda.sh/transfer-hpa-ownership";
/// ScaledObject annotation: comma-separated label keys that are not copied to the HPA.
pub const HPA_EXCLUDED_LABELS: &str = "scaledobject.keda.sh/hpa-excluded-labels";
/// Annotation, exactly `false`: leave this HPA out of the ownership check.
pub const HPA_OWNERSHIP: &str = "validations.keda.sh/hpa-ownership";

/// Label on a Job and on its pod template: the ScaledJob's name.
pub const SCALED_JOB_NAME: &str = "scaledjob.keda.sh/name";
/// Job annotation: the ScaledJob's generation when the Job was made.
pub const SCALED_JOB_GENERATION: &str = "scaledjob.keda.sh/generation";
/// ScaledJob annotation: comma-separated label keys that are not copied to the Job.
pub const JOB_EXCLUDED_LABELS: &str = "scaledjob.keda.sh/job-excluded-labels";

/// ServiceAccount annotation of Amazon EKS: the role to assume.
pub const EKS_ROLE_ARN: &str = "eks.amazonaws.com/role-arn";
