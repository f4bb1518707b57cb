use super::*;

#[test]
fn metric_types_are_read_with_average_value_as_the_default() {
    for (word, wanted) in [
        (None, TargetType::AverageValue),
        (Some(""), TargetType::AverageValue),
        (Some("AverageValue"), TargetType::AverageValue),
        (Some("Value"), TargetType::Value),
        (Some("Utilization"), TargetType::Utilization),
    ] {
        assert_eq!(TargetType::parse(word), Ok(wanted));
    }
    assert_eq!(
        TargetType::parse(Some("average")).unwrap_err().to_string(),
        "unknown metric type: average, allowed values are 'Value' or 'AverageValue'"
    );
}

#[test]
fn external_metrics_have_no_utilization() {
    assert_eq!(
        TargetType::parse_external(Some("Utilization")).unwrap_err().to_string(),
        "'Utilization' metric type is unsupported for external metrics, allowed values are 'Value' or 'AverageValue'"
    );
    assert_eq!(TargetType::parse_external(Some("Value")), Ok(TargetType::Value));
}

#[test]
fn numbers_become_three_decimals_and_never_less_than_zero() {
    for (value, wanted) in [
        (2.5, "2.500"),
        (5.0, "5.000"),
        (0.0015, "0.002"),
        (1234567.8915, "1234567.891"),
        (0.0004, "0.000"),
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (-93.0, "0.000"),
        (f64::NAN, "0.000"),
        (f64::INFINITY, "0.000"),
        (f64::NEG_INFINITY, "0.000"),
        (1e300, "9223372036854775807.000"),
    ] {
        assert_eq!(milli_text(value), wanted, "{value}");
    }
    assert_eq!(clamped(2.5), Quantity::from_milli(2500));
    assert_eq!(clamped(f64::NAN), Quantity::from_milli(0));
    assert_eq!(integer(7), Quantity::from_milli(7000));
    assert_eq!(integer(-1), Quantity::from_milli(-1000));
}

#[test]
fn hpa_targets_read_as_they_do_in_upstreams_hpas() {
    for (value, wanted) in
        [(2.5, "2.500"), (1234567.8915, "1234567.891"), (0.0015, "2m"), (1e3, "1k"), (5.0, "5"), (1.0, "1")]
    {
        assert_eq!(hpa_text(&clamped(value)), wanted, "{value}");
    }
}

fn external(name: &str, target_type: TargetType, target: Quantity) -> MetricSpec {
    MetricSpec::External { name: name.to_owned(), target_type, target }
}

#[test]
fn what_the_api_server_would_refuse_is_refused_with_the_reason() {
    assert_eq!(external("s0-prometheus", TargetType::Value, clamped(0.001)).check(), Ok(()));
    for target in [clamped(0.0), clamped(0.0004), integer(-1)] {
        let refused = external("s0-prometheus", TargetType::AverageValue, target).check().unwrap_err();
        assert!(refused.to_string().contains("an HPA target must be positive"), "{refused}");
    }
    assert_eq!(
        external("s0-a/b", TargetType::Value, integer(1)).check().unwrap_err().to_string(),
        "metric name \"s0-a/b\" may not contain '/'"
    );
    assert_eq!(external("s0-a", TargetType::Utilization, integer(1)).check(), Err(Error::Utilization));
}

#[test]
fn a_spec_says_what_it_is() {
    let spec = external("s0-a", TargetType::Value, integer(3));
    assert_eq!((spec.kind(), spec.name(), spec.target()), ("External", "s0-a", &integer(3)));
    assert_eq!(TargetType::Value.to_string(), "Value");
}

fn resource(container: Option<&str>, target_type: TargetType, target: Quantity) -> MetricSpec {
    let container = container.map(str::to_owned);
    MetricSpec::Resource { resource: Resource::Cpu, container, target_type, target }
}

#[test]
fn resources_are_named_by_themselves_and_asked_of_nobody() {
    let pod = resource(None, TargetType::Utilization, integer(50));
    assert_eq!((pod.kind(), pod.name(), pod.external_name()), ("Resource", "cpu", None));
    let container = resource(Some("web"), TargetType::AverageValue, "500m".parse().unwrap());
    assert_eq!((container.kind(), container.target().to_string()), ("ContainerResource", "500m".to_owned()));
    assert_eq!((pod.check(), container.check()), (Ok(()), Ok(())));
    assert_eq!(Resource::Memory.as_str(), "memory");
}

#[test]
fn resources_have_utilization_and_average_value_only() {
    assert_eq!(TargetType::parse_resource(Some("Utilization")), Ok(TargetType::Utilization));
    for word in [None, Some(""), Some("Value"), Some("utilization")] {
        let refused = TargetType::parse_resource(word).unwrap_err().to_string();
        assert_eq!(
            refused,
            format!(
                "unknown metric type: {}, allowed values are 'Utilization' or 'AverageValue'",
                word.unwrap_or_default()
            )
        );
    }
    assert!(resource(None, TargetType::Value, integer(1)).check().is_err());
    let refused = resource(None, TargetType::Utilization, integer(0)).check().unwrap_err();
    assert_eq!(refused.to_string(), "metric cpu: an HPA target must be positive, got 0");
}
