//! Against facts: `testdata/durations.jsonl` holds what Go 1.26 answers for each text (`error`, or `nanos` and `print`).
//! And properties.

use proptest::prelude::*;

use super::*;

#[derive(serde::Deserialize)]
struct Fact {
    text: String,
    error: Option<String>,
    nanos: Option<i64>,
    print: Option<String>,
}

#[test]
fn answers_as_go_does() {
    let mut wrong = Vec::new();
    for line in include_str!("../../testdata/durations.jsonl").lines() {
        let fact: Fact = serde_json::from_str(line).unwrap();
        let ours: Result<GoDuration, _> = fact.text.parse();
        let error = ours.as_ref().err().map(ToString::to_string);
        let nanos = ours.as_ref().ok().map(|duration| duration.as_nanos());
        let print = ours.as_ref().ok().map(ToString::to_string);
        if (&error, nanos, &print) != (&fact.error, fact.nanos, &fact.print) {
            wrong.push(format!(
                "{:?}: {error:?} {nanos:?} {print:?}, expected {:?} {:?} {:?}",
                fact.text, fact.error, fact.nanos, fact.print
            ));
        }
    }
    assert!(wrong.is_empty(), "{}\n{} wrong", wrong.join("\n"), wrong.len());
}

#[test]
fn converts_to_and_from_std() {
    let half = Duration::from_millis(500);
    assert_eq!(GoDuration::from(half).to_string(), "500ms");
    assert_eq!(GoDuration::from(half).to_std(), Some(half));
    assert_eq!("-1s".parse::<GoDuration>().unwrap().to_std(), None);
    assert_eq!(GoDuration::from(Duration::MAX).as_nanos(), i64::MAX);
}

#[test]
fn serde_is_text() {
    let duration: GoDuration = serde_json::from_str("\"90s\"").unwrap();
    assert_eq!(serde_json::to_string(&duration).unwrap(), "\"1m30s\"");
    assert!(serde_json::from_str::<GoDuration>("90").is_err());
}

proptest! {
    // Below 2^53 of the unit, Go's floating-point fractions are exact enough to come back.
    #[test]
    fn parsing_undoes_printing(nanos in any::<i64>()) {
        let duration = GoDuration::from_nanos(nanos);
        prop_assert_eq!(duration.to_string().parse::<GoDuration>(), Ok(duration));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,20}") {
        let _ = text.parse::<GoDuration>();
    }

    #[test]
    fn nearly_durations_do_not_panic(text in "[+-]?([0-9]{0,25}(\\.[0-9]{0,25})?(ns|us|µs|ms|s|m|h|x)?){0,4}") {
        let _ = text.parse::<GoDuration>();
    }
}
