//! The memory trigger. What it shares with `cpu` is tested there.

use keda_scaler::contract::{Contract, Source, parameters, upstream};
use keda_scaler::{Context, Factory, Parameters};

use super::Trigger;

const FACTORY: Factory = Factory::of::<Trigger>();

/// Upstream's parser is one for both, so its cases are those of `cpu`.
#[test]
fn upstream_agrees_with_every_case() {
    let skips = include_str!("testdata/upstream-skips.txt");
    if let Some(report) = upstream::run_records(&FACTORY, "cpu", skips) {
        assert!(report.differences.is_empty(), "{report}");
        assert!(report.agreed >= 31, "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_contract_holds() {
    let parameters = parameters(&[("value", "400Mi")], &[]);
    Contract { factory: FACTORY, parameters, source: Source::Hpa }.check().await;
}

#[test]
fn the_hpa_is_told_of_memory() {
    let object: keda_api::ScaledObject = serde_saphyr::from_str(include_str!("sample.yaml")).unwrap();
    let trigger = object.spec.triggers.into_iter().next().unwrap();
    let parameters = Parameters { metadata: trigger.metadata, ..Parameters::default() };
    let context = Context { metric_type: trigger.metric_type, ..Context::default() };
    let parsed = FACTORY.parse(&parameters, &context).unwrap();
    assert!(parsed.notices().is_empty(), "{:?}", parsed.notices());
    let [spec] = parsed.specs() else { panic!("one metric") };
    assert_eq!(
        (spec.kind(), spec.name(), spec.target().to_string().as_str()),
        ("Resource", "memory", "400Mi")
    );
}
