//! What the tests of every trigger share.
//!
//! [`Contract`] holds a trigger to what the frame promises in its name, [`upstream`] holds its parameters to upstream's
//! recorded verdicts, [`Scripted`] stands in for its source.

mod remote;
mod scripted;
mod suite;
pub mod upstream;
mod world;

use std::sync::Arc;

use jiff::Timestamp;

pub use self::remote::Remote;
pub use self::scripted::{Recorder, Scripted};
pub use self::suite::{Contract, Source};
use crate::{Clock, Environment, grpc, http, identity, kube};

/// An environment around a transport: nothing in the cluster, time from `2026-11-24T10:00:00Z` on with tokio's clock.
pub fn environment(transport: impl http::Transport + 'static) -> Environment {
    let start = Timestamp::from_second(1_795_514_400).unwrap_or_default();
    Environment {
        http: Arc::new(transport),
        grpc: grpc::Channels::new(http::Settings::default()),
        clock: Clock::tokio(start),
        kube: Arc::new(kube::Nothing),
        tokens: Arc::new(identity::NoTokens),
        telemetry: Arc::new(Recorder::default()),
    }
}

/// Parameters from pairs: metadata, then authentication.
pub fn parameters(metadata: &[(&str, &str)], auth: &[(&str, &str)]) -> crate::Parameters {
    crate::Parameters {
        metadata: metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        auth: auth.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect(),
        env: Default::default(),
    }
}
