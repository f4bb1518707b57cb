//! What a client can do, and what it cannot: sizes, slowness, numbers; and certificates that change under its hands.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use keda_tls::make::{Authority, Subject};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{Client, Reply, review},
    stage::{SCALED_OBJECT, Stage, object, server, until},
};

async fn post(client: &Client, path: &str, content_type: &str, body: impl Into<Bytes>) -> Reply {
    let request = Request::post(path).header("host", "localhost").header("content-type", content_type);
    client.keep().await.send(request.body(Full::new(body.into())).unwrap()).await
}

#[tokio::test]
async fn what_is_no_question_is_an_http_error() {
    let stage = Stage::up().await;
    let client = stage.client();
    let question = serde_json::to_vec(&review("CREATE", &object(json!({})), &Value::Null)).unwrap();
    let json = "application/json";
    for (path, content_type, body, status) in [
        ("/", json, question.clone(), 404),
        ("/validate-keda-sh-v1alpha1-scaledobject/", json, question.clone(), 404),
        (SCALED_OBJECT, "text/plain", question.clone(), 415),
        (SCALED_OBJECT, "application/json; charset=utf-8", question, 200),
        (SCALED_OBJECT, json, b"{".to_vec(), 400),
        (SCALED_OBJECT, json, Vec::new(), 400),
        (
            SCALED_OBJECT,
            json,
            br#"{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview"}"#.to_vec(),
            400,
        ),
        (
            SCALED_OBJECT,
            json,
            br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}"#.to_vec(),
            400,
        ),
    ] {
        let reply = post(&client, path, content_type, body).await;
        assert_eq!(reply.status, status, "{path} {content_type}: {}", reply.text);
    }
    let request = Request::get(SCALED_OBJECT).header("host", "localhost").body(Full::default()).unwrap();
    assert_eq!(client.keep().await.send(request).await.status, 405);
}

#[tokio::test]
async fn a_body_is_as_large_as_etcd_allows_twice_and_no_larger() {
    let stage = Stage::up().await;
    let large = object(json!({"metadata": {"annotations": {"big": "x".repeat(1_500_000)}}}));
    let question = review("UPDATE", &large, &large);
    assert!(stage.client().ask(SCALED_OBJECT, &question).await.verdict().allowed);
    let reply = post(&stage.client(), SCALED_OBJECT, "application/json", vec![b' '; 8 << 20]).await;
    assert_eq!(
        (reply.status, reply.text.as_str()),
        (413, "request entity is too large; limit is 7340032 bytes\n")
    );
}

#[tokio::test]
async fn clients_that_never_finish_are_cut_off_and_delay_nobody() {
    let stage = Stage::up().await;
    let mut slow = Vec::new();
    for part in ["POST /validate HTTP/1.1\r\nHost: loc", ""] {
        for _ in 0..20 {
            let mut stream = stage.client().connect().await.unwrap();
            stream.write_all(part.as_bytes()).await.unwrap();
            slow.push(stream);
        }
    }
    // A body that does not come: this one is told so when its time is over.
    let mut stuck = stage.client().connect().await.unwrap();
    let head = format!(
        "POST {SCALED_OBJECT}?timeout=2s HTTP/1.1\r\nHost: l\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{{"
    );
    stuck.write_all(head.as_bytes()).await.unwrap();
    let began = Instant::now();
    assert!(stage.create(&object(json!({}))).await.allowed);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let mut answer = [0; 12];
    stuck.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    for mut stream in slow {
        let mut rest = Vec::new();
        let cut = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
        assert!(cut.is_ok(), "still open after 20 s");
    }
}

#[tokio::test]
async fn connections_are_bounded() {
    let stage = Stage::with(server(), |options| options.max_connections = 2).await;
    stage.becomes_ready().await;
    let (mut one, mut two) = (stage.client().keep().await, stage.client().keep().await);
    let question = review("CREATE", &object(json!({})), &Value::Null);
    assert!(one.ask(SCALED_OBJECT, &question).await.verdict().allowed);
    assert!(two.ask(SCALED_OBJECT, &question).await.verdict().allowed);
    let mut third = stage.client().connect().await.unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), third.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "a third connection is closed");
    drop(two);
    assert!(one.ask(SCALED_OBJECT, &question).await.verdict().allowed);
}

/// API servers rest their connections for up to 90 seconds; one that we closed under them would lose a question.
#[tokio::test]
async fn a_connection_that_rests_stays_open() {
    let stage = Stage::up().await;
    let mut kept = stage.client().keep().await;
    let question = review("CREATE", &object(json!({})), &Value::Null);
    assert!(kept.ask(SCALED_OBJECT, &question).await.verdict().allowed);
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert!(kept.ask(SCALED_OBJECT, &question).await.verdict().allowed);
}

#[tokio::test]
async fn certificates_change_under_traffic_and_no_question_is_lost() {
    let stage = Stage::up().await;
    let (made, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let authority = Authority::load(&stage.bundle.ca, stage.bundle.ca_key.as_bytes()).unwrap();
    let (client, count, stopped) = (stage.client(), made.clone(), stop.clone());
    let traffic = tokio::spawn(async move {
        let question = review("CREATE", &object(json!({})), &Value::Null);
        while !stopped.is_cancelled() {
            assert!(client.ask(SCALED_OBJECT, &question).await.verdict().allowed);
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let ends = || stage.measured("keda_webhooks_certificate_not_after_timestamp_seconds");
    let mut bundle = stage.bundle.clone();
    for days in [400, 500] {
        let names = ["localhost".to_owned()];
        let subject = Subject { common_name: "renewed", organization: "", names: &names };
        let before = ends();
        (bundle.cert, bundle.key) =
            authority.issue(&subject, SystemTime::now(), Duration::from_secs(days * 24 * 3600)).unwrap();
        bundle.write_to(stage.folder.path()).unwrap();
        until("the new certificate is served", || ends() != before).await;
        let enough = made.load(Ordering::Relaxed) + 5;
        until("traffic goes on", || made.load(Ordering::Relaxed) >= enough).await;
        assert!(!traffic.is_finished());
    }
    stop.cancel();
    traffic.await.unwrap();
    assert_eq!(stage.measured("certwatcher_read_certificate_total"), Some(3.0));
    assert_eq!(stage.measured("certwatcher_read_certificate_errors_total"), Some(0.0));
}

#[tokio::test]
async fn without_certificates_it_is_not_ready_and_waits_for_them() {
    let empty = tempfile::tempdir().unwrap();
    let folder = empty.path().to_owned();
    let stage = Stage::with(server(), |options| options.cert_dir = folder).await;
    until("the watches", || stage.ready.ready().is_err_and(|why| why.starts_with("serving-certificate: ")))
        .await;
    stage.bundle.write_to(empty.path()).unwrap();
    stage.becomes_ready().await;
    assert!(stage.create(&object(json!({}))).await.allowed);
}
