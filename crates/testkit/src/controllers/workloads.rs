//! Deployments and StatefulSets: a while after the spec asks for replicas, the status has them.

use std::{collections::HashSet, fmt::Debug, pin::pin, time::Duration};

use futures::{
    StreamExt,
    stream::{self, FuturesUnordered},
};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::Pod,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::NamespaceResourceScope,
    runtime::{WatchStreamExt, watcher},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::Rollout;

/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// A kind with replicas.
pub(super) trait Workload:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// `status.readyReplicas` and friends, as this kind writes them when all is well.
    fn status(replicas: i64, generation: i64) -> Value;
}

impl Workload for Deployment {
    fn status(replicas: i64, generation: i64) -> Value {
        // Go leaves zeros out here, so they must be removed.
        let count = if replicas == 0 { Value::Null } else { json!(replicas) };
        json!({"observedGeneration": generation, "replicas": count, "updatedReplicas": count,
            "readyReplicas": count, "availableReplicas": count})
    }
}

impl Workload for StatefulSet {
    fn status(replicas: i64, generation: i64) -> Value {
        let count = if replicas == 0 { Value::Null } else { json!(replicas) };
        json!({"observedGeneration": generation, "replicas": replicas, "availableReplicas": replicas,
            "updatedReplicas": count, "readyReplicas": count, "currentReplicas": count})
    }
}

type Key = (String, String);

/// Follows every workload of a kind, for ever.
pub(super) async fn follow<K: Workload>(client: Client, rollout: Rollout) {
    let all: Api<K> = Api::all(client.clone());
    let changes = watcher(all, watcher::Config::default()).default_backoff().applied_objects();
    let mut changes = pin!(changes);
    let pods = rollout.pods.then(|| watcher(Api::<Pod>::all(client.clone()), watcher::Config::default()));
    let mut pods = pin!(stream::iter(pods).flatten().default_backoff());
    let mut due = FuturesUnordered::new();
    let mut waiting: HashSet<Key> = HashSet::new();
    let after = |delay: Duration, key: Key| async move {
        tokio::time::sleep(delay).await;
        key
    };
    loop {
        tokio::select! {
            Some(change) = changes.next() => {
                // The watch recovers by itself; what it missed it lists.
                let Ok(workload) = change else { continue };
                let key = (workload.namespace().unwrap_or_default(), workload.name_any());
                if !is_settled(&workload) && waiting.insert(key.clone()) {
                    due.push(after(rollout.delay, key));
                }
            }
            Some(event) = pods.next() => {
                // A pod that somebody deletes is replaced.
                let Ok(watcher::Event::Delete(pod)) = event else { continue };
                let Some(key) = owner_of::<K>(&pod) else { continue };
                if waiting.insert(key.clone()) {
                    due.push(after(rollout.delay, key));
                }
            }
            Some(key) = due.next() => {
                waiting.remove(&key);
                if let Err(error) = settle::<K>(&client, &key, &rollout).await {
                    tracing::debug!(kind = %K::kind(&()), namespace = key.0, name = key.1, %error, "not rolled out yet");
                    if waiting.insert(key.clone()) {
                        due.push(after(RETRY, key));
                    }
                }
            }
        }
    }
}

/// The workload of this kind that made a pod.
fn owner_of<K: Workload>(pod: &Pod) -> Option<Key> {
    let owner = pod.owner_references().iter().find(|owner| owner.kind == K::kind(&()))?;
    Some((pod.namespace().unwrap_or_default(), owner.name.clone()))
}

/// The status that the workload is to have.
fn wanted<K: Workload>(workload: &Value) -> (i64, Value) {
    let replicas = workload["spec"]["replicas"].as_i64().unwrap_or(1);
    let generation = workload["metadata"]["generation"].as_i64().unwrap_or(0);
    (replicas, K::status(replicas, generation))
}

fn is_settled<K: Workload>(workload: &K) -> bool {
    let Ok(workload) = serde_json::to_value(workload) else { return true };
    let (_, status) = wanted::<K>(&workload);
    status.as_object().into_iter().flatten().all(|(name, value)| {
        let found = &workload["status"][name];
        // Zero and absent are the same.
        found == value || (value.is_null() && found == 0) || (value == 0 && found.is_null())
    })
}

async fn settle<K: Workload>(
    client: &Client,
    (namespace, name): &Key,
    rollout: &Rollout,
) -> kube::Result<()> {
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let Some(workload) = api.get_opt(name).await? else { return Ok(()) };
    let settled = is_settled(&workload);
    let workload = serde_json::to_value(&workload).map_err(kube::Error::SerdeError)?;
    let (replicas, mut status) = wanted::<K>(&workload);
    if rollout.pods {
        let owner = json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()), "name": name,
            "uid": workload["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true});
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        roll(&pods, &workload, &owner, usize::try_from(replicas).unwrap_or(0)).await?;
    }
    if settled {
        return Ok(());
    }
    if workload["status"]["conditions"].is_null() && K::kind(&()) == "Deployment" {
        status["conditions"] = json!([{"type": "Available", "status": "True",
            "reason": "MinimumReplicasAvailable", "message": "Deployment has minimum availability."}]);
    }
    let patch = json!({"status": status});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(())
}

/// Creates or deletes pods until there are as many as wanted.
async fn roll(pods: &Api<Pod>, workload: &Value, owner: &Value, wanted: usize) -> kube::Result<()> {
    let owned =
        |pod: &Pod| pod.owner_references().iter().any(|reference| owner["uid"] == reference.uid.as_str());
    let mut names: Vec<String> = pods
        .list(&ListParams::default())
        .await?
        .items
        .iter()
        .filter(|pod| owned(pod))
        .map(Pod::name_any)
        .collect();
    while names.len() > wanted {
        if let Some(name) = names.pop() {
            pods.delete(&name, &DeleteParams::default()).await?;
        }
    }
    for _ in names.len()..wanted {
        let template = &workload["spec"]["template"];
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": template["spec"], "metadata": {
            "generateName": format!("{}-", workload["metadata"]["name"].as_str().unwrap_or_default()),
            "labels": template["metadata"]["labels"], "annotations": template["metadata"]["annotations"],
            "ownerReferences": [owner]}});
        let pod: Pod = serde_json::from_value(pod).map_err(kube::Error::SerdeError)?;
        let made = pods.create(&PostParams::default(), &pod).await?;
        let containers = template["spec"]["containers"].as_array().into_iter().flatten();
        let started: Vec<Value> = containers
            .map(|container| {
                json!({"name": container["name"], "image": container["image"], "imageID": "", "ready": true,
                    "started": true, "restartCount": 0})
            })
            .collect();
        let ready = json!({"status": {"phase": "Running", "containerStatuses": started, "conditions": [
            {"type": "Ready", "status": "True"}, {"type": "ContainersReady", "status": "True"}]}});
        pods.patch_status(&made.name_any(), &PatchParams::default(), &Patch::Merge(&ready)).await?;
    }
    Ok(())
}
