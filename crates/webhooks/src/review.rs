//! `admission.k8s.io/v1` AdmissionReview: the question and the answer (`k8s.io/api/admission/v1/types.go`).

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the API server sends.
#[derive(Debug, Deserialize)]
pub(crate) struct Review {
    #[serde(rename = "apiVersion", default)]
    pub(crate) api_version: String,
    #[serde(default)]
    pub(crate) kind: String,
    pub(crate) request: Option<Request>,
}

/// The question.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    /// Ties the answer to the question.
    pub(crate) uid: String,
    /// The type of `object`.
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) sub_resource: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) namespace: String,
    /// CREATE, UPDATE, DELETE or CONNECT.
    pub(crate) operation: String,
    /// The object as it would be stored. Null on DELETE.
    #[serde(default)]
    pub(crate) object: Value,
    /// The object as it is. Null on CREATE.
    #[serde(default)]
    pub(crate) old_object: Value,
    #[serde(default)]
    pub(crate) dry_run: Option<bool>,
}

/// Group, version and kind.
#[derive(Debug, Deserialize)]
pub(crate) struct Kind {
    #[serde(default)]
    pub(crate) group: String,
    #[serde(default)]
    pub(crate) version: String,
    pub(crate) kind: String,
}

/// The answer, before it is tied to its question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    pub(crate) code: StatusCode,
    /// One of Kubernetes' reasons, or empty.
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) warnings: Vec<String>,
}

impl Verdict {
    /// Let it be stored.
    pub(crate) fn allowed(warnings: Vec<String>) -> Self {
        Self { allowed: true, code: StatusCode::OK, reason: String::new(), message: String::new(), warnings }
    }

    /// A rule is broken.
    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self::refused(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// It cannot be judged, or is refused for another reason than a rule.
    pub(crate) fn refused(code: StatusCode, reason: &str, message: impl Into<String>) -> Self {
        Self {
            allowed: false,
            code,
            reason: reason.to_owned(),
            message: message.into(),
            warnings: Vec::new(),
        }
    }

    /// The AdmissionReview that goes back.
    pub(crate) fn answer(self, uid: &str) -> Vec<u8> {
        let answer = Answer {
            api_version: "admission.k8s.io/v1",
            kind: "AdmissionReview",
            response: Response {
                uid,
                allowed: self.allowed,
                status: Status {
                    metadata: Empty {},
                    message: &self.message,
                    reason: &self.reason,
                    code: self.code.as_u16(),
                },
                warnings: self.warnings.iter().map(|warning| one_line(warning)).collect(),
            },
        };
        // Texts and numbers: there is nothing in it that JSON cannot hold.
        serde_json::to_vec(&answer).unwrap_or_default()
    }
}

/// Warnings become headers, in which the API server takes no control characters.
fn one_line(text: &str) -> String {
    text.split('\n')
        .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>())
        .collect::<Vec<_>>()
        .join("; ")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    api_version: &'a str,
    kind: &'a str,
    response: Response<'a>,
}

#[derive(Serialize)]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    status: Status<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Status<'a> {
    metadata: Empty,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    code: u16,
}

#[derive(Serialize)]
struct Empty {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_have_controller_runtimes_shape() {
        let answer = |verdict: Verdict| serde_json::from_slice::<Value>(&verdict.answer("1")).unwrap();
        assert_eq!(
            answer(Verdict::allowed(Vec::new())),
            json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                "response": {"uid": "1", "allowed": true, "status": {"metadata": {}, "code": 200}}})
        );
        assert_eq!(
            answer(Verdict::denied("no"))["response"],
            json!({"uid": "1", "allowed": false,
                "status": {"metadata": {}, "message": "no", "reason": "Forbidden", "code": 403}})
        );
        let warned = answer(Verdict::allowed(vec!["one\ntwo\tthree".to_owned()]));
        assert_eq!(warned["response"]["warnings"], json!(["one; twothree"]));
    }
}
