//! What holds whatever happens: each case is an autoscaler over an hour of syncs.

use proptest::{collection::vec, option, prelude::*};

use super::*;

fn rules() -> impl Strategy<Value = Value> {
    let policy = (prop_oneof![Just("Pods"), Just("Percent")], 1..200i32, 1..300i32)
        .prop_map(|(kind, value, period)| json!({"type": kind, "value": value, "periodSeconds": period}));
    let select = option::of(prop_oneof![4 => Just("Max"), 4 => Just("Min"), 3 => Just("Disabled")]);
    let window = option::of(0..400i32);
    (select, window, option::of(vec(policy, 1..4))).prop_map(|(select, window, policies)| {
        json!({"selectPolicy": select, "stabilizationWindowSeconds": window, "policies": policies})
    })
}

fn any_behavior() -> impl Strategy<Value = Option<HorizontalPodAutoscalerBehavior>> {
    option::weighted(0.8, (option::of(rules()), option::of(rules())))
        .prop_map(|rules| rules.map(|(up, down)| behavior(json!({"scaleUp": up, "scaleDown": down}))))
}

fn any_autoscaler() -> impl Strategy<Value = Autoscaler> {
    (1..6i32, 0..40i32, 0..60i32, any_behavior()).prop_map(|(min, more, replicas, behavior)| Autoscaler {
        min: Some(min),
        max: min + more,
        behavior,
        ..Autoscaler::at(replicas)
    })
}

/// What a metric asks for; none: it fails.
fn any_metrics() -> impl Strategy<Value = Vec<Option<i64>>> {
    vec(option::weighted(0.8, 0..80i64), 1..4)
}

fn metrics(asked: &[Option<i64>]) -> Vec<Metric> {
    asked.iter().map(|asked| asked.map_or_else(fails, asks)).collect()
}

fn is_disabled(rules: Option<&k8s_openapi::api::autoscaling::v2::HPAScalingRules>) -> bool {
    rules.and_then(|rules| rules.select_policy.as_deref()) == Some("Disabled")
}

proptest! {
    #[test]
    fn promises_hold_over_time(
        mut scaler in any_autoscaler(),
        syncs in vec((1..120i64, any_metrics()), 1..40),
    ) {
        let mut now = 0;
        for (pause, asked) in syncs {
            now += pause;
            let before = scaler.replicas;
            let outcome = scaler.sync(now, &metrics(&asked));
            let (min, max) = (scaler.min.unwrap(), scaler.max);
            prop_assert_eq!(outcome.current, before);
            if before == 0 {
                prop_assert_eq!(outcome.change(), None, "what is at zero stays there");
                continue;
            }
            if let Some((_, to)) = outcome.change() {
                prop_assert!((min..=max).contains(&to), "{to} is outside {min}..={max}");
                // Without a behavior the window alone can move it, and the controller then gives no reason.
                prop_assert!(scaler.behavior.is_none() || !outcome.cause.is_empty(), "a change has a cause");
            }
            let within = (min..=max).contains(&before);
            let behavior = scaler.behavior.as_ref();
            if within && is_disabled(behavior.and_then(|rules| rules.scale_up.as_ref())) {
                prop_assert!(scaler.replicas <= before, "up is off");
            }
            if within && is_disabled(behavior.and_then(|rules| rules.scale_down.as_ref())) {
                prop_assert!(scaler.replicas >= before, "down is off");
            }
            if within && asked.contains(&None) {
                prop_assert!(scaler.replicas >= before, "never fewer while a metric fails");
            }
            if within && asked.iter().all(Option::is_none) {
                prop_assert_eq!(outcome.desired, None);
            }
            if let (Some(proposed), Some(stable)) = (outcome.proposed, outcome.stabilized) {
                let (low, high) = (proposed.min(before), proposed.max(before));
                // Without a behavior the highest recent proposal counts, even above what the target has.
                prop_assert!(behavior.is_none() || (low..=high).contains(&stable), "{stable} of {proposed} at {before}");
            }
            if let Some(proposed) = outcome.proposed {
                let proposed = Recommendation { at: outcome.at, replicas: proposed };
                prop_assert!(outcome.history.recommendations.contains(&proposed), "it is remembered");
            }
            prop_assert!(outcome.conditions.iter().all(|c| outcome.condition(&c.r#type) == Some(c)), "one a type");
        }
    }

    /// Higher proposals in the past, or a higher one now, never lead to fewer replicas.
    #[test]
    fn more_asked_for_is_never_fewer_replicas(
        scaler in any_autoscaler(),
        past in vec((0..400i64, 0..60i32, 0..20i32), 0..12),
        asked in 0..60i64,
        more in 0..20i64,
    ) {
        let at = |age: i64| START + SignedDuration::from_secs(400 - age);
        let remembers = |extra: bool| -> Vec<Recommendation> {
            let replicas = |low: i32, above: i32| if extra { low + above } else { low };
            past.iter().map(|(age, low, above)| Recommendation { at: at(*age), replicas: replicas(*low, *above) }).collect()
        };
        let with = |recommendations| {
            let history = History { recommendations, ..History::default() };
            Autoscaler { behavior: scaler.behavior.clone(), min: scaler.min, max: scaler.max, history, ..Autoscaler::at(scaler.replicas) }
        };
        let less = with(remembers(false)).look(400, &[asks(asked)]);
        let higher = with(remembers(true)).look(400, &[asks(asked + more)]);
        // An empty past begins with what there is, which is the same in both.
        prop_assert!(less.desired <= higher.desired, "{less} but {higher}");
    }

    /// The same situation gives the same outcome, and one that was acted on asks for nothing new at the same time.
    #[test]
    fn deterministic(scaler in any_autoscaler(), asked in any_metrics()) {
        let metrics = metrics(&asked);
        prop_assert_eq!(scaler.look(0, &metrics), scaler.look(0, &metrics));
    }
}
