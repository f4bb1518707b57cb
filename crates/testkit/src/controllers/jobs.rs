//! Jobs: each gets one pod, which takes its time to start, runs, and ends well or not.

use std::{collections::HashSet, pin::pin};

use futures::{StreamExt, stream::FuturesUnordered};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};

use super::JobLife;

/// A Job with this annotation, whatever its value, fails.
pub const FAILS: &str = "testkit/fails";

/// Follows every Job, for ever.
pub(super) async fn follow(client: Client, life: JobLife) {
    let all: Api<Job> = Api::all(client.clone());
    let changes = watcher(all, watcher::Config::default()).default_backoff().applied_objects();
    let mut changes = pin!(changes);
    let mut living = FuturesUnordered::new();
    let mut known: HashSet<String> = HashSet::new();
    loop {
        tokio::select! {
            Some(change) = changes.next() => {
                let Ok(job) = change else { continue };
                if known.insert(job.uid().unwrap_or_default()) && job.metadata.deletion_timestamp.is_none() {
                    living.push(live(client.clone(), job, life.clone()));
                }
            }
            Some(()) = living.next() => {}
        }
    }
}

/// A Job from its creation to its end, or until it is gone.
async fn live(client: Client, job: Job, life: JobLife) {
    if let Err(error) = lived(&client, &job, &life).await {
        // It was deleted: what belonged to it goes with it.
        tracing::debug!(namespace = job.namespace(), name = job.name_any(), %error, "the Job ended early");
    }
}

async fn lived(client: &Client, job: &Job, life: &JobLife) -> kube::Result<()> {
    let namespace = job.namespace().unwrap_or_default();
    let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let fails = job.annotations().contains_key(FAILS);
    let status = async |status: Value| -> kube::Result<Job> {
        let patch = json!({ "metadata": { "uid": job.uid() }, "status": status });
        jobs.patch_status(&job.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await
    };

    let now = || json!(life.clock.now().to_string());

    status(json!({ "startTime": now(), "active": 1, "ready": 0 })).await?;
    let pod = pods.create(&PostParams::default(), &pod(job)?).await?;
    let show = async |status: Value| -> kube::Result<Pod> {
        let patch = json!({ "metadata": { "uid": pod.uid() }, "status": status });
        pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await
    };
    show(json!({ "phase": "Pending", "conditions": [{ "type": "PodScheduled", "status": "True" }] })).await?;

    tokio::time::sleep(life.start).await;
    show(json!({ "phase": "Running", "conditions": [
        { "type": "PodScheduled", "status": "True" }, { "type": "Ready", "status": "True" },
    ] }))
    .await?;
    status(json!({ "ready": 1 })).await?;
    let Some(run) = life.run else { return Ok(()) };

    tokio::time::sleep(run).await;
    show(json!({ "phase": if fails { "Failed" } else { "Succeeded" }, "conditions": null })).await?;
    let end = now();
    let condition = |kind: &str| json!([{ "type": kind, "status": "True", "lastTransitionTime": end }]);
    let end = if fails {
        json!({ "active": null, "ready": 0, "failed": 1, "conditions": condition("Failed") })
    } else {
        json!({ "active": null, "ready": 0, "succeeded": 1, "completionTime": end, "conditions": condition("Complete") })
    };
    status(end).await?;
    Ok(())
}

/// The pod of a Job.
fn pod(job: &Job) -> kube::Result<Pod> {
    let template = serde_json::to_value(job).map_err(kube::Error::SerdeError)?["spec"]["template"].take();
    let name = job.name_any();
    let mut labels = template["metadata"]["labels"].clone();
    if !labels.is_object() {
        labels = json!({});
    }
    labels["job-name"] = json!(name);
    labels["batch.kubernetes.io/job-name"] = json!(name);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "spec": template["spec"],
        "metadata": {
            "generateName": format!("{name}-"), "labels": labels,
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": [{ "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job.uid(),
                "controller": true, "blockOwnerDeletion": true }],
        },
    });
    serde_json::from_value(pod).map_err(kube::Error::SerdeError)
}
