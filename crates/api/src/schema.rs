//! Schemas of Kubernetes' own types inside ours.
//!
//! k8s-openapi has schemas for these types, but without the checks that upstream adds to its definitions, without list
//! types, and with the whole reference documentation: a ScaledJob would be over 256 KiB, and `kubectl apply` keeps the
//! object in an annotation of at most that size. These are the checks, and short descriptions. `tests/upstream.rs`
//! compares them with upstream's.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Gives a schema the name of a type, for `#[schemars(with = "...")]`: a type may be in an `Option`, a function may not.
macro_rules! schema_type {
    ($(#[$meta:meta])* $name:ident = $schema:ident) => {
        $(#[$meta])*
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema()
            }
        }
    };
}

schema_type! {
    /// `autoscaling/v2` HorizontalPodAutoscalerBehavior with upstream's patched checks.
    HpaBehavior = hpa_behavior
}

fn hpa_behavior() -> Schema {
    json_schema!({
        "description": "How fast the HPA scales, per direction. See autoscaling/v2.",
        "type": "object",
        "properties": {
            "scaleDown": scaling_rules("Scaling in. Default: at once, after 300 seconds of stabilisation."),
            "scaleUp": scaling_rules("Scaling out. Default: 4 pods or 100 % in 15 seconds, whichever is more."),
        },
    })
}

fn scaling_rules(description: &str) -> Schema {
    json_schema!({
        "description": description,
        "type": "object",
        "properties": {
            "policies": {
                "description": "How much may change in which time. Default: see the direction.",
                "type": "array",
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "description": "One limit.",
                    "type": "object",
                    "properties": {
                        "periodSeconds": {
                            "description": "The time, 1 to 1800 seconds.",
                            "type": "integer",
                            "format": "int32",
                        },
                        "type": { "description": "Pods or Percent.", "type": "string" },
                        "value": {
                            "description": "The change, above 0.",
                            "type": "integer",
                            "format": "int32",
                        },
                    },
                    "required": ["periodSeconds", "type", "value"],
                },
            },
            "selectPolicy": {
                "description": "Which policy counts: Max (default), Min, or Disabled for none.",
                "type": "string",
            },
            "stabilizationWindowSeconds": {
                "description": "Past seconds whose recommendations are considered.",
                "type": "integer",
                "format": "int32",
                "minimum": 0,
                "maximum": 3600,
            },
            "tolerance": {
                "description": "Relative difference from the target that is left alone, for instance 0.05.",
                "pattern": QUANTITY_PATTERN,
                "x-kubernetes-int-or-string": true,
            },
        },
    })
}

/// What the API server's definitions take for a quantity.
const QUANTITY_PATTERN: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

schema_type! {
    /// `batch/v1` PodFailurePolicy.
    PodFailurePolicy = pod_failure_policy
}

fn pod_failure_policy() -> Schema {
    json_schema!({
        "description": "What a failed pod means for its Job. See batch/v1.",
        "type": "object",
        "properties": {
            "rules": {
                "description": "Rules, of which the first that matches counts.",
                "type": "array",
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "description": "One rule: exit codes or pod conditions.",
                    "type": "object",
                    "properties": {
                        "action": {
                            "description": "FailJob, FailIndex, Ignore or Count.",
                            "type": "string",
                        },
                        "onExitCodes": {
                            "description": "Exit codes that match.",
                            "type": "object",
                            "properties": {
                                "containerName": {
                                    "description": "Container that is looked at. Default: all.",
                                    "type": "string",
                                },
                                "operator": { "description": "In or NotIn.", "type": "string" },
                                "values": {
                                    "description": "The codes.",
                                    "type": "array",
                                    "x-kubernetes-list-type": "set",
                                    "items": { "type": "integer", "format": "int32" },
                                },
                            },
                            "required": ["operator", "values"],
                        },
                        "onPodConditions": {
                            "description": "Pod conditions, of which one has to match.",
                            "type": "array",
                            "x-kubernetes-list-type": "atomic",
                            "items": {
                                "description": "One condition.",
                                "type": "object",
                                "properties": {
                                    "status": {
                                        "description": "Status of the condition. Default True.",
                                        "type": "string",
                                    },
                                    "type": { "description": "Type of the condition.", "type": "string" },
                                },
                                "required": ["type"],
                            },
                        },
                    },
                    "required": ["action"],
                },
            },
        },
        "required": ["rules"],
    })
}

schema_type! {
    /// `batch/v1` SuccessPolicy.
    SuccessPolicy = success_policy
}

fn success_policy() -> Schema {
    json_schema!({
        "description": "When an indexed Job counts as succeeded. See batch/v1.",
        "type": "object",
        "properties": {
            "rules": {
                "description": "Rules, of which one has to match.",
                "type": "array",
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "description": "One rule.",
                    "type": "object",
                    "properties": {
                        "succeededCount": {
                            "description": "How many indexes have to succeed.",
                            "type": "integer",
                            "format": "int32",
                        },
                        "succeededIndexes": {
                            "description": "Which indexes have to succeed, for instance 1,3-5.",
                            "type": "string",
                        },
                    },
                },
            },
        },
        "required": ["rules"],
    })
}

schema_type! {
    /// `meta/v1` LabelSelector.
    LabelSelector = label_selector
}

fn label_selector() -> Schema {
    json_schema!({
        "description": "Selects objects by label.",
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchExpressions": {
                "description": "Requirements, all of which have to hold.",
                "type": "array",
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "description": "One requirement.",
                    "type": "object",
                    "properties": {
                        "key": { "description": "Key of the label.", "type": "string" },
                        "operator": {
                            "description": "In, NotIn, Exists or DoesNotExist.",
                            "type": "string",
                        },
                        "values": {
                            "description": "Values for In and NotIn.",
                            "type": "array",
                            "x-kubernetes-list-type": "atomic",
                            "items": { "type": "string" },
                        },
                    },
                    "required": ["key", "operator"],
                },
            },
            "matchLabels": {
                "description": "Labels that have to have these values.",
                "type": "object",
                "additionalProperties": { "type": "string" },
            },
        },
    })
}

schema_type! {
    /// `core/v1` PodTemplateSpec: the metadata, and of the spec only that there are containers with names of their own. The
    /// API server checks the rest when a Job is made.
    PodTemplate = pod_template
}

fn pod_template() -> Schema {
    json_schema!({
        "description": "The pods of a Job. See core/v1 PodTemplateSpec.",
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "metadata": {
                "description": "Metadata of the pods.",
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
                "properties": {
                    "annotations": { "type": "object", "additionalProperties": { "type": "string" } },
                    "finalizers": { "type": "array", "items": { "type": "string" } },
                    "labels": { "type": "object", "additionalProperties": { "type": "string" } },
                    "name": { "type": "string" },
                    "namespace": { "type": "string" },
                },
            },
            "spec": {
                "description": "Spec of the pods. See core/v1 PodSpec.",
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
                "properties": {
                    "containers": containers("The containers. At least one."),
                    "initContainers": containers("Containers that run to their end before the others start."),
                },
                "required": ["containers"],
            },
        },
    })
}

fn containers(description: &str) -> Schema {
    json_schema!({
        "description": description,
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": true,
            "properties": { "name": { "type": "string" } },
            "required": ["name"],
        },
    })
}
