//! What credentials are kept from: hosts that somebody else chose, Secrets of other namespaces, authentications without the label.

use std::time::Duration;

use keda_operator::{ControllerOptions, Scope};
use keda_scaler::destinations::{Hosts, Mode, Policy};
use keda_testkit::Verb;
use serde_json::{Value, json};

use crate::{
    condition,
    harness::{OPERATOR, Setup, World, deployment, prometheus, scaled_object},
    replicas,
};

/// A Secret with a token, in a namespace.
fn secret(namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "token", "namespace": namespace },
        "stringData": { "token": format!("hunter2-of-{namespace}") },
    })
}

/// An authentication that reads it.
fn authentication(kind: &str, metadata: &Value) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": kind, "metadata": metadata,
        "spec": { "secretTargetRef": [{ "parameter": "bearerToken", "name": "token", "key": "token" }] },
    })
}

/// The object `web`, whose trigger shows a bearer token of the authentication `auth`.
fn web(kind: &str) -> Value {
    let mut trigger = prometheus("load");
    trigger["metadata"]["authModes"] = json!("bearer");
    trigger["authenticationRef"] = json!({ "name": "auth", "kind": kind });
    scaled_object("web", &[trigger])
}

async fn world(options: ControllerOptions, scope: Scope, authentication: &Value, kind: &str) -> World {
    let mut world = World::new(Setup { options, scope, ..Setup::default() });
    world.source.set("load", 5.0);
    for object in [secret("keda"), secret("default"), authentication.clone(), deployment("web", 0)] {
        world.server.seed(&object).unwrap();
    }
    world.start_operator().await;
    world.apply(&web(kind)).await.unwrap();
    world.until(Duration::from_secs(120)).await;
    world
}

fn scope() -> Scope {
    Setup::default().scope
}

fn policy(mode: Mode, hosts: &str) -> ControllerOptions {
    let mut policy = Policy { mode, ..Policy::default() };
    policy.hosts.extend(Hosts::parse(hosts).unwrap());
    ControllerOptions { destinations: policy, ..ControllerOptions::default() }
}

fn notes(world: &World, reason: &str) -> Vec<String> {
    let note = |event: &Value| event["note"].as_str().unwrap_or_default().to_owned();
    world.seen(|history| {
        let events = history.events();
        events.iter().filter(|(_, event)| event["reason"] == reason).map(|(_, event)| note(event)).collect()
    })
}

const CLUSTER: &str = "ClusterTriggerAuthentication";

#[tokio::test(start_paused = true)]
async fn a_clusters_credential_at_a_tenants_address_is_said_once_7782() {
    let shared = authentication(CLUSTER, &json!({ "name": "auth" }));
    let mut world = world(ControllerOptions::default(), scope(), &shared, CLUSTER).await;
    assert_eq!(replicas(&world.server, "web"), 1, "it works as upstream");
    world.patch("ScaledObject/web", &json!({ "spec": { "cooldownPeriod": 61 } })).await.unwrap();
    world.until(Duration::from_secs(180)).await;
    assert_eq!(
        notes(&world, "KEDAScalerInfo"),
        [
            "serverAddress: a parameter of ClusterTriggerAuthentication auth is sent to host prometheus, which this object chose \
             [destination-refused]; with --credential-destinations=enforce it is not; an administrator can allow it with the \
             annotation keda-rs.dev/allowed-hosts of ClusterTriggerAuthentication auth, or --credential-hosts"
        ]
    );
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn enforced_it_is_never_sent_7782() {
    let shared = authentication(CLUSTER, &json!({ "name": "auth" }));
    let mut world = world(policy(Mode::Enforce, "other"), scope(), &shared, CLUSTER).await;
    assert!(world.source.asked().is_empty());
    let ready = condition(&world.server, "web", "Ready");
    let message = ready.message.unwrap_or_default();
    let expected =
        "serverAddress: a parameter of ClusterTriggerAuthentication auth is not sent to host prometheus";
    assert!(message.contains(expected) && message.contains("[destination-refused]"), "{message}");

    // An administrator lists the host: at once.
    let annotations = json!({ "keda-rs.dev/allowed-hosts": "prometheus:9090" });
    let listed = authentication(CLUSTER, &json!({ "name": "auth", "annotations": annotations }));
    world.apply(&listed).await.unwrap();
    world.until(Duration::from_secs(300)).await;
    assert_eq!(replicas(&world.server, "web"), 1);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn hosts_of_the_flag_and_silence_are_honoured() {
    for options in [policy(Mode::Enforce, "prometheus"), policy(Mode::Ignore, "")] {
        let shared = authentication(CLUSTER, &json!({ "name": "auth" }));
        let mut world = world(options, scope(), &shared, CLUSTER).await;
        assert_eq!(replicas(&world.server, "web"), 1);
        assert_eq!(notes(&world, "KEDAScalerInfo"), Vec::<String>::new());
        world.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_of_hosts_binds_a_namespaces_own_credential() {
    for (list, sent) in [("prometheus", true), ("*.example.com, prometheus:443", false)] {
        let annotations = json!({ "keda-rs.dev/allowed-hosts": list });
        let metadata = json!({ "name": "auth", "namespace": "default", "annotations": annotations });
        let own = authentication("TriggerAuthentication", &metadata);
        let mut world = world(ControllerOptions::default(), scope(), &own, "TriggerAuthentication").await;
        assert_eq!(!world.source.asked().is_empty(), sent, "{list}");
        let message = condition(&world.server, "web", "Ready").message.unwrap_or_default();
        assert_eq!(
            message.contains("are not sent to host prometheus [destination-refused]"),
            !sent,
            "{message}"
        );
        world.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn restricted_secret_access_reads_one_namespace_and_redirects_nothing() {
    let own = authentication("TriggerAuthentication", &json!({ "name": "auth", "namespace": "default" }));
    let shared = authentication(CLUSTER, &json!({ "name": "auth" }));
    for (authentication, kind, works) in [(own, "TriggerAuthentication", false), (shared, CLUSTER, true)] {
        let options = ControllerOptions { restrict_secret_access: true, ..policy(Mode::Ignore, "") };
        let mut world = world(options, scope(), &authentication, kind).await;
        let asked = world.source.asked();
        // Upstream would show the Secret of this name in namespace keda (auth.md §1.5).
        assert_eq!(!asked.is_empty(), works, "{kind}");
        assert!(asked.iter().all(|asked| asked.headers["authorization"] == "Bearer hunter2-of-keda"));
        if !works {
            let message = condition(&world.server, "web", "Ready").message.unwrap_or_default();
            let expected = "cannot read Secret default/token: the operator runs with KEDA_RESTRICT_SECRET_ACCESS and reads Secrets of \
                            namespace keda only";
            assert!(message.contains(expected), "{message}");
        }
        let requests = world.server.requests();
        let mut secrets =
            requests.iter().filter(|request| request.user == OPERATOR && request.resource == "secrets");
        assert!(secrets.all(|request| request.verb == Verb::Get && request.namespace == "keda"));
        world.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_authentication_without_the_label_does_not_count() {
    for (labels, works) in [(json!({ "team": "blue" }), true), (json!({ "team": "green" }), false)] {
        for kind in ["TriggerAuthentication", CLUSTER] {
            let mut metadata = json!({ "name": "auth", "labels": labels });
            if kind != CLUSTER {
                metadata["namespace"] = json!("default");
            }
            let selector = Some("team in (blue, red)".to_owned());
            let scope = Scope { trigger_authentication_selector: selector, ..scope() };
            let mut world =
                world(policy(Mode::Ignore, ""), scope, &authentication(kind, &metadata), kind).await;
            assert_eq!(!world.source.asked().is_empty(), works, "{kind} {labels}");
            let message = condition(&world.server, "web", "Ready").message.unwrap_or_default();
            let expected =
                "it lacks the labels \"team in (blue, red)\" of WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH";
            assert_eq!(message.contains(expected), !works, "{message}");
            if !works {
                // The label appears.
                metadata["labels"] = json!({ "team": "red" });
                world.apply(&authentication(kind, &metadata)).await.unwrap();
                world.until(Duration::from_secs(240)).await;
                assert_eq!(replicas(&world.server, "web"), 1, "{kind}");
            }
            world.finish().await;
        }
    }
}
