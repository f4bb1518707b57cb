//! From text to objects that know their lines.

use std::collections::BTreeMap;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

use super::input::Source;

/// One object of a file.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) file: String,
    /// Where it begins.
    pub(super) line: u64,
    pub(super) value: Value,
    lines: BTreeMap<String, u64>,
    /// `items[3]` for a member of a List.
    prefix: String,
}

/// A document that is none.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) file: String,
    pub(super) line: u64,
    pub(super) error: String,
}

impl Object {
    /// `kind`, empty if there is none.
    pub(super) fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// The API group of `apiVersion`; empty for the core group.
    pub(super) fn group(&self) -> &str {
        self.text("/apiVersion").rsplit_once('/').map_or("", |(group, _)| group)
    }

    /// `metadata.name`.
    pub(super) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// `metadata.namespace`, empty if there is none.
    pub(super) fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    fn text(&self, pointer: &str) -> &str {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// The line of a field, such as `spec.triggers[0].metadata.query`, else that of the nearest field around it.
    pub(super) fn line_of(&self, path: &str) -> u64 {
        let mut path = match (self.prefix.as_str(), path) {
            ("", path) => path.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, path) => format!("{prefix}.{path}"),
        };
        loop {
            if let Some(line) = self.lines.get(&path) {
                return *line;
            }
            match path.rfind(['.', '[']) {
                Some(end) if end > self.prefix.len() => path.truncate(end),
                _ => return self.line,
            }
        }
    }
}

/// All objects of a file, Lists taken apart, and the documents that cannot be read: each hurts only itself.
pub(super) fn objects(source: &Source) -> (Vec<Object>, Vec<Broken>) {
    let mut objects = Vec::new();
    let mut broken = Vec::new();
    for (before, text) in documents(&source.text) {
        // No text of the file in errors: it may be a Secret's.
        let options = serde_saphyr::options! { with_snippet: false };
        let parsed = serde_saphyr::from_str_with_options::<Spanned<Node>>(text, options);
        let error = match parsed {
            Ok(Spanned { value: Node::Null, .. }) => continue,
            Ok(root) => {
                let mut lines = BTreeMap::new();
                let line = before + root.referenced.line().max(1);
                let value = convert(root.value, "", before, &mut lines);
                if value.is_object() {
                    spread(
                        Object { file: source.name.clone(), line, value, lines, prefix: String::new() },
                        &mut objects,
                    );
                    continue;
                }
                Broken { file: source.name.clone(), line, error: "not an object".to_owned() }
            }
            Err(error) => {
                let line = error.location().map_or(1, |location| location.line());
                let error = told(&error.to_string());
                Broken { file: source.name.clone(), line: before + line.max(1), error }
            }
        };
        broken.push(error);
    }
    (objects, broken)
}

/// The error without its own place: that counts from the document's start.
fn told(error: &str) -> String {
    let text = error.split(" at line ").next().unwrap_or(error);
    format!("not readable as YAML: {}", text.split(", set DuplicateKeyPolicy").next().unwrap_or(text))
}

/// The documents of a stream, each with the number of lines before it.
fn documents(text: &str) -> Vec<(u64, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut before, mut at, mut line) = (0, 0, 0, 0);
    for full in text.split_inclusive('\n') {
        let marker = full
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker {
            documents.push((before, &text[start..at]));
            // What stands behind the marker belongs to the document.
            (start, before) = (at + "---".len(), line);
        }
        at += full.len();
        line += 1;
    }
    documents.push((before, &text[start..]));
    documents
}

/// A List's items, or the object itself.
fn spread(object: Object, into: &mut Vec<Object>) {
    let items = object.value.get("items").and_then(Value::as_array);
    match items {
        Some(items) if object.kind().ends_with("List") => {
            for (index, item) in items.iter().enumerate().filter(|(_, item)| item.is_object()) {
                let prefix = format!("items[{index}]");
                let line = object.line_of(&prefix);
                into.push(Object { line, value: item.clone(), prefix, ..object.clone() });
            }
        }
        _ => into.push(object),
    }
}

fn convert(node: Node, path: &str, before: u64, lines: &mut BTreeMap<String, u64>) -> Value {
    match node {
        Node::Null => Value::Null,
        Node::Boolean(value) => Value::Bool(value),
        Node::Number(value) => Value::Number(value),
        Node::Text(value) => Value::String(value),
        Node::List(items) => {
            let items = items.into_iter().enumerate().map(|(index, item)| {
                let path = format!("{path}[{index}]");
                lines.insert(path.clone(), before + item.referenced.line());
                convert(item.value, &path, before, lines)
            });
            items.collect()
        }
        Node::Map(members) => {
            let mut object = Map::new();
            for (name, member) in members {
                let path =
                    if path.is_empty() { name.value.clone() } else { format!("{path}.{}", name.value) };
                lines.insert(path.clone(), before + name.referenced.line());
                object.insert(name.value, convert(member.value, &path, before, lines));
            }
            Value::Object(object)
        }
    }
}

/// A YAML node, its children with their places.
enum Node {
    Null,
    Boolean(bool),
    Number(Number),
    Text(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Nodes)
    }
}

struct Nodes;

impl<'de> Visitor<'de> for Nodes {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML node")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Boolean(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        // What JSON cannot hold kubectl refuses too; a text is refused by whatever wanted a number.
        Ok(Number::from_f64(value).map_or_else(|| Node::Text(value.to_string()), Node::Number))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Node::Map(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Object>, Vec<Broken>) {
        objects(&Source { name: "f".to_owned(), text: text.to_owned() })
    }

    #[test]
    fn objects_know_their_lines() {
        let text = "# a file\nkind: A\nmetadata: {name: one}\n---\n\n---\nkind: B\nspec:\n  list:\n    - x: 1\n    - y:\n        z: 2\n";
        let (objects, broken) = read(text);
        assert!(broken.is_empty(), "{broken:?}");
        let places: Vec<_> = objects.iter().map(|object| (object.kind(), object.line)).collect();
        assert_eq!(places, [("A", 2), ("B", 7)]);
        assert_eq!(objects[0].name(), "one");
        for (path, line) in [
            ("spec", 8),
            ("spec.list[0].x", 10),
            ("spec.list[1].y.z", 12),
            ("spec.list[1].no", 11),
            ("no", 7),
        ] {
            assert_eq!(objects[1].line_of(path), line, "{path}");
        }
    }

    #[test]
    fn a_broken_document_hurts_only_itself() {
        let (objects, broken) =
            read("kind: A\n---\nkind: [B\nmore: x\n---\nkind: C\n---\njust text\n---\na: 1\na: 2\n");
        assert_eq!(objects.len(), 2);
        let broken: Vec<_> = broken.iter().map(|broken| (broken.line, broken.error.as_str())).collect();
        assert_eq!(broken[0].0, 4, "{broken:?}");
        assert_eq!(broken[1], (8, "not an object"));
        assert_eq!(broken[2], (11, "not readable as YAML: duplicate mapping key: a"));
    }

    #[test]
    fn lists_are_taken_apart_and_json_is_yaml() {
        let (objects, _) = read(
            "{\"kind\": \"List\", \"items\": [\n {\"kind\": \"A\"},\n {\"kind\": \"B\",\n \"spec\": {}}]}",
        );
        let places: Vec<_> =
            objects.iter().map(|object| (object.kind(), object.line, object.line_of("spec"))).collect();
        assert_eq!(places, [("A", 2, 2), ("B", 3, 4)]);
    }
}
