//! Our definitions beside upstream's: what the API server checks, stores, drops and prints is the same.
//!
//! Everything of a definition is compared but descriptions and annotations. Every difference is named in [`ALLOWED`] and has
//! a row in `docs/differences.md`; one that no longer exists fails the test too. Skipped where upstream's definitions are
//! not beside the workspace.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A difference that is meant.
struct Allowed {
    /// Name of the row in `docs/differences.md`.
    row: &'static str,
    definition: &'static str,
    /// Where: every difference at this place and below it.
    place: &'static str,
}

const ALLOWED: &[Allowed] = &[
    Allowed {
        row: "ScaledJob: the pod template is not in the schema",
        definition: "scaledjobs.keda.sh",
        place: "/spec/jobTargetRef/template",
    },
    Allowed { row: "ScaledJob: the spec is required", definition: "scaledjobs.keda.sh", place: "#required" },
];

fn upstream_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/upstream/crds")
}

/// Upstream's definitions by name, or why there are none.
fn upstream() -> Result<BTreeMap<String, Value>, String> {
    let folder = upstream_folder();
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(entries
        .map(|entry| {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let definition: Value = serde_saphyr::from_str(&text).unwrap();
            (definition["metadata"]["name"].as_str().unwrap().to_owned(), definition)
        })
        .collect())
}

#[test]
fn definitions_agree_with_upstream() {
    let upstream = match upstream() {
        Ok(upstream) => upstream,
        Err(reason) => return println!("skipped: upstream's definitions are not here: {reason}"),
    };
    let ours: BTreeMap<String, Value> = keda_api::crds::all()
        .iter()
        .map(|definition| {
            (definition.metadata.name.clone().unwrap(), serde_json::to_value(definition).unwrap())
        })
        .collect();
    assert!(ours.keys().eq(upstream.keys()), "{:?} and {:?}", ours.keys(), upstream.keys());

    let mut unused: BTreeSet<usize> = (0..ALLOWED.len()).collect();
    let mut wrong = Vec::new();
    for (name, ours) in &ours {
        let mut differences = Vec::new();
        definition(&upstream[name], ours, &mut differences);
        for difference in differences {
            let allowed = ALLOWED
                .iter()
                .position(|allowed| allowed.definition == name && difference.starts_with(allowed.place));
            match allowed {
                Some(index) => _ = unused.remove(&index),
                None => wrong.push(format!("{name}: {difference}")),
            }
        }
    }
    wrong.extend(unused.iter().map(|index| format!("no longer different: {}", ALLOWED[*index].row)));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Differences of two definitions: of the schemas by place, of all else by name.
fn definition(upstream: &Value, ours: &Value, differences: &mut Vec<String>) {
    let parts = |definition: &Value| {
        let mut spec = definition["spec"].clone();
        let versions = spec["versions"].as_array_mut().unwrap();
        assert_eq!(versions.len(), 1);
        let schema = versions[0]["schema"]["openAPIV3Schema"].take();
        (schema, spec)
    };
    let ((upstream_schema, upstream_rest), (our_schema, our_rest)) = (parts(upstream), parts(ours));
    if upstream_rest != our_rest {
        differences.push(format!("definition: {upstream_rest} and {our_rest}"));
    }
    schema("", &upstream_schema, &our_schema, differences);
}

/// Differences of two schemas, each as `<place>#<keyword>: ...`.
fn schema(place: &str, upstream: &Value, ours: &Value, differences: &mut Vec<String>) {
    let empty = serde_json::Map::new();
    let (upstream, ours) = (upstream.as_object().unwrap_or(&empty), ours.as_object().unwrap_or(&empty));
    let keywords: BTreeSet<&String> = upstream.keys().chain(ours.keys()).collect();
    for keyword in keywords {
        let (upstream, ours) =
            (upstream.get(keyword).unwrap_or(&Value::Null), ours.get(keyword).unwrap_or(&Value::Null));
        match keyword.as_str() {
            "description" => {}
            "properties" => properties(place, upstream, ours, differences),
            "items" => schema(&format!("{place}[]"), upstream, ours, differences),
            "additionalProperties" => schema(&format!("{place}{{}}"), upstream, ours, differences),
            // The order of these says nothing.
            "required" | "enum" if set(upstream) == set(ours) => {}
            // Limits are floating-point numbers in the one, whole numbers in the other.
            _ if upstream == ours || upstream.is_number() && upstream.as_f64() == ours.as_f64() => {}
            _ => differences.push(format!("{place}#{keyword}: {upstream} and {ours}")),
        }
    }
}

fn properties(place: &str, upstream: &Value, ours: &Value, differences: &mut Vec<String>) {
    let empty = serde_json::Map::new();
    let (upstream, ours) = (upstream.as_object().unwrap_or(&empty), ours.as_object().unwrap_or(&empty));
    let names: BTreeSet<&String> = upstream.keys().chain(ours.keys()).collect();
    for name in names {
        let place = format!("{place}/{name}");
        match (upstream.get(name), ours.get(name)) {
            (Some(upstream), Some(ours)) => schema(&place, upstream, ours, differences),
            (Some(_), None) => differences.push(format!("{place}: only upstream has it")),
            _ => differences.push(format!("{place}: only we have it")),
        }
    }
}

/// The members of a list, each as JSON.
fn set(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().map(Value::to_string).collect()
}

/// The comparison itself sees what it is there to see.
#[test]
fn the_comparison_notices_changes() {
    let definition_of = |schema: Value| {
        json!({ "spec": { "names": { "kind": "X" }, "versions": [
            { "name": "v1", "schema": { "openAPIV3Schema": schema } },
        ] } })
    };
    let base = json!({
        "type": "object",
        "required": ["a", "b"],
        "properties": {
            "a": { "type": "integer", "minimum": 1, "description": "one" },
            "b": { "type": "array", "minItems": 1, "items": { "type": "string", "enum": ["x", "y"] } },
            "c": { "type": "object", "additionalProperties": { "type": "string" } },
        },
    });
    let found = |pointer: &str, value: Value| {
        let mut changed = base.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        let mut differences = Vec::new();
        definition(&definition_of(base.clone()), &definition_of(changed), &mut differences);
        differences
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(found("/properties/a/description", "two".into()), none);
    assert_eq!(found("/properties/a/minimum", 1.0.into()), none);
    assert_eq!(found("/required", ["b", "a"].into()), none);
    assert_eq!(found("/properties/a/minimum", 0.into()), ["/a#minimum: 1 and 0"]);
    assert_eq!(found("/properties/b/minItems", Value::Null), ["/b#minItems: 1 and null"]);
    assert_eq!(found("/properties/b/items/enum", ["x"].into()), [r#"/b[]#enum: ["x","y"] and ["x"]"#]);
    assert_eq!(
        found("/properties/b/items/enum", json!(["x", "y", null])),
        [r#"/b[]#enum: ["x","y"] and ["x","y",null]"#]
    );
    assert_eq!(found("/properties/c/additionalProperties", true.into()), [r#"/c{}#type: "string" and null"#]);
    assert_eq!(found("/required", ["a"].into()), [r#"#required: ["a","b"] and ["a"]"#]);
}
