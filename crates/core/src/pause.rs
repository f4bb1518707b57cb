//! The annotations that hold an object still or push it: pause, one-direction pause, forced activation.
//!
//! Users write them by hand in a hurry, so upstream reads them towards safety (`apis/keda/v1alpha1/scaledobject_types.go`):
//! a word that is no boolean counts as true, and `paused-replicas` pauses by being there, whatever its value.

use std::collections::BTreeMap;

use keda_api::keys;
use serde::Serialize;

/// What the annotations of a ScaledObject ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Annotations {
    /// Nothing is scaled, the HPA is gone. True also where only `paused-replicas` is set.
    pub full: bool,
    /// The replica count to hold while fully paused.
    pub paused_replicas: Option<i32>,
    /// Never fewer replicas.
    pub scale_in: bool,
    /// Never more replicas.
    pub scale_out: bool,
    /// Treated as active whatever the triggers say.
    pub force_activation: bool,
}

impl Annotations {
    /// Reads the annotations of an object.
    ///
    /// # Errors
    /// [`Error`] when `paused-replicas` is no replica count. The object is paused all the same: see
    /// [`Error::annotations`].
    pub fn parse(annotations: Option<&BTreeMap<String, String>>) -> Result<Self, Error> {
        let get = |key| annotations.and_then(|all| all.get(key)).map(String::as_str);
        let is_on = |key| get(key).is_some_and(truth);
        let replicas = get(keys::PAUSED_REPLICAS);
        let mut parsed = Self {
            full: replicas.is_some() || is_on(keys::PAUSED),
            paused_replicas: None,
            scale_in: is_on(keys::PAUSED_SCALE_IN),
            scale_out: is_on(keys::PAUSED_SCALE_OUT),
            force_activation: is_on(keys::FORCE_ACTIVATION),
        };
        if let Some(text) = replicas {
            match replica_count(text) {
                Ok(count) => parsed.paused_replicas = Some(count),
                Err(reason) => return Err(Error { text: text.to_owned(), reason, annotations: parsed }),
            }
        }
        Ok(parsed)
    }

    /// Whether anything is paused, in full or in one direction: what the Paused condition says.
    pub fn any(&self) -> bool {
        self.full || self.scale_in || self.scale_out
    }
}

/// Whether a ScaledJob is paused: by `autoscaling.keda.sh/paused`, the only one of these annotations that it knows.
pub fn is_paused(annotations: Option<&BTreeMap<String, String>>) -> bool {
    annotations.and_then(|all| all.get(keys::PAUSED)).is_some_and(|word| truth(word))
}

/// The value of `paused-replicas` is no replica count. The text is the one Go's number parser gives, which upstream
/// passes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to parse paused replica count: strconv.ParseInt: parsing {text:?}: {reason}")]
pub struct Error {
    text: String,
    reason: &'static str,
    annotations: Annotations,
}

impl Error {
    /// Everything that could be read: fully paused, at no particular count.
    pub fn annotations(&self) -> &Annotations {
        &self.annotations
    }
}

/// Go's boolean words; anything else, the empty text included, counts as true.
fn truth(word: &str) -> bool {
    !matches!(word, "0" | "f" | "F" | "false" | "FALSE" | "False")
}

/// A replica count. Upstream takes negative numbers here and fails later at the API server.
fn replica_count(text: &str) -> Result<i32, &'static str> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    match text.parse::<i32>() {
        Ok(count) if count < 0 => Err("value out of range"),
        Ok(count) => Ok(count),
        Err(error) if matches!(error.kind(), PosOverflow | NegOverflow) => Err("value out of range"),
        Err(_) => Err("invalid syntax"),
    }
}

#[cfg(test)]
mod tests;
