use super::*;

fn of(min: Option<i32>, max: Option<i32>, idle: Option<i32>) -> Result<Bounds, String> {
    let spec = ScaledObjectSpec {
        min_replica_count: min,
        max_replica_count: max,
        idle_replica_count: idle,
        ..ScaledObjectSpec::default()
    };
    Bounds::of(&spec).map_err(|error| error.to_string())
}

#[test]
fn unset_bounds_are_zero_to_a_hundred() {
    let bounds = of(None, None, None).unwrap();
    assert_eq!(bounds, Bounds { min: 0, max: 100, idle: None });
    assert_eq!((bounds.hpa_min(), bounds.at_rest()), (1, 0));
}

#[test]
fn the_minimum_may_equal_the_maximum_but_not_exceed_it() {
    assert!(of(Some(3), Some(3), None).is_ok());
    assert_eq!(
        of(Some(4), Some(3), None).unwrap_err(),
        "MinReplicaCount=4 must be less than MaxReplicaCount=3"
    );
    assert_eq!(
        of(Some(101), None, None).unwrap_err(),
        "MinReplicaCount=101 must be less than MaxReplicaCount=100"
    );
}

#[test]
fn idle_is_below_the_minimum() {
    assert_eq!(of(Some(2), None, Some(1)).unwrap().at_rest(), 1);
    assert_eq!(
        of(Some(2), None, Some(2)).unwrap_err(),
        "IdleReplicaCount=2 must be less than MinReplicaCount=2"
    );
}

#[test]
fn an_explicit_minimum_of_zero_admits_idle_zero_and_an_unset_one_does_not() {
    assert_eq!(of(Some(0), None, Some(0)).unwrap(), Bounds { min: 0, max: 100, idle: Some(0) });
    assert_eq!(
        of(None, None, Some(0)).unwrap_err(),
        "IdleReplicaCount=0 must be less than MinReplicaCount=0"
    );
    assert_eq!(
        of(Some(0), None, Some(1)).unwrap_err(),
        "IdleReplicaCount=1 must be less than MinReplicaCount=1"
    );
}
