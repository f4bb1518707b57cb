//! Status writes as differences.
//!
//! The operator keeps the status it last knew and the status it wants, and sends what lies between as a JSON merge patch
//! (RFC 7386): nothing at all when nothing changed, and never a member that somebody else writes.

use serde::Serialize;
use serde_json::{Map, Value};

/// A status as JSON text: the form in which a known one is kept and compared. Equal statuses have equal texts.
pub fn text(status: &impl Serialize) -> Box<[u8]> {
    #[expect(clippy::expect_used, reason = "a status has string keys and no fallible serialisers")]
    serde_json::to_vec(status).expect("a status is JSON").into()
}

/// The patch for the status subresource that turns `known` into `wanted`, both as [`text`] has them: `{"status": {..}}`,
/// or None when they are equal. Lists (the conditions among them) are replaced whole, as merge patches do.
pub fn difference(known: &[u8], wanted: &[u8]) -> Option<Value> {
    if known == wanted {
        return None;
    }
    let tree = |text: &[u8]| serde_json::from_slice(text).unwrap_or_else(|_| Value::Object(Map::new()));
    let patch = merge_patch(&tree(known), &tree(wanted))?;
    Some(Value::Object(Map::from_iter([("status".to_owned(), patch)])))
}

/// The merge patch that turns `from` into `to`, or None when they are equal.
///
/// A merge patch cannot set a member to null; members of `to` that are null count as absent.
pub fn merge_patch(from: &Value, to: &Value) -> Option<Value> {
    let (Value::Object(from), Value::Object(to)) = (from, to) else {
        return (from != to).then(|| without_nulls(to));
    };
    let mut patch = Map::new();
    for (key, old) in from {
        if !old.is_null() && to.get(key).is_none_or(Value::is_null) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    for (key, new) in to.iter().filter(|(_, new)| !new.is_null()) {
        let change = match from.get(key) {
            Some(old) => merge_patch(old, new),
            None => Some(without_nulls(new)),
        };
        patch.extend(change.map(|change| (key.clone(), change)));
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// Null members mean "remove" in a patch, so a new object must not carry any. Lists are taken as they are.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(key, member)| (key.clone(), without_nulls(member)))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
