//! What can go wrong on the way to a credential, and what each kind means: for the next try, and for people.

use std::time::Duration;

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

/// Whole minutes: a text that changed every second would be a new event every second.
fn minutes(duration: Duration) -> String {
    format!("{}m", duration.as_secs() / 60)
}
