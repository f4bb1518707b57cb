//! First file of the loop: the watches that keep the [`Index`](crate::index) and wake the tasks.
//!
//! One watch a kind and namespace. Workloads and HPAs are decoded into the few fields that are used. A watch that
//! ends is restarted with backoff by `kube::runtime::watcher`; a re-list reports what vanished meanwhile.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use keda_api::{CloudEventSource, ClusterCloudEventSource, ScaledJob, ScaledObject};
use keda_cluster::follow::{Change, follow, wait};
use kube::{
    Api, Resource,
    api::{ApiResource, Object},
    core::NotUsed,
    runtime::watcher,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    authentications::{self, AuthenticationKind},
    controller::Controller,
    index::{ObjectKey, WorkloadKind},
    jobs::{self, SELECTOR, WatchedJob, WatchedPod},
};

/// The part of a workload that decides: everything else is dropped while decoding.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct WorkloadSpec {
    replicas: Option<i32>,
}

type Workload = Object<WorkloadSpec, NotUsed>;

/// How long the start waits for the sources of CloudEvents: scaling does not depend on them.
const SOURCES: Duration = Duration::from_secs(5);

/// Starts every watch; returns when the first complete list of each kind the loop depends on has been seen.
pub(crate) async fn start(controller: &Arc<Controller>, shutdown: &CancellationToken) {
    let mut synced = Vec::new();
    for namespace in controller.namespaces() {
        for kind in WorkloadKind::ALL {
            let controller = Arc::clone(controller);
            let api: Api<Workload> = match &namespace {
                Some(namespace) => {
                    Api::namespaced_with(controller.client(), namespace, &workload_resource(kind))
                }
                None => Api::all_with(controller.client(), &workload_resource(kind)),
            };
            let changes = watcher(api, watcher::Config::default());
            synced.push(follow(kind.resource(), changes, shutdown, move |change| match change {
                Change::Found(workload) | Change::Applied(workload) => {
                    let key = (kind, ObjectKey::of(&workload));
                    controller.workload_applied(key, workload.spec.replicas.unwrap_or(1));
                }
                Change::Removed(key) => controller.workload_removed(&(kind, key)),
            }));
        }
        let autoscalers = Arc::clone(controller);
        let changes = watcher(
            scoped::<HorizontalPodAutoscaler>(controller, namespace.as_deref()),
            selected(controller.scope().label_selector.as_deref()),
        );
        synced.push(follow("horizontalpodautoscalers", changes, shutdown, move |change| match change {
            Change::Found(autoscaler) | Change::Applied(autoscaler) => {
                autoscalers.autoscaler_applied(autoscaler);
            }
            Change::Removed(key) => autoscalers.autoscaler_removed(&key),
        }));
    }
    for namespace in controller.namespaces() {
        synced.extend(watch_jobs(controller, namespace.as_deref(), shutdown));
    }
    let sources = watch_event_sources(controller, shutdown);
    wait(synced).await;
    // What the first reconciles have to say finds its receivers. They may be late, or not be allowed to be watched at all.
    let _late = tokio::time::timeout(SOURCES, wait(sources)).await;

    // Objects come last, so that their first reconcile finds the workloads, HPAs and Jobs that exist already.
    let mut synced = Vec::new();
    for namespace in controller.namespaces() {
        let objects = Arc::clone(controller);
        let changes = watcher(
            scoped::<ScaledObject>(controller, namespace.as_deref()),
            selected(controller.scope().label_selector.as_deref()),
        );
        let stop = shutdown.clone();
        synced.push(follow("scaledobjects", changes, shutdown, move |change| match change {
            Change::Found(object) | Change::Applied(object) => objects.object_applied(object, &stop),
            Change::Removed(key) => objects.object_removed::<ScaledObject>(&key),
        }));
        let jobs = Arc::clone(controller);
        let changes = watcher(
            scoped::<ScaledJob>(controller, namespace.as_deref()),
            selected(controller.scope().label_selector.as_deref()),
        );
        let stop = shutdown.clone();
        synced.push(follow("scaledjobs", changes, shutdown, move |change| match change {
            Change::Found(object) | Change::Applied(object) => jobs.object_applied(object, &stop),
            Change::Removed(key) => jobs.object_removed::<ScaledJob>(&key),
        }));
        let kind = AuthenticationKind::Namespaced;
        let api = match &namespace {
            Some(namespace) => Api::namespaced_with(controller.client(), namespace, &kind.resource()),
            None => Api::all_with(controller.client(), &kind.resource()),
        };
        synced.push(watch_authentications(controller, kind, api, shutdown));
    }
    let kind = AuthenticationKind::Cluster;
    let api = Api::all_with(controller.client(), &kind.resource());
    synced.push(watch_authentications(controller, kind, api, shutdown));
    wait(synced).await;
}

/// Follows the Jobs that ScaledJobs made, and their pods. Whichever ScaledJobs are chosen by a label: Jobs carry the labels
/// of their ScaledJob only if it does not exclude them.
fn watch_jobs(
    controller: &Arc<Controller>,
    namespace: Option<&str>,
    shutdown: &CancellationToken,
) -> [watch::Receiver<bool>; 2] {
    let client = controller.client();
    let (job, pod) = (jobs::job_resource(), jobs::pod_resource());
    let (jobs, pods): (Api<WatchedJob>, Api<WatchedPod>) = match namespace {
        Some(namespace) => (
            Api::namespaced_with(client.clone(), namespace, &job),
            Api::namespaced_with(client, namespace, &pod),
        ),
        None => (Api::all_with(client.clone(), &job), Api::all_with(client, &pod)),
    };
    let known = Arc::clone(controller);
    let jobs = follow("jobs", watcher(jobs, selected(Some(SELECTOR))), shutdown, move |change| {
        let jobs = &known.index().jobs;
        match change {
            Change::Found(job) | Change::Applied(job) => jobs.job_applied(&job),
            Change::Removed(key) => jobs.job_removed(&key),
        }
    });
    let known = Arc::clone(controller);
    let pods = follow("pods", watcher(pods, selected(Some(SELECTOR))), shutdown, move |change| {
        let jobs = &known.index().jobs;
        match change {
            Change::Found(pod) | Change::Applied(pod) => jobs.pod_applied(&pod),
            Change::Removed(key) => jobs.pod_removed(&key),
        }
    });
    [jobs, pods]
}

/// Follows one kind of TriggerAuthentication: a change wakes the objects that refer to it.
fn watch_authentications(
    controller: &Arc<Controller>,
    kind: AuthenticationKind,
    api: Api<authentications::Watched>,
    shutdown: &CancellationToken,
) -> watch::Receiver<bool> {
    let config = selected(controller.scope().trigger_authentication_selector.as_deref());
    let controller = Arc::clone(controller);
    follow("triggerauthentications", watcher(api, config), shutdown, move |change| match change {
        Change::Found(object) => controller.authentication_applied(kind, &object, true),
        Change::Applied(object) => controller.authentication_applied(kind, &object, false),
        Change::Removed(key) => controller.authentication_removed(&(kind, key)),
    })
}

/// Follows both kinds of receivers of CloudEvents. No selector applies to them.
fn watch_event_sources(
    controller: &Arc<Controller>,
    shutdown: &CancellationToken,
) -> Vec<watch::Receiver<bool>> {
    let mut synced = Vec::new();
    for namespace in controller.namespaces() {
        let (controller, stop) = (Arc::clone(controller), shutdown.clone());
        let api = scoped::<CloudEventSource>(&controller, namespace.as_deref());
        let changes = watcher(api, watcher::Config::default());
        synced.push(follow("cloudeventsources", changes, shutdown, move |change| match change {
            Change::Found(object) | Change::Applied(object) => controller.event_source_applied(object, &stop),
            Change::Removed(key) => controller.event_source_removed(&key),
        }));
    }
    let (controller, stop) = (Arc::clone(controller), shutdown.clone());
    let changes =
        watcher(Api::<ClusterCloudEventSource>::all(controller.client()), watcher::Config::default());
    synced.push(follow("clustercloudeventsources", changes, shutdown, move |change| match change {
        Change::Found(object) | Change::Applied(object) => controller.event_source_applied(object, &stop),
        Change::Removed(key) => controller.event_source_removed(&key),
    }));
    synced
}

fn scoped<K>(controller: &Controller, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(controller.client(), namespace),
        None => Api::all(controller.client()),
    }
}

fn selected(selector: Option<&str>) -> watcher::Config {
    match selector {
        Some(selector) => watcher::Config::default().labels(selector),
        None => watcher::Config::default(),
    }
}

fn workload_resource(kind: WorkloadKind) -> ApiResource {
    ApiResource {
        group: "apps".into(),
        version: "v1".into(),
        api_version: "apps/v1".into(),
        kind: kind.kind().into(),
        plural: kind.resource().into(),
    }
}
