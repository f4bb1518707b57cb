//! Where a number stands in a JSON answer: the paths that upstream's triggers take (`valueLocation`), which are those of
//! the Go library gjson (<https://github.com/tidwall/gjson/blob/master/SYNTAX.md>).
//!
//! Understood are members and elements joined by dots (`queues.0.length`), a backslash before a character that is meant
//! literally (`fav\.movie`), and `#` at the end, the number of elements. The rest of gjson (wildcards, queries, pipes,
//! modifiers, several paths in one) is refused by name when the path is parsed, never read as a member's name.

use std::borrow::Cow;

use serde_json::Value;

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A member of an object or, if it is a number, an element of an array.
    Into(String),
    /// The number of elements of an array.
    Count,
}

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// What in it is not supported.
    pub fn parse(path: &str) -> Result<Self, String> {
        let refused = |what: &str| Err(format!("{what} in the path {path:?} are not supported"));
        if path.starts_with("..") {
            return refused("JSON lines (..)");
        }
        if path.starts_with(['{', '[']) {
            return refused("several paths ({..}, [..])");
        }
        let mut steps = Vec::new();
        let mut step = String::new();
        let mut literal = false;
        let mut chars = path.chars().peekable();
        while let Some(char) = chars.next() {
            let first = step.is_empty() && !literal;
            match char {
                '\\' => {
                    literal = true;
                    step.extend(chars.next());
                }
                '.' => {
                    steps.push(Step::Into(std::mem::take(&mut step)));
                    literal = false;
                }
                '#' if first && chars.peek().is_none() => {
                    steps.push(Step::Count);
                    return Ok(Self { steps });
                }
                '#' if first => return refused("queries and projections (#)"),
                '@' if first => return refused("modifiers (@)"),
                '!' if first => return refused("literals (!)"),
                '*' | '?' => return refused("wildcards (*, ?)"),
                '|' => return refused("pipes (|)"),
                plain => step.push(plain),
            }
        }
        steps.push(Step::Into(step));
        Ok(Self { steps })
    }

    /// What stands there, if anything does.
    pub fn find<'a>(&self, document: &'a Value) -> Option<Cow<'a, Value>> {
        let mut at = document;
        for step in &self.steps {
            at = match (step, at) {
                (Step::Into(name), Value::Object(members)) => members.get(name)?,
                (Step::Into(name), Value::Array(elements)) => elements.get(index(name)?)?,
                (Step::Count, Value::Array(elements)) => return Some(Cow::Owned(elements.len().into())),
                (Step::Count, Value::Object(members)) => members.get("#")?,
                (Step::Into(_) | Step::Count, _) => return None,
            };
        }
        Some(Cow::Borrowed(at))
    }
}

fn index(name: &str) -> Option<usize> {
    name.bytes().all(|byte| byte.is_ascii_digit()).then(|| name.parse().ok()).flatten()
}

/// The kind of a value in the words of upstream's errors.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "Null",
        Value::Bool(true) => "True",
        Value::Bool(false) => "False",
        Value::Number(_) => "Number",
        Value::String(_) => "String",
        Value::Array(_) | Value::Object(_) => "JSON",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(path: &str) -> Option<Value> {
        let document = json!({
            "name": { "first": "Tom" },
            "children": ["Sara", { "age": 7 }, [1, 2]],
            "fav.movie": "Deer Hunter",
            "a\\b": 1, "#": 2, "*": 3, "7": 4, "": 5,
        });
        JsonPath::parse(path).unwrap().find(&document).map(Cow::into_owned)
    }

    #[test]
    fn members_and_elements() {
        for (path, value) in [
            ("name.first", json!("Tom")),
            ("children.0", json!("Sara")),
            ("children.1.age", json!(7)),
            ("children.2.1", json!(2)),
            ("children.#", json!(3)),
            ("children.2.#", json!(2)),
            (r"fav\.movie", json!("Deer Hunter")),
            (r"a\\b", json!(1)),
            ("#", json!(2)),
            (r"\#", json!(2)),
            (r"\*", json!(3)),
            ("7", json!(4)),
            ("", json!(5)),
        ] {
            assert_eq!(at(path), Some(value), "{path}");
        }
    }

    #[test]
    fn what_is_not_there() {
        for path in
            ["x", "name.last", "children.3", "children.-1", "children.x", "name.first.x", "name.first.#"]
        {
            assert_eq!(at(path), None, "{path}");
        }
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (path, what) in [
            ("children.#.age", "queries and projections (#)"),
            ("children.#(age>3)", "queries and projections (#)"),
            ("name.*", "wildcards (*, ?)"),
            ("n?me", "wildcards (*, ?)"),
            ("children|0", "pipes (|)"),
            ("@reverse", "modifiers (@)"),
            ("name.@this", "modifiers (@)"),
            ("{name.first}", "several paths ({..}, [..])"),
            ("..0", "JSON lines (..)"),
            ("!1", "literals (!)"),
        ] {
            let error = JsonPath::parse(path).unwrap_err();
            assert_eq!(error, format!("{what} in the path {path:?} are not supported"));
        }
    }
}
