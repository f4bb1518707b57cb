use jiff::{SignedDuration, Timestamp};
use keda_api::FallbackBehavior;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::activity::{Activity, MetricReading, TriggerOutcome, TriggerResult, of};
use crate::bounds::Bounds;
use crate::decide::{HpaRange, Why, decide};
use crate::fallback::{Cause, FallenBack, Plan};
use crate::pause::Annotations;

/// Bounds as [`Bounds::of`] lets them through.
fn bounds() -> impl Strategy<Value = Bounds> {
    let min = option::of(0i32..6);
    (min, 1i32..12, option::of(0i32..6)).prop_filter_map(
        "bounds that the check refuses",
        |(min, max, idle)| {
            let spec = keda_api::ScaledObjectSpec {
                min_replica_count: min,
                max_replica_count: Some(max),
                idle_replica_count: idle,
                ..keda_api::ScaledObjectSpec::default()
            };
            Bounds::of(&spec).ok()
        },
    )
}

fn annotations() -> impl Strategy<Value = Annotations> {
    let rarely = || proptest::bool::weighted(0.15);
    (rarely(), option::weighted(0.05, 0i32..5), rarely(), rarely(), rarely()).prop_map(
        |(full, paused_replicas, scale_in, scale_out, force_activation)| Annotations {
            full: full || paused_replicas.is_some(),
            paused_replicas,
            scale_in,
            scale_out,
            force_activation,
        },
    )
}

fn outcome(index: usize) -> impl Strategy<Value = TriggerOutcome> {
    let value = prop_oneof![8 => 0f64..50.0, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)];
    let reading = (value, any::<bool>()).prop_map(move |(value, active)| MetricReading {
        name: format!("s{index}-m"),
        value,
        active: active && !value.is_nan(),
        target: None,
        fallback: None,
    });
    let fallen = (0..5i32, any::<bool>()).prop_map(move |(replicas, by_formula)| MetricReading {
        name: format!("s{index}-m"),
        value: f64::from(replicas * 5),
        active: replicas > 0,
        target: None,
        fallback: Some(FallenBack {
            replicas,
            cause: match by_formula {
                true => Cause::NilFormula,
                false => Cause::Failures { failures: 4, threshold: 3 },
            },
        }),
    });
    let result = prop_oneof![
        8 => reading.clone().prop_map(|reading| TriggerResult::Sampled(vec![reading])),
        2 => fallen.prop_map(|reading| TriggerResult::Sampled(vec![reading])),
        1 => reading.prop_map(|reading| TriggerResult::Partial {
            readings: vec![reading],
            errors: vec!["timeout".to_owned()],
        }),
        1 => Just(TriggerResult::Failed("connection refused".to_owned())),
        1 => Just(TriggerResult::Pending),
    ];
    result.prop_map(move |result| TriggerOutcome { index, trigger: format!("t{index}"), result })
}

fn outcomes() -> impl Strategy<Value = Vec<TriggerOutcome>> {
    (outcome(0), outcome(1), outcome(2), 0usize..4).prop_map(|(a, b, c, count)| {
        let mut all = vec![a, b, c];
        all.truncate(count);
        all
    })
}

static FALLBACK: Plan = Plan { threshold: 3, replicas: 0, behavior: FallbackBehavior::Static };

fn situation() -> impl Strategy<Value = Situation<'static>> {
    let seconds = |range: std::ops::Range<i64>| range.prop_map(SignedDuration::from_secs);
    (
        (bounds(), annotations(), outcomes(), any::<bool>()),
        (0i64..1000, option::of(0i64..1000), 0i64..1000),
        (seconds(0..400), seconds(0..400)),
        prop_oneof![12 => (0i32..14).prop_map(Ok), 1 => Just(Err("not found".to_owned()))],
    )
        .prop_map(
            |(
                (bounds, annotations, outcomes, fallback),
                (created, last, now),
                (cooldown, initial),
                current,
            )| {
                let at = |second: i64| Timestamp::from_second(1_790_000_000 + second).unwrap();
                Situation {
                    now: at(now),
                    created: at(created),
                    last_active: last.map(at),
                    current,
                    bounds,
                    cooldown,
                    initial_cooldown: initial,
                    annotations,
                    activity: of(&outcomes),
                    fallback: fallback.then_some(&FALLBACK),
                }
            },
        )
}

/// What Kubernetes does with a decision, before the next poll.
fn replicas_after(decision: &Decision) -> Option<i32> {
    decision.action.change().map(|(_, to)| to).or(decision.replicas)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_promise_holds(situation in situation()) {
        let decision = decide(&situation);
        prop_assert_eq!(all(&situation, &decision), Ok(()));
    }

    #[test]
    fn the_same_situation_gives_the_same_decision(situation in situation()) {
        prop_assert_eq!(decide(&situation), decide(&situation.clone()));
    }

    #[test]
    fn a_decision_that_was_carried_out_is_not_repeated(situation in situation()) {
        let decision = decide(&situation);
        let Some((_, to)) = decision.action.change() else { return Ok(()) };
        let after = Situation {
            current: Ok(to),
            last_active: decision.last_active.or(situation.last_active),
            ..situation
        };
        let next = decide(&after);
        prop_assert_eq!(next.action, Action::Stay, "{} then {}", decision, next);
    }

    #[test]
    fn an_object_at_idle_rests_there_with_its_hpa(situation in situation()) {
        let decision = decide(&situation);
        let Some(idle) = situation.bounds.idle.filter(|idle| *idle > 0) else { return Ok(()) };
        if matches!(decision.why, Why::Deactivation | Why::Inactive) {
            prop_assert_eq!(decision.hpa, HpaRange::Hold(idle));
        }
        if let HpaRange::Hold(replicas) = decision.hpa {
            prop_assert!(replicas < situation.bounds.hpa_min());
        }
    }

    #[test]
    fn one_more_failing_trigger_never_leads_to_fewer_replicas(situation in situation(), outcomes in outcomes()) {
        let failed = TriggerOutcome { index: 9, trigger: "t9".into(), result: TriggerResult::Failed("down".into()) };
        let mut with_failure = outcomes.clone();
        with_failure.push(failed);
        let well = decide(&Situation { activity: of(&outcomes), ..situation.clone() });
        let ill = decide(&Situation { activity: of(&with_failure), ..situation });
        prop_assert!(replicas_after(&ill) >= replicas_after(&well).min(ill.replicas));
    }

    #[test]
    fn decisions_print_on_one_line(situation in situation()) {
        let line = decide(&situation).to_string();
        prop_assert!(!line.contains('\n') && !line.ends_with(' '), "{:?}", line);
    }
}

/// The checks themselves notice what they are for.
#[test]
fn broken_promises_are_noticed() {
    let at = |second: i64| Timestamp::from_second(1_790_000_000 + second).unwrap();
    let situation = Situation {
        now: at(100),
        created: at(0),
        last_active: Some(at(90)),
        current: Ok(2),
        bounds: Bounds { min: 0, max: 4, idle: None },
        cooldown: SignedDuration::from_secs(300),
        initial_cooldown: SignedDuration::ZERO,
        annotations: Annotations { full: true, ..Annotations::default() },
        activity: Activity { error: true, complete: true, ..Activity::default() },
        fallback: None,
    };
    let decision = Decision { action: Action::Deactivate { from: 2, to: 0 }, ..decide(&situation) };
    let broken =
        |check: fn(&Situation<'_>, &Decision) -> Result<(), Violation>| check(&situation, &decision).is_err();
    assert!(broken(paused_never_scales));
    assert!(broken(no_scale_in_on_missing_data));
    assert!(broken(deactivation_only_past_cooldown));
    assert!(!broken(replicas_within_bounds));

    let mut early = situation.clone();
    early.activity.readings.push(MetricReading {
        name: "s0-m".to_owned(),
        value: 5.0,
        active: true,
        target: None,
        fallback: Some(FallenBack { replicas: 1, cause: Cause::Failures { failures: 3, threshold: 3 } }),
    });
    assert!(fallback_only_past_its_threshold(&early, &decide(&early)).is_err());

    let decision =
        Decision { action: Action::Activate { from: 2, to: 9 }, last_active: Some(at(5)), ..decision };
    assert!(replicas_within_bounds(&situation, &decision).is_err());
    assert!(activation_has_a_cause(&situation, &decision).is_err());
    assert!(activity_is_remembered_only_while_active(&situation, &decision).is_err());
    assert_eq!(
        replicas_within_bounds(&situation, &decision).unwrap_err().to_string(),
        "replicas stay within the bounds: 2 -> 9 activate: paused"
    );
}
