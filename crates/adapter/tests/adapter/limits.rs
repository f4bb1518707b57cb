//! What a client can ask for, and what it cannot: time, size, numbers; and certificates that change under its hands.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use keda_tls::make::{Authority, Subject};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    operator::Say,
    stage::{Stage, path_of, until},
};

#[tokio::test]
async fn a_request_takes_no_longer_than_it_wants_to() {
    let (stage, _operator) = Stage::up().await;
    stage.script.say("m", Say::Nothing);
    let caller = stage.hpa();
    let began = Instant::now();
    let reply = caller.get(&format!("{}&timeout=200ms", path_of("m"))).await;
    assert_eq!(reply.error().0, 500);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());

    stage.script.say("n", Say::Value("1"));
    for usual in ["", "0", "0s", "1h", "30s"] {
        assert_eq!(caller.get(&format!("{}&timeout={usual}", path_of("n"))).await.value(), "1", "{usual}");
    }
    let (status, text) = caller.get(&format!("{}&timeout=soon", path_of("n"))).await.error();
    assert_eq!(status, 400);
    assert_eq!(text, "invalid timeout specified in the request URL - time: invalid duration \"soon\"");
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let (stage, _operator) = Stage::up().await;
    let long = "x".repeat(100 * 1024);
    let reply = stage.hpa().with("X-Long", &long).get("/healthz").await;
    assert_eq!(reply.status, 431);
    let fits = "x".repeat(16 * 1024);
    assert_eq!(stage.hpa().with("X-Long", &fits).get("/healthz").await.status, 200);
}

#[tokio::test]
async fn clients_that_never_finish_are_cut_off_and_delay_nobody() {
    let (stage, _operator) = Stage::up().await;
    stage.script.say("m", Say::Value("1"));
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = stage.anybody().connect(b"http/1.1").await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: loc").await.unwrap();
        slow.push(stream);
    }
    let began = Instant::now();
    assert_eq!(stage.hpa().get(&path_of("m")).await.value(), "1");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    for mut stream in slow {
        let mut rest = Vec::new();
        let cut = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        assert!(cut.is_ok(), "still open after 20 s");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_those_that_are_open_go_on() {
    let (stage, _operator) = Stage::up_with(|options| options.max_connections = 8).await;
    stage.script.say("m", Say::Value("1"));
    let kept = stage.hpa().keep().await;
    assert_eq!(kept.get(&path_of("m")).await.value(), "1");
    let mut others = Vec::new();
    for _ in 0..30 {
        others.extend(stage.anybody().connect(b"http/1.1").await.ok());
    }
    assert_eq!(kept.get(&path_of("m")).await.value(), "1", "an API server's connection is not given away");
    // Whoever says nothing goes, after ten seconds, and makes room.
    tokio::time::sleep(Duration::from_secs(9)).await;
    until("there is room again", || async {
        let Ok(mut stream) = stage.anybody().connect(b"http/1.1").await else { return false };
        let mut answer = Vec::new();
        let asked =
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        asked.is_ok() && stream.read_to_end(&mut answer).await.is_ok() && answer.starts_with(b"HTTP/1.1 200")
    })
    .await;
    drop(others);
}

#[tokio::test]
async fn a_request_ends_even_if_the_api_server_does_not_answer() {
    let (stage, _operator) =
        Stage::up_with(|options| options.request_deadline = Duration::from_millis(300)).await;
    stage.api.hang();
    let began = Instant::now();
    let (status, text) =
        stage.anybody().with("Authorization", "Bearer unknown").get(&path_of("m")).await.error();
    assert_eq!(
        (status, text.as_str()),
        (504, "Timeout: request did not complete within the allotted timeout")
    );
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

/// Resident bytes of this process.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test]
async fn ten_thousand_metrics_take_little() {
    const NAMES: usize = 10_000;
    let (stage, operator) = Stage::up().await;
    let kept = stage.hpa().keep().await;
    let name = |number: usize| format!("s{number}-prometheus-of-a-name-that-is-rather-long");
    for number in 0..NAMES {
        stage.script.say(&name(number), Say::Value("1"));
    }
    let before = resident();
    for number in 0..NAMES {
        assert_eq!(kept.get(&path_of(&name(number))).await.status, 200);
    }
    let grown = resident().saturating_sub(before);
    // Three kilobytes a metric, with all that other tests in this process take meanwhile.
    assert!(grown < 32 * 1024 * 1024, "{grown} bytes");
    drop(operator);
    for number in [0, NAMES / 2, NAMES - 1] {
        assert_eq!(
            kept.get(&path_of(&name(number))).await.value(),
            "1",
            "the last good answer of each is kept"
        );
    }
}

#[tokio::test]
async fn certificates_change_under_traffic_and_no_connection_is_refused() {
    let (stage, _operator) = Stage::up().await;
    stage.script.say("m", Say::Value("1"));
    let (made, shutdown) = (Arc::new(AtomicUsize::new(0)), tokio_util::sync::CancellationToken::new());
    // The stage's CA goes on signing, as it does when a certificate is renewed.
    let authority = Authority::load(&stage.bundle.ca, stage.bundle.ca_key.as_bytes()).unwrap();
    let caller = stage.hpa();
    let (count, stop) = (made.clone(), shutdown.clone());
    let traffic = tokio::spawn(async move {
        while !stop.is_cancelled() {
            assert_eq!(caller.get(&path_of("m")).await.value(), "1");
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let generation =
        || stage.measured("keda_adapter_certificate_not_after_timestamp_seconds{certificate=\"serving\"}");
    let mut bundle = stage.bundle.clone();
    for days in [400, 500] {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let subject = Subject { common_name: "renewed", organization: "", names: &names };
        let validity = Duration::from_secs(days * 24 * 3600);
        let before = generation();
        (bundle.cert, bundle.key) =
            authority.issue(&subject, std::time::SystemTime::now(), validity).unwrap();
        bundle.write_to(stage.folder.path()).unwrap();
        until("the new certificate is served", || async { generation() != before }).await;
        let enough = made.load(Ordering::Relaxed) + 5;
        until("traffic goes on", || async { made.load(Ordering::Relaxed) >= enough }).await;
        assert!(!traffic.is_finished());
    }
    shutdown.cancel();
    traffic.await.unwrap();
}
