//! What `/debug/objects` shows.

use std::time::Duration;

use keda_testkit::source::Answer;

use crate::harness::{Setup, World, deployment, prometheus, scaled_object};

#[tokio::test(start_paused = true)]
async fn objects_with_what_was_last_read_of_them() {
    let mut world = World::new(Setup { hpa: None, ..Setup::default() });
    world.start_operator().await;
    world.source.set("load", 35.0);
    world.source.set("broken", Answer::Status(500, "no".to_owned()));
    world.apply(&deployment("web", 1)).await.unwrap();
    world.apply(&scaled_object("web", &[prometheus("load"), prometheus("broken")])).await.unwrap();
    world.apply(&scaled_object("lost", &[prometheus("load")])).await.unwrap();
    world.until(Duration::from_secs(65)).await;
    let inspector = world.inspector();
    let objects = inspector.objects().unwrap();
    let [lost, web] = &objects[..] else { panic!("{objects:?}") };
    assert_eq!((lost.name.as_str(), lost.state, lost.triggers.len()), ("lost", "not polled", 0));
    assert_eq!((web.namespace.as_str(), web.name.as_str(), web.state), ("default", "web", "polled"));
    let [load, broken] = &web.triggers[..] else { panic!("{web:?}") };
    assert_eq!((load.name.as_str(), load.trigger_type.as_str()), ("prometheusScaler", "prometheus"));
    let metric = &load.metrics[0];
    assert_eq!(
        (metric.name.as_str(), metric.value, metric.active),
        ("s0-prometheus", Some(35.0), Some(true))
    );
    assert!(metric.age_seconds.unwrap() <= 30.0, "{metric:?}");
    assert!(broken.metrics[0].error.as_deref().unwrap().contains("500"), "{broken:?}");
    world.stop_operator(false).await;
    assert!(inspector.objects().is_none(), "nothing is kept alive");
    world.finish().await;
}
