//! Logins, engines, leases and refusals, on a Vault in memory and under virtual time.

use std::sync::Arc;

use jiff::Timestamp;
use keda_api::{AuthenticationRef, GroupVersionKindResource};
use keda_scaler::Clock;
use keda_scaler::identity::NoTokens;
use serde_json::json;

use super::fake::Vault;
use super::*;
use crate::memory::Memory;
use crate::{Scope, Stores, resolve};

/// The time at the start of every test.
pub(super) const START: i64 = 1_790_000_000;

/// Parameters, or the text of the error.
type Answer = Result<Vec<(String, String)>, String>;

struct World {
    vault: Vault,
    stores: Stores,
}

impl World {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let vault = Vault::default();
        let kube = Memory::default().account("shop/web", &[]).account("bank/web", &[]);
        let clock = Clock::tokio(Timestamp::from_second(START).unwrap());
        let stores =
            Stores::new(Arc::new(vault.clone()), Arc::new(NoTokens), Arc::new(kube), clock, settings);
        Self { vault, stores }
    }

    /// What a namespace's TriggerAuthentication comes to.
    async fn resolve(&self, namespace: &str, store: &Value) -> Answer {
        let cluster = Memory::default()
            .authentication(&format!("{namespace}/auth"), json!({ "hashiCorpVault": store }))
            .authentication("auth", json!({ "hashiCorpVault": store }));
        self.resolve_in(&cluster, namespace, None).await
    }

    async fn resolve_in(&self, cluster: &Memory, namespace: &str, kind: Option<&str>) -> Answer {
        let target = GroupVersionKindResource {
            group: "apps".to_owned(),
            version: "v1".to_owned(),
            kind: "Deployment".to_owned(),
            resource: "deployments".to_owned(),
        };
        let scope = Scope {
            namespace: namespace.to_owned(),
            target: Some((target, "web".to_owned())),
            stores: self.stores.clone(),
            ..Scope::default()
        };
        let reference = AuthenticationRef { name: "auth".to_owned(), kind: kind.map(str::to_owned) };
        let resolved = resolve(Some(&reference), &scope, cluster).await;
        match resolved {
            Ok(resolved) => {
                Ok(resolved.params.iter().map(|(name, it)| (name.clone(), it.expose().to_owned())).collect())
            }
            Err(error) => {
                let text = error.to_string();
                assert!(!text.contains("s3cret"), "{text}");
                Err(text)
            }
        }
    }

    async fn refusal(&self, store: Value) -> String {
        self.resolve("shop", &store).await.expect_err("should be refused")
    }
}

fn found(pairs: &[(&str, &str)]) -> Answer {
    Ok(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

/// With a token.
fn by_token(secrets: impl Into<Value>) -> Value {
    json!({ "address": "https://vault:8200/", "authentication": "token",
            "credential": { "token": "s3cret-root" }, "secrets": secrets.into() })
}

/// As the ServiceAccount of the workload's namespace.
fn by_account(secrets: impl Into<Value>) -> Value {
    json!({ "address": "https://vault:8200", "authentication": "kubernetes", "mount": "kubernetes", "role": "reader",
            "credential": { "serviceAccountName": "web" }, "secrets": secrets.into() })
}

fn password() -> Value {
    json!([{ "parameter": "password", "path": "secret/data/db", "key": "password" }])
}

/// A world where `shop/web` may log in and `secret/data/db` exists.
fn shop() -> World {
    let world = World::new();
    world.vault.role("kubernetes", "reader", "system:serviceaccount:shop:web");
    world.vault.version2("secret/data/db", json!({ "password": "pw" }));
    world
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn every_engine_gives_its_texts() {
    let world = World::new();
    world.vault.token("s3cret-root", None, false);
    world.vault.version1("kv/db", json!({ "password": "one" }));
    world.vault.version2("secret/data/db", json!({ "password": "two", "user": "ann" }));
    world.vault.version1("odd/app", json!({ "data": "a key called data" }));
    let store = by_token(json!([
        { "parameter": "a", "path": "kv/db", "key": "password" },
        { "parameter": "b", "path": "kv/db", "key": "password", "type": "secret" },
        { "parameter": "c", "path": "secret/data/db", "key": "password" },
        { "parameter": "d", "path": "/secret/data/db/", "key": "user", "type": "secretV2" },
        { "parameter": "e", "path": "odd/app", "key": "data" },
        { "parameter": "f", "path": "pki/issue/role", "key": "ca_chain", "type": "pki",
          "pkiData": { "commonName": "web.shop", "ttl": "10m" } },
        { "parameter": "g", "path": "pki/issue/role", "key": "certificate", "type": "pki",
          "pkiData": { "commonName": "web.shop", "ttl": "10m" } },
    ]));
    let expected = found(&[
        ("a", "one"),
        ("b", "one"),
        ("c", "two"),
        ("d", "ann"),
        ("e", "a key called data"),
        ("f", "first\nsecond"),
        ("g", "certificate 1 of web.shop"),
    ]);
    assert_eq!(world.resolve("shop", &store).await, expected);
    assert_eq!(
        world.vault.times("pki/issue/role"),
        1,
        "one request a path and engine: {:?}",
        world.vault.asked()
    );
    assert!(world.vault.asked().contains(&"PUT pki/issue/role".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_objects_log_in_once_and_share_an_answer() {
    let world = shop();
    let resolving = (0..1000).map(|_| async { world.resolve("shop", &by_account(password())).await });
    for answer in futures::future::join_all(resolving).await {
        assert_eq!(answer, found(&[("password", "pw")]));
    }
    assert_eq!(world.vault.asked(), ["PUT auth/kubernetes/login", "GET secret/data/db"]);
    pass(6).await;
    world.vault.version2("secret/data/db", json!({ "password": "newer" }));
    assert_eq!(world.resolve("shop", &by_account(password())).await, found(&[("password", "newer")]));
    assert_eq!(world.vault.times("auth/kubernetes/login"), 1, "the session goes on");
}

#[tokio::test(start_paused = true)]
async fn an_account_is_one_of_the_workloads_namespace() {
    let world = shop();
    let text = world.resolve("bank", &by_account(password())).await.unwrap_err();
    assert!(text.contains("service account name not authorized; <hidden>"), "{text}");
    // The same of a ClusterTriggerAuthentication: upstream's rule, whoever owns the object.
    let cluster =
        Memory::default().authentication("auth", json!({ "hashiCorpVault": by_account(password()) }));
    let kind = Some("ClusterTriggerAuthentication");
    assert_eq!(world.resolve_in(&cluster, "shop", kind).await, found(&[("password", "pw")]));
    let mut other = by_account(password());
    other["credential"]["serviceAccountName"] = "nobody".into();
    assert_eq!(
        world.refusal(other).await,
        "hashiCorpVault of TriggerAuthentication shop/auth: credential.serviceAccountName: no token of ServiceAccount \
         shop/nobody: it does not exist [vault-service-account]; the operator needs create on serviceaccounts/token for it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_or_made_anew_before_it_ends() {
    for (renewable, renewals, logins) in [(true, 3, 1), (false, 0, 4)] {
        let world = shop();
        world.vault.logins_last(Duration::from_secs(90), renewable);
        for _ in 0..28 {
            assert_eq!(world.resolve("shop", &by_account(password())).await, found(&[("password", "pw")]));
            pass(9).await;
        }
        let counts = (world.vault.times("auth/token/renew-self"), world.vault.times("auth/kubernetes/login"));
        assert_eq!(counts, (renewals, logins), "renewable: {renewable}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_in_hand_outlives_trouble_until_it_ends() {
    let world = shop();
    world.vault.logins_last(Duration::from_secs(90), true);
    world.resolve("shop", &by_account(password())).await.unwrap();
    pass(70).await;
    world.vault.down(true);
    let text = world.resolve("shop", &by_account(password())).await.unwrap_err();
    assert!(text.contains("[vault-unreachable]") && text.contains("connection refused"), "{text}");
    world.vault.down(false);
    pass(6).await;
    assert_eq!(world.resolve("shop", &by_account(password())).await, found(&[("password", "pw")]));
    assert_eq!(world.vault.times("auth/kubernetes/login"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_login_is_made_again_once() {
    let world = shop();
    world.resolve("shop", &by_account(password())).await.unwrap();
    pass(10).await;
    world.vault.revoke_all();
    assert_eq!(world.resolve("shop", &by_account(password())).await, found(&[("password", "pw")]));
    world.vault.deny("secret/data/db");
    pass(10).await;
    let text = world.resolve("shop", &by_account(password())).await.unwrap_err();
    assert!(text.contains("permission denied [vault-forbidden]"), "{text}");
    assert_eq!(world.vault.times("auth/kubernetes/login"), 3, "once for the refusal, not again and again");
}

#[tokio::test(start_paused = true)]
async fn what_has_a_lease_is_kept_for_a_part_of_it() {
    let world = World::new();
    world.vault.token("s3cret-root", None, false);
    let database =
        by_token(json!([{ "parameter": "username", "path": "database/creds/app", "key": "username" }]));
    let certificate = by_token(
        json!([{ "parameter": "cert", "path": "pki/issue/role", "key": "certificate", "type": "pki",
        "pkiData": { "commonName": "web.shop" } }]),
    );
    for (seconds, user, number) in [(0, "v-1", 2), (10, "v-1", 2), (31, "v-3", 2), (262, "v-4", 5)] {
        pass(seconds).await;
        assert_eq!(world.resolve("shop", &database).await, found(&[("username", user)]));
        let shown = format!("certificate {number} of web.shop");
        assert_eq!(world.resolve("shop", &certificate).await, found(&[("cert", &shown)]));
    }
}

#[tokio::test(start_paused = true)]
async fn the_environments_token_and_namespace_count_as_upstream() {
    let token = Some(Secret::from("s3cret-own"));
    let world = World::with(Settings { token, namespace: Some("team".to_owned()), ..Settings::default() });
    world.vault.token("s3cret-own", None, false);
    world.vault.secret("team", "kv/a", json!({ "k": "of the team" }));
    world.vault.secret("other", "kv/a", json!({ "k": "of another" }));
    let secrets = json!([{ "parameter": "p", "path": "kv/a", "key": "k" }]);
    assert_eq!(world.resolve("shop", &by_token(secrets.clone())).await, found(&[("p", "of the team")]));
    let mut named = by_token(secrets);
    named["namespace"] = "other".into();
    assert_eq!(world.resolve("shop", &named).await, found(&[("p", "of another")]));
}

#[tokio::test(start_paused = true)]
async fn refusals_name_what_was_asked_what_vault_said_and_what_to_do() {
    let world = shop();
    world.vault.token("s3cret-root", None, false);
    world.vault.version1("kv/db", json!({ "Password": "one", "port": 5432 }));
    world.vault.deny("kv/secret");
    let secret = |path: &str, key: &str| json!([{ "parameter": "password", "path": path, "key": key }]);
    let mut stranger = by_token(password());
    stranger["credential"]["token"] = "s3cret-stale".into();
    let mut role = by_account(password());
    role["role"] = "writer".into();
    for (store, expected) in [
        (
            by_token(secret("kv/db", "password")),
            "parameter \"password\": key \"password\" of kv/db at https://vault:8200 does not exist, there are: Password, port \
             [vault-secret-missing]",
        ),
        (
            by_token(secret("kv/db", "port")),
            "parameter \"password\": key \"port\" of kv/db at https://vault:8200 is a number, it has to be a text: store it in \
             quotes [vault-secret-missing]",
        ),
        (
            by_token(secret("secret/db", "password")),
            "parameter \"password\": cannot read secret/db at https://vault:8200: status 404 [vault-secret-missing]; there is no \
             such secret; paths of version 2 of the key-value engine contain data/, like secret/data/app",
        ),
        (
            by_token(secret("kv/secret", "k")),
            "parameter \"password\": cannot read kv/secret at https://vault:8200: 1 error occurred: * permission denied \
             [vault-forbidden]; a policy of the token has to allow read on \"kv/secret\" (update for pki)",
        ),
        (
            stranger,
            "the token is not valid at https://vault:8200: permission denied; invalid token <hidden> [vault-token-refused]; give \
             credential.token a token that bao token lookup, or vault token lookup, knows there",
        ),
        (
            role,
            "cannot log in with role \"writer\" of auth method \"kubernetes\" at https://vault:8200: invalid role name \"writer\" \
             [vault-login-refused]; the role has to exist there, and to name the ServiceAccount and namespace whose token is shown",
        ),
    ] {
        let prefix = "hashiCorpVault of TriggerAuthentication shop/auth: ";
        assert_eq!(world.refusal(store).await, format!("{prefix}{expected}"));
    }
    world.vault.sealed(true);
    pass(6).await;
    let text = world.refusal(by_token(password())).await;
    assert!(text.contains("Vault is sealed [vault-failing]; a sealed Vault has to be unsealed"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_said_without_asking() {
    let world = World::new();
    let with = |field: &str, value: Value| {
        let mut store = by_account(password());
        store[field] = value;
        store
    };
    let secret = |change: Value| {
        let mut secret = json!({ "parameter": "p", "path": "a", "key": "k" });
        secret.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        by_token(json!([secret]))
    };
    let mut tokenless = by_token(password());
    tokenless.as_object_mut().unwrap().remove("credential");
    for (store, expected) in [
        (with("address", "vault:8200".into()), "address \"vault:8200\" is no address of a Vault"),
        (with("address", "https://u:p@vault".into()), "is no address of a Vault"),
        (with("mount", "".into()), "mount is not set"),
        (with("role", Value::Null), "role is not set"),
        (
            with("authentication", "ldap".into()),
            "authentication \"ldap\" is not known, it must be token or kubernetes",
        ),
        (tokenless, "could not get Vault token"),
        (secret(json!({ "type": "secretV3" })), "type \"secretV3\" is not known"),
        (secret(json!({ "path": "a/../../sys/seal" })), "path \"a/../../sys/seal\" is no path of a secret"),
        (secret(json!({ "path": "a?version=1" })), "is no path of a secret"),
        (secret(json!({ "path": "" })), "is no path of a secret"),
    ] {
        let text = world.refusal(store).await;
        assert!(text.contains(expected) && text.contains("[vault-incomplete]"), "{expected}: {text}");
    }
    assert!(world.vault.asked().is_empty());
}

/// Upstream 7783, GHSA-c4p6-qg4m-9jmr.
#[tokio::test(start_paused = true)]
async fn a_service_account_file_opens_nothing_but_its_own_folder_ghsa_c4p6_qg4m_9jmr() {
    let home = tempfile::tempdir().unwrap();
    let (own, other) = (home.path().join("own"), home.path().join("other"));
    for folder in [&own, &other, &own.join("..data")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let token = crate::azure::fake::federated_token("system:serviceaccount:keda:operator", "vault", None);
    std::fs::write(own.join("..data/token"), &token).unwrap();
    std::os::unix::fs::symlink("..data/token", own.join("token")).unwrap();
    std::fs::write(other.join("token"), &token).unwrap();
    std::os::unix::fs::symlink("../other/token", own.join("leads-out")).unwrap();
    std::fs::write(own.join("notes"), "s3cret-text").unwrap();
    std::fs::write(own.join("large"), token.repeat(2000)).unwrap();
    let mut settings = Settings::default();
    settings.account_folders.push(own.clone());
    let world = World::with(settings);
    world.vault.role("kubernetes", "reader", "system:serviceaccount:keda:operator");
    world.vault.version2("secret/data/db", json!({ "password": "pw" }));
    let shown = |path: &std::path::Path| {
        let mut store = by_account(password());
        store["credential"] = json!({ "serviceAccount": path.to_str().unwrap() });
        store
    };
    assert_eq!(world.resolve("shop", &shown(&own.join("token"))).await, found(&[("password", "pw")]));
    for (path, expected) in [
        (
            other.join("token"),
            "is not allowed: it must be a file in /var/run/secrets/kubernetes.io/serviceaccount or ",
        ),
        ("/etc/passwd".into(), "is not allowed"),
        ("/proc/self/environ".into(), "is not allowed"),
        (own.join("../other/token"), "is not allowed"),
        (own.join("leads-out"), "is not allowed: it leads out of its folder"),
        (own.join("..data"), "is no regular file"),
        (own.join("notes"), "holds no token of a ServiceAccount"),
        (own.join("large"), "holds no token: it is larger than 64 KiB"),
        (own.join("nothing"), "cannot be read"),
    ] {
        let text = world.refusal(shown(&path)).await;
        assert!(text.contains(expected) && text.contains("[vault-service-account]"), "{text}");
    }
    assert_eq!(world.vault.times("auth/kubernetes/login"), 1, "nothing else was sent anywhere");
}

#[tokio::test]
async fn a_process_that_is_not_the_operator_says_so() {
    let cluster =
        Memory::default().authentication("shop/auth", json!({ "hashiCorpVault": by_token(password()) }));
    let scope = Scope { namespace: "shop".to_owned(), ..Scope::default() };
    let reference = AuthenticationRef { name: "auth".to_owned(), kind: None };
    let error = resolve(Some(&reference), &scope, &cluster).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "hashiCorpVault of TriggerAuthentication shop/auth is asked by the operator only"
    );
}
