//! The ScaledObjects and their Deployments, and knowing when all of them are Ready with an HPA.
//!
//! The Deployments have one replica and the load wants one: nothing has to scale, and no pod ever exists, since the
//! Deployment controller does not run.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, core::v1::Namespace};
use keda_api::{Condition, ScaledObject};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ObjectMeta, PostParams},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use serde_json::json;
use tokio::time::Instant;

use crate::source::Source;

/// Where all of them live.
pub(crate) const NAMESPACE: &str = "bench";

/// Objects that are created at the same time.
const CONCURRENCY: usize = 16;

/// The ScaledObject's name.
pub(crate) fn name(index: usize) -> String {
    format!("app-{index:04}")
}

/// The objects of one measurement.
pub(crate) struct Fleet {
    client: Client,
    count: usize,
    /// ScaledObjects that are Ready, and HPAs that exist: names.
    ready: Arc<Mutex<HashSet<String>>>,
    scaled: Arc<Mutex<HashSet<String>>>,
}

impl Fleet {
    /// Nothing is there yet; from now on it is watched.
    pub(crate) fn watch(client: Client, count: usize) -> Self {
        let ready = follow(Api::namespaced(client.clone(), NAMESPACE), |object: &ScaledObject| {
            let conditions = object.status.as_ref().and_then(|status| status.conditions.as_ref());
            conditions.is_some_and(|conditions| conditions.is_true(Condition::READY))
        });
        let scaled = follow(Api::namespaced(client.clone(), NAMESPACE), |_: &HorizontalPodAutoscaler| true);
        Self { client, count, ready, scaled }
    }

    /// Creates everything and says how long that took.
    pub(crate) async fn create(&self, source: &Source, interval: i32) -> Result<Duration> {
        let began = Instant::now();
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(NAMESPACE.to_owned()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        Api::<Namespace>::all(self.client.clone()).create(&PostParams::default(), &namespace).await?;
        let deployments = Api::<Deployment>::namespaced(self.client.clone(), NAMESPACE);
        let scaled_objects = Api::<ScaledObject>::namespaced(self.client.clone(), NAMESPACE);
        stream::iter((0..self.count).map(Ok::<_, anyhow::Error>))
            .try_for_each_concurrent(CONCURRENCY, |index| {
                let (deployments, scaled_objects) = (deployments.clone(), scaled_objects.clone());
                async move {
                    deployments.create(&PostParams::default(), &deployment(&name(index))?).await?;
                    let object = scaled_object(&name(index), &source.url, interval)?;
                    scaled_objects.create(&PostParams::default(), &object).await?;
                    Ok(())
                }
            })
            .await?;
        Ok(began.elapsed())
    }

    /// Waits until every ScaledObject is Ready and has its HPA.
    pub(crate) async fn all_ready(&self, patience: Duration) -> Result<()> {
        let reached = async {
            while size(&self.ready) < self.count || size(&self.scaled) < self.count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let seen = || format!("{} are Ready, {} have an HPA", size(&self.ready), size(&self.scaled));
        tokio::time::timeout(patience, reached).await.with_context(seen)
    }

    /// Deletes the namespace, with everything in it, and says how long it took until it was gone.
    pub(crate) async fn delete(&self, patience: Duration) -> Result<Duration> {
        let began = Instant::now();
        let namespaces = Api::<Namespace>::all(self.client.clone());
        namespaces.delete(NAMESPACE, &DeleteParams::default()).await?;
        while namespaces.get_opt(NAMESPACE).await?.is_some() {
            let left = size(&self.ready);
            ensure!(began.elapsed() < patience, "{left} ScaledObjects are left after {patience:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(began.elapsed())
    }
}

fn size(names: &Mutex<HashSet<String>>) -> usize {
    names.lock().unwrap_or_else(PoisonError::into_inner).len()
}

/// The names of the objects that are as wanted, kept current by a watch.
fn follow<K>(api: Api<K>, wanted: impl Fn(&K) -> bool + Send + 'static) -> Arc<Mutex<HashSet<String>>>
where
    K: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let names = Arc::new(Mutex::new(HashSet::new()));
    let kept = Arc::clone(&names);
    tokio::spawn(async move {
        let mut events = watcher::watcher(api, watcher::Config::default()).default_backoff().boxed();
        while let Some(event) = events.next().await {
            let mut names = kept.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Ok(Event::Apply(object) | Event::InitApply(object)) if wanted(&object) => {
                    names.insert(object.name_any());
                }
                Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => {
                    names.remove(&object.name_any());
                }
                // The watch begins again by itself after an error, and after a while: the control plane is stopped before this ends.
                Ok(Event::Init | Event::InitDone) | Err(_) => {}
            }
        }
    });
    names
}

fn deployment(name: &str) -> Result<Deployment> {
    Ok(serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "main", "image": "none" }] },
            },
        },
    }))?)
}

fn scaled_object(name: &str, server: &str, interval: i32) -> Result<ScaledObject> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": { "name": name },
        "spec": {
            "scaleTargetRef": { "name": name },
            "pollingInterval": interval,
            "triggers": [{
                "type": "prometheus",
                "metadata": {
                    "serverAddress": server,
                    "query": format!("queue_length{{app=\"{name}\"}}"),
                    "threshold": "10",
                },
            }],
        },
    }))?)
}
