//! The `external` trigger: parameters, values, metrics, errors.

use keda_scaler::contract::{Contract, Source, parameters, upstream};
use keda_scaler::{Context, Factory, Kind, NoticeKind, Parameters, Secrets, config::Whole};
use tonic::Status;

use super::Trigger;
use crate::server::{Server, connected, spec, value};

const FACTORY: Factory = Factory::of::<Trigger>();

/// Upstream accepts a CA that is none, and fails at every call.
const DIFFERENT: &str =
    "858a235a102c9780 a caCert that is no certificate is refused before anybody is dialled";

fn given(metadata: &[(&str, &str)]) -> Parameters {
    let address = ("scalerAddress", "scaler.shop:9090");
    parameters(&[&[address], metadata].concat(), &[])
}

#[tokio::test(start_paused = true)]
async fn the_contract_holds() {
    let parameters = given(&[("queue", "orders")]);
    let contract = Contract { factory: FACTORY, parameters, source: Source::Remote(Server::channels_in) };
    contract.check().await;
}

#[test]
fn upstreams_cases() {
    if let Some(report) = upstream::run(&FACTORY, DIFFERENT) {
        assert!(report.differences.is_empty(), "{report}");
        assert!(report.agreed >= 10, "{report}");
    }
}

#[test]
fn the_sample_parses() {
    let documents = trigger_of(include_str!("sample.yaml"));
    let parsed = FACTORY.parse(&documents, &Context::default()).unwrap();
    assert!(parsed.specs().is_empty() && !parsed.is_planned() && parsed.notices().is_empty());
}

fn trigger_of(text: &str) -> Parameters {
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(text).unwrap();
    let object: keda_api::ScaledObject = serde_json::from_value(documents[1].clone()).unwrap();
    let metadata = object.spec.triggers.into_iter().next().unwrap().metadata;
    Parameters { metadata, ..Parameters::default() }
}

#[tokio::test(start_paused = true)]
async fn everything_is_passed_on_and_variables_with_their_values() {
    let server = Server::new();
    let mut parameters = given(&[("queue", " orders "), ("tokenFromEnv", "TOKEN"), ("goneFromEnv", "GONE")]);
    parameters.env = [("TOKEN".to_owned(), "hunter2-token".to_owned())].into();
    parameters.auth = [("caCert".to_owned(), "".into())].into();
    let context =
        Context { namespace: "shop".to_owned(), object_name: "orders".to_owned(), ..Context::default() };
    let parsed = FACTORY.parse(&parameters, &context).unwrap();
    let shown = format!("{parsed:?} {:?}", parsed.values(Secrets::Hidden));
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(parsed.notices().is_empty(), "what is passed on is not unread: {:?}", parsed.notices());
    let live = parsed.connect(&server.environment()).await.unwrap();
    live.metrics().await.unwrap();
    let (_, reference) = server.asked().remove(0);
    assert_eq!((reference.namespace.as_str(), reference.name.as_str()), ("shop", "orders"));
    let passed: Vec<_> =
        reference.scaler_metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let wanted =
        [("queue", " orders "), ("scalerAddress", "scaler.shop:9090"), ("tokenFromEnv", "hunter2-token")];
    assert_eq!(passed, wanted);

    // A scaler that throws back what it was given.
    server.script(|script| script.refusal = Some(Status::internal("hunter2-token is wrong")));
    let error = live.metrics().await.unwrap_err();
    assert!(!error.message.contains("hunter2") && error.message.contains("is wrong"), "{error}");
    assert!(!format!("{:?}", Whole::default()).contains("hunter2"));
}

#[tokio::test(start_paused = true)]
async fn targets_and_names_are_the_scalers() {
    let server = Server::new();
    server.script(|script| {
        script.specs = vec![spec("queue.depth:A", 5, 0.0), spec("age", 5, 2.5), spec("old", 7, -1.0)];
    });
    let (parsed, _) = connected(FACTORY, &given(&[]), &server.environment()).await;
    let specs: Vec<_> = parsed.specs().iter().map(|spec| (spec.name(), spec.target().to_string())).collect();
    // Upstream leaves the name as it is (core.md 8.3).
    let wanted = [("s0-queue.depth:A", "5"), ("s0-age", "2500m"), ("s0-old", "7")];
    assert_eq!(specs, wanted.map(|(name, target)| (name, target.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn metrics_that_no_hpa_can_have_are_refused() {
    let server = Server::new();
    let world = server.environment();
    let parsed = FACTORY.parse(&given(&[]), &Context::default()).unwrap();
    let live = parsed.connect(&world).await.unwrap();
    let many: Vec<_> = (0..101).map(|number| spec(&format!("m{number}"), 1, 0.0)).collect();
    for (specs, words) in [
        (vec![], "got empty metric spec"),
        (vec![spec("depth", 0, 0.0)], "depth"),
        (vec![spec("depth", -5, 0.0)], "depth"),
        (vec![spec("depth", 5, f64::NAN)], "targetSizeFloat is NaN, not a number"),
        (vec![spec("depth", 5, f64::INFINITY)], "targetSizeFloat is inf, not a number"),
        (vec![spec("", 5, 0.0)], "a metric without a name"),
        (vec![spec("a/b", 5, 0.0)], "a/b"),
        (many, "101 metrics, there can be 100"),
    ] {
        server.script(|script| script.specs = specs);
        let refused = live.metrics().await.and_then(|metrics| parsed.planned(metrics)).unwrap_err();
        assert!(refused.message.contains(words), "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn values_are_numbers_or_errors() {
    let server = Server::new();
    let (_, live) = connected(FACTORY, &given(&[]), &server.environment()).await;
    for (values, wanted) in [
        (vec![value(7, 0.0)], Ok(7.0)),
        (vec![value(7, 2.5)], Ok(2.5)),
        (vec![value(7, -2.5)], Ok(7.0)),
        (vec![value(-7, 0.0)], Ok(0.0)),
        (vec![value(0, 0.0)], Ok(0.0)),
        (vec![value(1, 0.0), value(0, 2.5), value(3, 0.0)], Ok(6.5)),
        (vec![], Err("no value for metric \"depth\"")),
        (vec![value(7, f64::NAN)], Err("is NaN, not a number to scale on")),
        (vec![value(7, f64::INFINITY)], Err("is inf, not a number to scale on")),
    ] {
        let shown = format!("{values:?}");
        server.script(|script| script.values = [("depth".to_owned(), values)].into());
        let outcome = live.sample().await.remove(0);
        assert_eq!(outcome.name, "s0-depth");
        match (outcome.result, wanted) {
            (Ok(reading), Ok(number)) => assert_eq!(reading.value, number, "{shown}"),
            (Err(error), Err(words)) => {
                assert!(error.kind == Kind::Answer && error.message.contains(words), "{error}");
            }
            (result, wanted) => panic!("{shown}: {result:?}, not {wanted:?}"),
        }
    }
    // Asked under its own name, and for activity besides.
    let methods: Vec<&str> = server.asked().iter().map(|(method, _)| *method).take(3).collect();
    assert_eq!(methods[0], "GetMetricSpec");
    assert!(methods.contains(&"GetMetrics") && methods.contains(&"IsActive"), "{methods:?}");
}

#[tokio::test(start_paused = true)]
async fn a_huge_answer_is_an_error() {
    let server = Server::new();
    let (_, live) = connected(FACTORY, &given(&[]), &server.environment()).await;
    server.script(|script| script.values = [("depth".to_owned(), vec![value(1, 1.0); 300_000])].into());
    let error = live.sample().await.remove(0).result.unwrap_err();
    assert!(error.kind == Kind::Answer && error.message.contains("code = OutOfRange"), "{error:?}");
}

#[test]
fn parameters_that_cannot_be_used_are_refused_by_name() {
    for (metadata, auth, words) in [
        (
            vec![("scalerAddress", "http://scaler:80")],
            vec![],
            "\"scalerAddress\": \"http://scaler:80\" is no address",
        ),
        (vec![("enableTLS", "yes")], vec![], "enableTLS"),
        (vec![], vec![("caCert", "not a certificate")], "\"caCert\": no PEM certificate"),
        (
            vec![],
            vec![("tlsClientCert", "s3cr3t-cert"), ("tlsClientKey", "s3cr3t-key")],
            "\"tlsClientCert\": no PEM certificate",
        ),
    ] {
        let mut parameters = given(&metadata);
        parameters.auth = auth.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        let error = FACTORY.parse(&parameters, &Context::default()).unwrap_err();
        assert!(error.message.contains(words) && !error.message.contains("s3cr3t"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_go_where_they_are_bound_to() {
    use keda_scaler::destinations::{Bound, Destinations, Hosts, Mode};
    let context = |hosts: &str| Context {
        destinations: Destinations::new(Bound {
            owner: "TriggerAuthentication scaler".to_owned(),
            listed: Some(Hosts::parse(hosts).unwrap()),
            cluster: None,
            known: Hosts::default(),
            mode: Mode::Warn,
        }),
        ..Context::default()
    };
    assert!(FACTORY.parse(&given(&[]), &context("scaler.shop:9090")).is_ok());
    for hosts in ["scaler.other", "scaler.shop:9091"] {
        let error = FACTORY.parse(&given(&[]), &context(hosts)).unwrap_err();
        assert!(error.message.contains("are not sent to host scaler.shop"), "{error}");
    }
}

#[test]
fn what_has_no_effect_is_said() {
    for (metadata, auth, words) in [
        (vec![("unsafeSsl", "true")], vec![], "unsafeSsl has no effect without TLS"),
        (vec![], vec![("tlsClientCert", "x")], "tlsClientCert has no effect without tlsClientKey"),
        (vec![], vec![("tlsClientKey", "x")], "tlsClientKey has no effect without tlsClientCert"),
    ] {
        let mut parameters = given(&metadata);
        parameters.auth = auth.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        let parsed = FACTORY.parse(&parameters, &Context::default()).unwrap();
        let [notice] = parsed.notices() else { panic!("{:?}", parsed.notices()) };
        assert!(notice.kind == NoticeKind::NoEffect && notice.text.contains(words), "{notice:?}");
    }
}
