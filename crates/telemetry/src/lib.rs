//! What the processes say about themselves: metrics with upstream's names, logs in zap's shapes, and the plain HTTP server for metrics
//! and probes. Knows neither Kubernetes nor any other crate of ours.

pub mod http;
pub mod logs;
pub mod metrics;
