//! What can go wrong on the way to a credential, and what each kind means: for the next try, and for people.

use std::time::Duration;

use keda_scaler::http::{self, ErrorKind};
use keda_scaler::{Code, Error, Kind};

/// How long a refusal may be a matter of propagation.
pub(crate) const PROPAGATION: Duration = Duration::from_secs(600);

/// What a problem means for the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// What was set up may not be known everywhere yet.
    Propagation,
    /// Somebody else's trouble, over by itself. The issuer may have said how long to wait.
    Temporary { wait: Option<Duration> },
    /// Something in the cluster, which may be mended at any moment.
    Local,
    /// Somebody has to change something at the cloud or in a manifest.
    Wrong,
}

/// One failed way to a token.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) code: Code,
    pub(crate) class: Class,
    /// What happened; the issuer's own words first.
    pub(crate) text: String,
    /// What to do.
    pub(crate) advice: String,
}

impl Problem {
    pub(crate) fn new(
        kind: Kind,
        code: Code,
        class: Class,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { kind, code, class, text: text.into(), advice: advice.into() }
    }

    /// A failure that another broker has told already: what it says stays.
    pub(crate) fn relayed(error: &Error) -> Self {
        let code = error.code.unwrap_or(Code::AwsUnreachable);
        let mark = format!(" [{code}]");
        let (text, advice) = error.message.split_once(&mark).unwrap_or((&error.message, ""));
        Self::new(error.kind, code, Class::Local, text, advice.trim_start_matches("; "))
    }

    /// The error for triggers, after this kind of problem has lasted for `lasted`.
    pub(crate) fn error(&self, lasted: Duration) -> Error {
        let Self { kind, code, class, text, advice } = self;
        let tried = format!("tried for {} of {}", minutes(lasted), minutes(PROPAGATION));
        let over = lasted >= PROPAGATION;
        let (kind, patience) = match class {
            Class::Propagation if over => {
                (*kind, "; tried for more than 10m, so it is not a matter of propagation".to_owned())
            }
            Class::Propagation => (Kind::Propagating, format!("; may still be propagating, {tried}")),
            Class::Temporary { .. } if over => (*kind, "; tried for more than 10m".to_owned()),
            Class::Temporary { .. } => (Kind::Propagating, format!("; may pass by itself, {tried}")),
            Class::Local | Class::Wrong => (*kind, String::new()),
        };
        Error::coded(kind, *code, format!("{text}{patience}"), advice)
    }
}

/// An answer that could not be had, in the codes and the advice of one kind of issuer.
pub(crate) struct Away {
    /// Its certificate is signed by nobody who is trusted here, which does not pass by itself.
    pub(crate) unknown_ca: (Code, &'static str),
    /// It took too long.
    pub(crate) slow: Code,
    /// It could not be reached.
    pub(crate) unreachable: (Code, &'static str),
}

/// Advice where a certificate is signed by nobody who is trusted here.
pub(crate) const UNKNOWN_CA: &str = "somebody takes TLS apart, or the host has a CA of its own: put its certificate into a folder of --ca-dir";
/// Advice where nobody could be reached.
pub(crate) const UNREACHABLE: &str = "check name resolution, egress rules and proxy for it";

impl Away {
    /// The problem that `error` is; `text` says whom it concerns, and has no secret in it.
    pub(crate) fn problem(&self, error: &http::Error, text: String) -> Problem {
        let temporary = Class::Temporary { wait: None };
        let (kind, (code, advice), class) = match error.kind() {
            _ if error.to_string().contains("UnknownIssuer") => {
                (Kind::Unreachable, self.unknown_ca, Class::Local)
            }
            ErrorKind::Timeout => (Kind::Timeout, (self.slow, ""), temporary),
            _ => (Kind::Unreachable, self.unreachable, temporary),
        };
        Problem::new(kind, code, class, text, advice)
    }
}

/// Whole minutes: a text that changed every second would be a new event every second.
fn minutes(duration: Duration) -> String {
    format!("{}m", duration.as_secs() / 60)
}
