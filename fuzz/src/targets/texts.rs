//! Short texts: schedules, numbers, names, selectors.

use jiff::{Timestamp, tz::TimeZone};
use keda_api::{GoDuration, Quantity};
use keda_core::{cron::Schedule, names as core_names};
use keda_expr::{Program, Value};

pub(crate) const CRON: &[&str] = &[
    "*",
    "*/5",
    "1-5",
    "0",
    "59",
    "23",
    "31",
    "12",
    "6",
    "7",
    "mon",
    "JAN",
    "?",
    ",",
    "/",
    "-",
    "CRON_TZ=",
    "TZ=",
    "Europe/Berlin ",
    "Australia/Lord_Howe ",
    "@daily",
    "@every 5s",
    "18446744073709551616",
];
pub(crate) const NUMBERS: &[&str] = &[
    "1",
    "-",
    "+",
    ".",
    "0.5",
    "e",
    "E",
    "e3",
    "E-9",
    "m",
    "u",
    "n",
    "k",
    "Ki",
    "Mi",
    "Gi",
    "Ti",
    "Pi",
    "Ei",
    "M",
    "h",
    "s",
    "ms",
    "us",
    "\u{b5}s",
    "ns",
    "9223372036854775807",
    "999999999999999999999999999999999999999",
    "0x",
    "Inf",
];
pub(crate) const NAMES: &[&str] =
    &["s0-", "-", ".", "/", ":", "%", "(", ")", "\u{e9}", "\u{1f980}", "A", "keda-hpa-", "_"];
pub(crate) const SELECTORS: &[&str] = &[
    "scaledobject.keda.sh/name",
    "=",
    "==",
    "!=",
    " in ",
    " notin ",
    "(",
    ")",
    ",",
    "!",
    "a",
    "app",
    "web",
    " ",
    ">",
    "<",
    "1",
    "\u{e9}",
];

pub(crate) const FORMULAS: &[&str] = &[
    "a",
    "b",
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "^",
    "==",
    "!=",
    "<=",
    ">",
    "&&",
    "||",
    "!",
    "??",
    "?",
    ":",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ".",
    "..",
    "nil",
    "true",
    "1",
    "1.5",
    "1e308",
    "0xff",
    "9223372036854775807",
    "\"x\"",
    "max(",
    "count(",
    "map(",
    "reduce(",
    "# > 1",
    "#acc",
    "let x = 1; ",
    "1..1000000",
    "repeat(\"x\", 1000000)",
    "int(",
    "| sum()",
    " in ",
    " matches ",
    "not ",
];

pub(crate) fn formula(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Program::compile(&text, &["a", "b"]) {
        Ok(program) => {
            for values in [[1.5, -2.0], [0.0, 0.0], [f64::MAX, f64::NAN]] {
                match program.run(&values.map(Value::Float)) {
                    // NaN and infinity are for whoever uses it to refuse, as Go's expr leaves them.
                    Ok(value) => drop(value.number()),
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

pub(crate) fn cron(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(schedule) = Schedule::parse(&text) else { return };
    for zone in ["UTC", "Europe/Berlin", "Australia/Lord_Howe"] {
        let zone = TimeZone::get(zone).expect("a zone");
        let mut now = Timestamp::constant(1_795_514_400, 0).to_zoned(zone);
        for _ in 0..3 {
            let Some(next) = schedule.next_after(&now) else { break };
            assert!(next.timestamp() > now.timestamp(), "{text:?}: {next} is not after {now}");
            assert_eq!(next.timestamp().subsec_nanosecond(), 0, "{text:?}: {next}");
            now = next.with_time_zone(now.time_zone().clone());
        }
    }
}

pub(crate) fn quantity(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(quantity) = text.parse::<Quantity>() else { return };
    let canonical = quantity.to_string();
    let again: Quantity =
        canonical.parse().unwrap_or_else(|error| panic!("{text:?} as {canonical:?}: {error}"));
    assert_eq!(again, quantity, "{text:?} as {canonical:?}");
    // Its text may be another then, as in Go: 400062.5Ki is 409664000, and that is 409664k.
    let third: Quantity = again.to_string().parse().expect("what was written");
    assert_eq!(third, quantity, "{text:?} as {again}");
    // Exponents go beyond what a float holds; then it is infinite, as in Go.
    assert!(!quantity.as_f64().is_nan(), "{text:?}");
    assert_eq!(quantity.is_negative(), quantity.as_f64() < 0.0, "{text:?}");
    let _whole = (quantity.milli(), quantity.whole());
    if let Some(twice) = quantity.checked_add(quantity) {
        assert_eq!(twice.checked_sub(quantity), Some(quantity), "{text:?} twice less once");
    }
    let _any = quantity.checked_mul(i64::MIN);
    Quantity::kept_text(&text).unwrap_or_else(|error| panic!("{text:?} is a quantity: {error}"));
}

pub(crate) fn duration(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(duration) = text.parse::<GoDuration>() else { return };
    let canonical = duration.to_string();
    let again: GoDuration =
        canonical.parse().unwrap_or_else(|error| panic!("{text:?} as {canonical:?}: {error}"));
    assert_eq!(again, duration, "{text:?} as {canonical:?}");
    let _any = duration.to_std();
}

pub(crate) fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let part = core_names::normalize(&text);
    assert_eq!(core_names::normalize(&part), part, "{text:?}: once is enough");
    assert!(core_names::with_index(7, &part).starts_with("s7-"));
    let label = core_names::label_value(&text);
    assert!(label.len() <= 63 && text.starts_with(label), "{text:?}: {label:?}");
}

pub(crate) fn selector(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(name) = keda_adapter::fuzzing::selector(&text) {
        assert!(!name.is_empty() && text.contains(&name), "{text:?} names {name:?}");
    }
    if let Ok(canonical) = keda_testkit::fuzzing::selector(&text) {
        let again = keda_testkit::fuzzing::selector(&canonical);
        assert_eq!(again.as_ref(), Ok(&canonical), "{text:?} as {canonical:?}");
    }
    super::triggers::given("kubernetes-workload", &[("podSelector", &text), ("value", "1")]);
}
