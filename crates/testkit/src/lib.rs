//! A Kubernetes API server in memory, controllers, clock, builders, fake sources: for tests and the demo.
//!
//! The server is one value, [`ApiServer`]. Its [`client`](ApiServer::client) needs no socket and works under tokio's
//! paused time, so hours of scaling pass in seconds; [`serve`](ApiServer::serve) puts the same server on a socket for
//! `keda demo` and kubectl. [`controllers`] play the parts of kube-controller-manager that scaling needs,
//! [`source::Prometheus`] plays the source.
//!
//! How a request travels: `front` (HTTP: routes, negotiation) → `api` (verbs: decode, admit, validate) → `store` (objects,
//! revisions, history). Everything that tests may want to know or disturb hangs on [`ApiServer`]: the request log
//! ([`ApiServer::requests`]), [`Faults`], [`ApiServer::drop_watches`], [`ApiServer::expire_history`].

mod access;
mod aggregate;
mod api;
pub mod builders;
mod builtin;
mod clock;
pub mod controllers;
mod direct;
mod faults;
mod front;
mod jsonpath;
mod names;
mod patch;
mod record;
mod refusal;
mod resource;
pub mod schema;
mod selector;
mod server;
pub mod source;
mod store;
mod sync;

pub use aggregate::Backend;
pub use clock::Clock;
pub use faults::{Fault, Faults, Rates};
pub use front::Disconnected;
pub use record::{CAPACITY as LOG_CAPACITY, Mark, Recorded, Verb};
pub use refusal::Refusal;
pub use server::{ApiServer, Body, Denial, Identity};

/// What the fuzz targets reach.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    /// A body in protobuf as JSON; the refusal's text if it is none.
    ///
    /// # Errors
    /// It is no body, or one with a field that is not known.
    pub fn protobuf(body: &[u8]) -> Result<serde_json::Value, String> {
        crate::front::protobuf::decode(body).map_err(|refusal| format!("{refusal:?}"))
    }

    /// Requirements of a label selector, in its canonical text; the refusal's text if it is none.
    ///
    /// # Errors
    /// It is no selector.
    pub fn selector(text: &str) -> Result<String, String> {
        crate::selector::Labels::parse(text)
            .map(|labels| labels.text())
            .map_err(|refusal| format!("{refusal:?}"))
    }
}
