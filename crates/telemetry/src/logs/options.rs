//! The `--zap-*` flags (controller-runtime `pkg/log/zap/flags.go`). The types parse from text, so a command line can hold them.

use std::{fmt, str::FromStr};

/// The flags. [`Options::default`] is what upstream does without flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--zap-devel`: console output, everything at debug level, no sampling.
    pub devel: bool,
    /// `--zap-encoder`; by default json, console in devel mode.
    pub encoder: Option<Encoder>,
    /// `--zap-log-level`; by default info, debug in devel mode.
    pub level: Option<Level>,
    /// `--zap-time-encoding`.
    pub time: TimeEncoding,
    /// `--zap-stacktrace-level`: accepted, without effect.
    pub stacktrace: Option<StacktraceLevel>,
}

impl Options {
    pub(crate) fn encoder(&self) -> Encoder {
        self.encoder.unwrap_or(if self.devel { Encoder::Console } else { Encoder::Json })
    }

    pub(crate) fn level(&self) -> Level {
        self.level.unwrap_or(if self.devel { Level::Verbosity(1) } else { Level::Info })
    }
}

/// A word that a flag does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid value {value:?} (allowed: {allowed})")]
pub struct ParseError {
    value: String,
    allowed: &'static str,
}

/// From which level on records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `debug` or an integer above 0: info, and this many steps more.
    Verbosity(u8),
    /// `info`.
    Info,
    /// `error`.
    Error,
    /// `panic`: nothing of what we print.
    Panic,
}

impl FromStr for Level {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.to_ascii_lowercase().as_str() {
            "debug" => Ok(Self::Verbosity(1)),
            "info" => Ok(Self::Info),
            "error" => Ok(Self::Error),
            "panic" => Ok(Self::Panic),
            number => match number.parse::<u32>() {
                Ok(n) if n > 0 => Ok(Self::Verbosity(u8::try_from(n).unwrap_or(u8::MAX))),
                _ => Err(ParseError {
                    value: text.to_owned(),
                    allowed: "debug, info, error, panic, or an integer above 0",
                }),
            },
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verbosity(1) => f.write_str("debug"),
            Self::Verbosity(n) => n.fmt(f),
            Self::Info => f.write_str("info"),
            Self::Error => f.write_str("error"),
            Self::Panic => f.write_str("panic"),
        }
    }
}

/// Declares an enum of words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? } $allowed:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                match text.to_ascii_lowercase().as_str() {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(ParseError { value: text.to_owned(), allowed: $allowed }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }
    };
}

words! {
    /// The shape of a record.
    Encoder {
        /// One JSON object a line.
        Json = "json",
        /// Columns split by tabs, for people.
        Console = "console",
    } "json, console"
}

words! {
    /// The shape of a record's time. Always UTC.
    TimeEncoding {
        /// Seconds since 1970, with a fraction.
        Epoch = "epoch",
        /// Milliseconds since 1970, with a fraction.
        Millis = "millis",
        /// Nanoseconds since 1970.
        Nano = "nano",
        /// `2026-11-24T11:27:55.123Z`.
        Iso8601 = "iso8601",
        /// `2026-11-24T11:27:55Z`.
        Rfc3339 = "rfc3339",
        /// `2026-11-24T11:27:55.123456789Z`.
        Rfc3339Nano = "rfc3339nano",
    } "epoch, millis, nano, iso8601, rfc3339, rfc3339nano"
}

impl Default for TimeEncoding {
    /// Upstream's help says epoch; what it does is this.
    fn default() -> Self {
        Self::Rfc3339
    }
}

words! {
    /// From which level on upstream adds stack traces.
    StacktraceLevel {
        /// `info`.
        Info = "info",
        /// `error`.
        Error = "error",
        /// `panic`.
        Panic = "panic",
    } "info, error, panic"
}
