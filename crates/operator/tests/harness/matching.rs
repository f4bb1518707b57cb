//! Whether an object is what was expected of it, as far as that was said.

use serde_json::Value;

/// What of `wanted` is not in `seen`, with its path; `None` if everything is.
///
/// Members that `wanted` does not name may be anything. Lists have to match element by element. A text that begins with
/// `~` has to be contained; null means absent.
pub(crate) fn mismatch(path: &str, wanted: &Value, seen: Option<&Value>) -> Option<String> {
    match (wanted, seen) {
        (Value::Null, None | Some(Value::Null)) => None,
        (_, None) => Some(format!("{path} is absent, wanted {wanted}")),
        (Value::Object(wanted), Some(Value::Object(seen))) => {
            wanted.iter().find_map(|(key, value)| mismatch(&format!("{path}.{key}"), value, seen.get(key)))
        }
        (Value::Array(wanted), Some(Value::Array(list))) if wanted.len() == list.len() => wanted
            .iter()
            .zip(list)
            .enumerate()
            .find_map(|(index, (wanted, seen))| mismatch(&format!("{path}[{index}]"), wanted, Some(seen))),
        (Value::String(wanted), Some(Value::String(seen))) if wanted.starts_with('~') => {
            let part = &wanted[1..];
            (!seen.contains(part)).then(|| format!("{path} is {seen:?}, wanted {part:?} in it"))
        }
        (wanted, Some(seen)) => (wanted != seen).then(|| format!("{path} is {seen}, wanted {wanted}")),
    }
}
