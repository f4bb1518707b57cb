//! The backlog trigger and its answers.

use keda_scaler::contract::{Contract, Source, parameters};
use keda_scaler::http::{Response, StatusCode};
use keda_scaler::{Context, Factory, Parameters};

use super::Trigger;

const FACTORY: Factory = Factory::of::<Trigger>();

#[tokio::test(start_paused = true)]
async fn the_contract_holds() {
    let metadata = [("serverAddress", "http://queues"), ("queue", "orders"), ("activationMessages", "2")];
    let parameters = parameters(&metadata, &[("token", "s3cr3t-token")]);
    let answer = |length: f64| Response::new(StatusCode::OK, length.to_string());
    let source = Source::Http { answer, activation: 2.0 };
    Contract { factory: FACTORY, parameters, source }.check().await;
}

#[test]
fn the_sample_parses() {
    let object: keda_api::ScaledObject = serde_saphyr::from_str(include_str!("sample.yaml")).unwrap();
    let trigger = object.spec.triggers.into_iter().next().unwrap();
    let parameters = Parameters { metadata: trigger.metadata, ..Parameters::default() };
    let parsed = FACTORY.parse(&parameters, &Context::default()).unwrap();
    assert_eq!(parsed.specs()[0].name(), "s0-backlog-orders");
    assert!(parsed.notices().is_empty(), "{:?}", parsed.notices());
}
