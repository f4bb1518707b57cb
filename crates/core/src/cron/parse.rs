//! From text to a schedule.

use super::{Error, Field, Schedule, zone};

/// The values a field can have, and their names.
struct Domain {
    min: u64,
    max: u64,
    /// The name of `min`, of `min + 1`, and so on.
    names: &'static [&'static str],
}

const MINUTE: Domain = Domain { min: 0, max: 59, names: &[] };
const HOUR: Domain = Domain { min: 0, max: 23, names: &[] };
const DAY: Domain = Domain { min: 1, max: 31, names: &[] };
const MONTH: Domain = Domain {
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAY: Domain = Domain { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

impl Schedule {
    /// Parses a schedule; the module's documentation has the rules.
    ///
    /// # Errors
    /// [`Error`], the first one found from left to right, with robfig's text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::Empty);
        }
        let (zone, text) = match text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ=")) {
            // Without a space nothing is left for the fields; robfig's parser panics there.
            Some(rest) => {
                let (name, fields) = rest.split_once(' ').unwrap_or((rest, ""));
                let zone = zone(name).map_err(|_| Error::BadLocation(name.to_owned()))?;
                (Some(zone), fields.trim())
            }
            None => (None, text),
        };
        if text.starts_with('@') {
            return Err(Error::Descriptor(text.to_owned()));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(Error::FieldCount(fields.into_iter().map(str::to_owned).collect()));
        };
        Ok(Self {
            minute: field(minute, &MINUTE)?,
            hour: field(hour, &HOUR)?,
            day: field(day, &DAY)?,
            month: field(month, &MONTH)?,
            weekday: field(weekday, &WEEKDAY)?,
            zone,
        })
    }
}

/// A comma list. Empty members are passed over, so that `,` alone is a field that never matches.
fn field(text: &str, domain: &Domain) -> Result<Field, Error> {
    let mut field = Field::default();
    for expression in text.split(',').filter(|expression| !expression.is_empty()) {
        let range = range(expression, domain)?;
        field.values |= range.values;
        field.star |= range.star;
    }
    Ok(field)
}

/// `*`, `n` or `a-b`, with an optional `/step`. What follows the `-` in `*-b` is not looked at.
fn range(expression: &str, domain: &Domain) -> Result<Field, Error> {
    let (limits, step_text) = match expression.split('/').collect::<Vec<_>>().as_slice() {
        &[limits] => (limits, Ok(None)),
        &[limits, step] => (limits, Ok(Some(step))),
        // Reported after a fault in the limits, like robfig does.
        parts => (parts.first().copied().unwrap_or_default(), Err(Error::Slashes(expression.to_owned()))),
    };
    let low_and_high: Vec<&str> = limits.split('-').collect();
    let (start, mut end, mut star) = match low_and_high.as_slice() {
        ["*" | "?", ..] => (domain.min, domain.max, true),
        [only] => {
            let only = number_or_name(only, domain)?;
            (only, only, false)
        }
        [low, rest @ ..] => {
            let low = number_or_name(low, domain)?;
            let &[high] = rest else { return Err(Error::Hyphens(expression.to_owned())) };
            (low, number_or_name(high, domain)?, false)
        }
        [] => (domain.min, domain.max, false),
    };
    let step = match step_text? {
        None => 1,
        Some(text) => {
            let step = number(text)?;
            if low_and_high.len() == 1 {
                end = domain.max;
            }
            star &= step <= 1;
            step
        }
    };

    let expression = || expression.to_owned();
    if start < domain.min {
        return Err(Error::BelowMinimum { start, min: domain.min, expression: expression() });
    }
    if end > domain.max {
        return Err(Error::AboveMaximum { end, max: domain.max, expression: expression() });
    }
    if start > end {
        return Err(Error::Reversed { start, end, expression: expression() });
    }
    if step == 0 {
        return Err(Error::ZeroStep(expression()));
    }
    // A step beyond usize is beyond the field as well.
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    Ok(Field { values: (start..=end).step_by(step).fold(0, |values, value| values | 1 << value), star })
}

fn number_or_name(text: &str, domain: &Domain) -> Result<u64, Error> {
    let named = (domain.min..).zip(domain.names).find(|(_, name)| name.eq_ignore_ascii_case(text));
    named.map_or_else(|| number(text), |(value, _)| Ok(value))
}

fn number(text: &str) -> Result<u64, Error> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    match text.parse::<i64>() {
        Ok(number) => u64::try_from(number).map_err(|_| Error::Negative { number }),
        Err(error) => {
            let reason = match error.kind() {
                PosOverflow | NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            Err(Error::NotANumber { text: text.to_owned(), reason })
        }
    }
}
