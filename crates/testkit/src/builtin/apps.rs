//! Workloads: Deployments, StatefulSets, ReplicaSets, Jobs.

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet, StatefulSet},
    batch::v1::Job,
};
use serde_json::{Value, json};

use super::{age, at, computed, of, path_column, resource, set_default, workload};
use crate::resource::{Builtin, Resource};

static DEPLOYMENT: Builtin = Builtin {
    default: |object| {
        set_default(object, "spec.replicas", 1);
        set_default(object, "spec.revisionHistoryLimit", 10);
        set_default(object, "spec.progressDeadlineSeconds", 600);
        set_default(object, "spec.strategy.type", "RollingUpdate");
        if object["spec"]["strategy"]["type"] == "RollingUpdate" {
            set_default(object, "spec.strategy.rollingUpdate.maxSurge", "25%");
            set_default(object, "spec.strategy.rollingUpdate.maxUnavailable", "25%");
        }
        workload::default_pod(object, "spec.template.spec");
    },
    validate: workload::validate,
    initial_status: Some(|| json!({})),
    ..of::<Deployment>()
};

static STATEFUL_SET: Builtin = Builtin {
    default: |object| {
        set_default(object, "spec.replicas", 1);
        set_default(object, "spec.podManagementPolicy", "OrderedReady");
        set_default(object, "spec.revisionHistoryLimit", 10);
        set_default(object, "spec.updateStrategy.type", "RollingUpdate");
        workload::default_pod(object, "spec.template.spec");
    },
    validate: workload::validate,
    initial_status: Some(|| json!({"replicas": 0, "availableReplicas": 0})),
    ..of::<StatefulSet>()
};

static REPLICA_SET: Builtin = Builtin {
    default: |object| {
        set_default(object, "spec.replicas", 1);
        workload::default_pod(object, "spec.template.spec");
    },
    validate: workload::validate,
    initial_status: Some(|| json!({"replicas": 0})),
    selectable: &["status.replicas"],
    ..of::<ReplicaSet>()
};

static JOB: Builtin = Builtin {
    default: |object| {
        set_default(object, "spec.backoffLimit", 6);
        set_default(object, "spec.completionMode", "NonIndexed");
        set_default(object, "spec.suspend", false);
        if at(object, "spec.completions").is_null() && at(object, "spec.parallelism").is_null() {
            set_default(object, "spec.completions", 1);
        }
        set_default(object, "spec.parallelism", 1);
        workload::default_pod(object, "spec.template.spec");
    },
    validate: |object, _| workload::validate_pod(object, "spec.template.spec"),
    initial_status: Some(|| json!({})),
    selectable: &["status.successful"],
    ..of::<Job>()
};

pub(super) fn resources() -> Vec<Resource> {
    let scaled = |kind, plural, rules| {
        resource("apps", "v1", kind, plural, rules).in_all().with_status().with_generation().with_scale()
    };
    vec![
        scaled("Deployment", "deployments", &DEPLOYMENT).short(&["deploy"]).columns(vec![
            computed("Ready", ready),
            computed("Up-to-date", |object| number(object, "status.updatedReplicas")),
            computed("Available", |object| number(object, "status.availableReplicas")),
            age(),
        ]),
        scaled("ReplicaSet", "replicasets", &REPLICA_SET).short(&["rs"]).columns(vec![
            computed("Desired", |object| number(object, "spec.replicas")),
            computed("Current", |object| number(object, "status.replicas")),
            computed("Ready", |object| number(object, "status.readyReplicas")),
            age(),
        ]),
        scaled("StatefulSet", "statefulsets", &STATEFUL_SET)
            .short(&["sts"])
            .columns(vec![computed("Ready", ready), age()]),
        resource("batch", "v1", "Job", "jobs", &JOB).in_all().with_status().with_generation().columns(vec![
            computed("Completions", |object| {
                json!(format!(
                    "{}/{}",
                    number(object, "status.succeeded"),
                    number(object, "spec.completions")
                ))
            }),
            path_column("Parallelism", "integer", ".spec.parallelism"),
            age(),
        ]),
    ]
}

fn number(object: &Value, path: &str) -> Value {
    json!(at(object, path).as_i64().unwrap_or(0))
}

fn ready(object: &Value) -> Value {
    json!(format!("{}/{}", number(object, "status.readyReplicas"), number(object, "spec.replicas")))
}
