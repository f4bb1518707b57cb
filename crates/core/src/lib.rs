//! Every decision of keda-rs, pure: activity, cooldown, replicas, Jobs, fallback, formulas, HPA, names, cron.
//!
//! Nothing here reads a clock, a file or a socket: what a function needs to know comes in as an argument, and what it
//! wants done goes out as a value. The operator, the simulator and the tests therefore decide the same way, and a
//! decision can be printed, stored and repeated.
//!
//! Where behaviour is upstream's, the comment names upstream's file; where it is ours, it says why.

pub mod activity;
pub mod admission;
pub mod autoscale;
pub mod bounds;
pub mod cloud_events;
pub mod conditions;
pub mod cron;
pub mod decide;
pub mod fallback;
pub mod formula;
pub mod hpa;
pub mod invariants;
pub mod metric;
pub mod names;
pub mod pause;
pub mod refusal;
pub mod scaled_job;
pub mod status;
pub mod triggers;
