//! Five-field cron schedules as robfig/cron v3 reads them, which upstream uses.
//!
//! A [`Schedule`] is parsed once and then asked for the next time after a moment; [`Window`] is the rule of the cron
//! trigger on top of two of them. Nothing here reads a clock.
//!
//! The rules (github.com/robfig/cron/v3 `parser.go`, `spec.go`):
//!
//! - Exactly five fields: minute, hour, day of month, month, day of week; separated by white space. Descriptors
//!   (`@daily`) are refused, as the trigger's parser is set up without them.
//! - A field is a comma list of `*` or `?`, `n`, `a-b`, each with an optional `/step`. `n/step` runs from n to the
//!   field's end. Months and days of the week have three-letter English names, in any case; Sunday is 0, there is no 7.
//! - With both day fields restricted a day has to match one of them, otherwise both. A field with a `*` or `?` counts as
//!   not restricted, but for `*/step` with a step above one.
//! - A `TZ=zone ` or `CRON_TZ=zone ` in front sets the zone; otherwise that of the moment asked about counts.
//! - A time of day that the clocks skip in spring does not happen that day; one that they repeat in autumn happens twice.
//! - A schedule without a time until the end of the fifth year from now has none.
//!
//! Ours against robfig's: where the clocks change at midnight (Beirut, Cairo, Havana, Santiago) or by half an hour (Lord
//! Howe), robfig's search can pass over a whole day, or stop on one that does not match. Here the wall clock decides.

mod next;
mod parse;
mod window;

use jiff::tz::{TimeZone, TimeZoneDatabase};

pub use window::Window;

/// Why a schedule or a zone is refused. The texts are robfig's and Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing there.
    #[error("empty spec string")]
    Empty,
    /// `@daily` and the like.
    #[error("parser does not accept descriptors: {0}")]
    Descriptor(String),
    /// More or fewer than five fields.
    #[error("expected exactly 5 fields, found {}: [{}]", .0.len(), .0.join(" "))]
    FieldCount(Vec<String>),
    /// A part that should be a number.
    #[error("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: {reason}")]
    NotANumber {
        /// The part.
        text: String,
        /// What Go's parser says.
        reason: &'static str,
    },
    /// A number below zero.
    #[error("negative number ({number}) not allowed: {number}")]
    Negative {
        /// The number.
        number: i64,
    },
    /// More than one `-` in a range.
    #[error("too many hyphens: {0}")]
    Hyphens(String),
    /// More than one `/` in a range.
    #[error("too many slashes: {0}")]
    Slashes(String),
    /// A range that starts before the field does.
    #[error("beginning of range ({start}) below minimum ({min}): {expression}")]
    BelowMinimum {
        /// Where the range starts.
        start: u64,
        /// Where the field does.
        min: u64,
        /// The range.
        expression: String,
    },
    /// A range that ends after the field does.
    #[error("end of range ({end}) above maximum ({max}): {expression}")]
    AboveMaximum {
        /// Where the range ends.
        end: u64,
        /// Where the field does.
        max: u64,
        /// The range.
        expression: String,
    },
    /// A range that ends before it starts.
    #[error("beginning of range ({start}) beyond end of range ({end}): {expression}")]
    Reversed {
        /// Where the range starts.
        start: u64,
        /// Where it ends.
        end: u64,
        /// The range.
        expression: String,
    },
    /// A step of zero.
    #[error("step of range should be a positive number: {0}")]
    ZeroStep(String),
    /// A zone in front of the fields that does not exist.
    #[error("provided bad location {0}: unknown time zone {0}")]
    BadLocation(String),
    /// A zone that does not exist.
    #[error("unknown time zone {0}")]
    UnknownZone(String),
}

/// A parsed schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
    /// From a `TZ=` in front.
    zone: Option<TimeZone>,
}

/// The values at which a field matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Field {
    /// Bit n is set if value n matches. No field has values above 59.
    values: u64,
    /// Whether it counts as not restricted (matters for the two day fields).
    star: bool,
}

impl Field {
    fn has(self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| value < 64 && self.values & (1 << value) != 0)
    }

    /// The first matching value above `value`.
    fn after(self, value: i8) -> Option<i8> {
        (value.saturating_add(1)..64).find(|next| self.has(*next))
    }
}

/// The zone of this name, from the time zone database that is compiled in. As in Go, the empty name is UTC; so is
/// `Local`, since a pod has no other local time.
///
/// # Errors
/// [`Error::UnknownZone`].
pub fn zone(name: &str) -> Result<TimeZone, Error> {
    match name {
        "" | "UTC" | "Local" => Ok(TimeZone::UTC),
        name => TimeZoneDatabase::bundled().get(name).map_err(|_| Error::UnknownZone(name.to_owned())),
    }
}

#[cfg(test)]
mod tests;
