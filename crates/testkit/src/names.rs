//! Names: what Kubernetes takes as names of objects, keys and values of labels.
//!
//! Each function answers what is wrong, in the words of `k8s.io/apimachinery/pkg/util/validation`; `None` is sound.

/// Alphanumeric ends; what `inner` allows between.
fn is_name(text: &str, inner: impl Fn(char) -> bool) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(text.chars().next())
        && ends(text.chars().last())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || inner(c))
}

fn is_lower(text: &str) -> bool {
    !text.contains(|c: char| c.is_ascii_uppercase())
}

pub(crate) fn dns_label(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some("must be no more than 63 bytes".to_owned());
    }
    if text.contains('.') {
        return Some("must not contain dots".to_owned());
    }
    (!(is_lower(text) && is_name(text, |c| c == '-'))).then(|| {
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            .to_owned()
    })
}

pub(crate) fn dns_subdomain(text: &str) -> Option<String> {
    if text.len() > 253 {
        return Some("must be no more than 253 bytes".to_owned());
    }
    let sound = is_lower(text) && text.split('.').all(|label| is_name(label, |c| c == '-'));
    (!sound).then(|| {
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            .to_owned()
    })
}

/// A key of a label or annotation: an optional DNS prefix, a slash, a name of at most 63 characters.
pub(crate) fn qualified_name(key: &str) -> Option<String> {
    if key.split('/').count() > 2 {
        return Some("a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')".to_owned());
    }
    let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if let Some(detail) = prefix.and_then(dns_subdomain) {
        return Some(format!("prefix part {detail}"));
    }
    if name.is_empty() {
        return Some("name part must be non-empty".to_owned());
    }
    if name.len() > 63 {
        return Some("name part must be no more than 63 bytes".to_owned());
    }
    (!is_name(name, |c| matches!(c, '-' | '_' | '.'))).then(|| {
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
            .to_owned()
    })
}

/// A value of a label.
pub(crate) fn label_value(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some("must be no more than 63 bytes".to_owned());
    }
    (!text.is_empty() && !is_name(text, |c| matches!(c, '-' | '_' | '.'))).then(|| {
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys() {
        for name in ["a", "my-app.v1", "0"] {
            assert_eq!(dns_subdomain(name), None, "{name}");
        }
        for name in ["A", "-a", "a-", "a..b", "a_b"] {
            assert!(dns_subdomain(name).is_some(), "{name}");
        }
        for key in ["app", "app.kubernetes.io/part-of", "A_b.c"] {
            assert_eq!(qualified_name(key), None, "{key}");
        }
        for key in ["", "a/", "/a", "a b", "UP.er/x", "a/b/c"] {
            assert!(qualified_name(key).is_some(), "{key}");
        }
        for value in ["", "ok", "A.b_c-1"] {
            assert_eq!(label_value(value), None, "{value}");
        }
        for value in ["no/slash", "-a", &"x".repeat(64)] {
            assert!(label_value(value).is_some(), "{value}");
        }
    }
}
