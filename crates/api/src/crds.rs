//! The custom resource definitions, as they are installed.
//!
//! Made from the types by kube's derive, then brought to upstream's form: see [`all`].

#[cfg(test)]
mod tests;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::Value;

use crate::{
    CloudEventSource, ClusterCloudEventSource, ClusterTriggerAuthentication, ScaledJob, ScaledObject,
    TriggerAuthentication,
};

/// All six definitions, in the order of upstream's files.
///
/// They differ from the derive's `crd()`: they have the kind of lists, and `apiVersion` and `kind` as properties; nothing is
/// `nullable`, so that the API server drops a null instead of storing it; what may be a number or a text says so twice, as
/// Kubernetes' own tools write it.
pub fn all() -> Vec<CustomResourceDefinition> {
    [
        CloudEventSource::crd(),
        ClusterCloudEventSource::crd(),
        ClusterTriggerAuthentication::crd(),
        ScaledJob::crd(),
        ScaledObject::crd(),
        TriggerAuthentication::crd(),
    ]
    .map(finished)
    .into()
}

/// All definitions as one YAML stream, for `kubectl apply -f -`.
pub fn yaml() -> String {
    all().iter().map(|definition| format!("---\n{}", yaml_of(definition))).collect()
}

/// One definition as a YAML document, without the leading `---`.
///
/// Whole numbers are written as such: the definition's types make floats of all limits.
pub fn yaml_of(definition: &CustomResourceDefinition) -> String {
    #[expect(clippy::expect_used, reason = "a definition is plain data with string keys")]
    let mut value = serde_json::to_value(definition).expect("a definition is JSON");
    whole_numbers(&mut value);
    #[expect(clippy::expect_used, reason = "JSON values are YAML values")]
    serde_saphyr::to_string(&value).expect("a JSON value is YAML")
}

fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e15) {
                *number = (float as i64).into();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(whole_numbers),
        Value::Object(members) => members.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn finished(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let names = &mut definition.spec.names;
    names.list_kind = Some(format!("{}List", names.kind));
    let schemas = definition.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    for root in schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut()) {
        finish(root);
        root.title = None;
        let properties = root.properties.get_or_insert_default();
        for (name, r#type) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
            properties.insert(name.into(), of_type(r#type));
        }
    }
    definition
}

fn finish(schema: &mut JSONSchemaProps) {
    // `Option` is how Rust says "may be left out"; the derive takes it for "may be null".
    schema.nullable = None;
    schema.enum_.iter_mut().for_each(|words| words.retain(|word| !word.0.is_null()));
    if schema.x_kubernetes_int_or_string == Some(true) {
        schema.any_of = Some(["integer", "string"].map(of_type).into());
    }
    schema.properties.iter_mut().flatten().for_each(|(_, property)| finish(property));
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => finish(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(finish),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        finish(values);
    }
}

fn of_type(r#type: &str) -> JSONSchemaProps {
    JSONSchemaProps { type_: Some(r#type.into()), ..Default::default() }
}
