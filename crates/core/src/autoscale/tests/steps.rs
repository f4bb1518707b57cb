//! Bounds, windows, policies, zero, and what is said about them.

use super::*;

#[test]
fn at_zero_only_an_autoscaler_that_put_it_there_takes_it_up() {
    let mut scaler = Autoscaler::at(0);
    let outcome = scaler.look(0, &[asks(9)]);
    assert_eq!((outcome.verdict, outcome.change()), (Verdict::Disabled, None));
    assert_eq!(
        words(&outcome, "ScalingActive"),
        ("False", "ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
    );
    assert_eq!(
        outcome.to_string(),
        "stay at 0, ScalingDisabled: scaling is disabled since the replica count of the target is zero"
    );
    scaler.min = Some(0);
    assert_eq!(scaler.look(0, &[asks(9)]).change(), None, "somebody else put it to zero");
    scaler.scaled_to_zero = true;
    assert_eq!(scaler.look(0, &[asks(3)]).change(), Some((0, 3)));
    assert_eq!(scaler.look(0, &[asks(0)]).change(), None);
    scaler.min = Some(2);
    assert_eq!(scaler.look(0, &[asks(0)]).change(), Some((0, 2)));
    scaler.behavior = Some(behavior(json!({})));
    let outcome = scaler.look(0, &[asks(0)]);
    assert_eq!(outcome.change(), Some((0, 2)), "the minimum was raised");
    assert_eq!(outcome.cause, "Current number of replicas below Spec.MinReplicas");
}

#[test]
fn a_change_says_whether_it_was_to_zero() {
    let rules = json!({"scaleDown": {"stabilizationWindowSeconds": 0}});
    let mut scaler = Autoscaler { min: Some(0), replicas: 2, ..Autoscaler::with(rules) };
    let said = |outcome: &Outcome| -> Vec<String> {
        let conditions = outcome.rescaled();
        conditions
            .iter()
            .map(|c| format!("{}={} {}", c.r#type, c.status, c.reason.as_deref().unwrap()))
            .collect()
    };
    let outcome = scaler.look(0, &[asks(0)]);
    assert_eq!(outcome.change(), Some((2, 0)));
    assert_eq!(said(&outcome), ["AbleToScale=True SucceededRescale", "ScaledToZero=True ScaledToZero"]);
    scaler.min = Some(1);
    let outcome = scaler.look(0, &[asks(0)]);
    assert_eq!(said(&outcome), ["AbleToScale=True SucceededRescale", "ScaledToZero=False NotScaledToZero"]);
    assert_eq!(said(&scaler.look(0, &[asks(2)])), [""; 0], "nothing changed");
}

#[test]
fn outside_its_bounds_no_metric_is_asked() {
    let mut scaler = Autoscaler { min: Some(3), max: 5, ..Autoscaler::at(9) };
    let outcome = scaler.sync(0, &[fails()]);
    assert_eq!((outcome.verdict, outcome.change()), (Verdict::AboveMaximum, Some((9, 5))));
    assert_eq!(outcome.cause, "Current number of replicas above Spec.MaxReplicas");
    assert_eq!(outcome.metrics, []);
    scaler.replicas = 1;
    let outcome = scaler.sync(15, &[fails()]);
    assert_eq!((outcome.verdict, outcome.change()), (Verdict::BelowMinimum, Some((1, 3))));
    assert_eq!(outcome.cause, "Current number of replicas below Spec.MinReplicas");
}

#[test]
fn without_behavior_up_at_once_by_double_and_down_after_the_window() {
    let mut scaler = Autoscaler::at(1);
    assert_eq!(scaler.follow(0, 50), 4);
    assert_eq!(scaler.follow(15, 50), 8);
    scaler.replicas = 50;
    assert_eq!(scaler.follow(30, 1), 50, "the window remembers");
    assert_eq!(scaler.follow(315, 1), 50, "its edge belongs to it");
    assert_eq!(scaler.follow(316, 1), 1);
    assert_eq!(scaler.history.ups, [], "no policy counts changes");
}

#[test]
fn a_target_that_is_first_seen_does_not_shrink_at_once() {
    let mut scaler = Autoscaler::at(6);
    let outcome = scaler.sync(0, &[asks(1)]);
    assert_eq!((outcome.proposed, outcome.stabilized, outcome.desired), (Some(1), Some(6), Some(6)));
    assert_eq!(
        words(&outcome, "AbleToScale"),
        (
            "True",
            "ScaleDownStabilized",
            "recent recommendations were higher than current one, applying the highest recent recommendation"
        )
    );
    assert_eq!(scaler.follow(301, 1), 1);
}

#[test]
fn windows_of_a_behavior_hold_both_directions() {
    let mut scaler = Autoscaler::with(json!({"scaleUp": {"stabilizationWindowSeconds": 60}}));
    assert_eq!(scaler.follow(0, 3), 1, "it was 1 a moment ago");
    let outcome = scaler.sync(30, &[asks(5)]);
    assert_eq!(
        words(&outcome, "AbleToScale"),
        (
            "True",
            "ScaleUpStabilized",
            "recent recommendations were lower than current one, applying the lowest recent recommendation"
        )
    );
    assert_eq!(scaler.follow(60, 7), 5, "the lowest of the last minute, whose edge is out");
    assert_eq!(scaler.follow(91, 7), 7);
    assert_eq!(scaler.follow(100, 1), 7, "the controller's window, where the behavior has none");
    assert_eq!(scaler.follow(390, 1), 7);
    assert_eq!(scaler.follow(391, 1), 1);
}

#[test]
fn a_behavior_that_says_little_is_filled_in_as_the_api_server_does() {
    let mut scaler = Autoscaler::with(json!({}));
    assert_eq!(scaler.follow(0, 50), 5, "four pods, which is more than double");
    assert_eq!(scaler.follow(10, 50), 5);
    assert_eq!(scaler.follow(15, 50), 10, "double, which is more than four pods");
}

#[test]
fn policies_count_what_happened_in_their_period() {
    let rules = json!({
        "scaleUp": {"policies": [{"type": "Pods", "value": 4, "periodSeconds": 60}]},
        "scaleDown": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}]},
    });
    let mut scaler = Autoscaler { replicas: 2, ..Autoscaler::with(rules) };
    let outcome = scaler.sync(0, &[asks(20)]);
    assert_eq!(
        words(&outcome, "ScalingLimited"),
        (
            "True",
            "ScaleUpLimit",
            "the desired replica count is increasing faster than the maximum scale rate"
        )
    );
    assert_eq!(
        outcome.to_string(),
        "2 -> 6, metrics ask for 20, external metric s0-a(nil) above target, ScaleUpLimit: the desired replica \
         count is increasing faster than the maximum scale rate"
    );
    assert_eq!(scaler.follow(30, 20), 6, "four were added within the minute");
    assert_eq!(scaler.follow(60, 20), 10);
    assert_eq!(scaler.follow(180, 1), 5);
    let outcome = scaler.sync(200, &[asks(1)]);
    assert_eq!(
        words(&outcome, "ScalingLimited"),
        (
            "True",
            "ScaleDownLimit",
            "the desired replica count is decreasing faster than the maximum scale rate"
        )
    );
    assert_eq!(scaler.replicas, 5);
    assert_eq!(scaler.follow(240, 1), 2);
}

#[test]
fn which_of_several_policies_counts() {
    let policies = json!([
        {"type": "Pods", "value": 1, "periodSeconds": 15},
        {"type": "Percent", "value": 50, "periodSeconds": 15},
    ]);
    for (select, up, down) in
        [(None, 15, 5), (Some("Max"), 15, 5), (Some("Min"), 11, 9), (Some("Disabled"), 10, 10)]
    {
        let rules = json!({
            "scaleUp": {"selectPolicy": select, "policies": policies},
            "scaleDown": {"selectPolicy": select, "policies": policies, "stabilizationWindowSeconds": 0},
        });
        let at = || Autoscaler { replicas: 10, ..Autoscaler::with(rules.clone()) };
        assert_eq!(at().follow(0, 90), up, "{select:?}");
        assert_eq!(at().follow(0, 1), down, "{select:?}");
    }
}

#[test]
fn a_percentage_of_little_still_moves_up() {
    let rules = json!({"scaleUp": {"policies": [{"type": "Percent", "value": 10, "periodSeconds": 15}]}});
    assert_eq!(Autoscaler::with(rules).follow(0, 9), 2);
}

#[test]
fn bounds_and_their_reasons() {
    for behavior in [None, Some(behavior(json!({"scaleDown": {"stabilizationWindowSeconds": 0}})))] {
        let mut scaler = Autoscaler { min: Some(2), max: 3, behavior, replicas: 3, ..Autoscaler::at(3) };
        let look = |scaler: &Autoscaler, asked| {
            let outcome = scaler.look(3600, &[asks(asked)]);
            let (status, reason, _) = words(&outcome, "ScalingLimited");
            (outcome.desired.unwrap(), status.to_owned(), reason.to_owned())
        };
        // What it remembers is long ago.
        scaler.history.recommendations = vec![Recommendation { at: START, replicas: 3 }];
        let owned = |replicas, status: &str, reason: &str| (replicas, status.to_owned(), reason.to_owned());
        assert_eq!(look(&scaler, 1), owned(2, "True", "TooFewReplicas"));
        assert_eq!(look(&scaler, 3), owned(3, "False", "DesiredWithinRange"));
        assert_eq!(look(&scaler, 9), owned(3, "True", "TooManyReplicas"));
    }
}

#[test]
fn the_rest_of_the_conditions() {
    let mut scaler = Autoscaler::at(4);
    let outcome = scaler.sync(0, &[asks(4)]);
    assert_eq!(
        words(&outcome, "ScalingActive"),
        (
            "True",
            "ValidMetricFound",
            "the HPA was able to successfully calculate a replica count from external metric s0-a(nil)"
        )
    );
    assert_eq!(
        words(&outcome, "AbleToScale"),
        ("True", "ReadyForNewScale", "recommended size matches current size")
    );
    assert_eq!(
        words(&outcome, "ScalingLimited"),
        ("False", "DesiredWithinRange", "the desired count is within the acceptable range")
    );
    assert_eq!(outcome.to_string(), "stay at 4, metrics ask for 4");
    let failed = update_failed("conflict").message.unwrap();
    assert_eq!(failed, "the HPA controller was unable to update the target scale: conflict");
}

#[test]
fn an_outcome_prints_as_data() {
    let printed = serde_json::to_value(Autoscaler::at(1).look(0, &[asks(3), fails()])).unwrap();
    assert_eq!(printed["verdict"], "followed");
    assert_eq!((&printed["current"], &printed["desired"]), (&json!(1), &json!(3)));
    assert_eq!(printed["metrics"][0]["Ok"]["usage"], json!({"averageValue": "3"}));
    assert_eq!(printed["metrics"][1]["Err"]["reason"], "FailedGetExternalMetric");
    assert_eq!(printed["history"]["recommendations"][0]["replicas"], 1);
}

#[test]
fn a_change_counts_for_the_other_direction_until_its_place_is_taken() {
    let rules = json!({
        "scaleUp": {"policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]},
        "scaleDown": {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 300}]},
    });
    let mut scaler = Autoscaler::with(rules);
    assert_eq!(scaler.follow(0, 3), 3);
    assert_eq!(scaler.follow(3, 5), 5);
    assert_eq!(scaler.follow(20, 6), 6);
    let kept: Vec<i32> = scaler.history.ups.iter().map(|change| change.by).collect();
    assert_eq!(kept, [2, 1], "too old are both, and the last one's place is taken");
    assert_eq!(scaler.follow(21, 0), 2, "one less than the three that were there without what is kept");
}

#[test]
fn a_proposal_is_there_until_its_place_is_taken() {
    let window = |seconds: i32| behavior(json!({"scaleDown": {"stabilizationWindowSeconds": seconds}}));
    let mut scaler = Autoscaler { behavior: Some(window(10)), ..Autoscaler::at(9) };
    assert_eq!(scaler.follow(0, 9), 9);
    assert_eq!(scaler.follow(20, 2), 2, "two are too old, the last one's place is taken");
    scaler.behavior = Some(window(60));
    scaler.replicas = 9;
    assert_eq!(scaler.follow(30, 2), 9, "a longer window finds the other one");
}

#[test]
fn a_policy_of_more_pods_than_a_count_holds_allows_none() {
    let rules = json!({"scaleUp": {"policies": [{"type": "Pods", "value": i32::MAX, "periodSeconds": 15}]}});
    let mut scaler = Autoscaler::with(rules);
    assert_eq!(scaler.follow(0, 9), 1);
}
