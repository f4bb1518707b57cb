//! JSON schemas of the custom resources, for editors (yaml-language-server, and whatever else reads draft-07).
//!
//! Made from the CRDs. Stricter than the API server in two ways that an editor's user wants: a field that would be dropped is
//! marked, and the metadata of a trigger is checked by its type. The last knows the triggers of this product only; the
//! metadata of any other type stays free.

use keda_api::crds;
use keda_scaler::Factory;
use keda_scaler::config::{Deprecation, Origin, Parameter, Shape};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The dialect that the schemas are written in.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// The schema of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// API group.
    pub group: String,
    /// Version in the group.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// The JSON schema.
    pub schema: Value,
}

impl Kind {
    /// `<group>/<kind>_<version>.json`, lower case: the path under which editors' catalogues keep such schemas.
    pub fn path(&self) -> String {
        format!("{}/{}_{}.json", self.group, self.kind.to_lowercase(), self.version)
    }
}

/// One schema for each kind, in the order of the CRDs.
pub fn kinds(factories: &[Factory]) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for definition in crds::all() {
        let spec = definition.spec;
        for version in spec.versions {
            let schema = version.schema.and_then(|schema| schema.open_api_v3_schema);
            let mut schema = serde_json::to_value(schema).unwrap_or_default();
            convert(&mut schema);
            let api_version = format!("{}/{}", spec.group, version.name);
            finish(&mut schema, &api_version, &spec.names.kind, factories);
            kinds.push(Kind {
                group: spec.group.clone(),
                version: version.name,
                kind: spec.names.kind.clone(),
                schema,
            });
        }
    }
    kinds
}

/// One schema that finds a manifest's own by its kind: for a folder of mixed files.
pub fn all(factories: &[Factory]) -> Value {
    let cases: Vec<Value> = kinds(factories)
        .into_iter()
        .map(|kind| {
            let mut schema = kind.schema;
            if let Some(members) = schema.as_object_mut() {
                members.remove("$schema");
            }
            let api_version = format!("{}/{}", kind.group, kind.version);
            json!({
                "if": {
                    "properties": { "apiVersion": { "const": api_version }, "kind": { "const": kind.kind } },
                    "required": ["apiVersion", "kind"],
                },
                "then": schema,
            })
        })
        .collect();
    json!({ "$schema": DIALECT, "title": "Custom resources of KEDA", "allOf": cases })
}

/// JSON for files and terminals: indented, with a final newline.
pub fn pretty(value: &impl Serialize) -> String {
    #[expect(clippy::expect_used, reason = "plain data with string keys")]
    let mut text = serde_json::to_string_pretty(value).expect("the value is JSON");
    text.push('\n');
    text
}

/// From a structural schema to draft-07.
fn convert(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.retain(|name, _| !name.starts_with("x-kubernetes-") || name == KEEPS_UNKNOWN);
            members.values_mut().for_each(convert);
            let open = members.remove(KEEPS_UNKNOWN).is_some_and(|flag| flag == true);
            let closed = members.get("properties").is_some_and(Value::is_object)
                && members.get("type").is_some_and(|word| word == "object");
            if closed && !open {
                members.entry("additionalProperties").or_insert(Value::Bool(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(convert),
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e15) {
                *number = (whole as i64).into();
            }
        }
        _ => {}
    }
}

const KEEPS_UNKNOWN: &str = "x-kubernetes-preserve-unknown-fields";

/// What the API server knows without the schema, and what the triggers know.
fn finish(schema: &mut Value, api_version: &str, kind: &str, factories: &[Factory]) {
    schema["$schema"] = json!(DIALECT);
    schema["title"] = json!(kind);
    schema["properties"]["apiVersion"] = json!({ "const": api_version });
    schema["properties"]["kind"] = json!({ "const": kind });
    schema["properties"]["metadata"] = json!({ "type": "object" });
    schema["required"] = match schema["required"].take() {
        Value::Array(mut names) => {
            names.splice(0..0, ["apiVersion", "kind", "metadata"].map(Value::from));
            Value::Array(names)
        }
        _ => json!(["apiVersion", "kind", "metadata"]),
    };
    let triggers = schema.pointer_mut("/properties/spec/properties/triggers/items");
    if let Some(Value::Object(items)) = triggers {
        let cases = factories.iter().map(|factory| {
            json!({
                "if": { "properties": { "type": { "const": factory.trigger_type() } }, "required": ["type"] },
                "then": { "properties": { "metadata": metadata(factory) } },
            })
        });
        items.insert("allOf".to_owned(), cases.collect());
    }
}

/// The metadata of one trigger type. Only what has no other source is required here: the rest may come from the
/// authentication.
fn metadata(factory: &Factory) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for parameter in factory.parameters() {
        let readable =
            parameter.from.iter().any(|origin| matches!(origin, Origin::Metadata | Origin::Variable));
        if readable {
            for name in parameter.names {
                properties.insert((*name).to_owned(), value(parameter));
            }
        }
        if parameter.from.contains(&Origin::Env) {
            for name in parameter.names {
                let description = format!("Variable of the workload that holds {}", parameter.name());
                properties.insert(
                    format!("{name}FromEnv"),
                    json!({ "type": "string", "description": description }),
                );
            }
        }
        if parameter.required() && parameter.from == [Origin::Metadata] && parameter.aliases().is_empty() {
            required.push(parameter.name());
        }
    }
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn value(parameter: &Parameter) -> Value {
    let mut schema = json!({ "type": "string", "description": parameter.doc });
    if let Some(default) = parameter.default {
        schema["default"] = json!(default);
    }
    match parameter.shape {
        // The words that editors should offer, and the others that Go knows.
        Shape::Boolean => {
            schema["anyOf"] = json!([{ "enum": ["true", "false"] }, { "enum": ["1", "0", "t", "f", "T", "F", "TRUE", "FALSE", "True", "False"] }]);
        }
        Shape::Integer => schema["pattern"] = json!("^\\s*-?[0-9]+\\s*$"),
        _ if parameter.one_of.is_empty() || matches!(parameter.shape, Shape::List(_) | Shape::Map(_)) => {}
        _ => schema["enum"] = json!(parameter.one_of),
    }
    if let Some(Deprecation::Removed(why) | Deprecation::Announced(why)) = parameter.deprecation {
        schema["deprecated"] = json!(true);
        schema["deprecationMessage"] = json!(why);
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled_object() -> Value {
        let kinds = kinds(&crate::factories());
        kinds.into_iter().find(|kind| kind.kind == "ScaledObject").unwrap().schema
    }

    #[test]
    fn every_kind_has_its_path() {
        let paths: Vec<String> = kinds(&[]).iter().map(Kind::path).collect();
        assert!(paths.contains(&"keda.sh/scaledobject_v1alpha1.json".to_owned()), "{paths:?}");
        assert!(paths.contains(&"eventing.keda.sh/cloudeventsource_v1alpha1.json".to_owned()), "{paths:?}");
        assert_eq!(paths.len(), 6);
    }

    #[test]
    fn unknown_fields_are_marked_and_kubernetes_own_words_are_gone() {
        let schema = scaled_object();
        assert_eq!(schema["properties"]["spec"]["additionalProperties"], false);
        assert!(!schema.to_string().contains("x-kubernetes"));
        assert_eq!(schema["properties"]["kind"]["const"], "ScaledObject");
    }

    #[test]
    fn metadata_follows_the_type() {
        let schema = scaled_object();
        let cases = &schema["properties"]["spec"]["properties"]["triggers"]["items"]["allOf"];
        let cron = cases.as_array().unwrap().iter();
        let cron =
            cron.clone().find(|case| case["if"]["properties"]["type"]["const"] == "cron").expect("cron");
        let metadata = &cron["then"]["properties"]["metadata"];
        assert_eq!(metadata["properties"]["desiredReplicas"]["type"], "string");
        assert_eq!(metadata["additionalProperties"], false);
        assert_eq!(metadata["required"], json!(["start", "end", "timezone", "desiredReplicas"]));
    }

    #[test]
    fn one_schema_tells_the_kinds_apart() {
        let all = all(&crate::factories());
        let cases = all["allOf"].as_array().unwrap();
        assert_eq!(cases.len(), 6);
        assert!(cases.iter().all(|case| case["then"].get("$schema").is_none()));
    }
}
