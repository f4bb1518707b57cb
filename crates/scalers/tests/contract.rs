//! Every trigger of the registry is held to the contract: with its own source by its own tests, and here as it stands in
//! its sample, so that none is left out.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::path::{Path, PathBuf};

use keda_api::{ScaledObject, TriggerAuthentication};
use keda_scaler::contract::{Contract, Source};
use keda_scaler::{Factory, Parameters};
use serde_json::Value;

/// Parameters that are read when the trigger connects: an invented text will not do.
const PEM: [&str; 6] = ["ca", "cert", "key", "caCert", "tlsClientCert", "tlsClientKey"];

fn folder(factory: &Factory) -> PathBuf {
    let module = factory.trigger_type().replace('-', "_");
    let families = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scalers").read_dir().unwrap();
    let mut folders = families.map(|family| family.unwrap().path().join("src").join(&module));
    folders.find(|folder| folder.is_dir()).unwrap()
}

/// The parameters of the sample, with an invented credential for everything that its TriggerAuthentication brings.
fn sample(factory: &Factory) -> Parameters {
    let text = std::fs::read_to_string(folder(factory).join("sample.yaml")).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let mut parameters = Parameters::default();
    for document in documents {
        if document["kind"] == "TriggerAuthentication" {
            let authentication: TriggerAuthentication = serde_json::from_value(document).unwrap();
            let references = authentication.spec.secret_target_ref.unwrap_or_default();
            let names = references.into_iter().map(|reference| reference.parameter);
            let names = names.filter(|name| !PEM.contains(&name.as_str()));
            parameters
                .auth
                .extend(names.map(|name| (name.clone(), format!("s3cr3t-{name}").as_str().into())));
        } else {
            let object: ScaledObject = serde_json::from_value(document).unwrap();
            let trigger = object.spec.triggers.into_iter().find(|one| one.r#type == factory.trigger_type());
            parameters.metadata = trigger.unwrap().metadata;
        }
    }
    parameters
}

#[tokio::test(start_paused = true)]
async fn every_trigger_as_in_its_sample() {
    let factories = keda_scalers::factories();
    assert!(factories.len() >= 8);
    for factory in factories {
        let parameters = sample(&factory);
        Contract { factory, parameters, source: Source::Clock }.check_declaration().await;
    }
}

#[test]
fn every_trigger_has_its_own_check_and_upstreams_cases() {
    for factory in keda_scalers::factories() {
        let tests = std::fs::read_to_string(folder(&factory).join("tests.rs")).unwrap();
        for wanted in ["Contract {", ".check().await", "upstream::run"] {
            assert!(tests.contains(wanted), "{} has no {wanted} in its tests.rs", factory.trigger_type());
        }
    }
}
