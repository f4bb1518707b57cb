//! What is logged of a collector that is away. A file of its own: which log lines are wanted is known to the whole process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod stand_in;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use keda_telemetry::metrics::{Operator, Registry};
use stand_in::{collect, listen, settings, start};
use tokio::net::TcpListener;

/// What is logged while this is alive, on this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_dead_collector_is_said_once_and_so_is_its_return() {
    let lines = Lines::default();
    let out = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || out.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let logged = || String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let registry = Registry::new();
    let operator = Operator::new(&registry, false);
    operator.paused("ns", "web", false);
    for protocol in ["grpc", "http"] {
        lines.0.lock().unwrap().clear();
        let (listener, address) = listen().await;
        drop(listener);
        let patience = [("OTEL_METRIC_EXPORT_TIMEOUT", "100")];
        let (shutdown, task) = start(settings(protocol, address, &patience), &registry);
        tokio::time::sleep(Duration::from_millis(700)).await;
        let text = logged();
        assert_eq!(text.matches("could not be pushed").count(), 1, "{text}");
        assert!(text.contains(&address.to_string()), "{text}");
        assert!(text.contains("refused"), "{text}");
        let mut arrived = collect(protocol, TcpListener::bind(address).await.unwrap());
        arrived.recv().await.unwrap();
        arrived.recv().await.unwrap();
        arrived.recv().await.unwrap();
        let text = logged();
        assert_eq!(text.matches("are pushed again").count(), 1, "{text}");
        assert!(!text.contains("Bearer"), "{text}");
        shutdown.cancel();
        task.await.unwrap();
    }
}
