//! The four kinds of patch, each a pure function from the live object to the wanted one.

mod apply;
mod merge_keys;
mod strategic;

use serde_json::Value;

use crate::{refusal::Refusal, schema::Schema};

pub(crate) use apply::apply;

/// How a body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchKind {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Merge with knowledge of Kubernetes' lists.
    Strategic,
    /// Server-side apply.
    Apply,
}

impl PatchKind {
    pub(crate) fn of_content_type(content_type: &str) -> Option<Self> {
        Some(match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Self::Json,
            "application/merge-patch+json" => Self::Merge,
            "application/strategic-merge-patch+json" => Self::Strategic,
            "application/apply-patch+yaml" | "application/apply-patch+json" => Self::Apply,
            _ => return None,
        })
    }
}

/// How lists are merged: by a custom resource's schema, or by the built-in kinds' merge keys.
#[derive(Clone, Copy)]
pub(crate) enum Lists<'a> {
    Builtin,
    Schema(&'a Schema),
}

/// RFC 6902, with the API server's errors: a failing test or a missing path is 422.
pub(crate) fn json(live: &mut Value, patch: Value) -> Result<(), Refusal> {
    let patch: json_patch::Patch =
        serde_json::from_value(patch).map_err(|error| Refusal::bad_request(error.to_string()))?;
    json_patch::patch(live, &patch).map_err(|_| {
        let text = "the server rejected our request due to an error in our request";
        let mut refusal = Refusal::new(422, "Invalid", text);
        refusal.details = Some(Box::default());
        refusal
    })
}

/// RFC 7386.
pub(crate) fn merge(live: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *live = patch;
        return;
    };
    if !live.is_object() {
        *live = Value::Object(serde_json::Map::new());
    }
    let Some(members) = live.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value);
        }
    }
}

pub(crate) use strategic::strategic;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merge_patch_of_the_rfc() {
        let mut live = json!({"a": {"b": 1, "c": [1, 2]}, "d": 1});
        merge(&mut live, json!({"a": {"b": null, "c": [3]}, "e": {"f": null, "g": 1}}));
        assert_eq!(live, json!({"a": {"c": [3]}, "d": 1, "e": {"g": 1}}));
    }

    #[test]
    fn json_patch_tests_hold_or_refuse() {
        let mut live = json!({"metadata": {"finalizers": ["a", "b"]}});
        let patch = json!([{"op": "test", "path": "/metadata/finalizers/0", "value": "a"},
            {"op": "remove", "path": "/metadata/finalizers/0"}]);
        json(&mut live, patch.clone()).unwrap();
        assert_eq!(live, json!({"metadata": {"finalizers": ["b"]}}));
        assert_eq!(json(&mut live, patch).unwrap_err().code, 422);
    }
}
