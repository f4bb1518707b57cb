#![expect(clippy::needless_pass_by_value, reason = "cases are written in place")]

use std::collections::BTreeSet;

use keda_api::{MultipleScalersCalculation as Calculation, ScaledJob, ScaledJobSpec, ScalingStrategy, keys};
use proptest::{prelude::*, strategy::Strategy as Generates};
use serde_json::json;

use super::{
    Bounds,
    census::{self, Census, Job, Phase, Pod},
    demand::{Demand, Metric, Queue, combine},
    job,
    strategy::{Strategy, plan},
    upkeep::{History, Rollout},
};

fn spec(json: serde_json::Value) -> ScaledJobSpec {
    let mut spec = json!({ "jobTargetRef": { "template": {} }, "triggers": [] });
    spec.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

const fn bounds(min: i64, max: i64) -> Bounds {
    Bounds { min, max }
}

fn queue(length: f64, target: f64) -> Queue {
    Queue { length, target, active: true }
}

#[test]
fn bounds_of_a_spec() {
    assert_eq!(Bounds::of(&spec(json!({}))), bounds(0, 100));
    assert_eq!(Bounds::of(&spec(json!({ "minReplicaCount": 2, "maxReplicaCount": 7 }))), bounds(2, 7));
    assert_eq!(Bounds::of(&spec(json!({ "minReplicaCount": 9, "maxReplicaCount": 7 }))), bounds(7, 7));
    // Upstream: 110 with the default (core.md §11.10).
    assert_eq!(Bounds::of(&spec(json!({ "minReplicaCount": 10 }))).above(), 90);
}

#[test]
fn a_trigger_with_several_metrics_is_one_queue() {
    let metric = |name, target, value, active| Metric { name, target, value, active };
    let metrics =
        [metric("s0-a", 2.0, 5.0, false), metric("s0-b", 4.0, 9.0, true), metric("s0-a", 3.0, 1.5, false)];
    assert_eq!(Queue::of(&metrics), Some(Queue { length: 6.5, target: 3.0, active: true }));
    assert_eq!(Queue::of(&[metric("s0-a", 1.0, -3.0, true)]).unwrap().length, 0.0);
    assert_eq!(Queue::of(&[metric("s0-a", 1.0, f64::NAN, true)]).unwrap().length, 0.0);
    assert_eq!(Queue::of(&[]), None);
}

#[test]
fn several_queues_become_one_demand() {
    let queues =
        [queue(10.0, 2.0), queue(4.0, 1.0), Queue { active: false, ..queue(1.0, 1.0) }, queue(0.0, 1.0)];
    let demand = |calculation| combine(&queues, &calculation, bounds(0, 100), true);
    let is = |length, jobs| Demand { active: true, length, jobs };
    assert_eq!(demand(Calculation::Max), is(10, 5));
    // The zero that comes last is the smallest; one that comes first would be replaced.
    assert_eq!(demand(Calculation::Min), is(0, 0));
    assert_eq!(demand(Calculation::Sum), is(14, 9));
    assert_eq!(demand(Calculation::Avg), is(5, 3));
    let zero_first = [queue(0.0, 1.0), queue(6.0, 2.0), queue(8.0, 1.0)];
    assert_eq!(combine(&zero_first, &Calculation::Min, bounds(0, 100), true), is(6, 3));
}

#[test]
fn an_active_queue_of_nothing_is_no_demand_with_max_only() {
    let nothing = [queue(0.0, 1.0)];
    let active = |calculation| combine(&nothing, &calculation, bounds(0, 10), true).active;
    assert!(!active(Calculation::Max), "core.md §11.20");
    assert!(active(Calculation::Min) && active(Calculation::Sum) && active(Calculation::Avg));
    assert!(combine(&[], &Calculation::Max, bounds(1, 10), true).active, "a minimum is always active");
}

#[test]
fn the_shortest_of_queues_is_not_known_while_one_cannot_be_read() {
    let known = [queue(50.0, 1.0)];
    assert_eq!(combine(&known, &Calculation::Min, bounds(0, 10), false), Demand::default());
    assert_eq!(combine(&known, &Calculation::Max, bounds(0, 10), false).jobs, 10);
}

#[test]
fn a_trigger_without_a_target_asks_for_no_jobs() {
    let demand = combine(&[queue(9.0, 0.0)], &Calculation::Max, bounds(0, 10), true);
    assert_eq!(demand, Demand { active: true, length: 9, jobs: 0 });
}

#[test]
fn strategies_by_their_numbers() {
    let start = |strategy, length: i64, target: f64, (running, pending), (min, max)| {
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let demand = combine(&[queue(length as f64, target)], &Calculation::Max, bounds(min, max), true);
        plan(strategy, demand, Census { running, pending }, bounds(min, max)).start
    };
    use Strategy::{Accurate, Custom, Default, Eager};
    // Queue 5, nobody there.
    assert_eq!(start(Default, 5, 1.0, (0, 0), (0, 10)), 5);
    assert_eq!(start(Default, 5, 1.0, (3, 0), (0, 10)), 2);
    assert_eq!(start(Default, 5, 2.0, (0, 0), (0, 10)), 3, "five messages, two a Job");
    assert_eq!(start(Default, 50, 1.0, (3, 0), (0, 10)), 7);
    // Of a fractional target more Jobs than messages would follow: never more than the queue is long.
    assert_eq!(start(Default, 2, 0.5, (0, 0), (0, 10)), 2);
    // The minimum first, then what goes beyond it.
    assert_eq!(start(Default, 0, 1.0, (0, 0), (2, 10)), 2);
    assert_eq!(start(Default, 5, 1.0, (1, 0), (2, 10)), 1);
    assert_eq!(start(Default, 5, 1.0, (2, 0), (2, 10)), 5);
    assert_eq!(start(Default, 50, 1.0, (2, 0), (2, 10)), 8);
    // A deduction and a share of those that run; upstream starts 8 where the maximum is 6 (core.md §12.16).
    let custom = Custom { deduction: 1, share: 0.5 };
    assert_eq!(start(custom, 10, 1.0, (4, 0), (0, 20)), 7);
    assert_eq!(start(custom, 100, 1.0, (4, 0), (0, 6)), 2);
    // The queue does not count what is worked on: those that wait for their pods are taken off.
    assert_eq!(start(Accurate, 5, 1.0, (5, 5), (0, 10)), 0, "slow starts are not started again");
    assert_eq!(start(Accurate, 5, 1.0, (5, 0), (0, 10)), 5);
    assert_eq!(start(Accurate, 5, 1.0, (5, 2), (0, 10)), 3);
    assert_eq!(start(Accurate, 9, 1.0, (5, 0), (0, 10)), 5, "up to the maximum");
    // As many as fit.
    assert_eq!(start(Eager, 3, 1.0, (0, 0), (0, 10)), 3);
    assert_eq!(start(Eager, 3, 1.0, (3, 0), (0, 10)), 3);
    assert_eq!(start(Eager, 3, 1.0, (6, 3), (0, 10)), 1);
}

#[test]
fn a_percentage_that_is_none_is_told_and_default_is_used() {
    let of = |json| Strategy::of(Some(&serde_json::from_value::<ScalingStrategy>(json).unwrap()));
    assert_eq!(of(json!({ "strategy": "eager" })), Ok(Strategy::Eager));
    assert_eq!(
        of(
            json!({ "strategy": "custom", "customScalingQueueLengthDeduction": 1, "customScalingRunningJobPercentage": "0.5" })
        ),
        Ok(Strategy::Custom { deduction: 1, share: 0.5 })
    );
    let error = of(json!({ "strategy": "custom", "customScalingRunningJobPercentage": "half" })).unwrap_err();
    assert!(error.contains("\"half\"") && error.contains("strategy default is used"), "{error}");
    assert!(of(json!({ "strategy": "custom", "customScalingRunningJobPercentage": "NaN" })).is_err());
}

fn pod(phase: &str, conditions: &[&str]) -> Pod {
    Pod { phase: phase.to_owned(), conditions: conditions.iter().map(|it| (*it).to_owned()).collect() }
}

fn a_job(name: &str, phase: Phase, second: i64, pods: Vec<Pod>) -> Job {
    let time = jiff::Timestamp::from_second(second).ok();
    Job { name: name.to_owned(), generation: Some(1), phase, time, leaving: false, pods }
}

#[test]
fn pending_are_those_without_a_pod_at_work() {
    let jobs = [
        a_job("new", Phase::Unfinished, 0, vec![]),
        a_job("pulling", Phase::Unfinished, 0, vec![pod("Pending", &["PodScheduled"])]),
        a_job(
            "running",
            Phase::Unfinished,
            0,
            vec![pod("Failed", &[]), pod("Running", &["Ready", "PodScheduled"])],
        ),
        a_job("done", Phase::Complete, 0, vec![pod("Succeeded", &[])]),
    ];
    let count = |conditions: &[&str]| {
        census::count(&jobs, &conditions.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(count(&[]), Census { running: 3, pending: 2 });
    assert_eq!(count(&["PodScheduled"]), Census { running: 3, pending: 1 });
    assert_eq!(count(&["Ready", "PodScheduled"]), Census { running: 3, pending: 2 });
    assert_eq!(count(&["Ready", "Ready"]).pending, 2, "said twice is said once");
    assert_eq!(count(&["Warm"]).pending, 3);
}

#[test]
fn history_goes_by_age_and_by_outcome() {
    let jobs = [
        a_job("c", Phase::Complete, 3, vec![]),
        a_job("a", Phase::Complete, 1, vec![]),
        a_job("b", Phase::Complete, 2, vec![]),
        a_job("f", Phase::Failed, 9, vec![]),
        a_job("r", Phase::Unfinished, 0, vec![]),
        Job { leaving: true, ..a_job("l", Phase::Complete, 0, vec![]) },
    ];
    let surplus = |complete, failed| -> Vec<&str> {
        History { complete, failed }.surplus(&jobs).into_iter().map(|job| job.name.as_str()).collect()
    };
    assert_eq!(surplus(1, 1), ["a", "b"]);
    assert_eq!(surplus(0, 0), ["a", "b", "c", "f"]);
    assert_eq!(surplus(100, 100), Vec::<&str>::new());
    assert_eq!(
        History::of(&spec(json!({ "failedJobsHistoryLimit": 0 }))),
        History { complete: 100, failed: 0 }
    );
}

#[test]
fn rollout_by_either_field() {
    let of = |json| Rollout::of(&spec(json));
    assert_eq!(of(json!({})), Rollout::Immediate { foreground: false });
    assert_eq!(of(json!({ "rollout": { "strategy": "gradual" } })), Rollout::Gradual);
    assert_eq!(
        of(json!({ "rolloutStrategy": "gradual", "rollout": { "strategy": "immediate" } })),
        Rollout::Gradual
    );
    assert_eq!(of(json!({ "rolloutStrategy": "", "rollout": { "strategy": "gradual" } })), Rollout::Gradual);
    let foreground = json!({ "rollout": { "propagationPolicy": "foreground" } });
    assert_eq!(of(foreground.clone()), Rollout::Immediate { foreground: true });
    let jobs = [
        a_job("current", Phase::Unfinished, 0, vec![]),
        Job { generation: Some(2), ..a_job("old", Phase::Unfinished, 0, vec![]) },
        Job { generation: None, ..a_job("unknown", Phase::Complete, 0, vec![]) },
    ];
    let names: Vec<&str> =
        of(foreground).outdated(&jobs, Some(1)).into_iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["old", "unknown"]);
    assert!(Rollout::Gradual.outdated(&jobs, Some(1)).is_empty());
}

#[test]
fn the_job_is_the_users_with_our_marks() {
    let object: ScaledJob = serde_json::from_value(json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob",
        "metadata": {
            "name": "work", "namespace": "shop", "uid": "u-1", "generation": 3,
            "labels": { "team": "blue", "secret": "x", keys::SCALED_JOB_NAME: "stolen" },
            "annotations": { "note": "n", keys::JOB_EXCLUDED_LABELS: "secret, other", keys::SCALED_JOB_GENERATION: "9" },
        },
        "spec": {
            "jobTargetRef": {
                "parallelism": 1, "backoffLimit": 4,
                "template": {
                    "metadata": { "labels": { "app": "w" } },
                    "spec": { "containers": [{ "name": "w", "image": "w", "fromTheFuture": true }] },
                },
            },
            "triggers": [],
        },
    }))
    .unwrap();
    let made = job::desired(&object, "1.2.3").unwrap();
    assert_eq!(
        made,
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "namespace": "shop", "generateName": "work-",
                "labels": {
                    "app.kubernetes.io/name": "work", "app.kubernetes.io/part-of": "work",
                    "app.kubernetes.io/version": "1.2.3", "app.kubernetes.io/managed-by": "keda-operator",
                    "scaledjob.keda.sh/name": "work", "team": "blue",
                },
                "annotations": {
                    "note": "n", "scaledjob.keda.sh/job-excluded-labels": "secret, other",
                    "scaledjob.keda.sh/generation": "3",
                },
                "ownerReferences": [{
                    "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "name": "work", "uid": "u-1",
                    "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "spec": {
                "parallelism": 1, "backoffLimit": 4,
                "template": {
                    "metadata": { "generateName": "work-", "labels": { "app": "w", "scaledjob.keda.sh/name": "work" } },
                    "spec": {
                        "restartPolicy": "OnFailure",
                        "containers": [{ "name": "w", "image": "w", "fromTheFuture": true }],
                    },
                },
            },
        })
    );
}

#[test]
fn a_template_that_is_none_is_refused_by_its_path() {
    for (template, path) in [
        (json!({ "spec": [] }), "spec.jobTargetRef.template.spec"),
        (json!({ "metadata": "m" }), "spec.jobTargetRef.template.metadata"),
        (json!({ "metadata": { "labels": 1 } }), "spec.jobTargetRef.template.metadata.labels"),
    ] {
        let mut object = ScaledJob::new("work", spec(json!({ "jobTargetRef": { "template": template } })));
        object.metadata.namespace = Some("shop".to_owned());
        object.metadata.uid = Some("u".to_owned());
        let error = job::desired(&object, "1").unwrap_err();
        assert_eq!(error, format!("{path} is not an object"));
    }
}

#[test]
fn names_fit_and_differ() {
    let long = job::name(&"x".repeat(70), 12_345);
    assert_eq!(long.len(), 63);
    let names: BTreeSet<String> = (0..1000).map(|number| job::name("work", number)).collect();
    assert_eq!(names.len(), 1000);
    assert!(names.iter().all(|name| name.len() == 10 && name.starts_with("work-")));
}

fn any_strategy() -> impl Generates<Value = Strategy> {
    prop_oneof![
        Just(Strategy::Default),
        Just(Strategy::Accurate),
        Just(Strategy::Eager),
        (-5_i64..50, -1.0..3.0).prop_map(|(deduction, share)| Strategy::Custom { deduction, share }),
    ]
}

fn any_calculation() -> impl Generates<Value = Calculation> {
    prop_oneof![
        Just(Calculation::Min),
        Just(Calculation::Max),
        Just(Calculation::Avg),
        Just(Calculation::Sum)
    ]
}

proptest! {
    /// Whatever the queues say and however slow pods are, the maximum holds, the minimum is filled, and without demand
    /// nothing starts.
    #[test]
    fn the_bounds_hold(
        strategy in any_strategy(),
        calculation in any_calculation(),
        lengths in prop::collection::vec((0.0..1e9_f64, 0.0..20.0_f64, any::<bool>()), 0..4),
        (min, max) in (0_i64..20, 1_i64..20),
        running in 0_i64..40,
        pending in 0_i64..40,
        complete in any::<bool>(),
    ) {
        let bounds = bounds(min.min(max), max);
        let census = Census { running, pending: pending.min(running) };
        let queues: Vec<Queue> = lengths.iter().map(|&(length, target, active)| Queue { length, target, active }).collect();
        let demand = combine(&queues, &calculation, bounds, complete);
        let plan = plan(strategy, demand, census, bounds);
        prop_assert!(plan.start >= 0);
        prop_assert!(plan.start == 0 || running + plan.start <= bounds.max);
        if running < bounds.min {
            prop_assert_eq!(plan.start, bounds.min - running);
        } else if !queues.iter().any(|queue| queue.active) {
            prop_assert_eq!(plan.start, 0);
        }
    }

    /// What was started for a demand is not started again while its pods have not come up: the Jobs of one poll are
    /// running and pending at the next, and the same demand then asks for nothing (issues 6157, 5537, 7329, 7016, 2488).
    #[test]
    fn a_demand_is_met_once_6157(
        strategy in prop_oneof![Just(Strategy::Default), Just(Strategy::Accurate)],
        length in 0_u32..200,
        max in 1_i64..50,
        polls in 1_usize..10,
    ) {
        let bounds = bounds(0, max);
        let demand = combine(&[queue(f64::from(length), 1.0)], &Calculation::Max, bounds, true);
        let mut census = Census::default();
        for _ in 0..polls {
            let start = plan(strategy, demand, census, bounds).start;
            census = Census { running: census.running + start, pending: census.pending + start };
        }
        prop_assert_eq!(census.running, i64::from(length).min(max));
    }
}
