//! The one error of triggers.

use std::fmt;

use crate::{Code, http, kube};

/// Why a trigger could not be parsed, planned, connected or sampled.
///
/// `Display` is the text for an event or a condition: lowercase, the cause last, no credentials, upstream's words where
/// users search for them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error {
    /// What kind of failure it is.
    pub kind: Kind,
    /// The full text.
    pub message: String,
    /// Its page in the catalogue, where it has one; the text names it too.
    pub code: Option<Code>,
}

/// Kinds of failure; each is one metric label and one advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The manifest is wrong: an unknown type, a missing or unparsable parameter.
    Config,
    /// The credentials are wrong or unusable, seen before the source was asked.
    Auth,
    /// The credentials are not usable yet and may become so by themselves: what was set up has not spread everywhere.
    Propagating,
    /// The source could not be reached: name resolution, connection, TLS.
    Unreachable,
    /// The source answered with this HTTP status.
    Source(u16),
    /// The deadline passed.
    Timeout,
    /// The source answered, but not with one usable number.
    Answer,
    /// The manifest asks for something that does not exist here yet.
    Unsupported,
    /// Code of the trigger panicked. A defect, contained by the frame.
    Panic,
}

impl Kind {
    /// A short stable word, for metric labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Auth => "auth",
            Self::Propagating => "propagating",
            Self::Unreachable => "unreachable",
            Self::Source(_) => "source",
            Self::Timeout => "timeout",
            Self::Answer => "answer",
            Self::Unsupported => "unsupported",
            Self::Panic => "panic",
        }
    }
}

impl Error {
    /// An error of the kind with the whole text.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None }
    }

    /// An error with a page in the catalogue, whose code its text carries: what happened, the code, and, where there is
    /// any, what to do. That comes last: it is the part that may be cut where room is short.
    pub fn coded(kind: Kind, code: Code, what: impl fmt::Display, advice: &str) -> Self {
        let mut message = format!("{what} [{code}]");
        if !advice.is_empty() {
            message.push_str("; ");
            message.push_str(advice);
        }
        Self { kind, message, code: Some(code) }
    }

    /// A mistake in the manifest.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }

    /// An answer that holds no usable number.
    pub fn answer(message: impl Into<String>) -> Self {
        Self::new(Kind::Answer, message)
    }

    /// Something that keda-rs cannot do yet.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, message)
    }

    /// The same error with words in front of its text.
    pub fn context(mut self, words: impl fmt::Display) -> Self {
        self.message = format!("{words}: {}", self.message);
        self
    }

    /// Whether asking again later can succeed without anybody changing a manifest or a credential.
    pub fn temporary(&self) -> bool {
        match self.kind {
            Kind::Propagating | Kind::Unreachable | Kind::Timeout | Kind::Answer | Kind::Panic => true,
            Kind::Source(status) => status >= 500 || status == 408 || status == 429,
            Kind::Config | Kind::Auth | Kind::Unsupported => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<http::Error> for Error {
    fn from(error: http::Error) -> Self {
        let kind = match error.kind() {
            http::ErrorKind::Timeout => Kind::Timeout,
            http::ErrorKind::Connect | http::ErrorKind::Interrupted => Kind::Unreachable,
            http::ErrorKind::TooLarge | http::ErrorKind::Redirect => Kind::Answer,
            http::ErrorKind::Request | http::ErrorKind::Blocked => Kind::Config,
            http::ErrorKind::Identity => Kind::Auth,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<kube::ReadError> for Error {
    fn from(error: kube::ReadError) -> Self {
        Self::new(if error.temporary { Kind::Unreachable } else { Kind::Auth }, error.to_string())
    }
}
