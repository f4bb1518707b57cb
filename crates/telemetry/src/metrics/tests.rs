use std::time::Duration;

use super::{table::Definition, *};

static GAUGE: Definition = Definition::gauge("b_gauge", &["k", "l"], "A \\ and\na break.");
static COUNTER: Definition = Definition::counter("a_total", &[], "Counts.");
static HISTOGRAM: Definition = Definition::histogram("c_seconds", &["m"], &[0.1, 1.0], "Lasts.");
static NEVER: Definition = Definition::gauge("never_set", &["k"], "Nothing.");
static LAST: Definition = Definition::gauge("z", &["of"], "Last.");

fn trigger<'a>(object: &'a str, index: usize) -> Trigger<'a> {
    Trigger { namespace: "ns", metric: "s0-x", object, scaler: "prometheusScaler", index, job: false }
}

#[test]
fn classic_text_in_a_stable_order() {
    let registry = Registry::new();
    let gauge = registry.gauge(&GAUGE);
    gauge.set(&["2", "x"], f64::NAN);
    gauge.set(&["1", "quote \" back \\ line \n"], 0.25);
    let counter = registry.counter(&COUNTER);
    counter.inc(&[]);
    counter.inc(&[]);
    let histogram = registry.histogram(&HISTOGRAM);
    for seconds in [0.1, 0.5, 7.0] {
        histogram.observe(&["get"], seconds);
    }
    registry.gauge(&NEVER);
    registry.on_scrape(|scrape| scrape.values(&LAST, [("one", 1.0)]));
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
            metrics.empty_response(&trigger, "", true);
            metrics.trigger_failed_by(&trigger, "auth", "azure-wrong-client");
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
fn series_of_a_deleted_job_are_gone_and_those_of_its_namesake_stay_6321_6617() {
    let registry = Registry::new();
    let metrics = Operator::new(&registry, true);
    for job in [true, false] {
        let trigger = Trigger { job, ..trigger("same", 0) };
        metrics.active(&trigger, true);
        metrics.trigger_failed(&trigger);
        metrics.trigger_failed_by(&trigger, "timeout", "");
        metrics.empty_response(&trigger, "", false);
    }
    metrics.job_failed("ns", "same");
    metrics.job_succeeded("ns", "other");
    metrics.loop_latency("ns", "scaledjob", "same", Duration::ZERO);
    metrics.loop_latency("ns", "scaledobject", "same", Duration::ZERO);
    metrics.object_failed("ns", "same");
    let page = registry.render();
    for line in [
        r#"keda_scaled_job_errors_total{namespace="ns",scaledJob="same"} 1"#,
        r#"keda_scaled_job_errors_total{namespace="ns",scaledJob="other"} 0"#,
        r#"keda_scaler_active{namespace="ns",metric="s0-x",scaledObject="same",scaler="prometheusScaler",triggerIndex="0",type="scaledjob"} 1"#,
        r#"keda_scaler_empty_upstream_responses_total{namespace="ns",scaledResource="same",triggerName="",metricName="s0-x",resourceType="ScaledJob",ignoreNullValues="false"} 1"#,
        r#"keda_scaler_errors_by_code_total{namespace="ns",scaledObject="same",scaler="prometheusScaler",triggerIndex="0",type="scaledjob",kind="timeout",code=""} 1"#,
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    metrics.forget_job("ns", "same");
    let page = registry.render();
    assert!(!page.contains("scaledjob") && !page.contains("ScaledJob"), "{page}");
    assert_eq!(page.matches("\"same\"").count(), 6, "{page}");
    metrics.forget_object("ns", "same");
    assert!(!registry.render().contains("same"));
}

#[test]
fn cloud_events_are_counted_by_source_and_queues_by_namespace() {
    let registry = Registry::new();
    let metrics = Operator::new(&registry, false);
    metrics.cloud_event("ns", "audit", "http", true);
    metrics.cloud_event("ns", "audit", "http", false);
    metrics.cloud_event("ns", "other", "http", true);
    metrics.cloud_events_queued("ns", 3);
    let page = registry.render();
    for line in [
        r#"keda_cloudeventsource_events_emitted_total{namespace="ns",cloudeventsource="audit",eventsink="http",state="emitted"} 1"#,
        r#"keda_cloudeventsource_events_emitted_total{namespace="ns",cloudeventsource="audit",eventsink="http",state="failed"} 1"#,
        r#"keda_cloudeventsource_events_queued{namespace="ns"} 3"#,
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    metrics.forget_cloud_event_source("ns", "audit");
    metrics.forget_cloud_event_queue("ns");
    let page = registry.render();
    assert!(!page.contains("audit") && !page.contains("queued") && page.contains("other"), "{page}");
}

#[test]
fn reconciles_by_outcome() {
    let registry = Registry::new();
    let reconciles = Operator::new(&registry, false).reconciles("scaledobject", 64);
    reconciles.begin().succeeded();
    reconciles.begin().failed();
    let given_up = reconciles.begin();
    let of = r#"{controller="scaledobject"}"#;
    assert!(registry.render().contains(&format!("controller_runtime_active_workers{of} 1")));
    drop(given_up);
    std::thread::spawn(move || {
        let _panics = reconciles.begin();
        std::panic::panic_any(());
    })
    .join()
    .unwrap_err();
    let page = registry.render();
    for line in [
        format!("controller_runtime_active_workers{of} 0"),
        format!("controller_runtime_max_concurrent_reconciles{of} 64"),
        format!("controller_runtime_reconcile_errors_total{of} 1"),
        format!("controller_runtime_reconcile_panics_total{of} 1"),
        format!("controller_runtime_reconcile_time_seconds_count{of} 4"),
        r#"controller_runtime_reconcile_total{controller="scaledobject",result="success"} 1"#.to_owned(),
        r#"controller_runtime_reconcile_total{controller="scaledobject",result="error"} 1"#.to_owned(),
        r#"controller_runtime_reconcile_total{controller="scaledobject",result="requeue_after"} 0"#
            .to_owned(),
    ] {
        assert!(page.contains(&line), "{line}\n{page}");
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
