//! Label selectors of requests for metrics.
//!
//! The grammar is Kubernetes' (`k8s.io/apimachinery/pkg/labels`): what is no selector at all is a bad request. What is one, but not a plain
//! list of `key=value`, upstream's provider cannot turn into labels and answers 500 (platform.md 3.3); so do we.

use crate::status::Status;

/// The label that names the ScaledObject.
const NAME: &str = keda_api::keys::SCALED_OBJECT_NAME;

/// The ScaledObject that the selector names.
pub(crate) fn scaled_object(selector: &str) -> Result<String, Status> {
    let requirements = parse(selector)
        .map_err(|reason| Status::bad_request(format!("unable to parse requirement: {reason}")))?;
    let mut name = None;
    for requirement in requirements {
        match requirement {
            Requirement::Equals { key, value } => {
                if key == NAME {
                    name = Some(value);
                }
            }
            Requirement::Other(text) => {
                return Err(Status::internal(format!("invalid selector: [{text}]")));
            }
        }
    }
    match name {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(Status::internal("scaledObject name is not specified")),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Requirement<'a> {
    Equals {
        key: &'a str,
        value: &'a str,
    },
    /// A valid requirement of another kind, as it was written.
    Other(&'a str),
}

/// Splits at commas outside brackets and reads each part.
fn parse(selector: &str) -> Result<Vec<Requirement<'_>>, String> {
    let selector = selector.trim();
    if selector.is_empty() {
        return Ok(Vec::new());
    }
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_u32, 0);
    for (at, c) in selector.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1).ok_or("found ')', expected: identifier")?,
            ',' if depth == 0 => {
                parts.push(requirement(selector[start..at].trim())?);
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err("found '', expected: ',' or ')'".to_owned());
    }
    parts.push(requirement(selector[start..].trim())?);
    Ok(parts)
}

fn requirement(text: &str) -> Result<Requirement<'_>, String> {
    if text.is_empty() {
        return Err("found '', expected: !, identifier, or 'end of string'".to_owned());
    }
    if let Some(key) = text.strip_prefix('!') {
        check_key(key.trim())?;
        return Ok(Requirement::Other(text));
    }
    let end = text.find(|c: char| c.is_whitespace() || "=!<>()".contains(c)).unwrap_or(text.len());
    let (key, rest) = (&text[..end], text[end..].trim_start());
    check_key(key)?;
    if let Some(value) = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')) {
        let value = value.trim();
        check_value(value)?;
        return Ok(Requirement::Equals { key, value });
    }
    if let Some(value) = rest.strip_prefix("!=") {
        check_value(value.trim())?;
    } else if let Some(value) = rest.strip_prefix(['<', '>']) {
        let value = value.trim();
        value
            .parse::<i64>()
            .map_err(|_| format!("for 'Gt', 'Lt' operators, the value must be an integer: {value:?}"))?;
    } else if let Some(set) = rest.strip_prefix("notin").or_else(|| rest.strip_prefix("in")) {
        let set = set.trim();
        let values = set.strip_prefix('(').and_then(|set| set.strip_suffix(')'));
        for value in values.ok_or_else(|| format!("found '{set}', expected: '('"))?.split(',') {
            check_value(value.trim())?;
        }
    } else if !rest.is_empty() {
        return Err(format!("found '{rest}', expected: in, notin, =, ==, !=, gt, lt"));
    }
    Ok(Requirement::Other(text))
}

/// `[prefix/]name` (`k8s.io/apimachinery/pkg/util/validation`: IsQualifiedName).
fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let label = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let prefix_fits = prefix.is_none_or(|prefix| {
        prefix.len() <= 253
            && prefix.split('.').all(|part| {
                let bytes = part.as_bytes();
                matches!((bytes.first(), bytes.last()), (Some(first), Some(last)) if label(*first) && label(*last))
                    && bytes.iter().all(|c| label(*c) || *c == b'-')
            })
    });
    if prefix_fits && !name.is_empty() && is_label(name) {
        Ok(())
    } else {
        Err(format!("invalid label key {key:?}"))
    }
}

/// IsValidLabelValue.
fn check_value(value: &str) -> Result<(), String> {
    if value.is_empty() || is_label(value) { Ok(()) } else { Err(format!("invalid label value {value:?}")) }
}

fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn equality_names_the_object() {
        for selector in [
            "scaledobject.keda.sh/name=so",
            " scaledobject.keda.sh/name = so ",
            "scaledobject.keda.sh/name==so",
            "a=b,scaledobject.keda.sh/name=so,c=",
        ] {
            assert_eq!(scaled_object(selector).as_deref(), Ok("so"), "{selector}");
        }
    }

    #[test]
    fn other_operators_cannot_be_labels() {
        for selector in [
            "a!=b",
            "a in (b)",
            "a notin (b, c)",
            "a",
            "!a",
            "a>1",
            "scaledobject.keda.sh/name=so,scaledobject.keda.sh/name in (so)",
        ] {
            let status = scaled_object(selector).unwrap_err();
            assert_eq!(status.code, StatusCode::INTERNAL_SERVER_ERROR, "{selector}");
            assert!(status.message.starts_with("invalid selector: ["), "{}", status.message);
        }
    }

    #[test]
    fn the_object_must_be_named() {
        for selector in ["", "a=b", "scaledobject.keda.sh/name="] {
            let status = scaled_object(selector).unwrap_err();
            assert_eq!(status.message, "scaledObject name is not specified", "{selector}");
            assert_eq!(status.code, StatusCode::INTERNAL_SERVER_ERROR);
        }
    }

    #[test]
    fn what_is_no_selector_is_a_bad_request() {
        for selector in [
            "=", "a=b,", ",", "a=b=c", "a b", "a in b", "a in (b", "a)", "-a=b", "a=-", "a/b/c=d", "A.b/c=d",
            "a=ü", "a<x",
        ] {
            let status = scaled_object(selector).unwrap_err();
            assert_eq!(status.code, StatusCode::BAD_REQUEST, "{selector}: {}", status.message);
        }
    }
}
