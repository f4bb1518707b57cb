//! Google's identities against Google in memory, hours in seconds; and once over TLS with a CA of its own.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;
use keda_scaler::identity::Token;
use keda_scaler::identity::google::{Credential, MONITORING_READ, Request};
use keda_scaler::{Clock, Code, Error, Kind};
use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize};
use serde_json::{Value, json};

use super::fake::{EMAIL, Google, POOL, PROJECT};
use super::*;
use crate::azure::fake::federated_token;

mod federation;
mod over_tls;

const MINUTE: Duration = Duration::from_secs(60);

fn start() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

/// A private key, PEM, and its public half.
static KEY: LazyLock<(String, Vec<u8>)> = LazyLock::new(|| {
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    (pair.serialize_pem(), pair.subject_public_key_info())
});

/// A service account's key as Google gives it.
fn key(id: &str) -> Value {
    json!({
        "type": "service_account", "project_id": PROJECT, "private_key_id": id, "private_key": KEY.0,
        "client_email": "shop@shop-1.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
    })
}

fn by_key(json: &Value) -> Request {
    by(Credential::Key(json.to_string().into()))
}

fn by(credential: Credential) -> Request {
    Request { credential, scope: MONITORING_READ.to_owned() }
}

/// In a pod of the operator.
fn settings() -> Settings {
    let account = ServiceAccount { namespace: "keda".into(), name: "keda-operator".into() };
    Settings { service_account: Some(account), ..Settings::default() }
}

fn with_file(path: &Path) -> Settings {
    Settings { credentials_file: Some(path.to_owned()), ..settings() }
}

fn broker(google: &Google, settings: Settings) -> Broker {
    Broker::new(settings, Arc::new(google.clone()), Clock::tokio(start()))
}

fn google() -> Google {
    let google = Google::new(start());
    google.key("key-1", "shop@shop-1.iam.gserviceaccount.com", &KEY.1);
    google
}

async fn default_token(google: &Google, settings: Settings) -> Result<Token, Error> {
    broker(google, settings).token(&by(Credential::Default)).await
}

#[tokio::test(start_paused = true)]
async fn a_key_signs_for_a_token() {
    let google = google();
    let token = broker(&google, settings()).token(&by_key(&key("key-1"))).await.unwrap();
    let (who, scope) = google.whose(token.secret().expose()).unwrap();
    assert_eq!((who.as_str(), scope.as_str()), ("shop@shop-1.iam.gserviceaccount.com", MONITORING_READ));
    assert_eq!(token.principal().client_id, who);
    assert_eq!(google.asked(), ["POST https://oauth2.googleapis.com/token"]);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_triggers_cost_one_token_an_hour() {
    let google = google();
    google.metadata(true);
    let broker = broker(&google, settings());
    let mut tokens = 0;
    for _ in 0..240 {
        let all = (0..100).map(|_| async { broker.token(&by(Credential::Default)).await.unwrap() });
        futures::future::join_all(all).await;
        tokio::time::sleep(MINUTE / 2).await;
        tokens = google.asked().iter().filter(|asked| asked.ends_with("/token")).count();
    }
    assert!((2..=4).contains(&tokens), "{tokens} token requests in two hours");
}

#[tokio::test(start_paused = true)]
async fn the_metadata_server_gives_tokens_and_says_whose() {
    let google = google();
    google.metadata(true);
    let token = default_token(&google, settings()).await.unwrap();
    assert_eq!(token.principal().client_id, EMAIL);
    let (_, scope) = google.whose(token.secret().expose()).unwrap();
    assert_eq!(scope, MONITORING_READ);
    assert!(
        google
            .asked()
            .iter()
            .all(|asked| asked.starts_with("GET http://169.254.169.254/computeMetadata/v1/"))
    );
}

#[tokio::test(start_paused = true)]
async fn no_credentials_at_all_are_said_so() {
    let google = google();
    let error = default_token(&google, settings()).await.unwrap_err();
    assert_eq!(error.code, Some(Code::GoogleNoCredentials));
    assert!(
        error.message.starts_with(
            "no google application default credentials: GOOGLE_APPLICATION_CREDENTIALS is not set, and there is no metadata server: "
        ),
        "{error}"
    );
    google.foreign(true);
    let error = default_token(&google, settings()).await.unwrap_err();
    assert!(error.message.contains("169.254.169.254 is not Google's metadata server"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_workload_identity_without_its_binding_may_be_spreading_and_ends_with_the_line() {
    let google = google();
    google.metadata(true);
    let words = "Unable to generate access token; IAM returned 403 Forbidden: Permission 'iam.serviceAccounts.getAccessToken' denied on \
                 resource (or it may not exist).";
    google.metadata_refuses(Some((403, words)));
    let broker = broker(&google, settings());
    let error = broker.token(&by(Credential::Default)).await.unwrap_err();
    assert_eq!((error.code, error.kind), (Some(Code::GoogleImpersonationDenied), Kind::Propagating));
    assert!(
        error.message.contains("ServiceAccount keda/keda-operator may not act as keda@shop-1"),
        "{error}"
    );
    assert!(
        error.message.ends_with(
            "gcloud iam service-accounts add-iam-policy-binding keda@shop-1.iam.gserviceaccount.com --role \
             roles/iam.workloadIdentityUser --member \"serviceAccount:shop-1.svc.id.goog[keda/keda-operator]\""
        ),
        "{error}"
    );
    tokio::time::sleep(2 * MINUTE).await;
    google.metadata_refuses(None);
    broker.token(&by(Credential::Default)).await.unwrap();

    google.metadata_refuses(Some((404, "not found")));
    let error = default_token(&google, settings()).await.unwrap_err();
    assert_eq!((error.code, error.kind), (Some(Code::GoogleNoCredentials), Kind::Auth), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_google_does_not_know_is_named_and_never_shown() {
    let google = google();
    let error = broker(&google, settings()).token(&by_key(&key("key-2"))).await.unwrap_err();
    assert_eq!((error.code, error.kind), (Some(Code::GoogleCredentialsRefused), Kind::Auth));
    assert_eq!(
        error.message,
        "oauth2.googleapis.com answered with status 400: invalid_grant: Invalid JWT Signature. (<hidden>); asked with key key-2 of \
         shop@shop-1.iam.gserviceaccount.com [google-credentials-refused]; gcloud iam service-accounts keys list --iam-account \
         shop@shop-1.iam.gserviceaccount.com shows the keys that are valid"
    );
}

#[tokio::test(start_paused = true)]
async fn clocks_that_differ_are_said_to() {
    let google = google();
    let hours_ahead = start() + jiff::SignedDuration::from_hours(3);
    let broker = Broker::new(settings(), Arc::new(google.clone()), Clock::tokio(hours_ahead));
    let error = broker.token(&by_key(&key("key-1"))).await.unwrap_err();
    assert_eq!(error.code, Some(Code::GoogleClockSkew), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_none_is_refused_without_its_text() {
    let google = google();
    let elliptic = KeyPair::generate().unwrap().serialize_pem();
    for (private, why) in [
        (
            json!("s3cret-text"),
            "the key of shop@shop-1.iam.gserviceaccount.com cannot sign: its private_key is no PEM private key",
        ),
        (
            json!(elliptic),
            "the key of shop@shop-1.iam.gserviceaccount.com cannot sign: its private_key is no RSA key",
        ),
        (json!(""), "the service account's key cannot be used: it has no private_key"),
    ] {
        let mut json = key("key-1");
        json["private_key"] = private;
        let error = broker(&google, settings()).token(&by_key(&json)).await.unwrap_err();
        assert_eq!(error.code, Some(Code::GoogleCredentials));
        assert!(error.message.starts_with(why) && !error.message.contains("s3cret"), "{error}");
    }
    assert!(google.asked().is_empty());
}

/// 8152, 4262: trouble at Google's end does not cost the token in hand.
#[tokio::test(start_paused = true)]
async fn a_failing_endpoint_does_not_cost_the_token_in_hand_8152_4262() {
    let google = google();
    let broker = broker(&google, settings());
    let request = by_key(&key("key-1"));
    let first = broker.token(&request).await.unwrap();
    google.failing(Some(503));
    tokio::time::sleep(55 * MINUTE).await;
    assert_eq!(broker.token(&request).await.unwrap().secret(), first.secret());
    tokio::time::sleep(6 * MINUTE).await;
    let error = broker.token(&request).await.unwrap_err();
    assert_eq!(error.code, Some(Code::GoogleFailing), "{error}");
    assert!(error.temporary());
}

#[tokio::test(start_paused = true)]
async fn files_are_read_for_every_token() {
    let google = google();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let settings = with_file(&path);
    let error = default_token(&google, settings.clone()).await.unwrap_err();
    let expected = format!(
        "the google application default credentials in GOOGLE_APPLICATION_CREDENTIALS {} cannot be used: it does not exist",
        path.display()
    );
    assert!(error.message.starts_with(&expected), "{error}");
    let broker = broker(&google, settings);
    broker.token(&by(Credential::Default)).await.unwrap_err();
    std::fs::write(&path, key("key-1").to_string()).unwrap();
    tokio::time::sleep(MINUTE).await;
    let token = broker.token(&by(Credential::Default)).await.unwrap();
    assert_eq!(token.principal().client_id, "shop@shop-1.iam.gserviceaccount.com");
    assert_eq!(broker.project(&Credential::Default).await.unwrap(), PROJECT);
    broker.token(&by(Credential::KeyFile(path.clone()))).await.unwrap();

    for (text, why) in [
        (json!({ "type": "authorized_user" }), "it lacks client_id, client_secret or refresh_token"),
        (json!({ "type": "gdch_service_account" }), "its type \"gdch_service_account\" is not supported"),
        (json!({}), "it holds no JSON document of Google credentials"),
    ] {
        std::fs::write(&path, text.to_string()).unwrap();
        let error = default_token(&google, with_file(&path)).await.unwrap_err();
        assert!(error.message.contains(why), "{error}");
    }
    let error = default_token(&google, with_file(folder.path())).await.unwrap_err();
    assert!(error.message.contains("it is no regular file"), "{error}");
}

/// auth.md 9.19: an explicit key is one of a service account.
#[tokio::test(start_paused = true)]
async fn an_explicit_key_is_of_a_service_account_only() {
    let google = google();
    let user =
        json!({ "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r" });
    let error = broker(&google, settings()).token(&by_key(&user)).await.unwrap_err();
    assert!(
        error.message.contains("it is of type \"authorized_user\", and must be of type service_account"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_user_of_gcloud_is_taken_where_the_process_runs_as_one() {
    let google = google();
    google.user("s3cret-refresh");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("application_default_credentials.json");
    let settings = Settings { gcloud_file: Some(path.clone()), ..settings() };
    let user = |token: &str| json!({ "type": "authorized_user", "client_id": "c", "client_secret": "s3cret-client", "refresh_token": token });
    std::fs::write(&path, user("s3cret-refresh").to_string()).unwrap();
    let token = default_token(&google, settings.clone()).await.unwrap();
    assert_eq!(google.whose(token.secret().expose()).unwrap().0, "user");
    std::fs::write(&path, user("s3cret-other").to_string()).unwrap();
    let error = default_token(&google, settings).await.unwrap_err();
    assert_eq!(error.code, Some(Code::GoogleCredentialsRefused));
    assert!(error.message.ends_with("gcloud auth application-default login"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_project_comes_from_the_setting_the_key_or_the_metadata_server() {
    let google = google();
    google.metadata(true);
    let named = Settings { project: Some("named".into()), ..settings() };
    assert_eq!(broker(&google, named).project(&Credential::Default).await.unwrap(), "named");
    assert_eq!(broker(&google, settings()).project(&Credential::Default).await.unwrap(), PROJECT);
    let mut json = key("key-1");
    let of = |json: &Value| Credential::Key(json.to_string().into());
    assert_eq!(broker(&google, settings()).project(&of(&json)).await.unwrap(), PROJECT);
    json["project_id"] = Value::Null;
    let error = broker(&google, settings()).project(&of(&json)).await.unwrap_err();
    assert!(error.message.starts_with("the service account's key has no project_id"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once() {
    let google = google();
    let broker = broker(&google, settings());
    let request = by_key(&key("key-1"));
    let first = broker.token(&request).await.unwrap();
    let second = broker.renew(&request, &first).await.unwrap().unwrap();
    assert_ne!(first.secret(), second.secret());
    assert!(broker.renew(&request, &second).await.unwrap().is_none(), "not again at once");
}
