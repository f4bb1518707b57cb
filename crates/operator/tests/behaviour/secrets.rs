//! Credentials are used, and shown nowhere: not in events, conditions, logs, metrics or errors.
//!
//! Every other test on a [`World`] is held to the same, by the harness (`harness/canaries.rs`).

use std::time::Duration;

use keda_testkit::source::Answer;
use serde_json::json;

use crate::harness::{OPERATOR, Setup, World, deployment, prometheus, scaled_object};

const TOKEN: &str = "hunter2-bearer";
const PASSWORD: &str = "correct-horse-battery";
const KEY: &str = "key-in-the-query";

#[tokio::test(start_paused = true)]
async fn credentials_are_used_and_shown_nowhere() {
    let mut world = World::new(Setup::default());
    world.start_operator().await;
    world
        .apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "credentials" },
            "stringData": { "token": TOKEN, "password": PASSWORD, "key": KEY },
        }))
        .await
        .unwrap();
    let modes = [
        ("bearer", json!([{ "parameter": "bearerToken", "name": "credentials", "key": "token" }])),
        ("basic", json!([{ "parameter": "password", "name": "credentials", "key": "password" }])),
        ("apiKey", json!([{ "parameter": "apiKey", "name": "credentials", "key": "key" }])),
    ];
    for (mode, targets) in modes {
        let name = mode.to_lowercase();
        world
            .apply(&json!({
                "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": { "name": name },
                "spec": { "secretTargetRef": targets },
            }))
            .await
            .unwrap();
        let mut trigger = prometheus(&name);
        trigger["metadata"]["authModes"] = json!(mode);
        trigger["metadata"]["method"] = json!("query");
        trigger["metadata"]["keyParamName"] = json!("access");
        if mode == "basic" {
            trigger["metadata"]["username"] = json!("jane");
        }
        trigger["authenticationRef"] = json!({ "name": name });
        world.source.set(&name, 5.0);
        world.apply(&deployment(&name, 0)).await.unwrap();
        world.apply(&scaled_object(&name, &[trigger])).await.unwrap();
    }
    world.until(Duration::from_secs(60)).await;
    let sent = world.source.asked();
    let bearer = sent.iter().find(|asked| asked.query == "bearer").expect("the source was asked");
    assert_eq!(bearer.headers["authorization"], format!("Bearer {TOKEN}").as_str(), "the credential is used");

    // The source throws the credentials back, as some do.
    for (mode, secret) in modes_and_secrets() {
        world.source.set(mode, Answer::Status(401, format!("who is {secret}?")));
    }
    world.until(Duration::from_secs(180)).await;
    let _refused = world.metrics().get("default", "bearer", "s0-prometheus").await.unwrap_err();
    world.finish().await;

    let shown = world.shown();
    let log = &shown.iter().find(|(place, _)| place == "log").unwrap().1;
    assert!(log.contains("status: 401"), "the failure is logged");
    for (mode, secret) in modes_and_secrets() {
        for (place, text) in &shown {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{mode}'s credential in the {place}");
        }
    }
}

/// What [`World::finish`] does at the end of every test can fail.
#[tokio::test(start_paused = true)]
async fn a_credential_that_is_shown_fails_the_test() {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "credentials" }, "stringData": { "token": TOKEN },
        "data": { "password": "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5" },
    });
    type Show = fn(&World);
    let shows: [(&str, &str, Show); 4] = [
        ("log", TOKEN, |_| tracing::debug!("the server said {TOKEN}")),
        ("log", PASSWORD, |_| tracing::trace!(password = PASSWORD, "Debug of something")),
        ("objects", TOKEN, |world| {
            let mut shown = deployment("web", 0);
            shown["metadata"]["annotations"] = json!({ "note": format!("who is {TOKEN}?") });
            world.server.seed(&shown).unwrap();
        }),
        ("metrics", PASSWORD, |world| world.show_in_metrics(PASSWORD)),
    ];
    for (place, secret_value, show) in shows {
        let world = World::new(Setup::default());
        world.apply(&secret).await.unwrap();
        assert_eq!(world.leaks(), Vec::<String>::new());
        show(&world);
        let leaks = world.leaks();
        assert!(
            leaks.iter().all(|leak| !leak.contains(secret_value)),
            "the finding shows it as well: {leaks:?}"
        );
        assert!(leaks.iter().any(|leak| leak.contains(&format!("in the {place}"))), "{place}: {leaks:?}");
    }
}

fn modes_and_secrets() -> [(&'static str, &'static str); 3] {
    [("bearer", TOKEN), ("basic", PASSWORD), ("apikey", KEY)]
}

#[tokio::test(start_paused = true)]
async fn a_changed_credential_reaches_a_running_trigger_6977_3977() {
    let mut world = World::new(Setup::default());
    world.start_operator().await;
    world.source.set("load", 5.0);
    let secret = |name: &str, token: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": { "token": token },
        })
    };
    let authentication = |secret: &str| {
        json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": { "name": "token" },
            "spec": { "secretTargetRef": [{ "parameter": "bearerToken", "name": secret, "key": "token" }] },
        })
    };
    world.apply(&secret("one", "first-token")).await.unwrap();
    world.apply(&secret("two", "second-token")).await.unwrap();
    world.apply(&authentication("one")).await.unwrap();
    let mut trigger = prometheus("load");
    trigger["metadata"]["authModes"] = json!("bearer");
    trigger["authenticationRef"] = json!({ "name": "token" });
    world.apply(&deployment("web", 0)).await.unwrap();
    world.apply(&scaled_object("web", &[trigger])).await.unwrap();
    let used = |world: &World| {
        let asked = world.source.asked();
        asked.last().unwrap().headers["authorization"].to_str().unwrap().to_owned()
    };
    world.until(Duration::from_secs(60)).await;
    assert_eq!(used(&world), "Bearer first-token");

    // Another Secret is referred to: at once.
    world.apply(&authentication("two")).await.unwrap();
    world.until(Duration::from_secs(61)).await;
    assert_eq!(used(&world), "Bearer second-token");

    // The Secret is rotated and the old token refused: read again within seconds, and well by the next poll.
    world.source.set("load", Answer::Status(401, "token revoked".to_owned()));
    world.apply(&secret("two", "third-token")).await.unwrap();
    world.until(Duration::from_secs(105)).await;
    assert_eq!(used(&world), "Bearer third-token");
    world.source.set("load", 5.0);
    world.until(Duration::from_secs(140)).await;
    let ready = crate::condition(&world.server, "web", "Ready");
    assert_eq!(ready.status, keda_api::ConditionStatus::True, "{ready:?}");

    // Rotated while the old token is still taken: within a round, and the spec is the same.
    world.apply(&secret("two", "fourth-token")).await.unwrap();
    world.until(Duration::from_secs(165)).await;
    assert_eq!(used(&world), "Bearer fourth-token");

    // Deleted: the object says so. Back again: it goes on.
    world.delete("Secret/two").await.unwrap();
    world.until(Duration::from_secs(190)).await;
    let ready = crate::condition(&world.server, "web", "Ready");
    assert!(ready.message.as_deref().unwrap_or_default().contains("two"), "{ready:?}");
    world.apply(&secret("two", "fifth-token")).await.unwrap();
    world.until(Duration::from_secs(215)).await;
    assert_eq!(used(&world), "Bearer fifth-token");

    // All of that without a write while nothing changes.
    world.until(Duration::from_secs(300)).await;
    let mark = world.server.mark();
    world.until(Duration::from_secs(1000)).await;
    let writes = world.server.writes_since(mark);
    let ours = writes.iter().find(|write| write.user == OPERATOR && !write.resource.starts_with("leases"));
    assert!(ours.is_none(), "{ours:?}");
    world.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_bound_token_that_has_expired_is_made_anew_after_one_failed_poll() {
    let mut world = World::new(Setup::default());
    world.start_operator().await;
    world.source.set("load", 5.0);
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "reader" } });
    let authentication = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": { "name": "token" },
        "spec": { "boundServiceAccountToken": [{ "parameter": "bearerToken", "serviceAccountName": "reader" }] },
    });
    for object in [account, authentication] {
        world.apply(&object).await.unwrap();
    }
    let mut trigger = prometheus("load");
    trigger["metadata"]["authModes"] = json!("bearer");
    trigger["authenticationRef"] = json!({ "name": "token" });
    world.apply(&deployment("web", 0)).await.unwrap();
    world.apply(&scaled_object("web", &[trigger])).await.unwrap();
    let used = |world: &World| {
        let asked = world.source.asked();
        asked.last().unwrap().headers["authorization"].to_str().unwrap().to_owned()
    };
    world.until(Duration::from_secs(600)).await;
    let first = used(&world);
    assert!(first.starts_with("Bearer ey"), "a token of the account");

    // The source takes it no more. What failed once is read anew within ten seconds, and the next poll is well.
    world.source.set("load", Answer::Status(401, "the token has expired".to_owned()));
    world.until(Duration::from_secs(645)).await;
    let second = used(&world);
    assert_ne!(second, first);
    world.source.set("load", 5.0);
    world.until(Duration::from_secs(680)).await;
    let ready = crate::condition(&world.server, "web", "Ready");
    assert_eq!(ready.status, keda_api::ConditionStatus::True, "{ready:?}");
    let shown = world.shown();
    for token in [first, second] {
        let token = token.trim_start_matches("Bearer ").to_owned();
        let places: Vec<_> =
            shown.iter().filter(|(_, text)| text.contains(&token)).map(|(place, _)| place).collect();
        assert!(places.is_empty(), "the token is in {places:?}");
    }
    world.finish().await;
}

/// When a token of the API server expires.
fn expiry(bearer: &str) -> jiff::Timestamp {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let payload = bearer.split('.').nth(1).expect("a token");
    let claims = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    jiff::Timestamp::from_second(claims["exp"].as_i64().unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn bound_tokens_are_renewed_before_they_expire() {
    let mut world = World::new(Setup::default());
    world.start_operator().await;
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "reader" } });
    world.apply(&account).await.unwrap();
    world
        .apply(&json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": { "name": "bound" },
            "spec": { "boundServiceAccountToken": [{ "parameter": "bearerToken", "serviceAccountName": "reader" }] },
        }))
        .await
        .unwrap();
    let mut trigger = prometheus("load");
    trigger["metadata"]["authModes"] = json!("bearer");
    trigger["authenticationRef"] = json!({ "name": "bound" });
    world.source.set("load", 5.0);
    world.apply(&deployment("web", 0)).await.unwrap();
    world.apply(&scaled_object("web", &[trigger])).await.unwrap();
    let hours = 5;
    world.until(Duration::from_secs(hours * 3600)).await;

    let asked = world.source.asked();
    assert!(asked.len() > 500, "it is polled: {}", asked.len());
    let mut tokens = std::collections::BTreeSet::new();
    for asked in &asked {
        let token = asked.headers["authorization"].to_str().unwrap();
        let left = expiry(token).duration_since(world.start()) - asked.at.try_into().unwrap();
        assert!(left > jiff::SignedDuration::from_mins(5), "{left:?} left at {:?}", asked.at);
        tokens.insert(token.to_owned());
    }
    assert!((6..=8).contains(&tokens.len()), "{} tokens in {hours} hours", tokens.len());
    world.finish().await;
}
