//! Ten thousand random schedules and instants, against what robfig/cron v3 itself answered (`robfig/main.go`).

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "test code")]

use jiff::{Timestamp, Zoned, tz::TimeZone};
use keda_core::cron::{self, Schedule};

/// Where clocks change at midnight or by half an hour: there robfig may pass over a day or stop on a wrong one.
const ODD_CLOCKS: [&str; 5] =
    ["Africa/Cairo", "America/Havana", "America/Santiago", "Asia/Beirut", "Australia/Lord_Howe"];

fn answer(text: &str, zone: &str, instant: &str) -> (String, Option<Zoned>) {
    let zone = cron::zone(zone).unwrap();
    let after = Timestamp::from_second(instant.parse().unwrap()).unwrap().to_zoned(zone);
    match Schedule::parse(text) {
        Err(error) => (format!("error: {error}"), None),
        Ok(schedule) => match schedule.next_after(&after) {
            None => ("none".to_owned(), None),
            Some(next) => (next.timestamp().as_second().to_string(), Some(next)),
        },
    }
}

#[test]
fn ten_thousand_schedules_as_robfig_answers_them() {
    let (mut same, mut odd, mut wrong) = (0, 0, Vec::new());
    for line in include_str!("robfig/answers.tsv").lines() {
        let [text, zone, instant, expected] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let (ours, next) = answer(text, zone, instant);
        if ours == expected {
            same += 1;
        } else if ODD_CLOCKS.contains(&zone) && next == first_match(text, zone, instant) {
            // The wall clock, minute by minute, says that ours is the next one.
            odd += 1;
        } else {
            wrong.push(format!("{line}: ours is {ours}"));
        }
    }
    eprintln!("cron: {same} of 10000 as robfig, {odd} where clocks change at midnight or by half an hour");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(same + odd, 10_000);
    assert!(odd < 50, "{odd}");
}

/// The slow and certain way: every minute's wall clock is held against the fields.
fn first_match(text: &str, zone: &str, instant: &str) -> Option<Zoned> {
    let zone: TimeZone = cron::zone(zone).unwrap();
    let fields: Vec<Vec<i8>> = text
        .split_whitespace()
        .zip([(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)])
        .map(|(field, bounds)| values(field, bounds))
        .collect();
    let star = |index: usize| {
        let field = text.split_whitespace().nth(index).unwrap_or_default();
        field.split(',').any(|entry| matches!(entry, "*" | "?" | "*/1"))
    };
    let begin: i64 = instant.parse().unwrap();
    let minutes = (begin / 60 + 1..).take(6 * 366 * 24 * 60);
    minutes.map(|minute| Timestamp::from_second(minute * 60).unwrap().to_zoned(zone.clone())).find(|time| {
        let day = fields[2].contains(&time.day());
        let weekday = fields[4].contains(&time.weekday().to_sunday_zero_offset());
        let days = if star(2) || star(4) { day && weekday } else { day || weekday };
        let (minute, hour, month) = (time.minute(), time.hour(), time.month());
        days && fields[0].contains(&minute) && fields[1].contains(&hour) && fields[3].contains(&month)
    })
}

fn values(field: &str, (low, high): (i8, i8)) -> Vec<i8> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let number = |text: &str| -> i8 {
        let text = text.to_lowercase();
        if let Some(month) = MONTHS.iter().position(|name| *name == text) {
            return i8::try_from(month).unwrap() + 1;
        }
        DAYS.iter()
            .position(|name| *name == text)
            .map_or_else(|| text.parse().unwrap(), |day| i8::try_from(day).unwrap())
    };
    let entry = |entry: &str| -> Vec<i8> {
        let (range, step) = entry.split_once('/').map_or((entry, None), |(range, step)| (range, Some(step)));
        let (from, to) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (low, high),
            Some((from, to)) => (number(from), number(to)),
            None => (number(range), if step.is_some() { high } else { number(range) }),
        };
        (from..=to).step_by(step.map_or(1, |step| step.parse().unwrap())).collect()
    };
    field.split(',').flat_map(entry).collect()
}
