//! Connections: shared, made again, given up, ended; over pipes in memory and over TLS on loopback.

mod tls;

use std::time::Duration;

use keda_scaler::contract::parameters;
use keda_scaler::{Factory, Kind, Parameters};
use tokio::time::Instant;

use crate::server::{Server, connected};

const EXTERNAL: Factory = Factory::of::<crate::external::Trigger>();

fn at(address: &str) -> Parameters {
    parameters(&[("scalerAddress", address)], &[])
}

#[tokio::test(start_paused = true)]
async fn a_hundred_objects_share_a_connection_and_it_ends_with_the_last() {
    let server = Server::new();
    let world = server.environment();
    let mut all = Vec::new();
    for number in 0..100 {
        let mut parameters = at("scaler:1");
        parameters.metadata.insert("number".to_owned(), number.to_string());
        all.push(connected(EXTERNAL, &parameters, &world).await);
    }
    assert_eq!((server.dialled(), world.grpc.len()), (1, 1));
    let (_, other) = connected(EXTERNAL, &at("scaler:2"), &world).await;
    assert_eq!((server.dialled(), world.grpc.len()), (2, 2));
    drop(all);
    drop(other);
    assert!(world.grpc.is_empty(), "{:?}", world.grpc);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_went_without_a_word_is_given_up() {
    let server = Server::new();
    let (_, live) = connected(EXTERNAL, &at("scaler:1"), &server.environment()).await;
    server.script(|script| script.silent = true);
    let begun = Instant::now();
    let error = live.sample().await.remove(0).result.unwrap_err();
    assert_eq!(error.kind, Kind::Timeout);
    assert!(error.message.contains("at scaler:1: rpc error: code = DeadlineExceeded"), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 10, "the patience that docs.md promises");
    server.script(|script| script.silent = false);
    assert!(live.sample().await.remove(0).result.is_ok());
    assert_eq!(server.dialled(), 2, "over another connection");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_is_asked_at_once() {
    let server = Server::new();
    server.script(|script| script.gone = true);
    let world = server.environment();
    let parsed = EXTERNAL.parse(&at("scaler:1"), &keda_scaler::Context::default()).unwrap();
    let live = parsed.connect(&world).await.unwrap();
    for _ in 0..5 {
        let error = live.metrics().await.unwrap_err();
        assert!(error.kind == Kind::Unreachable && error.message.contains("nobody listens"), "{error}");
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    server.script(|script| script.gone = false);
    assert!(live.metrics().await.is_ok(), "no interval holds it up");
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_are_bounded() {
    let server = Server::new();
    let world = server.environment();
    let (_, live) = connected(EXTERNAL, &at("scaler:1"), &world).await;
    server.script(|script| script.silent = true);
    let waiting = futures::future::join_all((0..100).map(|_| live.sample()));
    let _late = tokio::time::timeout(Duration::from_secs(5), waiting).await;
    let begun = server.times_asked("GetMetrics") + server.times_asked("IsActive");
    assert!((1..=64).contains(&begun), "{begun}");
}
