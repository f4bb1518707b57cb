//! Label and field selectors, as texts in queries and as `LabelSelector` objects.
//!
//! Grammar: `k8s.io/apimachinery/pkg/labels/selector.go` and `.../fields/selector.go`.

use serde_json::Value;

use crate::refusal::Refusal;

/// A conjunction of requirements on labels; empty matches everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Labels(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

impl Labels {
    /// Parses the text of a query.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let parse = |part: &str| {
            requirement(part.trim()).ok_or_else(|| {
                Refusal::bad_request(format!(
                    "unable to parse requirement: found '{part}', expected: a requirement"
                ))
            })
        };
        let requirements: Result<_, _> = split(text).into_iter().map(parse).collect();
        requirements.map(Self)
    }

    /// Whether a map of labels (null: none) satisfies every requirement.
    pub(crate) fn matches(&self, labels: &Value) -> bool {
        self.0.iter().all(|requirement| {
            let value = labels.get(&requirement.key).and_then(Value::as_str);
            match &requirement.test {
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::In(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
                Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|v| v != value)),
                Test::Greater(least) => number(value).is_some_and(|value| value > *least),
                Test::Less(most) => number(value).is_some_and(|value| value < *most),
            }
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The selector as a text, as `/scale` shows it.
    pub(crate) fn text(&self) -> String {
        let show = |requirement: &Requirement| {
            let key = &requirement.key;
            match &requirement.test {
                Test::Exists => key.clone(),
                Test::Absent => format!("!{key}"),
                Test::In(values) => match values.as_slice() {
                    [only] => format!("{key}={only}"),
                    many => format!("{key} in ({})", many.join(",")),
                },
                Test::NotIn(values) => format!("{key} notin ({})", values.join(",")),
                Test::Greater(least) => format!("{key}>{least}"),
                Test::Less(most) => format!("{key}<{most}"),
            }
        };
        self.0.iter().map(show).collect::<Vec<_>>().join(",")
    }
}

fn number(value: Option<&str>) -> Option<i64> {
    value?.parse().ok()
}

/// Splits at commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_u32, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn requirement(part: &str) -> Option<Requirement> {
    let of = |key: &str, test: Test| {
        let key = key.trim();
        let values = match &test {
            Test::In(values) | Test::NotIn(values) => values.as_slice(),
            _ => &[],
        };
        let sound = is_key(key) && values.iter().all(|value| is_value(value));
        sound.then(|| Requirement { key: key.to_owned(), test })
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some(list) = part.strip_suffix(')') {
        let (head, list) = list.split_once('(')?;
        let values: Vec<String> = list.split(',').map(|value| value.trim().to_owned()).collect();
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        return match operator {
            "in" => of(key, Test::In(values)),
            "notin" => of(key, Test::NotIn(values)),
            _ => None,
        };
    }
    if let Some((key, value)) = part.split_once("!=") {
        return of(key, Test::NotIn(one(value)));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return of(key, Test::In(one(value)));
    }
    if let Some((key, value)) = part.split_once('>') {
        return of(key, Test::Greater(value.trim().parse().ok()?));
    }
    if let Some((key, value)) = part.split_once('<') {
        return of(key, Test::Less(value.trim().parse().ok()?));
    }
    match part.strip_prefix('!') {
        Some(key) => of(key, Test::Absent),
        None => of(part, Test::Exists),
    }
}

/// A label's name, with or without a prefix before a slash.
fn is_key(key: &str) -> bool {
    let (prefix, name) = key.rsplit_once('/').unwrap_or(("prefix", key));
    let of_a_domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    !name.is_empty() && is_value(name) && !prefix.is_empty() && prefix.chars().all(of_a_domain)
}

/// A label's value: empty, or at most 63 letters, digits and `-_.`, with letters or digits at the ends.
fn is_value(value: &str) -> bool {
    let ends = [value.chars().next(), value.chars().next_back()];
    value.len() <= 63
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && ends.into_iter().flatten().all(|end| end.is_ascii_alphanumeric())
}

/// A `LabelSelector` object (`matchLabels`, `matchExpressions`); `None` if it is malformed.
pub(crate) fn of_object(selector: &Value) -> Option<Labels> {
    let mut requirements = Vec::new();
    for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
        let test = Test::In(vec![value.as_str()?.to_owned()]);
        requirements.push(Requirement { key: key.clone(), test });
    }
    for item in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
        let values = item.get("values").and_then(Value::as_array).into_iter().flatten();
        let values: Vec<String> = values.filter_map(Value::as_str).map(str::to_owned).collect();
        let test = match item.get("operator")?.as_str()? {
            "In" => Test::In(values),
            "NotIn" => Test::NotIn(values),
            "Exists" => Test::Exists,
            "DoesNotExist" => Test::Absent,
            _ => return None,
        };
        requirements.push(Requirement { key: item.get("key")?.as_str()?.to_owned(), test });
    }
    Some(Labels(requirements))
}

/// A conjunction of (in)equalities on fields; empty matches everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields(Vec<(Vec<String>, bool, String)>);

impl Fields {
    /// Parses the text of a query; only `metadata.name`, `metadata.namespace` and `allowed` fields can be selected.
    pub(crate) fn parse(text: &str, allowed: &[&str]) -> Result<Self, Refusal> {
        let mut terms = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (key, wanted, value) = if let Some((key, value)) = part.split_once("!=") {
                (key, false, value)
            } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (key, true, value)
            } else {
                return Err(Refusal::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{part}'"
                )));
            };
            let key = key.trim();
            if !matches!(key, "metadata.name" | "metadata.namespace") && !allowed.contains(&key) {
                return Err(Refusal::bad_request(format!("field label not supported: {key}")));
            }
            terms.push((key.split('.').map(str::to_owned).collect(), wanted, value.to_owned()));
        }
        Ok(Self(terms))
    }

    /// Whether an object satisfies every term; absent fields are empty texts.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(path, wanted, text)| {
            let value = path.iter().try_fold(object, |value, name| value.get(name));
            let found = match value {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            (found == *text) == *wanted
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_operator() {
        let labels = json!({"app": "web", "tier": "front", "size": "7"});
        for (text, expected) in [
            ("", true),
            ("app=web", true),
            ("app==web,tier!=back", true),
            ("app = web , tier in (front, back)", true),
            ("tier notin (front)", false),
            ("none notin (x)", true),
            ("none!=x", true),
            ("app", true),
            ("!app", false),
            ("!none", true),
            ("size>6,size<8", true),
            ("size>7", false),
            ("keda.sh/x=", false),
        ] {
            assert_eq!(Labels::parse(text).unwrap().matches(&labels), expected, "{text}");
        }
        for text in ["a b", "=x", "app in front", "size>x", "a in (b", "a like (b)"] {
            assert_eq!(Labels::parse(text).unwrap_err().code, 400, "{text}");
        }
    }

    #[test]
    fn what_is_no_label_is_refused() {
        for text in ["a!=(, in >1", "a=(", "a in (b,(c)", "a=-b", "\u{e9}=b", "a b", "/a=b", "A/a=b", "a=b=c"]
        {
            assert!(Labels::parse(text).is_err(), "{text}");
        }
        for text in ["a=", "a.b/c_d=E.f-1", "a in (b, c)", "!a"] {
            assert!(Labels::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn selector_objects_and_their_text() {
        let selector = of_object(&json!({"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "x", "operator": "DoesNotExist"}]}))
        .unwrap();
        assert_eq!(selector.text(), "app=web,tier in (a,b),!x");
        assert!(selector.matches(&json!({"app": "web", "tier": "b"})));
        assert_eq!(Labels::parse(&selector.text()).unwrap(), selector);
    }

    #[test]
    fn fields_by_name_only_where_supported() {
        let event = json!({"metadata": {"name": "a"}, "involvedObject": {"name": "x"}});
        let parse = |text| Fields::parse(text, &["involvedObject.name"]);
        assert!(parse("involvedObject.name=x,metadata.name!=b").unwrap().matches(&event));
        assert!(!parse("metadata.name=b").unwrap().matches(&event));
        assert_eq!(parse("spec.x=1").unwrap_err().message, "field label not supported: spec.x");
    }
}
