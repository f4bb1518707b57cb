//! Validation, with the faults and texts of the API server.
//!
//! Sources: `k8s.io/kube-openapi/pkg/validation/validate`, `k8s.io/apiextensions-apiserver/pkg/apiserver/validation`.

use serde_json::{Number, Value};

use super::{Additional, FaultKind, FieldError, ListType, Schema, Type};

impl Schema {
    /// Every fault of a whole object (or of one node, then with paths relative to it).
    ///
    /// Validation rules are checked only where the object is otherwise sound, as the API server does it.
    #[must_use]
    pub fn validate(&self, object: &Value) -> Vec<FieldError> {
        let mut faults = Vec::new();
        self.check("", object, &mut faults);
        self.check_lists("", object, &mut faults);
        let blocked = faults.iter().any(|fault| {
            matches!(
                fault.kind,
                FaultKind::Required | FaultKind::TypeInvalid | FaultKind::TooLong | FaultKind::TooMany
            )
        });
        if !blocked {
            self.check_rules("", object, &mut faults);
        } else if self.has_rules() {
            faults.push(FieldError::invalid(
                "<nil>",
                Value::Null,
                "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
            ));
        }
        faults
    }

    fn has_rules(&self) -> bool {
        !self.rules.is_empty()
            || self.properties.values().any(Schema::has_rules)
            || self.items.as_ref().is_some_and(|schema| schema.has_rules())
            || matches!(&self.additional, Additional::Of(schema) if schema.has_rules())
    }

    fn check(&self, path: &str, value: &Value, faults: &mut Vec<FieldError>) {
        if value.is_null() && self.nullable {
            return;
        }
        let typed = self.check_type(value);
        if let Err(expected) = typed {
            self.refuse_type(path, value, expected, faults);
        }
        if let Some(allowed) = &self.allowed
            && !allowed.contains(value)
        {
            faults.push(FieldError::not_supported(path, value.clone(), allowed));
        }
        if typed.is_err() {
            return;
        }
        match value {
            Value::String(text) => self.check_text(path, text, faults),
            Value::Number(number) => self.check_number(path, number, faults),
            Value::Array(items) => {
                let length = items.len() as u64;
                if self.limits.min_items.is_some_and(|least| length < least) {
                    let least = self.limits.min_items.unwrap_or_default();
                    let detail = format!("{path} in body should have at least {least} items");
                    faults.push(FieldError::invalid(path, length, detail));
                }
                if let Some(most) = self.limits.max_items.filter(|most| length > *most) {
                    faults.push(too_many(path, length, &format!("must have at most {most} items")));
                }
                if let Some(schema) = &self.items {
                    for (index, item) in items.iter().enumerate() {
                        schema.check(&format!("{path}[{index}]"), item, faults);
                    }
                }
            }
            Value::Object(members) => self.check_members(path, members, faults),
            Value::Null | Value::Bool(_) => {}
        }
        self.check_combinations(path, value, faults);
    }

    /// A value of the wrong type. A fraction in the place of an integer is told in its own words, and twice.
    fn refuse_type(&self, path: &str, value: &Value, expected: &str, faults: &mut Vec<FieldError>) {
        let fraction = value.is_f64() && self.types == Some(Type::Integer);
        let (expected, found) = match &self.format {
            Some(format) if fraction => (format.as_str(), "float64"),
            _ => (expected, type_name(value)),
        };
        faults.push(FieldError {
            path: path.to_owned(),
            kind: FaultKind::TypeInvalid,
            value: Some(found.into()),
            detail: format!("{path} in body must be of type {expected}: \"{found}\""),
        });
        if fraction {
            faults.push(self.refuse_integer(path));
        }
    }

    /// A number that is no integer of the format.
    fn refuse_integer(&self, path: &str) -> FieldError {
        let format = self
            .format
            .as_ref()
            .map_or("(default format)".to_owned(), |format| format!("with format {format}"));
        let detail = format!("Checked value must be of type integer {format} in {path}");
        FieldError::invalid("<nil>", "", detail)
    }

    fn check_type(&self, value: &Value) -> Result<(), &'static str> {
        if self.int_or_string {
            let sound = value.is_string() || value.as_f64().is_some_and(|number| number.fract() == 0.0);
            return if sound { Ok(()) } else { Err("integer,string") };
        }
        let Some(expected) = self.types else { return Ok(()) };
        let sound = match expected {
            Type::Object => value.is_object(),
            Type::Array => value.is_array(),
            Type::String => value.is_string(),
            Type::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            Type::Number => value.is_number(),
            Type::Boolean => value.is_boolean(),
        };
        if sound { Ok(()) } else { Err(expected.name()) }
    }

    fn check_text(&self, path: &str, text: &str, faults: &mut Vec<FieldError>) {
        let length = text.chars().count() as u64;
        if let Some(least) = self.limits.min_length.filter(|least| length < *least) {
            let detail = format!("{path} in body should be at least {least} chars long");
            faults.push(FieldError::invalid(path, text, detail));
        }
        if let Some(most) = self.limits.max_length.filter(|most| length > *most) {
            faults.push(FieldError::too_long(path, usize::try_from(most).unwrap_or(usize::MAX)));
        }
        if let Some(pattern) = self.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            let detail = format!("{path} in body should match '{}'", pattern.as_str());
            faults.push(FieldError::invalid(path, text, detail));
        }
        if self.format.as_deref() == Some("date-time") && text.parse::<jiff::Timestamp>().is_err() {
            let detail = format!("{path} in body must be of type date-time: {text:?}");
            faults
                .push(FieldError { kind: FaultKind::TypeInvalid, ..FieldError::invalid(path, text, detail) });
        }
    }

    fn check_number(&self, path: &str, number: &Number, faults: &mut Vec<FieldError>) {
        let value = number.as_f64().unwrap_or_default();
        let whole = match self.format.as_deref() {
            Some("int32") => value >= f64::from(i32::MIN) && value <= f64::from(i32::MAX),
            Some("int64") => number.is_i64() || number.is_f64(),
            _ => true,
        };
        if !whole && self.types.is_some() {
            faults.push(self.refuse_integer(path));
        }
        let mut refuse =
            |detail: String| faults.push(FieldError::invalid(path, Value::Number(number.clone()), detail));
        let limits = &self.limits;
        if let Some(least) = limits.minimum {
            if limits.exclusive_minimum && value <= least {
                refuse(format!("{path} in body should be greater than {least}"));
            } else if value < least {
                refuse(format!("{path} in body should be greater than or equal to {least}"));
            }
        }
        if let Some(most) = limits.maximum {
            if limits.exclusive_maximum && value >= most {
                refuse(format!("{path} in body should be less than {most}"));
            } else if value > most {
                refuse(format!("{path} in body should be less than or equal to {most}"));
            }
        }
        if let Some(factor) = limits.multiple_of.filter(|factor| value % factor != 0.0) {
            refuse(format!("{path} in body should be a multiple of {factor}"));
        }
    }

    fn check_members(
        &self,
        path: &str,
        members: &serde_json::Map<String, Value>,
        faults: &mut Vec<FieldError>,
    ) {
        let count = members.len() as u64;
        if let Some(least) = self.limits.min_properties.filter(|least| count < *least) {
            let detail = format!("{path} in body should have at least {least} properties");
            faults.push(FieldError::invalid(path, count, detail));
        }
        if let Some(most) = self.limits.max_properties.filter(|most| count > *most) {
            faults.push(too_many(path, count, &format!("must have at most {most} items")));
        }
        for name in self.required.iter().filter(|name| !members.contains_key(*name)) {
            faults.push(FieldError::required(join(path, name), ""));
        }
        for (name, value) in members {
            // The API server reads object metadata itself, before the schema is asked.
            let skipped = path.is_empty() && name == "metadata";
            if let Some(schema) = self.member(name).filter(|_| !skipped) {
                schema.check(&join(path, name), value, faults);
            }
        }
    }

    fn check_combinations(&self, path: &str, value: &Value, faults: &mut Vec<FieldError>) {
        let passes = |schema: &Schema| {
            let mut inner = Vec::new();
            schema.check(path, value, &mut inner);
            inner.is_empty()
        };
        let mut refuse = |text: &str| {
            faults.push(FieldError::invalid(path, "", format!("\"{path}\" must {text}")));
        };
        if !self.any_of.is_empty() && !self.any_of.iter().any(passes) {
            refuse("validate at least one schema (anyOf)");
        }
        if !self.one_of.is_empty() && self.one_of.iter().filter(|schema| passes(schema)).count() != 1 {
            refuse("validate one and only one schema (oneOf)");
        }
        if !self.all_of.iter().all(passes) {
            refuse("validate all the schemas (allOf)");
        }
        if self.not.as_deref().is_some_and(passes) {
            refuse("not validate the schema (not)");
        }
    }

    /// Uniqueness in lists that are sets or maps.
    fn check_lists(&self, path: &str, value: &Value, faults: &mut Vec<FieldError>) {
        if let Value::Array(items) = value {
            let keys: Vec<Value> = match &self.list {
                ListType::Atomic => Vec::new(),
                ListType::Set => items.clone(),
                ListType::Map(names) => items.iter().map(|item| self.map_key(item, names)).collect(),
            };
            for (index, key) in keys.iter().enumerate() {
                if keys[..index].contains(key) {
                    faults.push(FieldError {
                        path: format!("{path}[{index}]"),
                        kind: FaultKind::Duplicate,
                        value: Some(key.clone()),
                        detail: String::new(),
                    });
                }
            }
        }
        self.visit(path, value, &mut |schema, path, value| schema.check_lists(path, value, faults));
    }

    /// The members that identify an item of a map list; an absent key stands for its default.
    fn map_key(&self, item: &Value, names: &[String]) -> Value {
        let schema = self.items.as_deref();
        let key = names.iter().filter_map(|name| {
            let default = || schema?.properties.get(name)?.default.clone();
            Some((name.clone(), item.get(name).cloned().or_else(default)?))
        });
        Value::Object(key.collect())
    }

    fn check_rules(&self, path: &str, value: &Value, faults: &mut Vec<FieldError>) {
        for rule in self.rules.iter().filter(|rule| !(rule.holds)(value)) {
            faults.push(FieldError { value: None, ..FieldError::invalid(path, "", rule.message.clone()) });
        }
        self.visit(path, value, &mut |schema, path, value| schema.check_rules(path, value, faults));
    }

    /// Calls `visit` for each child that has a schema.
    fn visit(&self, path: &str, value: &Value, visit: &mut dyn FnMut(&Schema, &str, &Value)) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if let Some(schema) = self.member(name) {
                        visit(schema, &join(path, name), member);
                    }
                }
            }
            Value::Array(items) => {
                let Some(schema) = self.items.as_deref() else { return };
                for (index, item) in items.iter().enumerate() {
                    visit(schema, &format!("{path}[{index}]"), item);
                }
            }
            _ => {}
        }
    }
}

fn too_many(path: &str, count: u64, detail: &str) -> FieldError {
    FieldError {
        path: path.to_owned(),
        kind: FaultKind::TooMany,
        value: Some(count.into()),
        detail: detail.to_owned(),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(schema: &Value, object: &Value) -> Vec<String> {
        Schema::parse(schema).unwrap().validate(object).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn faults_are_worded_like_the_api_server() {
        let schema = json!({"type": "object", "required": ["spec"], "properties": {"spec": {
        "type": "object", "required": ["triggers"], "properties": {
            "triggers": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["type"],
                "properties": {"type": {"type": "string", "minLength": 1}}}},
            "pollingInterval": {"type": "integer", "format": "int32", "minimum": 1},
            "mode": {"type": "string", "enum": ["static", "dynamic"]},
            "tolerance": {"anyOf": [{"type": "integer"}, {"type": "string"}], "pattern": "^[0-9.]+$",
                "x-kubernetes-int-or-string": true},
        }}}});
        assert_eq!(faults(&schema, &json!({})), ["spec: Required value"]);
        let object = json!({"spec": {"triggers": [], "pollingInterval": 0, "mode": "x", "tolerance": "a"}});
        let mut found = faults(&schema, &object);
        found.sort();
        assert_eq!(
            found,
            [
                "spec.mode: Unsupported value: \"x\": supported values: \"static\", \"dynamic\"",
                "spec.pollingInterval: Invalid value: 0: spec.pollingInterval in body should be greater than or equal to 1",
                "spec.tolerance: Invalid value: \"a\": spec.tolerance in body should match '^[0-9.]+$'",
                "spec.triggers: Invalid value: 0: spec.triggers in body should have at least 1 items",
            ]
        );
        let object =
            json!({"spec": {"triggers": [{}, {"type": ""}], "pollingInterval": "5", "tolerance": 1}});
        let mut found = faults(&schema, &object);
        found.sort();
        assert_eq!(
            found,
            [
                "spec.pollingInterval: Invalid value: \"string\": spec.pollingInterval in body must be of type integer: \"string\"",
                "spec.triggers[0].type: Required value",
                "spec.triggers[1].type: Invalid value: \"\": spec.triggers[1].type in body should be at least 1 chars long",
            ]
        );
        let object = json!({"spec": {"triggers": [{"type": "x"}], "pollingInterval": 3_000_000_000_u64}});
        assert_eq!(
            faults(&schema, &object),
            [
                "<nil>: Invalid value: \"\": Checked value must be of type integer with format int32 in spec.pollingInterval"
            ]
        );
    }

    #[test]
    fn rules_run_only_on_sound_objects() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object",
            "properties": {"minReplicaCount": {"type": "integer"}, "maxReplicaCount": {"type": "integer"}},
            "x-kubernetes-validations": [{"message": "too big", "rule":
                "!has(self.minReplicaCount) || self.minReplicaCount <= (has(self.maxReplicaCount) ? self.maxReplicaCount : 100)"}]}}});
        let object = json!({"spec": {"minReplicaCount": 5, "maxReplicaCount": 1}});
        assert_eq!(faults(&schema, &object), ["spec: Invalid value: too big"]);
        let object = json!({"spec": {"minReplicaCount": "5"}});
        assert!(faults(&schema, &object)[1].contains("some validation rules were not checked"));
    }

    #[test]
    fn map_lists_hold_each_key_once() {
        let schema = json!({"type": "object", "properties": {"ports": {"type": "array",
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
            "items": {"type": "object", "properties": {"port": {"type": "integer"},
                "protocol": {"type": "string", "default": "TCP"}}}}}});
        let object =
            json!({"ports": [{"port": 1}, {"port": 1, "protocol": "UDP"}, {"port": 1, "protocol": "TCP"}]});
        assert_eq!(
            faults(&schema, &object),
            ["ports[2]: Duplicate value: {\"port\":1,\"protocol\":\"TCP\"}"]
        );
    }
}
