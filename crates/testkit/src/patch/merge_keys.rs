//! What identifies the items of lists, and how lists of items are combined.

use serde_json::{Map, Value};

use super::Lists;
use crate::schema::ListType;

/// How two versions of a list become one.
pub(super) enum Merging {
    /// The new list replaces the old one.
    Atomic,
    /// Scalars: the union.
    Set,
    /// Objects, identified by these members.
    ByKey(Vec<String>),
}

/// How the list at a path is merged. Names of built-in lists are unique enough that the last one decides.
pub(super) fn of_list(lists: Lists<'_>, path: &[String]) -> Merging {
    match lists {
        Lists::Schema(schema) => {
            let node = path.iter().try_fold(schema, |schema, name| match name.as_str() {
                ITEM => schema.item(),
                name => schema.member(name),
            });
            match node.map(crate::schema::Schema::list_type) {
                Some(ListType::Set) => Merging::Set,
                Some(ListType::Map(keys)) => Merging::ByKey(keys.clone()),
                Some(ListType::Atomic) | None => of_metadata(path).unwrap_or(Merging::Atomic),
            }
        }
        Lists::Builtin => of_metadata(path).unwrap_or_else(|| builtin(path)),
    }
}

/// The element of a path that stands for "any item of this list".
pub(super) const ITEM: &str = "[]";

fn of_metadata(path: &[String]) -> Option<Merging> {
    match path {
        [metadata, list] if metadata == "metadata" && list == "finalizers" => Some(Merging::Set),
        [metadata, list] if metadata == "metadata" && list == "ownerReferences" => {
            Some(Merging::ByKey(vec!["uid".to_owned()]))
        }
        _ => None,
    }
}

fn builtin(path: &[String]) -> Merging {
    let by = |key: &str| Merging::ByKey(vec![key.to_owned()]);
    let inside = |name: &str| path.iter().any(|element| element == name);
    match path.last().map_or("", String::as_str) {
        "conditions" => by("type"),
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "secrets" => by("name"),
        "volumeMounts" => by("mountPath"),
        "volumeDevices" => by("devicePath"),
        "ports" if inside("containers") => by("containerPort"),
        "ports" => by("port"),
        "hostAliases" => by("ip"),
        "topologySpreadConstraints" => by("topologyKey"),
        _ => Merging::Atomic,
    }
}

/// The item of a list that has the same keys.
pub(super) fn position(items: &[Value], keys: &[String], wanted: &Map<String, Value>) -> Option<usize> {
    items.iter().position(|item| keys.iter().all(|key| item.get(key) == wanted.get(key)))
}
