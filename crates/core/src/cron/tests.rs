mod next;
mod parse;
mod window;

use jiff::{Timestamp, Zoned};

use super::*;

fn schedule(text: &str) -> Schedule {
    Schedule::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// `2026-03-29T01:59[Europe/Berlin]`.
fn moment(text: &str) -> Zoned {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Wall time of the next occurrence, with its offset.
fn next(text: &str, after: &str) -> String {
    match schedule(text).next_after(&moment(after)) {
        Some(next) => next.strftime("%Y-%m-%d %H:%M %:z").to_string(),
        None => "never".to_owned(),
    }
}
