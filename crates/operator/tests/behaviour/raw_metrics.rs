//! The raw metrics stream (platform.md §3.7).

use std::time::Duration;

use futures::StreamExt;
use keda_metrics_service::api::{
    RawMetric, RawMetricsRequest, RawMetricsResponse, ScaledObjectRef, SubscriptionRequest,
    raw_metrics_service_server::RawMetricsService,
};
use keda_operator::{ControllerOptions, Metrics, RawMetricsMode};
use serde_json::json;
use tonic::{Code, Request, Status};

use crate::harness::{Setup, World, Yield, deployment, prometheus, scaled_object};

type Values = <Metrics as RawMetricsService>::GetRawMetricsStreamStream;

async fn world(mode: RawMetricsMode) -> World {
    let options = ControllerOptions { raw_metrics: mode, ..ControllerOptions::default() };
    let mut world = World::new(Setup { hpa: None, options, ..Setup::default() });
    world.start_operator().await;
    world.source.set("load", 35.0);
    world.apply(&deployment("web", 1)).await.unwrap();
    let mut trigger = prometheus("load");
    trigger["name"] = json!("load");
    let mut web = scaled_object("web", &[trigger]);
    web["spec"]["fallback"] = json!({ "failureThreshold": 1, "replicas": 4 });
    world.apply(&web).await.unwrap();
    world.until(Duration::from_secs(5)).await;
    world
}

fn subscription(subscriber: &str, trigger: &str) -> Request<SubscriptionRequest> {
    let metric_metadata = Some(ScaledObjectRef {
        name: "web".to_owned(),
        namespace: "default".to_owned(),
        metric_name: trigger.to_owned(),
    });
    Request::new(SubscriptionRequest { subscriber: subscriber.to_owned(), metric_metadata })
}

async fn subscribe(metrics: &Metrics, subscriber: &str, trigger: &str) -> Result<bool, Status> {
    let answer = metrics.subscribe_metric(subscription(subscriber, trigger)).await?;
    Ok(answer.into_inner().was_subscribed)
}

async fn open(metrics: &Metrics, subscriber: &str) -> Result<Values, Status> {
    let request = RawMetricsRequest { subscriber: subscriber.to_owned() };
    Ok(metrics.get_raw_metrics_stream(Request::new(request)).await?.into_inner())
}

/// What is in the stream by now.
async fn waiting(values: &mut Values) -> Vec<RawMetric> {
    let mut all = Vec::new();
    while let Ok(Some(value)) = tokio::time::timeout(Duration::from_millis(1), values.next()).await {
        let RawMetricsResponse { metrics } = value.unwrap();
        all.extend(metrics);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn subscribers_are_sent_what_polls_and_hpas_read() {
    for (mode, polled, asked) in [
        (RawMetricsMode::All, true, true),
        (RawMetricsMode::PollingInterval, true, false),
        (RawMetricsMode::Hpa, false, true),
    ] {
        let mut world = world(mode).await;
        let metrics = world.metrics();
        assert!(!subscribe(&metrics, "tool", "load").await.unwrap());
        assert!(subscribe(&metrics, "tool", "load").await.unwrap(), "already");
        assert!(!subscribe(&metrics, "other", "another-trigger").await.unwrap());
        let mut values = open(&metrics, "tool").await.unwrap();
        let mut others = open(&metrics, "other").await.unwrap();
        world.until(Duration::from_secs(50)).await;
        let of_polls = waiting(&mut values).await;
        assert_eq!(!of_polls.is_empty(), polled, "{mode:?}");
        if let Some(value) = of_polls.first() {
            assert_eq!((value.value, value.is_active), (35.0, true));
            let of = value.metadata.clone().unwrap();
            assert_eq!(
                (of.namespace.as_str(), of.name.as_str(), of.metric_name.as_str()),
                ("default", "web", "load")
            );
            assert!(value.timestamp.unwrap().seconds > 0);
        }
        metrics.get("default", "web", "s0-prometheus").await.unwrap();
        assert_eq!(waiting(&mut values).await.len(), usize::from(asked), "{mode:?}");
        assert!(waiting(&mut others).await.is_empty());

        // With the last subscription the stream ends.
        let gone = metrics.unsubscribe_metric(subscription("tool", "load")).await.unwrap().into_inner();
        assert!(gone.was_subscribed);
        assert!(values.next().await.is_none());
        let gone = metrics.unsubscribe_metric(subscription("tool", "load")).await.unwrap().into_inner();
        assert!(!gone.was_subscribed);
        world.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_what_the_trigger_counts_as() {
    let mut world = world(RawMetricsMode::All).await;
    let metrics = world.metrics();
    subscribe(&metrics, "tool", "load").await.unwrap();
    let mut values = open(&metrics, "tool").await.unwrap();
    world.source.set("load", Yield::Down);
    world.until(Duration::from_secs(120)).await;
    let last = waiting(&mut values).await.pop().unwrap();
    assert_eq!(last.value, 40.0, "four replicas of target 10");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn who_reads_nothing_for_a_minute_is_dropped_and_hinders_nobody() {
    let mut world = world(RawMetricsMode::All).await;
    let metrics = world.metrics();
    subscribe(&metrics, "tool", "load").await.unwrap();
    let mut values = open(&metrics, "tool").await.unwrap();
    // A second stream of the same subscriber takes the place of the first.
    let mut again = open(&metrics, "tool").await.unwrap();
    assert!(values.next().await.is_none());
    world.until(Duration::from_secs(40)).await;
    assert!(!waiting(&mut again).await.is_empty());
    drop(again);
    // Thirty seconds are not enough, two minutes are.
    world.until(Duration::from_secs(65)).await;
    assert!(subscribe(&metrics, "tool", "load").await.unwrap(), "still subscribed");
    world.until(Duration::from_secs(240)).await;
    assert!(!subscribe(&metrics, "tool", "load").await.unwrap(), "dropped");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_served_says_so() {
    let mut world = world(RawMetricsMode::Off).await;
    let off = subscribe(&world.metrics(), "tool", "load").await.unwrap_err();
    assert_eq!(off.code(), Code::Unimplemented);
    assert!(off.message().contains("RAW_METRICS_GRPC_PROTOCOL"), "{off}");
    world.finish().await;
    let mut world = self::world(RawMetricsMode::All).await;
    let metrics = world.metrics();
    let nameless = open(&metrics, "").await.err().unwrap();
    assert_eq!(
        (nameless.code(), nameless.message()),
        (Code::InvalidArgument, "subscriber must be specified")
    );
    for number in 0..1000 {
        subscribe(&metrics, &format!("tool-{number}"), "load").await.unwrap();
    }
    assert_eq!(subscribe(&metrics, "one-more", "load").await.unwrap_err().code(), Code::ResourceExhausted);
    world.finish().await;
}
