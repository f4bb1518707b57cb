//! From the text of an entry to a number (core.md 9.4, `pkg/scalers/kubernetes_resource_scaler.go`).
//!
//! Errors say what was looked for and which kind of thing was found, never the text: it may come from a Secret.

use keda_api::Quantity;
use keda_scaler::{JsonPath, json_path};
use serde_json::Value;

use super::config::{Format, ValueType};

/// Where a number stands and how it is written.
#[derive(Debug)]
pub(super) struct Extract {
    form: Form,
    value_type: ValueType,
    /// As written, for errors.
    location: String,
}

#[derive(Debug)]
enum Form {
    Number,
    Json(JsonPath),
    Yaml,
}

impl Extract {
    pub(super) fn new(format: Format, value_type: ValueType, location: String) -> Result<Self, String> {
        let form = match format {
            Format::Number => Form::Number,
            Format::Json => Form::Json(JsonPath::parse(&location)?),
            Format::Yaml => Form::Yaml,
        };
        Ok(Self { form, value_type, location })
    }

    /// The number.
    pub(super) fn value(&self, text: &str) -> Result<f64, String> {
        match &self.form {
            Form::Number => self.number(text),
            Form::Json(path) => {
                let document: Value = serde_json::from_str(text).map_err(|error| {
                    format!("not valid JSON, line {} column {}", error.line(), error.column())
                })?;
                let found = path.find(&document).ok_or_else(|| self.missing("json"))?;
                self.json(&found)
            }
            Form::Yaml => {
                let document: Value =
                    serde_saphyr::from_str(text).map_err(|_| "not valid YAML".to_owned())?;
                if !document.is_object() {
                    return Err("not a YAML mapping".to_owned());
                }
                let found = walk(&document, &self.location).ok_or_else(|| self.missing("yaml"))?;
                self.yaml(found)
            }
        }
    }

    fn missing(&self, format: &str) -> String {
        format!("path {} not found in {format}", self.location)
    }

    fn number(&self, text: &str) -> Result<f64, String> {
        match self.value_type {
            ValueType::Float64 => scan_float(text).ok_or_else(|| "does not begin with a number".to_owned()),
            ValueType::Int64 => {
                scan_integer(text).ok_or_else(|| "does not begin with a whole number".to_owned())
            }
            ValueType::Quantity => quantity(text),
        }
    }

    fn json(&self, found: &Value) -> Result<f64, String> {
        match (found, self.value_type) {
            (Value::Number(number), ValueType::Int64) => Ok(as_f64(number).trunc()),
            (Value::Number(number), ValueType::Float64 | ValueType::Quantity) => Ok(as_f64(number)),
            (Value::String(text), ValueType::Float64 | ValueType::Quantity) => quantity(text),
            (other, _) => Err(self.no_number(other)),
        }
    }

    fn yaml(&self, found: &Value) -> Result<f64, String> {
        match (found, self.value_type) {
            (Value::Number(number), _) => Ok(as_f64(number)),
            (Value::String(text), ValueType::Quantity) => quantity(text),
            (Value::String(text), ValueType::Float64 | ValueType::Int64) => scan_float(text)
                .ok_or_else(|| "the text at valueLocation does not begin with a number".to_owned()),
            (other, _) => Err(self.no_number(other)),
        }
    }

    fn no_number(&self, found: &Value) -> String {
        format!(
            "valueLocation must point to value of type number or a string representing a Quantity, got: '{}'",
            json_path::kind(found)
        )
    }
}

/// Names and indices between dots. What lies beyond a scalar is ignored, as upstream does.
fn walk<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = document;
    for step in path.split('.') {
        at = match at {
            Value::Object(members) => members.get(step)?,
            Value::Array(elements) => elements.get(step.parse::<usize>().ok()?)?,
            _ => return Some(at),
        };
    }
    Some(at)
}

/// Numbers beyond a double's range are infinite, which the frame refuses.
fn as_f64(number: &serde_json::Number) -> f64 {
    number.as_f64().unwrap_or(f64::INFINITY)
}

fn quantity(text: &str) -> Result<f64, String> {
    // Entries written as YAML blocks end in a newline.
    let quantity: Result<Quantity, _> = text.trim().parse();
    quantity.map(|quantity| quantity.as_f64()).map_err(|_| "not a Kubernetes quantity".to_owned())
}

/// A number at the beginning of a text, as Go's `Sscanf` reads it: blanks in front and anything behind are ignored.
fn scan_float(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let mut end = digits(text, sign(text));
    if text[end..].starts_with('.') {
        end = digits(text, end + 1);
    }
    if text[end..].starts_with(['e', 'E']) {
        end = digits(text, end + 1 + sign(&text[end + 1..]));
    }
    text[..end].parse().ok()
}

/// The same for whole numbers; `42.9` gives 42.
fn scan_integer(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let whole: i64 = text[..digits(text, sign(text))].parse().ok()?;
    Some(whole as f64)
}

/// Length of a sign.
fn sign(text: &str) -> usize {
    usize::from(text.starts_with(['+', '-']))
}

/// Where the digits from `start` on end.
fn digits(text: &str, start: usize) -> usize {
    start + text[start..].bytes().take_while(u8::is_ascii_digit).count()
}
