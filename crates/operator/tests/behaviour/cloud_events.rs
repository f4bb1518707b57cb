//! CloudEvents: who gets which, in which form, and what a receiver that is away costs.

use std::{collections::HashSet, time::Duration};

use k8s_openapi::api::events::v1::Event;
use keda_api::{CloudEventSource, ClusterCloudEventSource, Condition, ConditionStatus};
use keda_auth::azure::fake::{CLIENT, TENANT};
use keda_operator::ControllerOptions;
use keda_scaler::destinations::{Mode, Policy};
use keda_testkit::Denial;
use serde_json::{Value, json};

use crate::{
    condition,
    harness::{Does, OPERATOR, Setup, World, deployment, prometheus, scaled_object},
    replicas,
};

const SINK: &str = "sink.example:8080";
const TOPIC: &str = "topic.westeurope-1.eventgrid.azure.net";

fn source(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "eventing.keda.sh/v1alpha1", "kind": "CloudEventSource",
        "metadata": { "name": name, "namespace": "default" }, "spec": spec,
    })
}

fn cluster_source(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "eventing.keda.sh/v1alpha1", "kind": "ClusterCloudEventSource",
        "metadata": { "name": name }, "spec": spec,
    })
}

fn to(host: &str) -> Value {
    json!({ "destination": { "http": { "uri": format!("http://me:s3cret-word@{host}/in?code=s3cret-code") } } })
}

async fn world() -> World {
    let options = ControllerOptions { cluster_name: "prod".to_owned(), ..ControllerOptions::default() };
    let mut world = World::new(Setup { options, ..Setup::default() });
    world.start_operator().await;
    world.source.set("load", 0.0);
    world.source.sinks().set(SINK, Does::Takes);
    world
}

async fn object(world: &World, namespace: &str, name: &str) {
    for mut manifest in [deployment(name, 0), scaled_object(name, &[prometheus("load")])] {
        manifest["metadata"]["namespace"] = json!(namespace);
        world.apply(&manifest).await.unwrap();
    }
}

fn active(world: &World, name: &str) -> Condition {
    let object: CloudEventSource = world.server.read("default", name).unwrap();
    let conditions = object.status.and_then(|status| status.conditions).unwrap_or_default();
    conditions.get(Condition::ACTIVE).cloned().unwrap_or_else(|| panic!("{name} has no condition"))
}

fn said(world: &World, host: &str) -> Vec<String> {
    world.source.sinks().taken(host).iter().map(|received| received.said()).collect()
}

/// The value of a series.
fn measured(world: &World, series: &str) -> Option<String> {
    let page = world.registry.render();
    let line = page.lines().find(|line| line.starts_with(series))?;
    line.rsplit(' ').next().map(str::to_owned)
}

#[tokio::test(start_paused = true)]
async fn the_events_of_an_object_reach_an_http_sink_in_upstreams_form() {
    let mut world = world().await;
    world.apply(&source("sink", &to(SINK))).await.unwrap();
    object(&world, "default", "web").await;
    world.until(Duration::from_secs(10)).await;
    world
        .patch(
            "ScaledObject/web",
            &json!({ "metadata": { "annotations": { "autoscaling.keda.sh/paused": "true" } } }),
        )
        .await
        .unwrap();
    world.until(Duration::from_secs(20)).await;
    world
        .patch(
            "ScaledObject/web",
            &json!({ "metadata": { "annotations": { "autoscaling.keda.sh/paused": null } } }),
        )
        .await
        .unwrap();
    world.until(Duration::from_secs(30)).await;
    world
        .patch("ScaledObject/web", &json!({ "spec": { "scaleTargetRef": { "name": "none" } } }))
        .await
        .unwrap();
    world.until(Duration::from_secs(40)).await;
    world.delete("ScaledObject/web").await.unwrap();
    world.until(Duration::from_secs(50)).await;

    let taken = world.source.sinks().taken(SINK);
    let types: Vec<&str> = taken.iter().map(|received| received.header("ce-type")).collect();
    for wanted in ["ready", "paused", "unpaused", "failed", "removed"] {
        let wanted = format!("keda.scaledobject.{wanted}.v1");
        assert!(types.contains(&wanted.as_str()), "{wanted} is missing: {types:?}");
    }
    let first = &taken[0];
    assert_eq!(first.header("ce-type"), "keda.scaledobject.ready.v1");
    assert_eq!(first.header("ce-specversion"), "1.0");
    assert_eq!(first.header("ce-source"), "/prod/keda/keda");
    assert_eq!(first.header("ce-subject"), "/prod/default/scaledobject/web");
    assert_eq!(first.header("content-type"), "application/json");
    assert!(first.header("ce-time").ends_with('Z'));
    let text = json!({ "reason": "ScaledObjectReady", "message": "ScaledObject is ready for scaling" });
    assert_eq!(first.body, text);
    let ids: HashSet<&str> = taken.iter().map(|received| received.header("ce-id")).collect();
    assert_eq!(ids.len(), taken.len(), "each has an id of its own");
    // What scaling loops say stays in the cluster.
    assert!(!taken.iter().any(|received| received.body["reason"].as_str().unwrap().starts_with("KEDA")));

    let condition = active(&world, "sink");
    assert_eq!(condition.status, ConditionStatus::True);
    assert_eq!(condition.reason.as_deref(), Some("CloudEventSourceActive"));
    let text = "Is configured to send events to the configured destination";
    assert_eq!(condition.message.as_deref(), Some(text));
    let emitted = "keda_cloudeventsource_events_emitted_total{namespace=\"default\",cloudeventsource=\"sink\",eventsink=\"http\",state=\"emitted\"}";
    assert_eq!(measured(&world, emitted), Some(taken.len().to_string()));
    assert_eq!(
        measured(&world, "keda_cloudeventsource_events_queued{namespace=\"default\"}").as_deref(),
        Some("0")
    );
    let registered = "keda_resource_registered_total{type=\"cloudevent_source\",namespace=\"default\"}";
    assert_eq!(measured(&world, registered).as_deref(), Some("1"));
    let object: CloudEventSource = world.server.read("default", "sink").unwrap();
    assert_eq!(object.metadata.finalizers, None, "it needs no finalizer");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_source_gets_its_own_namespace_and_one_of_the_cluster_gets_all() {
    let mut world = world().await;
    world.source.sinks().set("all.example", Does::Takes);
    world.apply(&source("own.with.dots", &to(SINK))).await.unwrap();
    let mut spec = to("all.example");
    spec["clusterName"] = json!("blue");
    world.apply(&cluster_source("all", &spec)).await.unwrap();
    let other = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "other" } });
    world.apply(&other).await.unwrap();
    object(&world, "default", "web").await;
    object(&world, "other", "web").await;
    let topic = json!({ "apiVersion": "keda.sh/v1alpha1", "kind": "ClusterTriggerAuthentication", "metadata": { "name": "topic" },
        "spec": { "secretTargetRef": [{ "parameter": "accessKey", "name": "topic", "key": "key" }] } });
    world.apply(&topic).await.unwrap();
    world.until(Duration::from_secs(10)).await;
    let ready = "ScaledObjectReady";
    assert_eq!(said(&world, SINK), [format!("{ready} /prod/default/scaledobject/web")]);
    let mut all = said(&world, "all.example");
    all.sort();
    assert_eq!(
        all,
        [
            "ClusterTriggerAuthenticationAdded /blue//clustertriggerauthentication/topic".to_owned(),
            format!("{ready} /blue/default/scaledobject/web"),
            format!("{ready} /blue/other/scaledobject/web"),
        ]
    );
    let object: ClusterCloudEventSource = world.server.read("", "all").unwrap();
    assert!(object.status.unwrap().conditions.unwrap().is_true(Condition::ACTIVE));
    let emitted = "keda_cloudeventsource_events_emitted_total{namespace=\"other\",cloudeventsource=\"all\",eventsink=\"http\",state=\"emitted\"}";
    assert_eq!(measured(&world, emitted).as_deref(), Some("1"));
    let named = "keda_cloudeventsource_events_emitted_total{namespace=\"default\",cloudeventsource=\"own.with.dots\",eventsink=\"http\",state=\"emitted\"}";
    assert_eq!(measured(&world, named).as_deref(), Some("1"), "upstream cuts names at their dots");

    world.delete("ClusterCloudEventSource/all").await.unwrap();
    world.delete("CloudEventSource/own.with.dots").await.unwrap();
    world.until(Duration::from_secs(15)).await;
    world.delete("ScaledObject/web").await.unwrap();
    world.until(Duration::from_secs(30)).await;
    assert_eq!(said(&world, SINK).len(), 1, "nothing is sent for a source that is gone");
    assert_eq!(said(&world, "all.example").len(), 3);
    let page = world.registry.render();
    assert!(
        !page.contains("cloudeventsource=") && !page.contains("keda_cloudeventsource_events_queued{"),
        "{page}"
    );
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn each_source_filters_for_itself() {
    let mut world = world().await;
    let sinks = ["a.example", "b.example", "c.example", "d.example"];
    let subscriptions = [
        json!({ "includedEventTypes": ["keda.scaledobject.removed.v1"] }),
        json!({ "excludedEventTypes": ["keda.scaledobject.ready.v1"] }),
        json!({ "includedEventTypes": ["keda.authentication.triggerauthentication.created.v1"] }),
        json!({}),
    ];
    for (host, subscription) in sinks.iter().zip(subscriptions) {
        world.source.sinks().set(host, Does::Takes);
        let mut spec = to(host);
        spec["eventSubscription"] = subscription;
        world.apply(&source(&host.replace('.', "-"), &spec)).await.unwrap();
    }
    object(&world, "default", "web").await;
    let authentication = json!({ "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": { "name": "token" },
        "spec": { "secretTargetRef": [{ "parameter": "token", "name": "token", "key": "token" }] } });
    world.apply(&authentication).await.unwrap();
    world.until(Duration::from_secs(10)).await;
    world.delete("ScaledObject/web").await.unwrap();
    world.until(Duration::from_secs(20)).await;
    let reasons = |host: &str| {
        let mut said = said(&world, host);
        said.sort();
        said.into_iter().map(|said| said.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(reasons("a.example"), ["ScaledObjectDeleted"]);
    assert_eq!(reasons("b.example"), ["ScaledObjectDeleted", "TriggerAuthenticationAdded"]);
    assert_eq!(reasons("c.example"), ["TriggerAuthenticationAdded"]);
    assert_eq!(
        reasons("d.example"),
        ["ScaledObjectDeleted", "ScaledObjectReady", "TriggerAuthenticationAdded"]
    );
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_sink_is_tried_with_backoff_and_gets_all_it_missed_when_it_is_back() {
    let mut world = world().await;
    let sinks = world.source.sinks();
    sinks.set("dead.example", Does::Refuses);
    world.apply(&source("dead", &to("dead.example"))).await.unwrap();
    world.apply(&source("well", &to(SINK))).await.unwrap();
    object(&world, "default", "web").await;
    world.until(Duration::from_secs(60)).await;
    let condition = active(&world, "dead");
    assert_eq!(condition.status, ConditionStatus::False, "{condition:?}");
    assert_eq!(condition.reason.as_deref(), Some("CloudEventSourceFailed"));
    let text = "Failed to send events to the configured destination: POST http://dead.example/in: connection refused";
    assert_eq!(condition.message.as_deref(), Some(text), "no credentials, no query");
    assert_eq!(said(&world, SINK).len(), 1, "another source is not concerned");

    // A minute between two tries, and no write that changes nothing.
    world.until(Duration::from_secs(600)).await;
    let mark = world.server.mark();
    let tries = sinks.asked("dead.example").len();
    sinks.set("dead.example", Does::Hangs);
    world.until(Duration::from_secs(4200)).await;
    let tried = sinks.asked("dead.example").len() - tries;
    assert!((40..=65).contains(&tried), "{tried} tries in an hour");
    let writes = world.server.writes_since(mark);
    let writes = writes.iter().filter(|write| write.resource.starts_with("cloudeventsources")).count();
    assert!(writes <= 1, "{writes} writes, for one other reason");
    object(&world, "default", "api").await;
    world.delete("ScaledObject/web").await.unwrap();
    world.until(Duration::from_secs(4260)).await;
    assert_eq!(replicas(&world.server, "web"), 0, "scaling goes on");
    let queued = "keda_cloudeventsource_events_queued{namespace=\"default\"}";
    assert_eq!(measured(&world, queued).as_deref(), Some("3"));

    sinks.set("dead.example", Does::Takes);
    world.until(Duration::from_secs(4400)).await;
    let taken = sinks.taken("dead.example");
    let first = &taken[0];
    assert_eq!(first.said(), "ScaledObjectReady /prod/default/scaledobject/web");
    assert_eq!(first.header("ce-id"), sinks.asked("dead.example")[0].header("ce-id"), "one event, one id");
    let began = world.start();
    let happened: jiff::Timestamp = first.header("ce-time").parse().unwrap();
    assert!(happened.duration_since(began).as_secs() < 10, "the time is that of what happened");
    let mut all = said(&world, "dead.example");
    all.sort();
    assert_eq!(
        all,
        [
            "ScaledObjectDeleted /prod/default/scaledobject/web",
            "ScaledObjectReady /prod/default/scaledobject/api",
            "ScaledObjectReady /prod/default/scaledobject/web",
        ]
    );
    assert_eq!(active(&world, "dead").status, ConditionStatus::True);
    assert_eq!(measured(&world, queued).as_deref(), Some("0"));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_and_the_newest_events_are_kept() {
    let mut world = World::new(Setup { observe: false, hpa: None, rollout: false, ..Setup::default() });
    world.start_operator().await;
    world.source.set("load", 0.0);
    world.source.sinks().set(SINK, Does::Refuses);
    world.apply(&source("sink", &to(SINK))).await.unwrap();
    world.until(Duration::from_secs(1)).await;
    for index in 0..1500 {
        for mut manifest in [
            deployment(&format!("web-{index}"), 0),
            scaled_object(&format!("web-{index}"), &[prometheus("load")]),
        ] {
            manifest["metadata"]["namespace"] = json!("default");
            world.server.seed(&manifest).unwrap();
        }
    }
    world.until(Duration::from_secs(120)).await;
    let queued = "keda_cloudeventsource_events_queued{namespace=\"default\"}";
    assert_eq!(measured(&world, queued).as_deref(), Some("1024"));
    let failed = "keda_cloudeventsource_events_emitted_total{namespace=\"default\",cloudeventsource=\"sink\",eventsink=\"http\",state=\"failed\"}";
    let dropped: usize = measured(&world, failed).unwrap().parse().unwrap();
    assert!((476..520).contains(&dropped), "{dropped} dropped or failed");
    world.source.sinks().set(SINK, Does::Takes);
    world.until(Duration::from_secs(300)).await;
    let taken: HashSet<String> = said(&world, SINK).into_iter().collect();
    assert_eq!(taken.len(), 1024);
    assert!(taken.contains("ScaledObjectReady /kubernetes-default/default/scaledobject/web-1499"));
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_a_sink_refuses_does_not_hold_up_the_others() {
    let mut world = world().await;
    let sinks = world.source.sinks();
    sinks.set(SINK, Does::Dislikes("deleted"));
    world.apply(&source("sink", &to(SINK))).await.unwrap();
    object(&world, "default", "web").await;
    world.until(Duration::from_secs(10)).await;
    world.delete("ScaledObject/web").await.unwrap();
    world.until(Duration::from_secs(11)).await;
    object(&world, "default", "api").await;
    world.until(Duration::from_secs(120)).await;
    let refused = sinks.asked(SINK).into_iter().filter(|received| !received.taken).count();
    assert_eq!(refused, 6, "once, and five times again");
    assert_eq!(
        said(&world, SINK),
        [
            "ScaledObjectReady /prod/default/scaledobject/web",
            "ScaledObjectReady /prod/default/scaledobject/api"
        ]
    );
    assert_eq!(active(&world, "sink").status, ConditionStatus::True);

    // A receiver that asks to be left alone is, and one that sends elsewhere is not followed.
    sinks.set(SINK, Does::Answers(503, vec![("retry-after", "90")], ""));
    object(&world, "default", "more").await;
    world.until(Duration::from_secs(125)).await;
    let asked = sinks.asked(SINK).len();
    sinks.set(SINK, Does::Answers(302, vec![("location", "http://elsewhere/")], "s3cret-answer"));
    world.until(Duration::from_secs(205)).await;
    assert_eq!(sinks.asked(SINK).len(), asked, "asked again after 90 seconds at the earliest");
    world.until(Duration::from_secs(600)).await;
    let message = active(&world, "sink").message.unwrap();
    let text = "POST http://sink.example:8080/in: answered 302 Found, redirects are not followed";
    assert!(message.ends_with(text), "{message}");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_to_says_why_until_it_is_mended() {
    let mut world = world().await;
    let topic = |name: &str| {
        json!({
            "destination": { "azureEventGridTopic": { "endpoint": format!("https://{TOPIC}/api/events") } },
            "authenticationRef": { "name": name },
        })
    };
    world.apply(&source("nowhere", &json!({ "destination": {} }))).await.unwrap();
    world
        .apply(&source("wrong", &json!({ "destination": { "http": { "uri": "s3cret-word" } } })))
        .await
        .unwrap();
    world.apply(&source("topic", &topic("topic"))).await.unwrap();
    world.apply(&cluster_source("topic", &topic("topic"))).await.unwrap();
    world.until(Duration::from_secs(5)).await;
    let prefix = "Failed to send events to the configured destination: ";
    for (name, cause) in [
        ("nowhere", "destination must have http or azureEventGridTopic"),
        ("wrong", "destination.http.uri must be an http or https address"),
        ("topic", "TriggerAuthentication default/topic"),
    ] {
        let condition = active(&world, name);
        assert_eq!(condition.status, ConditionStatus::False);
        let message = condition.message.unwrap();
        assert!(message.starts_with(prefix) && message.contains(cause), "{name}: {message}");
    }
    let object: ClusterCloudEventSource = world.server.read("", "topic").unwrap();
    let message = object.status.unwrap().conditions.unwrap().get("Active").unwrap().message.clone().unwrap();
    assert!(message.contains("must be of kind ClusterTriggerAuthentication"), "{message}");

    // What happens meanwhile is not lost.
    object_and_authentication(&world).await;
    world.source.sinks().set(TOPIC, Does::Takes);
    world.until(Duration::from_secs(8)).await;
    assert_eq!(active(&world, "topic").status, ConditionStatus::True, "the authentication woke it");
    let taken = world.source.sinks().taken(TOPIC);
    assert!(!taken.is_empty());
    let first = &taken[0];
    assert_eq!(first.url, format!("https://{TOPIC}/api/events?api-version=2018-01-01"));
    assert_eq!(first.header("content-type"), "application/cloudevents-batch+json; charset=utf-8");
    assert_eq!(first.header("aeg-sas-key"), "s3cret-key");
    let event = &first.body[0];
    assert_eq!(first.body.as_array().unwrap().len(), 1);
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["source"], "/prod/keda/keda");
    assert_eq!(event["datacontenttype"], "application/json");
    assert!(event["data"]["reason"].is_string() && event["data"]["message"].is_string(), "{event}");
    // Edited to a sink that works.
    world.apply(&source("nowhere", &to(SINK))).await.unwrap();
    world.until(Duration::from_secs(10)).await;
    assert_eq!(active(&world, "nowhere").status, ConditionStatus::True);
    assert!(!said(&world, SINK).is_empty());

    // Another key is read when the old one is refused, and within a minute.
    let denied = r#"{"error":{"code":"Unauthorized","message":"The request authorization key s3cret-key is not valid"}}"#;
    world.source.sinks().set(TOPIC, Does::Answers(401, vec![], denied));
    world.delete("ScaledObject/web").await.unwrap();
    world.until(Duration::from_secs(60)).await;
    let message = active(&world, "topic").message.unwrap();
    let text = format!(
        "POST https://{TOPIC}/api/events: answered 401 Unauthorized: The request authorization key <hidden> is not valid"
    );
    assert!(message.ends_with(&text), "{message}");
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "topic" }, "stringData": { "key": "another-key" } });
    world.apply(&secret).await.unwrap();
    world.source.sinks().set(TOPIC, Does::Takes);
    world.until(Duration::from_secs(180)).await;
    assert_eq!(world.source.sinks().taken(TOPIC).last().unwrap().header("aeg-sas-key"), "another-key");
    assert_eq!(active(&world, "topic").status, ConditionStatus::True);
    world.finish().await;
}

async fn object_and_authentication(world: &World) {
    object(world, "default", "web").await;
    world.until(Duration::from_secs(6)).await;
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "topic" }, "stringData": { "key": "s3cret-key" } });
    world.apply(&secret).await.unwrap();
    let authentication = json!({ "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": { "name": "topic" },
        "spec": { "secretTargetRef": [{ "parameter": "accessKey", "name": "topic", "key": "key" }] } });
    world.apply(&authentication).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_topic_takes_a_token_of_the_operators_identity() {
    let mut world = world().await;
    let azure = world.source.azure().clone();
    let (issuer, subject) = ("https://kubernetes.default.svc", "system:serviceaccount:keda:keda-operator");
    azure.federate_as(CLIENT, issuer, subject, "api://AzureADTokenExchange");
    world.source.sinks().set(TOPIC, Does::Takes);
    for manifest in [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "keda" } }),
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "keda-operator", "namespace": "keda", "annotations": {
            "azure.workload.identity/client-id": CLIENT, "azure.workload.identity/tenant-id": TENANT } } }),
        json!({ "apiVersion": "keda.sh/v1alpha1", "kind": "ClusterTriggerAuthentication", "metadata": { "name": "azure" },
            "spec": { "podIdentity": { "provider": "azure-workload" } } }),
        cluster_source(
            "topic",
            &json!({
            "destination": { "azureEventGridTopic": { "endpoint": format!("https://{TOPIC}/api/events") } },
            "authenticationRef": { "name": "azure", "kind": "ClusterTriggerAuthentication" } }),
        ),
    ] {
        world.server.seed(&manifest).unwrap();
    }
    object(&world, "default", "web").await;
    world.until(Duration::from_secs(20)).await;
    let taken = world.source.sinks().taken(TOPIC);
    assert!(
        taken.iter().any(|received| received.body[0]["type"] == "keda.scaledobject.ready.v1"),
        "{taken:?}"
    );
    assert!(taken.iter().all(|received| received.header("authorization").starts_with("Bearer ")));
    let asked = azure.token_requests();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0]["scope"], "https://eventgrid.azure.net/.default");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn keys_of_the_cluster_go_where_they_are_allowed_to_go_7782() {
    let destinations = Policy { mode: Mode::Enforce, ..Policy::default() };
    let mut world = World::new(Setup {
        options: ControllerOptions { destinations, ..ControllerOptions::default() },
        ..Setup::default()
    });
    world.start_operator().await;
    world.source.set("load", 0.0);
    for host in ["evil.example", TOPIC] {
        world.source.sinks().set(host, Does::Takes);
    }
    for manifest in [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "keda" } }),
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "topic", "namespace": "keda" }, "data": { "key": "czNjcmV0LWtleQ==" } }),
        json!({ "apiVersion": "keda.sh/v1alpha1", "kind": "ClusterTriggerAuthentication", "metadata": { "name": "topic" },
            "spec": { "secretTargetRef": [{ "parameter": "accessKey", "name": "topic", "key": "key" }] } }),
    ] {
        world.server.seed(&manifest).unwrap();
    }
    let to_topic = |host: &str| {
        json!({
            "destination": { "azureEventGridTopic": { "endpoint": format!("https://{host}/api/events") } },
            "authenticationRef": { "name": "topic", "kind": "ClusterTriggerAuthentication" },
        })
    };
    world.apply(&source("evil", &to_topic("evil.example"))).await.unwrap();
    world.apply(&source("good", &to_topic(TOPIC))).await.unwrap();
    object(&world, "default", "web").await;
    world.until(Duration::from_secs(60)).await;
    let message = active(&world, "evil").message.unwrap();
    let wanted =
        "of ClusterTriggerAuthentication topic is not sent to host evil.example, which this object chose";
    assert!(message.contains(wanted), "{message}");
    assert!(world.source.sinks().asked("evil.example").is_empty());
    assert_eq!(active(&world, "good").status, ConditionStatus::True);
    assert_eq!(world.source.sinks().taken(TOPIC)[0].header("aeg-sas-key"), "s3cret-key");
    // Whoever makes a source of the cluster decides for the cluster.
    world.apply(&cluster_source("all", &to_topic("evil.example"))).await.unwrap();
    world.until(Duration::from_secs(70)).await;
    object(&world, "default", "api").await;
    world.until(Duration::from_secs(80)).await;
    assert_eq!(world.source.sinks().taken("evil.example").len(), 1);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_a_clean_end_is_still_said() {
    const OBJECTS: usize = 40;
    let mut world = world().await;
    let sinks = world.source.sinks();
    sinks.set(SINK, Does::TakesTime(Duration::from_millis(50)));
    sinks.set("away.example", Does::Hangs);
    world.apply(&source("sink", &to(SINK))).await.unwrap();
    world.apply(&source("away", &to("away.example"))).await.unwrap();
    world.until(Duration::from_secs(1)).await;
    for index in 0..OBJECTS {
        object(&world, "default", &format!("web-{index}")).await;
    }
    // All are ready at once, eight events are under way at a time, and the operator stops in their midst.
    tokio::time::sleep(Duration::from_millis(120)).await;
    let before = said(&world, SINK).len();
    assert!((8..OBJECTS - 8).contains(&before), "{before} delivered by then");
    let began = world.elapsed();
    world.stop_operator(false).await;
    let took = world.elapsed() - began;
    assert!(took <= Duration::from_secs(2), "a sink that is away holds up nobody for longer: {took:?}");
    let delivered: HashSet<String> = said(&world, SINK).into_iter().collect();
    assert_eq!(delivered.len(), OBJECTS);
    let ready = |event: &&Event| event.reason.as_deref() == Some("ScaledObjectReady");
    assert_eq!(world.server.all::<Event>("default").iter().filter(ready).count(), OBJECTS);
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn upstreams_finalizer_holds_no_source() {
    let mut world = world().await;
    let mut held = source("held", &to(SINK));
    held["metadata"]["finalizers"] = json!(["finalizer.keda.sh", "example.com/other"]);
    world.apply(&held).await.unwrap();
    let mut cluster = cluster_source("held", &to(SINK));
    cluster["metadata"]["finalizers"] = json!(["finalizer.keda.sh"]);
    world.apply(&cluster).await.unwrap();
    world.until(Duration::from_secs(5)).await;
    world.delete("CloudEventSource/held").await.unwrap();
    world.delete("ClusterCloudEventSource/held").await.unwrap();
    world.until(Duration::from_secs(10)).await;
    let left: CloudEventSource = world.server.read("default", "held").unwrap();
    assert_eq!(left.metadata.finalizers.unwrap(), ["example.com/other"]);
    assert!(world.server.read::<ClusterCloudEventSource>("", "held").is_none());
    object(&world, "default", "web").await;
    world.until(Duration::from_secs(20)).await;
    assert!(said(&world, SINK).is_empty(), "one that is being deleted gets nothing");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn scaling_needs_no_right_to_watch_event_sources() {
    let mut world = World::new(Setup::default());
    for resource in ["cloudeventsources", "clustercloudeventsources"] {
        for verb in ["list", "watch"] {
            world.server.deny(Denial {
                user: OPERATOR.to_owned(),
                verb: verb.to_owned(),
                group: "eventing.keda.sh".to_owned(),
                resource: resource.to_owned(),
                namespace: String::new(),
            });
        }
    }
    world.start_operator().await;
    world.source.set("load", 5.0);
    object(&world, "default", "web").await;
    world.until(Duration::from_secs(60)).await;
    assert_eq!(replicas(&world.server, "web"), 1);
    assert_eq!(condition(&world.server, "web", "Ready").status, ConditionStatus::True);
    world.finish().await;
}
