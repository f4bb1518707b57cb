use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use tracing_subscriber::layer::SubscriberExt;

use super::*;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn printed(options: Options, work: impl FnOnce()) -> String {
    let sink = Sink::default();
    let subscriber = tracing_subscriber::registry().with(layer::Zap::new(&options, sink.clone()));
    tracing::subscriber::with_default(subscriber, work);
    let bytes = sink.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn options(encoder: &str, level: &str, time: &str) -> Options {
    Options {
        encoder: Some(encoder.parse().unwrap()),
        level: Some(level.parse().unwrap()),
        time: time.parse().unwrap(),
        ..Options::default()
    }
}

#[test]
fn json_is_zaps() {
    let text = printed(Options::default(), || {
        let object = tracing::info_span!(target: "keda_operator", "object", namespace = "ns");
        let _entered = object.enter();
        tracing::info!(target: "keda_operator::poll", replicas = 3, ratio = f64::NAN, error = %"a \"b\"\n", "scaled");
    });
    let (start, rest) = text.split_once("\"ts\":\"").unwrap();
    let (time, rest) = rest.split_once('"').unwrap();
    assert_eq!(start, "{\"level\":\"info\",");
    assert_eq!((time.len(), &time[19..]), (20, "Z"), "{time}");
    assert_eq!(
        rest,
        ",\"logger\":\"scale_handler\",\"msg\":\"scaled\",\"replicas\":3,\"ratio\":\"NaN\",\"error\":\"a \\\"b\\\"\\n\",\"namespace\":\"ns\"}\n"
    );
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
}

#[test]
fn console_is_zaps() {
    let text = printed(options("console", "info", "rfc3339"), || {
        tracing::error!(logger = "grpc_server", object = "a/b", ok = false, "cannot\nserve");
        tracing::warn!(target: "keda", "bare");
    });
    let lines: Vec<_> = text.lines().map(|line| line.split_once('\t').unwrap().1).collect();
    assert_eq!(
        lines,
        ["ERROR\tgrpc_server\tcannot serve\t{\"object\": \"a/b\", \"ok\": false}", "WARN\tsetup\tbare"]
    );
}

#[test]
fn levels() {
    let count = |level: &str| {
        let text = printed(options("json", level, "nano"), || {
            tracing::error!(target: "keda", "e");
            tracing::info!(target: "keda", "i");
            tracing::debug!(target: "keda", "d");
            tracing::trace!(target: "keda", "t");
            tracing::info!(target: "kube_client", "foreign");
        });
        text.lines().count()
    };
    assert_eq!(["panic", "error", "info", "debug", "1", "2", "9"].map(count), [0, 1, 2, 4, 4, 5, 5]);
}

#[test]
fn times() {
    let time = |encoding: &str| {
        let text = printed(options("json", "info", encoding), || tracing::info!(target: "keda", "x"));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["ts"].clone()
    };
    for number in ["epoch", "millis", "nano"] {
        assert!(time(number).is_number(), "{number}");
    }
    for (text, length) in [("rfc3339", 20), ("iso8601", 24), ("rfc3339nano", 30)] {
        assert_eq!(time(text).as_str().map(str::len), Some(length), "{text}");
    }
}

#[test]
fn words() {
    assert_eq!("Debug".parse(), Ok(Level::Verbosity(1)));
    assert_eq!("300".parse(), Ok(Level::Verbosity(255)));
    for refused in ["0", "-1", "warn", ""] {
        refused.parse::<Level>().unwrap_err();
    }
    let error = "xml".parse::<Encoder>().unwrap_err();
    assert_eq!(error.to_string(), "invalid value \"xml\" (allowed: json, console)");
    assert_eq!(Level::Verbosity(1).to_string(), "debug");
}
