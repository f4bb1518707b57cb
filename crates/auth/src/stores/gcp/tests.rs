//! Secret Manager in memory: as whom it is asked, what comes back, and what each refusal says.

use std::sync::Arc;

use jiff::Timestamp;
use keda_api::AuthenticationRef;
use keda_scaler::Clock;
use serde_json::{Value, json};

use crate::gcp::fake::{EMAIL, Google};
use crate::memory::Memory;
use crate::{Brokers, Scope, Settings, Stores, VaultSettings, resolve};

struct World {
    google: Google,
    stores: Stores,
}

impl World {
    /// On GKE, with an identity that may read two versions of one secret.
    fn new() -> Self {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let google = Google::new(now);
        google.metadata(true);
        google.grant(EMAIL);
        google.secret("login", "latest", b"s3cret-latest");
        google.secret("login", "3", b"s3cret-third");
        let (http, kube, clock) = (Arc::new(google.clone()), Arc::new(Memory::default()), Clock::tokio(now));
        let tokens = Brokers::new(Settings::default(), http.clone(), kube.clone(), clock);
        let stores = Stores::new(http, Arc::new(tokens), kube, clock, VaultSettings::default());
        Self { google, stores }
    }

    async fn resolve(&self, store: Value) -> Result<Vec<(String, String)>, String> {
        let cluster = Memory::default()
            .authentication("shop/auth", json!({ "gcpSecretManager": store }))
            .secret("shop/google", &[("key.json", b"s3cret-key-that-is-none")]);
        let scope = Scope { namespace: "shop".to_owned(), stores: self.stores.clone(), ..Scope::default() };
        let reference = AuthenticationRef { name: "auth".to_owned(), kind: None };
        match resolve(Some(&reference), &scope, &cluster).await {
            Ok(resolved) => {
                let shown = |(name, value): (String, keda_scaler::Secret)| (name, value.expose().to_owned());
                Ok(resolved.params.into_iter().map(shown).collect())
            }
            Err(error) => {
                let text = error.to_string();
                assert!(!text.contains("s3cret"), "{text}");
                Err(text)
            }
        }
    }

    fn accesses(&self) -> usize {
        self.google.asked().iter().filter(|asked| asked.contains("secretmanager")).count()
    }
}

fn store(secrets: &Value) -> Value {
    json!({ "secrets": secrets, "podIdentity": { "provider": "gcp" } })
}

fn one(id: &str, version: &str) -> Value {
    store(&json!([{ "parameter": "password", "id": id, "version": version }]))
}

#[tokio::test(start_paused = true)]
async fn versions_become_parameters_and_equal_ones_are_read_once() {
    let world = World::new();
    let secrets = json!([
        { "parameter": "password", "id": "login" },
        { "parameter": "old", "id": "login", "version": "3" },
        { "parameter": "again", "id": "login", "version": "latest" },
    ]);
    let expected = [("again", "s3cret-latest"), ("old", "s3cret-third"), ("password", "s3cret-latest")];
    let expected: Vec<_> =
        expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    for _ in 0..20 {
        assert_eq!(world.resolve(store(&secrets)).await.unwrap(), expected);
    }
    assert_eq!(world.accesses(), 2);
    assert!(
        world.google.asked().contains(
            &"GET https://secretmanager.googleapis.com/v1/projects/shop-1/secrets/login/versions/3:access"
                .to_owned()
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once() {
    let world = World::new();
    world.resolve(one("login", "3")).await.unwrap();
    world.google.revoke();
    tokio::time::advance(std::time::Duration::from_secs(10)).await;
    assert_eq!(world.resolve(one("login", "3")).await.unwrap()[0].1, "s3cret-third");
    assert_eq!(world.accesses(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_had_is_named_with_the_line_that_mends_it() {
    let world = World::new();
    let missing = world.resolve(one("absent", "latest")).await.unwrap_err();
    assert_eq!(
        missing,
        "gcpSecretManager of TriggerAuthentication shop/auth: parameter \"password\" is version latest of secret absent in project \
         shop-1: Secret Manager answered with status 404: NOT_FOUND: Secret [projects/1/secrets/absent] not found or has no versions. \
         [google-secret-missing]; gcloud secrets versions list absent --project shop-1"
    );
    world.google.damaged(true);
    let damaged = world.resolve(one("login", "3")).await.unwrap_err();
    assert!(damaged.contains("its checksum does not fit [google-secret-answer]"), "{damaged}");
    world.google.damaged(false);
    world.google.secret("binary", "1", &[0xff, 0xfe]);
    let binary = world.resolve(one("binary", "1")).await.unwrap_err();
    assert!(binary.contains("the secret is no text [google-secret-answer]"), "{binary}");

    let stranger = World::new();
    stranger.google.forget(EMAIL);
    let forbidden = stranger.resolve(one("login", "3")).await.unwrap_err();
    assert!(
        forbidden.ends_with(
            "[google-secret-forbidden]; gcloud secrets add-iam-policy-binding login --project shop-1 --role \
             roles/secretmanager.secretAccessor --member \"serviceAccount:keda@shop-1.iam.gserviceaccount.com\""
        ),
        "{forbidden}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_incomplete_is_refused_before_anything_is_asked() {
    let world = World::new();
    let secrets = json!([{ "parameter": "password", "id": "login" }]);
    let key = json!({ "clientSecret": { "valueFrom": { "secretKeyRef": { "name": "google", "key": "key.json" } } } });
    let absent =
        json!({ "clientSecret": { "valueFrom": { "secretKeyRef": { "name": "google", "key": "no" } } } });
    for (store, text) in [
        (
            json!({ "secrets": secrets }),
            "neither credentials.clientSecret nor podIdentity with the provider gcp is given",
        ),
        (
            json!({ "secrets": secrets, "podIdentity": { "provider": "aws" } }),
            "podIdentity provider aws is not one of Google's: it must be gcp",
        ),
        (
            json!({ "secrets": secrets, "credentials": key }),
            "the service account's key in credentials.clientSecret cannot be used: it is no JSON document",
        ),
        (
            json!({ "secrets": secrets, "credentials": absent }),
            "of Secret shop/google, which has no such key",
        ),
        (one("../../other", "1"), "id \"../../other\" of parameter \"password\" is none"),
        (one("login", "1:destroy"), "version \"1:destroy\" of parameter \"password\" is none"),
    ] {
        let error = world.resolve(store).await.unwrap_err();
        assert!(error.contains(text), "{text}: {error}");
    }
    assert!(world.google.asked().is_empty());
}
