//! Metrics of gRPC calls, with the names that upstream takes from go-grpc-middleware.

use std::time::Instant;

use super::{Counter, CounterSeries, Histogram, HistogramSeries, Registry};

const BUCKETS: &[f64] = &[0.001, 0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0];
const METHOD: &[&str] = &["grpc_type", "grpc_service", "grpc_method"];
const METHOD_AND_CODE: &[&str] = &["grpc_type", "grpc_service", "grpc_method", "grpc_code"];

/// Who calls whom with how many messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One message each way.
    Unary,
    /// Many from the server.
    ServerStream,
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ServerStream => "server_stream",
        }
    }
}

/// The families of one side.
#[derive(Clone, Debug)]
pub struct Grpc {
    started: Counter,
    handled: Counter,
    received: Counter,
    sent: Counter,
    seconds: Histogram,
}

impl Grpc {
    /// `keda_internal_metricsservice_grpc_server_*`.
    pub fn server(registry: &Registry) -> Self {
        Self {
            started: registry.counter(
                "keda_internal_metricsservice_grpc_server_started_total",
                "Total number of RPCs started on the server.",
                METHOD,
            ),
            handled: registry.counter(
                "keda_internal_metricsservice_grpc_server_handled_total",
                "Total number of RPCs completed on the server, regardless of success or failure.",
                METHOD_AND_CODE,
            ),
            received: registry.counter(
                "keda_internal_metricsservice_grpc_server_msg_received_total",
                "Total number of RPC stream messages received on the server.",
                METHOD,
            ),
            sent: registry.counter(
                "keda_internal_metricsservice_grpc_server_msg_sent_total",
                "Total number of gRPC stream messages sent by the server.",
                METHOD,
            ),
            seconds: registry.histogram(
                "keda_internal_metricsservice_grpc_server_handling_seconds",
                "Response latency (seconds) of gRPC that had been application-level handled by the server.",
                METHOD,
                BUCKETS,
            ),
        }
    }

    /// `keda_internal_metricsservice_grpc_client_*`.
    pub fn client(registry: &Registry) -> Self {
        Self {
            started: registry.counter(
                "keda_internal_metricsservice_grpc_client_started_total",
                "Total number of RPCs started on the client.",
                METHOD,
            ),
            handled: registry.counter(
                "keda_internal_metricsservice_grpc_client_handled_total",
                "Total number of RPCs completed by the client, regardless of success or failure.",
                METHOD_AND_CODE,
            ),
            received: registry.counter(
                "keda_internal_metricsservice_grpc_client_msg_received_total",
                "Total number of RPC stream messages received by the client.",
                METHOD,
            ),
            sent: registry.counter(
                "keda_internal_metricsservice_grpc_client_msg_sent_total",
                "Total number of gRPC stream messages sent by the client.",
                METHOD,
            ),
            seconds: registry.histogram(
                "keda_internal_metricsservice_grpc_client_handling_seconds",
                "Response latency (seconds) of the gRPC until it is finished by the application.",
                METHOD,
                BUCKETS,
            ),
        }
    }

    /// The series of one method, which appear at once (at zero), as upstream initialises them.
    pub fn method(&self, kind: Kind, service: &'static str, method: &'static str) -> Method {
        let labels = [kind.text(), service, method];
        Method {
            started: self.started.series(&labels),
            received: self.received.series(&labels),
            sent: self.sent.series(&labels),
            seconds: self.seconds.series(&labels),
            ok: self.handled.series(&[labels[0], labels[1], labels[2], code_name(0)]),
            handled: self.handled.clone(),
            labels,
        }
    }
}

/// One method's series. Keep it: counting takes no lock.
#[derive(Clone, Debug)]
pub struct Method {
    started: CounterSeries,
    received: CounterSeries,
    sent: CounterSeries,
    seconds: HistogramSeries,
    ok: CounterSeries,
    handled: Counter,
    labels: [&'static str; 3],
}

impl Method {
    /// A unary call on the server begins: its message has come.
    pub fn serve(&self) -> Call<'_> {
        self.received.inc();
        self.begin(&self.sent)
    }

    /// A unary call of the client begins: its message leaves.
    pub fn call(&self) -> Call<'_> {
        self.sent.inc();
        self.begin(&self.received)
    }

    fn begin<'a>(&'a self, answer: &'a CounterSeries) -> Call<'a> {
        self.started.inc();
        Call { method: self, answer, since: Instant::now() }
    }
}

/// A unary call under way.
#[derive(Debug)]
#[must_use]
pub struct Call<'a> {
    method: &'a Method,
    answer: &'a CounterSeries,
    since: Instant,
}

impl Call<'_> {
    /// It ended with this gRPC code, 0 for success.
    pub fn end(self, code: i32) {
        let method = self.method;
        method.seconds.observe(self.since.elapsed().as_secs_f64());
        if code == 0 {
            self.answer.inc();
            method.ok.inc();
        } else {
            let [kind, service, name] = method.labels;
            method.handled.inc(&[kind, service, name, code_name(code)]);
        }
    }
}

/// Go's name of a gRPC code; `Unknown` for numbers that are none.
pub fn code_name(code: i32) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    usize::try_from(code).ok().and_then(|i| NAMES.get(i)).copied().unwrap_or("Unknown")
}
