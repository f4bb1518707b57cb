#![expect(clippy::needless_pass_by_value, reason = "json!() is written where it is used")]

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::*;

const BEHAVIORS: [FallbackBehavior; 5] = [
    FallbackBehavior::Static,
    FallbackBehavior::CurrentReplicas,
    FallbackBehavior::CurrentReplicasIfHigher,
    FallbackBehavior::CurrentReplicasIfLower,
    FallbackBehavior::ScalingModifiers,
];

fn spec(value: serde_json::Value) -> ScaledObjectSpec {
    let mut spec = json!({
        "scaleTargetRef": { "name": "web" },
        "triggers": [{ "type": "prometheus", "name": "queue", "metadata": {} }],
    });
    for (key, value) in value.as_object().unwrap() {
        spec[key] = value.clone();
    }
    serde_json::from_value(spec).unwrap()
}

fn plan_of(behavior: FallbackBehavior, replicas: i32) -> Plan {
    Plan { threshold: 3, replicas, behavior }
}

fn aim(target: &str, target_type: TargetType) -> Aim {
    Aim { target: target.parse().unwrap(), target_type }
}

fn workload(replicas: i32, ready: i32) -> Workload {
    Workload { replicas: Ok(replicas), ready: Ok(ready) }
}

/// What an HPA makes of a value, from one replica on (`pkg/controller/podautoscaler/replica_calculator.go`).
fn autoscaled(value: &Quantity, aim: &Aim, ready: i32) -> i128 {
    let pods = if aim.target_type == TargetType::Value { i128::from(ready.max(1)) } else { 1 };
    let whole = value.milli() * pods;
    (whole + aim.target.milli() - 1) / aim.target.milli()
}

#[test]
fn specs_are_checked_in_upstreams_words() {
    assert_eq!(plan(&spec(json!({}))), Ok(None));
    let good = spec(json!({ "fallback": { "failureThreshold": 3, "replicas": 6 } }));
    assert_eq!(plan(&good), Ok(Some(plan_of(FallbackBehavior::Static, 6))));

    let text = |value| plan(&spec(value)).unwrap_err().to_string();
    for (threshold, replicas) in [(-1, 2), (2, -1)] {
        assert_eq!(
            text(json!({ "fallback": { "failureThreshold": threshold, "replicas": replicas } })),
            format!(
                "FailureThreshold={threshold} & Replicas={replicas} must both be greater than or equal to 0"
            )
        );
    }
    let fallback = json!({ "failureThreshold": 1, "replicas": 1 });
    let resources = json!([{ "type": "cpu", "metadata": {} }, { "type": "memory", "metadata": {} }]);
    assert_eq!(
        text(json!({ "fallback": fallback, "triggers": resources })),
        "at least one trigger (that is not cpu or memory) has to have the `AverageValue` type for the fallback to be enabled"
    );
    let by_formula = json!({ "failureThreshold": 1, "replicas": 1, "behavior": "scalingModifiers" });
    assert_eq!(
        text(json!({ "fallback": by_formula })),
        "scalingModifiers fallback behavior requires scalingModifiers.formula to be defined"
    );
    let with_formula = json!({ "fallback": by_formula, "advanced": { "scalingModifiers": { "formula": "queue", "target": "2.5" } } });
    assert_eq!(plan(&spec(with_formula)).unwrap().unwrap().behavior, FallbackBehavior::ScalingModifiers);
    let unknown = json!({ "fallback": { "failureThreshold": 1, "replicas": 2, "behavior": "guess" } });
    let unknown = plan(&spec(unknown)).unwrap().unwrap();
    let answer = unknown.answer(2, "down", &aim("5", TargetType::AverageValue), &Workload::default());
    assert!(matches!(answer, Answer::FallsBack { fallen, .. } if fallen.replicas == 2));
}

/// Issues 6053, 6659: the threshold is strict, counts polls, and each metric for itself.
#[test]
fn failures_count_once_a_poll_until_one_succeeds_6053_6659() {
    let plan = plan_of(FallbackBehavior::Static, 5);
    let mut health = Health::default();
    for poll in 1..=6 {
        health.count(&plan, [("s0-a", false), ("s1-b", true)]);
        assert_eq!(
            health.failures("s0-a"),
            poll.min(4),
            "the count ends where nothing depends on it any more"
        );
        assert_eq!(health.failures("s1-b"), 0);
        assert_eq!(health.is_past(&plan), poll > 3);
    }
    let status = health.status();
    assert_eq!(
        serde_json::to_value(&status).unwrap(),
        json!({ "s0-a": { "numberOfFailures": 4, "status": "Failing" }, "s1-b": { "numberOfFailures": 0, "status": "Happy" } })
    );
    assert_eq!(Health::of(Some(&status)), health, "a new process goes on where the old one was");
    health.count(&plan, [("s0-a", true)]);
    assert_eq!(health.failures("s0-a"), 0);
    assert_eq!(health.status().len(), 1, "a metric that is gone is forgotten");
    let at_once = Plan { threshold: 0, ..plan };
    health.count(&at_once, [("s0-a", false)]);
    assert!(health.is_past(&at_once), "a threshold of 0 bears none");
}

#[test]
fn before_the_threshold_an_error_is_an_error() {
    for behavior in BEHAVIORS {
        let plan = plan_of(behavior, 5);
        for failures in 0..=3 {
            let answer = plan.answer(failures, "down", &aim("10", TargetType::AverageValue), &workload(2, 2));
            assert_eq!(answer, Answer::Failed("down".to_owned()));
            assert_eq!(plan.needs(failures, &aim("10", TargetType::Value)), Needs::default());
        }
    }
}

#[test]
fn what_cannot_be_read_of_the_workload_is_an_error_too() {
    let unread = Workload { replicas: Err("forbidden".to_owned()), ready: Err("timeout".to_owned()) };
    let average = aim("10", TargetType::AverageValue);
    let text = |plan: Plan, aim: &Aim| match plan.answer(4, "down", aim, &unread) {
        Answer::Failed(text) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        text(plan_of(FallbackBehavior::CurrentReplicas, 5), &average),
        "down; no fallback, the target's replicas cannot be read: forbidden"
    );
    assert_eq!(
        text(plan_of(FallbackBehavior::Static, 5), &aim("10", TargetType::Value)),
        "down; error performing fallback: the ready pods cannot be counted: timeout"
    );
    // What is not needed may be unknown.
    let answer = plan_of(FallbackBehavior::Static, 5).answer(4, "down", &average, &unread);
    assert!(matches!(answer, Answer::FallsBack { .. }));
}

/// Upstream's rules (core.md 4.5), written down once more and independently: what stands in for a metric, or why nothing.
fn upstream(
    behavior: &FallbackBehavior,
    fallback: i32,
    current: i32,
    target: f64,
    value_type: bool,
    ready: i32,
) -> Option<i64> {
    let replicas = f64::from(match behavior {
        FallbackBehavior::CurrentReplicas => current,
        FallbackBehavior::CurrentReplicasIfHigher if current > fallback => current,
        FallbackBehavior::CurrentReplicasIfLower if current < fallback => current,
        FallbackBehavior::ScalingModifiers => return None,
        _ => fallback,
    });
    if value_type && ready == 0 {
        return None;
    }
    let replicas = if value_type { replicas / f64::from(ready) } else { replicas };
    Some((target * 1000.0 * replicas) as i64)
}

/// Every case is upstream's value, to a thousandth, except where upstream has none.
#[test]
fn values_are_upstreams() {
    for behavior in BEHAVIORS {
        for target in ["1", "2.5", "10", "0.1", "1k"] {
            for (fallback, current, ready) in
                (0..6).flat_map(|a| (0..8).flat_map(move |b| (0..8).map(move |c| (a, b, c))))
            {
                for target_type in [TargetType::AverageValue, TargetType::Value] {
                    let aim = aim(target, target_type);
                    let answer = plan_of(behavior.clone(), fallback).answer(
                        4,
                        "down",
                        &aim,
                        &workload(current, ready),
                    );
                    let theirs = upstream(
                        &behavior,
                        fallback,
                        current,
                        aim.target.as_f64(),
                        target_type == TargetType::Value,
                        ready,
                    );
                    match (&answer, theirs) {
                        (Answer::FallsBack { value, fallen }, Some(theirs)) => {
                            assert!((value.milli() - i128::from(theirs)).abs() <= 1, "{value} {theirs}");
                            let arrived = autoscaled(value, &aim, ready);
                            assert_eq!(arrived, i128::from(fallen.replicas), "{behavior} {aim:?} {ready}");
                        }
                        // Ours (docs/differences.md): also from zero.
                        (Answer::FallsBack { .. }, None) => {
                            assert_eq!((target_type, ready), (TargetType::Value, 0));
                        }
                        (Answer::Nil, None) => assert_eq!(behavior, FallbackBehavior::ScalingModifiers),
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
    }
}

/// The table of `docs/fallback.md`.
fn table() -> String {
    let mut table = String::from(
        "| behavior | metric type | replicas now | pods ready | value for the HPA | HPA scales to | trigger is |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for behavior in BEHAVIORS {
        let plan = plan_of(behavior.clone(), 5);
        for target_type in [TargetType::AverageValue, TargetType::Value] {
            for (current, ready) in [(0, 0), (2, 2), (2, 1), (8, 8)] {
                let aim = aim("10", target_type);
                let needs = plan.needs(4, &aim);
                let (row, told, arrived, state) =
                    match plan.answer(4, "down", &aim, &workload(current, ready)) {
                        Answer::FallsBack { value, fallen } => {
                            let state = if fallen.replicas > 0 { "active" } else { "not active" };
                            let arrived = if current == 0 && fallen.replicas == 0 {
                                "stays at 0".to_owned()
                            } else {
                                autoscaled(&value, &aim, ready).to_string()
                            };
                            (true, value.to_string(), arrived, state)
                        }
                        Answer::Nil => (
                            current == 2 && ready == 2,
                            "nil".to_owned(),
                            "as the formula says".to_owned(),
                            "as the formula says",
                        ),
                        other => panic!("{other:?}"),
                    };
                // A row for what does not depend on the pods would only repeat the one before.
                if row && (needs.ready || (current, ready) != (2, 1)) {
                    let _ = writeln!(
                        table,
                        "| `{behavior}` | {target_type} | {current} | {ready} | {told} | {arrived} | {state} |"
                    );
                }
            }
        }
    }
    table
}

#[test]
fn the_documentation_shows_this_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fallback.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) =
        ("<!-- the table: printed by a test of crates/core/src/fallback -->\n", "<!-- end of the table -->");
    let (before, rest) = text.split_once(begin).expect("the marks of the table");
    let (found, after) = rest.split_once(end).expect("the marks of the table");
    let wanted = table();
    if std::env::var_os("KEDA_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{wanted}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(found, wanted, "docs/fallback.md is stale, KEDA_BLESS=1 writes it anew");
}
