//! The built-in kinds: names, defaults, validation and columns, one file an API group.
//!
//! Bodies are read through k8s-openapi's types, which refuses wrong types and drops unknown fields as the API server
//! does. Only the defaults and checks that scaling meets are here; each names what it stands for.

mod apps;
mod autoscaling;
mod cluster;
mod core;
mod events;
mod reviews;
mod workload;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    jsonpath::JsonPath,
    resource::{Builtin, Cell, Column, Resource, Rules},
    schema::FieldError,
};

/// Every built-in kind, in the order of discovery.
pub(crate) fn resources() -> Vec<Resource> {
    let groups = [
        core::resources(),
        apps::resources(),
        autoscaling::resources(),
        events::resources(),
        cluster::resources(),
        reviews::resources(),
    ];
    groups.into_iter().flatten().collect()
}

/// A kind whose bodies are checked for types only.
const fn of<T: Serialize + DeserializeOwned>() -> Builtin {
    Builtin {
        decode: |body| serde_json::to_value(serde_json::from_value::<T>(body)?),
        default: |_| {},
        validate: |_, _| Vec::new(),
        convert: None,
        initial_status: None,
        unconditional_update: true,
        create_on_update: false,
        selectable: &[],
    }
}

fn resource(group: &str, version: &str, kind: &str, plural: &str, rules: &'static Builtin) -> Resource {
    Resource::new(group, version, kind, plural, Rules::Builtin(rules))
}

impl Resource {
    fn short(mut self, names: &[&str]) -> Self {
        self.short_names = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    fn in_all(mut self) -> Self {
        self.categories = vec!["all".to_owned()];
        self
    }

    fn cluster_scoped(mut self) -> Self {
        self.namespaced = false;
        self
    }

    fn with_status(mut self) -> Self {
        self.status = true;
        self
    }

    fn with_generation(mut self) -> Self {
        self.generation = crate::resource::Generation::Spec;
        self
    }

    fn with_scale(mut self) -> Self {
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<String>>();
        self.scale = Some(crate::resource::ScalePaths {
            spec_replicas: path("spec.replicas"),
            status_replicas: path("status.replicas"),
            selector: Some(path("spec.selector")),
        });
        self
    }

    fn columns(mut self, columns: Vec<Column>) -> Self {
        self.columns = columns;
        self
    }
}

fn column(name: &str, kind: &str, priority: i64, cell: Cell) -> Column {
    Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        format: String::new(),
        description: String::new(),
        priority,
        cell,
    }
}

/// A column that shows what a path reaches.
fn path_column(name: &str, kind: &str, path: &str) -> Column {
    column(name, kind, 0, path_cell(path, Cell::Path))
}

fn computed(name: &str, cell: fn(&Value) -> Value) -> Column {
    column(name, "string", 0, Cell::Computed(cell))
}

fn age() -> Column {
    column("Age", "string", 0, path_cell(".metadata.creationTimestamp", Cell::Age))
}

fn path_cell(path: &str, cell: fn(JsonPath) -> Cell) -> Cell {
    JsonPath::parse(path).map_or(Cell::Computed(|_| Value::Null), cell)
}

/// What a dotted path reaches; null when there is nothing.
fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(object, |value, name| value.get(name).unwrap_or(&Value::Null))
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    at(object, path).as_str().unwrap_or_default()
}

/// Sets a member unless it has a value.
fn set_default(object: &mut Value, path: &str, value: impl Into<Value>) {
    let mut place = object;
    for name in path.split('.') {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[name];
    }
    if place.is_null() {
        *place = value.into();
    }
}

/// `field is immutable`, if it changed.
fn immutable(path: &str, new: &Value, old: &Value) -> Option<FieldError> {
    let value = at(new, path);
    (value != at(old, path)).then(|| FieldError::invalid(path, value.clone(), "field is immutable"))
}

fn not_negative(object: &Value, path: &str) -> Option<FieldError> {
    let value = at(object, path).as_i64()?;
    (value < 0).then(|| FieldError::invalid(path, value, "must be greater than or equal to 0"))
}
