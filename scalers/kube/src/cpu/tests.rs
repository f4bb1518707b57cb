//! The cpu trigger against upstream's verdicts, and what it tells the HPA.

use keda_scaler::contract::{Contract, Scripted, Source, environment, parameters, upstream};
use keda_scaler::{Context, Factory, Kind, Parameters};

use super::Trigger;

const FACTORY: Factory = Factory::of::<Trigger>();

fn context(metric_type: &str) -> Context {
    Context { metric_type: Some(metric_type.to_owned()), ..Context::default() }
}

#[test]
fn upstream_agrees_with_every_case() {
    if let Some(report) = upstream::run(&FACTORY, include_str!("testdata/upstream-skips.txt")) {
        assert!(report.differences.is_empty(), "{report}");
        assert!(report.agreed >= 31, "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_contract_holds() {
    let parameters = parameters(&[("value", "500m"), ("containerName", "web")], &[]);
    Contract { factory: FACTORY, parameters, source: Source::Hpa }.check().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sampled() {
    let parsed = FACTORY.parse(&parameters(&[("value", "60")], &[]), &context("Utilization")).unwrap();
    assert!(!parsed.is_sampled());
    let live = parsed.connect(&environment(Scripted::silent())).await.unwrap();
    assert_eq!(live.sample().await, []);
}

#[test]
fn the_metric_type_says_what_the_value_means() {
    for (metric_type, value, container, kind, target) in [
        ("Utilization", "60", "", "Resource", "60"),
        ("Utilization", "+5", "web", "ContainerResource", "5"),
        ("AverageValue", "0.5", "", "Resource", "500m"),
        ("AverageValue", "2", "web", "ContainerResource", "2"),
    ] {
        let given = parameters(&[("value", value), ("containerName", container)], &[]);
        let parsed = FACTORY.parse(&given, &context(metric_type)).unwrap();
        let [spec] = parsed.specs() else { panic!("one metric") };
        assert_eq!((spec.kind(), spec.name(), spec.external_name()), (kind, "cpu", None));
        assert_eq!(spec.target().to_string(), target);
    }
}

#[test]
fn every_fault_is_an_error_with_its_parameter() {
    for (metric_type, value, text) in [
        ("", "60", "unknown metric type: , allowed values are 'Utilization' or 'AverageValue'"),
        ("Value", "60", "unknown metric type: Value, allowed values are 'Utilization' or 'AverageValue'"),
        (
            "Utilization",
            "60m",
            "parameter \"value\" value \"60m\" must be a whole number of percent for Utilization",
        ),
        ("Utilization", "99999999999", "must be a whole number of percent"),
        (
            "AverageValue",
            "lots",
            "parameter \"value\" value \"lots\" must be a quantity such as 500m or 100Mi",
        ),
        (
            "Utilization",
            "0",
            "parameter \"value\" value \"0\": metric cpu: an HPA target must be positive, got 0",
        ),
        ("AverageValue", "-1", "an HPA target must be positive, got -1"),
        ("Utilization", "", "missing required parameter \"value\" in [triggerMetadata]"),
    ] {
        let error = FACTORY.parse(&parameters(&[("value", value)], &[]), &context(metric_type)).unwrap_err();
        assert!(error.message.contains(text), "{metric_type} {value}: {error}");
        assert_eq!(error.kind, Kind::Config);
    }
}

#[test]
fn the_removed_parameter_is_an_error() {
    let given = parameters(&[("type", "Utilization"), ("value", "60")], &[]);
    let error = FACTORY.parse(&given, &context("Utilization")).unwrap_err();
    assert!(error.message.contains("scaler cpu info: the parameter 'type' was removed"), "{error}");
}

#[test]
fn cached_metrics_are_refused() {
    let cached = Context { use_cached_metrics: true, ..context("Utilization") };
    let error = FACTORY.parse(&parameters(&[("value", "60")], &[]), &cached).unwrap_err();
    assert_eq!(error.to_string(), "property \"useCachedMetrics\" is not supported for \"cpu\" scaler");
}

#[test]
fn the_sample_parses() {
    let object: keda_api::ScaledObject = serde_saphyr::from_str(include_str!("sample.yaml")).unwrap();
    let trigger = object.spec.triggers.into_iter().next().unwrap();
    let parameters = Parameters { metadata: trigger.metadata, ..Parameters::default() };
    let context = Context { metric_type: trigger.metric_type, ..Context::default() };
    let parsed = FACTORY.parse(&parameters, &context).unwrap();
    assert!(parsed.notices().is_empty(), "{:?}", parsed.notices());
}
