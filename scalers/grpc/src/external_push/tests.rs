//! The `external-push` trigger: what the scaler says by itself.

use std::sync::Arc;
use std::time::Duration;

use keda_scaler::contract::{Contract, Source, parameters, upstream};
use keda_scaler::{Factory, Live, Parameters, Signal};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tonic::Status;

use super::Trigger;
use crate::server::{Server, connected, spec};

const FACTORY: Factory = Factory::of::<Trigger>();

/// Upstream accepts a CA that is none, and fails at every call.
const DIFFERENT: &str =
    "858a235a102c9780 a caCert that is no certificate is refused before anybody is dialled";

fn given() -> Parameters {
    parameters(&[("scalerAddress", "scaler.shop:9090"), ("queue", "orders")], &[])
}

#[tokio::test(start_paused = true)]
async fn the_contract_holds() {
    let contract =
        Contract { factory: FACTORY, parameters: given(), source: Source::Remote(Server::channels_in) };
    contract.check().await;
}

#[test]
fn upstreams_cases() {
    if let Some(report) = upstream::run(&FACTORY, "") {
        assert!(report.differences.is_empty(), "{report}");
    }
    // The same parse function.
    if let Some(report) = upstream::run_records(&FACTORY, "external", DIFFERENT) {
        assert!(report.differences.is_empty(), "{report}");
    }
}

/// Listens in the background.
async fn listening(server: &Server) -> (Arc<Live>, UnboundedReceiver<Signal>, tokio::task::JoinHandle<()>) {
    let (_, live) = connected(FACTORY, &given(), &server.environment()).await;
    let live = Arc::new(live);
    let (sender, receiver) = mpsc::unbounded_channel();
    let listener = live.clone();
    let task = tokio::spawn(async move {
        listener
            .listen(move |signal| {
                let _gone = sender.send(signal);
            })
            .await;
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    (live, receiver, task)
}

async fn nothing(signals: &mut UnboundedReceiver<Signal>, seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    assert_eq!(signals.try_recv().ok(), None);
}

#[tokio::test(start_paused = true)]
async fn work_is_heard_and_its_absence_is_not() {
    let server = Server::new();
    let (_live, mut signals, task) = listening(&server).await;
    assert_eq!(server.say(&Ok(false)), 1);
    nothing(&mut signals, 1).await;
    server.say(&Ok(true));
    assert_eq!(signals.recv().await, Some(Signal::Active));
    // It stays open for hours.
    tokio::time::sleep(Duration::from_secs(7200)).await;
    server.say(&Ok(true));
    assert_eq!(signals.recv().await, Some(Signal::Active));
    assert_eq!(server.times_asked("StreamIsActive"), 1);
    assert_eq!(server.times_asked("StreamMetricSpec"), 1, "what it does not have it is not asked for again");
    // Whoever loses interest closes the stream.
    task.abort();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.say(&Ok(true)), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_broke_is_opened_again() {
    let server = Server::new();
    let (_live, mut signals, _task) = listening(&server).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    // It was well: nobody is told, and it is back within a second and a quarter.
    server.say(&Err(Status::unavailable("the pod goes")));
    nothing(&mut signals, 2).await;
    assert_eq!(server.say(&Ok(true)), 1);
    assert_eq!(signals.recv().await, Some(Signal::Active));
    // It breaks at once, and again: this is told.
    server.say(&Err(Status::internal("a defect of the scaler")));
    let Some(Signal::Lost(error)) = signals.recv().await else { panic!("not told") };
    let words =
        "StreamIsActive at scaler.shop:9090: rpc error: code = Internal desc = a defect of the scaler";
    assert_eq!(error.message, words);
    server.script(|script| script.gone = true);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let mut told = 0;
    while let Ok(signal) = signals.try_recv() {
        assert!(matches!(signal, Signal::Lost(_)), "{signal:?}");
        told += 1;
    }
    assert!(told < 18, "{told} attempts in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn metrics_are_heard_and_replace_what_is_asked_for() {
    let server = Server::new();
    server.script(|script| script.streams_specs = true);
    let (live, mut signals, _task) = listening(&server).await;
    let asked = server.times_asked("GetMetricSpec");
    assert_eq!(server.say_specs(&[spec("depth", 9, 0.0), spec("age", 1, 0.0)]), 1);
    let Some(Signal::Metrics(heard)) = signals.recv().await else { panic!("not told") };
    assert_eq!(heard.iter().map(|metric| metric.name.as_str()).collect::<Vec<_>>(), ["depth", "age"]);
    assert_eq!(live.metrics().await.unwrap(), heard);
    assert_eq!(server.times_asked("GetMetricSpec"), asked, "it said so itself");
    // What an HPA cannot have is no metric, and takes none away.
    server.say_specs(&[]);
    let Some(Signal::Lost(error)) = signals.recv().await else { panic!("not told") };
    assert!(error.message.contains("StreamMetricSpec at scaler.shop:9090: got empty metric spec"), "{error}");
    assert_eq!(live.metrics().await.unwrap(), heard);
    // The stream ends, and it is asked again.
    server.hush();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(live.metrics().await.unwrap()[0].name, "depth");
    assert_eq!(server.times_asked("GetMetricSpec"), asked + 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(server.times_asked("StreamMetricSpec"), 2, "and listened to again");
}
