//! What the metrics service answers, and the series of the operator's own metrics.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Setup, World, Yield, deployment, prometheus, scaled_object};

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

/// The value of the first series whose name and labels contain all of these.
fn series(shown: &str, parts: &[&str]) -> Option<String> {
    let line = shown.lines().find(|line| parts.iter().all(|part| line.contains(part)))?;
    line.rsplit(' ').next().map(str::to_owned)
}

/// Platform.md 5.1: the value after fallback; a formula's is the scaler composite-metric, and its triggers are not active.
#[tokio::test(start_paused = true)]
async fn series_show_what_the_hpa_is_told() {
    let mut world = World::new(Setup { hpa: None, ..Setup::default() });
    world.start_operator().await;
    world.source.set("load", Yield::Down);
    world.source.set("queue", 7.0);
    for name in ["web", "sum"] {
        world.apply(&deployment(name, 1)).await.unwrap();
    }
    let mut web = scaled_object("web", &[prometheus("load")]);
    web["spec"]["fallback"] = json!({ "failureThreshold": 1, "replicas": 4 });
    world.apply(&web).await.unwrap();
    let mut queue = prometheus("queue");
    queue["name"] = json!("queue");
    let mut sum = scaled_object("sum", &[queue]);
    sum["spec"]["advanced"] = json!({ "scalingModifiers": { "formula": "queue * 2", "target": "5" } });
    world.apply(&sum).await.unwrap();
    world.until(Duration::from_secs(300)).await;

    let shown = world.registry.render();
    let fallen = ["scaledObject=\"web\"", "metric=\"s0-prometheus\""];
    let value = |of: &[&str]| series(&shown, &[&["keda_scaler_metrics_value{"], of].concat());
    let active = |of: &[&str]| series(&shown, &[&["keda_scaler_active{"], of].concat());
    assert_eq!(value(&fallen).as_deref(), Some("40"), "4 replicas of target 10\n{shown}");
    assert_eq!(active(&fallen).as_deref(), Some("1"), "{shown}");
    let composite = [
        "scaledObject=\"sum\"",
        "metric=\"composite-metric\"",
        "scaler=\"composite-metric\"",
        "triggerIndex=\"0\"",
    ];
    assert_eq!(value(&composite).as_deref(), Some("14"), "{shown}");
    assert_eq!(active(&composite).as_deref(), Some("1"), "{shown}");
    let trigger = ["scaledObject=\"sum\"", "metric=\"s0-prometheus\"", "scaler=\"queue\""];
    assert_eq!(value(&trigger).as_deref(), Some("7"), "{shown}");
    assert_eq!(active(&trigger), None, "{shown}");
    for name in ["web", "sum"] {
        world.delete(&format!("ScaledObject/{name}")).await.unwrap();
    }
    world.until(Duration::from_secs(301)).await;
    let shown = world.registry.render();
    assert!(!shown.contains("scaledObject=\"sum\"") && !shown.contains("scaledObject=\"web\""), "{shown}");
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
