use jiff::ToSpan;

use super::*;

fn window(start: &str, end: &str, zone_name: &str) -> Window {
    Window { start: schedule(start), end: schedule(end), zone: zone(zone_name).unwrap() }
}

fn active(window: &Window, at: &str) -> bool {
    window.active(moment(at).timestamp())
}

#[test]
fn open_between_start_and_end() {
    let office = window("0 8 * * 1-5", "0 18 * * 1-5", "Europe/Berlin");
    for (at, wanted) in [
        ("2026-11-24T07:59:59[Europe/Berlin]", false),
        ("2026-11-24T08:00:00[Europe/Berlin]", true),
        ("2026-11-24T17:59:59[Europe/Berlin]", true),
        ("2026-11-24T18:00:00[Europe/Berlin]", false),
        ("2026-11-28T12:00:00[Europe/Berlin]", false),
        ("2026-11-24T17:30:00[UTC]", false),
    ] {
        assert_eq!(active(&office, at), wanted, "{at}");
    }
}

#[test]
fn over_midnight() {
    let night = window("0 22 * * *", "0 6 * * *", "UTC");
    assert!(active(&night, "2026-11-24T23:00[UTC]") && active(&night, "2026-11-25T05:59[UTC]"));
    assert!(!active(&night, "2026-11-25T06:00[UTC]") && !active(&night, "2026-11-25T21:59[UTC]"));
}

#[test]
fn start_and_end_at_once_is_open() {
    assert!(active(&window("0 * * * *", "0 */2 * * *", "UTC"), "2026-11-24T11:30[UTC]"));
    assert!(!active(&window("0 * * * *", "0 */2 * * *", "UTC"), "2026-11-24T12:30[UTC]"));
}

#[test]
fn what_never_comes() {
    let (never, daily) = ("0 0 30 2 *", "0 6 * * *");
    assert!(active(&window(never, daily, "UTC"), "2026-11-24T12:00[UTC]"));
    assert!(!active(&window(daily, never, "UTC"), "2026-11-24T12:00[UTC]"));
    assert!(active(&window(never, never, "UTC"), "2026-11-24T12:00[UTC]"));
}

#[test]
fn a_start_that_the_clocks_skip_leaves_the_window_open() {
    // 02:30 does not happen on 2026-03-29 in Berlin. The rule only compares what comes next, so from the end of the day
    // before, the next end (05:00) comes before the next start, and the window is open all night. As upstream's.
    let early = window("30 2 * * *", "0 5 * * *", "Europe/Berlin");
    assert!(!active(&early, "2026-03-27T12:00[Europe/Berlin]"));
    assert!(active(&early, "2026-03-28T12:00[Europe/Berlin]"));
    assert!(active(&early, "2026-03-29T04:59[Europe/Berlin]"));
    assert!(!active(&early, "2026-03-29T05:00[Europe/Berlin]"));
}

#[test]
fn it_changes_only_at_its_next_change() {
    let office = window("0 8 * * 1-5", "30 17 * * 1-5", "America/New_York");
    let mut at = moment("2026-10-28T00:00[America/New_York]").timestamp();
    for _ in 0..12 {
        let change = office.next_change(at).unwrap();
        let before = change.checked_sub(1.second()).unwrap();
        assert_eq!(office.active(at), office.active(before), "between {at} and {change}");
        assert_ne!(office.active(before), office.active(change), "at {change}");
        at = change;
    }
}
