//! Pruning and defaulting.
//!
//! Both change the object in place. At the root, `apiVersion`, `kind` and `metadata` belong to the API server and are
//! never touched.

use serde_json::Value;

use super::{Additional, Schema};

const ROOT_MEMBERS: [&str; 3] = ["apiVersion", "kind", "metadata"];

impl Schema {
    /// Drops every field that the schema does not know; answers their paths, such as `spec.triggers[0].nope`.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut dropped = Vec::new();
        if let Some(members) = object.as_object_mut() {
            let names: Vec<String> = members.keys().cloned().collect();
            for name in names.iter().filter(|name| !ROOT_MEMBERS.contains(&name.as_str())) {
                match self.properties.get(name) {
                    Some(schema) => {
                        if let Some(value) = members.get_mut(name) {
                            schema.prune_at(name, value, &mut dropped);
                        }
                    }
                    None if self.preserve_unknown => {}
                    None => {
                        members.remove(name);
                        dropped.push(name.clone());
                    }
                }
            }
        }
        dropped
    }

    fn prune_at(&self, path: &str, value: &mut Value, dropped: &mut Vec<String>) {
        match value {
            Value::Object(members) => members.retain(|name, member| {
                let path = format!("{path}.{name}");
                match self.member(name) {
                    Some(schema) => {
                        schema.prune_at(&path, member, dropped);
                        true
                    }
                    None if self.preserve_unknown || matches!(self.additional, Additional::Any) => true,
                    None => {
                        dropped.push(path);
                        false
                    }
                }
            }),
            Value::Array(items) => {
                let Some(schema) = &self.items else { return };
                for (index, item) in items.iter_mut().enumerate() {
                    schema.prune_at(&format!("{path}[{index}]"), item, dropped);
                }
            }
            _ => {}
        }
    }

    /// Fills in defaults and drops nulls where null is not allowed.
    pub fn default(&self, object: &mut Value) {
        if let Some(members) = object.as_object_mut() {
            for (name, schema) in &self.properties {
                if !ROOT_MEMBERS.contains(&name.as_str()) {
                    schema.default_member(name, members);
                }
            }
        }
    }

    fn default_member(&self, name: &str, members: &mut serde_json::Map<String, Value>) {
        if members.get(name).is_some_and(|value| value.is_null() && !self.nullable) {
            members.remove(name);
        }
        if let Some(default) = &self.default {
            members.entry(name).or_insert_with(|| default.clone());
        }
        if let Some(value) = members.get_mut(name) {
            self.default_inside(value);
        }
    }

    fn default_inside(&self, value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, schema) in &self.properties {
                    schema.default_member(name, members);
                }
                if let Additional::Of(schema) = &self.additional {
                    let names: Vec<String> = members.keys().cloned().collect();
                    for name in names.iter().filter(|name| !self.properties.contains_key(*name)) {
                        schema.default_member(name, members);
                    }
                }
            }
            Value::Array(items) => {
                let Some(schema) = &self.items else { return };
                for item in items {
                    if item.is_null() && !schema.nullable {
                        *item = schema.default.clone().unwrap_or(Value::Null);
                    }
                    schema.default_inside(item);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        Schema::parse(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "mode": {"type": "string", "default": "static"},
            "note": {"type": "string"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"known": {"type": "object", "properties": {"a": {"type": "string"}}}}},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
            "list": {"type": "array", "items": {"type": "object", "properties": {
                "a": {"type": "string"}, "b": {"type": "integer", "default": 3}}}},
            "bare": {"type": "object"},
        }}}}))
        .unwrap()
    }

    #[test]
    fn unknown_fields_go_and_are_named() {
        let mut object = json!({"kind": "K", "apiVersion": "g/v1", "metadata": {"x": 1}, "extra": 1, "spec": {
            "nope": 1, "free": {"any": {"deep": 1}, "known": {"a": "x", "z": 1}}, "map": {"k": "v"},
            "list": [{"a": "x", "c": 1}], "bare": {"gone": true}}});
        let mut dropped = schema().prune(&mut object);
        dropped.sort();
        assert_eq!(dropped, ["extra", "spec.bare.gone", "spec.free.known.z", "spec.list[0].c", "spec.nope"]);
        assert_eq!(
            object,
            json!({"kind": "K", "apiVersion": "g/v1", "metadata": {"x": 1}, "spec": {
                "free": {"any": {"deep": 1}, "known": {"a": "x"}}, "map": {"k": "v"},
                "list": [{"a": "x"}], "bare": {}}})
        );
    }

    #[test]
    fn defaults_fill_gaps_and_replace_nulls() {
        let mut object = json!({"spec": {"mode": null, "note": null, "list": [{"b": null}, {"b": 7}]}});
        schema().default(&mut object);
        assert_eq!(object, json!({"spec": {"mode": "static", "list": [{"b": 3}, {"b": 7}]}}));
    }
}
