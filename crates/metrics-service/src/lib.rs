//! The gRPC contract between the adapter and the operator: messages, client and server.
//!
//! [`api`] is generated from `proto/metrics.proto` by `cargo xtask generate grpc` and committed, so that building needs no protobuf
//! compiler; a test in the xtask fails when the two differ. The wire format is upstream's (`pkg/metricsservice/api/metrics.proto`):
//! `/api.MetricsService/GetMetrics` and `/api.RawMetricsService/*`. Nothing here opens a socket.

/// Messages, clients and servers of the protobuf package `api`.
#[allow(missing_docs, clippy::all, reason = "generated")]
pub mod api {
    include!("generated/api.rs");
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::api::{
        ExternalMetricValue, Quantity, ScaledObjectRef, SubscriptionAck, Time, metrics_service_server,
        raw_metrics_service_server,
    };

    // Field numbers and types by hand, so that a slip in the .proto file cannot pass.

    #[test]
    fn reference_on_the_wire() {
        let reference =
            ScaledObjectRef { name: "so".into(), namespace: "ns".into(), metric_name: "s0-x".into() };
        assert_eq!(reference.encode_to_vec(), b"\x0a\x02so\x12\x02ns\x1a\x04s0-x");
    }

    #[test]
    fn value_on_the_wire() {
        let value = ExternalMetricValue {
            metric_name: "m".into(),
            metric_labels: [("a".to_owned(), "b".to_owned())].into(),
            timestamp: Some(Time { seconds: 5, nanos: 0 }),
            window: Some(0),
            value: Some(Quantity { string: "2500m".into() }),
        };
        let bytes = b"\x0a\x01m\x12\x06\x0a\x01a\x12\x01b\x1a\x02\x08\x05\x20\x00\x2a\x07\x0a\x052500m";
        assert_eq!(value.encode_to_vec(), bytes);
        assert_eq!(ExternalMetricValue::decode(&bytes[..]).unwrap(), value);
    }

    #[test]
    fn acknowledgement_on_the_wire() {
        let ack = SubscriptionAck { was_subscribed: true, message: Some(String::new()) };
        assert_eq!(ack.encode_to_vec(), b"\x08\x01\x12\x00");
    }

    #[test]
    fn service_names() {
        assert_eq!(metrics_service_server::SERVICE_NAME, "api.MetricsService");
        assert_eq!(raw_metrics_service_server::SERVICE_NAME, "api.RawMetricsService");
    }
}
