//! The errors of the API, as `Status` objects worded like a real API server's.
//!
//! Every layer below the HTTP front returns [`Refusal`]; only the front turns it into a response. The texts matter:
//! clients (ours, kube-rs, kubectl) show them to people and match on `reason` and `code`.
//! Source: `k8s.io/apimachinery/pkg/api/errors`.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{StatusCause, StatusDetails};
use serde_json::{Value, json};

use crate::schema::FieldError;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason, such as `NotFound`; empty for plain errors.
    pub reason: String,
    /// What people read.
    pub message: String,
    /// The object and, for invalid ones, its faults.
    pub details: Option<Box<StatusDetails>>,
}

/// What a refusal is about: group, plural or kind, and name of the object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) group: &'a str,
    /// The plural for most errors, the kind for [`Refusal::invalid`].
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
}

impl Subject<'_> {
    fn qualified(&self) -> String {
        if self.group.is_empty() { self.kind.to_owned() } else { format!("{}.{}", self.kind, self.group) }
    }

    fn details(&self) -> StatusDetails {
        StatusDetails {
            name: some(self.name),
            group: some(self.group),
            kind: some(self.kind),
            ..StatusDetails::default()
        }
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

impl Refusal {
    /// A refusal without details.
    #[must_use]
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self { code, reason: reason.to_owned(), message: message.into(), details: None }
    }

    fn about(code: u16, reason: &str, subject: Subject<'_>, message: String) -> Self {
        Self { code, reason: reason.to_owned(), message, details: Some(Box::new(subject.details())) }
    }

    pub(crate) fn not_found(subject: Subject<'_>) -> Self {
        let message = format!("{} \"{}\" not found", subject.qualified(), subject.name);
        Self::about(404, "NotFound", subject, message)
    }

    /// No such path: what a server without the API answers.
    pub(crate) fn no_route() -> Self {
        let mut refusal = Self::new(404, "NotFound", "the server could not find the requested resource");
        refusal.details = Some(Box::default());
        refusal
    }

    pub(crate) fn already_exists(subject: Subject<'_>) -> Self {
        let message = format!("{} \"{}\" already exists", subject.qualified(), subject.name);
        Self::about(409, "AlreadyExists", subject, message)
    }

    pub(crate) fn conflict(subject: Subject<'_>, why: &str) -> Self {
        let message =
            format!("Operation cannot be fulfilled on {} \"{}\": {why}", subject.qualified(), subject.name);
        Self::about(409, "Conflict", subject, message)
    }

    /// The optimistic lock failed.
    pub(crate) fn modified(subject: Subject<'_>) -> Self {
        Self::conflict(
            subject,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub(crate) fn forbidden(subject: Subject<'_>, why: &str) -> Self {
        let message = if subject.name.is_empty() {
            format!("{} is forbidden: {why}", subject.qualified())
        } else {
            format!("{} \"{}\" is forbidden: {why}", subject.qualified(), subject.name)
        };
        Self::about(403, "Forbidden", subject, message)
    }

    /// 422, with one cause a fault. `subject.kind` is the kind here, not the plural.
    pub(crate) fn invalid(subject: Subject<'_>, faults: &[FieldError]) -> Self {
        let list = match faults {
            [only] => only.to_string(),
            many => {
                let texts: Vec<String> = many.iter().map(ToString::to_string).collect();
                format!("[{}]", texts.join(", "))
            }
        };
        let message = format!("{} \"{}\" is invalid: {list}", subject.qualified(), subject.name);
        let mut refusal = Self::about(422, "Invalid", subject, message);
        if let Some(details) = &mut refusal.details {
            details.causes = Some(
                faults
                    .iter()
                    .map(|fault| StatusCause {
                        field: Some(fault.path.clone()),
                        message: Some(fault.detail_text()),
                        reason: Some(fault.kind.reason().to_owned()),
                    })
                    .collect(),
            );
        }
        refusal
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unsupported_media_type(accepted: &str) -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {accepted}"
            ),
        )
    }

    pub(crate) fn method_not_allowed() -> Self {
        let text = "the server does not allow this method on the requested resource";
        let mut refusal = Self::new(405, "MethodNotAllowed", text);
        refusal.details = Some(Box::default());
        refusal
    }

    /// The watch history no longer reaches back that far (410).
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn internal(why: &str) -> Self {
        let mut refusal = Self::new(500, "InternalError", format!("Internal error occurred: {why}"));
        let cause = StatusCause { message: Some(why.to_owned()), ..StatusCause::default() };
        refusal.details =
            Some(Box::new(StatusDetails { causes: Some(vec![cause]), ..StatusDetails::default() }));
        refusal
    }

    pub(crate) fn with_retry_after(mut self, seconds: i32) -> Self {
        self.details.get_or_insert_default().retry_after_seconds = Some(seconds);
        self
    }

    /// The `Status` object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            status["details"] = json!(details);
        }
        status
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}
