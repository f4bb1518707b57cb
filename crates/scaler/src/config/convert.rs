//! Text to values, by upstream's rules (core.md 7.3). The error texts are upstream's.

use std::collections::BTreeMap;
use std::time::Duration;

use keda_api::GoDuration;
use serde_json::{Value as Json, json};

use super::json_number::{self, Kind};
use super::{Parameter, Secrets, Shape};
use crate::Secret;
use crate::secret::HIDDEN;

/// Longest list that ranges may expand to: `1-1000000000` must not take the operator's memory.
const MAX_LIST: usize = 100_000;

/// A type that a parameter's text can be converted to.
pub trait Value: Sized {
    /// How the declaration calls it.
    const SHAPE: Shape;
    /// The words it consists of, if it is a set of words.
    const WORDS: &'static [&'static str] = &[];
    /// Whether absence is part of the type.
    const OPTIONAL: bool = false;
    /// How errors call it when the text itself must not be shown, e.g. `a whole number`.
    const NOUN: &'static str;

    /// What an absent parameter leaves in the field.
    fn empty() -> Self;

    /// Converts a trimmed text that is not empty.
    ///
    /// # Errors
    /// Says what is wrong with the text, in upstream's words.
    fn parse(text: &str, declared: &Parameter) -> Result<Self, String>;

    /// The value for people.
    fn to_json(&self, secrets: Secrets) -> Json;
}

/// A Go boolean word (`strconv.ParseBool`), or `None`.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

impl Value for String {
    const SHAPE: Shape = Shape::Text;
    const NOUN: &'static str = "text";

    fn empty() -> Self {
        Self::new()
    }

    fn parse(text: &str, _: &Parameter) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn to_json(&self, _: Secrets) -> Json {
        json!(self)
    }
}

impl Value for Secret {
    const SHAPE: Shape = Shape::Secret;
    const NOUN: &'static str = "text";

    fn empty() -> Self {
        Self::default()
    }

    fn parse(text: &str, _: &Parameter) -> Result<Self, String> {
        Ok(text.into())
    }

    fn to_json(&self, secrets: Secrets) -> Json {
        match secrets {
            Secrets::Hidden if self.is_empty() => json!(""),
            Secrets::Hidden => json!(HIDDEN),
            #[cfg(any(test, feature = "contract"))]
            Secrets::Shown => json!(self.expose()),
        }
    }
}

impl Value for bool {
    const SHAPE: Shape = Shape::Boolean;
    const NOUN: &'static str = "a boolean";

    fn empty() -> Self {
        false
    }

    fn parse(text: &str, _: &Parameter) -> Result<Self, String> {
        boolean(text).ok_or_else(|| {
            format!(
                "unable to parse boolean value {text:?}: strconv.ParseBool: parsing {text:?}: invalid syntax"
            )
        })
    }

    fn to_json(&self, _: Secrets) -> Json {
        json!(self)
    }
}

macro_rules! number {
    ($($type:ty, $go:literal, $kind:expr, $shape:expr, $noun:literal;)*) => {$(
        impl Value for $type {
            const SHAPE: Shape = $shape;
            const NOUN: &'static str = $noun;

            fn empty() -> Self {
                Self::default()
            }

            fn parse(text: &str, _: &Parameter) -> Result<Self, String> {
                json_number::parse(text, $kind, $go)
                    .map_err(|why| format!(concat!("unable to unmarshal to field type ", $go, ": {}"), why))
            }

            fn to_json(&self, _: Secrets) -> Json {
                json!(self)
            }
        }
    )*};
}

number! {
    i32, "int32", Kind::Integer, Shape::Integer, "a whole number";
    i64, "int64", Kind::Integer, Shape::Integer, "a whole number";
    u32, "uint32", Kind::Integer, Shape::Integer, "a whole number";
    u64, "uint64", Kind::Integer, Shape::Integer, "a whole number";
    f64, "float64", Kind::Float, Shape::Number, "a number";
}

/// Never negative: upstream refuses those. A bare number means milliseconds.
impl Value for Duration {
    const SHAPE: Shape = Shape::Duration;
    const NOUN: &'static str = "a duration";

    fn empty() -> Self {
        Self::ZERO
    }

    fn parse(text: &str, _: &Parameter) -> Result<Self, String> {
        if let Ok(duration) = text.parse::<GoDuration>() {
            return duration.to_std().ok_or_else(|| format!("duration cannot be negative: {duration}"));
        }
        let milliseconds: i64 = text.parse().map_err(|_| {
            format!(
                "unable to parse duration value {text:?}: must be either a duration string (e.g. '30s', '5m') or a \
                 number of milliseconds"
            )
        })?;
        u64::try_from(milliseconds)
            .map(Self::from_millis)
            .map_err(|_| format!("duration cannot be negative: {milliseconds} milliseconds"))
    }

    fn to_json(&self, _: Secrets) -> Json {
        json!(GoDuration::from(*self).to_string())
    }
}

impl<T: Value> Value for Option<T> {
    const SHAPE: Shape = T::SHAPE;
    const WORDS: &'static [&'static str] = T::WORDS;
    const OPTIONAL: bool = true;
    const NOUN: &'static str = T::NOUN;

    fn empty() -> Self {
        None
    }

    fn parse(text: &str, declared: &Parameter) -> Result<Self, String> {
        T::parse(text, declared).map(Some)
    }

    fn to_json(&self, secrets: Secrets) -> Json {
        match self {
            Some(value) => value.to_json(secrets),
            None => T::empty().to_json(secrets),
        }
    }
}

impl<T: Value + 'static> Value for Vec<T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);
    const WORDS: &'static [&'static str] = T::WORDS;
    const NOUN: &'static str = "a list";

    fn empty() -> Self {
        Self::new()
    }

    fn parse(text: &str, declared: &Parameter) -> Result<Self, String> {
        let mut list = Self::new();
        for piece in text.split(declared.separator).map(str::trim) {
            match declared.range.and_then(|range| piece.split_once(range)) {
                // A leading sign is no range.
                Some((start, end)) if !start.is_empty() => {
                    let bound = |text: &str| {
                        text.trim().parse::<i64>().map_err(|_| format!("not a range: {piece:?}"))
                    };
                    for number in bound(start)?..=bound(end)? {
                        if list.len() >= MAX_LIST {
                            return Err(format!("more than {MAX_LIST} elements"));
                        }
                        list.push(T::parse(&number.to_string(), declared)?);
                    }
                }
                _ => list.push(T::parse(piece, declared)?),
            }
        }
        Ok(list)
    }

    fn to_json(&self, secrets: Secrets) -> Json {
        if self.is_empty() {
            return Json::Null;
        }
        self.iter().map(|value| value.to_json(secrets)).collect()
    }
}

impl<T: Value + 'static> Value for BTreeMap<String, T> {
    const SHAPE: Shape = Shape::Map(&T::SHAPE);
    const NOUN: &'static str = "a list of key=value";

    fn empty() -> Self {
        Self::new()
    }

    fn parse(text: &str, declared: &Parameter) -> Result<Self, String> {
        let mut map = Self::new();
        for piece in text.split(declared.separator).map(str::trim) {
            match piece.split_once('=') {
                Some((key, value)) if !value.contains('=') => {
                    map.insert(key.trim().to_owned(), T::parse(value.trim(), declared)?);
                }
                _ => return Err(format!("expected format key=value, got {piece:?}")),
            }
        }
        Ok(map)
    }

    fn to_json(&self, secrets: Secrets) -> Json {
        if self.is_empty() {
            return Json::Null;
        }
        Json::Object(self.iter().map(|(key, value)| (key.clone(), value.to_json(secrets))).collect())
    }
}

/// A query string: keys with all their values, percent-decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UrlValues(pub BTreeMap<String, Vec<String>>);

impl Value for UrlValues {
    const SHAPE: Shape = Shape::UrlValues;
    const NOUN: &'static str = "a query string";

    fn empty() -> Self {
        Self::default()
    }

    fn parse(text: &str, _: &Parameter) -> Result<Self, String> {
        let digits =
            |escape: &str| escape.len() >= 2 && escape.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
        if let Some(broken) = text.split('%').skip(1).find(|escape| !digits(escape)) {
            let shown: String = broken.chars().take(2).collect();
            return Err(format!("invalid URL escape \"%{shown}\""));
        }
        if text.contains(';') {
            return Err("invalid semicolon separator in query".to_owned());
        }
        let mut values = Self::default();
        for (key, value) in form_urlencoded::parse(text.as_bytes()) {
            values.0.entry(key.into_owned()).or_default().push(value.into_owned());
        }
        Ok(values)
    }

    fn to_json(&self, _: Secrets) -> Json {
        if self.0.is_empty() { Json::Null } else { json!(self.0) }
    }
}

/// A parameter that old manifests carry and nothing reads: it is declared so that its presence is known, not a mystery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retired;

impl Value for Retired {
    const SHAPE: Shape = Shape::Retired;
    const OPTIONAL: bool = true;
    const NOUN: &'static str = "text";

    fn empty() -> Self {
        Self
    }

    fn parse(_: &str, _: &Parameter) -> Result<Self, String> {
        Ok(Self)
    }

    fn to_json(&self, _: Secrets) -> Json {
        Json::Null
    }
}
