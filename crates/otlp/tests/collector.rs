//! Pushing to a collector: what arrives, by both protocols, and what happens while there is none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod stand_in;

use std::{collections::BTreeMap, time::Duration};

use keda_otlp::api::{
    ExportMetricsServiceRequest, KeyValue, Metric, NumberDataPoint, any_value, metric::Data,
    number_data_point::Value,
};
use keda_telemetry::metrics::{HttpRequest, Operator, Registry, Trigger};
use prost::Message;
use stand_in::{collect, listen, settings, start};
use tokio::net::TcpListener;

const CUMULATIVE: i32 = 2;
const DELTA: i32 = 1;

/// An operator's metrics, with something in every instrument.
fn metrics() -> (Registry, Operator) {
    let registry = Registry::new();
    let metrics = Operator::new(&registry, false);
    metrics.build_info("0.1.0", "abc", "1.95");
    for job in [false, true] {
        let trigger = Trigger {
            namespace: "ns",
            metric: "s0-x",
            object: "web",
            scaler: "prometheusScaler",
            index: 0,
            job,
        };
        metrics.active(&trigger, true);
        metrics.value(&trigger, 2.5);
        metrics.latency(&trigger, Duration::from_micros(12_300));
        metrics.trigger_failed(&trigger);
        metrics.empty_response(&trigger, "q", true);
    }
    metrics.object_failed("ns", "web");
    metrics.job_failed("ns", "web");
    metrics.paused("ns", "web", false);
    metrics.triggers("prometheus", 3);
    metrics.resources("scaled_object", "ns", 1);
    metrics.loop_latency("ns", "scaledobject", "web", Duration::from_micros(1500));
    metrics.cloud_event("ns", "audit", "http", true);
    metrics.cloud_events_queued("ns", 4);
    let request = HttpRequest {
        namespace: "ns",
        scaled_resource: "web",
        scaler: "prometheus",
        trigger_name: "q",
        metric_name: "s0-x",
        status: Some(200),
    };
    metrics.http_request(&request, Duration::from_millis(20));
    (registry, metrics)
}

fn by_name(request: &ExportMetricsServiceRequest) -> BTreeMap<String, Metric> {
    let [resource] = &request.resource_metrics[..] else { panic!("one resource") };
    let [scope] = &resource.scope_metrics[..] else { panic!("one meter") };
    assert_eq!(scope.scope.as_ref().unwrap().name, "keda-open-telemetry-metrics");
    scope.metrics.iter().map(|metric| (metric.name.clone(), metric.clone())).collect()
}

fn text(attributes: &[KeyValue]) -> String {
    let value = |it: &KeyValue| match it.value.as_ref().unwrap().value.as_ref().unwrap() {
        any_value::Value::StringValue(text) => format!("{}={text}", it.key),
        any_value::Value::BoolValue(yes) => format!("{}={yes}(bool)", it.key),
    };
    attributes.iter().map(value).collect::<Vec<_>>().join(" ")
}

/// `kind: attributes value` of every number of a metric.
fn numbers(metric: &Metric) -> Vec<String> {
    let point = |kind: &str, point: &NumberDataPoint| {
        let value = match point.value.unwrap() {
            Value::AsDouble(value) => format!("{value:?}"),
            Value::AsInt(value) => format!("int {value}"),
        };
        assert!(point.time_unix_nano > point.start_time_unix_nano);
        format!("{kind}: {} {value}", text(&point.attributes))
    };
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => gauge.data_points.iter().map(|it| point("gauge", it)).collect(),
        Data::Sum(sum) => {
            assert!(sum.data_points.iter().all(|point| point.start_time_unix_nano > 0));
            assert_eq!(sum.aggregation_temporality, CUMULATIVE);
            let kind = if sum.is_monotonic { "counter" } else { "up-down" };
            sum.data_points.iter().map(|it| point(kind, it)).collect()
        }
        Data::Histogram(_) => panic!("{} is a histogram", metric.name),
    }
}

const SO: &str = "namespace=ns scaledObject=web scaler=prometheusScaler scalerIndex=0 metric=s0-x";
const SJ: &str = "namespace=ns scaledJob=web scaler=prometheusScaler triggerIndex=0 metric=s0-x";

fn check_all(request: &ExportMetricsServiceRequest) {
    let resource = request.resource_metrics[0].resource.as_ref().unwrap();
    let resource = text(&resource.attributes);
    assert!(resource.starts_with("service.name=unknown_service:keda "), "{resource}");
    assert!(resource.ends_with("k8s.cluster.name=test"), "{resource}");
    let metrics = by_name(request);
    let of_both = |kind: &str, value: &str| {
        // In the order of the registry: scaledjob sorts before scaledobject.
        vec![format!("{kind}: {SJ} {value}"), format!("{kind}: {SO} {value}")]
    };
    let one = |text: &str| vec![text.to_owned()];
    let expected = [
        ("keda.scaler.active", of_both("gauge", "1.0")),
        ("keda.scaler.metrics.value", of_both("gauge", "2.5")),
        ("keda.scaler.metrics.latency.seconds", of_both("gauge", "0.0123")),
        ("keda.scaler.metrics.latency", of_both("gauge", "12.0")),
        ("keda.scaler.errors", of_both("counter", "int 1")),
        (
            "keda.scaler.empty.upstream.responses",
            ["false", "true"]
                .map(|is| {
                    format!("counter: namespace=ns scaledResource=web triggerName=q metricName=s0-x isScaledObject={is}(bool) ignoreNullValues=true(bool) int 1")
                })
                .to_vec(),
        ),
        ("keda.scaledobject.errors", one("counter: namespace=ns scaledObject=web int 1")),
        ("keda.scaledjob.errors", one("counter: namespace=ns scaledJob=web int 1")),
        ("keda.scaled.object.paused", one("gauge: namespace=ns scaledObject=web 0.0")),
        ("keda.trigger.registered.count", one("up-down: type=prometheus int 3")),
        ("keda.trigger.totals", one("up-down: type=prometheus int 3")),
        ("keda.resource.registered.count", one("up-down: namespace=ns type=scaled_object int 1")),
        ("keda.resource.totals", one("up-down: namespace=ns type=scaled_object int 1")),
        (
            "keda.internal.scale.loop.latency.seconds",
            one("gauge: namespace=ns type=scaledobject name=web 0.0015"),
        ),
        ("keda.internal.scale.loop.latency", one("gauge: namespace=ns type=scaledobject name=web 1.0")),
        (
            "keda.cloudeventsource.events.emitted.count",
            one("counter: namespace=ns cloudEventSource=audit eventsink=http state=emitted int 1"),
        ),
        ("keda.cloudeventsource.events.queued", one("gauge: namespace=ns 4.0")),
        (
            "keda.scaler.http.requests.count",
            one("counter: namespace=ns scaled_resource=web scaler=prometheus trigger_name=q metric_name=s0-x status_code=200 int 1"),
        ),
    ];
    for (name, points) in &expected {
        assert_eq!(&numbers(&metrics[*name]), points, "{name}");
    }
    let build = numbers(&metrics["keda.build.info"]);
    assert!(
        build[0].starts_with("gauge: version=0.1.0 git_commit=abc goversion=1.95 goos=linux"),
        "{build:?}"
    );
    assert!(build[0].ends_with(" int 1"), "{build:?}");
    let histogram = &metrics["keda.scaler.http.request.duration.seconds"];
    assert_eq!(histogram.unit, "s");
    let Some(Data::Histogram(histogram)) = &histogram.data else { panic!("{histogram:?}") };
    assert_eq!(histogram.aggregation_temporality, CUMULATIVE);
    let point = &histogram.data_points[0];
    assert_eq!(text(&point.attributes), "scaler=prometheus status_code=200");
    assert_eq!((point.count, point.sum), (1, Some(0.02)));
    assert_eq!(point.explicit_bounds[..3], [0.005, 0.01, 0.025]);
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    assert_eq!(point.bucket_counts[2], 1);
    assert_eq!(metrics.len(), expected.len() + 2, "{:?}", metrics.keys());
}

#[tokio::test]
async fn everything_arrives_by_grpc_and_by_http_with_upstreams_names_kinds_and_attributes() {
    for protocol in ["grpc", "http/protobuf"] {
        let (listener, address) = listen().await;
        let mut arrived = collect(protocol, listener);
        let (registry, operator) = metrics();
        let (shutdown, task) = start(settings(protocol, address, &[]), &registry);
        let (first, authorization) = arrived.recv().await.unwrap();
        check_all(&first);
        assert_eq!(authorization.as_deref(), Some("Bearer token"), "{protocol}");
        // Series are told again as long as they live, and no longer.
        let (second, _) = arrived.recv().await.unwrap();
        check_all(&second);
        let start = |request: &ExportMetricsServiceRequest| {
            let Some(Data::Sum(sum)) = by_name(request)["keda.scaler.errors"].data.clone() else { panic!() };
            sum.data_points[0].start_time_unix_nano
        };
        assert_eq!(start(&first), start(&second), "a cumulative sum has one beginning");
        operator.forget_object("ns", "web");
        operator.forget_job("ns", "web");
        shutdown.cancel();
        task.await.unwrap();
        let mut last = arrived.recv().await.unwrap().0;
        while let Ok((later, _)) = arrived.try_recv() {
            last = later;
        }
        let names = by_name(&last);
        assert!(names.contains_key("keda.trigger.totals"), "the last values come with the shutdown");
        assert!(!names.contains_key("keda.scaler.active"), "{:?}", names.keys());
    }
}

#[tokio::test]
async fn differences_are_told_once_and_none_is_lost_while_the_collector_is_away() {
    let (listener, address) = listen().await;
    drop(listener);
    let (registry, operator) = metrics();
    let delta = [
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "100"),
    ];
    let (shutdown, task) = start(settings("http", address, &delta), &registry);
    tokio::time::sleep(Duration::from_millis(300)).await;
    operator.object_failed("ns", "web");
    let mut arrived = collect("http", TcpListener::bind(address).await.unwrap());
    let sum = |request: &ExportMetricsServiceRequest| {
        let metric = by_name(request).remove("keda.scaledobject.errors")?;
        let Some(Data::Sum(sum)) = metric.data else { panic!("{metric:?}") };
        assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (DELTA, true));
        Some(sum.data_points[0].clone())
    };
    let (request, _) = arrived.recv().await.unwrap();
    let first = sum(&request).unwrap();
    assert_eq!(first.value, Some(Value::AsInt(2)), "what was missed comes with the next push");
    // Up-down counters are always told whole.
    let Some(Data::Sum(triggers)) = by_name(&request)["keda.trigger.registered.count"].data.clone() else {
        panic!()
    };
    assert_eq!(triggers.aggregation_temporality, CUMULATIVE);
    assert_eq!(triggers.data_points[0].value, Some(Value::AsInt(3)));
    let (request, _) = arrived.recv().await.unwrap();
    assert!(sum(&request).is_none(), "nothing happened");
    operator.object_failed("ns", "web");
    let next = loop {
        let (request, _) = arrived.recv().await.unwrap();
        if let Some(next) = sum(&request) {
            break next;
        }
    };
    assert_eq!(next.value, Some(Value::AsInt(1)));
    assert_eq!(next.start_time_unix_nano, first.time_unix_nano, "intervals meet and do not overlap");
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn thousands_of_series_come_in_messages_that_a_collector_takes() {
    let (listener, address) = listen().await;
    let mut arrived = collect("grpc", listener);
    let registry = Registry::new();
    let operator = Operator::new(&registry, false);
    for object in 0..5000 {
        operator.paused("ns", &format!("object-{object}"), false);
    }
    let (shutdown, task) = start(settings("grpc", address, &[]), &registry);
    let mut points = 0;
    while points < 5000 {
        let (request, _) = arrived.recv().await.unwrap();
        assert!(request.encoded_len() < 4 << 20, "{}", request.encoded_len());
        let Some(Data::Gauge(gauge)) = by_name(&request)["keda.scaled.object.paused"].data.clone() else {
            panic!()
        };
        points += gauge.data_points.len();
    }
    assert_eq!(points, 5000);
    shutdown.cancel();
    task.await.unwrap();
}
