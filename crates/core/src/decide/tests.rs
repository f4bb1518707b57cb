//! One test a row of the table, named by it, then the edges between rows.

use super::*;
use crate::activity::MetricReading;
use keda_api::{Condition, ConditionStatus};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

fn reading(value: f64, active: bool) -> MetricReading {
    MetricReading {
        name: "s0-prometheus".to_owned(),
        value,
        active,
        target: Some(crate::metric::integer(5)),
        fallback: None,
    }
}

fn quiet() -> Activity {
    Activity { complete: true, readings: vec![reading(0.0, false)], ..Activity::default() }
}

fn busy() -> Activity {
    Activity {
        active: true,
        complete: true,
        active_metrics: vec!["s0-prometheus".to_owned()],
        readings: vec![reading(12.0, true)],
        ..Activity::default()
    }
}

fn failing(activity: Activity) -> Activity {
    Activity { error: true, errors: vec!["queue: connection refused".to_owned()], ..activity }
}

/// An hour after creation, never active, two replicas, 0..10, cooldown 300 s.
fn situation(activity: Activity) -> Situation<'static> {
    Situation {
        now: at(3600),
        created: at(0),
        last_active: None,
        current: Ok(2),
        bounds: Bounds { min: 0, max: 10, idle: None },
        cooldown: SignedDuration::from_secs(300),
        initial_cooldown: SignedDuration::ZERO,
        annotations: Annotations::default(),
        activity,
        fallback: None,
    }
}

fn with_idle(current: i32, idle: i32, activity: Activity) -> Situation<'static> {
    Situation {
        current: Ok(current),
        bounds: Bounds { min: 3, max: 10, idle: Some(idle) },
        ..situation(activity)
    }
}

fn said(condition: &Option<Condition>) -> (ConditionStatus, &str) {
    let condition = condition.as_ref().unwrap();
    (condition.status, condition.reason.as_deref().unwrap())
}

fn paused(annotation: &str) -> Annotations {
    Annotations::parse(Some(&[(annotation.to_owned(), "true".to_owned())].into())).unwrap()
}

const READY: (ConditionStatus, &str) = (ConditionStatus::True, "ScaledObjectReady");
const ACTIVE: (ConditionStatus, &str) = (ConditionStatus::True, "ScalerActive");
const NOT_ACTIVE: (ConditionStatus, &str) = (ConditionStatus::False, "ScalerNotActive");
const COOLDOWN: (ConditionStatus, &str) = (ConditionStatus::False, "ScalerCooldown");

#[test]
fn row_0_replicas_unreadable() {
    let decision =
        decide(&Situation { current: Err("deployments.apps \"web\" not found".into()), ..situation(busy()) });
    assert_eq!((decision.action, decision.why), (Action::Stay, Why::ReplicasUnreadable));
    assert_eq!(said(&decision.ready), (ConditionStatus::False, "ErrorGettingCurrentReplicas"));
    assert_eq!((decision.active, decision.last_active), (None, None));
}

#[test]
fn row_1_paused() {
    for activity in [busy(), quiet(), failing(quiet())] {
        let decision =
            decide(&Situation { annotations: paused(keda_api::keys::PAUSED), ..situation(activity) });
        assert_eq!((decision.action, decision.why), (Action::Stay, Why::Paused));
        assert_eq!(said(&decision.paused), (ConditionStatus::True, "ScaledObjectPaused"));
        assert_eq!(said(&decision.ready), READY);
        assert_eq!(decision.active, None, "activity keeps its last value during a pause");
    }
}

#[test]
fn row_2_activation_from_zero() {
    for (min, to) in [(0, 1), (1, 1), (4, 4)] {
        let bounds = Bounds { min, max: 10, idle: None };
        let decision = decide(&Situation { current: Ok(0), bounds, ..situation(busy()) });
        assert_eq!((decision.action, decision.why), (Action::Activate { from: 0, to }, Why::Activation));
        assert_eq!((said(&decision.active), said(&decision.ready)), (ACTIVE, READY));
        assert_eq!(decision.last_active, Some(at(3600)));
        assert_eq!(decision.triggered_by, ["s0-prometheus"]);
        assert_eq!(decision.hpa, HpaRange::Follow);
    }
}

#[test]
fn row_2_activation_from_idle() {
    let decision = decide(&with_idle(1, 1, busy()));
    assert_eq!((decision.action, decision.hpa), (Action::Activate { from: 1, to: 3 }, HpaRange::Follow));
}

#[test]
fn row_2_activation_even_though_a_trigger_fails() {
    let decision = decide(&Situation { current: Ok(0), ..situation(failing(busy())) });
    assert_eq!((decision.action, decision.why), (Action::Activate { from: 0, to: 1 }, Why::Activation));
    assert_eq!(said(&decision.ready), READY);
}

#[test]
fn row_2_forced_activation() {
    for activity in [quiet(), failing(quiet()), Activity::default()] {
        let annotations = paused(keda_api::keys::FORCE_ACTIVATION);
        let decision = decide(&Situation { current: Ok(0), annotations, ..situation(activity) });
        assert_eq!(decision.action, Action::Activate { from: 0, to: 1 });
        assert!(decision.forced && decision.triggered_by.is_empty());
        assert_eq!(
            decision.active.unwrap().message.as_deref(),
            Some("Scaling is performed because activation is being forced by annotation")
        );
    }
}

#[test]
fn row_2_scale_out_paused() {
    let annotations = paused(keda_api::keys::PAUSED_SCALE_OUT);
    let decision = decide(&Situation { current: Ok(0), annotations, ..situation(busy()) });
    assert_eq!((decision.action, decision.why), (Action::Stay, Why::ScaleOutPaused));
    assert_eq!((said(&decision.active), decision.last_active), (ACTIVE, None));

    let idling = decide(&Situation { annotations, ..with_idle(2, 1, busy()) });
    assert_eq!(
        (idling.action, idling.hpa),
        (Action::Stay, HpaRange::Hold(2)),
        "the HPA would lift it to three"
    );
}

#[test]
fn row_3_partial_error() {
    let decision = decide(&situation(failing(busy())));
    assert_eq!((decision.action, decision.why), (Action::Stay, Why::PartialError));
    assert_eq!(said(&decision.ready), (ConditionStatus::Unknown, "PartialTriggerError"));
    assert_eq!((said(&decision.active), decision.last_active), (ACTIVE, None));
}

#[test]
fn row_4_active() {
    let decision = decide(&situation(busy()));
    assert_eq!((decision.action, decision.why), (Action::Stay, Why::Active));
    assert_eq!((said(&decision.active), said(&decision.ready)), (ACTIVE, READY));
    assert_eq!((decision.last_active, decision.hpa), (Some(at(3600)), HpaRange::Follow));
}

#[test]
fn nothing_read_yet_decides_nothing() {
    let half = Activity { complete: false, ..quiet() };
    for (current, activity) in [(0, Activity::default()), (2, Activity::default()), (2, half)] {
        let decision = decide(&Situation { current: Ok(current), ..situation(activity) });
        assert_eq!((decision.action, decision.why), (Action::Stay, Why::NoReading));
        assert_eq!((decision.ready, decision.active, decision.hpa), (None, None, HpaRange::Keep));
    }
}

#[test]
fn row_5_failing_with_fallback() {
    for replicas in [0, 4] {
        let fallback = Plan { threshold: 3, replicas, behavior: keda_api::FallbackBehavior::Static };
        for (current, min) in [(2, 0), (0, 0), (1, 3)] {
            let bounds = Bounds { min, max: 10, idle: None };
            let decision = decide(&Situation {
                current: Ok(current),
                bounds,
                fallback: Some(&fallback),
                ..situation(failing(quiet()))
            });
            assert_eq!((decision.action, decision.why), (Action::Stay, Why::FailingWithFallback));
            assert_eq!(said(&decision.active), NOT_ACTIVE);
            assert_eq!(said(&decision.ready), (ConditionStatus::False, "TriggerError"));
        }
    }
}

#[test]
fn row_6_failing() {
    for (current, min, idle) in [(2, 0, None), (0, 0, None), (1, 3, None), (5, 3, Some(1))] {
        let bounds = Bounds { min, max: 10, idle };
        let decision = decide(&Situation { current: Ok(current), bounds, ..situation(failing(quiet())) });
        assert_eq!((decision.action, decision.why), (Action::Stay, Why::Failing));
        assert_eq!(said(&decision.ready), (ConditionStatus::False, "TriggerError"));
        let ready = decision.ready.and_then(|condition| condition.message).unwrap();
        assert!(ready.starts_with("Triggers defined in ScaledObject are not working correctly: "), "{ready}");
        assert_eq!((said(&decision.active), decision.hpa), (NOT_ACTIVE, HpaRange::Keep));
    }
}

#[test]
fn row_7_deactivation_to_zero() {
    let decision = decide(&Situation { last_active: Some(at(3299)), ..situation(quiet()) });
    assert_eq!((decision.action, decision.why), (Action::Deactivate { from: 2, to: 0 }, Why::Deactivation));
    assert_eq!((said(&decision.active), said(&decision.ready)), (NOT_ACTIVE, READY));
    assert_eq!((decision.last_active, decision.hpa), (None, HpaRange::Follow));
}

#[test]
fn row_7_deactivation_to_idle() {
    let decision = decide(&with_idle(5, 1, quiet()));
    assert_eq!((decision.action, decision.hpa), (Action::Deactivate { from: 5, to: 1 }, HpaRange::Hold(1)));
    let decision = decide(&with_idle(3, 0, quiet()));
    assert_eq!((decision.action, decision.hpa), (Action::Deactivate { from: 3, to: 0 }, HpaRange::Follow));
}

#[test]
fn row_7_with_an_explicit_minimum_of_zero_and_idle_zero() {
    let bounds = Bounds { min: 0, max: 10, idle: Some(0) };
    let decision = decide(&Situation { bounds, ..situation(quiet()) });
    assert_eq!(decision.action, Action::Deactivate { from: 2, to: 0 });
    let resting = decide(&Situation { bounds, current: Ok(0), ..situation(quiet()) });
    assert_eq!((resting.action, resting.why), (Action::Stay, Why::Inactive));
}

#[test]
fn row_7_scale_in_paused() {
    let annotations = paused(keda_api::keys::PAUSED_SCALE_IN);
    for last_active in [None, Some(at(0)), Some(at(3599))] {
        let decision = decide(&Situation { annotations, last_active, ..situation(quiet()) });
        assert_eq!((decision.action, decision.why), (Action::Stay, Why::ScaleInPaused));
        assert_eq!(said(&decision.active), NOT_ACTIVE);
    }
}

#[test]
fn row_7_cooldown() {
    for last_active in [3300, 3599, 3600, 9999] {
        let decision = decide(&Situation { last_active: Some(at(last_active)), ..situation(quiet()) });
        assert_eq!((decision.action, decision.why), (Action::Stay, Why::Cooldown), "{last_active}");
        assert_eq!((said(&decision.active), said(&decision.ready)), (COOLDOWN, READY));
    }
}

#[test]
fn row_7_initial_cooldown() {
    let initial_cooldown = SignedDuration::from_secs(3600);
    let waiting = Situation { initial_cooldown, ..situation(quiet()) };
    let decision = decide(&waiting);
    assert_eq!((decision.action, decision.why), (Action::Stay, Why::InitialCooldown));
    assert_eq!(said(&decision.active), COOLDOWN);

    let decision = decide(&Situation { now: at(3601), ..waiting.clone() });
    assert_eq!(decision.action, Action::Deactivate { from: 2, to: 0 });
    // Once anything was active, only the cooldown counts.
    let decision = decide(&Situation { last_active: Some(at(3000)), ..waiting });
    assert_eq!(decision.action, Action::Deactivate { from: 2, to: 0 });
}

#[test]
fn row_7_without_any_activity_there_is_no_cooldown() {
    let decision = decide(&Situation { now: at(1), ..situation(quiet()) });
    assert_eq!(decision.action, Action::Deactivate { from: 2, to: 0 });
}

#[test]
fn row_8_below_the_minimum() {
    let bounds = Bounds { min: 3, max: 10, idle: None };
    for current in [0, 2] {
        for annotations in [Annotations::default(), paused(keda_api::keys::PAUSED_SCALE_OUT)] {
            let decision =
                decide(&Situation { current: Ok(current), bounds, annotations, ..situation(quiet()) });
            assert_eq!(decision.action, Action::ToMinimum { from: current, to: 3 });
            assert_eq!((decision.why, said(&decision.active)), (Why::BelowMinimum, NOT_ACTIVE));
        }
    }
}

#[test]
fn row_9_nothing_to_do() {
    let min_three = Bounds { min: 3, max: 10, idle: None };
    for (current, bounds) in [(0, situation(quiet()).bounds), (3, min_three), (7, min_three)] {
        let decision = decide(&Situation { current: Ok(current), bounds, ..situation(quiet()) });
        assert_eq!((decision.action, decision.why), (Action::Stay, Why::Inactive));
        assert_eq!((said(&decision.active), decision.hpa), (NOT_ACTIVE, HpaRange::Follow));
    }
}

#[test]
fn row_9_resting_at_idle_holds_the_hpa_there() {
    for current in [0, 1] {
        let decision = decide(&with_idle(current, 1, quiet()));
        assert_eq!((decision.action, decision.hpa), (Action::Stay, HpaRange::Hold(1)));
    }
    assert_eq!(decide(&with_idle(1, 1, failing(quiet()))).hpa, HpaRange::Keep);
    assert_eq!(decide(&with_idle(1, 1, Activity::default())).hpa, HpaRange::Keep);
}

#[test]
fn times_have_upstreams_defaults() {
    let defaults = periods(&ScaledObjectSpec::default());
    assert_eq!(defaults.polling.as_secs(), 30);
    assert_eq!(defaults.cooldown.as_secs(), 300);
    assert_eq!(defaults.initial_cooldown.as_secs(), 0);
    let spec = ScaledObjectSpec {
        polling_interval: Some(5),
        cooldown_period: Some(0),
        initial_cooldown_period: Some(60),
        ..ScaledObjectSpec::default()
    };
    let given = periods(&spec);
    assert_eq!(
        (given.polling.as_secs(), given.cooldown.as_secs(), given.initial_cooldown.as_secs()),
        (5, 0, 60)
    );
}

#[test]
fn a_decision_prints_as_one_line() {
    let print = |situation: &Situation<'_>| decide(situation).to_string();
    let with = |current, activity| Situation { current: Ok(current), ..situation(activity) };

    assert_eq!(print(&with(0, busy())), "0 -> 1 activate: s0-prometheus is active (value 12, target 5)");
    assert_eq!(print(&with(2, busy())), "2 stay: s0-prometheus is active (value 12, target 5)");
    assert_eq!(
        print(&Situation { last_active: Some(at(3280)), ..with(2, quiet()) }),
        "2 -> 0 deactivate: s0-prometheus is not active (value 0, target 5), last active 320 s ago (cooldown 300 s)"
    );
    assert_eq!(
        print(&Situation { last_active: Some(at(3580)), ..with(2, quiet()) }),
        "2 stay: cooling down, s0-prometheus is not active (value 0, target 5), last active 20 s ago (cooldown 300 s)"
    );
    assert_eq!(print(&with(2, failing(quiet()))), "2 stay: a trigger fails: queue: connection refused");
    assert_eq!(print(&with(2, Activity::default())), "2 stay: not every trigger has been read yet");
    assert_eq!(
        print(&Situation { annotations: paused(keda_api::keys::FORCE_ACTIVATION), ..with(0, quiet()) }),
        "0 -> 1 activate: activation is forced by annotation"
    );
    assert_eq!(
        print(&Situation { current: Err("not\nfound".into()), ..situation(quiet()) }),
        "? stay: the target's replicas cannot be read: not found"
    );
}

#[test]
fn a_decision_is_plain_data() {
    let decision = decide(&Situation { current: Ok(0), ..situation(busy()) });
    let json = serde_json::to_value(&decision).unwrap();
    assert_eq!(json["action"], serde_json::json!({ "activate": { "from": 0, "to": 1 } }));
    assert_eq!(json["why"], "activation");
    assert_eq!(json["triggered_by"], serde_json::json!(["s0-prometheus"]));
    assert_eq!(json["readings"][0]["target"], "5");
    assert_eq!(json["hpa"], "follow");
    assert_eq!(json["at"], "2026-09-21T15:13:20Z");
}

#[test]
fn from_zero_the_maximum_is_not_asked() {
    // The HPA, which follows, has it. Upstream does the same.
    let bounds = Bounds { min: 0, max: 0, idle: None };
    let decision = decide(&Situation { current: Ok(0), bounds, ..situation(busy()) });
    assert_eq!(decision.action, Action::Activate { from: 0, to: 1 });
    let many = Activity { readings: vec![reading(1000.0, true)], ..busy() };
    let decision = decide(&Situation { current: Ok(0), ..situation(many) });
    assert_eq!(decision.action, Action::Activate { from: 0, to: 1 }, "however much there is to do");
}
