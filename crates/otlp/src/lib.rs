//! Pushes the operator's metrics to an OpenTelemetry collector (`--enable-opentelemetry-metrics`; platform.md §5.3).
//!
//! [`push`] reads the registry at each interval ([`collect`]), turns what has an instrument in `keda_telemetry::metrics::table` into OTLP,
//! and sends it by gRPC or HTTP ([`send`]), as the standard variables say ([`Settings`]). There is no second set of counters: off, it
//! costs nothing; on, the registry is read once an interval. The OpenTelemetry crates would have every value recorded twice, and cannot
//! forget a series ([ADR 0015](../../../docs/adr/0015-otlp-from-the-registry.md)).

mod collect;
mod push;
mod send;
mod settings;
mod tls;

pub use push::push;
pub use settings::{Problem, Protocol, Settings};

/// Messages and client of OTLP's metrics service; the server is for tests.
#[allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
pub mod api {
    include!("generated/otlp.rs");
}
