//! Who is who, and who may do what: tokens and denials. By default everybody known may do everything.

use std::collections::HashMap;

use serde_json::Value;

use crate::server::{Denial, Identity};

/// The tokens and denials of one server.
#[derive(Debug, Default)]
pub(crate) struct Access {
    tokens: HashMap<String, Identity>,
    denials: Vec<Denial>,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) user: &'a str,
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    /// Plural, with the subresource.
    pub(crate) resource: &'a str,
    pub(crate) namespace: &'a str,
}

impl Access {
    pub(crate) fn add_token(&mut self, token: &str, identity: Identity) {
        self.tokens.insert(token.to_owned(), identity);
    }

    pub(crate) fn identity(&self, token: &str) -> Option<&Identity> {
        self.tokens.get(token)
    }

    pub(crate) fn deny(&mut self, denial: Denial) {
        self.denials.push(denial);
    }

    pub(crate) fn allow_all(&mut self) {
        self.denials.clear();
    }

    pub(crate) fn allows(&self, attempt: &Attempt<'_>) -> bool {
        let fits = |rule: &str, value: &str| rule.is_empty() || rule == value;
        !self.denials.iter().any(|denial| {
            fits(&denial.user, attempt.user)
                && fits(&denial.verb, attempt.verb)
                && fits(&denial.group, attempt.group)
                && fits(&denial.resource, attempt.resource)
                && fits(&denial.namespace, attempt.namespace)
        })
    }

    /// The status of a SubjectAccessReview about `user`, whose spec may name resource attributes or a path.
    pub(crate) fn review(&self, user: &str, spec: &Value) -> Value {
        let attributes = &spec["resourceAttributes"];
        let text = |name: &str| attributes[name].as_str().unwrap_or_default();
        let mut resource = text("resource").to_owned();
        if !text("subresource").is_empty() {
            resource = format!("{resource}/{}", text("subresource"));
        }
        let attempt = Attempt {
            user,
            verb: if attributes.is_object() {
                text("verb")
            } else {
                spec["nonResourceAttributes"]["verb"].as_str().unwrap_or_default()
            },
            group: text("group"),
            resource: &resource,
            namespace: text("namespace"),
        };
        if self.allows(&attempt) {
            serde_json::json!({"allowed": true})
        } else {
            serde_json::json!({"allowed": false, "denied": true, "reason": "denied by the test"})
        }
    }
}
