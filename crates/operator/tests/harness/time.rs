//! Moments of a scenario: offsets from its start, written as people write durations.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use keda_api::GoDuration;
use serde::{Deserialize, Deserializer, de::Error};

/// An offset from the start: `90s`, `1h30m`; or a point in time: `2026-03-29T08:00:00+02:00`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Moment {
    After(Duration),
    At(Timestamp),
}

impl Moment {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.contains('T') {
            return text.parse().map(Self::At).map_err(|error| format!("{text:?}: {error}"));
        }
        let duration: GoDuration = text.parse().map_err(|_| format!("{text:?} is no moment, write 1m30s"))?;
        duration.to_std().map(Self::After).ok_or_else(|| format!("{text:?} lies before the start"))
    }

    /// The offset from the scenario's start.
    pub(crate) fn since(self, start: Timestamp) -> Duration {
        match self {
            Self::After(offset) => offset,
            Self::At(time) => time.duration_since(start).try_into().unwrap_or_default(),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

/// A duration in a file: `10s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed: Option<GoDuration> = text.parse().ok();
        let duration = parsed.and_then(GoDuration::to_std);
        duration.map(Span).ok_or_else(|| D::Error::custom(format!("{text:?} is no duration, write 1m30s")))
    }
}

/// Prints an offset as `1:02:03.250`, so that a timeline is a column.
pub(crate) struct Shown(pub Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        write!(f, "{hours:>2}:{minutes:02}:{:02}.{millis:03}", seconds % 60)
    }
}
