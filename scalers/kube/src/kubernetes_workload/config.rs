//! The parameters of `kubernetes-workload` (core.md 9.3).

use keda_scaler::TriggerConfig;

/// What a manifest says about a `kubernetes-workload` trigger.
#[derive(Debug, TriggerConfig)]
pub struct Config {
    /// Which pods of the object's namespace count: a label selector, set-based ones (`app in (a, b)`) too.
    #[param(from(metadata))]
    pub pod_selector: String,

    /// Pods for one replica.
    #[param(from(metadata), default = 0)]
    pub value: f64,

    /// The trigger is active while there are more pods than this.
    #[param(from(metadata), default = 0)]
    pub activation_value: f64,

    /// Count the nodes that the pods run on, not the pods.
    #[param(from(metadata), default = false)]
    pub group_by_node: bool,
}
