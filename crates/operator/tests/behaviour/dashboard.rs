//! Upstream's Grafana dashboard (kedacore/keda `config/grafana/keda-dashboard.json`) finds every series that it asks for.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use keda_testkit::source::Answer;

use crate::harness::{Setup, World, deployment, prometheus, scaled_object};

/// What its queries and variables ask of KEDA: a metric, and the labels by which they pick, group and list. `namespace` is
/// `exported_namespace` there, as Prometheus renames it.
const QUERIES: &[(&str, &[&str])] = &[
    ("keda_scaler_detail_errors_total", &["namespace", "scaledObject", "scaler"]),
    ("keda_scaled_object_errors_total", &["namespace", "scaledObject"]),
    ("keda_scaler_metrics_value", &["namespace", "metric", "scaledObject"]),
    ("keda_scaler_active", &["namespace", "scaledObject", "scaler", "metric"]),
];

/// The value and labels of every series of a metric.
fn series(page: &str, metric: &str) -> Vec<(f64, BTreeMap<String, String>)> {
    let lines = page.lines().filter_map(|line| line.strip_prefix(metric)?.strip_prefix('{'));
    lines
        .map(|line| {
            let (labels, value) = line.rsplit_once("} ").unwrap();
            let labels = labels.split("\",").map(|pair| {
                let (name, value) = pair.split_once("=\"").unwrap();
                (name.to_owned(), value.trim_end_matches('"').to_owned())
            });
            (value.parse().unwrap(), labels.collect())
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn upstreams_dashboard_finds_its_series() {
    let mut world = World::new(Setup { hpa: None, ..Setup::default() });
    world.start_operator().await;
    world.source.set("load", 35.0);
    world.source.set("broken", Answer::Status(500, "no".to_owned()));
    for (name, query) in [("web", "load"), ("api", "broken")] {
        world.apply(&deployment(name, 1)).await.unwrap();
        world.apply(&scaled_object(name, &[prometheus(query)])).await.unwrap();
    }
    world.until(Duration::from_secs(60)).await;
    let page = world.registry.render();
    for (metric, labels) in QUERIES {
        let of_web: Vec<_> = series(&page, metric)
            .into_iter()
            .filter(|(_, labels)| labels.get("scaledObject").is_some_and(|name| name == "web"))
            .collect();
        assert_eq!(of_web.len(), 1, "{metric}\n{page}");
        for label in *labels {
            assert!(!of_web[0].1[*label].is_empty(), "{metric} has no {label}");
        }
    }
    // Both errors panels are rates: a series must be there, at zero, before the first error.
    let errors = |metric: &str, object: &str| {
        let found = series(&page, metric).into_iter().find(|(_, labels)| labels["scaledObject"] == object);
        found.unwrap().0
    };
    for metric in ["keda_scaler_detail_errors_total", "keda_scaled_object_errors_total"] {
        assert_eq!(errors(metric, "web"), 0.0, "{metric}");
        assert!(errors(metric, "api") >= 2.0, "{metric}");
    }
    // The replica panels ask kube-state-metrics for HPAs of this name.
    let _: HorizontalPodAutoscaler = world.server.read("default", "keda-hpa-web").unwrap();
    world.finish().await;
}

/// Errors are told apart by kind and code in a family of ours; upstream's keep their labels.
#[tokio::test(start_paused = true)]
async fn errors_are_counted_by_kind_and_go_with_their_object_6321_6617() {
    let mut world = World::new(Setup { hpa: None, ..Setup::default() });
    world.start_operator().await;
    world.source.set("broken", Answer::Status(500, "no".to_owned()));
    world.apply(&deployment("web", 1)).await.unwrap();
    world.apply(&scaled_object("web", &[prometheus("broken")])).await.unwrap();
    world.until(Duration::from_secs(60)).await;
    let page = world.registry.render();
    let [(count, labels)] = &series(&page, "keda_scaler_errors_by_code_total")[..] else { panic!("{page}") };
    assert!(*count >= 2.0, "{page}");
    assert_eq!((labels["kind"].as_str(), labels["code"].as_str()), ("source", ""));
    assert!(
        page.contains("controller_runtime_reconcile_total{controller=\"scaledobject\",result=\"success\"}")
    );

    world.delete("ScaledObject/web").await.unwrap();
    world.until(Duration::from_secs(61)).await;
    let page = world.registry.render();
    assert!(!page.contains("\"web\""), "{page}");
    world.finish().await;
}

/// platform.md 5.1: what the HPA reads by itself is always active.
#[tokio::test(start_paused = true)]
async fn cpu_and_memory_are_always_active() {
    let mut world = World::new(Setup { hpa: None, ..Setup::default() });
    world.start_operator().await;
    world.apply(&deployment("web", 1)).await.unwrap();
    let cpu =
        serde_json::json!({ "type": "cpu", "metricType": "AverageValue", "metadata": { "value": "1" } });
    world.apply(&scaled_object("web", &[cpu])).await.unwrap();
    world.until(Duration::from_secs(5)).await;
    let page = world.registry.render();
    let line = r#"keda_scaler_active{namespace="default",metric="cpu",scaledObject="web",scaler="cpuMemoryScaler",triggerIndex="0",type="scaledobject"} 1"#;
    assert!(page.contains(line), "{page}");
    world.finish().await;
}
