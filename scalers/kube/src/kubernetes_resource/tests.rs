//! The kubernetes-resource trigger against upstream's verdicts, and over entries of every form.

use std::sync::Arc;

use keda_scaler::contract::{Contract, Source, parameters, upstream};
use keda_scaler::kube::{ReadError, Reader};
use keda_scaler::{Factory, Kind, Parameters};
use proptest::prelude::*;

use super::extract::Extract;
use super::{Format, Trigger, ValueType};
use crate::cluster::{Cluster, context};

const FACTORY: Factory = Factory::of::<Trigger>();

fn given(extra: &[(&str, &str)]) -> Parameters {
    let mut parameters = parameters(
        &[("resourceKind", "ConfigMap"), ("resourceName", "backlog"), ("key", "n"), ("targetValue", "10")],
        &[],
    );
    parameters.metadata.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    parameters
}

async fn read(entry: &str, extra: &[(&str, &str)]) -> Result<f64, String> {
    let cluster = Cluster::config_map("backlog", "n", entry);
    let reading = cluster.read(FACTORY, &given(extra)).await;
    reading.map(|reading| reading.value).map_err(|error| error.to_string())
}

#[test]
fn upstream_agrees_with_every_case() {
    if let Some(report) = upstream::run(&FACTORY, include_str!("testdata/upstream-skips.txt")) {
        assert!(report.differences.is_empty(), "{report}");
        assert!(report.agreed > 140, "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_contract_holds() {
    let entry = |value: f64| -> Arc<dyn Reader> {
        Arc::new(Cluster { is_anywhere: true, ..Cluster::config_map("backlog", "n", &value.to_string()) })
    };
    let parameters = given(&[("activationTargetValue", "2")]);
    let source = Source::Cluster { holding: entry, activation: 2.0, step: 0.001 };
    Contract { factory: FACTORY, parameters, source }.check().await;
}

#[test]
fn the_metric_is_named_after_the_entry() {
    let given = given(&[("resourceKind", "Secret"), ("key", "a.b/c"), ("targetValue", "2.5")]);
    let error = FACTORY.parse(&given, &context());
    let parsed = error.unwrap();
    assert_eq!(parsed.specs()[0].name(), "s0-secret-backlog-a-b-c");
    assert_eq!(parsed.specs()[0].target().to_string(), "2500m");
    assert_eq!(parsed.label(), "kubernetesResourceScaler");
}

#[tokio::test(start_paused = true)]
async fn numbers_are_read_from_the_front() {
    for (entry, value_type, value) in [
        ("42", "float64", Some(42.0)),
        (" \n42.5abc", "float64", Some(42.5)),
        ("-1e3", "float64", Some(-1000.0)),
        (".5", "float64", Some(0.5)),
        ("+7.", "float64", Some(7.0)),
        ("abc", "float64", None),
        ("", "float64", None),
        ("1e", "float64", None),
        ("42.9", "int64", Some(42.0)),
        ("-3x", "int64", Some(-3.0)),
        ("x3", "int64", None),
        ("99999999999999999999", "int64", None),
        ("1500m", "quantity", Some(1.5)),
        ("2Ki\n", "quantity", Some(2048.0)),
        ("12 apples", "quantity", None),
    ] {
        let read = read(entry, &[("valueType", value_type)]).await;
        assert_eq!(read.as_ref().ok(), value.as_ref(), "{entry:?} as {value_type}: {read:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn json_is_read_at_its_path() {
    let document =
        r#"{"queues": [{"length": 7.9}, {"length": "1500m"}], "a.b": 3, "flag": true, "none": null}"#;
    for (path, value_type, value) in [
        ("queues.0.length", "float64", Some(7.9)),
        ("queues.0.length", "int64", Some(7.0)),
        ("queues.0.length", "quantity", Some(7.9)),
        ("queues.1.length", "float64", Some(1.5)),
        ("queues.1.length", "quantity", Some(1.5)),
        ("queues.1.length", "int64", None),
        ("queues.#", "int64", Some(2.0)),
        (r"a\.b", "float64", Some(3.0)),
        ("flag", "float64", None),
        ("queues", "float64", None),
    ] {
        let given = [("format", "json"), ("valueLocation", path), ("valueType", value_type)];
        let read = read(document, &given).await;
        assert_eq!(read.as_ref().ok(), value.as_ref(), "{path} as {value_type}: {read:?}");
    }
    let at = async |path| read(document, &[("format", "json"), ("valueLocation", path)]).await.unwrap_err();
    let text = "key n of ConfigMap shop/backlog: valueLocation must point to value of type number or a string \
                representing a Quantity, got: 'Null'";
    assert_eq!(at("none").await, text);
    assert_eq!(at("queues.2").await, "key n of ConfigMap shop/backlog: path queues.2 not found in json");
    let broken = read("{\"a\": ", &[("format", "json"), ("valueLocation", "a")]).await.unwrap_err();
    assert_eq!(broken, "key n of ConfigMap shop/backlog: not valid JSON, line 1 column 6");
}

#[tokio::test(start_paused = true)]
async fn yaml_is_read_at_its_path() {
    let document = "queues:\n  - length: 7.9\n  - length: 1500m\n  - length: '12'\nflag: true\n3: 4\n";
    for (path, value_type, value) in [
        ("queues.0.length", "int64", Some(7.9)),
        ("queues.0.length.beyond", "float64", Some(7.9)),
        ("queues.1.length", "quantity", Some(1.5)),
        ("queues.1.length", "float64", Some(1500.0)),
        ("queues.2.length", "float64", Some(12.0)),
        ("3", "float64", Some(4.0)),
        ("flag", "float64", None),
        ("queues", "float64", None),
        ("queues.3", "float64", None),
        ("queues.x", "float64", None),
        ("absent", "float64", None),
    ] {
        let given = [("format", "yaml"), ("valueLocation", path), ("valueType", value_type)];
        let read = read(document, &given).await;
        assert_eq!(read.as_ref().ok(), value.as_ref(), "{path} as {value_type}: {read:?}");
    }
    for (document, text) in [("- 1", "not a YAML mapping"), ("a: [", "not valid YAML")] {
        let error = read(document, &[("format", "yaml"), ("valueLocation", "a")]).await.unwrap_err();
        assert_eq!(error, format!("key n of ConfigMap shop/backlog: {text}"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_an_error_and_not_zero() {
    let there = Cluster::config_map("other", "n", "1");
    let error = there.read(FACTORY, &given(&[])).await.unwrap_err();
    assert_eq!(error.to_string(), "error getting ConfigMap shop/backlog: not found");
    let there = Cluster::config_map("backlog", "m", "1");
    let error = there.read(FACTORY, &given(&[])).await.unwrap_err();
    assert_eq!(error.to_string(), "key n not found in ConfigMap shop/backlog");
    let fails = Some(ReadError::permanent("configmaps \"backlog\" is forbidden"));
    let error = Cluster { fails, ..there }.read(FACTORY, &given(&[])).await.unwrap_err();
    let text = "error getting ConfigMap shop/backlog: configmaps \"backlog\" is forbidden";
    assert_eq!((error.to_string().as_str(), error.kind), (text, Kind::Auth));
}

#[tokio::test(start_paused = true)]
async fn secrets_are_read_and_never_shown() {
    let secret = [("resourceKind", "Secret")];
    let reading = Cluster::secret("backlog", "n", b"12").read(FACTORY, &given(&secret)).await.unwrap();
    assert_eq!((reading.value, reading.active), (12.0, true));
    let forms: [&[(&str, &str)]; 5] = [
        &[],
        &[("valueType", "int64")],
        &[("valueType", "quantity")],
        &[("format", "json"), ("valueLocation", "a")],
        &[("format", "yaml"), ("valueLocation", "hunter2")],
    ];
    for form in forms {
        for entry in ["hunter2", "{\"a\": \"hunter2\"}", "{\"a\": hunter2}", "a: hunter2: b", "\"hunter2"] {
            let given = given(&[&secret, form].concat());
            let error =
                Cluster::secret("backlog", "n", entry.as_bytes()).read(FACTORY, &given).await.unwrap_err();
            let shown = error.to_string().replace("path hunter2", "");
            assert!(!shown.contains("hunter2"), "{error}");
        }
    }
    let error = Cluster::secret("backlog", "n", &[0xff]).read(FACTORY, &given(&secret)).await.unwrap_err();
    assert_eq!(error.to_string(), "key n of Secret shop/backlog is not text");
}

#[tokio::test(start_paused = true)]
async fn activation_is_strict() {
    let cluster = Cluster::config_map("backlog", "n", "5");
    for (activation, active) in [("5", false), ("4.999", true), ("-1", true)] {
        let reading = cluster.read(FACTORY, &given(&[("activationTargetValue", activation)])).await.unwrap();
        assert_eq!(reading.active, active, "{activation}");
    }
}

#[test]
fn paths_beyond_the_subset_are_refused_at_their_parameter() {
    let given = given(&[("format", "json"), ("valueLocation", "queues.#.length")]);
    let error = FACTORY.parse(&given, &context()).unwrap_err();
    let text = "parameter \"valueLocation\": queries and projections (#) in the path \"queues.#.length\" are not supported";
    assert!(error.message.ends_with(text), "{error}");
}

proptest! {
    /// No entry and no path is a panic, and no entry shows up in a reason.
    #[test]
    fn any_entry_is_a_number_or_a_reason(
        entry in "[-+0-9.eE]{0,12}|[ \\[\\]{}:,\"a-z0-9\n-]{0,40}|.{0,20}",
        path in "[a-z0-9.#\\\\]{0,8}|.{0,8}",
        format in prop::sample::select(vec![Format::Number, Format::Json, Format::Yaml]),
        value_type in prop::sample::select(vec![ValueType::Float64, ValueType::Int64, ValueType::Quantity]),
    ) {
        if let Ok(extract) = Extract::new(format, value_type, path) {
            let _number_or_reason = extract.value(&entry);
        }
    }

    /// But for the last bit, which a JSON number may lose.
    #[test]
    fn numbers_come_back(value in -1e12..1e12_f64, behind in "[a-z ]{0,5}") {
        let same = |read: Result<f64, String>| read.is_ok_and(|read| (read - value).abs() <= value.abs() * 1e-15);
        let extract = Extract::new(Format::Number, ValueType::Float64, String::new()).unwrap();
        prop_assert_eq!(extract.value(&format!("{value} {behind}")), Ok(value));
        let at = Extract::new(Format::Json, ValueType::Float64, "a.1.b".to_owned()).unwrap();
        let document = serde_json::json!({ "a": [null, { "b": value }] }).to_string();
        prop_assert!(same(at.value(&document)));
        let at = Extract::new(Format::Yaml, ValueType::Int64, "a.1.b".to_owned()).unwrap();
        let document = format!("a:\n- c\n- b: {value}\n");
        prop_assert!(same(at.value(&document)));
    }
}

#[test]
fn the_sample_parses() {
    let object: keda_api::ScaledObject = serde_saphyr::from_str(include_str!("sample.yaml")).unwrap();
    let trigger = object.spec.triggers.into_iter().next().unwrap();
    let parameters = Parameters { metadata: trigger.metadata, ..Parameters::default() };
    let parsed = FACTORY.parse(&parameters, &context()).unwrap();
    assert!(parsed.notices().is_empty(), "{:?}", parsed.notices());
}
