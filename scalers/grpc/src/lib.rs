//! Triggers whose sources speak gRPC: scalers outside of the operator, asked by `external` and listened to by `external-push`.
//!
//! [`externalscaler`] is generated from `proto/externalscaler.proto` by `cargo xtask generate grpc` and committed. The wire format
//! is upstream's (`pkg/scalers/externalscaler/externalscaler.proto`, core.md 8).

mod config;
mod remote;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;

/// Messages, client and server of the protobuf package `externalscaler`.
#[allow(missing_docs, clippy::all, deprecated, reason = "generated")]
pub mod externalscaler {
    include!("generated/externalscaler.rs");
}

pub use self::config::Config;
pub use self::remote::{Pushing, Remote};

keda_scaler::scalers! { external, external_push }
