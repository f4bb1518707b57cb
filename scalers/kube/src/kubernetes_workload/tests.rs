//! The kubernetes-workload trigger against upstream's verdicts, and over a cluster's pods.

use std::sync::Arc;

use keda_scaler::contract::{Contract, Source, parameters, upstream};
use keda_scaler::kube::{Pod, ReadError, Reader};
use keda_scaler::{Factory, Kind, Parameters};
use proptest::prelude::*;

use super::{Trigger, selector};
use crate::cluster::{Cluster, context};

const FACTORY: Factory = Factory::of::<Trigger>();

fn given(extra: &[(&str, &str)]) -> Parameters {
    let mut parameters = parameters(&[("podSelector", "app in (web, api)"), ("value", "5")], &[]);
    parameters.metadata.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    parameters
}

fn pod(phase: &str, node: &str) -> Pod {
    Pod { phase: phase.to_owned(), node: node.to_owned(), ..Pod::default() }
}

#[test]
fn upstream_agrees_with_every_case() {
    if let Some(report) = upstream::run(&FACTORY, include_str!("testdata/upstream-skips.txt")) {
        assert!(report.differences.is_empty(), "{report}");
        assert!(report.agreed > 75, "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_contract_holds() {
    let pods = |count: f64| -> Arc<dyn Reader> {
        Arc::new(Cluster {
            pods: vec![pod("Running", "a"); count as usize],
            is_anywhere: true,
            ..Cluster::default()
        })
    };
    let parameters = given(&[("activationValue", "5")]);
    let source = Source::Cluster { holding: pods, activation: 5.0, step: 1.0 };
    Contract { factory: FACTORY, parameters, source }.check().await;
}

#[test]
fn the_metric_is_named_after_the_namespace() {
    let parsed = FACTORY.parse(&given(&[]), &context()).unwrap();
    assert_eq!(parsed.specs()[0].name(), "s0-workload-shop");
    assert_eq!(parsed.specs()[0].target().to_string(), "5");
    assert_eq!(parsed.label(), "kubernetesWorkloadScaler");
}

#[tokio::test(start_paused = true)]
async fn pods_count_until_they_have_ended() {
    let phases = ["Pending", "Running", "Unknown", "", "Succeeded", "Failed"];
    let cluster = Cluster { pods: phases.map(|phase| pod(phase, "a")).to_vec(), ..Cluster::default() };
    let reading = cluster.read(FACTORY, &given(&[])).await.unwrap();
    assert_eq!((reading.value, reading.active), (4.0, true));
    assert_eq!(*cluster.selectors.lock().unwrap(), ["app in (web, api)"], "the server selects");
}

#[tokio::test(start_paused = true)]
async fn activation_is_strict() {
    let cluster = Cluster { pods: vec![pod("Running", "a"); 3], ..Cluster::default() };
    let reading = cluster.read(FACTORY, &given(&[("activationValue", "3")])).await.unwrap();
    assert!(!reading.active);
    let reading = cluster.read(FACTORY, &given(&[("activationValue", "2.5")])).await.unwrap();
    assert!(reading.active);
    let reading = Cluster::default().read(FACTORY, &given(&[])).await.unwrap();
    assert_eq!((reading.value, reading.active), (0.0, false), "no pod is a value, not an error");
}

#[tokio::test(start_paused = true)]
async fn nodes_count_once_and_only_while_something_runs_there() {
    let pods = [("Running", "a"), ("Running", "a"), ("Pending", "b"), ("Pending", ""), ("Succeeded", "c")];
    let cluster = Cluster { pods: pods.map(|(phase, node)| pod(phase, node)).to_vec(), ..Cluster::default() };
    let reading = cluster.read(FACTORY, &given(&[("groupByNode", "true")])).await.unwrap();
    assert_eq!(reading.value, 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_list_is_an_error_and_not_zero_pods() {
    for (refused, kind) in [
        (ReadError::permanent("pods is forbidden"), Kind::Auth),
        (ReadError::temporary("the API server is away"), Kind::Unreachable),
    ] {
        let text = refused.message.clone();
        let cluster = Cluster { fails: Some(refused), ..Cluster::default() };
        let error = cluster.read(FACTORY, &given(&[])).await.unwrap_err();
        assert_eq!(error.to_string(), format!("error listing the pods of namespace shop: {text}"));
        assert_eq!(error.kind, kind);
    }
}

#[test]
fn selectors_that_kubernetes_takes() {
    for text in [
        "app=web",
        "app==web",
        "app!=web",
        " app = web , tier in (front,edge),!old ",
        "app",
        "!app",
        "app=",
        "app in ()",
        "app in (a,,b)",
        "app notin (a)",
        "example.com/app=web",
        "size > 3, size<9",
        "in in (in)",
        "a-b_c.D=1",
        "",
    ] {
        assert_eq!(selector::check(text), Ok(()), "{text:?}");
    }
}

#[test]
fn what_is_no_selector_is_refused_at_its_parameter() {
    for (text, why) in [
        ("app=a b", "found 'b', expected: ',' or the end"),
        ("app in a", "found 'a', expected: '('"),
        ("app in (a", "found the end, expected: ',' or ')'"),
        ("app=web,", "found the end, expected: a label's key"),
        ("=web", "found '=', expected: a label's key"),
        ("app is web", "found 'is', expected: in, notin, =, ==, !=, < or >"),
        ("app=-web", "\"-web\" is no label's value"),
        ("-app", "\"-app\" is no label's key"),
        ("Example.com/app", "\"Example.com/app\" is no label's key"),
        ("size>big", "found 'big', expected: a whole number after '>'"),
        ("app=ä", "\"ä\" is no label's value"),
    ] {
        let error = FACTORY.parse(&given(&[("podSelector", text)]), &context()).unwrap_err();
        let wanted = format!("parameter \"podSelector\" value {text:?} is not a label selector: {why}");
        assert!(error.message.ends_with(&wanted), "{error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_selector_or_a_reason(text in "[a-z=!(),<> /.-]{0,20}|.{0,20}") {
        if let Err(why) = selector::check(&text) {
            prop_assert!(!why.is_empty());
        }
    }

    /// In every spelling that Kubernetes' own printer and people use.
    #[test]
    fn well_formed_selectors_are_taken(
        parts in prop::collection::vec(
            ("([a-z]{1,8}\\.[a-z]{2,3}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,10}[A-Za-z0-9])?", "[A-Za-z0-9]{0,8}", 0..7_usize),
            0..5,
        ),
    ) {
        let spell = |(key, value, form): &(String, String, usize)| match form {
            0 => key.clone(),
            1 => format!("!{key}"),
            2 => format!("{key}={value}"),
            3 => format!("{key} == {value}"),
            4 => format!("{key}!={value}"),
            5 => format!("{key} in ({value}, {value})"),
            _ => format!("{key} notin ({value})"),
        };
        let text = parts.iter().map(spell).collect::<Vec<_>>().join(",");
        prop_assert_eq!(selector::check(&text), Ok(()), "{}", text);
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
