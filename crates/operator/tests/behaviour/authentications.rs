//! TriggerAuthentications: who refers to them stands in their status, and upstream's finalizer holds none of them.

use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use keda_api::TriggerAuthentication;
use serde_json::{Value, json};

use crate::harness::{OPERATOR, Setup, World, deployment, prometheus, scaled_object};

fn authentication(name: &str) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": { "name": name },
        "spec": { "secretTargetRef": [{ "parameter": "bearerToken", "name": "token", "key": "token" }] },
    })
}

fn using(name: &str, reference: &Value) -> Value {
    let mut trigger = prometheus("load");
    trigger["metadata"]["authModes"] = json!("bearer");
    trigger["authenticationRef"] = reference.clone();
    scaled_object(name, &[trigger])
}

async fn world() -> World {
    let mut world = World::new(Setup::default());
    world.start_operator().await;
    world.source.set("load", 0.0);
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "token" }, "stringData": { "token": "one-of-many" } });
    world.apply(&secret).await.unwrap();
    world
}

fn users(world: &World, name: &str) -> Option<String> {
    let authentication: TriggerAuthentication = world.server.read("default", name).unwrap();
    authentication.status.and_then(|status| status.scaledobjects)
}

fn reasons(world: &World) -> Vec<String> {
    let events: Vec<Event> = world.server.all("default");
    let about = |event: &&Event| {
        let regarding = event.regarding.as_ref();
        regarding.and_then(|about| about.kind.as_deref()) == Some("TriggerAuthentication")
    };
    events.iter().filter(about).filter_map(|event| event.reason.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_status_names_the_objects_that_refer_to_it() {
    let mut world = world().await;
    world.apply(&authentication("first")).await.unwrap();
    world.apply(&authentication("second")).await.unwrap();
    for name in ["web", "api"] {
        world.apply(&deployment(name, 0)).await.unwrap();
        world.apply(&using(name, &json!({ "name": "first" }))).await.unwrap();
    }
    world.until(Duration::from_secs(5)).await;
    assert_eq!(users(&world, "first").as_deref(), Some("api,web"));
    assert_eq!(users(&world, "second"), None);

    // A reference that moves leaves its old place, which upstream forgets (core.md §6.6); a deleted object leaves too.
    world.apply(&using("web", &json!({ "name": "second" }))).await.unwrap();
    world.until(Duration::from_secs(10)).await;
    assert_eq!(users(&world, "first").as_deref(), Some("api"));
    assert_eq!(users(&world, "second").as_deref(), Some("web"));
    world.delete("ScaledObject/api").await.unwrap();
    world.until(Duration::from_secs(15)).await;
    assert_eq!(users(&world, "first").as_deref(), Some(""));

    // A restart finds everything as it should be.
    let mark = world.server.mark();
    world.stop_operator(false).await;
    world.start_operator().await;
    world.until(Duration::from_secs(60)).await;
    let writes = world.server.writes_since(mark);
    assert!(!writes.iter().any(|write| write.resource.starts_with("triggerauthentications")), "{writes:?}");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn many_users_that_come_together_are_few_writes() {
    let mut world = world().await;
    world.apply(&authentication("shared")).await.unwrap();
    for index in 0..50 {
        let name = format!("web-{index:02}");
        world.apply(&deployment(&name, 0)).await.unwrap();
        world.apply(&using(&name, &json!({ "name": "shared" }))).await.unwrap();
    }
    world.until(Duration::from_secs(60)).await;
    assert_eq!(users(&world, "shared").unwrap().split(',').count(), 50);
    let written = |write: &keda_testkit::Recorded| {
        write.user == OPERATOR && write.resource.starts_with("triggerauthentications")
    };
    let writes = world.server.writes().into_iter().filter(written).count();
    assert!((1..=3).contains(&writes), "{writes}");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn upstreams_finalizer_holds_no_deletion() {
    let mut world = world().await;
    let mut kept = authentication("kept");
    kept["metadata"]["finalizers"] = json!(["finalizer.keda.sh"]);
    world.apply(&kept).await.unwrap();
    world.delete("TriggerAuthentication/kept").await.unwrap();
    world.until(Duration::from_secs(5)).await;
    assert_eq!(world.server.read::<TriggerAuthentication>("default", "kept"), None);
    assert_eq!(reasons(&world), ["TriggerAuthenticationAdded", "TriggerAuthenticationDeleted"]);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn events_tell_of_creation_change_and_deletion_and_not_of_restarts() {
    let mut world = world().await;
    let mut one = authentication("one");
    world.apply(&one).await.unwrap();
    world.until(Duration::from_secs(5)).await;
    world.stop_operator(false).await;
    world.start_operator().await;
    world.until(Duration::from_secs(10)).await;
    one["spec"]["secretTargetRef"][0]["key"] = json!("other");
    world.apply(&one).await.unwrap();
    world.until(Duration::from_secs(15)).await;
    world.delete("TriggerAuthentication/one").await.unwrap();
    world.until(Duration::from_secs(20)).await;
    let expected =
        ["TriggerAuthenticationAdded", "ClusterTriggerAuthenticationUpdated", "TriggerAuthenticationDeleted"];
    assert_eq!(reasons(&world), expected);
    world.finish().await;
}
