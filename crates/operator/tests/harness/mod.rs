//! Plays the whole operator against a cluster in memory, in virtual time.
//!
//! [`World`] is the cluster: the testkit's API server and controllers, a source, the operator, and a history of all that
//! happened. [`play_file`] plays a scenario on it (its form: [`scenario`]); tests in Rust use the world directly. No
//! socket is opened, so that tokio's paused clock jumps from one timer to the next: hours take moments.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

mod adapter;
mod canaries;
mod expect;
mod history;
mod kinds;
mod matching;
mod objects;
mod observe;
mod run;
mod scenario;
mod sink;
mod source;
mod time;
mod world;

pub(crate) use history::History;
pub(crate) use objects::{deployment, prometheus, scaled_job, scaled_object};
pub(crate) use run::{files, play_file};
pub(crate) use sink::{Does, Received};
pub(crate) use source::{Source, Yield};
pub(crate) use time::Span;
pub(crate) use world::{OPERATOR, Setup, World};
