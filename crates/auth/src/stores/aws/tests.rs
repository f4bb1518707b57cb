//! AWS Secrets Manager in memory, which verifies signatures.

mod moto;

use std::sync::Arc;

use jiff::Timestamp;
use keda_api::{AuthenticationRef, GroupVersionKindResource};
use keda_scaler::Clock;
use serde_json::json;

use super::*;
use crate::aws::fake::{Aws, ISSUER, OPERATOR, REGION, SHOP, SUBJECT, service_account_token};
use crate::aws::{Broker, Settings};
use crate::memory::Memory;
use crate::stores::VaultSettings;
use crate::{Scope, Stores, resolve};

const GET: &str = "secretsmanager:GetSecretValue";
const USER: &str = "arn:aws:iam::111122223333:user/shop";

struct World {
    aws: Aws,
    stores: Stores,
    _token: tempfile::NamedTempFile,
}

/// An operator with IRSA, and a user with a key; both may read secrets, of which there are some.
fn world() -> World {
    let clock = Clock::tokio("2026-11-24T10:00:00Z".parse::<Timestamp>().unwrap());
    let aws = Aws::new(clock);
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), service_account_token(ISSUER, SUBJECT, None)).unwrap();
    let settings = Settings::read(|name| match name {
        "AWS_REGION" => Some(REGION.to_owned()),
        "AWS_ROLE_ARN" => Some(OPERATOR.to_owned()),
        "AWS_WEB_IDENTITY_TOKEN_FILE" => Some(token.path().to_str().unwrap().to_owned()),
        _ => None,
    });
    let session_token = Some("s3cret-user-session".into());
    aws.key(USER, &Keys { id: "AKIASHOP".into(), secret: "s3cret-user-key".into(), session_token });
    aws.trust_subject(OPERATOR, SUBJECT);
    for arn in [USER, OPERATOR, SHOP] {
        aws.allow(arn, GET);
    }
    aws.secret(
        "shop/db",
        json!({
            "AWSCURRENT": { "SecretString": r#"{"password":"s3cret-new","port":5432}"# },
            "AWSPREVIOUS": { "SecretString": r#"{"password":"s3cret-old"}"# },
            "v-1": { "SecretString": "s3cret-plain" },
            "v-2": { "SecretBinary": "czNjcmV0" },
        }),
    );
    let broker = Arc::new(Broker::new(settings, Arc::new(aws.clone()), clock));
    let kube = Arc::new(Memory::default());
    let stores = Stores::new(Arc::new(aws.clone()), broker, kube, clock, VaultSettings::default());
    World { aws, stores, _token: token }
}

impl World {
    async fn resolve(&self, store: Value) -> Result<Vec<(String, String)>, String> {
        let annotations = [("eks.amazonaws.com/role-arn", SHOP)];
        let template = json!({ "spec": { "serviceAccountName": "web", "containers": [{ "name": "main" }] } });
        let cluster = Memory::default()
            .account("shop/web", &annotations)
            .template("shop/web", template)
            .secret(
                "shop/aws",
                &[("id", b"AKIASHOP\n"), ("key", b"s3cret-user-key"), ("token", b"s3cret-user-session")],
            )
            .authentication("shop/auth", json!({ "awsSecretManager": store }));
        let target = GroupVersionKindResource {
            group: "apps".to_owned(),
            version: "v1".to_owned(),
            kind: "Deployment".to_owned(),
            resource: "deployments".to_owned(),
        };
        let scope = Scope {
            namespace: "shop".to_owned(),
            target: Some((target, "web".to_owned())),
            stores: self.stores.clone(),
            ..Scope::default()
        };
        let reference = AuthenticationRef { name: "auth".to_owned(), kind: None };
        let resolved = resolve(Some(&reference), &scope, &cluster).await.map_err(|error| {
            let text = error.to_string();
            assert!(!text.contains("s3cret"), "{text}");
            text
        })?;
        Ok(resolved.params.iter().map(|(name, it)| (name.clone(), it.expose().to_owned())).collect())
    }
}

fn keys() -> Value {
    let of = |key: &str| json!({ "valueFrom": { "secretKeyRef": { "name": "aws", "key": key } } });
    json!({ "accessKey": of("id"), "accessSecretKey": of("key"), "accessToken": of("token") })
}

fn one(secret: &Value) -> Value {
    json!({ "region": REGION, "credentials": keys(), "secrets": [secret] })
}

#[tokio::test(start_paused = true)]
async fn versions_stages_and_keys_become_parameters() {
    let world = world();
    let secrets = json!([
        { "parameter": "whole", "name": "shop/db", "versionId": "v-1" },
        { "parameter": "password", "name": "shop/db", "secretKey": "password" },
        { "parameter": "old", "name": "shop/db", "versionStage": "AWSPREVIOUS", "secretKey": "password" },
        { "parameter": "again", "name": "shop/db", "secretKey": "password" },
    ]);
    let store = json!({ "region": REGION, "credentials": keys(), "secrets": secrets });
    let expected = [
        ("again", "s3cret-new"),
        ("old", "s3cret-old"),
        ("password", "s3cret-new"),
        ("whole", "s3cret-plain"),
    ];
    let expected: Vec<_> =
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(world.resolve(store).await, Ok(expected));
    assert_eq!(world.aws.signed(), 3, "each version is asked for once");
    assert_eq!(world.aws.hosts(), ["secretsmanager.eu-west-1.amazonaws.com"]);
}

/// Whose identity it is, externalID included, which upstream does not send (auth.md 9.13).
#[tokio::test(start_paused = true)]
async fn identities_read_secrets_too() {
    let secret = json!([{ "parameter": "p", "name": "shop/db", "versionId": "v-1" }]);
    let store = |identity: Value| json!({ "secrets": secret, "podIdentity": identity });
    let world = world();
    assert!(world.resolve(store(json!({ "provider": "aws" }))).await.is_ok());
    world.aws.trust_role(SHOP, OPERATOR, Some("shop-1"));
    world
        .resolve(store(json!({ "provider": "aws", "roleArn": SHOP, "externalID": "shop-1" })))
        .await
        .unwrap();
    world.aws.trust_subject(SHOP, SUBJECT);
    world.resolve(store(json!({ "provider": "aws", "identityOwner": "workload" }))).await.unwrap();
    let refused = world.resolve(store(json!({ "provider": "gcp" }))).await.unwrap_err();
    assert!(refused.contains("takes podIdentity provider aws only, not gcp"), "{refused}");
    let refused = world.resolve(store(json!({ "provider": "none" }))).await.unwrap_err();
    assert!(refused.contains("neither credentials nor a podIdentity"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_an_error_with_its_name() {
    for (secret, parts) in [
        (
            json!({ "parameter": "p", "name": "nope" }),
            ["secret \"nope\": ResourceNotFoundException: Secrets Manager can't find", "[aws-secret]"],
        ),
        (
            json!({ "parameter": "p", "name": "shop/db", "versionId": "v-9" }),
            ["ResourceNotFoundException", "region eu-west-1"],
        ),
        (
            json!({ "parameter": "p", "name": "shop/db", "secretKey": "user" }),
            ["secret \"shop/db\" has no key \"user\"", "[aws-secret]"],
        ),
        (
            json!({ "parameter": "p", "name": "shop/db", "secretKey": "port" }),
            ["has no text under key \"port\"", ""],
        ),
        (
            json!({ "parameter": "p", "name": "shop/db", "versionId": "v-1", "secretKey": "x" }),
            ["is not a JSON object", ""],
        ),
        (json!({ "parameter": "p", "name": "shop/db", "versionId": "v-2" }), ["is binary", ""]),
    ] {
        let text = world().resolve(one(&secret)).await.unwrap_err();
        assert!(text.starts_with("awsSecretManager of TriggerAuthentication shop/auth: "), "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_says_the_statement() {
    let world = world();
    let store = json!({ "secrets": [{ "parameter": "p", "name": "shop/db" }], "podIdentity": { "provider": "aws", "roleArn": "arn:aws:iam::111122223333:role/other" } });
    world.aws.trust_subject("arn:aws:iam::111122223333:role/other", SUBJECT);
    let text = world.resolve(store).await.unwrap_err();
    let statement = "[aws-forbidden]; attach a policy with {\"Effect\":\"Allow\",\"Action\":\"secretsmanager:GetSecretValue\",\"Resource\":\
                     \"arn:aws:secretsmanager:eu-west-1:*:secret:shop/db-??????\"} to it";
    assert!(text.ends_with(statement), "{text}");
}

/// A session that was revoked is replaced once, within the same resolution.
#[tokio::test(start_paused = true)]
async fn a_revoked_session_is_replaced() {
    let world = world();
    let store = json!({ "secrets": [{ "parameter": "p", "name": "shop/db", "versionId": "v-1" }], "podIdentity": { "provider": "aws" } });
    world.resolve(store.clone()).await.unwrap();
    world.aws.revoke();
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    world.resolve(store).await.unwrap();
}
