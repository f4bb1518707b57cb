//! What a path names.

use http::Method;

use super::query::Query;
use crate::record::Verb;

/// What a path names.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Route {
    /// `/api`.
    Core,
    /// `/apis`.
    Groups,
    /// `/apis/<group>`.
    Group {
        group: String,
    },
    /// `/api/v1`, `/apis/<group>/<version>`.
    Version {
        group: String,
        version: String,
    },
    Object(Target),
    /// `/healthz` and its relatives.
    Healthy,
    /// `/version`.
    ServerVersion,
    /// `/openapi/...`, without that prefix.
    OpenApi {
        path: String,
    },
    Unknown,
}

/// An object, a collection, or a subresource.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Target {
    pub(super) group: String,
    pub(super) version: String,
    /// Empty: cluster scope or all namespaces.
    pub(super) namespace: String,
    pub(super) plural: String,
    /// Empty: the collection.
    pub(super) name: String,
    /// Empty: the object itself.
    pub(super) subresource: String,
}

impl Route {
    pub(super) fn parse(path: &str) -> Self {
        let segments: Vec<String> =
            path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["healthz" | "livez" | "readyz", ..] => Self::Healthy,
            ["version"] => Self::ServerVersion,
            ["openapi", rest @ ..] => Self::OpenApi { path: rest.join("/") },
            ["api"] => Self::Core,
            ["apis"] => Self::Groups,
            ["apis", group] => Self::Group { group: (*group).to_owned() },
            ["api", version] => Self::Version { group: String::new(), version: (*version).to_owned() },
            ["apis", group, version] => {
                Self::Version { group: (*group).to_owned(), version: (*version).to_owned() }
            }
            ["api", version, rest @ ..] => {
                Target::parse("", version, rest).map_or(Self::Unknown, Self::Object)
            }
            ["apis", group, version, rest @ ..] => {
                Target::parse(group, version, rest).map_or(Self::Unknown, Self::Object)
            }
            _ => Self::Unknown,
        }
    }
}

impl Target {
    fn parse(group: &str, version: &str, rest: &[&str]) -> Option<Self> {
        let (namespace, plural, name, subresource) = match rest {
            // A namespace is an object too, with subresources of its own.
            ["namespaces", name] => ("", "namespaces", *name, ""),
            ["namespaces", name, subresource @ ("status" | "finalize")] => {
                ("", "namespaces", *name, *subresource)
            }
            ["namespaces", namespace, plural] => (*namespace, *plural, "", ""),
            ["namespaces", namespace, plural, name] => (*namespace, *plural, *name, ""),
            ["namespaces", namespace, plural, name, subresource] => {
                (*namespace, *plural, *name, *subresource)
            }
            [plural] => ("", *plural, "", ""),
            [plural, name] => ("", *plural, *name, ""),
            [plural, name, subresource] => ("", *plural, *name, *subresource),
            _ => return None,
        };
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            namespace: namespace.to_owned(),
            plural: plural.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
        })
    }

    /// Plural and subresource, as rules name them.
    pub(super) fn resource(&self) -> String {
        if self.subresource.is_empty() {
            self.plural.clone()
        } else {
            format!("{}/{}", self.plural, self.subresource)
        }
    }

    /// `serviceaccounts/<name>/token`, to which a TokenRequest is posted.
    pub(super) fn is_token_request(&self) -> bool {
        self.group.is_empty() && self.plural == "serviceaccounts" && self.subresource == "token"
    }

    pub(super) fn verb(&self, method: &Method, query: &Query) -> Verb {
        let one = !self.name.is_empty();
        match *method {
            Method::GET if one => Verb::Get,
            Method::GET if query.flag("watch") => Verb::Watch,
            Method::GET => Verb::List,
            Method::POST if !one || self.is_token_request() => Verb::Create,
            Method::PUT if one => Verb::Update,
            Method::PATCH if one => Verb::Patch,
            Method::DELETE if one => Verb::Delete,
            Method::DELETE => Verb::DeleteCollection,
            _ => Verb::Other,
        }
    }
}

/// Undoes percent-encoding; a segment has no other escapes.
fn decode(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => {
                u8::from_str_radix(&format!("{}{}", char::from(*high), char::from(*low)), 16).ok()
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let object = |path: &str| match Route::parse(path) {
            Route::Object(target) => target,
            other => panic!("{path}: {other:?}"),
        };
        let target = object("/apis/keda.sh/v1alpha1/namespaces/a/scaledobjects/b/status");
        assert_eq!((target.namespace.as_str(), target.name.as_str()), ("a", "b"));
        assert_eq!(target.resource(), "scaledobjects/status");
        let target = object("/api/v1/namespaces/a");
        assert_eq!(
            (target.plural.as_str(), target.namespace.as_str(), target.name.as_str()),
            ("namespaces", "", "a")
        );
        let target = object("/api/v1/namespaces/a/pods");
        assert_eq!((target.plural.as_str(), target.namespace.as_str()), ("pods", "a"));
        assert_eq!(object("/api/v1/pods").verb(&Method::GET, &Query::parse("watch=true")), Verb::Watch);
        assert_eq!(object("/api/v1/nodes/n%2F1").name, "n/1");
        assert_eq!(Route::parse("/apis/apps"), Route::Group { group: "apps".to_owned() });
        assert_eq!(Route::parse("/apis/a/b/c/d/e/f/g/h"), Route::Unknown);
        assert_eq!(Route::parse("/nope"), Route::Unknown);
    }
}
