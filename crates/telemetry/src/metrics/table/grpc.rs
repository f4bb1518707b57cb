//! gRPC calls between adapter and operator, with the names that upstream takes from go-grpc-middleware.

use super::Definition;

const BUCKETS: &[f64] = &[0.001, 0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0];
const METHOD: &[&str] = &["grpc_type", "grpc_service", "grpc_method"];
const METHOD_AND_CODE: &[&str] = &["grpc_type", "grpc_service", "grpc_method", "grpc_code"];

/// Calls that came.
pub static SERVER_STARTED: Definition = Definition::counter(
    "keda_internal_metricsservice_grpc_server_started_total",
    METHOD,
    "Total number of RPCs started on the server.",
);
/// Calls that were answered.
pub static SERVER_HANDLED: Definition = Definition::counter(
    "keda_internal_metricsservice_grpc_server_handled_total",
    METHOD_AND_CODE,
    "Total number of RPCs completed on the server, regardless of success or failure.",
);
/// Messages that came.
pub static SERVER_RECEIVED: Definition = Definition::counter(
    "keda_internal_metricsservice_grpc_server_msg_received_total",
    METHOD,
    "Total number of RPC stream messages received on the server.",
);
/// Messages that left.
pub static SERVER_SENT: Definition = Definition::counter(
    "keda_internal_metricsservice_grpc_server_msg_sent_total",
    METHOD,
    "Total number of gRPC stream messages sent by the server.",
);
/// How long answers took.
pub static SERVER_SECONDS: Definition = Definition::histogram(
    "keda_internal_metricsservice_grpc_server_handling_seconds",
    METHOD,
    BUCKETS,
    "Response latency (seconds) of gRPC that had been application-level handled by the server.",
);
/// Calls that were made.
pub static CLIENT_STARTED: Definition = Definition::counter(
    "keda_internal_metricsservice_grpc_client_started_total",
    METHOD,
    "Total number of RPCs started on the client.",
);
/// Calls that ended.
pub static CLIENT_HANDLED: Definition = Definition::counter(
    "keda_internal_metricsservice_grpc_client_handled_total",
    METHOD_AND_CODE,
    "Total number of RPCs completed by the client, regardless of success or failure.",
);
/// Messages that came.
pub static CLIENT_RECEIVED: Definition = Definition::counter(
    "keda_internal_metricsservice_grpc_client_msg_received_total",
    METHOD,
    "Total number of RPC stream messages received by the client.",
);
/// Messages that left.
pub static CLIENT_SENT: Definition = Definition::counter(
    "keda_internal_metricsservice_grpc_client_msg_sent_total",
    METHOD,
    "Total number of gRPC stream messages sent by the client.",
);
/// How long calls took.
pub static CLIENT_SECONDS: Definition = Definition::histogram(
    "keda_internal_metricsservice_grpc_client_handling_seconds",
    METHOD,
    BUCKETS,
    "Response latency (seconds) of the gRPC until it is finished by the application.",
);

/// The operator's side.
pub const GRPC_SERVER: &[&Definition] =
    &[&SERVER_STARTED, &SERVER_HANDLED, &SERVER_RECEIVED, &SERVER_SENT, &SERVER_SECONDS];
/// The adapter's side.
pub const GRPC_CLIENT: &[&Definition] =
    &[&CLIENT_STARTED, &CLIENT_HANDLED, &CLIENT_RECEIVED, &CLIENT_SENT, &CLIENT_SECONDS];
