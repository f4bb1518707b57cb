//! What a server says to a query (core.md 10.4).
//!
//! The document is read in one pass and only as far as it matters: of many elements none is kept, so an answer with a
//! million series costs no more memory than its text.

use std::fmt;

use keda_scaler::http::Response;
use keda_scaler::{Error, Kind};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Longest quotation of a server's words in an error.
const QUOTED: usize = 256;

/// A readable answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Answer {
    /// A number; may be NaN or infinite.
    Value(f64),
    /// No data, with upstream's words for it.
    Empty(&'static str),
    /// One sample whose value is null.
    Null,
}

/// Reads an answer. `query` is quoted in errors.
pub(super) fn read(response: &Response, query: &str) -> Result<Answer, Error> {
    let status = response.status.as_u16();
    let document: Result<Document, _> = serde_json::from_slice(&response.body);
    if !response.status.is_success() {
        return Err(refused(status, &words(&response.body)));
    }
    let document = document.map_err(|error| {
        let text = format!("prometheus query api returned no JSON answer: {error}");
        let start = quoted(&response.body);
        Error::answer(if start.is_empty() { text } else { format!("{text}; it begins with {start:?}") })
    })?;
    if document.status.as_deref() == Some("error") {
        return Err(refused(status, &document.words().unwrap_or_default()));
    }
    let value = match document.data.and_then(|data| data.result).unwrap_or(Elements::None) {
        Elements::None => return Ok(Answer::Empty("the result is empty")),
        Elements::Many => {
            return Err(Error::answer(format!("prometheus query {query} returned multiple elements")));
        }
        Elements::One(sample) => sample,
    };
    let mut members = value.into_iter();
    match (members.next(), members.next()) {
        (None, _) => Ok(Answer::Empty("the value list is empty")),
        (Some(_), None) => {
            Err(Error::answer(format!("prometheus query {query} didn't return enough values")))
        }
        (Some(_), Some(Member::Null)) => Ok(Answer::Null),
        (Some(_), Some(Member::Number(number))) => Ok(Answer::Value(number)),
        (Some(_), Some(Member::Text(text))) => text
            .parse()
            .map(Answer::Value)
            .map_err(|_| Error::answer(format!("prometheus query {query} returned {text:?}, not a number"))),
        (Some(_), Some(Member::Other | Member::Series(_))) => {
            Err(Error::answer(format!("prometheus query {query} returned a value that is not a number")))
        }
    }
}

/// What a server that refuses says is wrong.
pub(super) fn words(body: &[u8]) -> String {
    let document: Result<Document, _> = serde_json::from_slice(body);
    document.ok().and_then(|document| document.words()).unwrap_or_else(|| quoted(body))
}

/// Upstream's words, and after them the server's own.
pub(super) fn refused(status: u16, words: &str) -> Error {
    let text = format!("prometheus query api returned error. status: {status}");
    Error::new(
        Kind::Source(status),
        if words.is_empty() { text } else { format!("{text} response: {words}") },
    )
}

/// The beginning of a body on one line.
pub(super) fn quoted(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * QUOTED)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[derive(Deserialize)]
struct Document {
    status: Option<String>,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    error: Option<String>,
    data: Option<Data>,
}

impl Document {
    /// What the server says is wrong.
    fn words(&self) -> Option<String> {
        let error = self.error.as_deref()?;
        let text = match &self.error_type {
            Some(kind) => format!("{kind}: {error}"),
            None => error.to_owned(),
        };
        Some(quoted(text.as_bytes()))
    }
}

#[derive(Deserialize)]
struct Data {
    result: Option<Elements>,
}

/// `data.result`: a list of series (vector, matrix), or the one sample of a scalar.
enum Elements {
    None,
    One(Vec<Member>),
    Many,
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ResultList;

        impl<'de> Visitor<'de> for ResultList {
            type Value = Elements;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of elements")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Elements, A::Error> {
                let elements = match list.next_element()? {
                    None => return Ok(Elements::None),
                    Some(Member::Series(sample)) => match list.next_element::<IgnoredAny>()? {
                        None => return Ok(Elements::One(sample)),
                        Some(_) => Elements::Many,
                    },
                    Some(time) => {
                        let value: Option<Member> = list.next_element()?;
                        Elements::One([time].into_iter().chain(value).collect())
                    }
                };
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(elements)
            }
        }

        deserializer.deserialize_seq(ResultList)
    }
}

/// A member of `data.result` or of a sample.
enum Member {
    Null,
    Number(f64),
    Text(String),
    /// A series, of which only the sample under `value` counts.
    Series(Vec<Member>),
    Other,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Member;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sample")
            }

            fn visit_unit<E>(self) -> Result<Member, E> {
                Ok(Member::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Member, E> {
                Ok(Member::Other)
            }

            fn visit_f64<E>(self, number: f64) -> Result<Member, E> {
                Ok(Member::Number(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Member, E> {
                Ok(Member::Number(number as f64))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Member, E> {
                Ok(Member::Number(number as f64))
            }

            fn visit_str<E>(self, text: &str) -> Result<Member, E> {
                Ok(Member::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Member, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Member::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member, A::Error> {
                let mut sample = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key == "value" {
                        sample = map.next_value::<Option<Vec<Member>>>()?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Member::Series(sample.unwrap_or_default()))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
