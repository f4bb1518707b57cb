//! The admission webhooks: what the API server asks before it stores an object of ours.
//!
//! The way of a request, file by file: `serve` (connection, limits, routes) → `review` (the AdmissionReview in and out) → `judge` (which
//! kind, which operation, a deadline) → `scaled_object` or `others` (the rules, all of them in [`keda_core::admission`]) → `lookups`
//! (what the rules have to know of other objects: watched in `cache`, read directly where it decides) and `triggers` (their parameters). `run` is the wiring.
//!
//! A lookup that fails is never an "allowed": the answer says what could not be found out. A request that this process cannot answer at
//! all gets an HTTP error, and the configuration's failurePolicy decides.

mod cache;
mod judge;
mod lookups;
mod options;
mod others;
mod review;
mod run;
mod scaled_object;
mod serve;
mod triggers;

pub use judge::PATHS;
pub use options::Options;
pub use run::{Dependencies, Error, Readiness, run, run_on};
pub use triggers::TriggerMetadata;
