//! The operator says why: which trigger, which value, against what.

use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use keda_testkit::source::Answer;

use crate::{
    condition,
    harness::{Setup, World, deployment, prometheus, scaled_object},
};

/// Upstream issues 7347, 3758, 5577, 5663: an object moves, or does not, and nothing says on whose account.
#[tokio::test(start_paused = true)]
async fn event_condition_and_log_say_which_trigger_and_why_7347() {
    let mut world = World::new(Setup::default());
    world.start_operator().await;
    world.source.set("orders", 0.0);
    world.source.set("mails", 35.0);
    world.apply(&deployment("web", 0)).await.unwrap();
    world.apply(&scaled_object("web", &[prometheus("orders"), prometheus("mails")])).await.unwrap();
    world.until(Duration::from_secs(20)).await;
    let notes = |reason: &str| {
        let events: Vec<Event> = world.server.all("default");
        let of = events.into_iter().filter(|event| event.reason.as_deref() == Some(reason));
        of.filter_map(|event| event.note).collect::<Vec<_>>()
    };
    assert_eq!(
        notes("KEDAScaleTargetActivated"),
        ["Scaled apps/v1.Deployment default/web from 0 to 1, triggered by s1-prometheus"]
    );
    let log = |world: &World| world.shown().into_iter().find(|(place, _)| place == "log").unwrap().1;
    let first = log(&world);
    let line = first.lines().find(|line| line.contains("0 -> 1")).expect("the decision is logged");
    for part in ["default/web", "Activation", "s1-prometheus is active (value 35, target 10)"] {
        assert!(line.contains(part), "{part}: {line}");
    }

    // What holds an object where it is names the trigger and its source's words.
    world.source.set("orders", Answer::Status(503, "the shard of orders is away".to_owned()));
    world.source.set("mails", 0.0);
    world.until(Duration::from_secs(120)).await;
    let ready = condition(&world.server, "web", "Ready");
    let message = ready.message.unwrap();
    assert!(message.contains("the shard of orders is away") && message.contains("prometheus"), "{message}");
    let failed = notes("KEDAScalerFailed");
    assert!(failed.iter().any(|note| note.contains("the shard of orders is away")), "{failed:?}");
    let later = log(&world);
    let line = later.lines().rev().find(|line| line.contains("a trigger fails: ")).expect("it is logged");
    assert!(line.contains("default/web") && line.contains("the shard of orders is away"), "{line}");
    world.finish().await;
}
