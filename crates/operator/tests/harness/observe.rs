//! Fills the history from watches, and finds out who changed the replicas.

use std::{collections::HashSet, pin::pin};

use futures::TryStreamExt;
use keda_testkit::{ApiServer, Verb};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject},
    runtime::watcher,
};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    history::Log,
    world::{HPA, OBSERVER, OPERATOR, USER},
};

/// Follows every object of a kind until the end.
pub(crate) async fn follow(
    server: ApiServer,
    resource: ApiResource,
    began: Instant,
    log: Log,
    end: CancellationToken,
) {
    let api: Api<DynamicObject> = Api::all_with(server.client_for(OBSERVER), &resource);
    let mut changes = pin!(watcher(api, watcher::Config::default()));
    let (mut known, mut listed) = (HashSet::new(), HashSet::new());
    let see = |key: &str, object: Option<&DynamicObject>| {
        let object = object.map(|object| trimmed(object, &resource));
        let writer = || last_writer(&server, &resource, key);
        log.lock().saw(began.elapsed(), &resource.kind, key, object, writer);
    };
    loop {
        let Some(change) = end.run_until_cancelled(changes.try_next()).await else { return };
        match change {
            Ok(Some(watcher::Event::Init)) => listed.clear(),
            Ok(Some(watcher::Event::InitApply(object))) => {
                listed.insert(key(&object));
                see(&key(&object), Some(&object));
            }
            Ok(Some(watcher::Event::InitDone)) => {
                for gone in known.difference(&listed) {
                    see(gone, None);
                }
                known = std::mem::take(&mut listed);
            }
            Ok(Some(watcher::Event::Apply(object))) => {
                known.insert(key(&object));
                see(&key(&object), Some(&object));
            }
            Ok(Some(watcher::Event::Delete(object))) => {
                known.remove(&key(&object));
                see(&key(&object), None);
            }
            Ok(None) => return,
            // The observer's own watches are dropped like all others; it looks again.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
        }
    }
}

fn key(object: &DynamicObject) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

/// Without bookkeeping, which nobody asks for; with the type, which list items leave out.
fn trimmed(object: &DynamicObject, resource: &ApiResource) -> Value {
    let mut object = object.clone();
    object.metadata.managed_fields = None;
    let mut value = serde_json::to_value(&object).expect("an object is JSON");
    value["kind"] = Value::String(resource.kind.clone());
    value["apiVersion"] = Value::String(resource.api_version.clone());
    value
}

/// Who wrote the object or its `/scale` last.
fn last_writer(server: &ApiServer, resource: &ApiResource, key: &str) -> String {
    let (namespace, name) = key.split_once('/').unwrap_or_default();
    let scale = format!("{}/scale", resource.plural);
    let by = server.writes().into_iter().rev().find(|write| {
        let good = write.status.is_none_or(|status| status < 300);
        let this = write.namespace == namespace && (write.name == name || write.verb == Verb::Create);
        good && this && (write.resource == resource.plural || write.resource == scale)
    });
    match by.map(|write| write.user).unwrap_or_default().as_str() {
        OPERATOR => "operator".to_owned(),
        HPA => "hpa".to_owned(),
        USER => "user".to_owned(),
        other => other.to_owned(),
    }
}
