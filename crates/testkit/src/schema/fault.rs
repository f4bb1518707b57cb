//! One fault of an object, worded as the API server words it.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation/field/errors.go`.

use std::fmt;

use serde_json::Value;

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Absent.
    Required,
    /// Present twice.
    Duplicate,
    /// A value that is not allowed.
    Invalid,
    /// A value of the wrong type.
    TypeInvalid,
    /// A value outside an enumeration.
    NotSupported,
    /// Must not be set (here, or now).
    Forbidden,
    /// A text that is too long.
    TooLong,
    /// A list that is too long.
    TooMany,
}

impl FaultKind {
    fn text(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        }
    }

    /// The machine-readable reason in a `Status` cause.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
        }
    }
}

/// One fault: where, what, the value found, and an explanation.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// Path of the field, such as `spec.triggers[0].type`.
    pub path: String,
    /// What is wrong.
    pub kind: FaultKind,
    /// The value found, where the text shows it.
    pub value: Option<Value>,
    /// The explanation; may be empty.
    pub detail: String,
}

impl FieldError {
    pub(crate) fn required(path: impl Into<String>, detail: &str) -> Self {
        Self { path: path.into(), kind: FaultKind::Required, value: None, detail: detail.to_owned() }
    }

    pub(crate) fn invalid(
        path: impl Into<String>,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self { path: path.into(), kind: FaultKind::Invalid, value: Some(value.into()), detail: detail.into() }
    }

    pub(crate) fn forbidden(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { path: path.into(), kind: FaultKind::Forbidden, value: None, detail: detail.into() }
    }

    pub(crate) fn too_long(path: impl Into<String>, limit: usize) -> Self {
        Self {
            path: path.into(),
            kind: FaultKind::TooLong,
            value: None,
            detail: format!("may not be more than {limit} bytes"),
        }
    }

    pub(crate) fn not_supported(path: impl Into<String>, value: Value, allowed: &[Value]) -> Self {
        let texts: Vec<String> = allowed
            .iter()
            .map(|value| value.as_str().map_or_else(|| format!("\"{value}\""), |text| format!("{text:?}")))
            .collect();
        Self {
            path: path.into(),
            kind: FaultKind::NotSupported,
            value: Some(value),
            detail: format!("supported values: {}", texts.join(", ")),
        }
    }

    /// The text after the path, as it appears in a `Status` cause.
    pub(crate) fn detail_text(&self) -> String {
        let mut text = self.kind.text().to_owned();
        if let Some(value) = &self.value {
            let shown = match value {
                Value::String(value) => format!("{value:?}"),
                Value::Null => "null".to_owned(),
                other => other.to_string(),
            };
            text = format!("{text}: {shown}");
        }
        if !self.detail.is_empty() {
            text = format!("{text}: {}", self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.detail_text())
    }
}
