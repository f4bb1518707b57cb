//! ScaledJob: makes Jobs as its triggers ask for them.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{PodFailurePolicy, SuccessPolicy};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use kube::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::schema;
use crate::{Conditions, ScaleTrigger, TriggerActivity};

/// Which Jobs to make, by which triggers, within which bounds.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "keda.sh",
    version = "v1alpha1",
    kind = "ScaledJob",
    namespaced,
    shortname = "sj",
    status = "ScaledJobStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Makes Jobs as its triggers ask for them.",
    printcolumn(name = "Min", type_ = "integer", json_path = ".spec.minReplicaCount"),
    printcolumn(name = "Max", type_ = "integer", json_path = ".spec.maxReplicaCount"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Active",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Active")].status"#
    ),
    printcolumn(
        name = "Paused",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Paused")].status"#
    ),
    printcolumn(name = "Triggers", type_ = "string", json_path = ".status.triggersTypes"),
    printcolumn(name = "Authentications", type_ = "string", json_path = ".status.authenticationsTypes"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ScaledJobSpec {
    /// The Job to make.
    pub job_target_ref: JobTargetRef,
    /// Seconds between polls. Default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub polling_interval: Option<i32>,
    /// Succeeded Jobs to keep. Default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub successful_jobs_history_limit: Option<i32>,
    /// Failed Jobs to keep. Default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub failed_jobs_history_limit: Option<i32>,
    /// Deprecated: use `rollout.strategy`, over which this wins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout_strategy: Option<RolloutStrategy>,
    /// What happens to running Jobs when this object changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// Container whose environment triggers read. Default: the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_source_container_name: Option<String>,
    /// Jobs that are always there. Default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub min_replica_count: Option<i32>,
    /// Most Jobs. Default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_replica_count: Option<i32>,
    /// How the number of Jobs follows from the triggers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling_strategy: Option<ScalingStrategy>,
    /// What decides. At least one.
    #[schemars(length(min = 1), transform = without_metric_type)]
    pub triggers: Vec<ScaleTrigger>,
}

/// A Job has no HPA, so its triggers have no metric type: upstream leaves it out of the schema, and the API server drops
/// it.
fn without_metric_type(triggers: &mut Schema) {
    if let Some(properties) = triggers.pointer_mut("/items/properties").and_then(Value::as_object_mut) {
        properties.remove("metricType");
    }
}

/// `batch/v1` JobSpec. The fields of a Job are checked, and those it does not have are dropped; the pod template is kept
/// as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobTargetRef {
    /// Seconds a Job may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<i64>,
    /// Retries before a Job counts as failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<i32>,
    /// Retries per index before it counts as failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_limit_per_index: Option<i32>,
    /// NonIndexed (default) or Indexed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_mode: Option<String>,
    /// Pods that have to succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<i32>,
    /// Controller that runs the Job, if it is not Kubernetes' own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// Whether the selector below is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_selector: Option<bool>,
    /// Indexes that may fail before the Job does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_failed_indexes: Option<i32>,
    /// Pods that run at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<i32>,
    /// What a failed pod means.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::PodFailurePolicy>")]
    pub pod_failure_policy: Option<PodFailurePolicy>,
    /// When a pod is replaced: TerminatingOrFailed or Failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_replacement_policy: Option<String>,
    /// Selects the Job's pods. Leave it to Kubernetes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::LabelSelector>")]
    pub selector: Option<LabelSelector>,
    /// When an indexed Job counts as succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::SuccessPolicy>")]
    pub success_policy: Option<SuccessPolicy>,
    /// Make Jobs without starting their pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Seconds after which a finished Job is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<i32>,
    /// The pods of the Job. See core/v1 PodTemplateSpec.
    #[schemars(with = "schema::PodTemplate")]
    pub template: PodTemplate,
}

/// A pod template as it was written. Nothing in it is lost, whatever Kubernetes version it was written for, and nothing in
/// it makes the ScaledJob unreadable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodTemplate(pub Map<String, Value>);

impl PodTemplate {
    /// The template as a Kubernetes type.
    ///
    /// # Errors
    /// Some member has the wrong type.
    pub fn to_spec(&self) -> Result<PodTemplateSpec, serde_json::Error> {
        PodTemplateSpec::deserialize(&self.0)
    }
}

/// What happens to running Jobs when the ScaledJob changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Whether they are deleted. Default: they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<RolloutStrategy>,
    /// How they are deleted. Default: in the background.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagation_policy: Option<PropagationPolicy>,
}

open_enum! {
    /// Whether running Jobs are deleted when the ScaledJob changes.
    pub enum RolloutStrategy {
        /// They run to their end.
        Gradual = "gradual",
        /// They are deleted.
        Immediate = "immediate",
    }
}

open_enum! {
    /// How Jobs are deleted.
    pub enum PropagationPolicy {
        /// After their pods.
        Foreground = "foreground",
        /// Before their pods.
        Background = "background",
    }
}

/// How the number of Jobs follows from the triggers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingStrategy {
    /// The formula. Default `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<ScalingStrategyName>,
    /// Strategy `custom`: subtracted from the queue length. Default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_scaling_queue_length_deduction: Option<i32>,
    /// Strategy `custom`: share of the running Jobs that is subtracted, a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_scaling_running_job_percentage: Option<String>,
    /// A Job counts as pending until its pod has these conditions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_pod_conditions: Option<Vec<String>>,
    /// How several triggers become one number. Default `max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiple_scalers_calculation: Option<MultipleScalersCalculation>,
}

open_enum! {
    /// How the number of new Jobs follows from the queue length.
    pub enum ScalingStrategyName {
        /// Less the running Jobs.
        Default = "default",
        /// Less a share of the running Jobs and a constant.
        Custom = "custom",
        /// Less the pending Jobs: for queues that do not count what is worked on.
        Accurate = "accurate",
        /// As many as fit.
        Eager = "eager",
    }
}

open_enum! {
    /// How several triggers become one number.
    pub enum MultipleScalersCalculation {
        /// The smallest.
        Min = "min",
        /// The average.
        Avg = "avg",
        /// The sum.
        Sum = "sum",
        /// The largest.
        Max = "max",
    }
}

/// What is known about a ScaledJob.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaledJobStatus {
    /// When a trigger was last active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_active_time: Option<Time>,
    /// Conditions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Conditions>,
    /// Never written; upstream declares it.
    #[serde(skip_serializing_if = "Option::is_none", rename = "Paused")]
    pub paused: Option<String>,
    /// Distinct trigger types, in order, comma-separated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub triggers_types: Option<String>,
    /// Distinct names of authentications, in order, comma-separated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentications_types: Option<String>,
    /// Names of the external metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_metric_names: Option<Vec<String>>,
    /// Activity by external metric name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub triggers_activity: Option<BTreeMap<String, TriggerActivity>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_becomes_a_kubernetes_type_or_says_why_not() {
        let template = |json| PodTemplate(serde_json::from_str(json).unwrap());
        let spec = template(r#"{"spec":{"containers":[{"name":"worker"}]}}"#).to_spec().unwrap();
        assert_eq!(spec.spec.unwrap().containers[0].name, "worker");
        let error = template(r#"{"spec":{"containers":"worker"}}"#).to_spec().unwrap_err();
        assert!(error.to_string().contains("expected a sequence"), "{error}");
    }
}
