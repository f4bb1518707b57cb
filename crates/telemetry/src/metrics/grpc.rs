//! Metrics of gRPC calls, with the names that upstream takes from go-grpc-middleware.

use std::time::Instant;

use super::{Counter, CounterSeries, Histogram, HistogramSeries, Registry, table};

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
            started: registry.counter(&table::SERVER_STARTED),
            handled: registry.counter(&table::SERVER_HANDLED),
            received: registry.counter(&table::SERVER_RECEIVED),
            sent: registry.counter(&table::SERVER_SENT),
            seconds: registry.histogram(&table::SERVER_SECONDS),
        }
    }

    /// `keda_internal_metricsservice_grpc_client_*`.
    pub fn client(registry: &Registry) -> Self {
        Self {
            started: registry.counter(&table::CLIENT_STARTED),
            handled: registry.counter(&table::CLIENT_HANDLED),
            received: registry.counter(&table::CLIENT_RECEIVED),
            sent: registry.counter(&table::CLIENT_SENT),
            seconds: registry.histogram(&table::CLIENT_SECONDS),
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
