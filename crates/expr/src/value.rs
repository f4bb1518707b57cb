//! What a formula computes with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A value. Copies share what they hold.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// Nothing: a trigger that has failed, a key that is not there.
    #[default]
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// An array.
    Array(List),
    /// A map.
    Map(Map),
}

/// An array that knows how deep it nests.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    pub(crate) items: Arc<Vec<Value>>,
    pub(crate) depth: usize,
}

/// A map that knows how deep it nests. In the order of its keys, where Go has none.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    pub(crate) entries: Arc<BTreeMap<Key, Value>>,
    pub(crate) depth: usize,
}

/// The key of a map. Numbers of equal value are different keys when one is whole and the other is not, as in Go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Nil,
    Bool(bool),
    Int(i64),
    /// By its bits.
    Float(u64),
    Text(Arc<str>),
}

impl List {
    /// Its elements.
    pub fn iter(&self) -> impl Iterator<Item = &Value> {
        self.items.iter()
    }
}

impl Map {
    /// Its entries, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (Value, &Value)> {
        self.entries.iter().map(|(key, value)| (key.value(), value))
    }
}

impl Value {
    /// A text.
    pub fn text(text: &str) -> Self {
        Self::Text(Arc::from(text))
    }

    /// The name of its type in Go, for errors.
    pub(crate) fn go_type(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Array(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
        }
    }

    /// How deep it nests: 0 for what holds nothing.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Array(list) => list.depth,
            Self::Map(map) => map.depth,
            _ => 0,
        }
    }

    /// As a number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }
}

impl Key {
    pub(crate) fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Nil => Self::Nil,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Float(value) => Self::Float(value.to_bits()),
            Value::Text(text) => Self::Text(text.clone()),
            Value::Array(_) | Value::Map(_) => return None,
        })
    }

    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Float(bits) => Value::Float(f64::from_bits(*bits)),
            Self::Text(text) => Value::Text(text.clone()),
        }
    }
}

/// As Go's `%v` prints it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("<nil>"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => float(*value, f),
            Self::Text(text) => f.write_str(text),
            Self::Array(list) => {
                f.write_str("[")?;
                for (at, item) in list.items.iter().enumerate() {
                    let space = if at > 0 { " " } else { "" };
                    write!(f, "{space}{item}")?;
                }
                f.write_str("]")
            }
            Self::Map(map) => {
                f.write_str("map[")?;
                for (at, (key, item)) in map.entries.iter().enumerate() {
                    let space = if at > 0 { " " } else { "" };
                    write!(f, "{space}{}:{item}", key.value())?;
                }
                f.write_str("]")
            }
        }
    }
}

/// The shortest digits that give the number back, with an exponent where it is below -4 or above 5, as Go's `%v`.
fn float(value: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if value.is_nan() {
        return f.write_str("NaN");
    }
    if value.is_infinite() {
        return f.write_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return write!(f, "{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(f, "{digits}e{sign}{:02}", exponent.abs())
}
