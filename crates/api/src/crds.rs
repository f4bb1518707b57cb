//! The custom resource definitions, as they are installed.
//!
//! Made from the types by kube's derive, then brought to upstream's form: see [`all`].

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
/// They differ from the derive's `crd()` in what upstream's have and the derive leaves out: the kind of lists, and
/// `apiVersion` and `kind` as properties. And nothing is `nullable`: the API server drops a null instead of storing it.
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
        drop_nullable(root);
        let properties = root.properties.get_or_insert_default();
        properties.insert("apiVersion".into(), described("string", "Group and version of this object."));
        properties.insert("kind".into(), described("string", "Kind of this object."));
        properties.insert(
            "metadata".into(),
            JSONSchemaProps { type_: Some("object".into()), ..Default::default() },
        );
    }
    definition
}

fn described(r#type: &str, description: &str) -> JSONSchemaProps {
    JSONSchemaProps {
        type_: Some(r#type.into()),
        description: Some(description.into()),
        ..Default::default()
    }
}

/// `Option` is how Rust says "may be left out"; the derive takes it for "may be null".
fn drop_nullable(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.properties.iter_mut().flatten().for_each(|(_, property)| drop_nullable(property));
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => drop_nullable(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(drop_nullable),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        drop_nullable(values);
    }
}
