//! The parts of kube-controller-manager that scaling needs, as clients of an API server (this one or another).
//!
//! Each controller is a future that runs until it is dropped or its token is cancelled. They go through the API like
//! anybody else, so a test's faults and log see them; give them a client of their own user.

mod hpa;
mod jobs;
mod workloads;

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::Clock;

pub use hpa::{Options as HpaOptions, Rescale};
pub use jobs::FAILS;

/// How workloads roll out.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// From a change of the spec until `status` shows it.
    pub delay: Duration,
    /// Whether Pod objects are created and deleted too, owned by the workload itself (there are no ReplicaSets here).
    pub pods: bool,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { delay: Duration::from_secs(1), pods: false }
    }
}

/// What becomes of Jobs. Each has one pod, whatever its parallelism.
#[derive(Clone, Debug)]
pub struct JobLife {
    /// Whose time is written into statuses.
    pub clock: Clock,
    /// From the creation of a pod until it runs.
    pub start: Duration,
    /// How long it runs; `None`: for ever.
    pub run: Option<Duration>,
}

impl Default for JobLife {
    fn default() -> Self {
        Self { clock: Clock::default(), start: Duration::from_secs(2), run: Some(Duration::from_secs(60)) }
    }
}

/// Gives Jobs pods, which start, run and end.
pub async fn jobs(client: Client, life: JobLife, shutdown: CancellationToken) {
    shutdown.run_until_cancelled_owned(Box::pin(jobs::follow(client, life))).await;
}

/// Makes the status of Deployments follow their `spec.replicas`.
pub async fn deployments(client: Client, rollout: Rollout, shutdown: CancellationToken) {
    let follow = Box::pin(workloads::follow::<Deployment>(client, rollout));
    shutdown.run_until_cancelled_owned(follow).await;
}

/// Makes the status of StatefulSets follow their `spec.replicas`.
pub async fn stateful_sets(client: Client, rollout: Rollout, shutdown: CancellationToken) {
    let follow = Box::pin(workloads::follow::<StatefulSet>(client, rollout));
    shutdown.run_until_cancelled_owned(follow).await;
}

/// Scales the targets of HorizontalPodAutoscalers by their external metrics, as the controller of Kubernetes does it
/// (`pkg/controller/podautoscaler`), with behavior, stabilization and tolerance. Other kinds of metrics are reported
/// as not available.
pub async fn horizontal_pod_autoscalers(client: Client, options: HpaOptions, shutdown: CancellationToken) {
    shutdown.run_until_cancelled_owned(Box::pin(hpa::run(client, options))).await;
}
