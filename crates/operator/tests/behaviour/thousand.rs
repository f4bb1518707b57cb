//! A thousand objects: what a start, a steady state and a teardown cost the API server and the source.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use keda_api::{Condition, ConditionStatus, ScaledObject};
use keda_testkit::Mark;

use crate::harness::{OPERATOR, Setup, World, deployment, prometheus, scaled_object};

const OBJECTS: usize = 1000;

fn name(index: usize) -> String {
    format!("app-{index:04}")
}

/// A world without observers and controllers, which would only cost time here.
async fn world() -> World {
    let mut world = World::new(Setup { hpa: None, rollout: false, observe: false, ..Setup::default() });
    world.start_operator().await;
    world
}

/// Creates objects at once.
fn create(world: &World, count: usize, query: impl Fn(usize) -> String) {
    for index in 0..count {
        world.server.seed(&deployment(&name(index), 0)).unwrap();
        let object = scaled_object(&name(index), &[prometheus(&query(index))]);
        world.server.seed(&object).unwrap();
    }
}

/// The operator's writes since a mark, by verb and resource.
fn writes(world: &World, since: Mark) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for write in world.server.writes_since(since).iter().filter(|write| write.user == OPERATOR) {
        assert!(write.status.is_some_and(|status| status < 300), "{write:?}");
        *counts.entry(format!("{} {}", write.verb.name(), write.resource)).or_default() += 1;
    }
    counts
}

fn counted<const N: usize>(counts: [(&str, usize); N]) -> BTreeMap<String, usize> {
    counts.into_iter().map(|(what, count)| (what.to_owned(), count)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_objects_from_creation_to_deletion_7615_7950() {
    let mut world = world().await;
    for index in 0..OBJECTS {
        world.source.set(&format!("load_{index}"), 0.0);
    }
    let mark = world.server.mark();
    create(&world, OBJECTS, |index| format!("load_{index}"));

    // Ready within a second of virtual time, with a fixed number of writes each: nobody waits for a limit of our own (upstream
    // issues 7615, 6789, 3810, 3730, 1449).
    world.until(Duration::from_secs(1)).await;
    let objects: Vec<ScaledObject> = world.server.all("default");
    let ready = objects.iter().filter(|object| {
        let conditions = object.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|all| all.status(Condition::READY) == ConditionStatus::True)
    });
    assert_eq!(ready.count(), OBJECTS);
    assert_eq!(world.server.all::<HorizontalPodAutoscaler>("default").len(), OBJECTS);
    let created = counted([
        ("patch scaledobjects", OBJECTS),             // finalizer and label
        ("create horizontalpodautoscalers", OBJECTS), //
        ("patch scaledobjects/status", OBJECTS),      // what reconcile and first poll found, at once
        ("create events", 3 * OBJECTS),               // loop started, trigger built, ready
    ]);
    assert_eq!(writes(&world, mark), created);

    // Steady: polls go on, spread over their interval (upstream issue 7676), and write nothing (7998, 8090).
    let mark = world.server.mark();
    world.until(Duration::from_secs(31)).await;
    let before = world.source.asked().len();
    world.until(Duration::from_secs(61)).await;
    assert_eq!(writes(&world, mark), BTreeMap::new());
    let polls = &world.source.asked()[before..];
    assert!((OBJECTS - 5..=OBJECTS + 5).contains(&polls.len()), "{} polls in one interval", polls.len());
    let mut seconds = BTreeMap::<u64, usize>::new();
    for poll in polls {
        *seconds.entry(poll.at.as_secs()).or_default() += 1;
    }
    let busiest = seconds.values().max().unwrap();
    assert!(seconds.len() >= 30 && *busiest < 3 * OBJECTS / 30, "{seconds:?}");

    // All wake within one interval: a scale, an event and a status each.
    let mark = world.server.mark();
    for index in 0..OBJECTS {
        world.source.set(&format!("load_{index}"), 5.0);
    }
    world.until(Duration::from_secs(92)).await;
    let woken = counted([
        ("update deployments/scale", OBJECTS),
        ("create events", OBJECTS),
        ("patch scaledobjects/status", OBJECTS),
    ]);
    assert_eq!(writes(&world, mark), woken);

    // Torn down at once (upstream issues 7950, 5090, 1470).
    let mark = world.server.mark();
    for index in 0..OBJECTS {
        world.server.remove::<ScaledObject>("default", &name(index)).unwrap();
    }
    world.until(Duration::from_secs(93)).await;
    assert_eq!(world.server.all::<ScaledObject>("default").len(), 0);
    assert_eq!(world.server.all::<HorizontalPodAutoscaler>("default").len(), 0);
    let deleted = counted([("patch scaledobjects", OBJECTS), ("create events", OBJECTS)]);
    assert_eq!(writes(&world, mark), deleted);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_many_objects_ask_at_once_is_asked_once() {
    let mut world = world().await;
    world.source.set("load", 0.0);
    create(&world, 300, |_| "load".to_owned());
    world.until(Duration::from_secs(1)).await;
    assert_eq!(world.source.asked().len(), 1, "the first polls of all objects");
    let before = world.source.asked().len();
    world.until(Duration::from_secs(31)).await;
    let asked = world.source.asked().len() - before;
    assert!(asked <= 31, "{asked} requests in half a minute: one a second is enough");
    world.finish().await;
}

/// A mistake of a generator of manifests: many objects on one workload. One has it, the others say who, and a teardown in the
/// order of their names, which takes the one that has it away each time, costs each of them a few writes, not one a rival.
#[tokio::test(start_paused = true)]
async fn many_objects_on_one_workload_cost_what_they_are() {
    const RIVALS: usize = 300;
    let mut world = world().await;
    world.source.set("load", 0.0);
    world.server.seed(&deployment("app", 0)).unwrap();
    let mark = world.server.mark();
    for index in 0..RIVALS {
        let mut object = scaled_object(&name(index), &[prometheus("load")]);
        object["spec"]["scaleTargetRef"]["name"] = "app".into();
        world.server.seed(&object).unwrap();
    }
    world.until(Duration::from_secs(5)).await;
    assert_eq!(world.server.all::<HorizontalPodAutoscaler>("default").len(), 1);
    let total = |mark| writes(&world, mark).values().sum::<usize>();
    assert!(total(mark) <= 6 * RIVALS, "{:?}", writes(&world, mark));

    let mark = world.server.mark();
    for index in 0..RIVALS {
        world.server.remove::<ScaledObject>("default", &name(index)).unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.until(Duration::from_secs(10)).await;
    assert_eq!(world.server.all::<ScaledObject>("default").len(), 0);
    let total = |mark| writes(&world, mark).values().sum::<usize>();
    assert!(total(mark) <= 12 * RIVALS, "{:?}", writes(&world, mark));
    world.finish().await;
}
