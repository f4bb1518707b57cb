//! What the metrics service answers, and the series of the operator's own metrics.

use std::time::Duration;

use crate::harness::{Setup, World, deployment, prometheus, scaled_object};

#[tokio::test(start_paused = true)]
async fn a_question_within_a_second_of_a_poll_asks_the_source_nothing() {
    let mut world = World::new(Setup { hpa: None, ..Setup::default() });
    world.start_operator().await;
    world.source.set("load", 35.0);
    world.apply(&deployment("web", 0)).await.unwrap();
    world.apply(&scaled_object("web", &[prometheus("load")])).await.unwrap();
    world.until(Duration::from_millis(500)).await;
    let asked = world.source.asked().len();
    assert_eq!(asked, 1, "the first poll");
    let value = world.metrics().get("default", "web", "s0-prometheus").await.unwrap();
    assert_eq!((value.metric.as_str(), value.quantity.to_string().as_str()), ("s0-prometheus", "35"));
    assert_eq!(world.source.asked().len(), asked, "answered from the poll");

    world.until(Duration::from_secs(3)).await;
    world.source.set("load", 12.3456);
    let value = world.metrics().get("default", "web", "s0-prometheus").await.unwrap();
    assert_eq!(value.quantity.to_string(), "12346m", "three decimals, as Go rounds them");
    assert_eq!(world.source.asked().len(), asked + 1);

    world.until(Duration::from_secs(6)).await;
    world.source.set("load", -5.0);
    let value = world.metrics().get("default", "web", "s0-prometheus").await.unwrap();
    assert_eq!(value.quantity.to_string(), "0", "an HPA knows no negative load");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn series_of_a_deleted_object_go_with_it_6321() {
    let mut world = World::new(Setup::default());
    world.start_operator().await;
    world.source.set("load", 35.0);
    world.apply(&deployment("web", 0)).await.unwrap();
    world.apply(&scaled_object("web", &[prometheus("load")])).await.unwrap();
    world.until(Duration::from_secs(60)).await;
    let shown = world.registry.render();
    for series in ["keda_scaler_metrics_value", "keda_scaler_active", "keda_resource_registered_total"] {
        assert!(shown.contains(series), "{series} is not in\n{shown}");
    }
    assert!(shown.contains("scaledObject=\"web\""), "{shown}");
    assert!(shown.contains("keda_trigger_registered_total{type=\"prometheus\"} 1"), "{shown}");

    world.delete("ScaledObject/web").await.unwrap();
    world.until(Duration::from_secs(61)).await;
    let shown = world.registry.render();
    assert!(!shown.contains("\"web\""), "{shown}");
    assert!(!shown.contains("keda_trigger_registered_total{type=\"prometheus\"} 1"), "{shown}");
    world.finish().await;
}
