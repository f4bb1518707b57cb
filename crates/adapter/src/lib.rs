//! The external metrics API server: `external.metrics.k8s.io/v1beta1` for the HPA controller, answered by the operator.
//!
//! The way of a request, file by file: `serve` (connection, routes) → `authn` with `trust` and `token` (who is it) → `authz` (may they) →
//! `selector` → `request` (the operator over `link`, or the last good answer in `samples`). `discovery` holds what never changes,
//! `form` (with `messages`) how a document goes out, `status` the shape of errors, `run` the wiring.
//!
//! It computes nothing: values, times and errors are the operator's. While the operator is away it repeats the last good answer with its
//! original time, says so in its own metrics, and stops after [`Options::last_good_age`].

mod authn;
mod authz;
mod cache;
mod discovery;
mod form;
mod link;
mod messages;
mod openapi;
mod options;
mod request;
mod review;
mod run;
mod samples;
mod selector;
mod serve;
mod status;
mod token;
mod trust;
mod user;

pub use link::AddressError;
pub use options::{Options, RequestHeaderOptions};
pub use run::{Dependencies, Error, run, run_on};

/// What the fuzz targets reach.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    /// The ScaledObject that a request's label selector names; the refusal's text if it names none.
    ///
    /// # Errors
    /// It is no selector, or one that names no ScaledObject.
    pub fn selector(text: &str) -> Result<String, String> {
        crate::selector::scaled_object(text).map_err(|status| format!("{status:?}"))
    }
}
