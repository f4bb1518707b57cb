//! What scenarios cannot say: many objects, code that fails, secrets, chaos, two operators.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "test code")]

#[path = "../harness/mod.rs"]
mod harness;

mod authentications;
mod azure;
mod chaos;
mod cloud_events;
mod dashboard;
mod events;
mod explains;
mod inspect;
mod isolation;
mod lease;
mod limits_of_credentials;
mod metrics;
mod panics;
mod push;
mod raw_metrics;
mod rotation;
mod scaled_jobs;
mod scope;
mod secrets;
mod thousand;

use keda_api::{Condition, ScaledObject};
use keda_testkit::ApiServer;

/// A condition of a ScaledObject in the namespace `default`, as the API server has it.
fn condition(server: &ApiServer, name: &str, kind: &str) -> Condition {
    let object: ScaledObject = server.read("default", name).unwrap();
    let conditions = object.status.and_then(|status| status.conditions).unwrap();
    conditions.get(kind).unwrap().clone()
}

/// `spec.replicas` of a Deployment in the namespace `default`.
fn replicas(server: &ApiServer, name: &str) -> i32 {
    let deployment: k8s_openapi::api::apps::v1::Deployment = server.read("default", name).unwrap();
    deployment.spec.unwrap().replicas.unwrap()
}
