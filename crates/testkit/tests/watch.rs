//! Watches through kube-rs: events, selectors, bookmarks, lost history, dropped connections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail by panicking"
)]

use std::{pin::pin, time::Duration};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use keda_testkit::{ApiServer, Fault, Rates, Verb};
use kube::{
    Api, ResourceExt,
    api::{ListParams, PartialObjectMeta, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
    runtime::{WatchStreamExt, reflector, watcher},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

fn config_map(name: &str, label: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": {"of": label}}})).unwrap()
}

fn label(value: &str) -> Patch<Value> {
    Patch::Merge(json!({"metadata": {"labels": {"of": value}}}))
}

fn seen(event: &WatchEvent<ConfigMap>) -> String {
    match event {
        WatchEvent::Added(object) => format!("+{}", object.name_any()),
        WatchEvent::Modified(object) => format!("~{}", object.name_any()),
        WatchEvent::Deleted(object) => format!("-{}", object.name_any()),
        WatchEvent::Bookmark(_) => "bookmark".to_owned(),
        WatchEvent::Error(status) => format!("!{}", status.code),
    }
}

#[tokio::test(start_paused = true)]
async fn events_from_a_version_on() {
    let server = ApiServer::new();
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    let first = api.create(&PostParams::default(), &config_map("a", "x")).await.unwrap();
    let version = first.resource_version().unwrap();
    api.create(&PostParams::default(), &config_map("b", "x")).await.unwrap();
    api.patch("a", &PatchParams::default(), &label("y")).await.unwrap();
    let watch = api.watch(&WatchParams::default().timeout(5), &version).await.unwrap();
    api.delete("b", &Default::default()).await.unwrap();
    let began = Instant::now();
    let events: Vec<String> = watch.map_ok(|event| seen(&event)).try_collect().await.unwrap();
    assert_eq!(events, ["+b", "~a", "-b"]);
    assert_eq!(began.elapsed(), Duration::from_secs(5), "the watch ended by its own timeout");
}

#[tokio::test(start_paused = true)]
async fn objects_enter_and_leave_a_selection() {
    let server = ApiServer::new();
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    api.create(&PostParams::default(), &config_map("a", "in")).await.unwrap();
    let params = WatchParams::default().labels("of=in").timeout(5);
    let watch = api.watch(&params, "0").await.unwrap();
    api.patch("a", &PatchParams::default(), &label("out")).await.unwrap();
    api.patch("a", &PatchParams::default(), &label("still-out")).await.unwrap();
    api.patch("a", &PatchParams::default(), &label("in")).await.unwrap();
    api.create(&PostParams::default(), &config_map("b", "out")).await.unwrap();
    let events: Vec<String> = watch.map_ok(|event| seen(&event)).try_collect().await.unwrap();
    assert_eq!(events, ["+a", "-a", "+a"]);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_and_streaming_lists() {
    let server = ApiServer::new();
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    api.create(&PostParams::default(), &config_map("a", "x")).await.unwrap();
    let params = WatchParams::streaming_lists().timeout(150);
    let watch = api.watch(&params, "").await.unwrap();
    let events: Vec<WatchEvent<ConfigMap>> = watch.try_collect().await.unwrap();
    assert_eq!(events.iter().map(seen).collect::<Vec<_>>(), ["+a", "bookmark", "bookmark", "bookmark"]);
    let WatchEvent::Bookmark(bookmark) = &events[1] else { panic!("no bookmark") };
    assert_eq!(bookmark.metadata.annotations["k8s.io/initial-events-end"], "true");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_too_late_gets_410() {
    let server = ApiServer::new();
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    let version = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let open = api.watch(&WatchParams::default().timeout(9), &version).await.unwrap();
    server.expire_history();
    let late: Vec<String> = api
        .watch(&WatchParams::default(), &version)
        .await
        .unwrap()
        .map_ok(|event| seen(&event))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(late, ["!410"]);
    // The one that is open has missed nothing.
    api.create(&PostParams::default(), &config_map("a", "x")).await.unwrap();
    let open: Vec<String> = open.map_ok(|event| seen(&event)).try_collect().await.unwrap();
    assert_eq!(open, ["+a"]);
}

/// The reflector stays true through dropped watches, lost history and refusals, and says so in little virtual time.
#[tokio::test(start_paused = true)]
async fn a_reflector_survives_everything() {
    let server = ApiServer::new();
    let api: Api<ConfigMap> = Api::default_namespaced(server.client());
    let (store, writer) = reflector::store();
    let watch = watcher(api.clone(), watcher::Config::default()).default_backoff();
    let driver = tokio::spawn(reflector(writer, watch).for_each(|_| std::future::ready(())));
    store.wait_until_ready().await.unwrap();

    for round in 0..20 {
        api.create(&PostParams::default(), &config_map(&format!("m{round}"), "x")).await.unwrap();
        match round % 4 {
            0 => server.drop_watches(),
            1 => {
                server.expire_history();
                server.drop_watches();
            }
            2 => {
                server.faults().next(2, |request| request.verb == Verb::Watch, Fault::Unavailable);
                server.faults().next(1, |request| request.verb == Verb::List, Fault::Disconnect);
                server.expire_history();
                server.drop_watches();
            }
            _ => {}
        }
        if round % 3 == 0 {
            api.delete(&format!("m{round}"), &Default::default()).await.unwrap();
        }
        sleep(Duration::from_secs(120)).await;
        let mut expected: Vec<String> =
            api.list(&ListParams::default()).await.unwrap().iter().map(ResourceExt::name_any).collect();
        let mut found: Vec<String> = store.state().iter().map(|object| object.name_any()).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "round {round}");
    }
    driver.abort();
}

#[tokio::test(start_paused = true)]
async fn random_faults_replay_by_seed_and_the_reflector_converges() {
    let run = |seed: u64| async move {
        let server = ApiServer::new();
        let api: Api<ConfigMap> = Api::default_namespaced(server.client_for("writer"));
        let reader: Api<ConfigMap> = Api::default_namespaced(server.client_for("reader"));
        let (store, writer) = reflector::store();
        let watch = watcher(reader, watcher::Config::default()).default_backoff();
        let driver = tokio::spawn(reflector(writer, watch).for_each(|_| std::future::ready(())));
        server.faults().random(
            seed,
            Rates {
                conflict: 0.1,
                too_many_requests: 0.1,
                internal: 0.1,
                disconnect: 0.05,
                drop_watch: 0.2,
                expire: 0.1,
                latency: Duration::from_millis(300),
            },
        );
        let mut accepted = Vec::new();
        for round in 0..40 {
            let name = format!("m{round}");
            if api.create(&PostParams::default(), &config_map(&name, "x")).await.is_ok() {
                accepted.push(name);
            }
            sleep(Duration::from_secs(5)).await;
        }
        server.faults().clear();
        sleep(Duration::from_secs(600)).await;
        let mut found: Vec<String> = store.state().iter().map(|object| object.name_any()).collect();
        found.sort();
        accepted.sort();
        assert_eq!(found, accepted, "seed {seed}");
        driver.abort();
        let requests = server.requests();
        let written = requests.iter().filter(|request| request.user == "writer");
        written.map(|request| (request.at, request.status)).collect::<Vec<_>>()
    };
    let one = run(7).await;
    assert_eq!(one, run(7).await, "the same seed is the same run");
    assert_ne!(one, run(8).await);
}

#[tokio::test(start_paused = true)]
async fn metadata_only_watches() {
    let server = ApiServer::new();
    let api: Api<PartialObjectMeta<ConfigMap>> = Api::default_namespaced(server.client());
    let mut changes = pin!(watcher(api, watcher::Config::default()).applied_objects());
    server.seed(&config_map("a", "x")).unwrap();
    let first = timeout(Duration::from_secs(60), changes.try_next()).await.unwrap().unwrap().unwrap();
    assert_eq!(first.name_any(), "a");
    assert_eq!(first.labels()["of"], "x");
}
