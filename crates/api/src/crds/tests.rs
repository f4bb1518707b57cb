//! What holds of every definition without looking at upstream's.

use super::*;

/// What `kubectl apply` may keep in its annotation; the definition is kept there as JSON (upstream issues 4740, 6107, 5245).
const LIMIT: usize = 256 * 1024;

#[test]
fn each_fits_the_annotation_of_kubectl_apply_4740() {
    for definition in all() {
        let name = definition.metadata.name.clone().unwrap();
        let json = serde_json::to_string(&definition).unwrap().len();
        let yaml = yaml_of(&definition).len();
        assert!(json < LIMIT / 4 && yaml < LIMIT / 4, "{name}: {json} bytes of JSON, {yaml} of YAML");
    }
}

#[test]
fn nothing_is_nullable_and_everything_has_a_type() {
    fn check(place: &str, value: &Value) {
        match value {
            Value::Object(members) => {
                assert!(!members.contains_key("nullable"), "{place}");
                let words = members.get("enum").and_then(Value::as_array);
                assert!(words.is_none_or(|words| words.iter().all(Value::is_string)), "{place}: {words:?}");
                for (name, value) in members {
                    check(&format!("{place}/{name}"), value);
                }
                for (name, property) in
                    members.get("properties").and_then(Value::as_object).into_iter().flatten()
                {
                    let typed =
                        property["type"].is_string() || property["x-kubernetes-int-or-string"] == true;
                    assert!(typed, "{place}/{name} has no type");
                }
            }
            Value::Array(values) => values.iter().for_each(|value| check(place, value)),
            _ => {}
        }
    }
    for definition in all() {
        let schema = &definition.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema;
        check(definition.metadata.name.as_deref().unwrap(), &serde_json::to_value(schema).unwrap());
    }
}

#[test]
fn yaml_is_one_document_a_definition_and_reads_back() {
    let documents: Vec<CustomResourceDefinition> =
        yaml().split("---\n").skip(1).map(|text| serde_saphyr::from_str(text).unwrap()).collect();
    assert_eq!(documents, all());
}

#[test]
fn limits_are_whole_numbers_in_yaml() {
    let yaml = yaml_of(&ScaledObject::crd());
    assert!(yaml.contains("maximum: 3600\n"), "{yaml}");
    assert!(!yaml.contains("minimum: 0.0"), "{yaml}");
}
