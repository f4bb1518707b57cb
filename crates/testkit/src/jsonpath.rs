//! The JSONPath subset of Kubernetes that printer columns and scale paths use.
//!
//! `.a.b`, `.a[0]`, `.a[*].b`, `.a[?(@.type=="X")].b`, `['key']` and `.a\.b`. Several results are what they are: a
//! column shows the first, or all joined when the path has `[*]`, as `kubectl` does with a table from the server.

use serde_json::Value;

/// A parsed path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Member(String),
    Index(usize),
    Every,
    /// Items whose member (by path) equals a text.
    Where(Vec<String>, String),
}

impl JsonPath {
    /// Parses a path; `None` for syntax outside of the subset.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text.trim().trim_start_matches('$');
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let end = closing(inner)?;
                steps.push(bracket(&inner[..end])?);
                rest = &inner[end + 1..];
            } else {
                let (name, after) = member(rest.strip_prefix('.').unwrap_or(rest));
                if name.is_empty() {
                    return None;
                }
                steps.push(if name == "*" { Step::Every } else { Step::Member(name) });
                rest = after;
            }
        }
        Some(Self(steps))
    }

    /// Everything that the path reaches.
    pub(crate) fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![value];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| step.find(value)).collect();
        }
        found
    }

    /// Whether the path can reach several values.
    pub(crate) fn is_plural(&self) -> bool {
        self.0.contains(&Step::Every)
    }
}

impl Step {
    fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match self {
            Self::Member(name) => value.get(name).into_iter().collect(),
            Self::Index(index) => value.get(index).into_iter().collect(),
            Self::Every => match value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(members) => members.values().collect(),
                _ => Vec::new(),
            },
            Self::Where(path, text) => {
                let matches = |item: &&Value| {
                    let found = path.iter().try_fold(*item, |value, name| value.get(name));
                    found.is_some_and(|value| show(value) == *text)
                };
                value.as_array().into_iter().flatten().filter(matches).collect()
            }
        }
    }
}

/// A value as people read it: texts without quotes.
pub(crate) fn show(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Splits a member's name off; `\.` stands for a dot in the name.
fn member(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '.' | '[' => return (name, &text[at..]),
            '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
            other => name.push(other),
        }
    }
    (name, "")
}

/// Where the bracket ends, quotes respected.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None, ']') => return Some(at),
            _ => {}
        }
    }
    None
}

fn bracket(inner: &str) -> Option<Step> {
    if inner == "*" {
        return Some(Step::Every);
    }
    if let Ok(index) = inner.parse() {
        return Some(Step::Index(index));
    }
    if let Some(filter) = inner.strip_prefix("?(@").and_then(|text| text.strip_suffix(')')) {
        let (path, text) = filter.split_once("==")?;
        let path = path.trim().trim_start_matches('.').split('.').map(str::to_owned).collect();
        return Some(Step::Where(path, unquote(text.trim()).to_owned()));
    }
    let name = unquote(inner);
    (name != inner).then(|| Step::Member(name.to_owned()))
}

fn unquote(text: &str) -> &str {
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_paths_of_printer_columns() {
        let object = json!({"status": {"conditions": [{"type": "Active", "status": "False"},
            {"type": "Ready", "status": "True"}]}, "spec": {"env": [{"name": "a"}, {"name": "b"}], "x.y": 3}});
        let find = |path: &str| -> Vec<Value> {
            JsonPath::parse(path).unwrap().find(&object).into_iter().cloned().collect()
        };
        assert_eq!(find(r#".status.conditions[?(@.type=="Ready")].status"#), [json!("True")]);
        assert_eq!(find(".spec.env[*].name"), [json!("a"), json!("b")]);
        assert_eq!(find(".spec.env[1].name"), [json!("b")]);
        assert_eq!(find(r".spec.x\.y"), [json!(3)]);
        assert_eq!(find(".spec['x.y']"), [json!(3)]);
        assert!(find(".spec.nope.deep").is_empty());
        assert_eq!(JsonPath::parse(".a[1:2]"), None);
    }
}
