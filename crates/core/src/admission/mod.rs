//! What is refused at admission, and what is accepted with a word of warning: the rules of every kind, pure.
//!
//! The webhooks, `keda lint` and the operator's conditions say the same because they ask here. Verdicts and texts are
//! upstream's (`apis/keda/v1alpha1/*_webhook.go`, `apis/eventing/v1alpha1/cloudeventsource_webhook.go`). Upstream runs its
//! checks in an order that changes from one request to the next and tells the first fault; here the order is fixed and
//! every fault that can be seen is told.
//!
//! What a rule has to know of other objects comes in as plain values ([`neighbours`], [`requests`]).

pub mod authentication;
pub mod cloud_events;
pub mod neighbours;
pub mod requests;
pub mod scaled_job;
pub mod scaled_object;

use std::fmt;

/// Longest name of a ScaledObject and of its HPA: both become values of labels.
pub const NAME_MAX: usize = 63;

/// Something an object is refused for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Upstream's word for the rule, a label of `keda_webhook_scaled_object_validation_errors_total`. Empty for kinds that
    /// are not counted.
    pub reason: &'static str,
    /// The field to change, such as `spec.triggers[0].name`.
    pub path: String,
    /// What is wrong, in upstream's words.
    pub text: String,
}

impl Violation {
    /// A violation of the rule that upstream calls `reason`.
    pub fn new(reason: &'static str, path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { reason, path: path.into(), text: text.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Something that is accepted and does not do what it looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The field it is about.
    pub path: String,
    /// What its author should know.
    pub text: String,
}

impl Warning {
    /// A warning about the field at `path`.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// All of them as one text, each once, in their order.
pub fn told(violations: &[Violation]) -> String {
    let mut texts: Vec<&str> = Vec::with_capacity(violations.len());
    for violation in violations {
        if !texts.contains(&violation.text.as_str()) {
            texts.push(&violation.text);
        }
    }
    texts.join("; ")
}

#[cfg(test)]
mod tests;
