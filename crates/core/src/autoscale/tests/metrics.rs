//! What a metric asks for, and several together.

use super::*;

fn asked(target: Target, values: &[&str], replicas: Replicas) -> (i32, Usage) {
    let values = values.iter().map(|value| quantity(value)).collect();
    let tolerance = metric::Tolerance { down: 0.1, up: 0.1 };
    let measured = external(target, Ok(values)).measure(&replicas, tolerance).unwrap();
    (measured.replicas, measured.usage)
}

fn all(replicas: i32) -> Replicas {
    Replicas { asked: replicas, reported: replicas, ready: Some(replicas) }
}

#[test]
fn average_values() {
    let target = Target::AverageValue(quantity("10"));
    for (values, replicas, expected, shown) in [
        (&["0"][..], 3, 0, "0"),
        (&["30"], 3, 3, "10"),
        (&["33"], 3, 3, "11"),
        (&["33.1"], 3, 4, "11034m"),
        (&["27"], 3, 3, "9"),
        (&["26.9"], 3, 3, "8967m"),
        (&["19"], 3, 2, "6334m"),
        (&["100"], 1, 10, "100"),
        (&["60", "40"], 1, 10, "100"),
        (&["5"], 0, 1, "5"),
    ] {
        let (wanted, usage) = asked(target, values, all(replicas));
        assert_eq!(
            (wanted, usage),
            (expected, Usage::AverageValue(quantity(shown))),
            "{values:?} at {replicas}"
        );
    }
}

#[test]
fn more_than_a_count_holds_is_as_many_as_it_holds() {
    let target = Target::AverageValue(quantity("1m"));
    assert_eq!(asked(target, &["1E"], all(1)).0, i32::MAX);
    let most = Usage::AverageValue(quantity("9223372036854775807m"));
    assert_eq!(
        asked(target, &["1", "-2"], all(1)),
        (i32::MAX, most),
        "a negative sum is taken for an overflow"
    );
    assert_eq!(asked(Target::Value(quantity("1m")), &["1E"], all(9)).0, i32::MAX);
}

#[test]
fn values_count_the_pods_that_are_ready() {
    let target = Target::Value(quantity("100"));
    for (value, replicas, expected) in [
        ("100", all(3), 3),
        ("109", all(3), 3),
        ("200", all(3), 6),
        ("50", all(4), 2),
        ("0", all(4), 0),
        ("250", all(0), 3),
        ("200", Replicas { asked: 4, reported: 4, ready: Some(2) }, 4),
        ("300", Replicas { asked: 4, reported: 4, ready: Some(1) }, 3),
        ("-50", all(4), -2),
    ] {
        let (wanted, usage) = asked(target, &[value], replicas);
        assert_eq!((wanted, usage), (expected, Usage::Value(quantity(value))), "{value} at {replicas:?}");
    }
}

#[test]
fn a_target_is_an_average_before_it_is_a_value() {
    let of = |value: Value| Target::of(&serde_json::from_value(value).unwrap());
    assert_eq!(
        of(json!({"type": "AverageValue", "averageValue": "5", "value": "7"})),
        Some(Target::AverageValue(quantity("5")))
    );
    assert_eq!(of(json!({"type": "Value", "value": "7"})), Some(Target::Value(quantity("7"))));
    assert_eq!(of(json!({"type": "Value"})), None);
}

#[test]
fn tolerance_is_the_controllers_or_the_behaviors_own_for_each_direction() {
    let target = Target::AverageValue(quantity("10"));
    let at = |load: &str, rules: Value| {
        let scaler = Autoscaler { replicas: 10, ..Autoscaler::with(rules) };
        let metric = external(target, Ok(vec![quantity(load)]));
        scaler.look(3600, &[metric]).proposed.unwrap()
    };
    for (load, rules, expected) in [
        ("110", json!({}), 10),
        ("111", json!({}), 12),
        ("90", json!({}), 10),
        ("89", json!({}), 9),
        ("111", json!({"scaleUp": {"tolerance": "200m"}}), 10),
        ("121", json!({"scaleUp": {"tolerance": "200m"}}), 13),
        ("89", json!({"scaleUp": {"tolerance": "200m"}}), 9),
        ("101", json!({"scaleUp": {"tolerance": "0"}}), 11),
        ("51", json!({"scaleDown": {"tolerance": "0.5"}}), 10),
        ("49", json!({"scaleDown": {"tolerance": "0.5"}}), 5),
    ] {
        assert_eq!(at(load, rules.clone()), expected, "{load} with {rules}");
    }
}

#[test]
fn the_highest_of_several_metrics_counts() {
    let outcome = Autoscaler::at(4).look(0, &[asks(2), asks(7), asks(5)]);
    assert_eq!((outcome.proposed, outcome.desired), (Some(7), Some(7)));
    assert_eq!(outcome.cause, "external metric s0-a(nil) above target");
}

#[test]
fn a_metric_that_fails_never_lets_the_target_shrink() {
    let message = "the HPA was unable to compute the replica count: unable to get external metric \
                   default/s0-a/nil: source is down";
    for (metrics, desired, verdict) in [
        (vec![fails()], None, Verdict::Failed),
        (vec![fails(), fails()], None, Verdict::Failed),
        (vec![fails(), asks(3)], None, Verdict::Failed),
        (vec![asks(3), fails()], None, Verdict::Failed),
        (vec![fails(), asks(4)], Some(4), Verdict::Followed),
        (vec![asks(6), fails()], Some(6), Verdict::Followed),
        (
            vec![Metric::Unavailable(Failure::unable("InvalidMetricSourceType", "x")), asks(1)],
            None,
            Verdict::Failed,
        ),
    ] {
        // Without a window, so that nothing else holds it.
        let rules = json!({"scaleDown": {"stabilizationWindowSeconds": 0}});
        let scaler = Autoscaler { replicas: 4, ..Autoscaler::with(rules) };
        let outcome = scaler.look(0, &metrics);
        assert_eq!((outcome.desired, outcome.verdict), (desired, verdict), "{metrics:?}");
        if verdict == Verdict::Failed {
            let (status, reason, said) = words(&outcome, "ScalingActive");
            assert_eq!(status, "False");
            match &metrics[0] {
                Metric::Unavailable(_) => assert_eq!(reason, "InvalidMetricSourceType"),
                _ => assert_eq!((reason, said), ("FailedGetExternalMetric", message)),
            }
            assert_eq!(words(&outcome, "AbleToScale").1, "SucceededGetScale");
            assert!(outcome.condition("ScalingLimited").is_none(), "left as it was");
        }
    }
}

#[test]
fn no_series_is_a_failure_and_so_is_no_target() {
    let none = external(Target::Value(quantity("1")), Ok(Vec::new()));
    let outcome = Autoscaler::at(4).look(0, &[none]);
    assert!(words(&outcome, "ScalingActive").2.ends_with("no metrics returned from external metrics API"));
    let aimless = Metric::External {
        namespace: String::new(),
        name: String::new(),
        selector: String::new(),
        target: None,
        values: Ok(vec![quantity("1")]),
    };
    let outcome = Autoscaler::at(4).look(0, &[aimless]);
    assert!(
        words(&outcome, "ScalingActive")
            .2
            .ends_with("neither a value target nor an average value target was set")
    );
    let outcome =
        Autoscaler::at(4).look(0, &[external(Target::Value(Quantity::ZERO), Ok(vec![quantity("1")]))]);
    assert_eq!(outcome.verdict, Verdict::Failed);
}

#[test]
fn a_target_value_needs_pods() {
    let metric = external(Target::Value(quantity("10")), Ok(vec![quantity("20")]));
    let tolerance = metric::Tolerance { down: 0.1, up: 0.1 };
    let failure = metric.measure(&Replicas { ready: None, ..all(3) }, tolerance).unwrap_err();
    assert_eq!(failure.reason, "FailedGetExternalMetric");
    assert_eq!(
        failure.message,
        "the HPA was unable to compute the replica count: unable to calculate ready pods: no pods returned by \
         selector while calculating replica count"
    );
    for (value, asked) in [("10.9", 3), ("20", 0)] {
        let metric = external(Target::Value(quantity("10")), Ok(vec![quantity(value)]));
        let replicas = Replicas { ready: None, ..all(asked) };
        assert!(metric.measure(&replicas, tolerance).is_ok(), "{value} of {asked}: they are not counted");
    }
}

#[test]
fn less_than_nothing_is_less_than_none_beside_a_failure() {
    let below = external(Target::Value(quantity("1")), Ok(vec![quantity("-1")]));
    let scaler = Autoscaler { min: Some(0), scaled_to_zero: true, ..Autoscaler::at(0) };
    assert_eq!(scaler.look(0, &[below.clone(), fails()]).verdict, Verdict::Failed);
    assert_eq!(scaler.look(0, &[below]).verdict, Verdict::Followed);
}
