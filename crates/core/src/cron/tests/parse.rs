use super::*;

/// The values of a field, by putting it first in a schedule.
fn minutes(text: &str) -> Vec<u8> {
    values(schedule(&format!("{text} * * * *")).minute)
}

fn values(field: Field) -> Vec<u8> {
    (0..64).filter(|value| field.values & (1 << value) != 0).collect()
}

fn refused(text: &str) -> String {
    match Schedule::parse(text) {
        Ok(_) => panic!("{text} is accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn fields_are_lists_of_ranges_with_steps() {
    for (text, wanted) in [
        ("5", vec![5]),
        ("5,4", vec![4, 5]),
        ("5-7", vec![5, 6, 7]),
        ("5-6,1", vec![1, 5, 6]),
        ("5-59/20", vec![5, 25, 45]),
        ("5/20", vec![5, 25, 45]),
        ("57/1", vec![57, 58, 59]),
        ("*/15", vec![0, 15, 30, 45]),
        ("?/30", vec![0, 30]),
        ("0-10/4,58-59", vec![0, 4, 8, 58, 59]),
        ("59/9223372036854775807", vec![59]),
        (",5,,", vec![5]),
        (",", vec![]),
        ("+5", vec![5]),
        ("05", vec![5]),
    ] {
        assert_eq!(minutes(text), wanted, "{text}");
    }
    assert_eq!(minutes("*").len(), 60);
    assert_eq!(minutes("*-5").len(), 60, "what follows a star is not looked at");
}

#[test]
fn months_and_weekdays_have_names() {
    assert_eq!(values(schedule("* * * Jan,mar-MAY,12 *").month), [1, 3, 4, 5, 12]);
    assert_eq!(values(schedule("* * * * Sun,tue-THU,6").weekday), [0, 2, 3, 4, 6]);
    assert_eq!(values(schedule("* * * feb/5 *").month), [2, 7, 12]);
    assert!(refused("* * * january *").contains("strconv.Atoi: parsing \"january\": invalid syntax"));
    assert!(refused("mon * * * *").starts_with("failed to parse int from mon"));
}

#[test]
fn a_star_unrestricts_unless_it_steps() {
    for (text, star) in
        [("*", true), ("?", true), ("*/1", true), ("*/2", false), ("1-31", false), ("1,*", true)]
    {
        assert_eq!(schedule(&format!("* * {text} * *")).day.star, star, "{text}");
    }
}

#[test]
fn refusals_have_robfigs_texts() {
    for (text, wanted) in [
        ("", "empty spec string"),
        ("   ", "expected exactly 5 fields, found 0: []"),
        ("1", "expected exactly 5 fields, found 1: [1]"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("0 * * * * *", "expected exactly 5 fields, found 6: [0 * * * * *]"),
        ("@daily", "parser does not accept descriptors: @daily"),
        ("@every 1h", "parser does not accept descriptors: @every 1h"),
        ("-50 * * * *", "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax"),
        ("5- * * * *", "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax"),
        ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
        (
            "99999999999999999999 * * * *",
            "failed to parse int from 99999999999999999999: strconv.Atoi: parsing \"99999999999999999999\": \
             value out of range",
        ),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("*/x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
        ("*/-5 * * * *", "negative number (-5) not allowed: -5"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* 24 * * *", "end of range (24) above maximum (23): 24"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * 32 * *", "end of range (32) above maximum (31): 32"),
        ("* * * 0 *", "beginning of range (0) below minimum (1): 0"),
        ("* * * 13 *", "end of range (13) above maximum (12): 13"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("9-3 * * * *", "beginning of range (9) beyond end of range (3): 9-3"),
        ("TZ=Mars/Olympus * * * * *", "provided bad location Mars/Olympus: unknown time zone Mars/Olympus"),
        ("TZ=UTC", "expected exactly 5 fields, found 0: []"),
        ("CRON_TZ=UTC @daily", "parser does not accept descriptors: @daily"),
    ] {
        assert_eq!(refused(text), wanted, "{text:?}");
    }
}

#[test]
fn a_zone_may_stand_in_front() {
    let berlin = schedule("TZ=Europe/Berlin 0 6 * * *");
    assert_eq!(berlin, schedule("CRON_TZ=Europe/Berlin   0 6 * * *"));
    assert_eq!(berlin.zone, Some(zone("Europe/Berlin").unwrap()));
    assert_eq!(schedule("TZ= 0 6 * * *").zone, Some(TimeZone::UTC));
    assert_eq!(schedule("0 6 * * *").zone, None);
}

#[test]
fn zones_come_from_the_database_inside() {
    for name in ["", "UTC", "Local", "Etc/UTC", "Asia/Kolkata", "America/New_York", "Etc/GMT+5"] {
        assert!(zone(name).is_ok(), "{name}");
    }
    for name in ["abc", "1", "../etc/passwd", "/etc/localtime", "Europe/"] {
        assert_eq!(zone(name).unwrap_err().to_string(), format!("unknown time zone {name}"));
    }
}

/// Verdicts of upstream's own parser, where its recordings lie beside the workspace.
#[test]
fn upstreams_recorded_verdicts() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/upstream/cases/cron.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: no recordings at {}", path.display());
        return;
    };
    let cases: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut compared = 0;
    for case in cases.as_array().unwrap().iter().filter(|case| case["kind"] == "parse") {
        let error = case["error"].as_str().unwrap();
        for part in ["start", "end"] {
            let Some(spec) = case["metadata"][part].as_str() else { continue };
            let prefix = format!("error parsing {part} schedule: ");
            let wanted = error.lines().find_map(|line| line.strip_prefix(&prefix));
            let ours = Schedule::parse(spec).err().map(|error| error.to_string());
            assert_eq!(ours.as_deref(), wanted, "{}", case["id"]);
            compared += 1;
        }
    }
    assert!(compared > 10);
}
