//! Events: all of them are written, none is too long, none is repeated each poll.

use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use keda_testkit::source::Answer;

use crate::{
    condition,
    harness::{OPERATOR, Setup, World, deployment, prometheus, scaled_object},
};

#[tokio::test(start_paused = true)]
async fn long_errors_are_cut_to_what_the_api_takes_and_said_once_in_a_while() {
    let mut world = World::new(Setup::default());
    world.start_operator().await;
    // Ten triggers that fail with long words make a long text.
    let triggers: Vec<_> = (0..10).map(|index| prometheus(&format!("q{index}{}", "x".repeat(120)))).collect();
    for index in 0..10 {
        let query = format!("q{index}{}", "x".repeat(120));
        world.source.set(&query, Answer::Status(500, format!("{index} {}", "é".repeat(5000))));
    }
    world.apply(&deployment("web", 2)).await.unwrap();
    world.apply(&scaled_object("web", &triggers)).await.unwrap();
    // And one whose parameters are wrong at length.
    let mut wrong = prometheus("load");
    wrong["metadata"]["threshold"] = serde_json::json!("é".repeat(2000));
    world.apply(&deployment("wrong", 2)).await.unwrap();
    world.apply(&scaled_object("wrong", &[wrong])).await.unwrap();

    world.until(Duration::from_secs(3600)).await;
    let refused: Vec<_> = world
        .server
        .writes()
        .into_iter()
        .filter(|write| write.user == OPERATOR && write.status.is_none_or(|status| status >= 300))
        .collect();
    assert!(refused.is_empty(), "{refused:?}");

    let events: Vec<Event> = world.server.all("default");
    for event in &events {
        let note = event.note.as_deref().unwrap_or_default();
        assert!(note.len() <= 1024, "{} bytes", note.len());
        assert!(event.action.as_deref().is_some_and(|action| action.len() <= 128));
        let about = event.regarding.as_ref().unwrap();
        assert!(about.uid.is_some() && about.kind.as_deref() == Some("ScaledObject"), "{about:?}");
    }
    let of = |name: &str, reason: &str| {
        let about =
            |event: &&Event| event.regarding.as_ref().and_then(|about| about.name.as_deref()) == Some(name);
        events.iter().filter(about).filter(|event| event.reason.as_deref() == Some(reason)).count()
    };
    // Ten triggers, an hour, once in ten minutes each at most.
    assert!((10..=70).contains(&of("web", "KEDAScalerFailed")), "{}", of("web", "KEDAScalerFailed"));
    assert!((1..=7).contains(&of("wrong", "ScaledObjectCheckFailed")));
    let ready = condition(&world.server, "web", "Ready").message.unwrap();
    assert!(ready.len() <= 32 * 1024, "a condition's message has a limit too: {}", ready.len());
    world.finish().await;
}
