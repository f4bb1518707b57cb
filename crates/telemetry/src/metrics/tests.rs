use std::time::Duration;

use super::*;

fn trigger<'a>(object: &'a str, index: usize) -> Trigger<'a> {
    Trigger { namespace: "ns", metric: "s0-x", object, scaler: "prometheusScaler", index, job: false }
}

#[test]
fn classic_text_in_a_stable_order() {
    let registry = Registry::new();
    let gauge = registry.gauge("b_gauge", "A \\ and\na break.", &["k", "l"]);
    gauge.set(&["2", "x"], f64::NAN);
    gauge.set(&["1", "quote \" back \\ line \n"], 0.25);
    let counter = registry.counter("a_total", "Counts.", &[]);
    counter.inc(&[]);
    counter.inc(&[]);
    let histogram = registry.histogram("c_seconds", "Lasts.", &["m"], &[0.1, 1.0]);
    for seconds in [0.1, 0.5, 7.0] {
        histogram.observe(&["get"], seconds);
    }
    registry.gauge("never_set", "Nothing.", &["k"]);
    registry.on_scrape(|scrape| scrape.gauges("z", "Last.", "of", [("one", 1.0)]));
    let expected = r#"# HELP a_total Counts.
# TYPE a_total counter
a_total 2
# HELP b_gauge A \\ and\na break.
# TYPE b_gauge gauge
b_gauge{k="1",l="quote \" back \\ line \n"} 0.25
b_gauge{k="2",l="x"} NaN
# HELP c_seconds Lasts.
# TYPE c_seconds histogram
c_seconds_bucket{m="get",le="0.1"} 1
c_seconds_bucket{m="get",le="1"} 2
c_seconds_bucket{m="get",le="+Inf"} 3
c_seconds_sum{m="get"} 7.6
c_seconds_count{m="get"} 3
# HELP z Last.
# TYPE z gauge
z{of="one"} 1
"#;
    assert_eq!(registry.render(), expected);
}

#[test]
fn series_of_a_deleted_object_are_gone_6321_6617() {
    let registry = Registry::new();
    let metrics = Operator::new(&registry, true);
    for object in ["gone", "stays"] {
        for index in 0..2 {
            let trigger = trigger(object, index);
            metrics.active(&trigger, true);
            metrics.value(&trigger, 3.0);
            metrics.latency(&trigger, Duration::from_millis(5));
            metrics.trigger_failed(&trigger);
            metrics.empty_response(&trigger, "", "scaledobject", true);
        }
        let request = HttpRequest {
            namespace: "ns",
            scaled_resource: object,
            scaler: "prometheus",
            trigger_name: "",
            metric_name: "s0-x",
            status: None,
        };
        metrics.http_request(&request, Duration::from_millis(20));
        metrics.object_succeeded("ns", object);
        metrics.paused("ns", object, false);
        metrics.loop_latency("ns", "scaledobject", object, Duration::ZERO);
    }
    assert_eq!(registry.render().matches("\"gone\"").count(), registry.render().matches("\"stays\"").count());
    metrics.forget_object("ns", "gone");
    let page = registry.render();
    assert!(!page.contains("gone"), "{page}");
    for line in [
        r#"keda_scaler_active{namespace="ns",metric="s0-x",scaledObject="stays",scaler="prometheusScaler",triggerIndex="1",type="scaledobject"} 1"#,
        r#"keda_scaler_http_requests_total{namespace="ns",scaled_resource="stays",scaler="prometheus",trigger_name="",metric_name="s0-x",status_code="error"} 1"#,
        r#"keda_scaled_object_errors_total{namespace="ns",scaledObject="stays"} 0"#,
    ] {
        assert!(page.contains(line), "{page}");
    }
}

#[test]
fn counts_of_what_exists() {
    let registry = Registry::new();
    let metrics = Operator::new(&registry, false);
    metrics.triggers("cron", 2);
    metrics.triggers("cron", -1);
    metrics.resources("cluster_trigger_authentication", "", 1);
    metrics.leader("operator.keda.sh", true);
    metrics.build_info("1", "abc", "rustc");
    let page = registry.render();
    for line in [
        r#"keda_trigger_registered_total{type="cron"} 1"#,
        r#"keda_resource_registered_total{type="cluster_trigger_authentication",namespace="default"} 1"#,
        r#"leader_election_master_status{name="operator.keda.sh"} 1"#,
        r#"keda_build_info{version="1",git_commit="abc",goversion="rustc",goos="linux""#,
    ] {
        assert!(page.contains(line), "{page}");
    }
}

#[test]
fn calls_by_code() {
    let registry = Registry::new();
    let method = Grpc::server(&registry).method(Kind::Unary, "api.MetricsService", "GetMetrics");
    method.serve().end(0);
    method.serve().end(2);
    let page = registry.render();
    let of = r#"{grpc_type="unary",grpc_service="api.MetricsService",grpc_method="GetMetrics""#;
    for line in [
        format!("keda_internal_metricsservice_grpc_server_started_total{of}}} 2"),
        format!("keda_internal_metricsservice_grpc_server_msg_sent_total{of}}} 1"),
        format!("keda_internal_metricsservice_grpc_server_handled_total{of},grpc_code=\"OK\"}} 1"),
        format!("keda_internal_metricsservice_grpc_server_handled_total{of},grpc_code=\"Unknown\"}} 1"),
        format!("keda_internal_metricsservice_grpc_server_handling_seconds_count{of}}} 2"),
    ] {
        assert!(page.contains(&line), "{line}\n{page}");
    }
}

#[test]
fn ages_are_there_only_while_answers_are_stale() {
    let registry = Registry::new();
    let metrics = Adapter::new(&registry);
    metrics.stale("ns", "so", "s0-x", 12.5);
    let line = r#"keda_adapter_answer_age_seconds{namespace="ns",metric="s0-x",scaledObject="so"} 12.5"#;
    assert!(registry.render().contains(line));
    metrics.fresh("ns", "so", "s0-x");
    assert!(!registry.render().contains("keda_adapter_answer_age_seconds"));
    assert!(registry.render().contains(r#"keda_adapter_stale_answers_total{namespace="ns"} 1"#));
}

#[test]
fn the_process_knows_itself() {
    let page = Registry::new().with_process().render();
    for name in ["process_cpu_seconds_total ", "process_resident_memory_bytes ", "process_open_fds "] {
        assert!(page.contains(name), "{page}");
    }
}
