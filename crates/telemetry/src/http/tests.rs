use std::sync::atomic::{AtomicBool, Ordering};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
};

use super::*;
use crate::metrics::table::Definition;

/// Status line and body.
async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn pages_and_probes() {
    let registry = Registry::new();
    static A: Definition = Definition::counter("a_total", &[], "A.");
    registry.counter(&A).inc(&[]);
    let works = Arc::new(AtomicBool::new(false));
    let check = works.clone();
    let ready = Checks::new().with("operator", move || {
        if check.load(Ordering::Relaxed) { Ok(()) } else { Err("no connection for 12s".to_owned()) }
    });
    let pages = Pages::new().metrics(registry).probe("healthz", Checks::new()).probe("readyz", ready);
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, pages, async {
        let _ = stopped.await;
    }));

    let (status, body) = get(address, "/metrics").await;
    assert_eq!((status, body.as_str()), (200, "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n"));
    assert_eq!(get(address, "/healthz").await, (200, "ok".to_owned()));
    assert_eq!(get(address, "/healthz/ping").await, (200, "ok".to_owned()));
    assert_eq!(get(address, "/healthz/other").await.0, 404);
    assert_eq!(get(address, "/").await.0, 404);
    let failing = "[+]ping ok\n[-]operator failed: no connection for 12s\nreadyz check failed\n";
    assert_eq!(get(address, "/readyz").await, (500, failing.to_owned()));
    assert_eq!(get(address, "/readyz?exclude=operator").await.0, 200);
    works.store(true, Ordering::Relaxed);
    let passing = "[+]ping ok\n[+]operator ok\nreadyz check passed\n";
    assert_eq!(get(address, "/readyz?verbose").await, (200, passing.to_owned()));
    assert_eq!(get(address, "/readyz/operator").await, (200, "ok".to_owned()));

    drop(stop);
    server.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn addresses_in_gos_spelling() {
    bind(":0").await.unwrap();
    let error = bind("nowhere").await.unwrap_err().to_string();
    assert!(error.starts_with("listen on nowhere: "), "{error}");
}
