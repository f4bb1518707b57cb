//! The operator: it polls the sources, wakes and sleeps the workloads, keeps their HPAs, and serves their metrics.
//!
//! The way of one number, in the order to read: [`watch`] (objects come in) → [`reconcile`] (what they ask for is made
//! ready) → [`poll`] (triggers are asked) → [`decide`] (what the answers mean, by `keda-core`) → [`apply`] (replicas,
//! status, events). [`serve_metrics`] answers the HPA from the same triggers and [`samples`]. [`object`] is the task that
//! drives this for one ScaledObject, [`controller`] what all tasks share, [`run`](mod@run) the wiring of a process.

mod apply;
mod authentications;
mod certificates;
mod cloud_events;
mod controller;
mod credentials;
mod decide;
mod health;
mod index;
mod inspect;
mod instrument;
mod jobs;
mod kind;
mod lease;
mod listen;
mod object;
mod options;
mod poll;
mod push;
mod raw_metrics;
mod reader;
mod reconcile;
mod run;
mod samples;
mod scaled_job;
mod serve_metrics;
mod status;
mod values;
mod watch;

pub(crate) use keda_cluster::{self as cluster, events};

pub use certificates::Rotation;
pub use controller::{Controller, Decided, Dependencies, Scope};
pub use health::Health;
pub use inspect::{Inspector, MetricView, ObjectView, TriggerView};
pub use instrument::Instrument;
pub use keda_cluster::{ObjectKey, events::host_name};
pub use lease::Lost;
pub use options::{ControllerOptions, LeaderElection, Options};
pub use raw_metrics::RawMetricsMode;
pub use reader::Reader;
pub use run::{Error, run};
pub use serve_metrics::{Metrics, Missing, Value};
