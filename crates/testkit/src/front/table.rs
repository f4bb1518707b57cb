//! Tables: what `kubectl get` shows.

use jiff::{Timestamp, Unit};
use serde_json::{Value, json};

use super::form::metadata_of;
use crate::{
    jsonpath::show,
    resource::{Cell, Column, Resource},
};

/// `includeObject`: what of the object goes with its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Include {
    None,
    Metadata,
    Object,
}

impl Include {
    pub(super) fn parse(text: Option<&str>) -> Self {
        match text {
            Some("None") => Self::None,
            Some("Object") => Self::Object,
            _ => Self::Metadata,
        }
    }
}

pub(super) fn of(resource: &Resource, objects: &[Value], include: Include, metadata: &Value) -> Value {
    let definition = |name: &str, kind: &str, format: &str, description: &str, priority: i64| json!({"name": name, "type": kind, "format": format, "description": description, "priority": priority});
    let mut definitions =
        vec![definition("Name", "string", "name", "Name must be unique within a namespace.", 0)];
    definitions.extend(
        resource.columns.iter().map(|c| definition(&c.name, &c.kind, &c.format, &c.description, c.priority)),
    );
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut cells = vec![object["metadata"]["name"].clone()];
            cells.extend(resource.columns.iter().map(|column| cell(column, object)));
            let shown = match include {
                Include::None => Value::Null,
                Include::Metadata => metadata_of(object),
                Include::Object => object.clone(),
            };
            json!({"cells": cells, "object": shown})
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows})
}

fn cell(column: &Column, object: &Value) -> Value {
    match &column.cell {
        Cell::Computed(compute) => compute(object),
        Cell::Age(path) => {
            let time = path.find(object).first().and_then(|value| value.as_str()).unwrap_or_default();
            json!(time.parse().map_or_else(|_| "<unknown>".to_owned(), age))
        }
        Cell::Path(path) => {
            let found = path.find(object);
            if path.is_plural() {
                let texts: Vec<String> = found.into_iter().map(show).collect();
                return json!(texts.join(","));
            }
            match found.first() {
                None => Value::Null,
                Some(value) if column.kind == "string" => json!(show(value)),
                Some(value) => (*value).clone(),
            }
        }
    }
}

/// How long ago, as kubectl says it. The machine's clock decides, as tables are for people.
fn age(since: Timestamp) -> String {
    let seconds = (Timestamp::now() - since).total(Unit::Second).unwrap_or(0.0).max(0.0) as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => match seconds % 60 {
            0 => format!("{minutes}m"),
            rest => format!("{minutes}m{rest}s"),
        },
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => match minutes % 60 {
            0 => format!("{hours}h"),
            rest => format!("{hours}h{rest}m"),
        },
        28_800..172_800 => format!("{hours}h"),
        _ => format!("{days}d"),
    }
}
