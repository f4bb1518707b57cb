use super::*;

fn reading(name: &str, value: f64, active: bool) -> MetricReading {
    MetricReading { name: name.to_owned(), value, active, target: None, fallback: None }
}

fn outcome(index: usize, result: TriggerResult) -> TriggerOutcome {
    TriggerOutcome { index, trigger: format!("t{index}"), result }
}

fn sampled(index: usize, value: f64, active: bool) -> TriggerOutcome {
    outcome(index, TriggerResult::Sampled(vec![reading(&format!("s{index}-m"), value, active)]))
}

fn failed(index: usize) -> TriggerOutcome {
    outcome(index, TriggerResult::Failed("connection refused".to_owned()))
}

#[test]
fn one_active_trigger_is_enough() {
    let activity = of(&[sampled(0, 0.0, false), sampled(1, 12.0, true), sampled(2, 3.0, true)]);
    assert!(activity.active && !activity.error && activity.complete);
    assert_eq!(activity.active_metrics, ["s1-m", "s2-m"]);
    assert_eq!(activity.readings.len(), 3);
}

#[test]
fn inactive_needs_every_trigger_to_say_so() {
    let activity = of(&[sampled(0, 0.0, false), sampled(1, 1.0, false)]);
    assert_eq!((activity.active, activity.error, activity.complete), (false, false, true));
}

#[test]
fn a_failed_trigger_is_an_error_and_never_inactive() {
    let activity = of(&[sampled(0, 0.0, false), failed(1)]);
    assert!(!activity.active && activity.error);
    assert_eq!(activity.errors, ["t1: connection refused"]);

    let beside_an_active_one = of(&[failed(0), sampled(1, 9.0, true)]);
    assert!(beside_an_active_one.active && beside_an_active_one.error);
}

#[test]
fn nothing_read_yet_is_neither_active_nor_inactive() {
    assert!(!of(&[]).complete);
    assert!(!Activity::default().complete);
    let half = of(&[sampled(0, 0.0, false), outcome(1, TriggerResult::Pending)]);
    assert_eq!((half.active, half.error, half.complete), (false, false, false));
    let awake = of(&[outcome(0, TriggerResult::Pending), sampled(1, 7.0, true)]);
    assert!(awake.active && !awake.complete);
}

#[test]
fn the_last_metric_that_was_read_decides_for_its_trigger() {
    let metrics = vec![reading("s0-a", 9.0, true), reading("s0-b", 0.0, false)];
    assert!(!of(&[outcome(0, TriggerResult::Sampled(metrics.clone()))]).active);

    let reversed: Vec<_> = metrics.iter().rev().cloned().collect();
    let activity = of(&[outcome(0, TriggerResult::Sampled(reversed))]);
    assert_eq!(activity.active_metrics, ["s0-b", "s0-a"], "an active trigger counts with all its metrics");

    let partial =
        TriggerResult::Partial { readings: metrics[..1].to_vec(), errors: vec!["timeout".to_owned()] };
    let activity = of(&[outcome(0, partial)]);
    assert!(activity.active && activity.error);
}

#[test]
fn no_metric_and_no_number_are_failures() {
    let empty = of(&[outcome(0, TriggerResult::Sampled(vec![]))]);
    assert!(empty.error && empty.complete);
    let nan = of(&[sampled(0, f64::NAN, false)]);
    assert!(nan.error && !nan.active && nan.readings.is_empty());
    assert_eq!(nan.errors, ["t0: metric s0-m is not a number"]);
}

#[test]
fn activity_is_told_by_external_metric() {
    let names = ["s0-m".to_owned(), "s1-m".to_owned()];
    let told = by_metric(&names, &of(&[sampled(0, 1.0, true), sampled(1, 0.0, false)]));
    assert_eq!(told["s0-m"], TriggerActivity { is_active: true });
    assert_eq!(told["s1-m"], TriggerActivity { is_active: false });
    assert_eq!(told.len(), 2);
}

#[test]
fn resources_keep_an_object_awake_only_where_there_is_nothing_else() {
    let cpu = outcome(0, TriggerResult::ReadByHpa(vec!["cpu".to_owned()]));
    let memory = outcome(1, TriggerResult::ReadByHpa(vec!["memory".to_owned()]));
    let alone = of(&[cpu.clone(), memory]);
    assert_eq!((alone.active, alone.error, alone.complete), (true, false, true));
    assert_eq!(alone.active_metrics, ["cpu", "memory"]);

    let beside_an_idle_one = of(&[cpu.clone(), sampled(1, 0.0, false)]);
    assert_eq!((beside_an_idle_one.active, beside_an_idle_one.complete), (false, true));
    let beside_a_failing_one = of(&[cpu.clone(), failed(1)]);
    assert_eq!((beside_a_failing_one.active, beside_a_failing_one.error), (false, true));
    let beside_an_active_one = of(&[cpu.clone(), sampled(1, 9.0, true)]);
    assert_eq!(beside_an_active_one.active_metrics, ["s1-m"]);
    let beside_one_not_read = of(&[cpu, outcome(1, TriggerResult::Pending)]);
    assert_eq!((beside_one_not_read.active, beside_one_not_read.complete), (false, false));
}
