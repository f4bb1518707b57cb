use jiff::{SignedDuration, ToSpan};
use proptest::prelude::*;

use super::*;

#[test]
fn next_times_in_utc() {
    for (text, after, wanted) in [
        ("* * * * *", "2026-07-09T14:45:00Z", "2026-07-09 14:46 +00:00"),
        ("* * * * *", "2026-07-09T14:45:59.999Z", "2026-07-09 14:46 +00:00"),
        ("* * * * *", "2026-07-09T14:44:59.001Z", "2026-07-09 14:45 +00:00"),
        ("0/15 * * * *", "2026-07-09T14:45:00Z", "2026-07-09 15:00 +00:00"),
        ("20-35/15 * * * *", "2026-07-09T14:59:00Z", "2026-07-09 15:20 +00:00"),
        ("5,45 8-9 * * *", "2026-07-09T09:45:00Z", "2026-07-10 08:05 +00:00"),
        ("0 0 * * *", "2026-12-31T23:59:45Z", "2027-01-01 00:00 +00:00"),
        ("0 0 31 * *", "2026-03-31T00:00:00Z", "2026-05-31 00:00 +00:00"),
        ("0 0 1 feb *", "2026-02-01T00:00:00Z", "2027-02-01 00:00 +00:00"),
        ("0 12 * * mon-fri", "2026-11-27T12:00:00Z", "2026-11-30 12:00 +00:00"),
    ] {
        let after = after.replace('Z', "+00:00[UTC]");
        assert_eq!(next(text, &after), wanted, "{text} after {after}");
    }
}

#[test]
fn leap_days() {
    assert_eq!(next("0 0 29 2 *", "2026-11-24T00:00[UTC]"), "2028-02-29 00:00 +00:00");
    assert_eq!(next("0 0 29 2 *", "2028-02-29T00:00[UTC]"), "2032-02-29 00:00 +00:00");
    // 2100 is no leap year, so eight years lie between two leap days there.
    assert_eq!(next("0 0 29 2 *", "2096-03-01T00:00[UTC]"), "never");
    assert_eq!(next("0 0 29 2 *", "2099-01-01T00:00[UTC]"), "2104-02-29 00:00 +00:00");
}

#[test]
fn the_search_ends_after_five_years() {
    for text in
        ["0 0 30 2 *", "0 0 31 4,6 *", ", * * * *", "0 , * * *", "0 0 * , *", "0 0 , * *", "0 0 * * ,"]
    {
        assert_eq!(next(text, "2026-11-24T00:00[UTC]"), "never", "{text}");
    }
    let far = schedule("0 0 29 2 *");
    assert_eq!(far.next_after(&Timestamp::MAX.to_zoned(TimeZone::UTC)), None);
    assert!(far.next_after(&Timestamp::MIN.to_zoned(TimeZone::UTC)).is_some());
}

#[test]
fn two_restricted_day_fields_are_alternatives() {
    // The 15th, and every Monday: Friday 2026-05-15, Monday 2026-05-18.
    assert_eq!(next("0 0 15 * 1", "2026-05-12T00:00[UTC]"), "2026-05-15 00:00 +00:00");
    assert_eq!(next("0 0 15 * 1", "2026-05-15T00:00[UTC]"), "2026-05-18 00:00 +00:00");
}

#[test]
fn a_star_in_a_day_field_makes_both_count() {
    assert_eq!(next("0 0 15 * *", "2026-05-12T00:00[UTC]"), "2026-05-15 00:00 +00:00");
    assert_eq!(next("0 0 ? * 1", "2026-05-12T00:00[UTC]"), "2026-05-18 00:00 +00:00");
    assert_eq!(next("0 0 */1 * 1", "2026-05-12T00:00[UTC]"), "2026-05-18 00:00 +00:00");
    // A star that steps restricts: every second day of the month, or any Monday.
    assert_eq!(next("0 0 */2 * 1", "2026-05-11T00:00[UTC]"), "2026-05-13 00:00 +00:00");
    assert_eq!(next("0 0 */2 * 1", "2026-05-17T00:00[UTC]"), "2026-05-18 00:00 +00:00");
}

#[test]
fn what_the_clocks_skip_does_not_happen() {
    // Berlin 2026-03-29: 02:00 to 03:00. New York 2026-03-08: 02:00 to 03:00.
    assert_eq!(next("30 2 * * *", "2026-03-29T00:00[Europe/Berlin]"), "2026-03-30 02:30 +02:00");
    assert_eq!(next("30 2 29 3 *", "2026-03-29T00:00[Europe/Berlin]"), "2027-03-29 02:30 +02:00");
    assert_eq!(next("0 * * * *", "2026-03-29T01:00[Europe/Berlin]"), "2026-03-29 03:00 +02:00");
    assert_eq!(next("59 1-2 * * *", "2026-03-29T01:59[Europe/Berlin]"), "2026-03-30 01:59 +02:00");
    assert_eq!(next("30 2 * * *", "2026-03-08T00:00[America/New_York]"), "2026-03-09 02:30 -04:00");
    assert_eq!(next("0 3 * * *", "2026-03-08T01:59[America/New_York]"), "2026-03-08 03:00 -04:00");
}

#[test]
fn what_the_clocks_repeat_happens_twice() {
    // Berlin 2026-10-25: 03:00 back to 02:00. New York 2026-11-01: 02:00 back to 01:00.
    assert_eq!(next("30 2 * * *", "2026-10-25T00:00[Europe/Berlin]"), "2026-10-25 02:30 +02:00");
    assert_eq!(next("30 2 * * *", "2026-10-25T02:30+02:00[Europe/Berlin]"), "2026-10-25 02:30 +01:00");
    assert_eq!(next("30 2 * * *", "2026-10-25T02:30+01:00[Europe/Berlin]"), "2026-10-26 02:30 +01:00");
    assert_eq!(next("0 1 * * *", "2026-11-01T01:00-04:00[America/New_York]"), "2026-11-01 01:00 -05:00");
    assert_eq!(next("0 2 * * *", "2026-11-01T00:00[America/New_York]"), "2026-11-01 02:00 -05:00");
}

#[test]
fn a_day_without_midnight_is_a_day() {
    // Beirut 2026-03-29: 00:00 to 01:00. Cairo 2026-04-24: 00:00 to 01:00.
    assert_eq!(next("0 12 * * 0", "2026-03-28T12:00[Asia/Beirut]"), "2026-03-29 12:00 +03:00");
    assert_eq!(next("0 9 24 4 *", "2026-04-01T00:00[Africa/Cairo]"), "2026-04-24 09:00 +03:00");
    assert_eq!(next("0 0 29 3 *", "2026-03-01T00:00[Asia/Beirut]"), "2027-03-29 00:00 +03:00");
}

#[test]
fn odd_changes_of_the_clocks() {
    // Lord Howe moves by half an hour: 2026-10-04 02:00 to 02:30, and 2026-04-05 02:00 back to 01:30.
    assert_eq!(next("15 2 * * *", "2026-10-04T00:00[Australia/Lord_Howe]"), "2026-10-05 02:15 +11:00");
    assert_eq!(next("30 2 * * *", "2026-10-04T00:00[Australia/Lord_Howe]"), "2026-10-04 02:30 +11:00");
    assert_eq!(next("45 1 * * *", "2026-04-05T01:45+11:00[Australia/Lord_Howe]"), "2026-04-05 01:45 +10:30");
    // Samoa left out 2011-12-30 altogether.
    assert_eq!(next("0 0 30 12 *", "2011-12-01T00:00[Pacific/Apia]"), "2012-12-30 00:00 +14:00");
    assert_eq!(next("0 0 * * *", "2011-12-29T12:00[Pacific/Apia]"), "2011-12-31 00:00 +14:00");
}

#[test]
fn a_zone_of_its_own_wins_and_the_answer_is_in_the_askers() {
    let answer = schedule("TZ=Asia/Tokyo 0 9 * * *").next_after(&moment("2026-07-01T00:00[UTC]")).unwrap();
    assert_eq!(answer, moment("2026-07-02T00:00[UTC]"));
    let answer = schedule("TZ=Asia/Tokyo 30 9 * * *").next_after(&moment("2026-07-01T00:00[UTC]")).unwrap();
    assert_eq!(answer.time_zone(), &TimeZone::UTC);
    assert_eq!(answer, moment("2026-07-01T00:30[UTC]"));
}

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "America/Santiago",
    "America/St_Johns",
];

fn range(min: u8, max: u8) -> impl Strategy<Value = String> {
    let value = min..=max;
    prop_oneof![
        3 => Just("*".to_owned()),
        2 => value.clone().prop_map(|value| value.to_string()),
        1 => (1u8..=20).prop_map(|step| format!("*/{step}")),
        1 => (value.clone(), 1u8..=20).prop_map(|(value, step)| format!("{value}/{step}")),
        1 => (value.clone(), value.clone()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (value.clone(), value).prop_map(|(a, b)| format!("{a},{b}")),
    ]
}

fn spec() -> impl Strategy<Value = String> {
    (range(0, 59), range(0, 23), range(1, 31), range(1, 12), range(0, 6))
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

/// Moments between 2015 and 2045, half of them within two days of a change of the clocks.
fn when() -> impl Strategy<Value = Zoned> {
    let near = -172_800i64..172_800;
    (1_420_070_400i64..2_366_841_600, 0..ZONES.len(), proptest::option::of(near)).prop_map(
        |(second, index, near)| {
            let zone = zone(ZONES[index]).unwrap();
            let at = Timestamp::from_second(second).unwrap();
            let change = zone.following(at).next().map(|transition| transition.timestamp());
            let at = match (near, change) {
                (Some(near), Some(change)) => change.checked_add(SignedDuration::from_secs(near)).unwrap(),
                _ => at,
            };
            at.to_zoned(zone)
        },
    )
}

/// The fields, asked one by one.
fn is_due(schedule: &Schedule, at: &Zoned) -> bool {
    let by_month_day = schedule.day.has(at.day());
    let by_weekday = schedule.weekday.has(at.weekday().to_sunday_zero_offset());
    let by_day = match schedule.day.star || schedule.weekday.star {
        true => by_month_day && by_weekday,
        false => by_month_day || by_weekday,
    };
    at.second() == 0
        && schedule.minute.has(at.minute())
        && schedule.hour.has(at.hour())
        && schedule.month.has(at.month())
        && by_day
}

proptest! {
    #[test]
    fn the_next_time_is_later_and_matches(text in spec(), after in when()) {
        let schedule = schedule(&text);
        if let Some(next) = schedule.next_after(&after) {
            prop_assert!(next > after);
            prop_assert!(is_due(&schedule, &next), "{} is not {}", next, text);
            prop_assert!(next.year() <= after.year() + 6);
        }
    }

    #[test]
    fn nothing_that_is_due_is_passed_over(text in spec(), after in when()) {
        let schedule = schedule(&text);
        let next = schedule.next_after(&after);
        // Minute by minute through real time, for three days at most.
        let limit = after.checked_add(72.hours()).unwrap();
        let mut minute = after.timestamp().as_second() / 60 * 60 + 60;
        loop {
            let at = Timestamp::from_second(minute).unwrap().to_zoned(after.time_zone().clone());
            if at > limit || next.as_ref().is_some_and(|next| at >= *next) {
                break;
            }
            prop_assert!(!is_due(&schedule, &at), "{} passes over {}", text, at);
            minute += 60;
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(TZ=)?[*?/,0-9a-z@ -]{0,24}") {
        if let Ok(schedule) = Schedule::parse(&text) {
            schedule.next_after(&moment("2026-11-24T00:00[UTC]"));
        }
    }
}
